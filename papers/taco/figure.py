"""The figure of the page, drawn from the record alone: the arms, and where the chain loses."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.metrics.intervals import difference_interval

# variant, label, colour
ARMS = (
    ("direct", "instruction tuning", "orange"),
    ("direct_tokens", "… with as many tokens", "orange"),
    ("direct_mixed", "… with English rows", "orange"),
    ("no_instruction_en", "chain without instruction", "grey"),
    ("no_response_en", "chain without response", "grey"),
    ("no_curriculum", "chain from random weights", "grey"),
    ("taco", "TaCo chain", "blue"),
    ("joint", "… both languages in one", "blue"),
    ("taco_mixed", "… with English rows, Nepali", "blue"),
)
TUNING = ("direct", "direct_tokens")
STEPS = {
    "instruction_en": "understood",
    "answer_given_instruction": "answered,\nif understood",
    "back_given_answer": "translated back,\nif answered",
    "all_steps": "every step right",
}
CHAINS = (
    ("no_curriculum", "chain from random weights", "grey", "^"),
    ("taco", "TaCo chain", "blue", "o"),
    ("taco_mixed", "… with English rows, Nepali", "green", "s"),
)
MARKERS = "os^D"


def draw(record: Record) -> Figure:
    """Left: accuracy of every arm, a mark per seed and language. Right: the three steps."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8), width_ratios=(1.2, 1))
    _arms(left, record)
    _steps(right, record)
    return figure


def _arms(axes: Axes, record: Record) -> None:
    arms = [arm for arm in ARMS if arm[0] in record.measurements]
    languages = list(_reports(record, "taco")[0])
    for row, (variant, _, colour) in enumerate(arms):
        cells = record.measurements[variant].values()
        interval = difference_interval(np.array([list(cell.units["accuracy"].values()) for cell in cells]), 0.0)
        axes.barh(row, interval.estimate, color=COLOURS[colour], alpha=0.35, height=0.72)
        axes.plot([max(0, interval.low), min(1, interval.high)], [row, row], color="black", linewidth=1)
        for number, language in enumerate(languages):
            values = [steps[language]["response_xx"] for steps in _reports(record, variant) if language in steps]
            places = [row + 0.17 * (2 * number - len(languages) + 1)] * len(values)
            axes.plot(values, places, MARKERS[number % 4], color=COLOURS[colour], markersize=3.5)
    double = 2 * max(record.mean(variant, "accuracy") for variant, _, _ in arms if variant in TUNING)
    axes.axvline(double, color="black", linestyle=":", linewidth=1)
    axes.text(double + 0.01, 0, "twice instruction tuning", fontsize=8, va="center")
    axes.set_yticks(range(len(arms)), [label for _, label, _ in arms])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 1)
    axes.set_xlabel("accuracy on unseen items (95 % interval)")
    axes.set_title("Every arm", pad=12)
    marks = [Line2D([], [], linestyle="", marker=MARKERS[n % 4], color="black") for n in range(len(languages))]
    axes.legend(marks, languages, loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=8, ncols=len(languages))


def _steps(axes: Axes, record: Record) -> None:
    for number, (variant, label, colour, marker) in enumerate(CHAINS):
        if variant not in record.measurements:
            continue
        reports = [steps for by_language in _reports(record, variant) for steps in by_language.values()]
        for row, step in enumerate(STEPS):
            values = [report[step] for report in reports if step in report]
            place = row + 0.2 * (number - 1)
            axes.plot(values, [place] * len(values), marker, color=COLOURS[colour], alpha=0.35, markersize=3)
            if values:
                axes.plot(np.mean(values), place, marker, color=COLOURS[colour], label=label if row == 0 else None)
    axes.set_yticks(range(len(STEPS)), list(STEPS.values()))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("rate")
    axes.set_title("Where the chain loses", pad=12)
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.16), fontsize=8, ncols=1)


def _reports(record: Record, variant: str) -> list[dict[str, dict[str, float]]]:
    """The step report of every language, one dictionary per seed."""
    return [cell.details["steps"] for cell in record.measurements[variant].values()]
