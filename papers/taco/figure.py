"""The figure of the page, drawn from the record alone: every arm, where the chain loses, what more records bring."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.paper import Check
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record, compare

ARMS = (
    ("taco", "TaCo chain", "blue"),
    ("direct", "instruction tuning", "orange"),
    ("direct_tokens", "instruction tuning, as many tokens", "orange"),
    ("no_instruction_en", "chain without the instruction", "grey"),
    ("no_curriculum", "chain, from statements alone", "grey"),
    ("shuffled", "chain of another record (null)", "grey"),
)
STEPS = (
    ("understood", "question put\ninto English"),
    ("answer_given_instruction", "answered,\nif understood"),
    ("back_given_answer", "put back,\nif answered"),
    ("accuracy", "final answer"),
)


# Records by variant, for the two curves; the main arms are their last points.
CURVES = (
    ({"taco_60": 60, "taco_120": 120, "taco": 240}, "TaCo chain", "blue"),
    ({"direct_60": 60, "direct_120": 120, "direct": 240}, "instruction tuning", "orange"),
)


def draw(record: Record) -> Figure:
    """Left: accuracy of every arm with its interval over languages and seeds. Right: steps of two chains; the curve."""
    figure, axes = plt.subplot_mosaic(
        [["arms", "steps"], ["arms", "curve"]], figsize=(9.6, 5.2), width_ratios=(1.25, 1), height_ratios=(1.15, 1)
    )
    _arms(axes["arms"], record)
    _steps(axes["steps"], record)
    _curve(axes["curve"], record)
    return figure


def _arms(axes: Axes, record: Record) -> None:
    arms = [arm for arm in ARMS if arm[0] in record.measurements]
    for row, (variant, _, colour) in enumerate(arms):
        whole = Check(id="", statement="", metric="accuracy", treatment=variant, unit="language")
        interval = compare(whole, 0.0, record.measurements).interval
        axes.barh(row, interval.estimate, color=COLOURS[colour], alpha=0.4, height=0.7)
        low, high = max(0.0, interval.low), min(1.0, interval.high)
        axes.plot([low, high], [row, row], color="black", linewidth=1)
        axes.text(high + 0.015, row, f"{interval.estimate:.2f}", va="center", fontsize=8)
    double = 2 * record.mean("direct", "accuracy")
    axes.axvline(double, color="black", linestyle=":", linewidth=1)
    axes.text(double + 0.012, len(arms) - 0.45, "twice instruction tuning", fontsize=8, va="center")
    trivial_lines(axes, record, "direct", vertical=True, names=("family", "majority"))
    axes.set_yticks(range(len(arms)), [label for _, label, _ in arms])
    axes.set_ylim(len(arms) - 0.2, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 1.08)
    axes.set_xlabel("accuracy on facts never shown in the language (95 % interval)")
    axes.set_title("Every arm", pad=14)


def _steps(axes: Axes, record: Record) -> None:
    chains = [("taco", "TaCo chain", "blue", "o"), ("no_curriculum", "from statements alone", "green", "s")]
    for number, (variant, label, colour, marker) in enumerate(chains):
        if variant not in record.measurements:
            continue
        for row, (metric, _) in enumerate(STEPS):
            values = [m.metrics[metric] for m in record.measurements[variant].values() if metric in m.metrics]
            place = row + 0.16 * (2 * number - 1)
            if not values:  # no chain came as far
                continue
            axes.plot(values, [place] * len(values), marker, color=COLOURS[colour], alpha=0.45, markersize=4)
            axes.plot(sum(values) / len(values), place, marker, color=COLOURS[colour], markersize=7)
        axes.text(0.02, 0.1 + 0.3 * number, label, color=COLOURS[colour], fontsize=9, va="center")
    axes.set_yticks(range(len(STEPS)), [label for _, label in STEPS])
    axes.set_ylim(len(STEPS) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 1.03)
    axes.set_xlabel("rate; small marks are seeds")
    axes.set_title("Where the chain loses", pad=14)


def _curve(axes: Axes, record: Record) -> None:
    for sizes, label, colour in CURVES:
        found = {size: _nepali(record, variant) for variant, size in sizes.items() if variant in record.measurements}
        means = [sum(values) / len(values) for values in found.values()]
        for size, values in found.items():
            axes.plot([size] * len(values), values, "o", color=COLOURS[colour], alpha=0.45, markersize=4)
        axes.plot(list(found), means, "o-", color=COLOURS[colour], markersize=6)
        if means:
            axes.annotate(label, (list(found)[-1], means[-1]), (-6, 7), textcoords="offset points", ha="right",
                          color=COLOURS[colour], fontsize=9)  # fmt: skip
    axes.set_ylim(0, 1.03)
    axes.set_xticks(list(CURVES[0][0].values()))
    axes.set_xlabel("tuning records; small marks are seeds")
    axes.set_ylabel("accuracy")
    axes.set_title("More records (Nepali)", pad=8)


def _nepali(record: Record, variant: str) -> list[float]:
    """Accuracy in Nepali, by seed."""
    cells = (measurement.units["accuracy"] for measurement in record.measurements[variant].values())
    chosen = [[value for path, value in units.items() if path.startswith("Nepali/")] for units in cells]
    return [sum(values) / len(values) for values in chosen]
