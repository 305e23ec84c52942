"""The figure of the page, drawn from the record: retrieval across scripts by arm and language, the barrier by layer."""

from __future__ import annotations

from statistics import fmean

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, by_unit, rows
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.text.languages import name

ARMS = (
    ("full", "TransliCo", "blue"),
    ("tcm_only", "contrast alone", "sky"),
    ("without_latin", "Cyrillic lines alone", "sky"),
    ("itself", "sentence with itself", "orange"),
    ("mlm_both", "masked LM alone", "orange"),
    ("shuffled", "shuffled pairs (null)", "purple"),
    ("source", "before tuning", "vermilion"),
)
SOLVERS = {"length": "length", "overlap": "letters", "romanised_overlap": "letters, romanised"}


def draw(record: Record) -> Figure:
    """Left: arms with 95 % intervals over languages. Middle: every language. Right: every layer."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.4), width_ratios=(1.35, 1, 1))
    _arms(axes[0], record)
    _languages(axes[1], record)
    _layers(axes[2], record)
    return figure


def _arms(axes: Axes, record: Record) -> None:
    arm_bars(axes, record, "acc1_cross", ARMS)
    top = 0.0
    for number, (solver, value) in enumerate(sorted(record.trivial().items(), key=lambda item: item[1])):
        if solver in SOLVERS:
            axes.axvline(value, color=COLOURS["grey"], linewidth=0.9, linestyle=":")
            axes.text(
                value, -0.55 - 0.32 * number, f" {SOLVERS[solver]}", fontsize=7, color=COLOURS["grey"], va="bottom"
            )
            top = max(top, value)
    widest = max(fmean(by_unit(record, arm, "acc1_cross").values()) for arm, *_ in ARMS if arm in record.measurements)
    axes.set_xlim(0, 1.3 * max(top, widest))
    axes.set_ylim(len(ARMS) - 0.4, -1.9)
    axes.set_title("Translations found across scripts")
    note = "with 95 % interval; dotted: solvers without understanding"
    axes.set_xlabel(f"accuracy@1, mean over languages in Cyrillic\n{note}", fontsize=7.5)


def _languages(axes: Axes, record: Record) -> None:
    before, after = (by_unit(record, variant, "acc1_cross") for variant in ("source", "full"))
    order = sorted(after, key=lambda code: -after[code])
    for row, code in enumerate(order):
        axes.plot([before[code], after[code]], [row, row], color=COLOURS["blue"], linewidth=3, alpha=0.25)
    for values, colour, label in ((before, "vermilion", "before"), (after, "blue", "TransliCo")):
        places = [values[code] for code in order]
        axes.plot(places, range(len(order)), "o", color=COLOURS[colour], markersize=6)
        axes.text(places[0], -0.35, label, color=COLOURS[colour], fontsize=8, ha="center", va="bottom", weight="bold")
    rows(axes, [name(code) for code in order], high=1.2 * max(after.values()))
    axes.set_ylim(len(order) - 0.5, -1.0)
    axes.set_title("Every language in Cyrillic")
    axes.set_xlabel("accuracy@1, mean over six\nlanguages in Latin script", fontsize=7.5)


def _layers(axes: Axes, record: Record) -> None:
    for variant, colour, label in (("full", "blue", "TransliCo"), ("source", "vermilion", "before")):
        seeds = [cell.details["layers"] for cell in record.measurements[variant].values()]
        margins = [[layer["own"] - layer["others"] for layer in layers] for layers in seeds]
        for one in margins:
            axes.plot(range(len(one)), one, color=COLOURS[colour], alpha=0.25, linewidth=0.8)
        means = [fmean(values) for values in zip(*margins, strict=True)]
        axes.plot(range(len(means)), means, "o-", color=COLOURS[colour])
        axes.text(len(means) - 1, means[-1], f" {label}", color=COLOURS[colour], fontsize=8, va="center", weight="bold")
    axes.set_xlim(-0.2, len(means) + 0.1)
    axes.set_xticks(range(len(means)))
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.set_title("A sentence and its romanisation")
    axes.set_xlabel("layer (0: embeddings); contrasted after layer 2\nthin: single seeds", fontsize=7.5)
    axes.set_ylabel("cosine beyond that with others", fontsize=8)
