"""Correlations over units (languages, models) and their intervals.

The interval of a correlation resamples units, and seeds where there are several, and works on Fisher's scale
z = atanh r, where the bootstrap distribution is nearly symmetric. Resampling understates the spread of z in small
samples by about sqrt((n - 3) / n), the ratio of the normal-theory variances; the replicates are widened by it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from core.metrics.intervals import CHUNK, RESAMPLES, Array, Interval, finite, resample_counts, tails, unknown

_MINIMUM = 4  # units; with fewer, Fisher's z has no variance
_LIMIT = 1 - 1e-12


def pearson(x: Sequence[float] | Array, y: Sequence[float] | Array) -> float:
    """Pearson's r over units, shape [units]; NaN when either side is constant."""
    left, right = finite(x, dimensions=1), finite(y, dimensions=1)
    if left.shape != right.shape:
        raise ValueError(f"Cannot correlate {left.size} values with {right.size}.")
    return float(_correlations(left[None], right[None], np.ones((1, left.size)))[0, 0])


def spearman(x: Sequence[float] | Array, y: Sequence[float] | Array) -> float:
    """Spearman's rho over units: Pearson's r of mid-ranks; NaN when either side is constant."""
    return pearson(stats.rankdata(finite(x, dimensions=1)), stats.rankdata(finite(y, dimensions=1)))


def mean_correlation(x: Array, y: Array) -> float:
    """Pearson's r over units of each seed, averaged over seeds.

    Args:
        x: Shape [seeds, units].
        y: The same shape.
    """
    left, right = _pair((x, y))
    return float(_correlations(left, right, np.ones((1, left.shape[1]))).mean())


def correlation_interval(x: Array, y: Array, n: int = RESAMPLES, level: float = 0.95, seed: int = 0) -> Interval:
    """Interval of Pearson's r over units.

    Args:
        x: Shape [units] or [seeds, units].
        y: The same shape.
        n: Number of resamples.
        level: Nominal coverage.
        seed: Seed of the resampling.
    """
    return correlation_difference_interval((x, y), 0.0, n, level, seed)


def correlation_difference_interval(
    treatment: tuple[Array, Array],
    control: tuple[Array, Array] | float,
    n: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of r(treatment) - r(control), both over the same units, which are resampled together.

    Args:
        treatment: Two arrays, [units] or [seeds, units].
        control: Two arrays of the same shape, or a number.
        n: Number of resamples.
        level: Nominal coverage.
        seed: Seed of the resampling.

    Returns:
        The interval; unbounded with fewer than four units or a constant variable, where there is no correlation.

    Raises:
        ValueError: unequal shapes, a value that is not finite.
    """
    pairs = [_pair(treatment)]
    if isinstance(control, tuple):
        pairs.append(_pair(control))
        if pairs[0][0].shape != pairs[1][0].shape:
            raise ValueError(f"Cannot pair correlations over shapes {pairs[0][0].shape} and {pairs[1][0].shape}.")
    seeds, units = pairs[0][0].shape
    fixed = 0.0 if isinstance(control, tuple) else float(control)
    centres = [mean_correlation(*pair) for pair in pairs]
    estimate = centres[0] - (centres[1] if len(centres) > 1 else fixed)
    if math.isnan(estimate):
        return unknown(estimate, "a variable is constant: no correlation", level)
    if units < _MINIMUM:
        return unknown(estimate, f"{units} units: no interval for a correlation", level)
    rng = np.random.default_rng(seed)
    widen = math.sqrt(units / (units - 3))
    step = max(1, CHUNK // (units * len(pairs)))
    replicates = []
    for start in range(0, n, step):
        size = min(step, n - start)
        rows, columns = resample_counts(seeds, size, rng), resample_counts(units, size, rng)
        values = [_replicates(pair, centre, rows, columns, widen) for pair, centre in zip(pairs, centres, strict=True)]
        replicates.append(values[0] - values[1] if len(values) > 1 else values[0] - fixed)
    sample = np.concatenate(replicates)
    sample = sample[np.isfinite(sample)]  # a resample of one unit over and over has no correlation
    low, high = np.quantile(sample, tails(level))
    over = f"{units} units" if seeds == 1 else f"{seeds} seeds x {units} units"
    return Interval(estimate, float(low), float(high), f"bootstrap of r over {over}", float(sample.std()), level)


def _replicates(pair: tuple[Array, Array], centre: float, rows: Array, columns: Array, widen: float) -> Array:
    """Mean correlations of resamples, widened around the estimate on Fisher's scale. Shape [resamples]."""
    seeds = rows.shape[1]
    means = (_correlations(*pair, columns) * rows).sum(axis=1) / seeds
    middle = math.atanh(max(-_LIMIT, min(_LIMIT, centre)))
    return np.tanh(middle + widen * (np.arctanh(np.clip(means, -_LIMIT, _LIMIT)) - middle))


def _correlations(x: Array, y: Array, weights: Array) -> Array:
    """Weighted Pearson correlations of every seed under every weighting.

    Args:
        x: Shape [seeds, units].
        y: Shape [seeds, units].
        weights: Shape [resamples, units], non-negative.

    Returns:
        Shape [resamples, seeds], in [-1, 1]; NaN where a side has no variance.
    """
    x = x - x.mean(axis=1, keepdims=True)  # against cancellation
    y = y - y.mean(axis=1, keepdims=True)
    total = weights.sum(axis=1, keepdims=True)
    mean_x, mean_y = weights @ x.T / total, weights @ y.T / total
    covariance = weights @ (x * y).T / total - mean_x * mean_y
    spread_x = weights @ (x * x).T / total - mean_x**2
    spread_y = weights @ (y * y).T / total - mean_y**2
    tiny = 1e-12 * ((x * x).mean(axis=1) * (y * y).mean(axis=1))
    product = spread_x * spread_y
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(product > tiny, np.clip(covariance / np.sqrt(product), -1, 1), np.nan)


def _pair(arrays: tuple[Array, Array]) -> tuple[Array, Array]:
    left, right = (finite(np.atleast_2d(array), dimensions=2) for array in arrays)
    if left.shape != right.shape:
        raise ValueError(f"Cannot correlate arrays of shapes {left.shape} and {right.shape}.")
    return left, right
