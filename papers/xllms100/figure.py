"""The figure of the page, drawn from the record alone: what every arm gains on stage 1, and every language."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import gain_rows, mean_of, unit_rows
from core.experiment.results import Record
from core.text.languages import name

ARMS = (
    ("xllms", "DPO, cross-lingual pairs", "blue"),
    ("both", "half of the pairs mono-lingual", "grey"),
    ("mono", "all pairs mono-lingual", "grey"),
    ("fewer", "cross-lingual, four languages", "grey"),
    ("by_lot", "preferences by lot (null)", "grey"),
    ("chosen", "no DPO: tuning on preferred answers", "green"),
)
GAINS = {"right_unseen": "Right answers", "on_target_unseen": "In the language asked for"}


def draw(record: Record) -> Figure:
    """Left: differences from instruction tuning alone, in directions without feedback. Right: every language."""
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.6), width_ratios=(1, 1, 0.9))
    for panel, (metric, title) in zip(axes, GAINS.items(), strict=False):
        gain_rows(panel, record, metric, ARMS, "sft")
        panel.set_title(title, fontsize=10)
        panel.set_xlabel(
            f"more than instruction tuning alone,\nwhich has {mean_of(record, 'sft', metric, 'language').estimate:.2f}",
            fontsize=8,
        )
    axes[1].set_yticklabels([])
    for text in (*axes[0].texts, *axes[1].texts):  # the line at zero runs behind the numbers, not through them
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
    unit_rows(axes[2], record, "on_target_unseen", (("xllms", "blue"), ("sft", "orange")), name)
    axes[2].set_title("Every language", fontsize=10)
    axes[2].set_xlabel("in the language asked for:\nbefore (orange), after (blue)", fontsize=8)
    return figure
