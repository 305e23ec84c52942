"""The figure of the page, drawn from the record alone: where the way back is lost, and the paper's Figure 3."""

from __future__ import annotations

from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.paper import Check
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record, compare

ARMS = (
    ("base", "before fine-tuning", "grey"),
    ("p0", "no pairs into English", "grey"),
    ("p5", "5 % of them (the paper's)", "blue"),
    ("disjoint", "all, targets not repeated", "green"),
    ("symmetric", "all, targets repeated", "vermilion"),
    ("shuffled", "5 %, of other sources (null)", "grey"),
)
CURVE = {"p0": "0", "p1": "1", "p5": "5", "p10": "10", "symmetric": "100"}
SIDES = (("x2p", "X → English", "blue"), ("p2x", "English → X", "orange"))


def draw(record: Record) -> Figure:
    """Left: X → English of every arm. Right: both directions over the share of reverse pairs that is kept."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.2), width_ratios=(1.15, 1))
    _arms(left, record)
    _curve(right, record)
    return figure


def _arms(axes: Axes, record: Record) -> None:
    for row, (variant, _, colour) in enumerate(ARMS):
        found = _interval(record, variant, "x2p")
        axes.barh(row, found.estimate, color=COLOURS[colour], alpha=0.45, height=0.7)
        low, high = max(0.0, found.low), min(1.0, found.high)
        axes.plot([low, high], [row, row], color="black", linewidth=1.2)
        axes.text(high + 0.015, row, f"{found.estimate:.2f}", va="center", fontsize=10)
    base = record.mean("base", "x2p")
    axes.axvline(base, color="black", linestyle=":", linewidth=1)
    trivial_lines(axes, record, "base", vertical=True, names=("copy",))
    axes.set_yticks(range(len(ARMS)), [label for _, label, _ in ARMS])
    axes.set_ylim(len(ARMS) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 1.12)
    axes.set_xlabel("exact match, X → English (95 % interval)")
    axes.set_title("The way back into English")


def _curve(axes: Axes, record: Record) -> None:
    places = range(len(CURVE))
    for metric, label, colour in SIDES:
        found = [_interval(record, variant, metric) for variant in CURVE]
        axes.vlines(places, [one.low for one in found], [one.high for one in found], color=COLOURS[colour])
        axes.plot(places, [one.estimate for one in found], "o-", color=COLOURS[colour], linewidth=1.8, markersize=5)
        axes.axhline(record.mean("base", metric), color=COLOURS[colour], linestyle=":", linewidth=1.2)
        axes.text(0.1, found[0].estimate + 0.05, label, color=COLOURS[colour], fontsize=10, va="bottom")
    axes.set_xticks(places, [f"{share} %" for share in CURVE.values()])
    axes.set_ylim(0, 1.05)
    axes.set_xlabel("pairs into English that are kept; dotted: before")
    axes.set_title("Both directions")


def _interval(record: Record, variant: str, metric: str) -> Any:
    """Mean over languages and seeds with the interval that the verdicts use."""
    whole = Check(id="", statement="", metric=metric, treatment=variant, unit="language")
    return compare(whole, 0.0, record.measurements).interval
