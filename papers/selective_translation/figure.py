"""The figure of the page, drawn from the record alone: every arm, every language, and what happens to real messages."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, by_unit, rows
from core.experiment.report import COLOURS
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
    ("misplaced", "English + misplaced (null)", "purple"),
)
MESSAGES = (("selective", "blue"), ("vanilla", "orange"), ("misplaced", "purple"))


def draw(record: Record) -> Figure:
    """Left: right answers of every arm. Middle: seeds, each a language. Right: real messages, every language."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 5), width_ratios=(1.3, 0.8, 1))
    arm_bars(left, record, "accuracy", ARMS)
    left.set_xlabel("right answers in the target language (95 % interval)")
    left.set_title("Tuned on translations", pad=14)
    _languages(middle, record, "accuracy", MESSAGES[:2])
    middle.set_xlabel("the same; colours as on the left")
    middle.set_title("Every language", pad=14)
    _languages(right, record, "chrf", MESSAGES)
    right.set_xlim(0, 0.7)
    right.set_xlabel("chrF against the human translation")
    right.set_title("Real messages with placeholders", pad=14)
    return figure


def _languages(axes: Axes, record: Record, metric: str, arms: tuple[tuple[str, str], ...]) -> None:
    found = [by_unit(record, variant, metric) for variant, _ in arms]
    order = sorted(found[0], key=lambda unit: -found[0][unit])
    for row, unit in enumerate(order):
        values = [means[unit] for means in found]
        axes.plot([min(values), max(values)], [row, row], color=COLOURS["grey"], linewidth=1)
        for value, (_, colour) in reversed([*zip(values, arms, strict=True)]):
            axes.plot(value, row, "o", color=COLOURS[colour], markersize=5)
    rows(axes, [name(unit) for unit in order])
