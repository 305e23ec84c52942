"""The figure of the page, drawn from the record alone: every arm, taught languages against hubs, every language."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, unit_rows
from core.experiment.report import trivial_lines
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
        [["arms", "tied"], ["hubs", "tied"], ["hubs", "untied"]], figsize=(9.6, 6.8), width_ratios=(1.3, 1),
        height_ratios=(1.2, 0.3, 0.6),
    )  # fmt: skip
    arm_bars(axes["arms"], record, "skills_x", ARMS)
    trivial_lines(axes["arms"], record, "full", vertical=True, names=("words",))
    axes["arms"].set_title("The skills in tied languages", pad=14)
    arm_bars(axes["hubs"], record, "skills_x", HUBS)
    axes["hubs"].set_title("Taught in ..., translations around ...")
    axes["hubs"].set_xlabel("share right, next number and reversed digits (95 % interval)")
    for place, title in (("tied", "Tied by translation tasks"), ("untied", "Not tied")):
        metric = "skills_x" if place == "tied" else "skills_untied"
        unit_rows(axes[place], record, metric, (("full", "blue"), ("no_xling", "orange")), name)
        axes[place].set_title(title)
    axes["untied"].set_xlabel("share right, one run a language\n(blue: with translation tasks)")
    return figure
