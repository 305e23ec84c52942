"""The figure of the page: what two generators draw in each language, accuracy by language, and consistency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from core.experiment.figures import bars, interval
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.experiment.run import Measurement
from core.text.languages import name as language_name
from papers.neobabel import sheet, world

SHEETS = {"english_only": "Trained on English captions", "native": "Trained on captions in six languages"}
SHOWN = {
    "english_only": ("English captions", COLOURS["orange"], "s"),
    "translate": ("the same, behind a dictionary", COLOURS["sky"], "^"),
    "causal_image": ("six languages, causal image", COLOURS["purple"], "v"),
    "native": ("six languages", COLOURS["blue"], "o"),
}
CONSISTENCY = {
    "clc_objects": "CLC\nobjects",
    "clc_pixels": "CLC\npixels",
    "css_ef_objects": "CSS-EF\nobjects",
    "css_ef_pixels": "CSS-EF\npixels",
    "css_es_objects": "CSS-ES\nobjects",
    "css_es_pixels": "CSS-ES\npixels",
}


def draw(record: Record) -> Figure:
    """Above: contact sheets of the first seed. Below: means over seeds and prompts with their 95 % intervals."""
    figure = plt.figure(figsize=(12.4, 10))
    parts: Any = figure.subfigures(2, 1, height_ratios=(1.55, 1), hspace=0.02)
    above, below = parts
    for axes, (variant, title) in zip(above.subplots(1, 2), SHEETS.items(), strict=True):
        _sheet(axes, record.measurements[variant], labels=variant == "english_only")
        axes.set_title(title, pad=40)
    handles = [
        Line2D([], [], marker="s", linestyle="", markerfacecolor="none", markeredgewidth=1.8, color=colour, label=label)
        for colour, label in ((sheet.RIGHT, "what was asked for"), (sheet.WRONG, "something else"))
    ]
    above.legend(handles=handles, loc="outside lower center", ncols=2)
    left, right = below.subplots(1, 2, width_ratios=(1, 1.15))
    _accuracy(left, record.measurements)
    _consistency(right, record.measurements)
    below.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _sheet(axes: Axes, by_seed: Mapping[int, Measurement], *, labels: bool) -> None:
    shown: dict[str, Any] = by_seed[min(by_seed)].details["samples"]
    images = {code: world.decode(torch.tensor(codes)) for code, codes in shown["codes"].items()}
    sheet.tile(axes, images, shown["titles"], shown["right"], labels=labels)
    for title in axes.texts[-len(shown["titles"]) :]:
        title.set_fontsize(6)  # two sheets side by side have narrower columns than the sheet alone


def _accuracy(axes: Axes, measurements: Mapping[str, Mapping[int, Measurement]]) -> None:
    first = next(iter(measurements["native"].values()))
    codes = list(first.details["tasks"])
    places = np.arange(len(codes))
    for number, (variant, (label, colour, marker)) in enumerate(SHOWN.items()):
        means, reach = bars([interval(measurements[variant], f"attributes_{code}") for code in codes])
        x = places + 0.15 * (number - 1.5)
        axes.errorbar(x, means, reach, fmt=marker, color=colour, markersize=5, elinewidth=1, label=label)
    axes.set_xticks(places, [language_name(code) for code in codes], rotation=20)
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("accuracy, coloured prompts")
    axes.set_title("Right shapes in the right colours")
    axes.grid(axis="x", visible=False)


def _consistency(axes: Axes, measurements: Mapping[str, Mapping[int, Measurement]]) -> None:
    places = np.arange(len(CONSISTENCY))
    for offset, variant in ((-0.19, "english_only"), (0.19, "native")):
        _, colour, _ = SHOWN[variant]
        means, reach = bars([interval(measurements[variant], metric) for metric in CONSISTENCY])
        axes.bar(places + offset, means, 0.36, yerr=reach, color=colour, error_kw={"elinewidth": 1})
    axes.set_xticks(places, list(CONSISTENCY.values()), fontsize=8)
    axes.set_ylim(0, 1.03)
    axes.set_ylabel("cosine to the English image")
    axes.set_title("The same image in another language, or in two")
    axes.grid(axis="x", visible=False)
