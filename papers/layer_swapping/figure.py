"""The figure of the page, drawn from the record alone: the same sums in both languages, and what tuning changed."""

from __future__ import annotations

from statistics import fmean

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars
from core.experiment.report import COLOURS
from core.experiment.results import Record

ARMS = (
    ("swap", "layer swapping", "blue"),
    ("task", "maths expert", "orange"),
    ("language", "language expert", "green"),
    ("base", "base", "grey"),
    ("soup", "average of the two", "grey"),
    ("ties", "TIES", "grey"),
    ("joint", "one model, both data", "grey"),
    ("reverse", "swapped the other way", "grey"),
    ("random", "random layers", "grey"),
    ("stranger", "another language's layers (null)", "grey"),
)


def draw(record: Record) -> Figure:
    """Left, middle: shares of right sums, shown in English alone. Right: mean change of a layer, relative to all."""
    figure, axes = plt.subplots(1, 3, figsize=(10.4, 3.8), width_ratios=(1, 1, 0.9))
    for panel, (metric, title) in zip(
        axes, {"add": "Right: target language", "english": "Right: English"}.items(), strict=False
    ):
        arm_bars(panel, record, metric, ARMS)
        panel.set_title(title, fontsize=10)
    axes[1].set_yticklabels([])
    for variant, label, colour, at in (
        ("task", "maths tuning", "orange", 2),
        ("language", "language tuning", "green", 0),
    ):
        cells = [cell.details["all"] for cell in record.measurements.get(variant, {}).values()]
        if cells:
            curve = [fmean(layer) for layer in zip(*cells, strict=True)]
            relative = [value / fmean(curve) for value in curve]
            axes[2].plot(range(len(curve)), relative, "o-", color=COLOURS[colour])
            axes[2].annotate(label, (at, relative[at]), xytext=(6, -12 if at else 4), textcoords="offset points",
                             fontsize=8, color=COLOURS[colour])  # fmt: skip
    axes[2].set_title("What tuning changed", fontsize=10)
    axes[2].set_xlabel("layer (mean over all = 1)", fontsize=8)
    return figure
