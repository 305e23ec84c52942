"""From measurements to the outcome of a claim, and the tests beside it.

    found = compare(treatment, control)      # {seed: {path: value}} of both
    outcome(found.interval, m=0.1)           # reproduced, smaller than claimed, absent, undecided or contradicted

Intervals live in :mod:`core.metrics.intervals`, :mod:`core.metrics.comparison` and :mod:`core.metrics.correlations` and
are also names of this module.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats as _stats

from core.metrics.comparison import Comparison, Sample, compare, compare_correlations
from core.metrics.correlations import (
    correlation_difference_interval,
    correlation_interval,
    mean_correlation,
    pearson,
    spearman,
)
from core.metrics.intervals import (
    Interval,
    Needed,
    Spread,
    difference_interval,
    finite,
    half_width,
    seeds_needed,
    standard_error,
)

__all__ = [
    "Better",
    "Comparison",
    "Interval",
    "Needed",
    "Outcome",
    "Sample",
    "Spread",
    "Test",
    "compare",
    "compare_correlations",
    "correlation_difference_interval",
    "correlation_interval",
    "difference_interval",
    "half_width",
    "holm",
    "mean_correlation",
    "outcome",
    "pearson",
    "permutation_test",
    "seeds_needed",
    "spearman",
    "standard_error",
    "steiger_z",
]

Better = Literal["higher", "lower", "equal"]
Outcome = Literal["reproduced", "smaller than claimed", "absent", "undecided", "contradicted"]
Alternative = Literal["two-sided", "greater", "less"]


class Test(NamedTuple):
    """A test statistic and its p-value."""

    statistic: float
    p: float


def outcome(
    interval: Interval | tuple[float, float],
    m: float = 0.0,
    s: float = 0.0,
    noninferiority: bool = False,
    direction: Better = "higher",
) -> Outcome:
    """What became of a claim, from the interval of the difference treatment minus control.

    The first row that holds decides (`lower` mirrors the interval, so that a positive difference is the claimed one):

    | outcome | `higher`, `lower` | with `noninferiority` | `equal` |
    |---|---|---|---|
    | reproduced | low > m | low > -m | inside ±m |
    | smaller than claimed | low > 0 | | |
    | contradicted | high < 0 | high < -m | wholly outside ±m |
    | absent | inside ±s, where s > 0 | | |
    | undecided | otherwise | otherwise | otherwise |

    The sign comes before the size, on both sides alike: an effect that is surely positive is real even where nobody
    would care about it, one that is surely negative contradicts, and the page shows how small they are. So what is
    absent or undecided covers zero.

    Args:
        interval: Of treatment minus control as measured, whatever the direction.
        m: The size that the claim states, at least 0: what must be exceeded, the loss that `noninferiority` allows, or
            the half-width of `equal`.
        s: The smallest effect that anyone would care about; 0 leaves `absent` out.
        noninferiority: A "keeps X" claim.
        direction: `higher` and `lower` name the claimed sign of the difference; `equal` claims equivalence.

    Raises:
        ValueError: a negative size, or `noninferiority` together with `equal`.
    """
    low, high = (interval.low, interval.high) if isinstance(interval, Interval) else interval
    if m < 0 or s < 0:
        raise ValueError(f"Sizes are at least 0, got m={m}, s={s}.")
    if direction == "equal":
        if noninferiority:
            raise ValueError("A claim is either of equivalence or of non-inferiority.")
        if -m <= low and high <= m:
            return "reproduced"
        return "contradicted" if low > m or high < -m else "undecided"
    if direction == "lower":
        low, high = -high, -low
    threshold = -m if noninferiority else m
    if low > threshold:
        return "reproduced"
    if noninferiority:
        return "contradicted" if high < threshold else "undecided"
    if low > 0:
        return "smaller than claimed"
    if high < 0:
        return "contradicted"
    return "absent" if s > 0 and -s <= low and high <= s else "undecided"


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment: reject where the adjusted p lies below the family-wise error rate.

    Args:
        p_values: Shape [tests], each in [0, 1].

    Returns:
        Adjusted p-values, shape [tests], in the order given (Holm 1979).

    Raises:
        ValueError: a value outside [0, 1].
    """
    p = finite(p_values, dimensions=1)
    if p.min() < 0 or p.max() > 1:
        raise ValueError("p-values must lie in [0, 1].")
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    result = np.empty_like(p)
    result[order] = np.minimum(adjusted, 1.0)
    return result


def steiger_z(r12: float, r13: float, r23: float, n: int) -> Test:
    """Do two correlations with the same variable differ? Steiger's Z, two-sided.

    Steiger (Psychological Bulletin 1980, equations 3, 10 and 14 with the pooled correlation): with r = (r12 + r13)/2,
    psi = r23 (1 - 2r^2) - r^2 (1 - 2r^2 - r23^2)/2 and s = psi / (1 - r^2)^2,
    Z = (atanh r12 - atanh r13) sqrt(n - 3) / sqrt(2 - 2s).

    Args:
        r12: Correlation of the shared variable 1 with variable 2.
        r13: Correlation of the shared variable 1 with variable 3.
        r23: Correlation of the two variables that are compared.
        n: Number of units, more than 3.

    Raises:
        ValueError: a correlation not inside (-1, 1), or too few units.
    """
    if not all(-1 < r < 1 for r in (r12, r13, r23)) or n <= 3:
        raise ValueError(f"Steiger's Z needs correlations inside (-1, 1) and n > 3, got {r12}, {r13}, {r23}, n={n}.")
    mean = (r12 + r13) / 2
    psi = r23 * (1 - 2 * mean**2) - mean**2 * (1 - 2 * mean**2 - r23**2) / 2
    covariance = psi / (1 - mean**2) ** 2
    if covariance >= 1:
        raise ValueError(f"Correlations {r12}, {r13}, {r23} cannot belong to three variables.")
    z = (math.atanh(r12) - math.atanh(r13)) * math.sqrt(n - 3) / math.sqrt(2 - 2 * covariance)
    return Test(z, float(2 * _stats.norm.sf(abs(z))))


def permutation_test(
    x: Sequence[float] | np.ndarray,
    y: Sequence[float] | np.ndarray,
    n: int = 10_000,
    seed: int = 0,
    alternative: Alternative = "two-sided",
) -> Test:
    """Do the means of two independent samples differ? Labels are permuted (exactly, where there are few)."""
    result = _stats.permutation_test(
        (finite(x, dimensions=1), finite(y, dimensions=1)),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        vectorized=True,
        n_resamples=n,
        alternative=alternative,
        rng=np.random.default_rng(seed),
    )
    return Test(float(result.statistic), float(result.pvalue))
