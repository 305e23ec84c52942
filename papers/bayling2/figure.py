"""The figure: what the translation tasks carry over, how many of them it takes, and to whom. From the record alone.

left:   each skill in languages without task instructions, by arm; the pivots beside it
middle: the mean over skills, and translation, against the number of translation examples per language
right:  the next number, language by language, with and without translation tasks

Bars and lines are means over seeds and items with the 95 % intervals of the verdicts; dots are seeds.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from core.experiment.figures import bars, interval
from core.experiment.report import COLOURS
from core.experiment.results import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ARMS = {
    "no_xling": ("monolingual text instead", "grey"),
    "pivots_only": ("nothing instead", "sky"),
    "full": ("translation tasks (full)", "blue"),
    "oracle": ("task instructions too (oracle)", "orange"),
}
GROUPS = {
    "digits_x": "digits",
    "next_x": "next",
    "reversed_x": "reversed",
    "skills_pivots": "all three,\npivots",
}


def draw(record: Record) -> Figure:
    """The figure of the page."""
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 3, figsize=(10.2, 4.0), width_ratios=(1.4, 0.9, 1.1))
    _draw_skills(panels[0], record)
    _draw_budget(panels[1], record)
    _draw_languages(panels[2], record)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(ARMS))
    return figure


def _seeds(record: Record, variant: str, metric: str) -> np.ndarray:
    return np.array([cell.metrics[metric] for cell in record.measurements[variant].values()])


def _draw_skills(axes: Axes, record: Record) -> None:
    width = 0.84 / len(ARMS)
    for number, (variant, (label, colour)) in enumerate(ARMS.items()):
        for place, metric in enumerate(GROUPS):
            (mean,), reach = bars([interval(record.measurements[variant], metric)])
            x = place + (number - (len(ARMS) - 1) / 2) * width
            axes.bar(x, mean, width * 0.92, color=COLOURS[colour], label=label if place == 0 else None)
            axes.errorbar(x, mean, reach, color="black", linewidth=0.9, capsize=1.5)
            seeds = _seeds(record, variant, metric)
            axes.plot(np.full(len(seeds), x + 0.25 * width), seeds, "o", color="black", markersize=1.8, zorder=3)
    axes.axvline(len(GROUPS) - 1.5, color="#B5B5B5", linewidth=0.8)
    axes.set_xticks(range(len(GROUPS)), list(GROUPS.values()))
    axes.set_ylim(0, 1)
    axes.set_ylabel("exact match, held-out numbers")
    axes.set_title("Languages without instructions", fontsize=9)


def _budgets(record: Record) -> list[tuple[float, str]]:
    """Translation examples per language, and the variant; what `full` holds is in its manifest."""
    found = [(float(name.split("_")[1]), name) for name in record.measurements if name.startswith("budget_")]
    details: Any = next(iter(record.measurements["full"].values())).details
    counts = [n for code, n in details["mixture"]["distinct_per_language"].items() if code in details["languages"]]
    return sorted([(0.0, "no_xling"), *found, (float(np.mean(counts)), "full")])


def _draw_budget(axes: Axes, record: Record) -> None:
    budgets = _budgets(record)
    for shift, (metric, label, colour) in enumerate(
        (("skills_x", "three skills", "blue"), ("x_to_en", "translation into English", "green"))
    ):
        x = np.arange(len(budgets)) + 0.1 * (shift - 0.5)
        means, reach = bars([interval(record.measurements[variant], metric) for _, variant in budgets])
        axes.errorbar(x, means, reach, fmt="o-", color=COLOURS[colour], markersize=4, linewidth=1.2, label=label)
        for place, (_, variant) in zip(x, budgets, strict=True):
            seeds = _seeds(record, variant, metric)
            axes.plot(np.full(len(seeds), place), seeds, "o", color="black", markersize=1.8, zorder=3)
    axes.set_xticks(range(len(budgets)), [f"{budget:g}" if budget else "none" for budget, _ in budgets])
    axes.set_ylim(0, 1)
    axes.set_xlabel("translation examples per language")
    axes.legend(loc="lower right", fontsize=8)
    axes.set_title("Accuracy against the budget", fontsize=9)


def _draw_languages(axes: Axes, record: Record) -> None:
    tables = {name: [cell.details["languages"] for cell in record.measurements[name].values()] for name in ARMS}
    means = {
        name: {code: float(np.mean([table[code]["next"] for table in by_seed])) for code in by_seed[0]}
        for name, by_seed in tables.items()
    }
    exposure = {code: entry["exposure"] for code, entry in tables["full"][0].items()}
    levels = {code: entry["resource"] for code, entry in tables["full"][0].items()}
    order = ("unseen", "translated", "instructed")
    codes = sorted(exposure, key=lambda code: (order.index(exposure[code]), means["full"][code]))
    for row, code in enumerate(codes):
        ends = [means[name][code] for name in ("no_xling", "full")]
        axes.plot(ends, [row, row], color="#B5B5B5", linewidth=1.0, zorder=1)
        for name in ("no_xling", "full"):
            axes.plot(means[name][code], row, "o", color=COLOURS[ARMS[name][1]], markersize=5, zorder=2)
    for row, (code, after) in enumerate(pairwise(codes)):
        if exposure[code] != exposure[after]:
            axes.axhline(row + 0.5, color="#B5B5B5", linewidth=0.8)
    names = {"unseen": "no translations", "translated": "translation only", "instructed": "pivots"}
    for group in order:
        rows = [row for row, code in enumerate(codes) if exposure[code] == group]
        if rows:
            axes.text(1.0, rows[-1] + 0.42, names[group], fontsize=7.5, ha="right", va="top", color=COLOURS["grey"])
    axes.set_yticks(range(len(codes)), [f"{code} ({levels[code]})" for code in codes], fontsize=8)
    axes.set_ylim(-0.6, len(codes) - 0.4)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("next number, exact match")
    axes.set_title("Language by language", fontsize=9)
