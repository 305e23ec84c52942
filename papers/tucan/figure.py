"""The figure of the page, drawn from the record alone: accuracy of every arm, and of two of them by scenario."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, mean_of
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record

ARMS = (
    ("bg+en", "tuned", "blue"),
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
SHOWN = (("bg+en", "D", -0.15), ("base", "o", 0.15))


def draw(record: Record) -> Figure:
    """Left: accuracy on Bulgarian requests, all scenarios alike. Right: by scenario; means with 95 % intervals."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.4), width_ratios=(1.1, 1))
    arm_bars(left, record, "accuracy_bg", ARMS, unit="tool")
    trivial_lines(left, record, "base", vertical=True, names=("neighbour",))
    left.set_xlabel("accuracy on Bulgarian requests, six scenarios alike (95 % interval)")
    left.set_title("Every arm; never calling gets half", pad=14)
    _scenarios(right, record)
    return figure


def _scenarios(axes: Axes, record: Record) -> None:
    arms = {variant: (label, COLOURS[colour]) for variant, label, colour in ARMS}
    for number, (variant, marker, shift) in enumerate(one for one in SHOWN if one[0] in record.measurements):
        label, colour = arms[variant]
        for row, scenario in enumerate(SCENARIOS):
            found = mean_of(record, variant, f"accuracy_{scenario}_bg", "tool")
            axes.plot([max(0.0, found.low), min(1.0, found.high)], [row + shift] * 2, color=colour, linewidth=1.2)
            axes.plot(found.estimate, row + shift, marker, color=colour, markersize=6)
        axes.text(0.0, -1.3 + 0.3 * number, label, color=colour, fontsize=9, va="center")
    axes.axhline(2.5, color="#BBBBBB", linewidth=1)
    for height, text in ((-0.42, "a call is wanted"), (5.42, "no call is wanted")):
        axes.text(1.0, height, text, ha="right", va="center", fontsize=8, color=COLOURS["grey"])
    axes.set_yticks(range(len(SCENARIOS)), list(SCENARIOS.values()))
    axes.set(ylim=(5.7, -1.55), xlim=(-0.03, 1.03), xlabel="accuracy")
    axes.grid(axis="y", visible=False)
    axes.set_title("By scenario", pad=14)
