"""The figure of the page, drawn from the record alone: every arm, every language, and what is paid at home."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, metric_rows, unit_rows
from core.experiment.report import trivial_lines
from core.experiment.results import Record

ARMS = (
    ("xllms", "DPO, cross-lingual pairs", "blue"),
    ("sft", "instruction tuning alone", "orange"),
    ("chosen", "tuning on the preferred answers", "green"),
    ("both", "DPO, half of the pairs mono-lingual", "grey"),
    ("mono", "DPO, mono-lingual pairs", "grey"),
    ("fewer", "DPO, pairs in four languages", "grey"),
    ("by_lot", "DPO, preferences by lot (null)", "grey"),
)
GROUPS = {
    "right_seen": "directions\nwith feedback",
    "right_unseen": "directions\nwithout",
    "right_new": "a language\nwithout",
    "right_own": "its own\nlanguage",
}


def draw(record: Record) -> Figure:
    """Left: right answers of every arm in directions without feedback. Right: other groups; every language."""
    figure, axes = plt.subplot_mosaic(
        [["arms", "groups"], ["arms", "languages"]], figsize=(9.6, 6.2), width_ratios=(1.2, 1)
    )
    arm_bars(axes["arms"], record, "right_unseen", ARMS)
    trivial_lines(axes["arms"], record, "xllms", vertical=True, names=("language",))
    axes["arms"].set_xlabel("right answers in directions without feedback (95 % interval)")
    axes["arms"].set_title("Every arm", pad=14)
    metric_rows(axes["groups"], record, GROUPS, ARMS[:3])
    axes["groups"].set_xlabel("right answers; small marks are seeds")
    axes["groups"].set_title("Where", pad=14)
    unit_rows(axes["languages"], record, "right_unseen", (("xllms", "blue"), ("sft", "orange")))
    axes["languages"].set_xlabel("right answers in directions without feedback, by language of the answer")
    axes["languages"].set_title("Every language", pad=8)
    return figure
