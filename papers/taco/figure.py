"""The figure of the page, drawn from the record alone: every arm, where the chain loses, every language."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, by_unit, rows
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record

ARMS = (
    ("taco", "TaCo chain", "blue"),
    ("direct_tokens", "instruction tuning, as many tokens", "orange"),
    ("no_instruction_en", "chain without the instruction", "grey"),
    ("no_curriculum", "chain, from statements alone", "grey"),
    ("shuffled", "chain of another record (null)", "grey"),
)
STEPS = {
    "understood": "question put\ninto English",
    "answer_given_instruction": "answered,\nif understood",
    "back_given_answer": "put back,\nif answered",
    "accuracy": "final answer",
}


def draw(record: Record) -> Figure:
    """Left: accuracy of every arm with its interval. Right: steps of two chains; every language."""
    figure, axes = plt.subplot_mosaic(
        [["arms", "steps"], ["arms", "languages"]], figsize=(9.6, 5.6), width_ratios=(1.25, 1)
    )
    arms, double = axes["arms"], 2 * record.mean("direct_tokens", "accuracy")
    arm_bars(arms, record, "accuracy", ARMS)
    arms.axvline(double, color="black", linestyle=":", linewidth=1)
    arms.text(double + 0.012, 4.46, "twice instruction tuning", fontsize=8, va="center")
    trivial_lines(arms, record, "direct_tokens", vertical=True, names=("majority",))
    arms.set_xlabel("accuracy on facts never shown in the language (95 % interval)")
    arms.set_title("Every arm", pad=14)
    _steps(axes["steps"], record)
    _languages(axes["languages"], record)
    return figure


def _steps(axes: Axes, record: Record) -> None:
    for number, (variant, label, colour) in enumerate((ARMS[0], (*ARMS[3][:2], "green"))):
        for row, metric in enumerate(STEPS):
            cells = record.measurements.get(variant, {}).values()
            values = [cell.metrics[metric] for cell in cells if metric in cell.metrics]
            place = row + 0.16 * (2 * number - 1)
            axes.plot(values, [place] * len(values), "o", color=COLOURS[colour], alpha=0.45, markersize=4)
            if values:  # else no chain came as far
                axes.plot(sum(values) / len(values), place, "o", color=COLOURS[colour], markersize=7)
        axes.text(0.02, 0.1 + 0.3 * number, label, color=COLOURS[colour], fontsize=9, va="center")
    rows(axes, [*STEPS.values()])
    axes.set_xlabel("rate; small marks are seeds")
    axes.set_title("Where the chain loses", pad=14)


def _languages(axes: Axes, record: Record) -> None:
    taco, direct = (by_unit(record, variant, "accuracy") for variant in ("taco", "direct_tokens"))
    order = sorted(taco, key=lambda language: -taco[language])
    for row, language in enumerate(order):
        axes.plot([direct[language], taco[language]], [row, row], color=COLOURS["grey"], linewidth=1)
        axes.plot(direct[language], row, "o", color=COLOURS["orange"], markersize=5)
        axes.plot(taco[language], row, "o", color=COLOURS["blue"], markersize=5)
    rows(axes, order)
    axes.set_xlabel("accuracy; colours as on the left")
    axes.set_title("Every language", pad=8)
