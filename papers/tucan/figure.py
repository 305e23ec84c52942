"""The figure of the page, drawn from the record alone: accuracy of every arm, and of three of them by scenario."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars
from core.experiment.paper import Check
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record, compare

ARMS = (
    ("bg+en", "tuned in both languages", "blue"),
    ("en", "tuned on English alone", "sky"),
    ("no-negatives", "tuned on calls alone", "vermilion"),
    ("base", "base, not tuned", "grey"),
    ("shuffled", "tuned on other items' calls (null)", "grey"),
)
SCENARIOS = {
    "function_call_required": "one function",
    "multiple_functions_selection": "choose one",
    "ambiguous_function_selection": "similar functions",
    "irrelevant_question_with_functions": "none fits",
    "missing_required_parameters": "value missing",
    "no_functions_available": "no functions",
}
SHOWN = (("bg+en", "D", -0.2), ("no-negatives", "s", 0.0), ("base", "o", 0.2))


def draw(record: Record) -> Figure:
    """Left: accuracy on Bulgarian requests, all scenarios alike. Right: by scenario; means with 95 % intervals."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.6), width_ratios=(1.1, 1))
    _arms(left, record)
    _scenarios(right, record)
    return figure


def _interval(record: Record, variant: str, metric: str) -> tuple[float, float, float]:
    whole = Check(id="", statement="", metric=metric, treatment=variant, unit="tool")
    found = compare(whole, 0.0, record.measurements).interval
    return found.estimate, max(0.0, found.low), min(1.0, found.high)


def _arms(axes: Axes, record: Record) -> None:
    arm_bars(axes, record, "accuracy_bg", ARMS, unit="tool")
    trivial_lines(axes, record, "base", vertical=True)
    axes.set_xlabel("accuracy on Bulgarian requests, six scenarios alike (95 % interval)")
    axes.set_title("Every arm; never calling gets half", pad=14)


def _scenarios(axes: Axes, record: Record) -> None:
    names = {variant: label for variant, label, _ in ARMS}
    colours = {variant: COLOURS[colour] for variant, _, colour in ARMS}
    for number, (variant, marker, shift) in enumerate(SHOWN):
        if variant not in record.measurements:
            continue
        for row, scenario in enumerate(SCENARIOS):
            mean, low, high = _interval(record, variant, f"accuracy_{scenario}_bg")
            axes.plot([low, high], [row + shift] * 2, color=colours[variant], linewidth=1.2)
            axes.plot(mean, row + shift, marker, color=colours[variant], markersize=6)
        axes.text(0.0, -1.3 + 0.3 * number, names[variant], color=colours[variant], fontsize=9, va="center")
    axes.axhline(2.5, color="#BBBBBB", linewidth=1)
    for height, text in ((-0.42, "a call is wanted"), (5.42, "no call is wanted")):
        axes.text(1.0, height, text, ha="right", va="center", fontsize=8, color=COLOURS["grey"])
    axes.set_yticks(range(len(SCENARIOS)), list(SCENARIOS.values()))
    axes.set_ylim(5.7, -1.55)
    axes.set_xlim(-0.03, 1.03)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("accuracy")
    axes.set_title("By scenario", pad=14)
