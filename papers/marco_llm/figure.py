"""The figure: two stages against one, what is kept and what is learnt, and what parallel text teaches.

Means with 95 % intervals over seeds and languages (bits) or seeds (translation), as the verdicts have them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from core.experiment.figures import arm_bars, mean_of
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STAGES = {
    "one_stage": "one stage,\nsame tokens",
    "average_mixture": "average mixture,\nrates of two stages",
    "one_rate": "two mixtures,\none decay",
}
MIXTURES = {"two_stage": "two stages\n(Marco-LLM)", "no_replay": "no replay", "old_only": "old languages\nalone"}
BITEXT = (
    ("clean", "clean pairs", "blue"),
    ("filtered", "half wrong, filtered", "green"),
    ("noisy", "half wrong", "orange"),
    ("shuffled", "pairs shuffled (null)", "grey"),
)
GROUPS = (("old", "vermilion"), ("new", "blue"))


def draw(record: Record) -> Figure:
    """Left: change of bits per byte by mixture. Right: two stages minus each control, by seed; right translations."""
    figure, axes = plt.subplot_mosaic(
        [["change", "stages"], ["change", "bitext"]], figsize=(9.6, 6.6), width_ratios=(1, 1.15)
    )
    _change(axes["change"], record)
    _stages(axes["stages"], record)
    arm_bars(axes["bitext"], record, "exact", BITEXT, "seed")
    trivial_lines(axes["bitext"], record, "clean", vertical=True, names=("copy",))
    axes["bitext"].set_xlabel("share of held-out numbers right, English with new")
    axes["bitext"].set_title("What parallel text teaches", pad=14)
    return figure


def _change(axes: Axes, record: Record) -> None:
    arms = [variant for variant in MIXTURES if variant in record.measurements]
    axes.axhline(0, color="black", linewidth=0.8)
    for place, variant in enumerate(arms):
        for shift, (group, colour) in zip((-0.2, 0.2), GROUPS, strict=True):
            found, x = mean_of(record, variant, f"{group}_bits", "language", "base"), place + shift
            axes.bar(x, found.estimate, 0.38, color=COLOURS[colour], alpha=0.7)
            axes.plot([x, x], [found.low, found.high], color="black", linewidth=1.2)
            y, side = (found.low, "top") if found.estimate < 0 else (found.high, "bottom")
            axes.text(x, y, f"{found.estimate:+.2f}", ha="center", va=side, fontsize=8.5, weight="bold")
    for line, (group, colour) in enumerate(GROUPS):
        axes.text(0.02, 0.98 - 0.05 * line, f"{group} languages", color=COLOURS[colour], va="top", weight="bold",
                  transform=axes.transAxes)  # fmt: skip
    axes.set_xticks(range(len(arms)), [MIXTURES[variant] for variant in arms], fontsize=8.5)
    axes.grid(axis="x", visible=False)
    axes.margins(y=0.15)
    axes.set_ylabel("change of bits per byte, held-out text (down: better)")
    axes.set_title("What is learnt, what is forgotten")


def _stages(axes: Axes, record: Record) -> None:
    arms = [variant for variant in STAGES if variant in record.measurements]
    two = record.measurements["two_stage"]
    axes.axvline(0, color="black", linewidth=0.8)
    for row, variant in enumerate(arms):
        cells = record.measurements[variant]
        seeds = [two[seed].metrics["bits"] - cell.metrics["bits"] for seed, cell in cells.items() if seed in two]
        found = mean_of(record, "two_stage", "bits", "language", variant)
        axes.plot(seeds, [row + 0.2] * len(seeds), "o", color=COLOURS["grey"], markersize=4)
        axes.plot([found.low, found.high], [row, row], color="black", linewidth=1.4)
        axes.plot(found.estimate, row, "D", color=COLOURS["blue"], markersize=6)
        axes.text(found.estimate, row - 0.16, f"{found.estimate:+.3f}", ha="center", va="bottom", fontsize=9)
    axes.set_yticks(range(len(arms)), [STAGES[variant] for variant in arms], fontsize=9)
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("bits per byte, two stages minus this\n(left: two stages better; dots are seeds)")
    axes.set_title("Two stages, and their two halves")
