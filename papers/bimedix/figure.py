"""The figure of the page, drawn from the record: what each tuning knows in each language, and where adapters matter."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.paper import Check
from core.experiment.report import COLOURS
from core.experiment.results import Record, compare
from core.metrics.intervals import Interval

LANGUAGES = (("en", "English", COLOURS["blue"]), ("ar", "Arabic", COLOURS["vermilion"]))
TUNINGS = (
    ("bilingual", "both languages"),
    ("english-only", "English alone"),
    ("arabic-only", "Arabic alone"),
    ("base", "base, not tuned"),
    ("permuted", "both, wrong answers\nlearnt (null)"),
)
PLACES = (
    ("bilingual", "attention, experts\nand router"),
    ("without-router", "attention and\nexperts"),
    ("attention", "attention, as many\nparameters"),
)
CHANCE = 0.25


def draw(record: Record) -> Figure:
    """Left: accuracy by tuning and language. Right: the same by what is adapted. 95 % intervals."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.6), width_ratios=(1.5, 1))
    metrics = [(f"accuracy_{code}", name, colour) for code, name, colour in LANGUAGES]
    _bars(left, record, TUNINGS, metrics)
    left.set_title("What is tuned on", pad=12)
    _bars(right, record, PLACES, metrics)
    right.set_title("What is adapted", pad=12)
    for axes in (left, right):
        axes.set_xlabel("accuracy on conditions never tuned on")
    return figure


def _bars(axes: Axes, record: Record, arms: Sequence[tuple[str, str]], metrics: Sequence[tuple[str, str, str]]) -> None:
    arms = [arm for arm in arms if arm[0] in record.measurements]
    height = 0.8 / len(metrics)
    for row, (variant, _) in enumerate(arms):
        for number, (metric, label, colour) in enumerate(metrics):
            place, found = row - 0.4 + height * (number + 0.5), _interval(record, variant, metric)
            axes.barh(place, found.estimate, height=0.92 * height, color=colour, alpha=0.75)
            low, high = max(0.0, found.low), min(1.0, found.high)
            axes.plot([low, high], [place, place], color="black", linewidth=1.2)
            axes.text(high + 0.015, place, f"{found.estimate:.2f}", va="center", fontsize=9)
            if not row and label:
                axes.text(0.02, place, label, va="center", fontsize=9, color="white", weight="bold")
    axes.axvline(CHANCE, color="black", linestyle=":", linewidth=1)
    axes.text(CHANCE, 1.005, "chance", fontsize=8, ha="center", va="bottom", transform=axes.get_xaxis_transform())
    axes.set_yticks(range(len(arms)), [label for _, label in arms])
    axes.set_ylim(len(arms) - 0.45, -0.55)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 1.14)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0])


def _interval(record: Record, variant: str, metric: str) -> Interval:
    whole = Check(id="", statement="", metric=metric, treatment=variant, unit="condition")
    return compare(whole, 0.0, record.measurements).interval
