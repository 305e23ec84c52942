"""The figure of the page, drawn from the record: methods in both directions, and languages beside letters alone."""

from __future__ import annotations

from statistics import fmean

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import by_unit, mean_of, rows
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.text.languages import name
from papers.sinhala_alignment.eval import LATIN

METHODS = {
    "identity": "no map",
    "shuffled": "RCSLS, shuffled pairs",
    "procrustes": "Procrustes",
    "refinement": "refined Procrustes",
    "spectral": "RCSLS, spectral",
    "rcsls": "RCSLS",
}
SEARCHES = (("nn", "nearest neighbour", "orange"), ("csls", "CSLS", "blue"))


def draw(record: Record) -> Figure:
    """Left: methods, from and to Sinhala. Right: languages, and what letters alone translate."""
    figure, axes = plt.subplot_mosaic(
        [["en_si", "languages"], ["si_en", "languages"]], figsize=(9.6, 6), width_ratios=(1.15, 1)
    )
    for direction, title in (("en_si", "English to Sinhala"), ("si_en", "Sinhala to English")):
        _methods(axes[direction], record, direction)
        axes[direction].set_title(title)
    axes["si_en"].set_xlabel("names translated (P@1, 95 % interval)")
    _languages(axes["languages"], record)
    return figure


def _methods(axes: Axes, record: Record, direction: str) -> None:
    right = 0.0
    for number, (search, label, colour) in enumerate(SEARCHES):
        for row, variant in enumerate(METHODS):
            found, height = mean_of(record, variant, f"p1_{search}_{direction}", "word"), row + 0.36 * number - 0.18
            axes.plot([max(0, found.low), found.high], [height, height], color=COLOURS[colour], linewidth=1.6)
            axes.plot(found.estimate, height, "o", color=COLOURS[colour], markersize=5)
            right = max(right, found.high)
        # Beside the methods that translate nothing there is room.
        axes.text(right, 0.7 * number, label, color=COLOURS[colour], fontsize=9, ha="right", va="center")
    rows(axes, [*METHODS.values()], 1.05 * right)
    axes.locator_params(axis="x", nbins=5)


def _languages(axes: Axes, record: Record) -> None:
    letters = next(iter(record.measurements["rcsls"].values())).details["letters"]
    found = by_unit(record, "rcsls", "p1_csls_en_xx") | {"si": record.mean("rcsls", "p1_csls_en_si")}
    order = sorted(found, key=lambda code: -found[code])
    colours = [COLOURS["vermilion" if code == "si" else "blue" if code in LATIN else "sky"] for code in order]
    axes.barh(range(len(order)), [found[code] for code in order], color=colours, height=0.75)
    axes.plot([letters[code] for code in order], range(len(order)), "D", color="black", markersize=4)
    rows(axes, [name(code) for code in order])
    beaten = sum(letters[code] > found[code] for code in order)
    axes.set_title(f"Letters alone (black) beat the map\nin {beaten} of {len(order)} languages")
    said = f"dark blue: Latin letters; letters: {fmean(letters.values()):.2f} in the mean"
    axes.set_xlabel(f"P@1 from English, RCSLS and CSLS\n{said}", fontsize=9)
