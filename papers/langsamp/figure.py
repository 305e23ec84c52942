"""The figure of the page, drawn from the record alone: neutrality and transfer by arm, the map of languages."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.text.languages import name

ARMS = (
    ("base", "before the training", "grey"),
    ("full", "LangSAMP: language and script", "blue"),
    ("none", "no vectors (baseline)", "vermilion"),
    ("shuffled", "another chunk's (null)", "grey"),
    ("lang", "language alone", "green"),
    ("script", "script alone", "green"),
    ("input", "at the input as well, told in use", "orange"),
)


def draw(record: Record) -> Figure:
    """Left: how alike translations are, and what transfers; right: whose vectors are like whose."""
    figure, axes = plt.subplot_mosaic([["cosine", "map"], ["transfer", "map"]], figsize=(11, 6.2), width_ratios=(1, 1))
    arm_bars(axes["cosine"], record, "pair_cosine", ARMS)
    axes["cosine"].set_title("Are translations alike?")
    axes["cosine"].set_xlabel("mean cosine of translations, with 95 % interval")
    arm_bars(axes["transfer"], record, "transfer", ARMS)
    axes["transfer"].set_title("Is a digit learnt in one language told in others?")
    axes["transfer"].set_xlabel("accuracy on the frozen encoder (dashed: the commonest answer)")
    axes["transfer"].axvline(record.trivial("full")["majority"], color="black", linewidth=0.8, linestyle=(0, (2, 2)))
    _map(axes["map"], record)
    return figure


def _map(axes: Axes, record: Record) -> None:
    """Cosines of the languages' vectors, mean over seeds; a dot marks the largest of each row."""
    maps = [cell.details["map"] for cell in record.measurements["full"].values()]
    codes = list(maps[0])
    cosines = np.mean([[found[code] for code in codes] for found in maps], axis=0)
    np.fill_diagonal(cosines, np.nan)
    image = axes.imshow(cosines, cmap="Blues", vmin=0)
    axes.set_facecolor("lightgrey")  # shows on the diagonal alone
    axes.grid(visible=False)
    axes.plot(np.nanargmax(cosines, axis=1), range(len(codes)), "o", color=COLOURS["orange"], markersize=4)
    axes.set_xticks(range(len(codes)), codes, fontsize=8)
    axes.set_yticks(range(len(codes)), [name(code) for code in codes], fontsize=8)
    axes.figure.colorbar(image, ax=axes, shrink=0.62, label="cosine, mean over seeds")
    axes.set_title("Whose vectors are alike? (dot: most alike)")
