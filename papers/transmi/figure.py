"""The figure of the page, drawn from the record alone: every language before and after, and every arm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.metrics.intervals import difference_interval
from core.text.languages import name

# variant, metric, label, colour, marker
POINTS = (
    ("original", "acc1_native", "own script, original model", COLOURS["grey"], "|"),
    ("random", "acc1_romanised", "romanised, random rows", COLOURS["purple"], "x"),
    ("original", "acc1_romanised", "romanised, original model", COLOURS["vermilion"], "o"),
    ("max", "acc1_romanised", "romanised, TransMI (max)", COLOURS["blue"], "o"),
)
ARMS = (
    ("original", "acc1_native", "own script, original"),
    ("max", "acc1_native", "own script, TransMI max"),
    ("original", "acc1_romanised", "romanised, original"),
    ("random", "acc1_romanised", "romanised, random rows"),
    ("max", "acc1_romanised", "romanised, TransMI max"),
    ("average", "acc1_romanised", "romanised, TransMI average"),
    ("min", "acc1_romanised", "romanised, TransMI min"),
    ("official", "acc1_romanised", "romanised, official sum"),
)


def draw(record: Record) -> Figure:
    """Left: accuracy@1 by language, the range over samples as a line. Right: means of all arms with 95 % intervals."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.9), width_ratios=(1.5, 1))
    _languages(left, record)
    _arms(right, record)
    return figure


def _languages(axes: Axes, record: Record) -> None:
    adapted, languages = _matrix(record, "max", "acc1_romanised")
    order = np.argsort(adapted.mean(0))
    languages = [languages[index] for index in order]
    rows = np.arange(len(languages))
    means = {}
    for variant, metric, label, colour, marker in POINTS:
        values, _ = _matrix(record, variant, metric, languages)
        means[variant, metric] = values.mean(0)
        axes.hlines(rows, values.min(0), values.max(0), color=colour, linewidth=1.2, alpha=0.6)
        axes.plot(values.mean(0), rows, marker, color=colour, label=label, markersize=8 if marker == "|" else 5)
    before, after = means["original", "acc1_romanised"], means["max", "acc1_romanised"]
    axes.hlines(rows, before, after, color=COLOURS["blue"], linewidth=4, alpha=0.15, zorder=0)
    axes.set_yticks(rows, [name(code) for code in languages])
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.7, len(languages) - 0.3)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("accuracy@1 of English queries (line: range over samples)")
    axes.set_title("Every language, before and after")
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.13), ncols=2, fontsize=8, columnspacing=1.2)


def _arms(axes: Axes, record: Record) -> None:
    arms = [arm for arm in ARMS if arm[0] in record.measurements]
    for row, (variant, metric, _) in enumerate(reversed(arms)):
        interval = difference_interval(_matrix(record, variant, metric)[0], 0.0)
        colour = {"original": COLOURS["vermilion"], "random": COLOURS["purple"]}.get(variant, COLOURS["blue"])
        colour = COLOURS["grey"] if metric == "acc1_native" else colour
        axes.barh(row, interval.estimate, height=0.62, color=colour, alpha=0.35)
        axes.plot([interval.low, interval.high], [row, row], color=colour, linewidth=2)
        axes.plot(interval.estimate, row, "o", color=colour, markersize=4)
        axes.text(0.02, row, f"{interval.estimate:.3f}", va="center", fontsize=8)
    axes.set_yticks(range(len(arms)), [label for _, _, label in reversed(arms)])
    axes.axhline(len(arms) - 2.5, color=COLOURS["grey"], linewidth=0.8, linestyle=":")
    axes.set_xlim(0, 1)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("mean accuracy@1 (95 % interval)")
    axes.set_title("All arms")


def _matrix(
    record: Record, variant: str, metric: str, languages: Sequence[str] | None = None
) -> tuple[np.ndarray, list[str]]:
    """Values as samples x languages."""
    cells = list(record.measurements[variant].values())
    names = list(languages or cells[0].units[metric])
    return np.array([[cell.units[metric][code] for code in names] for cell in cells]), names
