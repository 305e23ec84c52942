"""The figure of the page, drawn from the record alone: neutrality by arm, and of every language."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, by_unit, rows
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.text.languages import name

ARMS = (
    ("full", "LangSAMP: language and script", "blue"),
    ("lang", "language alone", "green"),
    ("script", "script alone", "green"),
    ("input", "at the input as well", "orange"),
    ("none", "no vectors (baseline)", "vermilion"),
    ("shuffled", "another chunk's (null)", "grey"),
)


def draw(record: Record) -> Figure:
    """How alike translations are, how much of the states is the language; right: with and without, by language."""
    figure, axes = plt.subplot_mosaic(
        [["cosine", "languages"], ["variance", "languages"]], figsize=(9.6, 5.8), width_ratios=(1.25, 1)
    )
    arm_bars(axes["cosine"], record, "pair_cosine", ARMS)
    axes["cosine"].set_title("Are translations alike?")
    axes["cosine"].set_xlabel("mean cosine of translations, states of the encoder")
    arm_bars(axes["variance"], record, "language_variance", ARMS)
    axes["variance"].set_title("How much of the states is the language?")
    axes["variance"].set_xlabel("share of the variance between languages, with 95 % interval")
    _languages(axes["languages"], record)
    return figure


def _languages(axes: Axes, record: Record) -> None:
    after, before = (by_unit(record, variant, "pair_cosine") for variant in ("full", "none"))
    order = sorted(after, key=lambda code: -after[code])
    for row, code in enumerate(order):
        axes.plot([before[code], after[code]], [row, row], color=COLOURS["blue"], linewidth=3, alpha=0.25)
    for values, colour, label in ((before, "vermilion", "no vectors"), (after, "blue", "LangSAMP")):
        axes.plot([values[code] for code in order], range(len(order)), "o", color=COLOURS[colour], markersize=5)
        axes.text(
            values[order[0]], -0.6, label, color=COLOURS[colour], fontsize=8, ha="center", va="bottom", weight="bold",
        )  # fmt: skip
    rows(axes, [name(code) for code in order], high=1.05)
    axes.set_xlim(left=min(0.0, *before.values()) - 0.03)
    axes.set_ylim(len(order) - 0.4, -1.5)
    axes.set_title("Every language")
    axes.set_xlabel("mean cosine with its translations")
