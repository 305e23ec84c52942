"""The figure of the page, drawn from the record alone: every arm, where the chain loses, every language."""

from __future__ import annotations

from statistics import fmean

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.paper import Check
from core.experiment.report import COLOURS, trivial_lines
from core.experiment.results import Record, compare

ARMS = (
    ("taco", "TaCo chain", "blue"),
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


def draw(record: Record) -> Figure:
    """Left: accuracy of every arm with its interval. Right: steps of two chains; every language."""
    figure, axes = plt.subplot_mosaic(
        [["arms", "steps"], ["arms", "languages"]], figsize=(9.6, 5.6), width_ratios=(1.25, 1)
    )
    _arms(axes["arms"], record)
    _steps(axes["steps"], record)
    _languages(axes["languages"], record)
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
    double = 2 * record.mean("direct_tokens", "accuracy")
    axes.axvline(double, color="black", linestyle=":", linewidth=1)
    axes.text(
        double + 0.012, len(arms) - 0.45, "twice instruction tuning\nwith as many tokens", fontsize=8, va="center"
    )
    trivial_lines(axes, record, "direct_tokens", vertical=True, names=("majority",))
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
    _rows(axes, [label for _, label in STEPS])
    axes.set_xlabel("rate; small marks are seeds")
    axes.set_title("Where the chain loses", pad=14)


def _languages(axes: Axes, record: Record) -> None:
    taco, direct = (_by_language(record, variant) for variant in ("taco", "direct_tokens"))
    order = sorted(taco, key=lambda language: -taco[language])
    for row, language in enumerate(order):
        axes.plot([direct[language], taco[language]], [row, row], color=COLOURS["grey"], linewidth=1)
        axes.plot(direct[language], row, "o", color=COLOURS["orange"], markersize=5)
        axes.plot(taco[language], row, "o", color=COLOURS["blue"], markersize=5)
    _rows(axes, order)
    axes.set_xlabel("accuracy; colours as on the left")
    axes.set_title("Every language", pad=8)


def _rows(axes: Axes, labels: list[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 1.03)


def _by_language(record: Record, variant: str) -> dict[str, float]:
    """Mean accuracy by language."""
    values: dict[str, list[float]] = {}
    for measurement in record.measurements[variant].values():
        for path, value in measurement.units["accuracy"].items():
            values.setdefault(path.partition("/")[0], []).append(value)
    return {language: fmean(found) for language, found in values.items()}
