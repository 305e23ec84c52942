"""The figure of the page, drawn from the record alone: where the way back is lost, and the paper's Figure 3."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, interval
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record

ARMS = (
    ("base", "before fine-tuning", "grey"),
    ("p0", "no pairs into English", "grey"),
    ("p5", "5 % of them (the paper's)", "blue"),
    ("disjoint", "all, targets not repeated", "green"),
    ("symmetric", "all, targets repeated", "vermilion"),
    ("shuffled", "5 %, of other sources (null)", "grey"),
)
CURVE = {"p0": "0", "p5": "5", "p20": "20", "symmetric": "100"}
SIDES = (("x2p", "X → English", "blue"), ("p2x", "English → X", "orange"))


def draw(record: Record) -> Figure:
    """Left: X → English of every arm. Right: both directions over the share of reverse pairs that is kept."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.2), width_ratios=(1.15, 1))
    arm_bars(left, record, "x2p", ARMS)
    left.axvline(record.mean("base", "x2p"), color="black", linestyle=":", linewidth=1)
    trivial_lines(left, record, "base", vertical=True, names=("copy",))
    left.set_xlabel("exact match, X → English (95 % interval)")
    left.set_title("The way back into English")
    _curve(right, record)
    return figure


def _curve(axes: Axes, record: Record) -> None:
    curve = {variant: share for variant, share in CURVE.items() if variant in record.measurements}
    places = range(len(curve))
    for metric, label, colour in SIDES:
        found = [interval(record.measurements[variant], metric) for variant in curve]
        axes.vlines(places, [one.low for one in found], [one.high for one in found], color=COLOURS[colour])
        axes.plot(places, [one.estimate for one in found], "o-", color=COLOURS[colour], linewidth=1.8, markersize=5)
        axes.axhline(record.mean("base", metric), color=COLOURS[colour], linestyle=":", linewidth=1.2)
        axes.text(0.1, found[0].estimate + 0.05, label, color=COLOURS[colour], fontsize=10, va="bottom")
    axes.set_xticks(places, [f"{share} %" for share in curve.values()])
    axes.set_ylim(0, 1.05)
    axes.set_xlabel("pairs into English that are kept; dotted: before")
    axes.set_title("Both directions")
