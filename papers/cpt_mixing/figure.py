"""The figure: the grid. What each mixture writes, loses, learns and classifies, with the mixture to take.

Means with 95 % intervals over seeds and languages, as the verdicts have them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from core.experiment.figures import arm_bars, gain_rows
from core.experiment.report import trivial_lines
from core.experiment.results import Record
from papers.cpt_mixing.method import recommend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ARMS = (
    ("mono", "one language", "blue"),
    ("mono_code", "one language, code", "sky"),
    ("bi", "pairs", "vermilion"),
    ("bi_code", "pairs, code", "orange"),
    ("replay", "one language, English", "green"),
    ("apart", "pairs pulled apart (null)", "grey"),
)
BEFORE = ("base", "before", "purple")


def draw(record: Record) -> Figure:
    """Above: language fidelity, whole and inside a line, and topics. Below: what was learnt and what it cost."""
    figure, axes = plt.subplots(2, 3, figsize=(11, 5.6))
    flat = axes.ravel().tolist()
    arms = [(name, _marked(record, name, label), colour) for name, label, colour in ARMS]
    for place, metric, title in (
        (0, "fidelity", "Goes on in the language"),
        (1, "fidelity_line", "Ends a line in its language"),
        (2, "right_less", "Topics right, mid and low"),
    ):
        arm_bars(flat[place], record, metric, [*arms, BEFORE])
        flat[place].set_title(title, pad=14)
    trivial_lines(flat[2], record, "bi", vertical=True, names=("letters",))
    changes = (
        (3, "target_bits", "language", "Text of the languages"),
        (4, "english_bits", "seed", "English text"),
        (5, "right_high", "language", "Topics right, high resources"),
    )
    for place, metric, unit, title in changes:
        gain_rows(flat[place], record, metric, arms, "base", unit)
        flat[place].set_title(title)
        flat[place].set_xlabel("change of bits per byte" if "bits" in metric else "change of the share")
    for place in (1, 2, 4, 5):
        flat[place].set_yticklabels([])
    return figure


def _marked(record: Record, name: str, label: str) -> str:
    means = {
        arm: {metric: record.mean(arm, metric) for metric in ("target_bits", "english_bits", "fidelity")}
        for arm in record.measurements
    }
    grid = {arm: row for arm, row in means.items() if arm not in ("base", "apart", "less")}
    return f"{label} ◂ take" if "base" in means and grid and recommend(grid, means["base"])[0] == name else label
