"""The figure of the page, drawn from the record: the miniature, real people, and how many models are enough."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from core.experiment.figures import mean_of
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.metrics.stats import steiger_z

ARMS = (
    ("localized", "localized", "blue"), ("translated", "translated", "orange"),
    ("floor", "characters read", "grey"), ("foreign", "localized elsewhere", "grey"),
    ("shuffled", "ratings shuffled", "grey"),
)  # fmt: skip
TESTED = (0.682, 0.473)  # the paper's two correlations for Chinese


def draw(record: Record) -> Figure:
    """Left: the miniature. Middle: published correlations and the parameter count. Right: power by models."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.2), width_ratios=(1, 1.1, 0.9))
    _miniature(axes[0], record)
    _people(axes[1], record)
    _power(axes[2])
    return figure


def _miniature(axes: Axes, record: Record) -> None:
    arms = [arm for arm in ARMS if arm[0] in record.measurements]
    for row, (variant, _, colour) in enumerate(arms):
        cells = record.measurements[variant].values()
        for shift, code, marker in ((-0.18, "ar", "o"), (0.18, "en", "s")):
            values = [cell.metrics[f"rho_{code}"] for cell in cells]
            axes.plot(values, [row + shift] * len(values), marker, color=COLOURS[colour], alpha=0.4, markersize=4)
        bar = mean_of(record, variant, "rho", "seed")
        axes.plot([max(-1, bar.low), min(1, bar.high)], [row, row], color=COLOURS[colour], linewidth=2)
        axes.plot(bar.estimate, row, "D", color=COLOURS[colour], markersize=6)
    axes.set_yticks(range(len(arms)), [label for _, label, _ in arms], fontsize=9)
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlim(-1, 1)
    axes.set_title("Miniature: 30 models, scripted voters")
    axes.set_xlabel("rho with ratings; small: seeds, ○ Arabic, □ English\n◆ mean, 95 % over seeds")


def _people(axes: Axes, record: Record) -> None:
    found = next(iter(record.measurements["localized"].values())).details["people"]
    means = found["published_means"]
    names = sorted(means, key=lambda name: -means[name])
    floor = [row["rho"] for row in found["floor"].values()]
    axes.axvspan(min(floor), max(floor), color=COLOURS["grey"], alpha=0.25, linewidth=0)
    axes.text(np.mean(floor), 7.5, "size\nalone", ha="center", va="center", fontsize=8, color="0.35")
    for row, name in enumerate(names):
        values = [rho for pair, rho in found["published"].items() if pair.split("/")[0] == name]
        colour = COLOURS["orange"] if means[name] < min(floor) else COLOURS["blue"]
        axes.plot(values, [row] * len(values), "o", color=colour, alpha=0.5, markersize=5)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.set_title("People: published rho, 30 models")
    axes.set_xlabel("rho with the Arena's ratings; a mark a language\n(CMMLU: Chinese, localized)")


def _power(axes: Axes) -> None:
    models = np.arange(8, 201)
    for between, colour in ((0.8, "blue"), (0.5, "green"), (0.3, "orange")):
        a_model = steiger_z(*TESTED, between, 4).statistic
        power = stats.norm.sf(1.96 - a_model * np.sqrt(models - 3))
        axes.plot(models, power, color=COLOURS[colour], label=f"{between}")
    axes.axvline(30, color="black", linewidth=0.8, linestyle=":")
    axes.text(32, 0.02, "30 models", fontsize=8, va="bottom")
    axes.axhline(0.8, color=COLOURS["grey"], linewidth=0.8, linestyle=(0, (2, 2)))
    axes.set_xlim(8, 200)
    axes.set_ylim(0, 1)
    axes.legend(fontsize=7.5, loc="lower right", title="rho between\nthe two", title_fontsize=7.5)
    axes.set_title("Is .68 more than .47?")
    axes.set_xlabel("models (logarithmic)")
    axes.set_ylabel("chance to tell (power)")
    axes.set_xscale("log")
    axes.set_xticks([10, 30, 50, 100, 200], ["10", "30", "50", "100", "200"])
    axes.minorticks_off()
