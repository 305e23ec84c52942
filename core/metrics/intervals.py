"""Intervals of means and of differences of means, over seeds and units.

A measurement is a matrix of values, seeds x units (languages, items). Seeds and units are crossed: every seed sees
every unit, and both are samples of what could have been drawn. So the standard error of the mean comes from the
two-way analysis of variance,

    V = (MS_seeds + MS_units - MS_rest) / (seeds * units),

with Satterthwaite's degrees of freedom (Searle, Casella and McCulloch, *Variance Components*, 1992, section 4), and
the *shape* of the interval from the bootstrap that draws seeds and units independently (Owen, "The pigeonhole
bootstrap", Annals of Applied Statistics 2007). The bootstrap alone is not enough: with three seeds its percentiles
cover the truth far too rarely when seeds differ, and too often when they do not, because it counts the rest thrice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

Array = np.ndarray
RESAMPLES = 10_000
# Below this many independent values the bootstrap distribution is too coarse for a tail and t-quantiles are used.
FEW = 10
CHUNK = 4_000_000  # weights held in memory at once
_DRAWS = 20_000_000


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        estimate: The statistic on the data.
        low: Lower end; minus infinity when the data allow no interval.
        high: Upper end.
        method: How it was computed, for the page.
        standard_error: Of the estimate; NaN when the data allow none.
        level: Nominal coverage.
    """

    estimate: float
    low: float
    high: float
    method: str
    standard_error: float = math.nan
    level: float = 0.95

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


class Spread(NamedTuple):
    """Mean of a seeds x units matrix, its standard error and the degrees of freedom of that error."""

    mean: float
    error: float
    freedom: float


def standard_error(values: Sequence[float] | Array) -> float:
    """Standard error of the mean of independent values (n - 1); NaN for a single one."""
    array = np.asarray(values, dtype=float)
    return float(array.std(ddof=1) / math.sqrt(array.size)) if array.size > 1 else math.nan


