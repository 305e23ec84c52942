"""The figure of the page, drawn from the record alone: every arm, taught languages against hubs, every language."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, by_unit, rows
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record
from core.text.languages import name

# variant, label, colour
ARMS = (
    ("full", "translation tasks (BayLing 2)", "blue"),
    ("no_xling", "none (the paper's ablation)", "orange"),
    ("monolingual", "monolingual text instead", "grey"),
    ("shuffled", "pairs shuffled (null)", "grey"),
    ("no_knowledge", "no base knowledge", "sky"),
    ("words", "no base knowledge, answers in words", "sky"),
    ("oracle", "taught in the languages too", "green"),
)
# What is taught in, and what is translated around.
HUBS = (
    ("one_hub", "English and Chinese, around English", "sky"),
    ("half", "the same, as many around both", "blue"),
    ("full", "the same, twice as many around both", "blue"),
    ("one_pivot", "English, around English", "sky"),
    ("en_xling", "English, twice as many around both", "blue"),
    ("zh_xling", "Chinese, twice as many around both", "blue"),
)


def draw(record: Record) -> Figure:
    """Left: the skills in tied languages by arm, and by what is taught and translated around. Right: every language."""
    figure, axes = plt.subplot_mosaic(
        [["arms", "languages"], ["hubs", "languages"]], figsize=(9.6, 6.8), width_ratios=(1.3, 1),
        height_ratios=(1.2, 1),
    )  # fmt: skip
    arm_bars(axes["arms"], record, "skills_x", ARMS)
    trivial_lines(axes["arms"], record, "full", vertical=True, names=("words",))
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
        axes.text(1.06, place, title, fontsize=8, ha="right", va="center", weight="bold")
        for row, code in enumerate(sorted(full, key=lambda code: -full[code]), place + 1):
            axes.plot([without[code], full[code]], [row, row], color=COLOURS["grey"], linewidth=1, zorder=1)
            for found, colour in ((without, "orange"), (full, "blue")):
                axes.scatter(found[code], row, s=22, color=COLOURS[colour], alpha=0.6, linewidths=0)
            ticks.append((row, name(code)))
        place += len(full) + 1
    axes.set_yticks([row for row, _ in ticks], [code for _, code in ticks], fontsize=6.5)
    axes.set_ylim(place, -1)
    axes.set_xlabel("share right")
    axes.set_title("Every language, one run each", pad=22)
    for colour, label in (("blue", "with translation tasks"), ("orange", "without")):
        axes.scatter([], [], s=22, color=COLOURS[colour], alpha=0.6, linewidths=0, label=label)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=7.5, frameon=False)
