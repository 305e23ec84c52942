"""The figure of the page, drawn from the record: what every arm changes against fine-tuning alone, and the rest."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, gain_rows
from core.experiment.results import Record

STAGES = (
    ("csr", "code-switching restore", "blue"),
    ("random", "the same, shuffled lexicon", "grey"),
    ("mask", "masks in place of words", "grey"),
)
EQUAL = ("plain_equal", "fine-tuning, as many steps", "orange")
NONE = ("plain", "no stage", "orange")
UNSEEN = (
    ("zero_shot", "code-switching restore", "blue"),
    ("zero_shot_random", "the same, shuffled lexicon", "grey"),
    ("zero_shot_plain_equal", "fine-tuning, as many steps", "orange"),
    ("zero_shot_plain", "fine-tuning alone", "orange"),
)


def draw(record: Record) -> Figure:
    """A panel a question, with 95 % intervals over languages: differences where arms share a control, else bars."""
    figure, ((apart, tuned), (untuned, unseen)) = plt.subplots(2, 2, figsize=(9.6, 4.8))
    gain_rows(apart, record, "euclidean", (*STAGES, EQUAL), "plain")
    apart.set_title("Languages apart, tuned", fontsize=10)
    apart.set_xlabel("Euclidean distance more than by fine-tuning alone", fontsize=8)
    gain_rows(tuned, record, "bleu", (*STAGES, EQUAL), "plain", form="{:+.1f}")
    tuned.set_yticklabels([])
    for text in (*apart.texts, *tuned.texts):  # the line at zero runs behind the numbers, not through them
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
    tuned.set_title("Translation, tuned", fontsize=10)
    tuned.set_xlabel("BLEU more than by fine-tuning alone", fontsize=8)
    for axes, metric, arms in ((untuned, "restored_bleu", (*STAGES, NONE)), (unseen, "bleu", UNSEEN)):
        arm_bars(axes, record, metric, arms, highest=100.0, form="{:.0f}")
    untuned.set_title("Translation, no pair seen", fontsize=10)
    untuned.set_xlabel("BLEU before fine-tuning", fontsize=8)
    unseen.set_title("Translation, pairs never seen", fontsize=10)
    unseen.set_xlabel("BLEU", fontsize=8)
    return figure
