"""The figure of the page, drawn from the record: what each tuning knows in each language, and where adapters matter."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import pair_bars
from core.experiment.results import Record

LANGUAGES = (("accuracy_en", "English", "blue"), ("accuracy_ar", "Arabic", "vermilion"))
TUNINGS = (
    ("bilingual", "both languages"),
    ("english-only", "English alone"),
    ("arabic-only", "Arabic alone"),
    ("base", "base, not tuned"),
    ("permuted", "both, wrong answers\nlearnt (null)"),
)
PLACES = (
    ("bilingual", "attention, experts\nand router"),
    ("experts-router", "experts and\nrouter"),
    ("attention", "attention, as many\nparameters"),
    ("unrounded", "all three, base\nnot in 4 bits"),
)
CHANCE = 0.25


def draw(record: Record) -> Figure:
    """Left: accuracy by tuning and language. Right: by what is adapted. 95 % intervals; each dot is a wording."""
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.6), width_ratios=(1.25, 1))
    for side, arms, title in zip(axes, (TUNINGS, PLACES), ("What is tuned on", "What is adapted"), strict=True):
        pair_bars(side, record, arms, LANGUAGES, "wording", dots=True, high=1.14)
        side.axvline(CHANCE, color="black", linestyle=":", linewidth=1)
        side.text(CHANCE, 1.005, "chance", fontsize=8, ha="center", va="bottom", transform=side.get_xaxis_transform())
        side.set_title(title, pad=12)
        side.set_xlabel("accuracy on conditions and wordings never tuned on")
    return figure
