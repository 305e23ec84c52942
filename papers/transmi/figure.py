"""The figure of the page, drawn from the record: the effect in three tasks, every language, what Latin script loses."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from core.experiment.figures import by_unit, mean_of, rows
from core.experiment.paper import find
from core.experiment.report import COLOURS
from core.experiment.results import Record, compare
from core.text.languages import name

TASKS = (
    ("acc1", "translations found\n(accuracy@1)", ("length", "overlap")),
    ("topics", "topics of messages\n(macro-F1)", ("majority",)),
    ("tags", "names in messages\n(entity F1)", ("lexicon", "capitals")),
)
# variant, script, label, colour
BARS = (
    ("original", "native", "as written, original model", COLOURS["grey"]),
    ("original", "romanised", "romanised, original model", COLOURS["vermilion"]),
    ("random", "romanised", "romanised, TransMI with random rows", COLOURS["purple"]),
    ("max", "romanised", "romanised, TransMI", COLOURS["blue"]),
)


def draw(record: Record) -> Figure:
    """Left: three tasks with 95 % intervals over languages. Middle: every language. Right: Latin-script languages."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 5.6), width_ratios=(1.35, 1, 1))
    _tasks(axes[0], record)
    _languages(axes[1], record)
    _latin(axes[2], record)
    return figure


def _tasks(axes: Axes, record: Record) -> None:
    row, ticks = 0.0, []
    trivial = record.trivial()
    for metric, label, solvers in TASKS:
        top = row
        for variant, script, text, colour in BARS:
            interval = mean_of(record, variant, f"{metric}_{script}", "language")
            axes.barh(row, interval.estimate, height=0.8, color=colour, alpha=0.85)
            axes.plot([interval.low, interval.high], [row, row], color="black", linewidth=1.2)
            place = (interval.high + 0.015, row)
            axes.text(*place, f"{interval.estimate:.2f}", va="center", fontsize=8, weight="bold")
            if metric != "acc1":  # in the first task the long bars leave no room
                axes.text(place[0] + 0.12, row, text, va="center", fontsize=7.5, color=colour)
            row += 1
        ticks.append(((top + row - 1) / 2, label))
        for solver in filter(trivial.get, solvers):
            axes.plot(
                [trivial[solver]] * 2, [top - 0.5, row - 0.5], color=COLOURS["grey"], linewidth=0.9, linestyle=":"
            )
            axes.text(trivial[solver], row - 0.45, solver, fontsize=6.5, color=COLOURS["grey"], ha="center", va="top")
        row += 0.8
    axes.set_yticks([place for place, _ in ticks], [label for _, label in ticks])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.05)
    axes.grid(axis="y", visible=False)
    axes.set_title("Romanised text, three tasks")
    axes.set_xlabel("mean over languages with 95 % interval\ndotted: solvers without understanding", fontsize=7.5)


def _languages(axes: Axes, record: Record) -> None:
    own, before = (by_unit(record, "original", f"acc1_{script}") for script in ("native", "romanised"))
    after = by_unit(record, "max", "acc1_romanised")
    order = sorted(after, key=lambda code: -after[code])
    for row, code in enumerate(order):
        axes.plot([before[code], after[code]], [row, row], color=COLOURS["blue"], linewidth=3, alpha=0.25)
    for values, colour, marker, label, side in (
        (before, COLOURS["vermilion"], "o", "original", "center"),
        (after, COLOURS["blue"], "o", "TransMI", "right"),
        (own, COLOURS["grey"], "|", "as written", "center"),
    ):
        places = [values[code] for code in order]
        size = 9 if marker == "|" else 5
        axes.plot(places, range(len(order)), marker, color=colour, markersize=size, markeredgewidth=1.6)
        # Below the lowest language, where the three are furthest apart.
        axes.text(places[-1], len(order) - 0.3, label, color=colour, fontsize=7.5, ha=side, va="top", weight="bold")
    rows(axes, [name(code) for code in order], high=1.05)
    axes.set_ylim(len(order) + 0.8, -0.7)
    axes.set_title("Romanised: every language")
    axes.set_xlabel("accuracy@1")


def _latin(axes: Axes, record: Record) -> None:
    before, after = (by_unit(record, variant, "acc1_latin") for variant in ("original", "max"))
    change = {code: after[code] - before[code] for code in before}
    order = sorted(change, key=lambda code: -change[code])
    colours = [COLOURS["vermilion" if change[code] < 0 else "blue"] for code in order]
    axes.barh(range(len(order)), [change[code] for code in order], color=colours, height=0.75)
    keeps = next(check for check in find("transmi").claims if check.metric == "acc1_latin")
    interval = compare(keeps, "original", record.measurements).interval
    axes.axvspan(interval.low, interval.high, color=COLOURS["grey"], alpha=0.3)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.axvline(-0.01, color=COLOURS["grey"], linewidth=0.8, linestyle="--")
    axes.text(-0.012, -1.3, "allowed loss", ha="right", fontsize=6.5, color=COLOURS["grey"])
    axes.text(interval.high + 0.002, -1.3, f"mean {interval.estimate:+.3f}", fontsize=7.5, weight="bold")
    rows(axes, [name(code) for code in order])
    axes.tick_params(axis="y", labelsize=5.8)
    axes.set_ylim(len(order) - 0.3, -2.2)
    edge = max(0.05, 1.15 * max(map(abs, change.values())))
    axes.set_xlim(-edge, edge)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_title("Latin script: what changes")
    axes.set_xlabel("change of accuracy@1 by TransMI\ngrey: 95 % interval of the mean", fontsize=7.5)
