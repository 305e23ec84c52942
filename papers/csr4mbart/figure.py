"""The figure of the page, drawn from the record: distance, what is gained in translation, what stage 1 alone does."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import mean_of, rows
from core.experiment.report import COLOURS
from core.experiment.results import Record

ARMS = (
    ("csr", "code-switching restore", "blue"),
    ("random", "the same, shuffled lexicon", "grey"),
    ("mask", "masks in place of words", "grey"),
    ("plain_equal", "fine-tuning, as many steps", "orange"),
    ("plain", "fine-tuning alone", "orange"),
)
ZERO_SHOT = {"csr": "zero_shot", "plain": "zero_shot_plain"}


def draw(record: Record) -> Figure:
    """A row an arm, a panel a metric, with 95 % intervals over languages."""
    figure, (apart, tuned, unseen, untuned) = plt.subplots(1, 4, figsize=(9.6, 3.2), sharey=True)
    every = {variant: variant for variant, *_ in ARMS}
    _bars(apart, record, "distance", every, "{:.2f}")
    apart.set_title("Languages apart", fontsize=10)
    apart.set_xlabel("distance of translations\n(1 = as far as any)")
    _gains(tuned, record)
    tuned.set_title("Fine-tuned", fontsize=10)
    tuned.set_xlabel("BLEU more than by\nfine-tuning alone")
    _bars(unseen, record, "bleu", ZERO_SHOT, "{:.0f}")
    unseen.set_title("Pairs never seen", fontsize=10)
    unseen.set_xlabel("BLEU between\nthe other languages")
    _bars(untuned, record, "restored_bleu", every, "{:.0f}")
    untuned.set_title("No pair seen at all", fontsize=10)
    untuned.set_xlabel("BLEU before fine-tuning")
    return figure


def _bars(axes: Axes, record: Record, metric: str, variants: Mapping[str, str], form: str) -> None:
    high = 1.3 if metric == "distance" else 108.0
    for row, (arm, _, colour) in enumerate(ARMS):
        if arm in variants:
            bar = mean_of(record, variants[arm], metric, "language")
            end = min(bar.high, high)
            axes.barh(row, bar.estimate, color=COLOURS[colour], alpha=0.5, height=0.7)
            axes.plot([max(0.0, bar.low), end], [row, row], color="black", linewidth=1)
            axes.text(max(end, bar.estimate) + 0.03 * high, row, form.format(bar.estimate), va="center", fontsize=8)
    rows(axes, [label for _, label, _ in ARMS], 1.15 * high)


def _gains(axes: Axes, record: Record) -> None:
    for row, (arm, _, colour) in enumerate(ARMS[:-1]):
        gain = mean_of(record, arm, "bleu", "language", "plain")
        axes.plot([gain.low, gain.high], [row, row], color="black", linewidth=1)
        axes.plot(gain.estimate, row, "o", color=COLOURS[colour])
        axes.text(gain.estimate, row - 0.2, f"{gain.estimate:+.1f}", ha="center", va="bottom", fontsize=8)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.grid(axis="y", visible=False)
