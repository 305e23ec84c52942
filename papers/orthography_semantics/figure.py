"""The figure of the page, drawn from the record alone: answers by kind, and labels against likeness of form."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import mean_of
from core.experiment.report import COLOURS
from core.experiment.results import Record

KINDS = (
    ("cognate", "cognates: lamp / Lampe", "blue"),
    ("translation", "translations: gift / Geschenk", "sky"),
    ("false", "false friends: gift / Gift", "vermilion"),
    ("unrelated", "unrelated: gift / Anhänger", "grey"),
)
# False friends as two groups, those that are spelled alike and those that are nearly so.
BARS = (
    *KINDS[:2],
    ("near", "nearly alike: back / Bach", "orange"),
    ("identical", "spelled alike: gift / Gift", "vermilion"),
    KINDS[3],
)
ASKED = (
    ("label", "same meaning?\nright labels"),
    ("word", "which meaning?\nother language"),
    ("english", "which meaning?\nEnglish"),
)


def draw(record: Record) -> Figure:
    """Left: right answers by task and kind, 95 % intervals over words. Right: s of each pair."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(1.15, 1))
    _answers(left, record)
    _form(right, record)
    return figure


def _answers(axes: Axes, record: Record) -> None:
    for row, (kind, label, colour) in enumerate(BARS):
        for column, (task, _) in enumerate(ASKED):
            found = mean_of(record, "e5", f"{task}_{kind}", "item")
            place = column + 0.16 * (row - 2)
            axes.bar(place, found.estimate, width=0.14, color=COLOURS[colour], alpha=0.6, label="" if column else label)
            axes.plot([place, place], [max(0, found.low), min(1, found.high)], color="black", linewidth=1)
    axes.axhline(0.5, color=COLOURS["grey"], linewidth=0.8, linestyle=(0, (2, 2)))
    axes.set_xticks(range(len(ASKED)), [label for _, label in ASKED])
    axes.set(ylim=(0, 1.3), ylabel="share right")
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.legend(loc="upper left", ncols=2, fontsize=8)
    axes.set_title("A multilingual encoder on words of two languages", pad=14)


def _form(axes: Axes, record: Record) -> None:
    pairs = record.measurements["e5"][min(record.seeds)].details["pairs"]
    for kind, label, colour in KINDS:
        own = [pair for pair in pairs if pair["kind"] == kind]
        axes.plot(
            [pair["form"] for pair in own], [pair["truth"] for pair in own], "o", markersize=3, alpha=0.6,
            color=COLOURS[colour], label=label,
        )  # fmt: skip
    axes.axhline(0, color=COLOURS["grey"], linewidth=0.8, linestyle=(0, (2, 2)))
    axes.set(xlabel="likeness of form", ylabel="cosine, less the mean of eq. 1")
    axes.set_title("“Same meaning?”: every pair of one seed", pad=14)
