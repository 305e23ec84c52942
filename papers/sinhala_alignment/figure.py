"""The figure of the page, drawn from the record: methods, languages, and the seed dictionary."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import by_unit, rows
from core.experiment.paper import Check
from core.experiment.report import COLOURS
from core.experiment.results import Record, compare
from core.metrics.intervals import Interval
from core.text.languages import name

METHODS = (
    ("identity", "no map"),
    ("shuffled", "RCSLS, shuffled pairs"),
    ("procrustes", "Procrustes"),
    ("refinement", "refinement"),
    ("spectral", "RCSLS, spectral"),
    ("rcsls", "RCSLS"),
)
SEARCHES = (("nn", "nearest neighbour", "orange"), ("csls", "CSLS", "blue"))
SIZES = (("pairs_40", 40), ("pairs_75", 75), ("pairs_150", 150), ("procrustes", 300))


def draw(record: Record) -> Figure:
    """Left: methods, from and to Sinhala. Middle: languages. Right: pairs in the seed dictionary."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.8), width_ratios=(1.3, 1, 0.9))
    _methods(axes[0], record)
    _languages(axes[1], record)
    _sizes(axes[2], record)
    return figure


def _interval(record: Record, variant: str, metric: str) -> Interval:
    mean = Check(id="", statement="", metric=metric, treatment=variant, unit="word")
    return compare(mean, 0.0, record.measurements).interval


def _methods(axes: Axes, record: Record) -> None:
    row, labels, places = 0.0, [], []
    for direction, title in (("en_si", "English to Sinhala"), ("si_en", "Sinhala to English")):
        axes.text(0, row - 0.1, title, fontsize=9, weight="bold", va="center")
        row += 0.9
        for variant, label in METHODS:
            for offset, (search, text, colour) in zip((-0.18, 0.18), SEARCHES, strict=True):
                found = _interval(record, variant, f"p1_{search}_{direction}")
                axes.plot([max(0, found.low), found.high], [row + offset] * 2, color=COLOURS[colour], linewidth=1.4)
                axes.plot(found.estimate, row + offset, "o", color=COLOURS[colour], markersize=4.5)
                if variant == "rcsls" and direction == "en_si":
                    axes.text(found.high + 0.01, row + offset, text, color=COLOURS[colour], fontsize=7.5, va="center")
            labels.append(label)
            places.append(row)
            row += 1
        row += 0.4
    rows(axes, labels)
    axes.set_yticks(places, labels, fontsize=8)
    axes.set_ylim(row - 0.6, -0.7)
    letters = record.trivial()["letters"]
    axes.axvline(letters, color=COLOURS["grey"], linewidth=0.9, linestyle=":")
    axes.text(letters, row - 0.7, " letters alone", fontsize=7, color=COLOURS["grey"], va="bottom")
    axes.set_xlim(0, 1.35 * max(_interval(record, variant, "p1_csls_en_si").high for variant, _ in METHODS))
    axes.set_title("Words translated (P@1)")
    axes.set_xlabel("mean over words with 95 % interval")


def _languages(axes: Axes, record: Record) -> None:
    found = by_unit(record, "rcsls", "p1_csls_en_xx")
    found["si"] = record.mean("rcsls", "p1_csls_en_si")
    details = next(iter(record.measurements["rcsls"].values())).details["letters"]
    order = sorted(found, key=lambda code: -found[code])
    axes.barh(
        range(len(order)),
        [found[code] for code in order],
        color=[COLOURS["vermilion" if code == "si" else "blue"] for code in order],
        alpha=0.75,
        height=0.75,
    )
    axes.plot([details[code] for code in order], range(len(order)), "|", color="black", markersize=8)
    axes.text(details[order[0]] + 0.01, -0.75, "| letters alone", fontsize=7, va="center")
    rows(axes, [name(code) for code in order])
    axes.set_ylim(len(order) - 0.4, -1.2)
    axes.set_xlim(0, 1.1 * max(*found.values(), *details.values()))
    axes.set_title("From English, same concepts")
    axes.set_xlabel("P@1, RCSLS and CSLS")


def _sizes(axes: Axes, record: Record) -> None:
    for search, text, colour in SEARCHES:
        found = [_interval(record, variant, f"p1_{search}_en_si") for variant, _ in SIZES]
        x = [size for _, size in SIZES]
        axes.fill_between(
            x, [max(0, f.low) for f in found], [f.high for f in found], color=COLOURS[colour], alpha=0.2, linewidth=0
        )
        axes.plot(x, [f.estimate for f in found], "o-", color=COLOURS[colour])
        axes.text(x[-1], found[-1].estimate, f" {text}", color=COLOURS[colour], fontsize=8, va="center")
    axes.set_xscale("log", base=2)
    axes.set_xticks([size for _, size in SIZES], [str(size) for _, size in SIZES])
    axes.set_xlim(45, 1000)
    axes.set_ylim(0)
    axes.set_title("Seed dictionary")
    axes.set_xlabel("pairs (Procrustes, English to Sinhala)")
