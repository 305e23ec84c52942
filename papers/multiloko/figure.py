"""The figure of the page, drawn from the record alone: what the diagnostics find of readers whose reading is known."""

from __future__ import annotations

from statistics import fmean

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import by_unit, interval_marks, mean_of, metric_rows, rows
from core.experiment.report import COLOURS
from core.experiment.results import Record

# variant, metric, what the reader has read, colour
EFFECTS = (
    ("own", "mte", "local facts in their\nlanguage alone", "blue"),
    ("half", "mte", "half of them\nin English too", "sky"),
    ("both", "mte", "all of them\nin English too", "green"),
    ("both", "mte_machine", "the same, questions\nmachine-translated", "vermilion"),
    ("english", "mte", "local facts in\nEnglish alone", "orange"),
    ("nothing", "mte", "nothing true (null)", "grey"),
    ("smollm2", "mte", "SmolLM2-135M", "black"),
)
GAPS = {
    "gap_truth": "what was read",
    "gap_current": "scorer current",
    "gap_v1": "scorer v1",
    "gap_initial": "scorer initial",
    "gap_of_equals": "equal languages,\nby chance",
}
NAMES = {"simplified_mandarin": "Mandarin"}


def draw(record: Record) -> Figure:
    """Left: mother-tongue effects with 95 % intervals. Middle: both terms of every language. Right: gaps by scorer."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4.6), width_ratios=(1, 0.8, 0.85))
    _effects(left, record)
    _languages(middle, record)
    metric_rows(right, record, GAPS, (("both", "", "green"),))
    right.set_xlabel("gap between best and worst language")
    right.set_title("The same answers, three scorers")
    return figure


def _effects(axes: Axes, record: Record) -> None:
    shown = [row for row in EFFECTS if row[0] in record.measurements]
    found = [(mean_of(record, variant, metric, "language"), colour) for variant, metric, _, colour in shown]
    interval_marks(axes, found)
    for row, (variant, metric, _, _) in enumerate(shown):
        cells = record.measurements[variant].values()
        if truths := [cell.metrics[name] for cell in cells if (name := f"{metric}_truth") in cell.metrics]:
            axes.plot(fmean(truths), row, "|", color="black", markersize=22, markeredgewidth=1.2)
        axes.text(
            found[row][0].estimate, row - 0.25, f"{found[row][0].estimate:+z.2f}", ha="center", va="bottom", fontsize=8
        )
    rows(axes, [label for _, _, label, _ in shown])
    axes.autoscale(axis="x")
    axes.margins(x=0.1)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("mother-tongue effect (line: what was read)")
    axes.set_title("What is found, by what was read")


def _languages(axes: Axes, record: Record) -> None:
    local, english = (by_unit(record, "own", metric) for metric in ("local", "in_english"))
    order = sorted(local, key=lambda code: english[code] - local[code])
    for row, code in enumerate(order):
        axes.plot([english[code], local[code]], [row, row], color=COLOURS["grey"], linewidth=1)
        axes.plot(english[code], row, "o", color=COLOURS["orange"], markersize=6)
        axes.plot(local[code], row, "o", color=COLOURS["blue"], markersize=5)
    rows(axes, [NAMES.get(code, code.capitalize()) for code in order])
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("exact match: in the language (blue), in English (orange)")
    axes.set_title("Read in the language alone")
