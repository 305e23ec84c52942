"""The figure: what is kept and what is learnt by each mixture, along the stages, and what parallel text teaches.

Means with 95 % intervals over seeds and languages (or directions), as the verdicts have them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt

from core.experiment.figures import arm_bars, bars, mean_of
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MIXTURES = (
    ("two_stage", "two stages\n(Marco-LLM)"),
    ("one_stage", "one stage,\nsame tokens"),
    ("no_replay", "two stages,\nno replay"),
    ("old_only", "old languages\nalone"),
)
BITEXT = (
    ("clean", "clean pairs", "blue"),
    ("filtered", "half wrong, filtered", "green"),
    ("noisy", "half wrong", "orange"),
    ("monolingual", "no pairs, same words", "grey"),
    ("shuffled", "pairs shuffled (null)", "grey"),
)
GROUPS = (("old", "vermilion", "old languages"), ("new", "blue", "new languages"))


def draw(record: Record) -> Figure:
    """Left: change of bits per byte by mixture. Right: the same along the stages; translations that are right."""
    figure, axes = plt.subplot_mosaic(
        [["change", "curves"], ["change", "bitext"]], figsize=(9.6, 6.6), width_ratios=(1.2, 1)
    )
    _change(axes["change"], record)
    _curves(axes["curves"], record)
    _bitext(axes["bitext"], record)
    return figure


def _change(axes: Axes, record: Record) -> None:
    arms = [arm for arm in MIXTURES if arm[0] in record.measurements]
    axes.axhline(0, color="black", linewidth=0.8)
    axes.axhspan(0, 0.05, color=COLOURS["vermilion"], alpha=0.2, linewidth=0)
    axes.text(-0.45, 0.06, "allowed loss", fontsize=7, color=COLOURS["vermilion"])
    for place, (variant, _) in enumerate(arms):
        for shift, (group, colour, _) in zip((-0.2, 0.2), GROUPS, strict=True):
            found = mean_of(record, variant, f"{group}_bits", "language", "base")
            axes.bar(place + shift, found.estimate, 0.38, color=COLOURS[colour], alpha=0.7)
            axes.plot([place + shift] * 2, [found.low, found.high], color="black", linewidth=1.2)
            below = found.estimate < 0
            axes.text(
                place + shift, (found.low - 0.03) if below else (found.high + 0.03), f"{found.estimate:+.2f}",
                ha="center", va="top" if below else "bottom", fontsize=8.5, weight="bold",
            )  # fmt: skip
    for line, (_, colour, label) in enumerate(GROUPS):
        axes.text(
            0.02, 0.98 - 0.05 * line, label, color=COLOURS[colour], weight="bold", va="top", transform=axes.transAxes
        )
    axes.set_xticks(range(len(arms)), [label for _, label in arms], fontsize=8.5)
    axes.grid(axis="x", visible=False)
    axes.margins(y=0.15)
    axes.set_ylabel("change of bits per byte, held-out text (down: better)")
    axes.set_title("What is learnt, what is forgotten")


def _curves(axes: Axes, record: Record) -> None:
    for variant, label, style in (
        ("two_stage", "two stages", "-"), ("one_stage", "one stage", "--"), ("no_replay", "no replay", ":"),
    ):  # fmt: skip
        if variant not in record.measurements:
            continue
        cells = [cell.details["mixture"] for cell in record.measurements[variant].values()]
        tokens = np.array([point["tokens"] for point in cells[0]["curve"]]) / 1000
        for group, colour, _ in GROUPS:
            curves = [[(point["tokens"] / 1000, point[group]) for point in cell["curve"]] for cell in cells]
            line = np.mean([np.interp(tokens, *np.transpose(curve)) for curve in curves], axis=0)
            axes.plot(tokens, line, style, color=COLOURS[colour], linewidth=1.6)
            if variant != "one_stage" and (group, variant) != ("old", "two_stage"):
                axes.text(tokens[-1] * 1.02, line[-1], label, fontsize=7.5, color=COLOURS[colour], va="center")
        if len(stages := cells[0]["stages"]) > 1 and variant == "two_stage":
            border = stages[0]["tokens"] / 1000
            axes.axvline(border, color=COLOURS["grey"], linewidth=0.8)
            axes.text(border, 1.0, " stage II", fontsize=7, va="top", transform=axes.get_xaxis_transform())
    axes.set_xlim(0, axes.get_xlim()[1] * 1.15)
    axes.set_xlabel("thousand tokens; dashed: one stage")
    axes.set_ylabel("bits per byte")
    axes.set_title("Along the stages, from the base on")


def _bitext(axes: Axes, record: Record) -> None:
    arms = [arm for arm in BITEXT if arm[0] in record.measurements]
    arm_bars(axes, record, "exact", arms, "direction")
    means, ends = bars([mean_of(record, variant, "exact_any", "direction") for variant, *_ in arms])
    places = np.arange(len(arms)) + 0.27
    axes.errorbar(means, places, xerr=ends, fmt="D", color="black", markersize=4, linewidth=0.8)
    trivial_lines(axes, record, "clean", vertical=True, names=("copy",))
    axes.set_xlabel("share of held-out numbers right, English with new;\ndiamonds: between two new languages")
    axes.set_title("What parallel text teaches", pad=14)
