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

from core.experiment.report import COLOURS, style, trivial_lines
from core.experiment.results import Record
from core.experiment.run import Measurement
from core.files import replacing
from core.metrics.comparison import compare
from core.metrics.intervals import Interval
from core.text.languages import name as language_name
from papers.neobabel import miniature

SHEETS = (("english_only", "captions in English"), ("native", "captions in six languages"))
ARMS = (
    ("native", "captions in six languages", "blue", "o"),
    ("translate", "captions in English, prompts translated", "sky", "^"),
    ("english_only", "captions in English", "orange", "s"),
    ("shuffled", "captions of other pictures (null)", "grey", "x"),
)
CONSISTENCY = {
    f"{score}_{feature}": f"{name}\n{feature}"
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
        [["sheet", "sheet"], ["accuracy", "consistency"]], figsize=(8.8, 10.6), height_ratios=(2.1, 1)
    )
    _samples(axes["sheet"], record)
    _points(axes["accuracy"], record, _by_language(record))
    axes["accuracy"].set_title("Held-out pairs drawn right")
    axes["accuracy"].set_ylabel("accuracy")
    trivial_lines(axes["accuracy"], record, "native", names=("crowd",))
    _points(axes["consistency"], record, {label: (metric, "") for metric, label in CONSISTENCY.items()})
    axes["consistency"].set_title("As in English: another language, or two")
    axes["consistency"].set_ylabel("cosine")
    handles, labels = axes["accuracy"].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9)
    return figure


def write_sheet(path: Path, rows: Sequence[tuple[str, Any]]) -> Path:
    """A picture with one row a prompt: (prompt, images [n, height, width, 3] in [-1, 1])."""
    with style():
        _text_stays_text()
        most = max(len(images) for _, images in rows)
        figure, axes = plt.subplots(figsize=(4.5 + 1.1 * most, 0.4 + 1.2 * len(rows)))
        for row, (prompt, images) in enumerate(rows):
            axes.text(-0.2, row * (1 + GAP) + 0.5, prompt, ha="right", va="center", fontsize=11)
            for column, image in enumerate(images):
                _picture(axes, image, column * (1 + GAP), row * (1 + GAP))
        _bare(axes, (-0.4 * most - 3, most * (1 + GAP)), len(rows))
        with replacing(path) as temporary:
            figure.savefig(temporary, metadata={"Date": None} if path.suffix == ".svg" else None)
        plt.close(figure)
    return path


def _text_stays_text() -> None:
    matplotlib.rcParams["svg.fonttype"] = "none"
    warnings.filterwarnings("ignore", r"Glyph \d+ .* missing", UserWarning)


def _samples(axes: Axes, record: Record) -> None:
    sheets = [(variant, title) for variant, title in SHEETS if variant in record.measurements]
    for number, (variant, title) in enumerate(sheets):
        by_seed = record.measurements[variant]
        rows: list[dict[str, Any]] = by_seed[min(by_seed)].details["samples"]
        start = number * (3 * (1 + GAP) + 0.5)
        axes.text(start, -0.25, title, fontsize=11, weight="bold", va="bottom")
        for place, row in enumerate(rows):
            top = place * (1 + GAP)
            if not number:
                names = " + ".join(language_name(code) for code in row["languages"])
                axes.text(-0.25, top + 0.38, row["prompt"], fontsize=10, ha="right", va="center")
                axes.text(-0.25, top + 0.74, names, fontsize=8, ha="right", va="center", color=COLOURS["grey"])
            for column, shown in enumerate(row["drawn"]):
                _picture(axes, shown["codes"], start + column * (1 + GAP), top, FRAMES[shown["verdict"]][0])
    foot = len(rows) * (1 + GAP) + 0.25
    for number, (colour, label) in enumerate(FRAMES.values()):
        left = (-6.0, -2.4, 1.9)[number]
        axes.add_patch(patches.Rectangle((left, foot - 0.15), 0.3, 0.3, fill=False, edgecolor=colour, linewidth=2))
        axes.text(left + 0.45, foot, label, fontsize=9, va="center")
    _bare(axes, (-6.2, len(sheets) * (3 * (1 + GAP) + 0.5)), len(rows), foot=0.6, head=0.9)


