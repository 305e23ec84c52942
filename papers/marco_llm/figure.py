"""The figure: what is kept and what is learnt by each mixture, along the stages, and what parallel text teaches.

Means with 95 % intervals over seeds and languages (or directions), as the verdicts have them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt

from core.experiment.paper import Check
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record, compare

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from core.metrics.intervals import Interval

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


def _interval(record: Record, metric: str, variant: str, control: str | float, unit: str) -> Interval:
    check = Check(id="", statement="", metric=metric, treatment=variant, control=control, unit=unit)
    return compare(check, control, record.measurements).interval


def _change(axes: Axes, record: Record) -> None:
    arms = [arm for arm in MIXTURES if arm[0] in record.measurements]
    axes.axhline(0, color="black", linewidth=0.8)
    axes.axhspan(0, 0.05, color=COLOURS["vermilion"], alpha=0.2, linewidth=0)
    axes.text(-0.45, 0.06, "allowed loss", fontsize=7, color=COLOURS["vermilion"])
    for place, (variant, _) in enumerate(arms):
        for shift, (group, colour, _) in zip((-0.2, 0.2), GROUPS, strict=True):
            found = _interval(record, f"{group}_bits", variant, "base", "language")
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
    # Between two new languages nothing may be right in any arm: then that is said and no empty bars are drawn.
    metrics = [
        (metric, alpha)
        for metric, alpha in (("exact", 0.75), ("exact_any", 0.35))
        if any(record.mean(variant, metric) > 0 for variant, *_ in arms)
    ]
    height = 0.8 / max(1, len(metrics))
    for row, (variant, _, colour) in enumerate(arms):
        for number, (metric, alpha) in enumerate(metrics):
            place = row + (number - (len(metrics) - 1) / 2) * height
            found = _interval(record, metric, variant, 0.0, "direction")
            low, high = max(0.0, found.low), min(1.0, found.high)
            axes.barh(place, found.estimate, height * 0.92, color=COLOURS[colour], alpha=alpha)
            axes.plot([low, high], [place, place], color="black", linewidth=1)
            axes.text(high + 0.015, place, f"{found.estimate:.2f}", va="center", fontsize=8)
    axes.set_yticks(range(len(arms)), [label for _, label, _ in arms], fontsize=8.5)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.05)
    axes.grid(axis="y", visible=False)
    trivial_lines(axes, record, "clean", vertical=True, names=("copy",))
    lower = "pale: between two new languages" if len(metrics) > 1 else "between two new languages: none right"
    axes.set_xlabel(f"share of held-out numbers right, English with new\n{lower}")
    axes.set_title("What parallel text teaches", pad=14)
