"""The figure of the page, drawn from the record: one held-out pair in six languages and in two at once, and the scores.

Text stays text in it, so that a browser shows prompts in every script.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
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
    ("native", "captions in\nsix languages", "blue"),
    ("translate", "captions in English,\nprompts translated", "sky"),
    ("english_only", "captions\nin English", "orange"),
    ("shuffled", "captions of other\npictures (null)", "grey"),
)
SHEETS = ("english_only", "native")
SCORES = {
    f"{score}_{feature}": f"{name} {feature}"
    for score, name in (("clc", "CLC"), ("css_ef", "CSS-EF"), ("css_es", "CSS-ES"))
    for feature in miniature.FEATURES
}
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
        [["sheet"] * 3, ["foreign", "en", "scores"]], figsize=(8.8, 9.6), height_ratios=(2.2, 1)
    )
    labels = {variant: label for variant, label, _ in ARMS}
    first = {variant: record.measurements[variant][min(record.seeds)].details["samples"] for variant in SHEETS}
    foot = _sheet(axes["sheet"], [(labels[variant].replace("\n", " "), shown) for variant, shown in first.items()])
    for left, (colour, label) in zip((-6.0, -2.0, 3.2), FRAMES.values(), strict=True):
        _square(axes["sheet"], left, foot, 0.3, edgecolor=colour)
        axes["sheet"].text(left + 0.45, foot + 0.15, label, fontsize=8.5, va="center")
    for place, title, unit in (("foreign", "in five other languages", "language"), ("en", "in English", "seed")):
        arm_bars(axes[place], record, f"pairs_{place}", ARMS, unit)
        axes[place].set_title(f"Held-out pairs right,\n{title}", fontsize=9.5, pad=12)
    trivial_lines(axes["foreign"], record, "native", vertical=True, names=("crowd",))
    axes["en"].set_yticklabels([])
    for number, (variant, _, colour) in enumerate(arm for arm in ARMS if arm[0] in record.measurements):
        means, reach = bars([mean_of(record, variant, metric, "language") for metric in SCORES], low=-1)
        places = np.arange(len(SCORES)) + 0.18 * (number - 1.5)
        axes["scores"].errorbar(means, places, xerr=reach, fmt="o", color=COLOURS[colour], markersize=4, elinewidth=1.2)
    rows(axes["scores"], [*SCORES.values()])
    axes["scores"].set_title("Cosine with pictures of\nthe English prompt", fontsize=9.5, pad=12)
    return figure


def write_sheet(path: Path, sheet: Sequence[tuple[str, Any]]) -> Path:
    """A picture with one row a prompt: (prompt, images [n, height, width, 3] in [-1, 1])."""
    with style():
        _text_stays_text()
        shown = [{"prompt": text, "drawn": [{"codes": image} for image in images]} for text, images in sheet]
        figure, axes = plt.subplots(figsize=(6.5 + 1.1 * len(shown[0]["drawn"]), 1.2 + 1.2 * len(sheet)))
        _sheet(axes, [("", shown)])
        with replacing(path) as temporary:
            figure.savefig(temporary, metadata={"Date": None} if path.suffix == ".svg" else None)
        plt.close(figure)
    return path


def _text_stays_text() -> None:
    matplotlib.rcParams["svg.fonttype"] = "none"
    warnings.filterwarnings("ignore", r"Glyph \d+ .* missing", UserWarning)


def _sheet(axes: Axes, columns: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> float:
    """Prompts, and beside them a title and the pictures of each column; where they end."""
    shown, step = columns[0][1], 1 + GAP
    width = step * len(shown[0]["drawn"]) + 0.5
    for number, (title, column) in enumerate(columns):
        axes.text(number * width, -0.25, title, fontsize=11, weight="bold", va="bottom")
        for place, row in enumerate(column):
            for x, one in enumerate(row["drawn"]):
                _picture(axes, one["codes"], number * width + x * step, place * step, one.get("verdict", ""))
    for place, row in enumerate(shown):
        names = " + ".join(language_name(code) for code in row.get("languages", ()))
        axes.text(-0.25, place * step + 0.38, row["prompt"], fontsize=10, ha="right", va="center")
        axes.text(-0.25, place * step + 0.74, names, fontsize=8, ha="right", va="center", color=COLOURS["grey"])
    axes.set(xlim=(-6.2, len(columns) * width), ylim=(len(shown) * step + 0.6, -0.9), aspect="equal")
    axes.axis("off")
    return len(shown) * step + 0.1


def _square(axes: Axes, left: float, top: float, side: float, **look: Any) -> None:
    axes.add_patch(patches.Rectangle((left, top), side, side, **{"facecolor": "none", "linewidth": 2, **look}))


def _picture(axes: Axes, image: Any, left: float, top: float, verdict: str) -> None:
    """Codes or an image of the miniature as smooth shapes, any other image as it is; in a square of side 1."""
    found = np.asarray(image)
    if found.shape == (miniature.size, miniature.size, 3):
        found = np.asarray(miniature.encode(image[None])[0])
    if found.ndim == 3:
        axes.imshow(np.clip((found + 1) / 2, 0, 1), extent=(left, left + 1, top + 1, top), zorder=2)
    else:
        _square(axes, left, top, 1, facecolor="#1B1B1F", linewidth=0)
        for cell, value in enumerate(found.tolist()):
            if thing := miniature.KINDS.get(value):
                centre = (left + (cell % 3 + 0.5) / 3, top + (cell // 3 + 0.5) / 3)
                outline = _outline(thing.shape) * 0.12 + centre
                axes.add_patch(patches.Polygon(outline, facecolor=INKS[thing.colour], edgecolor="none", zorder=3))
    if verdict:
        _square(axes, left - 0.04, top - 0.04, 1.08, edgecolor=FRAMES[verdict][0])


def _outline(shape: str) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, 60)
    if shape == "heart":
        y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn) + 2.5
        return np.stack([16 * np.sin(turn) ** 3, -y], 1) / 15
    if shape == "circle":
        return np.stack([np.cos(turn), np.sin(turn)], 1)
    top = [(0.95, -0.9), (-0.95, -0.9)] if shape == "square" else [(0.0, -0.95)]
    return np.array([(-0.95, 0.9), (0.95, 0.9), *top])
