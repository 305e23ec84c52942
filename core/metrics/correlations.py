"""Correlations over units (languages, models) and their intervals.

A correlation is not a mean, but its jackknife pseudo-values nearly are: with z = atanh r,

    P[seed, unit] = U z(seed) - (U - 1) z(seed, without unit)

has the mean z up to bias, and its analysis of variance over seeds and units is that of any other matrix. So the
interval of :mod:`core.metrics.intervals` serves here too, on Fisher's scale, where it is nearly symmetric. The interval
of a difference comes from the two intervals and the correlation between the two estimates (Zou, Psychological Methods
2007), so that it is skewed as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from core.metrics.intervals import LEVEL, Array, Interval, describe, finite, half_widths, unknown

_MINIMUM = 4  # units; with fewer, Fisher's z has no variance
_LIMIT = 1 - 1e-12


def pearson(x: Sequence[float] | Array, y: Sequence[float] | Array) -> float:
    """Pearson's r over units, shape [units]; NaN when either side is constant."""
    left, right = finite(x, dimensions=1), finite(y, dimensions=1)
    if left.shape != right.shape:
        raise ValueError(f"Cannot correlate {left.size} values with {right.size}.")
    return float(_correlations(left, right)[0])


def spearman(x: Sequence[float] | Array, y: Sequence[float] | Array) -> float:
    """Spearman's rho over units: Pearson's r of mid-ranks; NaN when either side is constant."""
    return pearson(stats.rankdata(finite(x, dimensions=1)), stats.rankdata(finite(y, dimensions=1)))


def mean_correlation(x: Array, y: Array) -> float:
    """Pearson's r over units of each seed, averaged over seeds.

    Args:
        x: Shape [seeds, units].
        y: The same shape.
    """
    return float(_correlations(*_pair((x, y)))[0].mean())


def correlation_interval(x: Array, y: Array, level: float = LEVEL) -> Interval:
    """Interval of Pearson's r over units.

    Args:
        x: Shape [units] or [seeds, units].
        y: The same shape.
        level: Nominal coverage.
    """
    return correlation_difference_interval((x, y), 0.0, level)


def correlation_difference_interval(
    treatment: tuple[Array, Array], control: tuple[Array, Array] | float, level: float = LEVEL
) -> Interval:
    """Interval of r(treatment) - r(control), both over the same seeds and units.

    Args:
        treatment: Two arrays, [units] or [seeds, units].
        control: Two arrays of the same shape, or a number.
        level: Nominal coverage.

    Returns:
        The interval; unbounded with fewer than four units, where a variable is constant (also without one of the
        units), and where the two correlations are the same by construction.

    Raises:
        ValueError: unequal shapes, a value that is not finite.
    """
    pairs = [_pair(treatment)]
    if isinstance(control, tuple):
        pairs.append(_pair(control))
        if pairs[0][0].shape != pairs[1][0].shape:
            raise ValueError(f"Cannot pair correlations over shapes {pairs[0][0].shape} and {pairs[1][0].shape}.")
    units = pairs[0][0].shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        found, low, high, error = (float(value) for value in bounds(pairs, level))
    fixed = 0.0 if isinstance(control, tuple) else float(control)
    if math.isnan(found):
        return unknown(found, "a variable is constant: no correlation", level)
    if units < _MINIMUM:
        return unknown(found - fixed, f"{units} units: no interval for a correlation", level)
    if not math.isfinite(low) or not math.isfinite(high):
        return unknown(found - fixed, "the correlation rests on a single unit: no interval", level)
    if high - low < 1e-9:
        return unknown(found - fixed, "no spread of the correlation: no interval", level)
    method = f"jackknife of r over {describe(pairs[0][0])}"
    return Interval(found - fixed, low - fixed, high - fixed, method, error, level)


def bounds(pairs: Sequence[tuple[Array, Array]], level: float = LEVEL) -> tuple[Array, Array, Array, Array]:
    """Mean correlation of the first pair, less that of the second where there is one, and its interval.

    Args:
        pairs: One or two; arrays of shape [..., seeds, units].
        level: Nominal coverage.

    Returns:
        Estimate, low, high and standard error, each [...]; NaN where a correlation is not defined.
    """
    r = [_correlations(x, y)[0].mean(axis=-1) for x, y in pairs]
    pseudo = [_pseudo_values(x, y) for x, y in pairs]
    spreads = [half_widths([(values,)], level) for values in pseudo]
    middle = [np.arctanh(np.clip(value, -_LIMIT, _LIMIT)) for value in r]
    low = [np.tanh(z - half) for z, (_, half) in zip(middle, spreads, strict=True)]
    high = [np.tanh(z + half) for z, (_, half) in zip(middle, spreads, strict=True)]
    errors = [(1 - value**2) * error for value, (error, _) in zip(r, spreads, strict=True)]
    if len(pairs) == 1:
        return r[0], low[0], high[0], errors[0]
    apart, _ = half_widths([(pseudo[0] - pseudo[1],)], level)
    (one, _), (two, _) = spreads
    same = np.clip((one**2 + two**2 - apart**2) / (2 * one * two), -1, 1)  # correlation of the two estimates
    estimate = r[0] - r[1]
    apart = apart > 1e-9 * (one + two)  # else the two are the same by construction
    down = apart * _combined(r[0] - low[0], high[1] - r[1], same)
    up = apart * _combined(high[0] - r[0], r[1] - low[1], same)
    return estimate, estimate - down, estimate + up, _combined(errors[0], errors[1], same)


def _combined(a: Array, b: Array, same: Array) -> Array:
    """Length of the difference of two distances whose estimates correlate."""
    return np.sqrt(np.maximum(0, a**2 + b**2 - 2 * same * a * b))


def _pseudo_values(x: Array, y: Array) -> Array:
    """Jackknife pseudo-values of atanh r, leaving out one unit at a time. Shape [..., seeds, units]."""
    r, left_out = (np.arctanh(np.clip(value, -_LIMIT, _LIMIT)) for value in _correlations(x, y))
    units = x.shape[-1]
    return units * r[..., None] - (units - 1) * left_out


def _correlations(x: Array, y: Array) -> tuple[Array, Array]:
    """Pearson's r over the last axis, and r without each of its entries; NaN where a side has no variance.

    Args:
        x: Shape [..., units].
        y: Shape [..., units].

    Returns:
        Shapes [...] and [..., units].
    """
    x = x - x.mean(axis=-1, keepdims=True)
    y = y - y.mean(axis=-1, keepdims=True)
    units = x.shape[-1]
    results = []
    for part in (0.0, units / max(1, units - 1)):  # the sums of squares fall by this multiple of the entry's own
        xx, yy, xy = (np.sum(a * b, axis=-1, keepdims=True) - part * a * b for a, b in ((x, x), (y, y), (x, y)))
        # What rounding leaves of a constant is no variance.
        tiny = (1e-14 * np.sum(x * x, axis=-1, keepdims=True), 1e-14 * np.sum(y * y, axis=-1, keepdims=True))
        with np.errstate(invalid="ignore", divide="ignore"):
            r = np.where((xx > tiny[0]) & (yy > tiny[1]), xy / np.sqrt(xx * yy), np.nan)
        results.append(np.clip(r, -1, 1))
    return results[0][..., 0], results[1]


def _pair(arrays: tuple[Array, Array]) -> tuple[Array, Array]:
    left, right = (finite(np.atleast_2d(array), dimensions=2) for array in arrays)
    if left.shape != right.shape:
        raise ValueError(f"Cannot correlate arrays of shapes {left.shape} and {right.shape}.")
    return left, right
