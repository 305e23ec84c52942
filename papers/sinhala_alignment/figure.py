"""The figure of the page, drawn from the record: methods, languages, and the seed dictionary."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from core.experiment.figures import rows
from core.experiment.paper import Check
from core.experiment.report import COLOURS
from core.experiment.results import Record, compare
from core.metrics import stats
from core.metrics.intervals import Interval
from core.text.languages import name
from papers.sinhala_alignment.eval import LATIN

METHODS = (
    ("identity", "no map"),
    ("shuffled", "RCSLS, shuffled pairs"),
    ("procrustes", "Procrustes"),
    ("refinement", "refined Procrustes"),
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
    row, places, right = 0.0, [], 0.0
    for direction, title in (("en_si", "English to Sinhala"), ("si_en", "Sinhala to English")):
        axes.text(0, row, title, fontsize=9, weight="bold", va="center")
        for variant, _ in METHODS:
            row += 1
            places.append(row)
            for offset, (search, _, colour) in zip((-0.18, 0.18), SEARCHES, strict=True):
                found = _interval(record, variant, f"p1_{search}_{direction}")
                right = max(right, found.high)
                axes.plot([max(0, found.low), found.high], [row + offset] * 2, color=COLOURS[colour], linewidth=1.4)
                axes.plot(found.estimate, row + offset, "o", color=COLOURS[colour], markersize=4.5)
        row += 1.4
    for place, (_, text, colour) in enumerate(SEARCHES):  # beside the shuffled pairs there is room
        axes.text(0.45 * right, 1.7 + 0.6 * place, text, color=COLOURS[colour], fontsize=8, va="center", weight="bold")
    rows(axes, [""])
    axes.set_yticks(places, [label for _, label in METHODS] * 2, fontsize=8)
    axes.set_ylim(row - 0.5, -0.7)
    axes.set_xlim(0, 1.05 * right)
    axes.text(right, -0.1, f"letters alone: {record.trivial()['letters']:.2f} →", fontsize=7, color="grey", ha="right")
    axes.set_title("Words translated (P@1)")
    axes.set_xlabel("mean over words with 95 % interval")


def _languages(axes: Axes, record: Record) -> None:
    cells, metric = record.measurements["rcsls"], "p1_csls_en_xx"
    letters = next(iter(cells.values())).details["letters"]
    found = {"si": _interval(record, "rcsls", "p1_csls_en_si")}
    for code in letters.keys() - found.keys():
        own = {
            seed: {unit: value for unit, value in cell.units[metric].items() if unit.startswith(f"{code}/")}
            for seed, cell in cells.items()
        }
        found[code] = stats.compare(own, 0.0, depth=2).interval
    order = sorted(found, key=lambda code: -found[code].estimate)
    colours = [COLOURS["vermilion" if code == "si" else "blue" if code in LATIN else "sky"] for code in order]
    axes.barh(range(len(order)), [found[code].estimate for code in order], color=colours, height=0.75)
    for row, code in enumerate(order):
        axes.plot([max(0, found[code].low), found[code].high], [row, row], color="black", linewidth=1)
    axes.plot([letters[code] for code in order], range(len(order)), "|", color="grey", markersize=8)
    axes.text(letters[order[0]], -0.8, "letters alone", fontsize=7, color="grey", va="center", ha="center")
    for place, (colour, label) in enumerate((("blue", "Latin letters"), ("sky", "other letters"))):
        axes.text(0.99, len(order) - 1.7 + place, label, color=COLOURS[colour], fontsize=8, ha="right", weight="bold")
    rows(axes, [name(code) for code in order])
    axes.set_ylim(len(order) - 0.4, -1.3)
    axes.set_xlim(0, 1)
    axes.set_title("From English, the same concepts")
    axes.set_xlabel("P@1, RCSLS and CSLS")


def _sizes(axes: Axes, record: Record) -> None:
    sizes = [size for _, size in SIZES]
    for search, text, colour in SEARCHES:
        found = [_interval(record, variant, f"p1_{search}_en_si") for variant, _ in SIZES]
        low, high = [max(0, bar.low) for bar in found], [bar.high for bar in found]
        axes.fill_between(sizes, low, high, color=COLOURS[colour], alpha=0.2, linewidth=0)
        axes.plot(sizes, [bar.estimate for bar in found], "o-", color=COLOURS[colour])
        axes.text(sizes[-1], found[-1].estimate, f"  {text}", color=COLOURS[colour], fontsize=8, va="center")
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlim(36, 1400)
    axes.set_ylim(0)
    axes.set_title("Seed dictionary")
    axes.set_xlabel("pairs (Procrustes, English to Sinhala)")
