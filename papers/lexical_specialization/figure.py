"""The figure of the page, drawn from the record: arms in unseen languages, every language, every layer."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import by_unit, rows
from core.experiment.paper import Check
from core.experiment.report import COLOURS
from core.experiment.results import Record, compare
from core.text.languages import name
from papers.lexical_specialization.miniature import SEEN, UNSEEN

ARMS = (
    ("specialized", "synonyms of\nsix languages", "blue"),
    ("en_de", "as many of\nEnglish and German", "sky"),
    ("zh_ar", "as many of\nChinese and Arabic", "sky"),
    ("eighth", "an eighth of them,\nsix languages", "orange"),
    ("eighth_long", "that eighth,\neight times as often", "orange"),
    ("permuted", "permuted synonyms\n(null arm)", "purple"),
)


def draw(record: Record) -> Figure:
    """Left: what the arms gain, with 95 % intervals. Middle: every language. Right: the mean by layer."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.6), width_ratios=(1.1, 1, 0.85))
    for panel, there in zip((_arms, _languages, _layers), axes, strict=True):
        panel(there, record)
    return figure


def _arms(axes: Axes, record: Record) -> None:
    for row, (arm, _, colour) in enumerate(ARMS):
        mean = Check(id="", statement="", metric="bli_unseen", treatment=arm, unit="language")
        gain = compare(mean, "vanilla", record.measurements).interval
        axes.barh(row, gain.estimate, color=COLOURS[colour], alpha=0.6, height=0.7)
        axes.plot([gain.low, gain.high], [row, row], color="black", linewidth=1.3)
        axes.text(max(gain.high, 0), row, f"  {gain.estimate:+.3f}", va="center", fontsize=9, weight="bold")
    rows(axes, [label for _, label, _ in ARMS])
    axes.axvline(0, color="black", linewidth=0.8)
    axes.autoscale(axis="x")
    axes.margins(x=0.2)
    axes.set_title("Eight languages without synonyms")
    axes.set_xlabel("change of the mean reciprocal rank\n95 % interval")


def _languages(axes: Axes, record: Record) -> None:
    found = [by_unit(record, v, "bli_unseen") | by_unit(record, v, "bli_seen") for v in ("vanilla", "specialized")]
    order = [code for group in (UNSEEN, SEEN) for code in sorted(group, key=lambda code: -found[1][code])]
    for row, code in enumerate(order):
        (before, after), colour = (by[code] for by in found), COLOURS["blue" if code in UNSEEN else "green"]
        axes.annotate("", (after, row), (before, row), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2})
        axes.plot(before, row, "o", color=COLOURS["grey"], markersize=5)
    rows(axes, [name(code) for code in order])
    axes.set_xlim(0.9 * min(found[0].values()), 1.08 * max(found[1].values()))
    axes.axhline(len(UNSEEN) - 0.5, color="black", linewidth=0.8)
    for row, text, colour in ((len(UNSEEN), "no synonyms", "blue"), (len(order), "synonyms", "green")):
        place = axes.get_yaxis_transform()
        axes.text(0.99, row - 0.6, text, color=COLOURS[colour], transform=place, ha="right", va="bottom", weight="bold")
    axes.set_title("Every language")
    axes.set_xlabel("before (dot) and after (arrow)")


def _layers(axes: Axes, record: Record) -> None:
    for arm, text, colour in (("vanilla", "as it is", "grey"), ("specialized", "specialized", "blue")):
        mean = np.mean([cell.details["by_layer"] for cell in record.measurements[arm].values()], axis=0)
        axes.plot(range(len(mean)), mean, "o-", color=COLOURS[colour], markersize=3)
        axes.text(len(mean) - 0.7, mean[-1], text, color=COLOURS[colour], fontsize=9, va="center")
    solvers = {solver: value for solver, value in record.trivial().items() if solver in ("letters", "chance")}
    for solver, value in solvers.items():
        axes.axhline(value, color=COLOURS["grey"], linewidth=0.9, linestyle=":")
        axes.text(1.4 * len(mean), value, solver, color=COLOURS["grey"], fontsize=8, ha="right", va="bottom")
    axes.set_xlim(0, 1.45 * len(mean))
    axes.set_xticks(range(0, len(mean), 4))
    axes.set_ylim(0)
    axes.set_title("Without synonyms, by layer")
    axes.set_xlabel("layer that is averaged\ndotted: no language known")