def bootstrap_interval(
    values: Sequence[float] | Array,
    statistic: Callable[..., Any] = np.mean,
    n: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of a statistic of independent values.

    Bias-corrected and accelerated bootstrap (Efron 1987). For the mean of fewer than ten values a t-interval
    instead, and above 2,000 values the plain percentiles, from which the correction then no longer differs.

    Args:
        values: Shape [items].
        statistic: A function of a 1-D array; used vectorised when it takes `axis`.
        n: Number of resamples.
        level: Nominal coverage.
        seed: Seed of the resampling; the result is deterministic.

    Raises:
        ValueError: no value, or a value that is not finite.
    """
    array = finite(values, dimensions=1)
    estimate = float(statistic(array))
    if array.size == 1:
        return unknown(estimate, "one value: no interval", level)
    if np.ptp(array) == 0:
        return Interval(estimate, estimate, estimate, "all values are equal", 0.0, level)
    if statistic is np.mean and array.size < FEW:
        return t_interval(spread_of(array[None]), f"t over {array.size} values", level)
    method: Any = "BCa" if array.size <= 2000 else "percentile"
    result = stats.bootstrap(
        (array,),
        statistic,
        n_resamples=n,
        batch=max(1, CHUNK // array.size),
        confidence_level=level,
        method=method,
        rng=np.random.default_rng(seed),
    )
    low, high = map(float, result.confidence_interval)
    if not (math.isfinite(low) and math.isfinite(high)):  # a statistic that is constant over resamples
        low, high = map(float, np.quantile(result.bootstrap_distribution, tails(level)))
    error = float(result.standard_error)
    return Interval(estimate, low, high, f"bootstrap ({method}) over {array.size} values", error, level)


def difference_interval(
    treatment: Array,
    control: Array | float,
    *,
    paired: bool = True,
    n: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of mean(treatment) - mean(control).

    Args:
        treatment: Shape [seeds, units].
        control: The same shape, cell by cell the counterpart; or a number; or, with `paired=False`, any matrix.
        paired: False when the control's units are other objects.
        n: Number of resamples.
        level: Nominal coverage.
        seed: Seed of the resampling.

    Raises:
        ValueError: shapes that cannot be paired, an empty matrix, a value that is not finite.
    """
    left = finite(treatment, dimensions=2)
    rng = np.random.default_rng(seed)
    if paired or np.ndim(control) == 0:
        right = np.asarray(control, dtype=float)
        if right.ndim and right.shape != left.shape:
            raise ValueError(f"Cannot pair a treatment of shape {left.shape} with a control of shape {right.shape}.")
        return _scaled_bootstrap([finite(left - right, dimensions=2)], n, level, rng)
    return _scaled_bootstrap([left, -finite(control, dimensions=2)], n, level, rng)


def paired_bootstrap(
    treatment: Mapping[Any, Mapping[Any, float]] | Array,
    control: Mapping[Any, Mapping[Any, float]] | Array | float,
    n: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """:func:`difference_interval` over `{seed: {unit: value}}` dictionaries, paired by seed and unit.

    Only the seeds and units that both sides have are compared; arrays are taken as [seeds, units].

    Raises:
        ValueError: nothing in common.
    """
    if isinstance(treatment, Mapping):
        against = control if isinstance(control, Mapping) else treatment
        seeds = [key for key in treatment if key in against]
        units = (
            [
                unit
                for unit in treatment[seeds[0]]
                if all(unit in side[key] for side in (treatment, against) for key in seeds)
            ]
            if seeds
            else []
        )
        if not units:
            raise ValueError("Treatment and control have no seed and unit in common.")
        left = np.array([[treatment[key][unit] for unit in units] for key in seeds], dtype=float)
        if isinstance(control, Mapping):
            control = np.array([[control[key][unit] for unit in units] for key in seeds], dtype=float)
        treatment = left
    elif isinstance(control, Mapping):
        raise ValueError("Treatment is an array but control a dictionary: give both in the same form.")
    return difference_interval(np.atleast_2d(treatment), control, n=n, level=level, seed=seed)


def _scaled_bootstrap(matrices: Sequence[Array], n: int, level: float, rng: np.random.Generator) -> Interval:
    """Interval of the sum of the means of independent matrices [seeds, units]."""
    spreads = [spread_of(matrix) for matrix in matrices]
    variances = np.array([spread.error**2 for spread in spreads])
    total = float(variances.sum())
    freedom = total**2 / sum(v**2 / s.freedom for v, s in zip(variances, spreads, strict=True)) if total else math.inf
    spread = Spread(sum(s.mean for s in spreads), math.sqrt(total) if total == total else math.nan, freedom)
    shape = " and ".join(describe(matrix) for matrix in matrices)
    if math.isnan(spread.error):
        return unknown(spread.mean, "one value: no interval", level)
    if not spread.error:
        return Interval(spread.mean, spread.mean, spread.mean, f"all values are equal ({shape})", 0.0, level)
    if any(max(matrix.shape) < FEW for matrix in matrices):
        return t_interval(spread, f"t over {shape}", level)
    # Over thousands of units the mean is all but normal and fewer replicates show its shape as well.
    n = min(n, max(1000, _DRAWS // max(matrix.size for matrix in matrices)))
    replicates = np.sum([_replicate_means(matrix, n, rng) for matrix in matrices], axis=0) - spread.mean
    # The replicates give the shape (skewness); the scale comes from the standard error and its t-quantile.
    scale = spread.error * stats.t.isf((1 - level) / 2, freedom) / (replicates.std() * stats.norm.isf((1 - level) / 2))
    low, high = spread.mean + scale * np.quantile(replicates, tails(level))
    return Interval(spread.mean, float(low), float(high), f"bootstrap over {shape}", spread.error, level)


def describe(matrix: Array) -> str:
    """`3 seeds x 20 units`, as the page words it."""
    seeds, units = (
        f"{size} {name}{'s' if size > 1 else ''}" for size, name in zip(matrix.shape, ("seed", "unit"), strict=True)
    )
    if matrix.shape[1] == 1:
        return seeds
    return units if matrix.shape[0] == 1 else f"{seeds} x {units}"


def spread_of(matrix: Array) -> Spread:
    """Mean, standard error and degrees of freedom of a crossed two-way sample [seeds, units]."""
    seeds, units = matrix.shape
    mean = float(matrix.mean())
    if seeds == 1 or units == 1:
        return Spread(mean, standard_error(matrix.ravel()), matrix.size - 1 or math.nan)
    rows, columns = matrix.mean(axis=1), matrix.mean(axis=0)
    rest = matrix - rows[:, None] - columns[None] + mean
    squares = np.array(
        [units * rows.var(ddof=1), seeds * columns.var(ddof=1), (rest**2).sum() / ((seeds - 1) * (units - 1))]
    )
    freedoms = np.array([seeds - 1, units - 1, (seeds - 1) * (units - 1)])
    together = squares[0] + squares[1] - squares[2]
    # Either mean square alone estimates the variance when the other component is absent; never report less. Ties are
    # broken with a tolerance, so that rounding does not choose the degrees of freedom.
    largest = float(squares[:2].max())
    if together <= largest * (1 + 1e-9):
        freedom = float(freedoms[:2][squares[:2] >= largest * (1 - 1e-9)].min())
        return Spread(mean, math.sqrt(largest / matrix.size), freedom)
    freedom = together**2 / float((squares**2 / freedoms).sum())
    return Spread(mean, math.sqrt(together / matrix.size), freedom)


def _replicate_means(matrix: Array, n: int, rng: np.random.Generator) -> Array:
    """Means of n samples that draw seeds and units independently, with replacement. Shape [n]."""
    seeds, units = matrix.shape
    means = np.empty(n)
    step = max(1, CHUNK // (seeds + units))
    for start in range(0, n, step):
        size = min(step, n - start)
        rows, columns = resample_counts(seeds, size, rng), resample_counts(units, size, rng)
        means[start : start + size] = np.einsum("nu,nu->n", rows @ matrix, columns) / matrix.size
    return means


def resample_counts(size: int, n: int, rng: np.random.Generator) -> Array:
    """How often each of `size` things is drawn in n samples with replacement. Shape [n, size]."""
    if size == 1:
        return np.ones((n, 1))
    draws = rng.integers(0, size, (n, size)) + size * np.arange(n)[:, None]
    return np.bincount(draws.ravel(), minlength=n * size).reshape(n, size).astype(float)


def t_interval(spread: Spread, method: str, level: float) -> Interval:
    """Student's interval around the mean."""
    half = spread.error * float(stats.t.isf((1 - level) / 2, spread.freedom))
    return Interval(spread.mean, spread.mean - half, spread.mean + half, method, spread.error, level)


def unknown(estimate: float, method: str, level: float) -> Interval:
    """The interval of data that allow none: everything."""
    return Interval(estimate, -math.inf, math.inf, method, math.nan, level)


def tails(level: float) -> tuple[float, float]:
    """The two quantiles between which `level` of a distribution lies."""
    return (1 - level) / 2, (1 + level) / 2


def finite(values: Any, dimensions: int) -> Array:
    """`values` as a float array.

    Raises:
        ValueError: empty, another number of dimensions, or a value that is not finite.
    """
    array = np.asarray(values, dtype=float)
    if array.ndim != dimensions or array.size == 0:
        raise ValueError(f"Expected a non-empty array of {dimensions} dimension(s), got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{int((~np.isfinite(array)).sum())} of {array.size} values are not finite: drop those units.")
    return array
