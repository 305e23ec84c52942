"""The figure of the page, drawn from the record: alignment against accuracy, what other scores give, the layers."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.metrics import stats
from core.text.languages import name

# variant, label, colour
CORRELATIONS = (
    ("mexa", "MEXA", "blue"),
    ("keep_sink", "first position kept", "blue"),
    ("max", "max over layers", "blue"),
    ("last", "last token", "blue"),
    ("mexa_five_layers", "last token, five layers", "blue"),
    ("abs_cosine", "cosine of pairs", "orange"),
    ("abs_cosine_max", "max over layers", "orange"),
    ("abs_cosine_sink", "first position kept", "orange"),
    ("abs_cosine_five_layers", "last token, five layers", "orange"),
    ("untrained", "untrained model", "purple"),
    ("shuffled", "random pairs", "grey"),
)
# ... and where on the line it stands
CURVES = (
    ("mexa", "MEXA", "blue", 0.47),
    ("keep_sink", "first position kept", "sky", 0.6),
    ("untrained", "untrained", "purple", 0.9),
    ("shuffled", "random pairs", "grey", 0.2),
)


def draw(record: Record) -> Figure:
    """Left: every language. Middle: r of every score with 95 % intervals over languages. Right: layer curves."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.8), width_ratios=(1.35, 1, 0.9))
    _languages(axes[0], record)
    _correlations(axes[1], record)
    _layers(axes[2], record)
    return figure


def _leaves(record: Record, variant: str, metric: str) -> dict[int, dict[str, float]]:
    return {seed: cell.units[metric] for seed, cell in record.measurements[variant].items()}


def _correlation(record: Record, variant: str) -> stats.Interval:
    sides = (_leaves(record, variant, "score"), _leaves(record, variant, "task_score"))
    return stats.compare_correlations(sides, 0.0).interval


def _languages(axes: Axes, record: Record) -> None:
    cells = list(record.measurements["mexa"].values())
    codes = sorted(cells[0].units["task_score"])
    x, y = (np.array([np.mean([c.units[m][code] for c in cells]) for code in codes]) for m in ("score", "task_score"))
    interval = _correlation(record, "mexa")
    if np.ptp(x) > 0:
        slope, intercept = np.polyfit(x, y, 1)
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, slope * ends + intercept, color=COLOURS["blue"], linewidth=2, alpha=0.4)
    axes.scatter(x, y, color=COLOURS["blue"], s=18, zorder=3)
    for code, (u, v) in zip(codes, _places(x, y), strict=True):
        axes.annotate(name(code), (u, v), xytext=(4, 0), textcoords="offset points", fontsize=7, va="center")
    axes.axhline(0.25, color=COLOURS["grey"], linewidth=0.8, linestyle=":")
    axes.text(x.max(), 0.255, "guessing", fontsize=7, color=COLOURS["grey"], va="bottom")
    axes.set_xlim(x.min() - 0.04 * np.ptp(x) - 1e-6, x.max() + 0.24 * np.ptp(x) + 1e-6)
    axes.set_title(f"What aligns is understood\nr = {interval.estimate:.2f} [{interval.low:.2f}, {interval.high:.2f}]")
    axes.set_xlabel("MEXA: sentences that find their translation\nand are found by it (mean over layers)")
    axes.set_ylabel("accuracy in word meaning")


def _places(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    """Where the labels stand: beside their point, moved up where another label is in the way."""
    placed: dict[int, tuple[float, float]] = {}
    gap = 0.032 * max(float(np.ptp(y)), 1e-6)
    for index in np.argsort(y, kind="stable").tolist():
        height = float(y[index])
        while any(abs(x[index] - u) < 0.2 * np.ptp(x) and abs(height - v) < gap for u, v in placed.values()):
            height += gap / 4
        placed[index] = (float(x[index]), height)
    return [placed[index] for index in range(len(x))]


def _correlations(axes: Axes, record: Record) -> None:
    for row, (variant, label, colour) in enumerate(CORRELATIONS):
        found = _correlation(record, variant)
        low, high = max(found.low, -1.0), min(found.high, 1.0)
        axes.plot([low, high], [row, row], color=COLOURS[colour], linewidth=1.4)
        axes.plot(found.estimate, row, "o", color=COLOURS[colour], markersize=5)
        axes.text(-1.05, row, label, va="center", ha="right", fontsize=7.5, color=COLOURS[colour])
        axes.text(1.05, row, f"{found.estimate:.2f}", va="center", fontsize=7.5)
    axes.axvline(0, color="black", linewidth=0.8)
    if (letters := record.trivial("mexa").get("overlap_r")) is not None:
        axes.axvline(letters, color=COLOURS["grey"], linewidth=0.9, linestyle=":")
        axes.text(letters, -0.75, "shared letters", fontsize=7, color=COLOURS["grey"], ha="center")
    axes.set_yticks([])
    axes.set_ylim(len(CORRELATIONS) - 0.4, -1.1)
    axes.set_xlim(-1, 1)
    axes.set_title("Correlation with accuracy")
    axes.set_xlabel("r over languages, 95 % interval")


def _layers(axes: Axes, record: Record) -> None:
    for variant, label, colour, at in CURVES:
        cells = record.measurements[variant].values()
        curve = np.mean([list(cell.details["curves"].values()) for cell in cells], axis=(0, 1))
        axes.plot(curve, color=COLOURS[colour], linewidth=1.8)
        place = round(at * (len(curve) - 1))
        top = (place, curve[place])
        axes.annotate(label, top, (0, 5), textcoords="offset points", fontsize=7.5, color=COLOURS[colour], ha="center")
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, len(curve) - 1)
    axes.set_title("Layer by layer\n(mean of the languages)")
    axes.set_xlabel("layer (0: embeddings)")
