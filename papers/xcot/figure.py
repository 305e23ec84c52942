"""The figure of the page, drawn from the record alone: every arm, what the devices do, every language."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, metric_rows, unit_rows
from core.experiment.report import trivial_lines
from core.experiment.results import Record

ARMS = (
    ("xcot", "xCoT: all three devices", "blue"),
    ("no_distillation", "without distillation", "green"),
    ("no_random_cot", "without Random-CoT", "green"),
    ("no_xicl", "without xICL", "green"),
    ("cs_flat", "examples as rows, not in context", "grey"),
    ("sft", "English chains alone", "orange"),
    ("native", "chains in the question's language", "orange"),
    ("mismatched", "words and questions of others (null)", "grey"),
)
METRICS = {"english": "English\nquestions", "accuracy": "the other\nlanguages", "mean_to_best": "mean / best\nlanguage"}


def draw(record: Record) -> Figure:
    """Left: accuracy of every arm with its interval. Right: English and the gap; every language."""
    figure, axes = plt.subplot_mosaic(
        [["arms", "gap"], ["arms", "languages"]], figsize=(9.6, 6.2), width_ratios=(1.2, 1), height_ratios=(1, 1.5)
    )
    arm_bars(axes["arms"], record, "accuracy", ARMS)
    trivial_lines(axes["arms"], record, "sft", vertical=True, names=("majority", "word_by_word"))
    axes["arms"].set_xlabel("accuracy on problems never shown, low-resource languages (95 % interval)")
    axes["arms"].set_title("Every arm, as many tokens", pad=14)
    metric_rows(axes["gap"], record, METRICS, (ARMS[0], ARMS[6]))
    axes["gap"].set_xlabel("rate; small marks are seeds")
    axes["gap"].set_title("English and the gap", pad=14)
    unit_rows(axes["languages"], record, "accuracy", (("xcot", "blue"), ("native", "orange")))
    axes["languages"].set_xlabel("accuracy; colours as above")
    axes["languages"].set_title("Every language", pad=8)
    return figure
