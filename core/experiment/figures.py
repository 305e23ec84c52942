"""What a figure shows of a record: means over seeds and units with the intervals that the verdicts use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.experiment.run import Measurement
from core.metrics.intervals import Interval, difference_interval


def interval(cells: Mapping[int, Measurement], metric: str, control: str | None = None) -> Interval:
    """Mean of a metric over seeds and units, or of its difference from another one of the same arm, with 95 % interval.

    Args:
        cells: One arm by seed: `record.measurements[variant]`.
        metric: With a value a unit, the same units in every seed.
        control: The metric to subtract.
    """
    units = list(next(iter(cells.values())).units[metric])

    def matrix(name: str) -> np.ndarray:
        return np.array([[cell.units[name][unit] for unit in units] for cell in cells.values()])

    return difference_interval(matrix(metric), matrix(control) if control else 0.0)


def bars(found: Sequence[Interval], low: float = 0.0, high: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Means, and how far the intervals reach below and above ([2, bars], as matplotlib takes error bars).

    Args:
        found: One interval a bar.
        low: Smallest value that the metric can have.
        high: Largest value.
    """
    means = np.array([bar.estimate for bar in found])
    ends = np.array([(max(low, bar.low), min(high, bar.high)) for bar in found]).T
    return means, np.stack([means - ends[0], ends[1] - means])
