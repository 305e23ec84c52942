"""The figure of the page, drawn from the record alone: every arm, where the chain loses, every language."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, metric_rows, unit_rows
from core.experiment.report import trivial_lines
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
    metric_rows(axes["steps"], record, STEPS, (ARMS[0], (*ARMS[3][:2], "green")))
    axes["steps"].set_xlabel("rate; small marks are seeds")
    axes["steps"].set_title("Where the chain loses", pad=14)
    unit_rows(axes["languages"], record, "accuracy", (("taco", "blue"), ("direct_tokens", "orange")))
    axes["languages"].set_xlabel("accuracy; colours as on the left")
    axes["languages"].set_title("Every language", pad=8)
    return figure
