"""The figure of the page, drawn from the record alone: what is lost, where neurons are, what alignment changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import interval_marks, mean_of, rows
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.text.languages import name

OFF = (
    ("related", "own", "specific and related:\nin the language", "blue"),
    ("related", "others", "the same, in the others", "sky"),
    ("specific", "own", "specific alone:\nin the language", "green"),
    ("specific", "others", "the same, in the others", "purple"),
    ("lape", "own", "LAPE's:\nin the language", "orange"),
    ("random", "own", "random ones of the\nsame layers (null)", "grey"),
    ("general", "others", "general ones too:\nin the others", "vermilion"),
)
KINDS = (("specific", "blue"), ("related", "green"), ("general", "vermilion"))
ALIGNED = (
    ("mapo", "right_trained", "MAPO: languages\nwith preferences", "blue"),
    ("mapo", "right_untrained", "the same, languages\nwithout", "sky"),
    ("imitate", "right_trained", "tuning on the better\nanswers: with", "green"),
    ("imitate", "right_untrained", "the same, without", "purple"),
    ("lot", "right_trained", "preferences by lot\n(null): with", "grey"),
    ("lot", "right_untrained", "the same, without", "grey"),
)


def draw(record: Record) -> Figure:
    """Means with 95 % intervals and every pair of languages; every layer, and alignment."""
    figure, axes = plt.subplots(2, 2, figsize=(9, 8))
    _marks(axes[0, 0], record, OFF)
    _name(axes[0, 0], "What is lost without them", "nats a token, SmolLM2-135M")
    _matrix(axes[0, 1], record)
    _layers(axes[1, 0], record)
    _marks(axes[1, 1], record, ALIGNED, "base")
    _name(axes[1, 1], "Sums after alignment", "more right answers than before")
    return figure


def _name(axes: Axes, title: str, x: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x, fontsize=8)


def _marks(axes: Axes, record: Record, arms: Sequence[tuple[str, str, str, str]], control: str | float = 0.0) -> None:
    shown = [row for row in arms if row[0] in record.measurements]
    found = []
    for variant, metric, _, colour in shown:
        # Two languages have preferences: their sums are drawn, elsewhere languages.
        unit = "language/sum" if metric == "right_trained" else "language"
        found.append((mean_of(record, variant, metric, unit, control), colour))
    interval_marks(axes, found)
    for row, (bar, _) in enumerate(found):
        axes.text(bar.estimate, row - 0.2, f"{bar.estimate:+z.2f}", ha="center", va="bottom", fontsize=8)
    rows(axes, [label for _, _, label, _ in shown])
    axes.autoscale(axis="x")
    axes.margins(x=0.1)
    axes.axvline(0, color="black", linewidth=0.8)


def _matrix(axes: Axes, record: Record) -> None:
    cells = [cell.details["nats"] for cell in record.measurements["related"].values()]
    codes = list(cells[0])
    mean = np.mean([[[cell[off][on] for on in codes] for off in codes] for cell in cells], axis=0)
    axes.imshow(np.log1p(np.maximum(mean, 0)), cmap="Blues")
    for i, j in np.ndindex(mean.shape):
        light = np.log1p(mean[i, j]) > 0.6 * np.log1p(mean.max())
        axes.text(
            j, i, f"{mean[i, j]:.1f}", ha="center", va="center", fontsize=8, color="white" if light else "black",
            weight="bold" if i == j else "normal",
        )  # fmt: skip
    axes.set_xticks(range(len(codes)), codes, fontsize=8)
    axes.set_yticks(range(len(codes)), [name(code) for code in codes], fontsize=8)
    axes.grid(visible=False)
    _name(axes, "Specific and related off", "nats a token lost in")


def _layers(axes: Axes, record: Record) -> None:
    found = [cell.details["layers"] for cell in record.measurements["related"].values()]
    for kind, colour in KINDS:
        mean = np.mean([cell[kind] for cell in found], axis=0)
        axes.plot(range(len(mean)), mean, "o-", color=COLOURS[colour], markersize=3, label=kind)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    axes.set_ylim(0)
    _name(axes, "Where they are", "layer of SmolLM2")
    axes.set_ylabel("neurons of 1,536", fontsize=8)
