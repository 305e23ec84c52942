"""The figure of the page, drawn from the record: alignment against accuracy, what other scores give, the layers."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import by_unit, interval_marks, label_points, mean_of
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.text.languages import name

# variant, metric, label, colour
CORRELATIONS = (
    ("mexa", "score", "MEXA, official vectors", "blue"),
    ("drop_first", "score", "MEXA, first position left out", "blue"),
    ("max", "score", "MEXA, max over layers", "blue"),
    ("last", "score", "MEXA, last token", "blue"),
    ("mexa_five_layers", "score", "MEXA, last token, five layers", "blue"),
    ("abs_cosine", "score", "cosine, official vectors", "orange"),
    ("abs_cosine_five_layers", "score", "cosine, last token, five layers", "orange"),
    ("mexa", "overlap", "shared letters, no model", "black"),
    ("untrained", "score", "MEXA, untrained model", "purple"),
    ("shuffled", "score", "MEXA, random pairs", "grey"),
)
CURVES = (
    ("mexa", "official vectors", "blue"),
    ("drop_first", "first position left out", "sky"),
    ("last", "last token", "green"),
    ("untrained", "untrained model", "purple"),
    ("shuffled", "random pairs", "grey"),
)


def draw(record: Record) -> Figure:
    """Left: every language. Middle: r of every score with 95 % intervals over languages. Right: layer curves."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.8), width_ratios=(1.3, 0.8, 0.9))
    _languages(axes[0], record)
    _correlations(axes[1], record)
    _layers(axes[2], record)
    return figure


def _languages(axes: Axes, record: Record) -> None:
    scores, right = (by_unit(record, "mexa", metric) for metric in ("score", "task_score"))
    codes = sorted(right)
    x, y = (np.array([means[code] for code in codes]) for means in (scores, right))
    interval = mean_of(record, "mexa", "score", "language", correlated_with="task_score")
    if np.ptp(x) > 0:
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, np.poly1d(np.polyfit(x, y, 1))(ends), color=COLOURS["blue"], linewidth=2, alpha=0.4)
    axes.scatter(x, y, color=COLOURS["blue"], s=18, zorder=3)
    label_points(axes, x.tolist(), y.tolist(), [name(code) for code in codes])
    axes.axhline(0.25, color=COLOURS["grey"], linewidth=0.8, linestyle=":")
    axes.text(x.max(), 0.255, "guessing", fontsize=7, color=COLOURS["grey"], va="bottom")
    axes.set(
        xlim=(x.min() - 0.04 * np.ptp(x) - 1e-6, x.max() + 0.24 * np.ptp(x) + 1e-6),
        title=f"{len(codes)} languages, mean of {len(record.seeds)} samples\nr = {interval:.2f}",
        xlabel="MEXA: sentences that find their translation\nand are found by it (mean over layers)",
        ylabel="accuracy in word meaning",
    )


def _correlations(axes: Axes, record: Record) -> None:
    r = partial(mean_of, record, unit="language", correlated_with="task_score")
    found = [(r(variant, metric), colour) for variant, metric, _, colour in CORRELATIONS]
    interval_marks(axes, found)
    for row, (interval, colour) in enumerate(found):
        label, shade = CORRELATIONS[row][2], COLOURS.get(colour, colour)
        axes.text(-1.05, row, label, va="center", ha="right", fontsize=7.5, color=shade)
        axes.text(1.05, row, f"{interval.estimate:.2f}", va="center", fontsize=7.5)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set(yticks=[], ylim=(len(CORRELATIONS) - 0.4, -0.6), xlim=(-1, 1))
    axes.set(title="Correlation with accuracy", xlabel="r over languages, 95 % interval")


def _layers(axes: Axes, record: Record) -> None:
    for variant, label, colour in CURVES:
        cells = record.measurements[variant].values()
        curve = np.mean([list(cell.details["curves"].values()) for cell in cells], axis=(0, 1))
        axes.plot(curve, color=COLOURS[colour], linewidth=1.8, label=label)
    axes.legend(fontsize=7.5, loc="upper right")
    axes.set(ylim=(0, 1.4 * axes.dataLim.y1), xlim=(0, len(curve) - 1))  # room for the legend
    axes.set(title="Layer by layer\n(mean of the languages)", xlabel="layer (0: embeddings)")
