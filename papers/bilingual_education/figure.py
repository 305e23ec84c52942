"""The figure of the page, drawn from the record alone: every arm in every condition, and what mixing costs."""

from __future__ import annotations

from statistics import fmean

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
MIXED = (
    ("english", "tuned in English", "blue"),
    ("spanish", "in Spanish", "orange"),
    ("bilingual", "in all three", "grey"),
)
RATES = ("unmixed", "mixed_33", "mixed_67", "mixed_100")


def draw(record: Record) -> Figure:
    """Left: accuracy by condition. Right: of English answers, by the share of words that are Spanish."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.6), width_ratios=(1.4, 1))
    by_arm(left, record)
    by_rate(right, record)
    return figure


def by_arm(axes: Axes, record: Record) -> None:
    """A row an arm, a mark with its interval a condition."""
    arms = [arm for arm in ARMS if arm in record.measurements]
    for shift, (code, label, colour) in zip((-0.22, 0.0, 0.22), CONDITIONS, strict=True):
        means, ends = bars([mean_of(record, arm, f"accuracy_{code}", "territory") for arm in arms])
        places = [row + shift for row in range(len(arms))]
        axes.errorbar(means, places, xerr=ends, fmt="o", color=COLOURS[colour], markersize=4, linewidth=1, label=label)
    rows(axes, [ARMS[arm] for arm in arms])
    axes.set_xlim(0.45, 0.78)
    axes.axvline(0.5, color=COLOURS["grey"], linewidth=0.8, linestyle=":")
    axes.set_xlabel("answers graded rightly (chance 0.5)")
    axes.legend(fontsize=8, loc="lower right")


def by_rate(axes: Axes, record: Record) -> None:
    """A line an arm over realised rates."""
    for shift, (arm, label, colour) in zip((0.0, -0.015, 0.015), MIXED, strict=True):
        if arm not in record.measurements:
            continue
        cells = record.measurements[arm].values()
        # Aside by a little, so that no interval hides another.
        rates = [shift + fmean(cell.metrics.get(f"{key}_rate", 0.0) for cell in cells) for key in RATES]
        means, ends = bars([mean_of(record, arm, key, "territory") for key in RATES])
        axes.errorbar(rates, means, yerr=ends, fmt="o-", color=COLOURS[colour], markersize=4, linewidth=1, label=label)
    axes.axhline(0.5, color=COLOURS["grey"], linewidth=0.8, linestyle=":")
    axes.set_ylim(0.4, 0.75)
    axes.set_xlabel("share of Spanish words in English answers")
    axes.set_ylabel("graded rightly")
    axes.legend(fontsize=8, loc="lower left")
