"""The figure of the page, drawn from the record alone: what other languages cost, and whether it is found."""

from __future__ import annotations

from collections import Counter
from statistics import fmean

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import mean_of, rows
from core.experiment.report import COLOURS
from core.experiment.results import Record

LANGUAGES = {
    "en": ("English", "grey"), "es": ("Spanish", "blue"), "zh": ("Chinese", "orange"), "hi": ("Hindi", "vermilion"),
}  # fmt: skip
# metric, what it is called, arm
SHOWN = (
    ("auc", "verifiability\nSmolLM2", "model"),
    ("auc", "verifiability\nencoder (e5)", "e5"),
    ("right", "expert's answer\nlikeliest", "model"),
    ("wrong", "contradiction\nlikeliest", "model"),
    ("alike", "consistency\nSmolLM2", "model"),
)
AXES = {"right": ("right answers", "s"), "wrong": ("contradictions", "^"), "alike": ("consistency", "D")}


def draw(record: Record) -> Figure:
    """Left: axes by language. Middle: each question in English and in Hindi. Right: losses of stand-ins."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4.4), width_ratios=(1.15, 0.85, 0.85))
    _axes(left, record)
    _questions(middle, record)
    _known(right, record)
    return figure


def _axes(axes: Axes, record: Record) -> None:
    codes = [code for code in LANGUAGES if f"auc_{code}" in next(iter(record.measurements["model"].values())).metrics]
    for row, (metric, _, arm) in enumerate(SHOWN):
        for place, code in enumerate(codes):
            name, colour = LANGUAGES[code]
            bar = mean_of(record, arm, f"{metric}_{code}", "item")
            y = row + 0.18 * (place - (len(codes) - 1) / 2)
            axes.plot([max(bar.low, -0.2), min(bar.high, 1)], [y, y], color=COLOURS[colour], linewidth=1.4)
            axes.plot(bar.estimate, y, "o", color=COLOURS[colour], markersize=5, label="" if row else name)
    rows(axes, [label for _, label, _ in SHOWN])
    axes.autoscale(axis="x")
    axes.plot([0.5, 0.5], [-0.5, 1.5], color="black", linewidth=0.8, linestyle=":")
    axes.legend(fontsize=8, loc="lower right")
    axes.set_xlabel("mean over questions (AUC, share, or alikeness)")
    axes.set_title("What other languages cost\n(dotted: chance)")


def _questions(axes: Axes, record: Record) -> None:
    cells = [cell.units for cell in record.measurements["model"].values()]
    points = Counter(
        tuple(round(fmean(units[f"auc_{code}"][key] for units in cells), 2) for code in ("en", "hi"))
        for key in cells[0]["auc_en"]
    )
    axes.plot([0, 1], [0, 1], color=COLOURS["grey"], linewidth=0.8)
    for (english, hindi), count in points.items():
        axes.plot(english, hindi, "o", color=COLOURS["vermilion"], markersize=5 * count**0.5, alpha=0.6)
    axes.set_xlim(-0.06, 1.06)
    axes.set_ylim(-0.06, 1.06)
    axes.set_xlabel("AUC in English")
    axes.set_ylabel("AUC in Hindi")
    axes.set_title("Each question, SmolLM2\n(area: questions)")


def _known(axes: Axes, record: Record) -> None:
    for arm, colour in (("even", "grey"), ("uneven", "green")):
        for metric, (name, mark) in AXES.items():
            found, true = (mean_of(record, arm, f"loss_{metric}{end}", "item") for end in ("", "_truth"))
            label = name if arm == "uneven" else ""
            axes.plot(true.estimate, found.estimate, mark, color=COLOURS[colour], markersize=6, label=label)
            axes.plot([true.estimate] * 2, [found.low, found.high], color=COLOURS[colour], linewidth=1)
    axes.axline((0, 0), slope=1, color="black", linewidth=0.8)
    axes.legend(fontsize=8, loc="lower right")
    axes.set_xlabel("loss outside English, true")
    axes.set_ylabel("measured")
    axes.set_title("Speakers of known faults\n(grey: equal in all languages)")
