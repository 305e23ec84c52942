"""The figure of the page, drawn from the record alone: how often every arm is right, and which way it errs."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import bars, mean_of, rows
from core.experiment.report import COLOURS
from core.experiment.results import Record

ARMS = {
    "zero": "untuned", "english": "tuned in English", "spanish": "in Spanish", "spanglish": "in Spanglish",
    "bilingual": "in all three, as many", "tripled": "in all three, all of them", "by_lot": "grades by lot (null)",
}  # fmt: skip
CONDITIONS = (("en", "English", "blue"), ("es", "Spanish", "orange"), ("sp", "Spanglish", "green"))
PANELS = {"accuracy": "answers graded rightly", "rejected": "right ones rejected", "accepted": "wrong ones accepted"}


def draw(record: Record) -> Figure:
    """By condition: accuracy, false rejections, false acceptances."""
    figure, panels = plt.subplots(1, len(PANELS), figsize=(11, 3.8), sharey=True)
    for axes, (metric, label) in zip(panels, PANELS.items(), strict=True):
        by_arm(axes, record, metric)
        axes.set(xlabel=label, xlim=(0.4, 0.8) if metric == "accuracy" else (0.0, 1.0))
    panels[0].legend(fontsize=8, loc="lower right")
    return figure


def by_arm(axes: Axes, record: Record, metric: str) -> None:
    """A row an arm, a mark with its interval a condition."""
    arms = [arm for arm in ARMS if arm in record.measurements]
    for shift, (code, label, colour) in zip((-0.22, 0.0, 0.22), CONDITIONS, strict=True):
        means, ends = bars([mean_of(record, arm, f"{metric}_{code}", "territory") for arm in arms])
        places = [row + shift for row in range(len(arms))]
        axes.errorbar(means, places, xerr=ends, fmt="o", color=COLOURS[colour], markersize=4, linewidth=1, label=label)
    rows(axes, [ARMS[arm] for arm in arms])
    axes.axvline(0.5, color=COLOURS["grey"], linewidth=0.8, linestyle=":")
