"""The figure of the page, drawn from the record alone: accuracy and index by the number of languages, both gains."""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import mean_of
from core.experiment.report import COLOURS
from core.experiment.results import Record

ARMS = (("grpo", "by reward (GRPO)", "blue"), ("sft", "by right answers (SFT)", "orange"))
OTHERS = (
    ("different", 2, "2 languages, other problems in each", "s", "green"),
    ("english_twice", 1, "English, twice the samples", "D", "sky"),
    ("permuted", 1, "rewards permuted (null)", "x", "grey"),
)


def draw(record: Record) -> Figure:
    """Left: accuracy in unseen languages; middle: the index with its law; right: relative gains behind it."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.4))
    for variant, label, colour in ARMS:
        _curve(axes[0], record, variant, "unseen", label, colour)
        _curve(axes[1], record, variant, "mti", label, colour)
    _curve(axes[0], record, "grow", "unseen", "by reward, each language adds samples", "vermilion")
    for variant, k, label, mark, colour in OTHERS:
        if variant in record.measurements:
            found = mean_of(record, variant, f"unseen_{k}", "language")
            axes[0].plot(k * 1.06, found.estimate, mark, color=COLOURS[colour], label=label)
    base = fmean(cell.metrics["base"] for cell in record.measurements["grpo"].values())
    axes[0].axhline(base, color="black", linewidth=0.8, linestyle=(0, (2, 2)), label="before training")
    if "even" in record.measurements and _ks(record, "even", "mti"):
        found = mean_of(record, "even", "mti_1", "language")
        axes[1].plot(1.06, found.estimate, "s", color=COLOURS["green"], label="GRPO, start alike in all languages")
    _law(axes[1], record)
    for side, style in (("trained", "-"), ("unseen", "--")):
        for variant, label, colour in (arm for arm in ARMS if arm[0] in record.measurements):
            ks = _ks(record, variant, f"gain_{side}")
            cells = record.measurements[variant].values()
            values = [fmean(cell.metrics[f"gain_{side}_{k}"] for cell in cells) for k in ks]
            name = f"{side}, {label.partition(' (')[2].rstrip(')')}"
            axes[2].plot(ks, values, style, marker="o", color=COLOURS[colour], label=name)
    titles = ("Accuracy, languages never trained", "Transferability index (MTI)", "The two gains that it divides")
    labels = ("probability of the right answer", "gain unseen / gain trained", "relative gain")
    for one, title, label in zip(axes, titles, labels, strict=True):
        one.set_xscale("log", base=2)
        one.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
        one.set_title(title)
        one.set_ylabel(label)
        one.set_xlabel("languages trained on")
        one.legend(fontsize=7.5)
    axes[0].set_ylim(0, 0.02 + 1.7 * axes[0].get_ylim()[1])  # room for what is said of the marks
    axes[0].legend(fontsize=7.5, loc="upper left")
    axes[2].legend(fontsize=7.5, loc="lower right", bbox_to_anchor=(1, 0.12))
    for one in axes[1:]:  # right answers can harm languages never trained: gain and index below zero
        one.axhline(0, color="black", linewidth=0.8)
    return figure


def _ks(record: Record, variant: str, name: str) -> list[int]:
    """Those for which every seed has the number."""
    cells = record.measurements.get(variant, {}).values()
    return [k for k in (1, 2, 4, 8) if all(math.isfinite(c.metrics.get(f"{name}_{k}", math.nan)) for c in cells)]


def _curve(axes: Axes, record: Record, variant: str, name: str, label: str, colour: str) -> None:
    """Means by k with the intervals that verdicts use."""
    ks = _ks(record, variant, name) if variant in record.measurements else []
    if not ks:
        return
    found = [mean_of(record, variant, f"{name}_{k}", "language") for k in ks]
    means = np.array([one.estimate for one in found])
    ends = np.array([[one.estimate - one.low, one.high - one.estimate] for one in found]).T
    axes.errorbar(ks, means, yerr=ends, marker="o", capsize=3, color=COLOURS[colour], label=label)


def _law(axes: Axes, record: Record) -> None:
    """The law through the means over seeds, drawn to k = 1, where it is not fitted."""
    from papers.parallel_scaling.method import fit_scaling

    cells, ks = record.measurements["grpo"].values(), _ks(record, "grpo", "mti")
    means = [fmean(cell.metrics[f"mti_{k}"] for cell in cells) for k in ks]
    if ks != [1, 2, 4, 8] or min(means[1:]) <= 0:
        return
    law = fit_scaling(ks, means)
    x = np.geomspace(1, 8, 40)
    label = f"law on k ≥ 2: {law.law.a:.2f} k^{law.law.b:.2f}"
    axes.plot(x, [law.predict(k) for k in x], ":", color=COLOURS["blue"], label=label)
    axes.plot([1, 1], [law.observed[1], law.law.a], color=COLOURS["vermilion"], label="monolingual gap")
