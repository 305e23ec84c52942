"""The figure of the page, drawn from the record alone: accuracy of every arm, and of two of them by scenario."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, mean_of
from core.experiment.report import COLOURS
from core.experiment.results import Record

ARMS = (
    ("bg+en", "tuned on both languages", "blue"),
    ("bg", "Bulgarian alone", "sky"),
    ("en", "English alone", "green"),
    ("no_negatives", "calls alone", "vermilion"),
    ("base", "base, not tuned", "grey"),
    ("shuffled", "other items' answers (null)", "purple"),
)
SCENARIOS = {
    "function_call_required": "one function",
    "multiple_functions_selection": "choose one",
    "ambiguous_function_selection": "similar functions",
    "irrelevant_question_with_functions": "none fits",
    "missing_required_parameters": "value missing",
    "no_functions_available": "no functions",
}
SHOWN = (("bg+en", "D", -0.2), ("no_negatives", "s", 0.0), ("base", "o", 0.2))


def draw(record: Record) -> Figure:
    """Left: accuracy on Bulgarian requests, all scenarios alike. Right: by scenario; means with 95 % intervals."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.4), width_ratios=(1.1, 1))
    # The base never calls: its bar would be the line, its interval one of a constant.
    arm_bars(left, record, "accuracy_bg", [arm for arm in ARMS if arm[0] != "base"], unit="tool")
    # The solvers are a point apart: the name of one ends at its line, that of the other begins there.
    for (solver, value), side in zip(record.trivial("base").items(), ("right", "left"), strict=True):
        left.axvline(value, color=COLOURS["grey"], linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
        name = {"never_call": "never call (base)"}.get(solver, solver)
        left.text(value, 1.0, f" {name} ", transform=left.get_xaxis_transform(), fontsize=7,
                  color=COLOURS["grey"], ha=side, va="bottom")  # fmt: skip
    left.set_xlabel("accuracy, six scenarios alike")
    left.set_title("Bulgarian requests, every arm", pad=14)
    _scenarios(right, record)
    return figure


def _scenarios(axes: Axes, record: Record) -> None:
    arms = {variant: (label, COLOURS[colour]) for variant, label, colour in ARMS}
    for number, (variant, marker, shift) in enumerate(one for one in SHOWN if one[0] in record.measurements):
        label, colour = arms[variant]
        for row, scenario in enumerate(SCENARIOS):
            found = mean_of(record, variant, f"accuracy_{scenario}_bg", "tool")
            if variant != "base":  # never calls: its numbers are 0 and 1 by construction, and have no interval
                axes.plot([max(0.0, found.low), min(1.0, found.high)], [row + shift] * 2, color=colour, linewidth=1.2)
            axes.plot(found.estimate, row + shift, marker, color=colour, markersize=6)
        axes.text(0.0, -1.6 + 0.3 * number, label, color=colour, fontsize=9, va="center")
    axes.axhline(2.5, color="#BBBBBB", linewidth=1)
    for height, text in ((-0.42, "a call is wanted"), (5.42, "no call is wanted")):
        axes.text(1.0, height, text, ha="right", va="center", fontsize=8, color=COLOURS["grey"])
    axes.set_yticks(range(len(SCENARIOS)), list(SCENARIOS.values()))
    axes.set(ylim=(5.7, -1.85), xlim=(-0.03, 1.03), xlabel="accuracy")
    axes.grid(axis="y", visible=False)
    axes.set_title("By scenario", pad=14)
