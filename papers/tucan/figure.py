"""The figure of the page: accuracy by scenario, and what each variant does where a call is wanted or not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import bars, interval
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.experiment.run import Measurement

SCENARIOS = {
    "function_call_required": "one function",
    "multiple_functions_selection": "choose one",
    "ambiguous_function_selection": "similar functions",
    "irrelevant_question_with_functions": "nothing fits",
    "missing_required_parameters": "value missing",
    "no_functions_available": "no functions",
}
OUTCOMES = {
    "CORRECT": ("right", COLOURS["blue"]),
    "WRONG_PARAMETERS": ("wrong arguments", COLOURS["sky"]),
    "WRONG_FUNCTION": ("wrong function", COLOURS["yellow"]),
    "UNEXPECTED_CALL": ("unexpected call", COLOURS["vermilion"]),
    "MALFORMED_JSON": ("malformed", COLOURS["purple"]),
    "NO_CALL_WHEN_EXPECTED": ("no call", "#C8C8C8"),
}
KINDS = {
    "bg/call": "Bulgarian, call wanted",
    "en/call": "English, call wanted",
    "bg/no_call": "Bulgarian, no call wanted",
}


def draw(record: Record) -> Figure:
    """Above: accuracy by scenario, means with 95 % intervals. Below: outcomes of every variant."""
    figure = plt.figure(figsize=(9.5, 6.2))
    grid = figure.add_gridspec(2, 3, height_ratios=(1.1, 1))
    _scenarios(figure.add_subplot(grid[0, :]), record.measurements)
    axes = [figure.add_subplot(grid[1, column]) for column in range(len(KINDS))]
    for axis, (kind, title) in zip(axes, KINDS.items(), strict=True):
        _outcomes(axis, record.measurements, kind)
        axis.set_title(title)
        axis.tick_params(labelleft=axis is axes[0])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(OUTCOMES), columnspacing=1.2, handlelength=1)
    return figure


def _scenarios(axes: Axes, measurements: Mapping[str, Mapping[int, Measurement]]) -> None:
    styles = {
        "base": (COLOURS["grey"], "o"),
        "no-negatives": (COLOURS["vermilion"], "s"),
        "en": (COLOURS["orange"], "^"),
        "bg+en": (COLOURS["blue"], "D"),
    }
    metrics = [*(f"accuracy_{name}" for name in SCENARIOS), "accuracy"]
    places = np.arange(len(metrics))
    for position, (variant, (colour, marker)) in enumerate(styles.items()):
        means, reach = bars([interval(measurements[variant], metric) for metric in metrics])
        shifted = places + 0.13 * (position - 1.5)
        axes.errorbar(shifted, means, reach, fmt=marker, color=colour, label=variant, linewidth=1.4, markersize=6)
    mute = interval(measurements["base"], "never_call").estimate
    axes.hlines(mute, places[-1] - 0.42, places[-1] + 0.42, color="black", linestyle=":", linewidth=1.4, label="mute")
    for border in (2.5, 5.5):
        axes.axvline(border, color="#BBBBBB", linewidth=1)
    for place, text in ((1, "call wanted"), (4, "no call wanted: a mute model gets all of it"), (6, "together")):
        axes.text(place, 1.08, text, ha="center", color=COLOURS["grey"], fontsize=8)
    axes.set_xticks(places, [*SCENARIOS.values(), "all items"])
    axes.set_ylim(-0.05, 1.17)
    axes.set_yticks(np.arange(0, 1.01, 0.2))
    axes.set_ylabel("accuracy")
    axes.set_title("Half of the scenarios are free")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="variant")


def _outcomes(axes: Axes, measurements: Mapping[str, Mapping[int, Measurement]], kind: str) -> None:
    variants = list(measurements)
    for row, variant in enumerate(variants):
        counts = [m.details["errors_by_language"].get(kind, {}) for m in measurements[variant].values()]
        total = sum(sum(by_label.values()) for by_label in counts)
        left = 0.0
        for label, (name, colour) in OUTCOMES.items():
            # Where nothing is to be called, silence is right.
            share = sum(by_label.get(label, 0) for by_label in counts) / total
            axes.barh(row, share, left=left, color=colour, height=0.72, label=name if row == 0 else None)
            left += share
    axes.set_yticks(range(len(variants)), variants)
    axes.set_ylim(len(variants) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xticks((0, 0.5, 1))
    axes.set_xlabel("share of items")
    axes.grid(visible=False)
