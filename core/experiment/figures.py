"""What a figure shows of a record: means over seeds and units with the intervals that the verdicts use.

arm_bars(axes, record, "accuracy", [("full", "the method", "blue"), ("ablation", "without it", "orange")])
pair_bars(axes, record, [("full", "the method")], [("right_en", "English", "blue"), ("right_ar", "Arabic", "orange")])
unit_rows(axes, record, "accuracy", [("full", "blue"), ("ablation", "orange")])       # every language, both arms
metric_rows(axes, record, {"found": "found", "right": "right, if found"}, [("full", "the method", "blue")])
by_unit(record, "full", "accuracy")                      # {"de": 0.71, "sw": 0.55}
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from core.experiment.paper import Check
from core.experiment.report import COLOURS
from core.experiment.results import Record, compare
from core.experiment.run import Measurement
from core.metrics.intervals import Interval, difference_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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


def mean_of(
    record: Record,
    variant: str,
    metric: str,
    unit: str,
    control: str | float = 0.0,
    *,
    correlated_with: str | None = None,
) -> Interval:
    """Mean of a metric in one arm, or its difference from another arm, with the interval that a verdict would have.

    Args:
        record: The numbers.
        variant: The arm.
        metric: Which number.
        unit: As of :class:`core.experiment.paper.Check`.
        control: The other arm, or a number.
        correlated_with: Instead of the mean, the correlation of the metric with this one.
    """
    check = Check(
        id="", statement="", metric=metric, treatment=variant, control=control, unit=unit,
        correlated_with=correlated_with,
    )  # fmt: skip
    return compare(check, control, record.measurements).interval


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


def by_unit(record: Record, variant: str, metric: str) -> dict[str, float]:
    """Mean of a metric over seeds and items by the first part of the unit's path, such as the language."""
    values: dict[str, list[float]] = defaultdict(list)
    for measurement in record.measurements[variant].values():
        for path, value in measurement.units[metric].items():
            values[path.partition("/")[0]].append(value)
    return {unit: fmean(found) for unit, found in values.items()}


def rows(axes: Axes, labels: Sequence[str], high: float = 1.08) -> None:
    """Labels of horizontal rows, the first on top, over an axis from 0 to `high`."""
    axes.set_yticks(range(len(labels)), labels, fontsize=9)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, high)


def interval_marks(axes: Axes, found: Sequence[tuple[Interval, str]]) -> None:
    """A row an interval: a line from end to end and a mark on the estimate, in a colour by name."""
    for row, (bar, colour) in enumerate(found):
        axes.plot([bar.low, bar.high], [row, row], color=COLOURS.get(colour, colour))
        axes.plot(bar.estimate, row, "o", color=COLOURS.get(colour, colour))


def label_points(axes: Axes, x: Sequence[float], y: Sequence[float], labels: Sequence[str]) -> None:
    """Labels beside the points of a scatter plot, moved up where another label or point is in the way."""
    wide, gap = 0.2 * float(np.ptp(x)), 0.032 * max(float(np.ptp(y)), 1e-6)
    placed: list[tuple[float, float]] = []
    for index in np.argsort(y, kind="stable").tolist():
        u, height = x[index], y[index]
        points = [(v, w) for other, (v, w) in enumerate(zip(x, y, strict=True)) if other != index and u < v < u + wide]
        near = [w for _, w in points] + [w for v, w in placed if abs(u - v) < wide]
        while any(abs(height - w) < gap for w in near):
            height += gap / 4
        placed.append((u, height))
        beside: dict[str, Any] = {"xytext": (4, 0), "textcoords": "offset points", "fontsize": 7, "va": "center"}
        axes.annotate(labels[index], (u, height), **beside)


def arm_bars(
    axes: Axes, record: Record, metric: str, arms: Sequence[tuple[str, str, str]], unit: str = "language",
    *, highest: float = 1.0, form: str = "{:z.2f}",
) -> None:  # fmt: skip
    """A horizontal bar an arm, with its 95 % interval over units drawn as in the verdicts, and its number.

    Args:
        axes: Where to draw.
        record: The numbers.
        metric: A share, or another number from 0 to `highest`.
        arms: Variant, label and name of a colour; variants that the record lacks are left out.
        unit: As of :class:`core.experiment.paper.Check`.
        highest: The largest value that the metric can have.
        form: Of the numbers.
    """
    arms = [arm for arm in arms if arm[0] in record.measurements]
    for row, (variant, _, colour) in enumerate(arms):
        found = mean_of(record, variant, metric, unit)
        low, high = max(0.0, found.low), min(highest, found.high)
        axes.barh(row, found.estimate, color=COLOURS[colour], alpha=0.5, height=0.72)
        axes.plot([low, high], [row, row], color="black", linewidth=1)
        place = max(high, found.estimate) + 0.015 * highest
        axes.text(place, row, form.format(found.estimate), va="center", fontsize=9)
    rows(axes, [label for _, label, _ in arms], 1.08 * highest)


