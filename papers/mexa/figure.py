"""The figure: how alignment runs through the layers, and how it goes with task accuracy. Drawn from the record alone.

above: share of mutual nearest neighbours at every layer, one line a language, mean over seeds, in the trained model
       without and with the attention sink, its untrained copy and a multilingual encoder; grey: chance (95 %)
below: the pooled score against accuracy in the word task, one point a language, for MEXA and for the cosine
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from core.experiment.report import COLOURS
from core.experiment.results import Record

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
SHOWN = {"fr": "blue", "zh-Hans": "orange", "nl": "green", "ja": "vermilion"}
OTHERS = "#B5B5B5"
BAND = "#DDDDDD"


def draw(record: Record) -> Figure:
    """The figure of the page."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(9.0, 6.6))
    rows: Any = figure.subfigures(2, 1, height_ratios=(1, 1.25))
    above, below = rows
    panels = above.subplots(1, len(CURVES))
    for axes, (variant, title) in zip(panels, CURVES.items(), strict=True):
        _draw_curves(axes, record, variant, title)
    for axes in panels[1:3]:
        axes.sharey(panels[0])
        axes.tick_params(labelleft=False)
    limit = 1.08 * max(_curves(record, name).max(initial=0.0) for name in list(CURVES)[:3])
    panels[0].set_ylim(0, limit)
    panels[3].set_ylim(0, 1.02)
    panels[0].set_ylabel("share of mutual nearest\nneighbours with English")
    above.legend(*_legend(), loc="outside lower center", ncols=len(SHOWN) + 2, fontsize=8, handlelength=1.4)
    for axes, (variant, title) in zip(below.subplots(1, len(SCATTERS)), SCATTERS.items(), strict=True):
        _draw_scatter(axes, record, variant, title)
    return figure


def _legend() -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    lines: list[Any] = [Line2D([], [], color=COLOURS[colour], linewidth=1.6) for colour in SHOWN.values()]
    lines += [Line2D([], [], color=OTHERS, linewidth=0.8), Patch(color=BAND, linewidth=0)]
    return lines, [*SHOWN, "other languages", "chance (95 %)"]


def _curves(record: Record, variant: str) -> np.ndarray:
    """Layer curves [languages, layers], mean over seeds."""
    by_seed = [measurement.details["curves"] for measurement in record.measurements[variant].values()]
    return np.mean([list(curves.values()) for curves in by_seed], axis=0)


def _draw_curves(axes: Axes, record: Record, variant: str, title: str) -> None:
    details: dict[str, Any] = next(iter(record.measurements[variant].values())).details
    axes.axhspan(0, details["chance_band"], color=BAND, linewidth=0, zorder=0)
    curves = _curves(record, variant)
    for code, curve in zip(details["curves"], curves, strict=True):
        if code in SHOWN:
            axes.plot(curve, color=COLOURS[SHOWN[code]], linewidth=1.6, zorder=3)
        else:
            axes.plot(curve, color=OTHERS, linewidth=0.6, zorder=2)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("layer")
    axes.set_xlim(0, curves.shape[1] - 1)


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
    axes.set_xlim(means[0].min() - 0.05 * np.ptp(means[0]), means[0].max() + 0.14 * np.ptp(means[0]))
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
