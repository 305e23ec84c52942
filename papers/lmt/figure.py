"""The figure of the page, drawn from the record alone: the paper's Figures 3 and 5 in miniature.

left: exact match over the share of reverse pairs that is kept, with the controls; dotted: the base model
middle: the way back of the first four languages, by how many languages both directions were trained in
right: the model that was trained on parallel prompts, asked in three ways, on the languages that have an auxiliary

Dots are means over seeds and languages, bars their 95 % intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from core.experiment.figures import interval
from core.experiment.report import COLOURS
from core.experiment.results import Record

ARMS = {"p0": 0, "p5": 5, "p20": 20, "p50": 50, "symmetric": 100}
CONTROLS = {
    "disjoint": ("symmetric", "D", "100 %, targets not repeated"),
    "p5_matched": ("p5", "s", "5 %, as many updates as 100 %"),
}
MODES = {"aux": "direct", "pmp_s": "own\nauxiliary", "pmp_o": "given\nauxiliary"}
LANGUAGES = {
    "base": "base",
    "symmetric_4": "4",
    "symmetric_4_matched": "4, equal\nupdates",
    "symmetric": "12",
}
SIDES = {"x2p": (COLOURS["vermilion"], "X → English"), "p2x": (COLOURS["blue"], "English → X")}


def draw(record: Record) -> Figure:
    """Exact match over the share of reverse pairs, over the number of languages, and of three ways to prompt."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10.4, 4.2), width_ratios=(1.75, 1, 1), sharey=True)
    arms = list(ARMS)
    for metric, (colour, _) in SIDES.items():
        _points(left, record, range(len(arms)), [(arm, metric) for arm in arms], colour, line=True)
        left.axhline(record.mean("base", metric), color=colour, linestyle=":", linewidth=1.3)
        for control, (arm, marker, _) in CONTROLS.items():
            _points(left, record, [arms.index(arm) + 0.22], [(control, metric)], colour, marker=marker)
        _points(right, record, range(len(MODES)), [("pmp", f"{metric}_{mode}") for mode in MODES], colour, line=True)
    _points(
        middle, record, range(len(LANGUAGES)), [(arm, "x2p_first") for arm in LANGUAGES], SIDES["x2p"][0], line=False
    )
    left.set_xticks(range(len(arms)), [f"{ARMS[arm]} %" for arm in arms])
    left.set_xlabel("reverse (X → English) pairs that are kept")
    left.set_ylabel("exact match, held-out numbers")
    left.set_title("Directions after fine-tuning")
    middle.set_xticks(range(len(LANGUAGES)), list(LANGUAGES.values()))
    middle.set_xlabel("languages, trained both ways")
    middle.set_title("The same four languages")
    right.set_xticks(range(len(MODES)), list(MODES.values()))
    right.set_xlabel("prompt")
    right.set_title("After PMP training")
    for axes in (middle, right):
        axes.margins(x=0.15)
    left.set_ylim(0, 1.02)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=5, fontsize=8)
    return figure


def _points(
    axes: Axes,
    record: Record,
    places: Sequence[float],
    cells: Sequence[tuple[str, str]],
    colour: str,
    *,
    marker: str = "o",
    line: bool = False,
) -> None:
    """Means of (variant, metric) cells with their 95 % intervals, joined by a line where they are a series."""
    found = [interval(record.measurements[variant], metric) for variant, metric in cells]
    axes.vlines(places, [one.low for one in found], [one.high for one in found], color=colour, linewidth=1.3)
    axes.plot(
        places, [one.estimate for one in found], marker, linestyle="-" if line else "", color=colour, linewidth=1.8,
        markersize=5, markerfacecolor=colour if marker == "o" else "white", zorder=4,
    )  # fmt: skip


def _legend() -> list[Any]:
    grey = COLOURS["grey"]
    lines = [Line2D([], [], color=colour, marker="o", markersize=5, label=label) for colour, label in SIDES.values()]
    lines.append(Line2D([], [], color=grey, linestyle=":", label="base model"))
    for _, marker, label in CONTROLS.values():
        lines.append(Line2D([], [], color=grey, marker=marker, linestyle="", markerfacecolor="white", label=label))
    return lines
