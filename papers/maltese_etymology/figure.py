"""The figure of the page, drawn from the record: words by origin, every arm, and sentences."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, rows
from core.experiment.paper import Check
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record, compare

WORDS = (
    ("mrr", "all words"),
    ("mrr_related", "of Arabic\norigin"),
    ("mrr_other", "of other\norigin"),
)
TEXTS = (
    ("sentences", "find their\nEnglish"),
    ("topics", "topic is told\nby a probe"),
)
ARMS = (
    ("raw", "as written", "vermilion"),
    ("all", "all in Arabic script", "orange"),
    ("conditional", "Arabic origin alone", "blue"),
)
OTHERS = (
    ("gold", "origin as annotated", "sky"),
    ("conditional", "origin predicted", "blue"),
    ("distance", "origin by distances", "grey"),
    ("deterministic", "predicted, not ranked", "grey"),
    ("permuted", "null: origins dealt out", "purple"),
    ("inverse", "null: the other words", "purple"),
)


def draw(record: Record) -> Figure:
    """Left: words by origin in three scripts. Middle: who labels them. Right: sentences in three scripts."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.4), width_ratios=(1.25, 0.9, 1.05))
    _scripts(axes[0], record, WORDS, "word")
    axes[0].set_title("Words find their English", pad=14)
    axes[0].set_xlabel("mean reciprocal rank, 95 % interval over words")
    arm_bars(axes[1], record, "mrr", OTHERS, "word")
    trivial_lines(axes[1], record, vertical=True, names=["letters"])
    axes[1].set_xlim(0, 0.62)
    axes[1].set_title("All words, by who labels them", pad=14)
    axes[1].set_xlabel("mean reciprocal rank")
    _scripts(axes[2], record, TEXTS, "sentence")
    axes[2].set_title("Sentences", pad=14)
    axes[2].set_xlabel("mean reciprocal rank; accuracy")
    return figure


def _scripts(axes: Axes, record: Record, groups: Sequence[tuple[str, str]], unit: str) -> None:
    row, ticks = 0.0, []
    for metric, label in groups:
        for number, (variant, text, colour) in enumerate(ARMS):
            whole = Check(id="", statement="", metric=metric, treatment=variant, unit=unit)
            found = compare(whole, 0.0, record.measurements).interval
            axes.barh(row, found.estimate, height=0.84, color=COLOURS[colour], alpha=0.8)
            axes.plot([found.low, found.high], [row, row], color="black", linewidth=1.1)
            axes.text(found.high + 0.015, row, f"{found.estimate:.2f}", va="center", fontsize=9)
            if metric == "mrr":  # the colours are the same elsewhere, where long bars leave no room
                axes.text(found.high + 0.13, row, text, va="center", fontsize=9, color=COLOURS[colour], weight="bold")
            ticks += [(row, label)] if number == 1 else []
            row += 1
        row += 0.6
    rows(axes, [])
    axes.set_yticks([place for place, _ in ticks], [label for _, label in ticks], fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(row - 1, -0.6)
    axes.set_xlim(0, 1.15)
