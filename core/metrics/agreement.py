"""Do two raters, two rankings, two graders agree, and how sure is that?

    kappa(first, second)                                     # two annotators' labels, beyond chance
    kendall(scores, ratings), kendall_w(rankings)            # rank agreement of two, of many
    rank_interval(.68, 30)                                   # (.39, .85): what thirty models can tell
    fisher_mean([.85, .72, .96])                             # correlations are averaged on Fisher's scale
    mcnemar(b, c)                                            # two graders on the same rows
    bootstrap(lambda rows: spearman(x[rows], y[rows]), 30)   # percentile interval of any statistic over units

Pearson's and Spearman's correlations with intervals over seeds and units are in :mod:`core.metrics.correlations`;
Steiger's Z for two correlations with the same variable is in :mod:`core.metrics.stats`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from core.metrics.classification import check_lengths
from core.metrics.intervals import LEVEL, Array, Interval, finite
from core.metrics.stats import Test

_EXACT = 25  # discordant pairs; with fewer, the chi-square approximation of McNemar's test is poor


def percent_agreement(first: Sequence[Any], second: Sequence[Any]) -> float:
    """Share of items that two raters label alike, in [0, 1].

    Raises:
        ValueError: unequal numbers, or none.
    """
    check_lengths(first, second)
    return sum(a == b for a, b in zip(first, second, strict=True)) / len(first)


def kappa(first: Sequence[Any], second: Sequence[Any]) -> float:
    """Cohen's kappa (1960): agreement beyond chance, at most 1; NaN where both raters use a single, common label.

    Raises:
        ValueError: unequal numbers, or none.
    """
    observed = percent_agreement(first, second)
    labels = {*first, *second}
    chance = sum(list(first).count(label) * list(second).count(label) for label in labels) / len(first) ** 2
    return (observed - chance) / (1 - chance) if chance < 1 else math.nan


def kendall(x: Sequence[float] | Array, y: Sequence[float] | Array) -> float:
    """Kendall's tau-b over units, which allows for ties; NaN when either side is constant."""
    return float(stats.kendalltau(finite(x, dimensions=1), finite(y, dimensions=1)).statistic)


def kendall_w(ratings: Sequence[Sequence[float]] | Array) -> float:
    """Kendall's coefficient of concordance, in [0, 1], corrected for ties.

    W = 12 S / (m^2 (n^3 - n) - m T), with S the sum of squared deviations of the n rank sums and T the sum of t^3 - t
    over each rater's groups of t tied units.

    Args:
        ratings: Shape [raters, units].

    Raises:
        ValueError: fewer than two raters or units, or every rater ties all units.
    """
    values = finite(ratings, dimensions=2)
    raters, units = values.shape
    if raters < 2 or units < 2:
        raise ValueError(f"Concordance needs at least two raters and two units, got {raters} and {units}.")
    ranks = stats.rankdata(values, axis=1)
    tied = sum(float((count**3 - count).sum()) for row in values for _, count in [np.unique(row, return_counts=True)])
    most = raters**2 * (units**3 - units) - raters * tied
    if not most:
        raise ValueError("Every rater ties all units: there is no order to agree on.")
    sums = ranks.sum(axis=0)
    return float(12 * ((sums - sums.mean()) ** 2).sum() / most)


def rank_interval(rho: float, units: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval of Spearman's rho from its value alone, tanh(atanh rho ± z sqrt((1 + rho²/2) / (n - 3))).

    Bonett and Wright (Psychometrika 2000). For published correlations whose data are not at hand.

    Raises:
        ValueError: rho not inside (-1, 1), or fewer than four units.
    """
    if not -1 < rho < 1 or units <= 3:
        raise ValueError(f"An interval of rho needs -1 < rho < 1 and at least four units, got {rho} and {units}.")
    half = stats.norm.ppf((1 + level) / 2) * math.sqrt((1 + rho**2 / 2) / (units - 3))
    return math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half)


def fisher_mean(correlations: Sequence[float]) -> float:
    """Mean of correlations on Fisher's scale, tanh of the mean of atanh.

    Raises:
        ValueError: none, or one not inside (-1, 1).
    """
    values = finite(correlations, dimensions=1)
    if np.abs(values).max() >= 1:
        raise ValueError("Correlations of -1 or 1 have no mean on Fisher's scale.")
    return float(np.tanh(np.arctanh(values).mean()))


def mcnemar(first_only: int, second_only: int) -> Test:
    """Are two graders right equally often on the same rows? Two-sided, from the discordant rows alone.

    chi² = (|b - c| - 1)² / (b + c) with one degree of freedom; exact (binomial) below 25 discordant rows, where the
    statistic is min(b, c).

    Args:
        first_only: Rows that only the first is right on.
        second_only: Rows that only the second is right on.

    Raises:
        ValueError: a negative number.
    """
    if min(first_only, second_only) < 0:
        raise ValueError(f"Numbers of rows cannot be negative, got {first_only} and {second_only}.")
    discordant = first_only + second_only
    if discordant < _EXACT:
        least = min(first_only, second_only)
        return Test(float(least), float(min(1.0, 2 * stats.binom.cdf(least, discordant, 0.5))))
    # Equal numbers are no evidence: the correction must not make some.
    statistic = max(0, abs(first_only - second_only) - 1) ** 2 / discordant
    return Test(statistic, float(stats.chi2.sf(statistic, 1)))


def bootstrap(
    statistic: Callable[[Array], float], units: int, draws: int = 10_000, seed: int = 0, level: float = LEVEL
) -> Interval:
    """Percentile interval of any statistic over units that are drawn with replacement.

    For instruments that are used once, on one set of units. A claim has seeds, and its interval is
    :mod:`core.metrics.intervals`'.

    Args:
        statistic: From the rows that were drawn, an integer array of shape [units], to a number; NaN where a draw has
            none (all rows alike), which is left out.
        units: Number of units.
        draws: Number of draws.
        seed: Of the draws.
        level: Nominal coverage.

    Raises:
        ValueError: fewer than two units, or more than a tenth of the draws without a value.
    """
    if units < 2:
        raise ValueError(f"A bootstrap needs at least two units, got {units}.")
    generator = np.random.default_rng(seed)
    values = np.array([statistic(generator.integers(0, units, units)) for _ in range(draws)], dtype=float)
    known = values[~np.isnan(values)]
    if known.size < 0.9 * draws:
        raise ValueError(f"The statistic has no value in {draws - known.size} of {draws} draws of {units} units.")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    method = f"percentile bootstrap over {units} units, {draws} draws"
    return Interval(float(statistic(np.arange(units))), float(low), float(high), method, float(known.std()), level)
