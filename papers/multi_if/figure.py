"""The figure of the page, drawn from the record alone: what is followed by turn, what counts by age and language."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import by_unit, mean_of, rows
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.text.languages import name

ARMS = (
    ("multi_turn", "turn by turn", "blue"),
    ("merged", "all in one message", "orange"),
    ("oracle_history", "earlier replies follow all", "green"),
    ("decoy", "others checked (null)", "grey"),
)


def draw(record: Record) -> Figure:
    """Left: instructions followed at each turn. Middle: influence by age. Right: by language; 95 % intervals."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4.4), width_ratios=(1, 1, 0.9))
    _lines(left, record, [f"followed_{turn}" for turn in (1, 2, 3)], ARMS)
    left.set(ylim=(0, None), xlabel="turn", ylabel="share of the instructions in force")
    left.set_xticks(range(3), ["1", "2", "3"])
    left.set_title("Followed in what the model writes")
    left.legend(frameon=False, fontsize=8)
    _lines(middle, record, ["influence_age_0", "influence_age_2"], [ARMS[0], ARMS[3]])
    middle.axhline(0, color="black", linewidth=0.8)
    middle.set(xlim=(-0.4, 1.4), xlabel="when it was asked for", ylabel="influence on the choice of a reply (nats)")
    middle.set_xticks(range(2), ["just now", "two turns ago"])
    middle.set_title("What an instruction counts, at turn 3")
    _languages(right, record)
    return figure


def _lines(axes: Axes, record: Record, metrics: Sequence[str], arms: Sequence[tuple[str, str, str]]) -> None:
    for shift, (variant, label, colour) in enumerate(arms):
        known = next(iter(record.measurements[variant].values())).units
        found = [mean_of(record, variant, metric, "language") for metric in metrics if metric in known]
        # What is measured at one turn alone is the last.
        x = [place + 0.04 * (shift - 1) for place in range(len(metrics) - len(found), len(metrics))]
        axes.plot(x, [one.estimate for one in found], "o-", color=COLOURS[colour], label=label, markersize=5)
        for at, one in zip(x, found, strict=True):
            axes.plot([at, at], [one.low, one.high], color=COLOURS[colour], linewidth=1)


def _languages(axes: Axes, record: Record) -> None:
    new, old = (by_unit(record, "multi_turn", f"influence_age_{age}") for age in (0, 2))
    order = sorted(new, key=lambda code: -new[code])
    for row, code in enumerate(order):
        axes.plot([old[code], new[code]], [row, row], color=COLOURS["grey"], linewidth=1)
        axes.plot(old[code], row, "o", color=COLOURS["vermilion"], markersize=5)
        axes.plot(new[code], row, "o", color=COLOURS["blue"], markersize=5)
    rows(axes, [name(code) for code in order])
    axes.autoscale(axis="x")
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("nats: given now (blue), two turns ago (red)")
    axes.set_title("Turn by turn, by language")
