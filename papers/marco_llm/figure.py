"""The figure: what is kept and what is learnt, two stages and their halves, what parallel text teaches.

Means with 95 % intervals over seeds and languages (bits), directions (the old skill) or seeds (translation), as the
verdicts have them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from core.experiment.figures import arm_bars, gain_rows, mean_of
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MIXTURES = {"two_stage": "two stages\n(Marco-LLM)", "no_replay": "no replay", "old_only": "old languages\nalone"}
GROUPS = (("old", "vermilion"), ("new", "blue"))
COMPARED = (
    ("two_stage", "one_stage", "two stages\n− one stage", "blue"),
    ("two_stage", "average_mixture", "two stages\n− average mixture", "orange"),
    ("one_rate", "one_stage", "two mixtures, one decay\n− one stage", "orange"),
    ("two_stage", "one_rate", "two stages\n− two mixtures, one decay", "green"),
    ("average_mixture", "one_stage", "average mixture\n− one stage", "green"),
)
SKILL = (
    ("base", "before", "grey"),
    ("two_stage", "two stages", "blue"),
    ("one_stage", "one stage", "orange"),
    ("no_replay", "no replay (null)", "grey"),
)
BITEXT = (
    ("clean", "clean pairs", "blue"),
    ("filtered", "half wrong, filtered", "green"),
    ("noisy", "half wrong", "orange"),
    ("shuffled", "pairs shuffled (null)", "grey"),
)


def draw(record: Record) -> Figure:
    """Left: change of bits per byte by mixture. Right: differences between the arms in one and two stages; right
    translations among old languages, and of English with new ones."""
    figure, axes = plt.subplot_mosaic(
        [["change", "stages"], ["change", "skill"], ["change", "bitext"]], figsize=(9.6, 8), width_ratios=(1, 1.15),
        height_ratios=(1.5, 1, 1),
    )  # fmt: skip
    _change(axes["change"], record)
    _stages(axes["stages"], record)
    for name, metric, arms, unit in (("skill", "exact_old", SKILL, "direction"), ("bitext", "exact", BITEXT, "seed")):
        arm_bars(axes[name], record, metric, arms, unit)
    trivial_lines(axes["bitext"], record, "clean", vertical=True, names=("copy",))
    axes["skill"].set_xlabel("share of held-out numbers right, old languages")
    axes["skill"].set_title("What is left of the old skill")
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
        axes.text(0.02, 0.98 - 0.04 * line, f"{group} languages", color=COLOURS[colour], va="top", weight="bold",
                  transform=axes.transAxes)  # fmt: skip
    axes.set_xticks(range(len(arms)), [MIXTURES[variant] for variant in arms], fontsize=8.5)
    axes.grid(axis="x", visible=False)
    axes.margins(y=0.15)
    axes.set_ylabel("change of bits per byte, held-out text (down: better)")
    axes.set_title("What is learnt, what is forgotten")


def _stages(axes: Axes, record: Record) -> None:
    arms = [(one, label, colour) for one, _, label, colour in COMPARED]
    gain_rows(axes, record, "bits", arms, [other for _, other, _, _ in COMPARED], form="{:+.3f}")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(
        "difference in bits per byte (left: the first is better;\norange: by the order, green: by the rates)"
    )
    axes.set_title("Two stages, and their two halves")
