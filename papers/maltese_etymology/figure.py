"""The figure of the page, drawn from the record: words by origin, every arm, and the classifier behind them."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, rows
from core.experiment.paper import Check
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record, compare

GROUPS = (
    ("mrr", "all words"),
    ("mrr_related", "of Arabic\norigin"),
    ("mrr_other", "of other\norigin"),
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
    ("mle", "origin from memory", "grey"),
    ("deterministic", "predicted, not ranked", "grey"),
    ("permuted", "null: origins dealt out", "purple"),
    ("inverse", "null: the other words", "purple"),
)
CLASSIFIERS = (
    ("conditional", "memory + CRF", "blue"),
    ("distance", "distances", "grey"),
    ("mle", "memory", "vermilion"),
    ("permuted", "dealt out", "purple"),
)


def draw(record: Record) -> Figure:
    """Left: words by origin in three scripts. Middle: all arms. Right: tokens that training had not seen."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.4), width_ratios=(1.25, 1, 0.9))
    _origins(axes[0], record)
    for place, metric, arms, unit, solvers in (
        (1, "mrr", OTHERS, "word", ["letters"]),
        (2, "etymology_unseen", CLASSIFIERS, "sentence", ["majority_unseen"]),
    ):
        arm_bars(axes[place], record, metric, arms, unit)
        trivial_lines(axes[place], record, vertical=True, names=solvers)
    axes[1].set_xlim(0, 0.62)
    axes[1].set_title("All words, by who labels them", pad=14)
    axes[1].set_xlabel("mean reciprocal rank")
    axes[2].set_title("Origin of unseen tokens", pad=14)
    axes[2].set_xlabel("accuracy")
    return figure


def _origins(axes: Axes, record: Record) -> None:
    row, ticks = 0.0, []
    for metric, label in GROUPS:
        for number, (variant, text, colour) in enumerate(ARMS):
            whole = Check(id="", statement="", metric=metric, treatment=variant, unit="word")
            found = compare(whole, 0.0, record.measurements).interval
            axes.barh(row, found.estimate, height=0.84, color=COLOURS[colour], alpha=0.8)
            axes.plot([found.low, found.high], [row, row], color="black", linewidth=1.1)
            axes.text(found.high + 0.015, row, f"{found.estimate:.2f}", va="center", fontsize=9)
            if metric == "mrr":  # the colours are the same below, where long bars leave no room
                axes.text(found.high + 0.13, row, text, va="center", fontsize=9, color=COLOURS[colour], weight="bold")
            ticks += [(row, label)] if number == 1 else []
            row += 1
        row += 0.6
    rows(axes, [])
    axes.set_yticks([place for place, _ in ticks], [label for _, label in ticks], fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(row - 1, -0.6)
    axes.set_xlim(0, 1.12)
    axes.set_title("Maltese words find their English", pad=14)
    axes.set_xlabel("mean reciprocal rank, 95 % interval over words")
