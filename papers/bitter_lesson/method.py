"""Which benchmarks rank models as people do?

People compare two answers and vote. Votes give each model a rating (1), a benchmark gives it a score, and the
benchmark *agrees* with people where the two put the models into the same order (2). Models are what is drawn: thirty of
them say how sure that is, and no number of items makes it surer. Beside each correlation stand the order that costs
nothing, such as that of parameter counts (the floor), and the best that any score could do against ratings that are
themselves uncertain (the ceiling, 3). A benchmark written in the language and one that was translated into it are
compared on the same models and ratings, so that the two correlations depend on each other (4).

    ratings = fit_ratings(votes)                       # {"a": 102.7, "b": 25.9, ...}
    agreement([70, 55, 61, ...], [102.7, 25.9, ...])   # rho, tau, intervals
    compare_benchmarks(localized, translated, ratings) # the difference, or "cannot tell"
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from core.metrics.agreement import rank_interval
from core.metrics.intervals import Array
from core.metrics.stats import spearman, steiger_z

SLOPE = math.log(10) / 400  # of the logistic curve, a point of rating; the scale of chess
Verdict = Literal["first", "second", "cannot tell"]


class Battle(NamedTuple):
    """Two models' answers to one prompt, and the vote: 1 for the first, 0 for the second, 0.5 for a tie."""

    first: str
    second: str
    won: float


# --- ratings ------------------------------------------------------------------------------------------------------


def fit_ratings(battles: Sequence[Battle], weights: Array | None = None, ridge: float = 1e-6) -> dict[str, float]:
    """Bradley-Terry ratings of maximum likelihood, mean 0 (equation 1).

    Args:
        battles: Votes; a tie is half a win of each.
        weights: How often each vote counts, [battles]; a bootstrap draws them.
        ridge: On the strengths in nats, which keeps one that never lost finite.
    """
    names = sorted({name for battle in battles for name in (battle.first, battle.second)})
    place = {name: number for number, name in enumerate(names)}
    wins = np.zeros((len(names), len(names)))
    for battle, weight in zip(battles, np.ones(len(battles)) if weights is None else weights, strict=True):
        one, other = place[battle.first], place[battle.second]
        wins[one, other] += weight * battle.won
        wins[other, one] += weight * (1 - battle.won)
    played, strength = wins + wins.T, np.zeros(len(names))
    for _ in range(100):  # Newton's steps, of at most e a strength
        expected = played / (1 + np.exp(strength[None, :] - strength[:, None]))
        slope = (wins - expected).sum(1) - ridge * strength
        spread = expected * (1 - np.divide(expected, played, out=np.zeros_like(wins), where=played > 0))
        curvature = np.diag(spread.sum(1) + ridge) - spread
        step = np.linalg.solve(curvature, slope)
        strength = strength + step / max(1.0, np.abs(step).max())
        if np.abs(step).max() < 1e-9:
            break
    return dict(zip(names, ((strength - strength.mean()) / SLOPE).tolist(), strict=True))


def elo(battles: Sequence[Battle], k: float = 4.0) -> dict[str, float]:
    """Online Elo ratings, which depend on the order of the votes (the ablation)."""
    ratings = dict.fromkeys(sorted({name for battle in battles for name in battle[:2]}), 0.0)
    for first, second, won in battles:
        surprise = k * (won - 1 / (1 + math.exp(SLOPE * (ratings[second] - ratings[first]))))
        ratings[first] += surprise
        ratings[second] -= surprise
    return ratings


def reliability(battles: Sequence[Battle], seed: int = 0) -> float:
    """What share of the ratings' order is no accident of who voted: Spearman-Brown of two random halves (equation 3).

    The square root is the ceiling: a score that knew every model's true strength would have this rho. NaN where the
    halves have fewer than three models in common.
    """
    order = np.random.default_rng(seed).permutation(len(battles))
    halves = [fit_ratings([battles[place] for place in half]) for half in (order[::2], order[1::2])]
    common = sorted(set(halves[0]) & set(halves[1]))
    r = spearman(*([half[name] for name in common] for half in halves)) if len(common) > 2 else math.nan
    return 2 * r / (1 + r) if r > 0 else 0.0 if r <= 0 else r


