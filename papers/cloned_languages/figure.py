"""The figure of the page, drawn from the record: what was gained, off the law, and whether by the same circuits."""

from __future__ import annotations

from statistics import fmean

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, interval_marks, mean_of, rows
from core.experiment.report import COLOURS
from core.experiment.results import Record

ARMS = (
    ("imbalanced", "90/10", "blue"),
    ("balanced", "50/50", "vermilion"),
    ("late", "90/10, then 10/90", "green"),
    ("half", "90/10, half as long", "sky"),
    ("real", "90/10, Arabic", "orange"),
    ("shuffled", "90 % shuffled (null)", "grey"),
)


def draw(record: Record) -> Figure:
    """Left: perplexity against tokens, alone and in mixtures; middle: efficiency; right: states and gradients."""
    figure, axes = plt.subplot_mosaic(
        [["law", "gain", "hidden"], ["law", "gain", "gradient"]], figsize=(12, 5), width_ratios=(1.15, 1, 1)
    )
    _law(axes["law"], record)
    arms = [arm for arm in ARMS if arm[0] in record.measurements]
    shown = [
        (arm, metric) for arm in arms for metric in ("teff_1", "teff_2") if (arm[0], metric) != ("shuffled", "teff_1")
    ]
    found = [mean_of(record, arm[0], metric, "seed") for arm, metric in shown]
    interval_marks(axes["gain"], [(bar, arm[2]) for bar, (arm, _) in zip(found, shown, strict=True)])
    highest = max(bar.high for bar in found)
    rows(axes["gain"], [f"{arm[1]}: language {metric[-1]}" for arm, metric in shown], 1.1 * highest)
    axes["gain"].axvline(1, color="black", linewidth=0.8, linestyle=(0, (2, 2)))
    axes["gain"].set_title("How many times its tokens was it worth?")
    axes["gain"].set_xlabel("token efficiency, with 95 % interval over seeds (dashed: alone)")
    clones = [arm for arm in arms if arm[0] != "real"]
    arm_bars(axes["hidden"], record, "hidden", clones, "seed")
    axes["hidden"].set_title("Are a text and its clone alike inside?")
    axes["hidden"].set_xlabel("cosine of states, mean over blocks")
    arm_bars(axes["gradient"], record, "gradient", arms, "seed")
    axes["gradient"].set_xlabel("cosine of gradients, mean over parameters")
    return figure


def _law(axes: Axes, record: Record) -> None:
    """The law of monolingual runs and its points, mean over seeds; languages of mixtures where they were measured."""
    laws = [cell.details["law_1"] for cell in record.measurements["imbalanced"].values()]
    points = np.array([law["points"] for law in laws]).mean(0)
    x = np.geomspace(points[:, 0].min(), points[:, 0].max(), 50)
    curve = np.mean([1 / (law["law"][2] + law["law"][0] * x ** law["law"][1]) for law in laws], axis=0)
    axes.plot(x, curve, color=COLOURS["grey"], label="alone: the law")
    axes.plot(points[:, 0], points[:, 1], "o", color=COLOURS["grey"], markersize=4, label="alone: runs")
    for variant, label, colour in ARMS[:4]:
        cells = record.measurements.get(variant, {}).values()
        for language, mark in ((1, "^"), (2, "D")) if cells else ():
            tokens = fmean(cell.details["tokens"][language - 1] for cell in cells)
            perplexity = fmean(cell.metrics[f"ppl_{language}"] for cell in cells)
            name = f"{label}: {'rare' if variant in ('imbalanced', 'half') else 'second'}" if language == 2 else None
            axes.plot(tokens, perplexity, mark, color=COLOURS[colour], label=name)
    axes.set_xscale("log")
    axes.set_xlabel("tokens read in the language (triangles: first, diamonds: second)")
    axes.set_ylabel("perplexity of held-out text")
    axes.set_title("Left of the line: better than alone")
    axes.legend(fontsize=8)
