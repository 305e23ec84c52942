"""The figure of the page, drawn from the record: retrieval across scripts by arm, and by language."""

from __future__ import annotations

from statistics import fmean

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars, by_unit, rows, unit_rows
from core.experiment.report import COLOURS
from core.experiment.results import Record
from core.text.languages import name

ARMS = (
    ("full", "TransliCo", "blue"),
    ("tcm_only", "contrast alone", "sky"),
    ("mlm_both", "masked LM alone", "orange"),
    ("shuffled", "shuffled pairs (null)", "purple"),
    ("source", "before tuning", "vermilion"),
)
SOLVERS = {"length": "length", "overlap": "letters", "romanised_overlap": "letters, romanised"}


def draw(record: Record) -> Figure:
    """Left: arms with 95 % intervals over languages, and solvers without understanding. Right: every language."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), width_ratios=(1.5, 1))
    _arms(axes[0], record)
    _languages(axes[1], record)
    return figure


def _arms(axes: Axes, record: Record) -> None:
    arm_bars(axes, record, "acc1_cross", ARMS)
    trivial = {SOLVERS[solver]: value for solver, value in record.trivial().items() if solver in SOLVERS}
    for row, (label, value) in enumerate(sorted(trivial.items(), key=lambda item: item[1])):
        axes.axvline(value, color=COLOURS["grey"], linewidth=0.9, linestyle=":")
        axes.text(value, -0.55 - 0.4 * row, f" {label}", fontsize=8, color=COLOURS["grey"], va="bottom")
    widest = max(fmean(by_unit(record, arm, "acc1_cross").values()) for arm, *_ in ARMS if arm in record.measurements)
    axes.set_xlim(0, 1.4 * max(widest, *trivial.values()))
    axes.set_ylim(len(ARMS) - 0.4, -1.9)
    axes.set_title("Translations found across scripts")
    note = "with 95 % interval; dotted: solvers without understanding"
    axes.set_xlabel(f"accuracy@1, mean over languages in Cyrillic\n{note}", fontsize=8)


def _languages(axes: Axes, record: Record) -> None:
    unit_rows(axes, record, "acc1_cross", (("full", "blue"), ("source", "vermilion")))
    codes = [label.get_text() for label in axes.get_yticklabels()]
    after, before = (by_unit(record, variant, "acc1_cross") for variant in ("full", "source"))
    for values, colour, label in ((before, "vermilion", "before"), (after, "blue", "TransliCo")):
        place = (values[codes[0]], -0.35)
        axes.text(*place, label, color=COLOURS[colour], fontsize=8, ha="center", va="bottom", weight="bold")
    rows(axes, [name(code) for code in codes], high=1.2 * max(after.values()))
    axes.set_ylim(len(codes) - 0.5, -1.0)
    axes.set_title("Every language in Cyrillic")
    axes.set_xlabel("accuracy@1, mean over six\nlanguages in Latin script", fontsize=8)
