"""Between pretraining and fine-tuning: restore sentences in which words of the other language stand.

A multilingual sequence-to-sequence model has learnt to denoise single languages, and is to be fine-tuned on pairs
(x, y). Code-switching restore (CSR, Zan et al. 2022) puts a short stage in between, on the same pairs but not as pairs.
From a sentence u of either side, in language l, words are replaced by entries of an unsupervised lexicon (stage 0,
lexicon.py):

    n        = ceil(p |words of u|)                                what is to be replaced
    lengths  ~ Poisson(lambda), until they sum to n, the last one cut;  spans start at random words          (1)
    g(u)_i   = a random one of the k entries of u_i, for each subword of a span that has some                (2)
               and for each span of length 0 a mask is put in somewhere

    L_CSR    = - sum_t log P(u_t | u_<t, g(u), l)                  label smoothed                            (3)
    L_FT     = - sum_t log P(y_t | y_<t, x, l_y)                   then fine-tuning, core/training/seq2seq.py (4)

The encoder reads g(u) with the tag of l, and the decoder begins with it: what is restored stays in one language, and to
restore it the model has to know which foreign words mean the same. Sentences of a batch are taken from the two sides in
turn. With `lexicon=None` a span becomes one mask: denoising as in pretraining, on the data of the task.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from core.experiment.run import Run
from core.training.config import TrainingConfig
from core.training.fit import FitResult, fit
from core.training.seq2seq import collate, sequence_loss

Table = Int[np.ndarray, "vocabulary k"]
"""Entries of each id in the other language, first ones first; -1 = none."""


@dataclass(frozen=True)
class CodeSwitchNoiser:
    """g(u): ids of a sentence without special tokens -> its noised ids, the same for the same state of `rng`.

    Attributes:
        lexicon: Entries by id; None puts a mask in place of every span.
        starts: Which ids begin a word.
        mask: Id of the mask token; None where there is none, and nothing is put in.
        p: Share of the words to replace; as spans overlap and are cut at the end, about .31 of them are.
        lam: Mean length of a span, in words.
    """

    lexicon: Table | None
    starts: Bool[np.ndarray, " vocabulary"]
    mask: int | None
    p: float = 0.35
    lam: float = 3.5

    def __call__(self, ids: Sequence[int], rng: np.random.Generator) -> list[int]:
        """Noise one sentence."""
        u = np.asarray(ids, dtype=np.int64)
        words = np.flatnonzero(self.starts[u])
        if not len(words):
            return u.tolist()
        lengths = span_lengths(math.ceil(self.p * len(words)), self.lam, rng)
        spans = [length for length in lengths if length]
        ends = np.append(words, len(u))
        inside = np.zeros(len(u), bool)
        for first, length in zip(rng.permutation(len(words)), spans, strict=False):
            inside[words[first] : ends[min(first + length, len(words))]] = True
        noised = self._masked(u, inside) if self.lexicon is None else self._switched(u, inside, rng)
        if self.mask is None:
            return noised.tolist()
        inserts = len(lengths) - len(spans)
        # Anywhere but before the first subword, as in the official code.
        places = rng.permutation(len(noised) + inserts - 1)[:inserts] + 1
        found = np.full(len(noised) + inserts, self.mask)
        found[np.isin(np.arange(len(found)), places, invert=True)] = noised
        return found.tolist()

    def _switched(self, u: np.ndarray, inside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        assert self.lexicon is not None
        entries = self.lexicon[u]
        known = (entries >= 0).sum(1)
        drawn = entries[np.arange(len(u)), (rng.random(len(u)) * known).astype(int)]
        return np.where(inside & (known > 0), drawn, u)

    def _masked(self, u: np.ndarray, inside: np.ndarray) -> np.ndarray:
        assert self.mask is not None
        follows = inside & np.append(False, inside[:-1])
        return np.where(inside, self.mask, u)[~follows]


def span_lengths(budget: int, lam: float, rng: np.random.Generator) -> list[int]:
    """Lengths of (1), which sum to `budget`; those of 0 are insertions."""
    lengths: list[int] = []
    while sum(lengths) < budget:
        lengths.append(int(rng.poisson(lam)))
    lengths[-1] -= sum(lengths) - budget
    return lengths


class Side(NamedTuple):
    """A sentence as the encoder reads it and as the decoder writes it, with the special tokens of its language.

    `start` and `end` bound its own subwords in `read`; `direction` is its language and that of the other side.
    """

    read: list[int]
    written: list[int]
    start: int
    end: int
    direction: tuple[str, str]

    def noised(self, noiser: CodeSwitchNoiser, rng: np.random.Generator) -> list[int]:
        """What the encoder reads instead: noise among its own subwords."""
        own = noiser(self.read[self.start : self.end], rng)
        return [*self.read[: self.start], *own, *self.read[self.end :]]


Pair = tuple[Side, Side]
Noisers = Mapping[tuple[str, str], CodeSwitchNoiser]
"""By language of the sentence and of what is put into it."""


def csr_batch(rows: Sequence[Pair], rng: np.random.Generator, *, noisers: Noisers, pad: int) -> dict[str, Tensor]:
    """A batch of stage 1: the sentences of the two sides in turn, noised, and what they were.

    An odd number of rows begins with either side: a batch of one would never restore the second.
    """
    first = int(rng.integers(2)) if len(rows) % 2 else 0
    sides = [row[(place + first) % 2] for place, row in enumerate(rows)]
    noised = [{"input_ids": side.noised(noisers[side.direction], rng), "labels": side.written} for side in sides]
    return collate(noised, pad=pad)


def restore(
    model: nn.Module, rows: Sequence[Pair], noisers: Noisers, settings: TrainingConfig, run: Run, seed: int,
    *, pad: int, smoothing: float = 0.2, name: str = "restore",
) -> FitResult:  # fmt: skip
    """Stage 1: train the model, in place, to restore the noised sentences of both sides, by (3).

    mBART's decoder begins with the last label, the tag of the language that it writes.
    """
    batches, loss = partial(csr_batch, noisers=noisers, pad=pad), partial(sequence_loss, smoothing=smoothing)
    return fit(model, rows, settings, run, collate=batches, loss_fn=loss, seed=seed, name=name)


def distances(x: Float[Tensor, "sentence width"], y: Float[Tensor, "sentence width"]) -> Float[Tensor, " sentence"]:
    """Euclidean distance of each sentence from its translation."""
    return (x - y).norm(dim=1)


def spread(x: Float[Tensor, "sentence width"], y: Float[Tensor, "sentence width"]) -> Tensor:
    """Mean distance of sentences of one language, of the two: where distances are as large, a translation is as far as
    any other sentence. Among n sentences there are n^2 / 2 distances, held at once."""
    return (torch.pdist(x).mean() + torch.pdist(y).mean()) / 2
