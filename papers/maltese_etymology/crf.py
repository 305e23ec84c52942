"""A linear-chain conditional random field over binary features, with the objective of CRFsuite.

    model = CRF.fit([[["word=a", "title"], ["word=b"]]], [["X", "Y"]])
    model.predict([[["word=a"], ["word=b"]]])                      # [["X", "Y"]]

    minimise  - sum over sentences of log p(y | x)  +  c1 |w|_1  +  c2 |w|^2
    p(y | x) = exp(sum_i w_emit[y_i] . f(x, i) + w_move[y_(i-1), y_i]) / Z(x)

by L-BFGS-B: |w| is smooth where w = u - v with u, v >= 0. All transitions are allowed, and every feature may speak for
every label (CRFsuite leaves out pairs that training never shows together). The gradient is automatic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

Features = Sequence[Sequence[str]]
"""The features of every token of a sentence."""


@dataclass(frozen=True)
class CRF:
    """A trained model: labels, features by their row, and weights [feature, label], [label, label]."""

    labels: tuple[str, ...]
    features: dict[str, int]
    emit: Tensor
    move: Tensor

    @staticmethod
    def fit(
        sentences: Sequence[Features],
        labels: Sequence[Sequence[str]],
        *,
        c1: float = 0.1,
        c2: float = 0.1,
        iterations: int = 100,
    ) -> CRF:
        """Train on sentences with a label for every token; constants of the official code."""
        names = tuple(sorted({label for sentence in labels for label in sentence}))
        known = {name: row for row, name in enumerate(dict.fromkeys(f for s in sentences for t in s for f in t))}
        size, width = len(known) * len(names), len(names)
        ids, starts, places = _bags(sentences, known)
        gold = torch.zeros_like(places)
        for row, sentence in enumerate(labels):
            gold[row, : len(sentence)] = torch.tensor([names.index(label) for label in sentence])

        def unpacked(split: Tensor) -> tuple[Tensor, Tensor]:
            return split[:size].view(-1, width), split[size:].view(width, width)

        def loss(split: np.ndarray) -> tuple[float, np.ndarray]:
            plus, minus = torch.from_numpy(split).chunk(2)
            w = (plus - minus).requires_grad_()
            emit, move = unpacked(w)
            nll = negative_log_likelihood(_scores(emit, ids, starts, places), move, gold, places >= 0)
            smooth = nll + c2 * w.square().sum()
            (gradient,) = torch.autograd.grad(smooth, w)
            return smooth.item() + c1 * float(split.sum()), torch.cat([gradient + c1, c1 - gradient]).numpy()

        start = np.zeros(2 * (size + width * width))
        options: Any = {"maxiter": iterations, "ftol": 1e-6}  # CRFsuite: 1e-5 over ten iterations
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start), options=options)
        plus, minus = torch.from_numpy(found.x).chunk(2)
        return CRF(names, known, *unpacked(plus - minus))

    def predict(self, sentences: Sequence[Features]) -> list[list[str]]:
        """The likeliest labels of every sentence (Viterbi); features that training never saw say nothing."""
        scores = _scores(self.emit, *_bags(sentences, self.features))
        found = []
        for row, sentence in enumerate(sentences):
            best, back = scores[row, 0], []
            for place in range(1, len(sentence)):
                paths = best[:, None] + self.move
                back.append(paths.argmax(0))
                best = paths.amax(0) + scores[row, place]
            path = [int(best.argmax())]
            for step in reversed(back):
                path.append(int(step[path[-1]]))
            found.append([self.labels[label] for label in reversed(path)])
        return found


def negative_log_likelihood(scores: Tensor, move: Tensor, gold: Tensor, mask: Tensor) -> Tensor:
    """Summed over sentences; the forward algorithm in log space.

    Args:
        scores: Of each label at each place, [sentence, place, label].
        move: From one label to the next, [label, label].
        gold: Numbers of the right labels, [sentence, place].
        mask: False where a sentence has ended, [sentence, place].
    """
    own = scores.gather(2, gold[..., None]).squeeze(2)
    right = (own * mask).sum() + (move[gold[:, :-1], gold[:, 1:]] * mask[:, 1:]).sum()
    total = scores[:, 0]
    for place in range(1, scores.shape[1]):
        ahead = torch.logsumexp(total[:, :, None] + move, dim=1) + scores[:, place]
        total = torch.where(mask[:, place, None], ahead, total)
    return torch.logsumexp(total, dim=1).sum() - right


def _bags(sentences: Sequence[Features], known: dict[str, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Features of all tokens one after another, where each token's begin, and each sentence's tokens (-1 = none)."""
    ids: list[int] = []
    starts: list[int] = []
    places = torch.full((len(sentences), max(map(len, sentences))), -1)
    for row, sentence in enumerate(sentences):
        for place, features in enumerate(sentence):
            places[row, place] = len(starts)
            starts.append(len(ids))
            ids += [known[name] for name in dict.fromkeys(features) if name in known]
    return torch.tensor(ids, dtype=torch.long), torch.tensor(starts), places


def _scores(emit: Tensor, ids: Tensor, starts: Tensor, places: Tensor) -> Tensor:
    """[sentence, place, label]; 0 where there is no token."""
    bags = torch.nn.functional.embedding_bag(ids, emit, starts, mode="sum")
    return torch.where((places >= 0)[..., None], bags[places.clamp(min=0)], 0.0)
