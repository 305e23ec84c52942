"""The figure of the page, drawn from the record alone: every arm, taught languages against hubs, every language."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, by_unit, rows
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record

# variant, label, colour
ARMS = (
    ("full", "translation tasks (BayLing 2)", "blue"),
    ("no_xling", "none (the paper's ablation)", "orange"),
    ("monolingual", "monolingual text instead", "grey"),
    ("shuffled", "pairs shuffled (null)", "grey"),
    ("xling_only", "translations, nothing taught", "grey"),
    ("budget_64", "64 translations a language", "sky"),
    ("oracle", "taught in the languages too", "green"),
)
# What is taught in, and what is translated around.
HUBS = (
    ("one_hub", "English and Chinese, around English", "sky"),
    ("full", "English and Chinese, around both", "blue"),
    ("one_pivot", "English, around English", "sky"),
    ("en_xling", "English, around both", "blue"),
    ("zh_xling", "Chinese, around both", "blue"),
)


def draw(record: Record) -> Figure:
    """Left: the skills in tied languages by arm, and by what is taught and translated around. Right: every language."""
    figure, axes = plt.subplot_mosaic(
        [["arms", "languages"], ["hubs", "languages"]], figsize=(9.6, 6.6), width_ratios=(1.3, 1),
        height_ratios=(1.5, 1),
    )  # fmt: skip
    arm_bars(axes["arms"], record, "skills_x", ARMS)
    trivial_lines(axes["arms"], record, "full", vertical=True, names=("majority",))
    axes["arms"].set_title("The skills in tied languages", pad=14)
    arm_bars(axes["hubs"], record, "skills_x", HUBS)
    axes["hubs"].set_title("Taught in ..., translations around ...")
    axes["hubs"].set_xlabel("share right, next number and reversed digits (95 % interval)")
    _languages(axes["languages"], record)
    return figure


def _languages(axes: Axes, record: Record) -> None:
    """Tied languages above, untied ones below; each with and without translation tasks in the mixture."""
    place, ticks = 0, []
    rows(axes, [])
    for metric, title in (("skills_x", "tied by translation tasks"), ("skills_untied", "not tied")):
        without, full = (by_unit(record, variant, metric) for variant in ("no_xling", "full"))
        axes.text(1.03, place, title, fontsize=9, ha="right", va="center", weight="bold")
        for row, code in enumerate(sorted(full, key=lambda code: -full[code]), place + 1):
            axes.plot([without[code], full[code]], [row, row], color=COLOURS["grey"], linewidth=1)
            axes.plot(without[code], row, "o", color=COLOURS["orange"], markersize=4.5)
            axes.plot(full[code], row, "o", color=COLOURS["blue"], markersize=4.5)
            ticks.append((row, code))
        place += len(full) + 1
    axes.set_yticks([row for row, _ in ticks], [code for _, code in ticks], fontsize=7)
    axes.set_ylim(place, -1)
    axes.set_xlabel("share right; colours as on the left")
    axes.set_title("Every language")