# --- agreement ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Agreement:
    """How far a benchmark orders models as people do; `low`, `high` from drawing models, `formula` from rho alone."""

    n: int
    rho: float
    tau: float
    low: float
    high: float
    formula: tuple[float, float]


def rank_correlations(x: Array, y: Array) -> Array:
    """Spearman's rho along the last axis, ties at their mean rank (equation 2); NaN where a side is constant."""
    ranks = [stats.rankdata(side, axis=-1) for side in (x, y)]
    u, v = (side - side.mean(-1, keepdims=True) for side in ranks)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (u * v).sum(-1) / np.sqrt((u**2).sum(-1) * (v**2).sum(-1))


def agreement(scores: Sequence[float], ratings: Sequence[float], draws: int = 10_000, seed: int = 0) -> Agreement:
    """A benchmark's agreement with people, over models.

    Args:
        scores: One a model.
        ratings: Of the same models, in the same language.
        draws: Of models, with replacement, for the percentile interval.
        seed: Of the draws.
    """
    x, y = np.asarray(scores, float), np.asarray(ratings, float)
    rho = float(rank_correlations(x, y))
    rows = np.random.default_rng(seed).integers(0, len(x), (draws, len(x)))
    low, high = np.nanquantile(rank_correlations(x[rows], y[rows]), (0.025, 0.975))
    formula = rank_interval(min(max(rho, -1 + 1e-9), 1 - 1e-9), len(x))
    return Agreement(len(x), rho, float(stats.kendalltau(x, y).statistic), float(low), float(high), formula)


# --- localized against translated ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """Two benchmarks against the same ratings.

    Attributes:
        first: Rho of the first.
        second: Rho of the second.
        between: Rho between the two benchmarks.
        low: Of first - second, drawing models whole (both scores and the rating together).
        high: Its other end.
        z: Steiger's Z of the same difference.
        p: Two-sided.
        needed: Models that would show this difference four times in five, if these were the true correlations.
    """

    first: float
    second: float
    between: float
    low: float
    high: float
    z: float
    p: float
    needed: float

    def verdict(self, p: float | None = None) -> Verdict:
        """Which agrees more; unless the interval *and* Steiger's test say so, nobody knows (`p`: adjusted by Holm)."""
        if (self.p if p is None else p) >= 0.05 or self.low <= 0 <= self.high:
            return "cannot tell"
        return "first" if self.low > 0 else "second"


def compare_benchmarks(
    first: Sequence[float], second: Sequence[float], ratings: Sequence[float], draws: int = 10_000, seed: int = 0
) -> Compared:
    """Does one benchmark agree more with people than another (equation 4)?"""
    x, other, y = (np.asarray(values, float) for values in (first, second, ratings))
    r1, r2, r12 = (float(rank_correlations(*pair)) for pair in ((x, y), (other, y), (x, other)))
    rows = np.random.default_rng(seed).integers(0, len(x), (draws, len(x)))
    differences = rank_correlations(x[rows], y[rows]) - rank_correlations(other[rows], y[rows])
    low, high = np.nanquantile(differences, (0.025, 0.975))
    try:
        z, p = steiger_z(r1, r2, r12, len(x))
    except ValueError:  # a perfect correlation has no Fisher's z
        z, p = math.nan, 1.0
    return Compared(r1, r2, r12, float(low), float(high), z, p, required_models(r1, r2, r12))


def required_models(r1: float, r2: float, r12: float, power: float = 0.8) -> float:
    """How many models Steiger's test needs to tell two correlations apart with this probability (infinity: never)."""
    try:
        a_model = abs(steiger_z(r1, r2, r12, 4).statistic)  # Z grows with sqrt(n - 3)
    except ValueError:
        return math.nan
    wanted = stats.norm.ppf(0.975) + stats.norm.ppf(power)
    return math.ceil(3 + (wanted / a_model) ** 2) if a_model > 0 else math.inf
