"""The figure of the page: accuracy by variant and language, and where each language's tokens go."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from core.experiment.figures import bars, interval
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.experiment.run import Measurement

LANGUAGES = {"en": ("English", COLOURS["blue"], "o"), "ar": ("Arabic", COLOURS["vermilion"], "s")}
CHANCE = 0.25


def draw(record: Record) -> Figure:
    """Left: dots are means over seeds and items with 95 % intervals. Right: expert usage of the bilingual model."""
    figure = plt.figure(figsize=(9.5, 4.6))
    grid = figure.add_gridspec(2, 2, width_ratios=(1.35, 1))
    _accuracies(figure.add_subplot(grid[:, 0]), record.measurements)
    usage = {stage: _usage(record.measurements["bilingual"], stage) for stage in ("base", "tuned")}
    axes = [figure.add_subplot(grid[row, 1]) for row in (0, 1)]
    peak = max(float(shares.max()) for shares in usage.values())
    for axis, (stage, title) in zip(
        axes, (("base", "Expert usage before tuning"), ("tuned", "Expert usage after bilingual tuning")), strict=True
    ):
        image = _heat_map(axis, usage[stage], peak)
        axis.set_title(title)
    axes[1].set_xlabel("expert")
    figure.colorbar(image, ax=axes, label="share of assignments", shrink=0.9)
    return figure


def _accuracies(axes: Axes, measurements: Mapping[str, Mapping[int, Measurement]]) -> None:
    variants = list(measurements)
    for offset, (lang, (name, colour, marker)) in zip((-0.16, 0.16), LANGUAGES.items(), strict=True):
        means, reach = bars([interval(measurements[variant], f"accuracy_{lang}") for variant in variants])
        rows = np.arange(len(variants)) + offset
        axes.errorbar(means, rows, xerr=reach, fmt=marker, color=colour, label=name, linewidth=1.6, markersize=5)
    axes.axvline(CHANCE, color=COLOURS["grey"], linestyle=":", linewidth=1)
    axes.text(CHANCE, -0.75, " chance", color=COLOURS["grey"], fontsize=8, va="center")
    axes.set_yticks(range(len(variants)), variants)
    axes.set_ylim(len(variants) - 0.4, -1)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("accuracy, held-out wording (four options)")
    axes.set_title("What each tuning knows in each language", pad=16)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0, handletextpad=0.2)
    axes.grid(axis="y", visible=False)


def _usage(by_seed: Mapping[int, Measurement], stage: str) -> np.ndarray:
    """Shares [layer and language, expert] of the first seed: experts of different seeds have nothing in common."""
    groups = by_seed[min(by_seed)].details["usage"][stage]
    return np.array([groups[lang]["share"][layer] for layer in range(len(groups["en"]["share"])) for lang in LANGUAGES])


def _heat_map(axes: Axes, shares: np.ndarray, peak: float) -> AxesImage:
    image = axes.imshow(shares, aspect="auto", cmap="cividis", vmin=0, vmax=peak)
    for row, column in np.ndindex(shares.shape):
        bright = shares[row, column] > 0.6 * peak
        axes.text(
            column,
            row,
            f"{shares[row, column]:.2f}",
            ha="center",
            va="center",
            fontsize=8,
            color="black" if bright else "white",
        )
    names = [f"layer {row // 2 + 1}, {list(LANGUAGES.values())[row % 2][0]}" for row in range(len(shares))]
    axes.set_yticks(range(len(shares)), names)
    axes.set_xticks(range(shares.shape[1]), [str(expert + 1) for expert in range(shares.shape[1])])
    for border in np.arange(1.5, len(shares) - 1, 2):
        axes.axhline(border, color="white", linewidth=2)
    axes.grid(visible=False)
    return image
