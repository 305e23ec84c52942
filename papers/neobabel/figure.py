"""The figures, drawn from the record: what is bound, and one held-out pair in six languages and in two at once."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, mean_of
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.text.languages import name as language_name
from core.worlds.shapes import decode, frame, sheet

ARMS = (
    ("native", "captions in\nsix languages", "blue"),
    ("translate", "captions in English,\nprompts translated", "sky"),
    ("english_only", "captions\nin English", "orange"),
    ("shuffled", "captions of other\npictures (null)", "grey"),
    ("crowd", "nine random\nobjects", "grey"),
)
FRAMES = {
    "exact": (COLOURS["green"], "exactly what was asked for"),
    "more": (COLOURS["sky"], "and more (GenEval lets it pass)"),
    "wrong": (COLOURS["vermilion"], "does not pass"),
}


def break_even(native: float, english: float) -> float:
    """The share r of wrong words at which translating first is level, where English (1 - r)^4 = native.

    A pair has four words, and one wrong word spoils it. It is 0 where even translations without a mistake are behind.
    """
    return 1 - (min(max(native, 0.0), english) / english) ** 0.25 if english > 0 else 0.0


def draw(record: Record) -> Figure:
    """What is bound, and the break-even."""
    figure, axes = plt.subplot_mosaic([["foreign", "en", "words"]], figsize=(8.8, 3.3))
    for place, title, unit in (("foreign", "in five other languages", "language"), ("en", "in English", "seed")):
        arm_bars(axes[place], record, f"bound_{place}", ARMS, unit)
        axes[place].set_title(f"Colours bound to shapes\n{title}", fontsize=9.5, pad=12)
    axes["en"].set_yticklabels([])
    _words(axes["words"], record)
    return figure


def draw_sheet(record: Record) -> Figure:
    """Pictures of the first seed's first held-out pair, by language and arm."""
    figure, axes = plt.subplots(figsize=(7.8, 6.4))
    columns = []
    for variant, label, _ in (arm for arm in (ARMS[2], ARMS[1], ARMS[0]) if arm[0] in record.measurements):
        found = record.measurements[variant][min(record.seeds)].details["samples"]
        shown = [[(one["codes"], FRAMES[one["verdict"]][0]) for one in row["drawn"][:2]] for row in found]
        columns.append(
            (label, [[(decode(torch.tensor([codes]))[0], colour) for codes, colour in row] for row in shown])
        )
    prompts = [(row["prompt"], " + ".join(language_name(code) for code in row["languages"])) for row in found]
    foot = sheet(axes, prompts, columns)
    axes.set_xlim(left=-4.7)
    for left, (colour, label) in zip((-4.5, -0.7, 4.4), FRAMES.values(), strict=True):
        frame(axes, left, foot, 0.3, colour)
        axes.text(left + 0.45, foot + 0.15, label, fontsize=8.5, va="center")
    return figure


MORE = {"sheet": draw_sheet}


def _words(axes: Axes, record: Record) -> None:
    """What translated prompts can reach, by the share of words that are translated wrongly, and where that is level."""
    wrong = np.linspace(0, 0.6, 61)
    english, native = record.mean("english_only", "bound_en"), record.mean("native", "bound_foreign")
    axes.plot(wrong, english * (1 - wrong) ** 4, color=COLOURS["sky"])
    axes.axhline(native, color=COLOURS["blue"])
    sure = mean_of(record, "native", "bound_foreign", "language")
    axes.axhspan(sure.low, sure.high, color=COLOURS["blue"], alpha=0.15, linewidth=0)
    level = break_even(native, english)
    axes.axvline(level, color=COLOURS["grey"], linewidth=0.8, linestyle=(0, (2, 2)))
    axes.text(level, 0.97, f" {level:.2f}", fontsize=9, va="top")
    axes.set(xlim=(0, 0.6), ylim=(0, 1), xlabel="share of words translated wrongly")
    axes.set_title("Translating first (curve),\nsix languages (line, 95 %)", fontsize=9.5, pad=12)