def _bare(axes: Axes, sides: tuple[float, float], rows: int, foot: float = 0.1, head: float = 0.1) -> None:
    axes.set_xlim(*sides)
    axes.set_ylim(rows * (1 + GAP) + foot, -head)
    axes.set_aspect("equal")
    axes.axis("off")


def _picture(axes: Axes, image: Any, left: float, top: float, frame: str | None = None) -> None:
    """Codes or an image of the miniature as smooth shapes, any other image as it is; in a square of side 1."""
    found = np.asarray(image)
    side = miniature.GRID * miniature.PATCH
    if found.shape == (side, side, 3):
        found = np.asarray(miniature.encode(image[None])[0])
    if found.ndim == 3:
        axes.imshow(np.clip((found + 1) / 2, 0, 1), extent=(left, left + 1, top + 1, top), zorder=2)
    else:
        axes.add_patch(patches.Rectangle((left, top), 1, 1, facecolor="#1B1B1F", edgecolor="none", zorder=2))
        for cell, value in enumerate(found.tolist()):
            if value in miniature.KINDS:
                y, x = divmod(cell, miniature.GRID)
                _shape(axes, miniature.KINDS[value], left + (x + 0.5) / 3, top + (y + 0.5) / 3)
    if frame:
        around = patches.Rectangle((left - 0.04, top - 0.04), 1.08, 1.08, fill=False, edgecolor=frame, linewidth=2)
        axes.add_patch(around)


def _shape(axes: Axes, thing: miniature.Thing, x: float, y: float, size: float = 0.12) -> None:
    turn = np.linspace(0, 2 * np.pi, 60)
    outline = {
        "circle": np.stack([np.cos(turn), np.sin(turn)], 1),
        "square": np.array([[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]),
        "triangle": np.array([[0, -1], [1.05, 0.85], [-1.05, 0.85]]),
        "heart": np.stack(
            [
                16 * np.sin(turn) ** 3 / 15,
                (-13 * np.cos(turn) + 5 * np.cos(2 * turn) + 2 * np.cos(3 * turn) + np.cos(4 * turn) - 2.5) / 15,
            ],
            1,
        ),
    }[thing.shape]
    axes.add_patch(patches.Polygon(outline * size + (x, y), facecolor=INKS[thing.colour], edgecolor="none", zorder=3))


def _by_language(record: Record) -> dict[str, tuple[str, str]]:
    codes = [row["languages"] for row in next(iter(record.measurements["native"].values())).details["samples"]]
    english, *foreign = [code[0] for code in codes if len(code) == 1]
    return {language_name(english): ("pairs_en", "")} | {language_name(c): ("pairs_foreign", f"{c}/") for c in foreign}


def _points(axes: Axes, record: Record, groups: Mapping[str, tuple[str, str]]) -> None:
    """One group of points a metric (of which the units may have to begin with something), an arm a point."""
    arms = [arm for arm in ARMS if arm[0] in record.measurements]
    for number, (variant, label, colour, marker) in enumerate(arms):
        found = [_interval(record.measurements[variant], *group) for group in groups.values()]
        places = np.arange(len(groups)) + 0.17 * (number - (len(arms) - 1) / 2)
        means = np.array([each.estimate for each in found])
        ends = np.clip([(each.low, each.high) for each in found], 0, 1)
        reach = np.abs(ends - means[:, None]).T
        options: dict[str, Any] = {"color": COLOURS[colour], "markersize": 6, "elinewidth": 1.2}
        axes.errorbar(places, means, reach, fmt=marker, label=label, **options)
    axes.set_xticks(np.arange(len(groups)), list(groups), fontsize=8)
    axes.set_xlim(-0.6, len(groups))  # room for the name of a line
    axes.set_ylim(-0.03, 1.03)
    axes.grid(axis="x", visible=False)


def _interval(cells: Mapping[int, Measurement], metric: str, before: str) -> Interval:
    """Languages are drawn; of one language, its pairs."""
    leaves = {
        seed: {
            path.removeprefix(before): value for path, value in cell.units[metric].items() if path.startswith(before)
        }
        for seed, cell in cells.items()
    }
    return compare(leaves, 0.0).interval
