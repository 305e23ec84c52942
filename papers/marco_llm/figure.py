"""The figure: what is kept and what is learnt, along the two stages, and what parallel text teaches.

left    change in bits per byte of the old and of the new languages, with 95 % intervals over seeds and languages; grey:
        what the claim allows the old ones to lose
middle  bits per byte along the stages (the paper's Figure 9: MMMLU over steps), mean over seeds
right   exact match of number words between English and two new languages, by what the parallel text was; dots are
        seeds, lines 95 % intervals over seeds and sentences
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from core.experiment.figures import interval
from core.experiment.report import COLOURS
from core.experiment.results import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ARMS = {
    "two_stage": ("two stages", "blue", "o"),
    "one_stage": ("one stage, same tokens", "sky", "s"),
    "no_parallel": ("no parallel text", "green", "^"),
    "same_rate": ("stage II at the rate of I", "purple", "D"),
    "low_only": ("no replay", "vermilion", "X"),
}
CURVES = ("two_stage", "low_only")
BITEXT = {
    "numbers_none": "none",
    "numbers_unfiltered": "half\nwrong",
    "numbers_filtered": "half wrong,\nfiltered",
    "numbers_clean": "clean",
}


def draw(record: Record) -> Figure:
    """The figure of the page."""
    from matplotlib import pyplot

    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(10.5, 3.7), width_ratios=(1.1, 1.1, 1))
    _trade_off(left, record)
    _curves(middle, record)
    _bitext(right, record)
    return figure


def _trade_off(axes: Axes, record: Record) -> None:
    axes.axvline(0, color=COLOURS["grey"], linewidth=0.8)
    axes.axvspan(0, 0.05, color="#DDDDDD", linewidth=0, zorder=0)
    for arm, (label, colour, marker) in ARMS.items():
        if arm in record.measurements:
            old, new = (
                interval(record.measurements[arm], f"{group}_bits", f"{group}_bits_base") for group in ("old", "new")
            )
            axes.plot([old.low, old.high], [new.estimate] * 2, color=COLOURS[colour], linewidth=1)
            axes.plot([old.estimate] * 2, [new.low, new.high], color=COLOURS[colour], linewidth=1)
            axes.plot(
                old.estimate,
                new.estimate,
                marker,
                color=COLOURS[colour],
                markersize=6,
                label=label,
                markeredgecolor="white",
            )
    axes.set_xlabel("old languages: change in bits per byte\n(right of 0: forgotten)")
    axes.set_ylabel("new languages: change in bits per byte")
    axes.set_title("Replay keeps the old")
    axes.legend(fontsize=7.5, loc="best", handletextpad=0.2)


def _curves(axes: Axes, record: Record) -> None:
    for arm in CURVES:
        if arm not in record.measurements:
            continue
        label, colour, _ = ARMS[arm]
        cells = [cell.details["mixture"] for cell in record.measurements[arm].values()]
        steps, borders = _points(cells[0])
        for group, style in (("old", "-"), ("new", "--")):
            lines = [[point[1][group] for stage in cell["curve"] for point in stage["points"]] for cell in cells]
            axes.plot(steps, np.mean(lines, axis=0), style, color=COLOURS[colour], linewidth=1.6)
            heights = np.mean(lines, axis=0)
            axes.annotate(
                f"{label}: {group}", (steps[-1], float(heights[-1])), xytext=(0, 8), ha="right",
                textcoords="offset points", fontsize=7.5, color=COLOURS[colour],
            )  # fmt: skip
        if len(borders) > 1:
            axes.axvline(borders[0], color=COLOURS["grey"], linewidth=0.8, linestyle=":")
            axes.text(borders[0], 0.66, " stage II", fontsize=7.5, va="top", transform=axes.get_xaxis_transform())
    axes.margins(y=0.12)
    axes.set_xlabel("tokens (thousands)")
    axes.set_ylabel("bits per byte, development text")
    axes.set_title("Along the stages")


def _points(mixture: Any) -> tuple[list[float], list[float]]:
    """Thousands of tokens at each point of the curve, and where the stages end."""
    places, borders, before = [], [], 0.0
    for stage, found in zip(mixture["stages"], mixture["curve"], strict=True):
        size = stage["tokens"] / 1000
        places += [before + size * step / found["steps"] for step, _ in found["points"]]
        before += size
        borders.append(before)
    return places, borders


def _bitext(axes: Axes, record: Record) -> None:
    arms = [arm for arm in BITEXT if arm in record.measurements]
    for metric, colour, label, shift in (
        ("exact", "blue", "English ↔ new (trained)", -0.18),
        ("exact_zero_shot", "orange", "new ↔ new (never seen)", 0.18),
    ):
        for place, arm in enumerate(arms):
            found = interval(record.measurements[arm], metric)
            seeds = [cell.metrics[metric] for cell in record.measurements[arm].values()]
            first = label if place == 0 else None
            axes.bar(place + shift, found.estimate, 0.34, color=COLOURS[colour], label=first, alpha=0.75)
            axes.plot([place + shift] * 2, [max(0, found.low), found.high], color="black", linewidth=1)
            axes.plot([place + shift + 0.08] * len(seeds), seeds, "o", color="black", markersize=2.5)
    axes.set_xticks(range(len(arms)), [BITEXT[arm] for arm in arms], fontsize=8)
    axes.set_ylim(0, 1)
    axes.set_xlabel("parallel text: number words")
    axes.set_ylabel("exact match, held-out numbers")
    axes.set_title("Filtering pays")
    axes.legend(fontsize=7.5, loc="upper left")