def pair_bars(
    axes: Axes, record: Record, arms: Sequence[tuple[str, str]], pair: Sequence[tuple[str, str, str]], unit: str,
    *, dots: bool = False, high: float = 1.16, size: float = 9,
) -> None:  # fmt: skip
    """Two horizontal bars an arm, such as two languages', with 95 % intervals over units and their numbers.

    Args:
        axes: Where to draw.
        record: The numbers.
        arms: Variant and label; variants that the record lacks are left out.
        pair: Metric, a share in [0, 1]; label, written into the first arm's bar; and name of a colour.
        unit: As of :class:`core.experiment.paper.Check`.
        dots: A dot for every unit, too.
        high: Where the axis ends.
        size: Of the letters in and beside the bars.
    """
    arms = [arm for arm in arms if arm[0] in record.measurements]
    rows(axes, [label for _, label in arms], high)
    for row, (variant, _) in enumerate(arms):
        for place, (metric, label, colour) in zip((row - 0.2, row + 0.2), pair, strict=True):
            found = mean_of(record, variant, metric, unit)
            axes.barh(place, found.estimate, height=0.37, color=COLOURS[colour], alpha=0.75)
            axes.plot([max(0, found.low), min(1, found.high)], [place, place], color="black", linewidth=1.2)
            if dots:
                values = by_unit(record, variant, metric).values()
                axes.scatter([*values], [place] * len(values), s=4, color="black", alpha=0.5, linewidths=0)
            axes.text(1.02, place, f"{found.estimate:.2f}", va="center", fontsize=size)
            if not row:
                axes.text(0.02, place, label, va="center", fontsize=size, color="white", weight="bold")


def gain_rows(
    axes: Axes, record: Record, metric: str, arms: Sequence[tuple[str, str, str]], control: str | Sequence[str],
    unit: str = "language", *, form: str = "{:+.2f}",
) -> None:  # fmt: skip
    """A row an arm: how much it differs from its control, with the 95 % interval that a verdict would have.

    Args:
        axes: Where to draw.
        record: The numbers.
        metric: Any number.
        arms: Variant, label and name of a colour; variants that the record lacks are left out.
        control: The variant that they are compared with, or one for each.
        unit: As of :class:`core.experiment.paper.Check`.
        form: Of the numbers.
    """
    controls = [control] * len(arms) if isinstance(control, str) else control
    pairs = [p for p in zip(arms, controls, strict=True) if {p[0][0], p[1]} <= record.measurements.keys()]
    found = [(mean_of(record, variant, metric, unit, other), colour) for (variant, _, colour), other in pairs]
    interval_marks(axes, found)
    for row, (gain, _) in enumerate(found):
        axes.text(gain.estimate, row - 0.18, form.format(gain.estimate), ha="center", va="bottom", fontsize=8)
    rows(axes, [label for (_, label, _), _ in pairs])
    axes.autoscale(axis="x")
    axes.axvline(0, color="black", linewidth=0.8)


def unit_rows(
    axes: Axes, record: Record, metric: str, arms: Sequence[tuple[str, str]], label: Callable[[str], str] = str
) -> None:
    """A row a unit, such as a language: a mark an arm, joined by a line, sorted by the first arm.

    Args:
        axes: Where to draw.
        record: The numbers.
        metric: A share, in [0, 1].
        arms: Variant and name of a colour.
        label: What a unit is called.
    """
    found = [by_unit(record, variant, metric) for variant, _ in arms]
    order = sorted(found[0], key=lambda unit: -found[0][unit])
    for row, unit in enumerate(order):
        values = [means[unit] for means in found]
        axes.plot([min(values), max(values)], [row, row], color=COLOURS["grey"], linewidth=1)
        for value, (_, colour) in reversed([*zip(values, arms, strict=True)]):
            axes.plot(value, row, "o", color=COLOURS[colour], markersize=5)
    rows(axes, [label(unit) for unit in order])


def metric_rows(axes: Axes, record: Record, metrics: Mapping[str, str], arms: Sequence[tuple[str, str, str]]) -> None:
    """A row a metric: for each arm its seeds as small marks and their mean as a large one.

    Args:
        axes: Where to draw.
        record: The numbers.
        metrics: Label by name; shares, in [0, 1]. A seed may lack one.
        arms: Variant, label (written into the first row) and name of a colour; variants may be missing in the record.
    """
    for number, (variant, label, colour) in enumerate(arms):
        shift = 0.32 * (number - (len(arms) - 1) / 2)
        for row, metric in enumerate(metrics):
            cells = record.measurements.get(variant, {}).values()
            values = [cell.metrics[metric] for cell in cells if metric in cell.metrics]
            axes.plot(values, [row + shift] * len(values), "o", color=COLOURS[colour], alpha=0.45, markersize=4)
            if values:
                axes.plot(fmean(values), row + shift, "o", color=COLOURS[colour], markersize=7)
        axes.text(0.02, 0.1 + 0.3 * number, label, color=COLOURS[colour], fontsize=9, va="center")
    rows(axes, [*metrics.values()])
