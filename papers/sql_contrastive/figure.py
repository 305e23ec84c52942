"""The figure of the page, drawn from the record alone: every arm, every language, what runs and what is right."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, metric_rows, unit_rows
from core.experiment.report import trivial_lines
from core.experiment.results import Record

ARMS = (
    ("start", "before any reward", "grey"),
    ("execution", "reward: it runs", "orange"),
    ("contrastive", "reward: it runs and is near", "blue"),
    ("mismatched", "near another question (null)", "grey"),
    ("tuned", "tuned on the encoder's pairs", "grey"),
    ("result", "reward: the gold result (bound)", "green"),
)
METRICS = {"valid": "runs", "result_match": "right rows", "semantic": "right rows on\nall copies"}


def draw(record: Record) -> Figure:
    """Left: semantic accuracy of every arm. Right: what runs and what is right; every language."""
    figure, axes = plt.subplot_mosaic(
        [["arms", "metrics"], ["arms", "languages"]], figsize=(9.6, 6.2), width_ratios=(1.2, 1), height_ratios=(1, 1.4)
    )
    arm_bars(axes["arms"], record, "semantic", ARMS)
    trivial_lines(axes["arms"], record, "execution", vertical=True, names=("nearest",))
    axes["arms"].set_xlabel("semantic accuracy (95 % interval)\nnearest: by spelling, among the encoder's pairs")
    axes["arms"].set_title("Every arm", pad=14)
    metric_rows(axes["metrics"], record, METRICS, (ARMS[2], ARMS[1]))
    axes["metrics"].set_xlabel("share of questions; small marks are seeds")
    axes["metrics"].set_title("What runs, and what is right", pad=14)
    unit_rows(axes["languages"], record, "semantic", (("contrastive", "blue"), ("execution", "orange")))
    axes["languages"].set_xlabel("semantic accuracy; colours as above")
    axes["languages"].set_title("Every language", pad=8)
    return figure
