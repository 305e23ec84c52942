"""The figure of the page, drawn from the record: one held-out pair in six languages and in two at once, and the scores.

Text stays text in it, so that a browser shows prompts in every script.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import patches
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, bars, mean_of, rows
from core.experiment.report import COLOURS, style, trivial_lines
from core.experiment.results import Record
from core.files import replacing
from core.text.languages import name as language_name
from papers.neobabel import miniature

ARMS = (
    ("native", "captions in six languages", "blue"),
    ("translate", "captions in English,\nprompts translated", "sky"),
    ("english_only", "captions in English", "orange"),
    ("shuffled", "captions of other\npictures (null)", "grey"),
)
SHEETS = ("english_only", "native")
SCORES = [f"{score}_{feature}" for score in ("clc", "css_ef", "css_es") for feature in miniature.FEATURES]
FRAMES = {
    "exact": (COLOURS["green"], "exactly what was asked for"),
    "more": (COLOURS["sky"], "and more (GenEval lets it pass)"),
    "wrong": (COLOURS["vermilion"], "something else"),
}
INKS = {
    "red": "#E5484D", "green": "#30A46C", "blue": "#4C82FB", "yellow": "#F5D90A", "purple": "#B75FE0",
    "turquoise": "#25C9C9", "white": "#F5F5F5",
}  # fmt: skip
GAP = 0.16


def draw(record: Record) -> Figure:
    """Above: pictures of the first seed's first held-out pair. Below: scores with 95 % intervals."""
    _text_stays_text()
    figure, axes = plt.subplot_mosaic(
        [["sheet"] * 3, ["foreign", "en", "scores"]], figsize=(8.8, 10.4), height_ratios=(2.4, 1)
    )
    _samples(axes["sheet"], record)
    for place, title, unit in (("foreign", "in five other languages", "language"), ("en", "in English", "seed")):
        arm_bars(axes[place], record, f"pairs_{place}", ARMS, unit)
        axes[place].set_title(f"Held-out pairs right,\n{title}")
    trivial_lines(axes["foreign"], record, "native", vertical=True, names=("crowd",))
    axes["en"].set_yticklabels([])
    for number, (variant, _, colour) in enumerate(arm for arm in ARMS if arm[0] in record.measurements):
        means, reach = bars([mean_of(record, variant, metric, "language") for metric in SCORES])
        places = np.arange(len(SCORES)) + 0.18 * (number - 1.5)
        axes["scores"].errorbar(means, places, xerr=reach, fmt="o", color=COLOURS[colour], markersize=4, elinewidth=1.2)
    rows(axes["scores"], [name.replace("_", " ").replace("c", "C").upper() for name in SCORES])
    axes["scores"].set_title("As in English: another\nlanguage, or two (cosine)")
    return figure


def write_sheet(path: Path, sheet: Sequence[tuple[str, Any]]) -> Path:
    """A picture with one row a prompt: (prompt, images [n, height, width, 3] in [-1, 1])."""
    with style():
        _text_stays_text()
        most = max(len(images) for _, images in sheet)
        figure, axes = plt.subplots(figsize=(4.5 + 1.1 * most, 0.4 + 1.2 * len(sheet)))
        for row, (prompt, images) in enumerate(sheet):
            axes.text(-0.2, row * (1 + GAP) + 0.5, prompt, ha="right", va="center", fontsize=11)
            for column, image in enumerate(images):
                _picture(axes, image, column * (1 + GAP), row * (1 + GAP))
        _bare(axes, (-0.4 * most - 3, most * (1 + GAP)), (len(sheet) * (1 + GAP) + 0.1, -0.1))
        with replacing(path) as temporary:
            figure.savefig(temporary, metadata={"Date": None} if path.suffix == ".svg" else None)
        plt.close(figure)
    return path


def _text_stays_text() -> None:
    matplotlib.rcParams["svg.fonttype"] = "none"
    warnings.filterwarnings("ignore", r"Glyph \d+ .* missing", UserWarning)


def _bare(axes: Axes, sides: tuple[float, float], ends: tuple[float, float]) -> None:
    axes.set(xlim=sides, ylim=ends, aspect="equal")
    axes.axis("off")


def _samples(axes: Axes, record: Record) -> None:
    labels, width = {variant: label for variant, label, _ in ARMS}, 3 * (1 + GAP) + 0.5
    for number, variant in enumerate(SHEETS):
        by_seed = record.measurements[variant]
        shown: list[dict[str, Any]] = by_seed[min(by_seed)].details["samples"]
        axes.text(number * width, -0.25, labels[variant], fontsize=11, weight="bold", va="bottom")
        for place, row in enumerate(shown):
            top = place * (1 + GAP)
            if not number:
                names = " + ".join(language_name(code) for code in row["languages"])
                axes.text(-0.25, top + 0.38, row["prompt"], fontsize=10, ha="right", va="center")
                axes.text(-0.25, top + 0.74, names, fontsize=8, ha="right", va="center", color=COLOURS["grey"])
            for column, one in enumerate(row["drawn"]):
                _picture(axes, one["codes"], number * width + column * (1 + GAP), top, FRAMES[one["verdict"]][0])
    foot = len(shown) * (1 + GAP) + 0.25
    for left, (colour, label) in zip((-6.0, -2.4, 1.9), FRAMES.values(), strict=True):
        axes.add_patch(patches.Rectangle((left, foot - 0.15), 0.3, 0.3, fill=False, edgecolor=colour, linewidth=2))
        axes.text(left + 0.45, foot, label, fontsize=9, va="center")
    _bare(axes, (-6.2, 2 * width), (foot + 0.35, -0.9))


def _picture(axes: Axes, image: Any, left: float, top: float, frame: str | None = None) -> None:
    """Codes or an image of the miniature as smooth shapes, any other image as it is; in a square of side 1."""
    found = np.asarray(image)
    if found.shape == (miniature.size, miniature.size, 3):
        found = np.asarray(miniature.encode(image[None])[0])
    if found.ndim == 3:
        axes.imshow(np.clip((found + 1) / 2, 0, 1), extent=(left, left + 1, top + 1, top), zorder=2)
    else:
        axes.add_patch(patches.Rectangle((left, top), 1, 1, facecolor="#1B1B1F", edgecolor="none", zorder=2))
        for cell, value in enumerate(found.tolist()):
            if thing := miniature.KINDS.get(value):
                centre = (left + (cell % 3 + 0.5) / 3, top + (cell // 3 + 0.5) / 3)
                outline = _outline(thing.shape) * 0.12 + centre
                axes.add_patch(patches.Polygon(outline, facecolor=INKS[thing.colour], edgecolor="none", zorder=3))
    if frame:
        around = patches.Rectangle((left - 0.04, top - 0.04), 1.08, 1.08, fill=False, edgecolor=frame, linewidth=2)
        axes.add_patch(around)


def _outline(shape: str) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, 60)
    if shape == "heart":
        y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn) + 2.5
        return np.stack([16 * np.sin(turn) ** 3, -y], 1) / 15
    if shape == "circle":
        return np.stack([np.cos(turn), np.sin(turn)], 1)
    top = [(0.95, -0.9), (-0.95, -0.9)] if shape == "square" else [(0.0, -0.95)]
    return np.array([(-0.95, 0.9), (0.95, 0.9), *top])
