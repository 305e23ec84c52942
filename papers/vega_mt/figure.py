"""The figure of the page, drawn from the record: what each step of the recipe changes against its control."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import gain_rows
from core.experiment.results import Record

FIRST = (
    ("multi", "all directions first", "blue"),
    ("bi", "both directions first", "orange"),
    ("equal_pairs", "all, no more pairs", "orange"),
    ("shuffled", "all, shuffled (null)", "grey"),
)
PSEUDO = (
    ("self_training", "both kinds", "blue"),
    ("forward", "forward alone", "orange"),
    ("backward", "backward alone", "orange"),
    ("cycled", "both, damaged and cleaned", "blue"),
    ("noisy", "both, damaged", "orange"),
    ("pseudo_shuffled", "both, shuffled (null)", "grey"),
)
LAST = (
    ("general", "several domains", "blue"),
    ("general_averaged", "several, averaged", "orange"),
    ("general_single", "one domain", "orange"),
    ("general_shuffled", "several, shuffled (null)", "grey"),
)
PANELS = (
    ("First phase", "than the direction alone", FIRST, "uni", "bleu"),
    ("Self-training", "than genuine pairs alone", PSEUDO, "genuine", "bleu"),
    ("Last phase (premise not met)", "than before it", LAST, "both", "general"),
)


def draw(record: Record) -> Figure:
    """A panel a step: BLEU more than its control has, with 95 % intervals over languages."""
    figure, axes = plt.subplots(1, 3, figsize=(12.5, 3.4))
    for axis, (title, than, arms, control, metric) in zip(axes, PANELS, strict=True):
        gain_rows(axis, record, metric, arms, control, form="{:+.1f}")
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(f"BLEU more {than}", fontsize=8)
        for text in axis.texts:  # the line at zero runs behind the numbers, not through them
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
    return figure
