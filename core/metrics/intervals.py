"""Intervals of means and of differences of means over seeds and units, and what a pilot says about their width.

A measurement is a matrix of values, seeds x units (languages, items). Seeds and units are crossed: every seed sees
every unit, and both are samples of what could have been drawn. So the variance of the mean comes from the two-way
analysis of variance (Searle, Casella and McCulloch, *Variance Components*, 1992, section 4),

    V = (MS_seeds + MS_units - MS_rest) / (seeds * units),

and never less than either mean square alone says. The quantile is that of Student's t, weighted between seeds - 1 and
units - 1 degrees of freedom by what the seeds contribute to V (Cochran and Cox, *Experimental Designs*, 1950):

    t = w t(seeds - 1) + (1 - w) t(units - 1),    w = MS_seeds / (seeds * units * V), at most 1.

Satterthwaite's degrees of freedom give intervals that are a tenth narrower with three seeds, and a null effect then
comes out as positive in up to 4 % instead of 2.5 %: the mean square of three seeds is often small by chance, and the
degrees of freedom rise just when it is. A bootstrap of seeds and units covers no better, for skewed effects either.

Units may share what is below them: the same forty items in every language. An item that gains from the treatment in one
language then gains in all, which a matrix of seeds x languages does not show. The same values as seeds x items do, and

    V = V(seeds, units) + V(seeds, leaves) - V(seeds)

counts each once. Without it an interval over twenty languages covers as little as a third of the time.

Values that are 0 or 1 have a second bound. Forty items that all come out alike do not prove that the forty-first would:
the standard error is at least that of the same leaves with pseudo-observations (:func:`leaf_error`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from core.errors import UserError

Array = np.ndarray
Layouts = tuple[Array, ...]
LEVEL = 0.95
_NOISE = 1e-12  # relative; a spread below it is rounding
_DRAWS = 4000


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
    level: float = LEVEL

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __format__(self, spec: str) -> str:
        """`f"{interval:+.2f}"` is `+0.12 [+0.05, +0.19]`, or the estimate alone where there are no ends."""
        if not spec:
            return str(self)
        ends = "" if math.isnan(self.low) else f" [{self.low:{spec}}, {self.high:{spec}}]"
        return f"{self.estimate:{spec}}{ends}"


class Spread(NamedTuple):
    """Variances of one value: what a pilot says about the width of the interval to come.

    Attributes:
        seeds: Between seeds; NaN where the pilot has one seed.
        units: Between units (languages, items).
        rest: Of a unit within a seed, beyond both.
        nested: Every seed has its own units, so `units` is 0.
        shared: Variance of the mean (not of one value) from leaves that all units share; seeds and units do not
            lessen it.
    """

    seeds: float
    units: float
    rest: float
    nested: bool = False
    shared: float = 0.0


class Needed(NamedTuple):
    """The smallest number of seeds, and of units in each, that bring the half-width under an effect."""

    seeds: int
    units: int


def standard_error(values: Sequence[float] | Array) -> float:
    """Standard error of the mean of independent values (n - 1); NaN for a single one."""
    array = np.asarray(values, dtype=float)
    return float(array.std(ddof=1) / math.sqrt(array.size)) if array.size > 1 else math.nan


def difference_interval(
    treatment: Array, control: Array | float, *, paired: bool = True, level: float = LEVEL
) -> Interval:
    """Interval of mean(treatment) - mean(control).

    :func:`core.metrics.stats.compare` does the same from named values, clusters and 0/1 leaves included.

    Args:
        treatment: Shape [seeds, units].
        control: The same shape, cell by cell the counterpart; or a number; or, with `paired=False`, any matrix.
        paired: False when the control's units are other objects.
        level: Nominal coverage.

    Returns:
        The interval; unbounded when there is one value or all differences are the same, which says nothing about
        what others would be.

    Raises:
        ValueError: shapes that cannot be paired, an empty matrix, a value that is not finite.
    """
    left = finite(treatment, dimensions=2)
    if not (paired or np.ndim(control) == 0):
        return interval_of([(left,), (-finite(control, dimensions=2),)], level=level)
    right = np.asarray(control, dtype=float)
    if right.ndim and right.shape != left.shape:
        raise ValueError(f"Cannot pair a treatment of shape {left.shape} with a control of shape {right.shape}.")
    return interval_of([(finite(left - right, dimensions=2),)], level=level)


def interval_of(samples: Sequence[Layouts], least: float = 0.0, level: float = LEVEL) -> Interval:
    """Interval of the sum of the means of independent samples.

    Args:
        samples: One, or two that are not paired, the second with its sign changed. Each is a matrix [seeds, units],
            and where units share their leaves a second of the same values, [seeds, leaves].
        least: Standard error below which the interval does not go (:func:`leaf_error`).
        level: Nominal coverage.
    """
    matrices = [layouts[0] for layouts in samples]
    estimate = float(sum(matrix.mean() for matrix in matrices))
    shape = " and ".join(describe(*layouts) for layouts in samples)
    if any(matrix.size == 1 for matrix in matrices):
        return unknown(estimate, "one value: no interval", level)
    error, half = (float(value) for value in half_widths(samples, level))
    if error <= _NOISE * max(np.abs(matrix).max() for matrix in matrices):
        error = half = 0.0
    floor = least * float(stats.norm.isf((1 - level) / 2))
    if floor > half:
        return Interval(estimate, estimate - floor, estimate + floor, f"0/1 leaves of {shape}", least, level)
    if not half:
        return unknown(estimate, f"no spread over {shape}: no interval", level)
    return Interval(estimate, estimate - half, estimate + half, f"t over {shape}", error, level)


def half_widths(samples: Sequence[Layouts], level: float = LEVEL) -> tuple[Array, Array]:
    """Standard errors and half-widths of the intervals of sums of means.

    Args:
        samples: As in :func:`interval_of`, with any leading axes: [..., seeds, units].
        level: Nominal coverage.

    Returns:
        Two arrays of shape [...].
    """
    variances, quantiles = zip(*(_sample_variance(layouts, level) for layouts in samples), strict=True)
    total = np.sum(variances, axis=0)
    error = np.sqrt(total)
    return error, error * _weighted(variances, quantiles)


def _sample_variance(layouts: Layouts, level: float) -> tuple[Array, Array]:
    """Variance of the mean of one sample and its quantile, each [...]."""
    parts = [_variance(mean_squares(matrix), matrix.shape[-2], matrix.shape[-1], level) for matrix in layouts]
    if len(parts) == 1:
        return parts[0]
    seeds = layouts[0].shape[-2]
    twice = layouts[0].mean(axis=-1).var(axis=-1, ddof=1) / seeds if seeds > 1 else 0.0
    variances, quantiles = zip(*parts, strict=True)
    return np.sum(variances, axis=0) - twice, _weighted(variances, quantiles)


def _weighted(variances: Sequence[Array], quantiles: Sequence[Array]) -> Array:
    """Mean of quantiles, each weighted by its variance."""
    total = np.sum(variances, axis=0)
    weighted = np.sum([v * t for v, t in zip(variances, quantiles, strict=True)], axis=0)
    return np.divide(weighted, total, out=np.zeros_like(total), where=total > 0)


def mean_squares(matrix: Array) -> Array:
    """Mean squares of seeds, units and rest; 0 where there is one of a kind.

    Args:
        matrix: Shape [..., seeds, units].

    Returns:
        Shape [3, ...].
    """
    seeds, units = matrix.shape[-2:]
    rows, columns = matrix.mean(axis=-1), matrix.mean(axis=-2)
    none = np.zeros(matrix.shape[:-2])
    by_seed = units * rows.var(axis=-1, ddof=1) if seeds > 1 else none
    by_unit = seeds * columns.var(axis=-1, ddof=1) if units > 1 else none
    if seeds == 1 or units == 1:
        return np.stack([by_seed, by_unit, none])
    rest = matrix - rows[..., None] - columns[..., None, :] + matrix.mean(axis=(-2, -1), keepdims=True)
    return np.stack([by_seed, by_unit, (rest**2).sum(axis=(-2, -1)) / ((seeds - 1) * (units - 1))])


def _variance(squares: Array, seeds: int, units: int, level: float) -> tuple[Array, Array]:
    """Variance of the mean and its quantile, each [...], from mean squares [3, ...]."""
    total = np.maximum(np.maximum(squares[0], squares[1]), squares[0] + squares[1] - squares[2])
    share = np.divide(squares[0], total, out=np.full_like(total, float(units == 1)), where=total > 0)
    return total / (seeds * units), share * _quantile(seeds - 1, level) + (1 - share) * _quantile(units - 1, level)


@cache
def _quantile(freedom: int, level: float) -> float:
    return float(stats.t.isf((1 - level) / 2, freedom)) if freedom else 0.0


def leaf_error(values: Array, weights: Array, against: Sequence[float] = (-1, 1)) -> Array:
    """Standard error of a weighted mean of 0/1 leaves, or of their differences, with pseudo-observations added.

    Differences of 0/1 leaves get one leaf at each extreme (Bonett and Price, Journal of Educational and Behavioral
    Statistics 2012), leaves that are not paired two (Agresti and Coull, The American Statistician 1998). Where n leaves
    are all alike the interval then reaches 2.8/n to either side, as by the rule of three.

    Args:
        values: Shape [..., leaves]; each the mean over the seeds that share the leaf.
        weights: Shape [leaves], sum 1; n is the number of leaves that would have the same effect with equal weights.
        against: The pseudo-observations, `(-1, 1)` for differences and `(0, 0, 1, 1)` for the leaves of one side.

    Returns:
        Shape [...].
    """
    n, added = 1 / float((weights**2).sum()), np.asarray(against, dtype=float)
    mean = (n * (values @ weights) + added.sum()) / (n + added.size)
    square = (n * (values**2 @ weights) + (added**2).sum()) / (n + added.size)
    return np.sqrt((square - mean**2) / (n + added.size))


def spread_of(matrix: Array, shared: Array | None = None, nested: bool = False) -> Spread:
    """Variance components of a pilot by the analysis of variance, none below 0.

    Args:
        matrix: Shape [seeds, units].
        shared: The same values by the leaves that all units share, [seeds, leaves].
        nested: Each seed has its own units: columns carry no meaning.
    """
    seeds, units = matrix.shape
    if nested:
        rest = float(matrix.var(axis=1, ddof=1).mean()) if units > 1 else 0.0
        between = float(matrix.mean(axis=1).var(ddof=1)) if seeds > 1 else math.nan
        return Spread(max(0.0, between - rest / units) if seeds > 1 else math.nan, 0.0, rest, nested=True)
    by_seed, by_unit, rest = (float(value) for value in mean_squares(matrix))
    of_leaves = 0.0
    if shared is not None:
        _, by_leaf, beyond = (float(value) for value in mean_squares(shared))
        of_leaves = max(0.0, by_leaf - beyond) / shared.size
    return Spread(
        max(0.0, by_seed - rest) / units if seeds > 1 else math.nan,
        max(0.0, by_unit - rest) / seeds if units > 1 else 0.0,
        rest,
        shared=of_leaves,
    )


def half_width(spread: Spread, seeds: int, units: int, level: float = LEVEL) -> float:
    """Expected half-width of the interval of a mean over so many seeds and units, for normal effects.

    The analysis of variance is drawn from its distribution with these variances, and the half-widths that come of it
    are averaged. A pilot of three seeds knows their variance only within a factor of about six either way.

    Args:
        spread: Of the paired difference (or, twice and added in quadrature, of two sides that are not paired).
        seeds: Seeds to come.
        units: Units in each.
        level: Nominal coverage.

    Raises:
        UserError: a pilot of one seed asked for several, or nothing to estimate from (one seed and one unit).
    """
    if seeds > 1 and math.isnan(spread.seeds):
        raise UserError("A pilot of one seed does not say how much seeds differ: run it with two or more.")
    if seeds < 1 or units < 1 or seeds * units == 1 or (spread.nested and seeds == 1 == units):
        raise UserError(f"{seeds} seed(s) and {units} unit(s) give no interval: plan two of either at least.")
    if spread.nested and seeds > 1:  # seed means are all there is
        spread, units = Spread(spread.seeds + spread.rest / units, 0.0, 0.0), 1
    between = 0.0 if seeds == 1 else spread.seeds
    expected = np.array([units * between + spread.rest, seeds * spread.units + spread.rest, spread.rest])
    freedom = np.array([seeds - 1, units - 1, (seeds - 1) * (units - 1)])
    rng = np.random.default_rng(0)
    squares = np.stack(
        [
            mean * rng.chisquare(count, _DRAWS) / count if count else np.zeros(_DRAWS)
            for mean, count in zip(expected, freedom, strict=True)
        ]
    )
    variance, quantile = _variance(squares, seeds, units, level)
    return float((np.sqrt(variance + spread.shared) * quantile).mean())


def seeds_needed(
    spread: Spread, effect: float, units: int, most: int = 8, most_units: int = 1000, level: float = LEVEL
) -> Needed | None:
    """Seeds, and where seeds cannot do it units, that bring the expected half-width under an effect.

    An effect as large as the half-width is found every other time; ask for two thirds of it to find it nearly always.

    Args:
        spread: From the pilot.
        effect: The difference to be told from zero, more than 0.
        units: Units of a seed as planned; more are tried only where `most` seeds do not do.
        most: Seeds that the budget allows.
        most_units: Units that could be had.
        level: Nominal coverage.

    Returns:
        The smallest numbers, or None where not even the largest do.

    Raises:
        UserError: an effect of 0 or less, or a pilot of one seed.
    """
    if effect <= 0:
        raise UserError(f"An effect of {effect:g} cannot be told from zero by any number of seeds: give a size.")

    def fits(seeds: int, units: int) -> bool:
        return half_width(spread, seeds, units, level) < effect

    few, many = units, max(units, most_units)
    if not fits(most, few):
        if not fits(most, many):
            return None
        while many - few > 1:
            middle = (few + many) // 2
            few, many = (few, middle) if fits(most, middle) else (middle, many)
        few = many
    return next(Needed(seeds, few) for seeds in range(2, most + 1) if fits(seeds, few))


def describe(matrix: Array, shared: Array | None = None) -> str:
    """`3 seeds x 20 units with the same 40 leaves`, as the page words it."""
    seeds, units = (
        f"{size} {name}{'s' if size > 1 else ''}" for size, name in zip(matrix.shape, ("seed", "unit"), strict=True)
    )
    if matrix.shape[1] == 1:
        return seeds
    if shared is not None:
        units += f" with the same {shared.shape[1]} leaves"
    return units if matrix.shape[0] == 1 else f"{seeds} x {units}"


def unknown(estimate: float, method: str, level: float) -> Interval:
    """The interval of data that allow none: everything."""
    return Interval(estimate, -math.inf, math.inf, method, math.nan, level)


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
