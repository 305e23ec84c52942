"""Scaling laws: how a quantity falls or grows with data, size or the number of languages, and how sure the fit is.

    law = fit_power([2, 4, 8], [.31, .42, .55])                # y = a x^b
    law = fit_saturating(tokens, [1 / p for p in perplexity])  # y = c - a x^(-b)
    law(16), law.invert(.5)                                    # what more would bring; how much brings so much
    fitted_interval(fit_power, x, ys, lambda law: law(16))     # over seeds

Points are few where each is a training run, so a law is worth what it says of points that it has not seen:
:func:`left_out_errors` is part of every report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from core.metrics.intervals import LEVEL, Array, Interval, finite


@dataclass(frozen=True)
class Law:
    """y = c + a x^b; without a constant c = 0.

    Attributes:
        a: Factor; negative for what grows towards c from below.
        b: Exponent.
        c: The limit where b < 0.
        r2: Share of the variance of y that is explained.
    """

    a: float
    b: float
    c: float
    r2: float

    def __call__(self, x: float) -> float:
        """The law's value."""
        return float(self.c + self.a * x**self.b)

    def invert(self, y: float) -> float:
        """Where the law reaches a value; infinite where it never does."""
        share = (y - self.c) / self.a if self.a else -1.0
        return float(share ** (1 / self.b)) if share > 0 and self.b else float("inf")


Fit = Callable[[Sequence[float], Sequence[float]], Law]


def fit_power(x: Sequence[float], y: Sequence[float]) -> Law:
    """y = a x^b by least squares on y, from the line through the logarithms.

    Raises:
        ValueError: fewer than two points, one x alone, or a value that is not positive.
    """
    xs, ys = _points(x, y, least=2)
    if ys.min() <= 0:
        raise ValueError("A power law needs positive values.")
    start = np.polyfit(np.log(xs), np.log(ys), 1)
    b, log_a = (float(value) for value in start)
    if len(xs) > 2:
        found = optimize.least_squares(lambda p: np.exp(p[0]) * xs ** p[1] - ys, (log_a, b))
        log_a, b = (float(value) for value in found.x)
    return _law(xs, ys, float(np.exp(log_a)), b, 0.0)


def fit_saturating(x: Sequence[float], y: Sequence[float]) -> Law:
    """y = c - a x^(-b) with a, b > 0 by least squares on y, the form of Chang et al.'s monolingual laws in 1 / PPL.

    For each exponent the other two are a line, so that one dimension is searched.

    Raises:
        ValueError: fewer than three points or different x.
    """
    xs, ys = _points(x, y, least=3)

    def line(log_b: float) -> tuple[float, float, float]:
        powers = xs ** -np.exp(log_b)
        slope, limit = np.polyfit(powers, ys, 1)
        return float(((slope * powers + limit - ys) ** 2).sum()), float(slope), float(limit)

    grid = np.linspace(np.log(0.01), np.log(10), 200)
    best = grid[int(np.argmin([line(value)[0] for value in grid]))]
    step = grid[1] - grid[0]
    found = optimize.minimize_scalar(lambda value: line(value)[0], bounds=(best - step, best + step), method="bounded")
    _, slope, limit = line(float(found.x))
    return _law(xs, ys, slope, -float(np.exp(found.x)), limit)


def left_out_errors(fit: Fit, x: Sequence[float], y: Sequence[float]) -> list[float]:
    """For each point, the law through the others less its value; the first and the last are extrapolations."""
    rows = range(len(x))
    return [
        fit([x[i] for i in rows if i != out], [y[i] for i in rows if i != out])(x[out]) - y[out] for out in rows
    ]  # fmt: skip


def fitted_interval(
    fit: Fit,
    x: Sequence[float],
    ys: Sequence[Sequence[float]] | Array,
    of: Callable[[Law], float],
    draws: int = 2000,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """Percentile interval of anything that a law says, over seeds that are drawn with replacement.

    Args:
        fit: The law.
        x: Shape [points].
        ys: Shape [seeds, points].
        of: From a law to the number, such as its exponent or its value at another x.
        draws: Number of draws.
        seed: Of the draws.
        level: Nominal coverage.

    Raises:
        ValueError: fewer than two seeds, or as the fit raises for their mean.
    """
    values = finite(ys, dimensions=2)
    seeds = len(values)
    if seeds < 2:
        raise ValueError("An interval over seeds needs at least two.")
    rng = np.random.default_rng(seed)
    found = np.array([of(fit(x, values[rng.integers(0, seeds, seeds)].mean(0).tolist())) for _ in range(draws)])
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    method = f"percentile bootstrap over {seeds} seeds, {draws} draws"
    return Interval(of(fit(x, values.mean(0).tolist())), float(low), float(high), method, float(found.std()), level)


def _points(x: Sequence[float], y: Sequence[float], least: int) -> tuple[Array, Array]:
    xs, ys = finite(x, dimensions=1), finite(y, dimensions=1)
    if len(xs) != len(ys) or len({*xs.tolist()}) < least or xs.min() <= 0:
        raise ValueError(f"The law needs at least {least} points at different x > 0, got {len(xs)} and {len(ys)}.")
    return xs, ys


def _law(xs: Array, ys: Array, a: float, b: float, c: float) -> Law:
    rest, whole = float(((c + a * xs**b - ys) ** 2).sum()), float(((ys - ys.mean()) ** 2).sum())
    return Law(a, b, c, 1 - rest / whole if whole else float(rest == 0))
