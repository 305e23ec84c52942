"""The figure of the page, drawn from the record: every arm, in words by origin, topics and sentences."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars
from core.experiment.report import trivial_lines
from core.experiment.results import Record

ARMS = (
    ("conditional", "Arabic origin alone in Arabic script", "blue"),
    ("gold", "the same, origin as annotated", "sky"),
    ("distance", "the same, origin by distances", "grey"),
    ("deterministic", "the same, readings not ranked", "grey"),
    ("raw", "as written", "vermilion"),
    ("all", "all in Arabic script", "orange"),
    ("permuted", "null: origins dealt out anew", "purple"),
    ("inverse", "null: the other words alone", "purple"),
)
PANELS = (
    ("mrr", "word", "Words find\ntheir English", "letters"),
    ("mrr_related", "word", "those of\nArabic origin", "letters_related"),
    ("mrr_other", "word", "those of\nother origin", "letters_other"),
    ("topics", "sentence", "Topics, told\nby a probe", "topics_letters"),
    ("sentences", "sentence", "Sentences find\ntheir English", ""),
)


def draw(record: Record) -> Figure:
    """A panel a measure, a row an arm; the dotted line is what letters alone reach."""
    figure, axes = plt.subplots(1, len(PANELS), figsize=(11, 4.2), sharey=True)
    for panel, (metric, unit, title, solver) in zip(axes, PANELS, strict=True):
        arm_bars(panel, record, metric, ARMS, unit)
        if solver:
            trivial_lines(panel, record, vertical=True, names=(solver,))
        panel.set_xlim(0, 1.2)
        panel.set_title(title, pad=14)
        panel.set_xlabel("accuracy" if metric == "topics" else "reciprocal rank")
    return figure
