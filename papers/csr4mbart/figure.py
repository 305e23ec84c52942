"""The figure of the page, drawn from the record: what every arm changes against fine-tuning alone, and the rest."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import interval_marks, mean_of, rows
from core.experiment.report import COLOURS
from core.experiment.results import Record

Arms = Sequence[tuple[str, str, str]]
STAGES: Arms = (
    ("csr", "code-switching restore", "blue"),
    ("random", "the same, shuffled lexicon", "grey"),
    ("mask", "masks in place of words", "grey"),
)
MORE: Arms = (("plain_equal", "fine-tuning, as many steps", "orange"),)
NONE: Arms = (("plain", "no stage", "orange"),)
UNSEEN: Arms = (
    ("zero_shot", "code-switching restore", "blue"),
    ("zero_shot_plain", "fine-tuning alone", "orange"),
)


def draw(record: Record) -> Figure:
    """A panel a question, with 95 % intervals over languages: differences where arms share a control, else bars."""
    figure, panels = plt.subplots(2, 2, figsize=(9.6, 4.6), height_ratios=(4, 3.4))
    (apart, tuned), (untuned, unseen) = panels
    _gains(apart, record, "distance", "{:+.2f}")
    apart.set_title("Languages apart, tuned", fontsize=10)
    apart.set_xlabel("distance more than by fine-tuning alone", fontsize=8)
    _gains(tuned, record, "bleu", "{:+.1f}")
    tuned.set_yticklabels([])
    tuned.set_title("Translation, tuned", fontsize=10)
    tuned.set_xlabel("BLEU more than by fine-tuning alone", fontsize=8)
    _bars(untuned, record, "restored_bleu", (*STAGES, *NONE))
    untuned.set_title("Translation, no pair seen", fontsize=10)
    untuned.set_xlabel("BLEU before fine-tuning", fontsize=8)
    _bars(unseen, record, "bleu", UNSEEN)
    unseen.set_title("Translation, pairs never seen", fontsize=10)
    unseen.set_xlabel("BLEU", fontsize=8)
    return figure


def _bars(axes: Axes, record: Record, metric: str, arms: Arms) -> None:
    for row, (arm, _, colour) in enumerate(arms):
        bar = mean_of(record, arm, metric, "language")
        end = min(bar.high, 100.0)
        axes.barh(row, bar.estimate, color=COLOURS[colour], alpha=0.5, height=0.7)
        axes.plot([max(0.0, bar.low), end], [row, row], color="black", linewidth=1)
        axes.text(max(end, bar.estimate) + 2, row, f"{bar.estimate:.0f}", va="center", fontsize=8)
    rows(axes, [label for _, label, _ in arms], 112.0)


def _gains(axes: Axes, record: Record, metric: str, form: str) -> None:
    arms = (*STAGES, *MORE)
    found = [(mean_of(record, arm, metric, "language", "plain"), colour) for arm, _, colour in arms]
    interval_marks(axes, found)
    for row, (gain, _) in enumerate(found):
        axes.text(gain.estimate, row - 0.18, form.format(gain.estimate), ha="center", va="bottom", fontsize=8)
    rows(axes, [label for _, label, _ in arms])
    axes.autoscale(axis="x")
    axes.axvline(0, color="black", linewidth=0.8)
