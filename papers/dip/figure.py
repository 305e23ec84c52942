"""The figure of the page, drawn from the record alone: every arm, every language, and what the entries cost."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, mean_of, unit_rows
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.text.languages import name

ARMS = (
    ("none", "question as it is", "grey"),
    ("interleave", "glosses behind words (DIP)", "blue"),
    ("prepend", "same entries before", "orange"),
    ("append", "same entries after", "orange"),
    ("shuffle", "glosses change places", "purple"),
    ("wrong", "other words' glosses (null)", "purple"),
    ("replace", "glosses alone", "sky"),
    ("half", "half of the entries", "green"),
    ("noisy", "half of the glosses wrong", "green"),
    ("learnt", "words from parallel text", "green"),
    ("rarest", "two entries a question", "green"),
    ("english", "English question", "black"),
)


def draw(record: Record) -> Figure:
    """Left: accuracy of every arm, 95 % intervals over languages. Middle: languages. Right: accuracy against tokens."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4.8), width_ratios=(1.1, 0.8, 0.9))
    arm_bars(left, record, "accuracy", ARMS)
    left.axvline(0.25, color=COLOURS["grey"], linewidth=0.8, linestyle=":")
    left.text(
        0.25, 1.0, " guessing", transform=left.get_xaxis_transform(), fontsize=7, va="bottom", color=COLOURS["grey"]
    )
    left.set_xlabel("accuracy")
    left.set_title("Questions in ten languages", pad=14)
    unit_rows(middle, record, "accuracy", (("interleave", "blue"), ("none", "grey"), ("english", "black")), name)
    middle.set_xlabel("accuracy: as it is, with glosses, in English")
    middle.set_title("Every language", pad=14)
    _costs(right, record)
    return figure


def _costs(axes: Axes, record: Record) -> None:
    for variant, label, colour in ARMS:
        if variant in ("wrong", "noisy", "shuffle", "learnt") or variant not in record.measurements:
            continue
        x, y = (mean_of(record, variant, metric, "language").estimate for metric in ("tokens", "accuracy"))
        axes.plot(x, y, "o", color=COLOURS[colour], markersize=6)
        axes.annotate(label, (x, y), xytext=(0, 6), textcoords="offset points", fontsize=7, ha="center")
    axes.set_xlabel("tokens of the question")
    axes.set_ylabel("accuracy")
    axes.margins(0.25)
    axes.set_title("What the entries cost", pad=14)
