"""The figure of the page, drawn from the record: what each tuning knows in each language, and where adapters matter."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import by_unit, mean_of, rows
from core.experiment.report import COLOURS
from core.experiment.results import Record

LANGUAGES = (("en", "English", COLOURS["blue"]), ("ar", "Arabic", COLOURS["vermilion"]))
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
        _bars(side, record, [arm for arm in arms if arm[0] in record.measurements])
        side.set_title(title, pad=12)
        side.set_xlabel("accuracy on conditions and wordings never tuned on")
    return figure


def _bars(axes: Axes, record: Record, arms: Sequence[tuple[str, str]]) -> None:
    rows(axes, [label for _, label in arms], high=1.14)
    for row, (variant, _) in enumerate(arms):
        for place, (code, language, colour) in zip((row - 0.2, row + 0.2), LANGUAGES, strict=True):
            metric = f"accuracy_{code}"
            found, wordings = mean_of(record, variant, metric, "wording"), by_unit(record, variant, metric)
            axes.barh(place, found.estimate, height=0.37, color=colour, alpha=0.75)
            axes.plot([max(0, found.low), min(1, found.high)], [place, place], color="black", linewidth=1.2)
            axes.scatter([*wordings.values()], [place] * len(wordings), s=4, color="black", alpha=0.5, linewidths=0)
            axes.text(1.02, place, f"{found.estimate:.2f}", va="center", fontsize=9)
            if not row:
                axes.text(0.02, place, language, va="center", fontsize=9, color="white", weight="bold")
    axes.axvline(CHANCE, color="black", linestyle=":", linewidth=1)
    axes.text(CHANCE, 1.005, "chance", fontsize=8, ha="center", va="bottom", transform=axes.get_xaxis_transform())
