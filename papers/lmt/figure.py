"""The figure of the page, drawn from the record alone: where the way back is lost, and what each arm wins forward."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, interval, interval_marks
from core.experiment.report import trivial_lines
from core.experiment.results import Record

ARMS = (
    ("base", "before fine-tuning", "grey"),
    ("p0", "no pairs into English", "grey"),
    ("p5", "5 % of them (the paper's)", "blue"),
    ("symmetric", "all, targets repeated", "vermilion"),
    ("reworded", "all, each worded anew", "orange"),
    ("disjoint", "all, of other numbers too", "green"),
    ("shuffled", "these, of other sources (null)", "grey"),
)


def draw(record: Record) -> Figure:
    """Left: X → English of every arm. Right: English → X of the same arms."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.2), width_ratios=(1.5, 1), sharey=True)
    arm_bars(left, record, "x2p", ARMS)
    left.axvline(record.mean("base", "x2p"), color="black", linestyle=":", linewidth=1)
    trivial_lines(left, record, "base", vertical=True, names=("copy",))
    left.set_xlabel("exact match (95 % interval)")
    left.set_title("The way back: X → English")
    cells = [(record.measurements[arm], colour) for arm, _, colour in ARMS if arm in record.measurements]
    interval_marks(right, [(interval(found, "p2x_chrf"), colour) for found, colour in cells])
    right.set_xlabel("chrF++ (95 % interval)")
    right.set_title("The way out: English → X")
    return figure
