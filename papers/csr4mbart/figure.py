"""The figure of the page, drawn from the record: distance, translations, and what stage 1 alone teaches."""

from __future__ import annotations

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
PANELS = (
    ("distance", "Languages apart", "distance of translations\n(1 = as far as any sentence)", "{:.2f}"),
    ("bleu", "Fine-tuned", "BLEU of a sentence", "{:.0f}"),
    ("restored_bleu", "Before any pair was seen", "BLEU of a sentence", "{:.1f}"),
)


def draw(record: Record) -> Figure:
    """A row an arm, a panel a metric, with 95 % intervals over languages."""
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.4), sharey=True)
    for panel, (metric, title, label, form) in zip(axes, PANELS, strict=True):
        _arms(panel, record, metric, form)
        panel.set_title(title)
        panel.set_xlabel(label)
    copied = record.trivial()["wrong_row"]
    axes[1].axvline(copied, color="grey", linewidth=0.8)
    axes[1].text(copied, -0.52, " another sentence", fontsize=7, color="grey", va="center")
    return figure


def _arms(axes: Axes, record: Record, metric: str, form: str) -> None:
    found = [(mean_of(record, variant, metric, "language"), colour) for variant, _, colour in ARMS]
    high = max(bar.high for bar, _ in found)
    for row, (bar, colour) in enumerate(found):
        axes.barh(row, bar.estimate, color=COLOURS[colour], alpha=0.5, height=0.7)
        axes.plot([max(0.0, bar.low), bar.high], [row, row], color="black", linewidth=1)
        axes.text(max(bar.high, bar.estimate) + 0.03 * high, row, form.format(bar.estimate), va="center", fontsize=9)
    rows(axes, [label for _, label, _ in ARMS], 1.25 * high)
    axes.set_ylim(len(ARMS) - 0.4, -0.75)
