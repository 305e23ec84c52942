"""The figure of the page, drawn from the record alone: every arm, taught languages against hubs, every language."""

from __future__ import annotations

from statistics import fmean

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.paper import Check
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record, compare

# variant, label, colour
ARMS = (
    ("full", "translation tasks (BayLing 2)", "blue"),
    ("no_xling", "none (the paper's ablation)", "orange"),
    ("monolingual", "monolingual text instead", "grey"),
    ("shuffled", "pairs shuffled (null)", "grey"),
    ("xling_only", "translations, nothing taught", "grey"),
    ("budget_64", "64 translations a language", "sky"),
    ("oracle", "taught in the languages too", "green"),
)
# What is taught in (rows) and translated around (columns).
GRID = (
    ("English\nand Chinese", "one_hub", "full"),
    ("English", "one_pivot", "en_xling"),
    ("Chinese", None, "zh_xling"),
)


def draw(record: Record) -> Figure:
    """Left: the skills in tied languages by arm. Right: taught languages against hubs; every language."""
    figure, axes = plt.subplot_mosaic(
        [["arms", "languages"], ["hubs", "languages"]], figsize=(9.6, 6.6), width_ratios=(1.3, 1),
        height_ratios=(1.5, 1),
    )  # fmt: skip
    _bars(axes["arms"], record, [(label, variant, colour) for variant, label, colour in ARMS])
    trivial_lines(axes["arms"], record, "full", vertical=True, names=("majority",))
    axes["arms"].set_title("The skills in tied languages", pad=14)
    rows = [
        (f"{taught.replace(chr(10), ' ')}, around {around}", variant, colour)
        for taught, *variants in GRID
        for variant, around, colour in zip(variants, ("English", "both"), ("sky", "blue"), strict=True)
        if variant
    ]
    _bars(axes["hubs"], record, rows)
    axes["hubs"].set_title("Taught in ..., translations around ...")
    axes["hubs"].set_xlabel("share right, next number and reversed digits (95 % interval)")
    _languages(axes["languages"], record)
    return figure


def _bars(axes: Axes, record: Record, arms: list[tuple[str, str, str]]) -> None:
    arms = [arm for arm in arms if arm[1] in record.measurements]
    for row, (_, variant, colour) in enumerate(arms):
        whole = Check(id="", statement="", metric="skills_x", treatment=variant, unit="language")
        interval = compare(whole, 0.0, record.measurements).interval
        low, high = max(0.0, interval.low), min(1.0, interval.high)
        axes.barh(row, interval.estimate, color=COLOURS[colour], alpha=0.5, height=0.72)
        axes.plot([low, high], [row, row], color="black", linewidth=1)
        axes.text(max(high, interval.estimate) + 0.015, row, f"{interval.estimate:.2f}", va="center", fontsize=9)
    _rows(axes, [label for label, _, _ in arms])


def _languages(axes: Axes, record: Record) -> None:
    """Tied languages above, untied ones below; each with and without translation tasks in the mixture."""
    place, ticks = 0, []
    for metric, title in (("skills_x", "tied by translation tasks"), ("skills_untied", "not tied")):
        means = {variant: _by_language(record, variant, metric) for variant in ("no_xling", "full")}
        axes.text(1.03, place, title, fontsize=9, ha="right", va="center", weight="bold")
        place += 1
        for code in sorted(means["full"], key=lambda code: -means["full"][code]):
            ends = [means[variant][code] for variant in ("no_xling", "full")]
            axes.plot(ends, [place, place], color=COLOURS["grey"], linewidth=1)
            for end, colour in zip(ends, ("orange", "blue"), strict=True):
                axes.plot(end, place, "o", color=COLOURS[colour], markersize=4.5)
            ticks.append((place, code))
            place += 1
    _rows(axes, [])
    axes.set_yticks([row for row, _ in ticks], [code for _, code in ticks], fontsize=7)
    axes.set_ylim(place, -1)
    axes.set_xlabel("share right; colours as on the left")
    axes.set_title("Every language")


def _rows(axes: Axes, labels: list[str]) -> None:
    axes.set_yticks(range(len(labels)), labels, fontsize=9)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 1.08)


def _by_language(record: Record, variant: str, metric: str) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for measurement in record.measurements[variant].values():
        for path, value in measurement.units[metric].items():
            values.setdefault(path.partition("/")[0], []).append(value)
    return {code: fmean(found) for code, found in values.items()}
