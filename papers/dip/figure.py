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
    ("shuffle", "glosses change places", "vermilion"),
    ("replace", "glosses alone", "vermilion"),
    ("wrong", "other words' glosses (null)", "purple"),
    ("noisy", "half of the glosses wrong", "green"),
    ("half", "half of the entries", "green"),
    ("learnt", "words from parallel text", "green"),
    ("rarest", "two entries a question", "green"),
)
# Where the label of a point stands beside it.
COSTS = {
    "none": (6, -3),
    "interleave": (-62, 7),
    "prepend": (-52, -12),
    "append": (-46, 7),
    "replace": (6, 5),
    "rarest": (6, -9),
}


def draw(record: Record) -> Figure:
    """Left: accuracy of every arm, 95 % intervals over languages. Middle: languages. Right: accuracy against tokens."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4.6), width_ratios=(1, 0.75, 0.9))
    arm_bars(left, record, "accuracy", ARMS)
    for value, label in (
        (0.25, "guessing"),
        (mean_of(record, "english", "accuracy", "language").estimate, "in English"),
    ):
        left.axvline(value, color=COLOURS["grey"], linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
        left.text(value, 1.0, label, transform=left.get_xaxis_transform(), fontsize=7.5, ha="center", va="bottom")
    left.set_xlabel("accuracy")
    left.set_title("Questions in ten languages", pad=14)
    unit_rows(middle, record, "accuracy", (("interleave", "blue"), ("none", "grey")), name)
    middle.set_xlabel("accuracy: as it is (grey), with glosses (blue)")
    middle.set_title("Every language", pad=14)
    _costs(right, record)
    return figure


def _costs(axes: Axes, record: Record) -> None:
    labels = {variant: (label, colour) for variant, label, colour in ARMS}
    for variant, offset in COSTS.items():
        label, colour = labels[variant]
        x, y = (mean_of(record, variant, metric, "language").estimate for metric in ("tokens", "accuracy"))
        axes.plot(x, y, "o", color=COLOURS[colour], markersize=6)
        axes.annotate(label, (x, y), xytext=offset, textcoords="offset points", fontsize=7.5)
    axes.set_xlabel("tokens of the question with its entries")
    axes.set_ylabel("accuracy")
    axes.margins(0.3, 0.15)
    axes.set_title("What the entries cost", pad=14)
