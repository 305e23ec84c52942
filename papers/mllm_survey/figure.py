"""The figure of the page, drawn from the record alone: what languages cost, and what representations have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import by_unit, mean_of
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.text.languages import name

# The trivial solvers stand in the arms' own measurements.
CURVES = (
    ("centred", "language mean taken away", "blue"),
    ("low-rank", "three directions of the means", "green"),
    ("common", "one mean for all languages", "vermilion"),
    ("raw", "as it is", "grey"),
    ("others", "another language's mean (null)", "purple"),
    ("untrained", "untrained, centred (null)", "orange"),
)
LABELLED = 6


def draw(record: Record) -> Figure:
    """Left: every language's parity with both tokenizers. Middle: retrieval by layer. Right: the nearest language."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.4), width_ratios=(1.05, 1, 1))
    _parity(axes[0], record)
    _layers(axes[1], record, "retrieval_by_layer", CURVES)
    axes[1].axhline(
        _constant(record, "centred", "trivial_retrieval_guess"), color="black", linewidth=0.8, linestyle=":"
    )
    axes[1].set_title("Messages that find their translation,\nmean of the languages")
    axes[1].legend(fontsize=7, loc="upper right")
    axes[1].set_ylim(0, 1.55 * axes[1].dataLim.y1)  # room for the legend
    _layers(axes[2], record, "nearest_by_layer", [line for line in CURVES if line[0] != "untrained"])
    axes[2].axhline(_constant(record, "centred", "trivial_nearest_guess"), color="black", linewidth=0.8, linestyle=":")
    axes[2].set_title("Messages whose nearest one\nis in their language")
    axes[2].set_ylim(0, 1.05)
    return figure


def _parity(axes: Axes, record: Record) -> None:
    heavy, even = (by_unit(record, variant, "parity") for variant in ("english", "balanced"))
    codes = sorted(heavy)
    x, y = (np.array([by[code] for code in codes]) for by in (heavy, even))
    ends = np.array([1.0, 1.05 * x.max()])
    axes.plot(ends, ends, color=COLOURS["grey"], linewidth=0.8)
    axes.scatter(x, y, color=COLOURS["blue"], s=16, zorder=3)
    for place in sorted(range(len(codes)), key=lambda place: y[place] - x[place])[:LABELLED]:
        axes.annotate(name(codes[place]), (x[place], y[place]), xytext=(0, 5), textcoords="offset points", fontsize=7,
                      ha="center")  # fmt: skip
    for values, line in ((x, axes.axvline), (y, axes.axhline)):
        line(float(values.mean()), color=COLOURS["blue"], linewidth=0.8, linestyle=(0, (2, 2)))
    gain = mean_of(record, "balanced", "parity", "language", "english")
    axes.set_title(f"Tokens for one of English, {len(codes)} languages\n"
                   f"{gain:+.2f}")  # fmt: skip
    axes.set_xlabel("tokenizer trained on 95 % English")
    axes.set_ylabel("tokenizer trained on even text")
    axes.set_ylim(0.9, 1.05 * max(float(y.max()), 1.0))


def _layers(axes: Axes, record: Record, key: str, lines: Sequence[tuple[str, str, str]]) -> None:
    for variant, label, colour in lines:
        cells = record.measurements[variant].values()
        values = np.mean([cell.details[key] for cell in cells], axis=0)
        axes.plot(values, color=COLOURS[colour], linewidth=1.8, label=label)
    axes.set_xlim(0, len(values) - 1)
    axes.set_xlabel("layer (0: embeddings)")


def _constant(record: Record, variant: str, metric: str) -> float:
    return float(np.mean([cell.metrics[metric] for cell in record.measurements[variant].values()]))
