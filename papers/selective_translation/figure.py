"""The figure of the page, drawn from the record alone: every arm, every language, and what happens to real messages."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, unit_rows
from core.experiment.results import Record
from core.text.languages import name

ARMS = (
    ("english", "English alone", "grey"),
    ("target_only", "selective, without English", "grey"),
    ("selective", "English + selective", "blue"),
    ("more", "  2.5 times as many", "blue"),
    ("unfiltered", "  5 times as many, unfiltered", "blue"),
    ("dpo", "  then preferences", "blue"),
    ("vanilla", "English + plain", "orange"),
    ("vanilla_low", "  3 of 10 spans translated", "orange"),
    ("vanilla_unfiltered", "  5 times as many, unfiltered", "orange"),
    ("audited", "  only with all spans", "orange"),
    ("vanilla_dpo", "  then preferences", "orange"),
    ("misplaced", "English + all spans translated (null)", "purple"),
)
MESSAGES = (("selective", "blue"), ("vanilla", "orange"), ("misplaced", "purple"))


def draw(record: Record) -> Figure:
    """Left: right answers of every arm. Middle: seeds, each a language. Right: real messages, every language."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 5), width_ratios=(1.3, 0.8, 1))
    arm_bars(left, record, "accuracy", ARMS)
    left.set_xlabel("right answers in the target language (95 % interval)")
    left.set_title("Tuned on translations", pad=14)
    unit_rows(middle, record, "accuracy", MESSAGES[:2], name)
    middle.set_xlabel("the same; colours as on the left")
    middle.set_title("Every language", pad=14)
    unit_rows(right, record, "chrf", MESSAGES, name)
    right.set_xlim(0, 0.7)
    right.set_xlabel("chrF against the human translation\n(purple: other words are protected)")
    right.set_title("Real messages with placeholders", pad=14)
    return figure
