"""A least-squares line, and what it predicts for one more unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy import stats

from core.metrics.intervals import Interval


@dataclass(frozen=True)
class Line:
    """y = slope x + intercept.

    Attributes:
        slope: Of the line.
        intercept: Of the line.
        residual: Standard deviation of the residuals, n - 2 degrees of freedom; infinite for two points.
        n: Number of points.
        centre: Mean of x.
        spread: Sum of squared deviations of x.
    """

    slope: float
    intercept: float
    residual: float
    n: int
    centre: float
    spread: float

    def predict(self, x: float, level: float = 0.95) -> Interval:
        """Where y of one more unit is expected: Student's prediction interval, unbounded for a line through two."""
        estimate = self.slope * x + self.intercept
        method = f"prediction from {self.n} points"
        if self.n < 3:
            return Interval(estimate, -math.inf, math.inf, method, math.inf, level)
        error = self.residual * math.sqrt(1 + 1 / self.n + (x - self.centre) ** 2 / self.spread)
        half = error * float(stats.t.isf((1 - level) / 2, self.n - 2))
        return Interval(estimate, estimate - half, estimate + half, method, error, level)


def fit_line(x: Sequence[float], y: Sequence[float]) -> Line:
    """The least-squares line through points.

    Raises:
        ValueError: fewer than two points, or all at one x.
    """
    n, centre = len(x), sum(x) / max(len(x), 1)
    spread = sum((value - centre) ** 2 for value in x)
    if n != len(y) or n < 2 or spread == 0:
        raise ValueError(f"A line needs at least two points at different x, got {n}.")
    line = stats.linregress(x, y)
    rest = sum((v - line.slope * u - line.intercept) ** 2 for u, v in zip(x, y, strict=True))
    residual = math.sqrt(rest / (n - 2)) if n > 2 else math.inf
    return Line(float(line.slope), float(line.intercept), residual, n, centre, spread)


def residuals(x: Sequence[float], y: Sequence[float]) -> list[float]:
    """What the least-squares line through x leaves of y; the r of two such remainders is a partial correlation."""
    import numpy as np

    design = np.stack([np.ones(len(x)), x], axis=1)
    return (y - design @ np.linalg.lstsq(design, np.asarray(y), rcond=None)[0]).tolist()


def leave_one_out(x: Mapping[str, float], y: Mapping[str, float]) -> dict[str, float]:
    """By how much a line fitted to the other units is nearer to a unit's y than their mean is; 0 for one x of all."""
    gain = {}
    for unit, truth in y.items():
        others = [other for other in y if other != unit]
        mean, places = fmean(y[other] for other in others), [x[other] for other in others]
        line = fit_line(places, [y[other] for other in others]) if len(set(places)) > 1 else None
        estimate = line.predict(x[unit]).estimate if line else mean
        gain[unit] = abs(mean - truth) - abs(estimate - truth)
    return gain
