"""The figure of the page, drawn from the record alone: accuracy of every arm, and of two of them by scenario."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, metric_rows
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record

ARMS = (
    ("bg+en", "tuned on both languages", "blue"),
    ("en", "English alone", "green"),
    ("no_negatives", "calls alone", "vermilion"),
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


def draw(record: Record) -> Figure:
    """Left: accuracy on Bulgarian requests, all scenarios alike, with 95 % intervals. Right: by scenario."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.4), width_ratios=(1.1, 1))
    # The base never calls: its bar would be the line, its interval one of a constant.
    arm_bars(left, record, "accuracy_bg", ARMS, unit="tool")
    trivial_lines(left, record, "base", vertical=True)
    left.set_xlabel("accuracy, six scenarios alike")
    left.set_title("Bulgarian requests, every arm", pad=14)
    rows = {f"accuracy_{scenario}_bg": label for scenario, label in SCENARIOS.items()}
    metric_rows(right, record, rows, (ARMS[0], ARMS[2]))
    right.axhline(2.5, color="#BBBBBB", linewidth=1)
    for height, text in ((2.42, "a call is wanted"), (5.5, "no call is wanted")):
        right.text(0.02, height, text, va="bottom", fontsize=8, color=COLOURS["grey"])
    right.set_xlabel("accuracy; small marks are seeds")
    right.set_title("By scenario", pad=14)
    return figure
