"""Language neurons of three kinds, and alignment by preferences of a translation model (MAPO).

A neuron j of a feed-forward layer i is active at a token if its activation function gives more than 0; p_k is the share
of the tokens of language k at which it is. With q = p / sum(p), l languages and H = sum_{k <= l} 1/k,

    score = -sum_k q_k ln q_k / ln l - lambda max_k p_k / (H / l)                                              (1)

is low for neurons that are specific to few languages (first term) and active in them (second). The lowest one in a
hundred are kept. With tau the 95th percentile of all p and N the number of languages with p_k > tau, a kept neuron is

    language-specific (N = 1),   language-related (1 < N < l);   general neurons are all those with N = l,      (2)

and lambda is the largest at which no general neuron is kept. Switching neurons off sets what their activation function
gives to 0 at all tokens.

Alignment prefers, of a model's own answers y to a question, those from which a translation model is surer of its
English answers y', and of which the final number is right,

    r(y) = mean over y' of 1 / CE(y' | y),    y_w > y_l if r(y_w) > r(y_l) and y_w is right,                    (3)

and trains by DPO (Rafailov et al. 2023), L = - log sigma(beta [log pi/ref (y_w) - log pi/ref (y_l)]).          (4)

    p = activity(model, {"en": batches, "sw": batches})
    found = identify(p.shares)
    with switched_off(model, p, found.of(1, "related")): ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.errors import UserError
from core.models import activations

Kind = Literal["specific", "related", "general"]
"""Of one language: those with N = 1; these and all others with N < l; these and all with N = l."""
Selection = Literal["ours", "lape"]
Shares = Float[Tensor, "neurons languages"]
Places = Int[Tensor, " some"]
CrossEntropy = Callable[[Sequence[str], Sequence[str]], Sequence[float]]
"""(sources, targets) -> mean nats a token that a translation model gives each target."""


@dataclass(frozen=True)
class Activity:
    """How often each neuron is active."""

    shares: Shares  # p, in [0, 1]
    languages: tuple[str, ...]  # of the columns
    layers: Mapping[str, int]  # by path of the activation function, its number of neurons, one layer after another

    def places(self, neurons: Places) -> dict[str, list[int]]:
        """Some neurons as coordinates by path, layers without any left out."""
        some = torch.zeros(len(self.shares), dtype=torch.bool).index_fill(0, neurons, True)
        layers = zip(self.layers, some.split(list(self.layers.values())), strict=True)
        return {path: layer.nonzero().flatten().tolist() for path, layer in layers if layer.any()}


def activity(model: Any, texts: Mapping[str, Iterable[Mapping[str, Tensor]]]) -> Activity:
    """p of a model in evaluation mode, gated or not, dense or a mixture of experts; `texts` are batches by language,
    each with a mask `counted` of the tokens that are responses.

    Raises:
        UserError: Fewer than two languages, or nothing to count in one.
    """
    if len(texts) < 2:
        raise UserError(f"Languages are compared: give texts of at least two, not {len(texts)}.")
    paths, columns, sizes = activations.feed_forwards(model), [], dict[str, int]()
    for language, batches in texts.items():
        found = activations.tally(model, batches, paths, lambda given: given > 0)
        if not found.tokens:
            raise UserError(f"There is no token to count in {language!r}: give texts, or answers behind prompts.")
        columns.append(torch.cat([found.means[path] for path in paths]))
        sizes = {path: len(found.sums[path]) for path in paths}
    return Activity(torch.stack(columns, 1).float(), tuple(texts), sizes)


def switched_off(model: Any, measured: Activity, neurons: Places) -> AbstractContextManager[None]:
    """A context in which some neurons give 0 at all tokens."""
    return activations.silenced(model, measured.places(neurons))


# --- three kinds of neurons -------------------------------------------------------------------------------------------


def entropy(p: Shares) -> Float[Tensor, " neurons"]:
    """Of a neuron over languages, in [0, 1]; what is never active counts as active everywhere alike."""
    total = p.sum(1, keepdim=True)
    q = torch.where(total > 0, p / total, torch.full_like(p, 1 / p.shape[1])).clamp_min(1e-12)
    q = q / q.sum(1, keepdim=True)
    return -(q * (q + 1e-30).log()).sum(1) / math.log(p.shape[1])


def scores(p: Shares, weight: float) -> Float[Tensor, " neurons"]:
    """Equation 1 as the official code has it. The text leaves out ln l and H / l: its lambda is ours times ln l l / H,
    and its scores are ours times ln l."""
    languages = p.shape[1]
    expected = sum(1 / k for k in range(1, languages + 1)) / languages  # of a largest share among l that sum to 1
    return entropy(p) - weight * p.max(1).values / expected


def threshold(p: Shares, bar: float = 0.95) -> float:
    """tau: the share that a part `bar` of all shares do not exceed."""
    return float(p.flatten().kthvalue(max(1, round(p.numel() * bar))).values)


def select(p: Shares, weight: float, rate: float = 0.01) -> Places:
    """The neurons with the lowest scores, a part `rate` of all."""
    return scores(p, weight).topk(round(len(p) * rate), largest=False).indices


def select_lape(p: Shares, tau: float, rate: float = 0.01) -> Places:
    """Those of Tang et al. (2024): lowest entropy among neurons that are active (p > tau) in some language."""
    lowest = entropy(p).masked_fill(~(p > tau).any(1), math.inf).topk(round(len(p) * rate), largest=False)
    return lowest.indices[lowest.values.isfinite()]


def search(p: Shares, tau: float, rate: float = 0.01, highest: float = 0.2) -> float:
    """lambda: the largest, to a thousandth, at which no neuron that is kept is general. The official search ends at
    `highest`; where no general neuron is kept there though there are some, ours goes on, 2^10 times as far at most."""
    general = (p > tau).all(1)

    def clean(weight: float) -> bool:
        return not general[select(p, weight, rate)].any()

    if not clean(0.0):
        raise UserError("General neurons are kept even with lambda = 0: keep fewer, or raise the bar.")
    low, high, furthest = 0.0, highest, highest * 2**10 if general.any() else highest
    while clean(high):
        if high >= furthest:
            return high
        low, high = high, 2 * high
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if clean(middle) else (low, middle)
    return low


@dataclass(frozen=True)
class Neurons:
    """What was found."""

    chosen: Places  # the neurons that were kept
    active: Bool[Tensor, "neurons languages"]  # of the whole model: p > tau
    tau: float
    weight: float  # lambda; nan where it has no part

    @property
    def general(self) -> Places:
        """All neurons that are active in all languages; of those that were kept there are none."""
        return self.active.all(1).nonzero().flatten()

    def of(self, language: int, kind: Kind) -> Places:
        """What belongs to the language in a column."""
        mine = self.chosen[self.active[self.chosen, language]].sort().values
        number = self.active[mine].sum(1)
        if kind == "specific":
            return mine[number == 1]
        related = mine[number < self.active.shape[1]]
        return torch.cat([related, self.general]).unique() if kind == "general" else related


def identify(
    p: Shares, *, rate: float = 0.01, bar: float = 0.95, selection: Selection = "ours", like: Neurons | None = None
) -> Neurons:
    """Everything from shares to kinds; after alignment with lambda and tau of what was found before it (`like`).

    Raises:
        UserError: The part is less than one neuron, or as of :func:`search`.
    """
    if round(len(p) * rate) < 1:
        raise UserError(f"A rate of {rate:g} keeps none of {len(p)} neurons: keep more.")
    tau = like.tau if like else threshold(p, bar)
    if selection == "lape":
        return Neurons(select_lape(p, tau, rate), p > tau, tau, math.nan)
    weight = like.weight if like else search(p, tau, rate)
    return Neurons(select(p, weight, rate), p > tau, tau, weight)


# --- alignment --------------------------------------------------------------------------------------------------------


def rewards(answers: Sequence[str], english: Sequence[str], ce: CrossEntropy) -> list[float]:
    """r(y) of the answers to one question (equation 3), as the official code has it: the answer is the source, and what
    was answered in English is the target."""
    sources = [answer for answer in answers for _ in english]
    values = iter(ce(sources, [target for _ in answers for target in english]))
    return [sum(1 / next(values) for _ in english) / len(english) for _ in answers]


def preferences(answers: Sequence[str], reward: Sequence[float], right: Sequence[bool]) -> list[tuple[str, str]]:
    """All pairs of a better and a worse answer to one question: the better one has the higher reward and the right
    number; the worse one may have it too."""
    order = sorted(range(len(answers)), key=lambda i: -reward[i])
    return [
        (answers[i], answers[j])
        for i, j in combinations(order, 2)
        if right[i] and reward[i] != reward[j] and answers[i] != answers[j]
    ]
