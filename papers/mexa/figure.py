"""The figure: how alignment runs through the layers, and how it goes with task accuracy. Drawn from the record alone.

above: share of mutual nearest neighbours at every layer, one line a language, mean over seeds, in the trained model
       without and with the attention sink, its untrained copy and a multilingual encoder; grey: chance (95 %)
below: the pooled score against accuracy in the word task, one point a language, for MEXA and for the cosine
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from core.report import COLOURS
from core.results import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES = {
    "mexa": "SmolLM2, sink left out",
    "keep_sink": "SmolLM2, sink kept",
    "untrained": "untrained copy",
    "encoder": "e5-small (encoder)",
}
SCATTERS = {"mexa": "MEXA, mean over layers", "abs_cosine": "cosine of parallel pairs, mean over layers"}
# Named in the panels; the other languages are thin lines.
SHOWN = {"fr": "blue", "it": "orange", "nl": "green", "ja": "vermilion"}


def draw(record: Record) -> Figure:
    """The figure of the page."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(9.0, 6.4))
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.35))
    panels = above.subplots(1, len(CURVES), gridspec_kw={"wspace": 0.05})
    limit = 1.1 * max(_curves(record, name).max(initial=0.0) for name in ("mexa", "keep_sink", "untrained"))
    for axes, (variant, title) in zip(panels, CURVES.items(), strict=True):
        _draw_curves(axes, record, variant, title)
        axes.set_ylim(0, 1.02 if variant == "encoder" else limit)
    panels[0].set_ylabel("share of mutual nearest\nneighbours with English")
    for axes, (variant, title) in zip(below.subplots(1, len(SCATTERS)), SCATTERS.items(), strict=True):
        _draw_scatter(axes, record, variant, title)
    return figure


def _languages(record: Record, variant: str) -> list[str]:
    first = next(iter(record.measurements[variant].values()))
    return list(first.details["languages"])


def _curves(record: Record, variant: str) -> np.ndarray:
    """Layer curves [languages, layers], mean over seeds."""
    by_seed = [measurement.details["languages"] for measurement in record.measurements[variant].values()]
    return np.mean([[rows[code]["curve"] for code in _languages(record, variant)] for rows in by_seed], axis=0)


def _draw_curves(axes: Axes, record: Record, variant: str, title: str) -> None:
    curves = dict(zip(_languages(record, variant), _curves(record, variant), strict=True))
    details: dict[str, Any] = next(iter(record.measurements[variant].values())).details
    axes.axhspan(0, details["chance_band"], color="#DDDDDD", linewidth=0, zorder=0)
    for code, curve in curves.items():
        colour = COLOURS[SHOWN[code]] if code in SHOWN else "#B5B5B5"
        wide = code in SHOWN
        axes.plot(
            curve, color=colour, linewidth=1.6 if wide else 0.6, zorder=3 if wide else 2, label=code if wide else None
        )
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("layer")
    axes.set_xlim(0, len(next(iter(curves.values()))) - 1)
    axes.legend(fontsize=7, loc="upper right", ncols=2, handlelength=1.2, columnspacing=0.8, borderaxespad=0.2)


def _draw_scatter(axes: Axes, record: Record, variant: str, title: str) -> None:
    from core.metrics.stats import correlation_interval

    cells = record.measurements[variant].values()
    languages = sorted(next(iter(cells)).units["task_score"])
    x, y = (
        np.array([[cell.units[name][code] for code in languages] for cell in cells]) for name in ("score", "task_score")
    )
    means = x.mean(0), y.mean(0)
    axes.axhline(0.25, color=COLOURS["grey"], linewidth=0.8, linestyle=":")
    slope, intercept = np.polyfit(*means, 1)
    ends = np.array([means[0].min(), means[0].max()])
    axes.plot(ends, slope * ends + intercept, color=COLOURS["vermilion"], linewidth=1.2)
    axes.scatter(*means, color=COLOURS["blue"], s=16, zorder=3)
    for code, place in zip(languages, _label_places(*means), strict=True):
        axes.annotate(code, place, xytext=(4, 0), textcoords="offset points", fontsize=7.5, va="center")
    interval = correlation_interval(x, y)
    axes.set_title(f"{title}\nr = {interval.estimate:.2f} [{interval.low:.2f}, {interval.high:.2f}]", fontsize=9)
    axes.set_xlabel("score")
    axes.set_ylabel("accuracy in the word task")
    axes.set_ylim(0.2, 1.0)
    axes.text(
        0.99, 0.255, "chance", fontsize=7.5, color=COLOURS["grey"], ha="right", transform=axes.get_yaxis_transform()
    )


def _label_places(x: np.ndarray, y: np.ndarray, gap: float = 0.024) -> list[tuple[float, float]]:
    """Where the labels stand: beside their point, moved up where another label is in the way."""
    near = 0.06 * float(np.ptp(x))
    places: list[tuple[float, float]] = []
    order = np.argsort(y, kind="stable")
    placed = dict.fromkeys(order.tolist(), 0.0)
    for index in order.tolist():
        height = float(y[index])
        while any(abs(x[index] - u) < near and abs(height - v) < gap for u, v in places):
            height += gap / 4
        places.append((float(x[index]), height))
        placed[index] = height
    return [(float(x[index]), placed[index]) for index in range(len(x))]
