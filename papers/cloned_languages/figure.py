"""The figure of the page, drawn from the record: what was gained, off the law, and whether by the same circuits."""

from __future__ import annotations

from statistics import fmean

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import interval_marks, mean_of, rows
from core.experiment.report import COLOURS
from core.experiment.results import Record

GAINS = (
    ("imbalanced", "teff_2", "90/10: the rare one", "blue"),
    ("alone", "teff_2", "its sequences alone,\nat the same steps", "purple"),
    ("balanced", "teff_mean", "50/50: either", "vermilion"),
    ("late", "teff_mean", "90/10, then 10/90: either", "green"),
    ("imbalanced", "teff_1", "90/10: the dominant one", "blue"),
    ("real", "teff_2", "90/10: rare Arabic", "orange"),
    ("shuffled", "teff_2", "90 % shuffled (null): rare", "grey"),
)
ALIKE = (
    ("imbalanced", "90/10", "blue"), ("balanced", "50/50", "vermilion"), ("late", "90/10, then 10/90", "green"),
    ("shuffled", "90 % shuffled (null)", "grey"),
)  # fmt: skip


def draw(record: Record) -> Figure:
    """Left: efficiency; middle: where it is read off; right: states and gradients."""
    figure, axes = plt.subplot_mosaic(
        [["gain", "law", "hidden"], ["gain", "law", "gradient"]], figsize=(12, 4.6), width_ratios=(1.15, 1, 1)
    )
    arms = [arm for arm in GAINS if _known(record, arm[0], arm[1])]
    found = [mean_of(record, variant, metric, "seed") for variant, metric, _, _ in arms]
    interval_marks(axes["gain"], [(bar, arm[3]) for bar, arm in zip(found, arms, strict=True)])
    known = [(row, bar) for row, bar in enumerate(found) if np.isfinite(bar.high)]  # beyond the law there is none
    highest = max([1.0, *(bar.high for _, bar in known)])
    for row, bar in known:
        axes["gain"].text(bar.high + 0.03 * highest, row, f"{bar.estimate:.2f}", va="center", fontsize=9)
    rows(axes["gain"], [label for _, _, label, _ in arms], 1.18 * highest)
    axes["gain"].axvline(1, color="black", linewidth=0.8, linestyle=(0, (2, 2)))
    axes["gain"].set_title("How many times its tokens?")
    axes["gain"].set_xlabel("token efficiency, 95 % over seeds\n(dashed: a run alone of as many tokens)")
    _law(axes["law"], record)
    _cosines(axes["hidden"], record, ("hidden", "hidden_apart"))
    axes["hidden"].set_title("Alike inside?")
    axes["hidden"].set_xlabel("states: a text and its clone (○ another's)", fontsize=9)
    _cosines(axes["gradient"], record, ("gradient",))
    axes["gradient"].set_xlabel("gradients of a text and its clone, cosine", fontsize=9)
    return figure


def _known(record: Record, variant: str, metric: str) -> bool:
    """Whether an arm was run and has this efficiency with every seed; where a curve does not fall, there is none."""
    cells = record.measurements.get(variant, {}).values()
    return bool(cells) and all(np.isfinite(cell.metrics[metric]) for cell in cells)


def _law(axes: Axes, record: Record) -> None:
    """Monolingual runs, mean over seeds; languages of mixtures where they were measured."""
    laws = [cell.details["law_1"] for cell in record.measurements["imbalanced"].values()]
    points = np.array([law["points"] for law in laws]).mean(0)
    axes.plot(points[:, 0], points[:, 1], "o-", color=COLOURS["grey"], markersize=4, label="alone")
    shown = (
        ("imbalanced", 2, "D", "90/10: rare"), ("imbalanced", 1, "^", "90/10: dominant"), ("balanced", 2, "s", "50/50"),
    )  # fmt: skip
    colours = {variant: colour for variant, _, _, colour in GAINS}
    for variant, language, mark, label in shown:
        if cells := record.measurements.get(variant, {}).values():
            read = fmean(cell.details["tokens"][language - 1] for cell in cells)
            perplexity = fmean(cell.metrics[f"ppl_{language}"] for cell in cells)
            axes.plot(read, perplexity, mark, color=COLOURS[colours[variant]], label=label)
    axes.set_xscale("log")
    ticks = [points[0, 0]]  # as many as there is room for
    for tokens in points[1:, 0]:
        if tokens > 1.8 * ticks[-1]:
            ticks.append(tokens)
    axes.set_xticks(ticks, [f"{tick / 1000:.0f}k" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("tokens read in the language")
    axes.set_ylabel("perplexity of held-out text")
    axes.set_title("Below the line: better than alone")
    axes.legend(fontsize=8)


def _cosines(axes: Axes, record: Record, metrics: tuple[str, ...]) -> None:
    """A row an arm: the first metric with its interval, the second as an empty mark."""
    arms = [arm for arm in ALIKE if arm[0] in record.measurements]
    interval_marks(axes, [(mean_of(record, variant, metrics[0], "seed"), colour) for variant, _, colour in arms])
    for row, (variant, _, colour) in enumerate(arms):
        for metric in metrics[1:]:
            axes.plot(record.mean(variant, metric), row, "o", markersize=8, fillstyle="none", color=COLOURS[colour])
    rows(axes, [label for _, label, _ in arms])
    axes.autoscale(axis="x")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.05), max(high, 0.25))  # so that small differences look small
    axes.axvline(0, color="black", linewidth=0.8)
