"""The figure of the page, drawn from the record: arms in unseen languages, every language, every layer."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, by_unit, rows
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.text.languages import name
from papers.lexical_specialization.miniature import SEEN, UNSEEN

ARMS = (
    ("vanilla", "encoder as it is", "grey"),
    ("specialized", "specialized:\nsix languages", "blue"),
    ("en_de", "as many synonyms,\nEnglish and German", "sky"),
    ("zh_ar", "as many synonyms,\nChinese and Arabic", "sky"),
    ("eighth", "an eighth of them,\nsix languages", "orange"),
    ("permuted", "synonyms permuted\n(null arm)", "purple"),
)


def draw(record: Record) -> Figure:
    """Left: arms with 95 % intervals. Middle: every language before and after. Right: the mean by layer."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.9), width_ratios=(1.15, 1, 0.9))
    _arms(axes[0], record)
    _languages(axes[1], record)
    _layers(axes[2], record)
    return figure


def _arms(axes: Axes, record: Record) -> None:
    arm_bars(axes, record, "bli_unseen", ARMS)
    for solver, value in record.trivial().items():
        axes.axvline(value, color=COLOURS["grey"], linewidth=0.9, linestyle=":")
        axes.text(value, -0.62, solver, fontsize=7, color=COLOURS["grey"], ha="center", va="bottom")
    axes.set_xlim(0, 1.3 * max(record.mean(arm, "bli_unseen") for arm, _, _ in ARMS))
    axes.set_title("Words of eight unseen languages", pad=16)
    axes.set_xlabel("mean reciprocal rank, 95 % interval\ndotted: solvers that know no language")


def _languages(axes: Axes, record: Record) -> None:
    before, after = (
        by_unit(record, variant, "bli_unseen") | by_unit(record, variant, "bli_seen")
        for variant in ("vanilla", "specialized")
    )
    order = [code for group in (UNSEEN, SEEN) for code in sorted(group, key=lambda code: -after[code])]
    for row, code in enumerate(order):
        style = {"arrowstyle": "-|>", "color": COLOURS["blue" if code in UNSEEN else "green"], "lw": 2}
        axes.annotate("", (after[code], row), (before[code], row), arrowprops=style)
        axes.plot(before[code], row, "o", color=COLOURS["grey"], markersize=5)
    rows(axes, [name(code) for code in order])
    axes.set_xlim(0.9 * min(before.values()), 1.08 * max(after.values()))
    axes.axhline(len(UNSEEN) - 0.5, color="black", linewidth=0.8)
    place = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "bottom", "fontsize": 9, "weight": "bold"}
    axes.text(0.99, len(UNSEEN) - 0.6, "no synonyms", color=COLOURS["blue"], **place)
    axes.text(0.99, len(order) - 0.6, "synonyms", color=COLOURS["green"], **place)
    axes.set_title("Every language")
    axes.set_xlabel("before (dot) and after (arrow)")


def _layers(axes: Axes, record: Record) -> None:
    for arm, text, colour in (ARMS[0], ARMS[1], ARMS[-1]):
        mean = np.mean([cell.details["by_layer"] for cell in record.measurements[arm].values()], axis=0)
        axes.plot(range(len(mean)), mean, "o-", color=COLOURS[colour], markersize=3)
        axes.text(len(mean) - 0.7, mean[-1], text.split("\n")[0], color=COLOURS[colour], fontsize=8, va="center")
    axes.set_xlim(0, 1.6 * len(mean))
    axes.set_title("Unseen languages by layer")
    axes.set_xlabel("layer whose states are averaged")
