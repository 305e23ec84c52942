"""The figure of the page, drawn from the record alone: accuracy by arm in both languages, and what BiStil is ahead."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import COLOURS, arm_bars, mean_of
from core.experiment.results import Record

ARMS = (
    ("teacher", "the whole model (upper bound)", "grey"),
    ("bistil", "BiStil: two languages", "blue"),
    ("multi", "thirteen languages", "vermilion"),
    ("none", "no phase one", "orange"),
    ("scratch", "from nothing", "orange"),
    ("plain", "labels instead of the teacher", "green"),
    ("full", "tuned densely", "green"),
    ("random_places", "random places", "green"),
    ("shuffled", "another text's states (null)", "grey"),
)


def draw(record: Record) -> Figure:
    """Accuracy in the target, there in pairs against BiStil, and in English."""
    figure, (target, ahead, source) = plt.subplots(1, 3, figsize=(10.8, 4.6), width_ratios=(1.2, 1, 0.9))
    arm_bars(target, record, "accuracy", ARMS, unit="kind/concept")
    target.set_title("Georgian, no Georgian labels")
    target.set_xlabel(
        "held-out names told right, 95 % interval over seeds\ndotted: the commonest kind, the length of a name"
    )
    for line in ("trivial_majority", "trivial_length"):
        cells = [cell.metrics[line] for cell in record.measurements["bistil"].values()]
        target.axvline(sum(cells) / len(cells), color="black", linewidth=0.8, linestyle=":")
    there = [arm for arm in ARMS if arm[0] in record.measurements]
    for row, (variant, _, colour) in enumerate(there):
        if variant != "bistil":
            found = mean_of(record, "bistil", "accuracy", "kind/concept", variant)
            ahead.plot([found.low, found.high], [row, row], color=COLOURS[colour])
            ahead.plot(found.estimate, row, "o", color=COLOURS[colour])
    ahead.axvline(0, color="black", linewidth=0.8)
    ahead.set_ylim(target.get_ylim())
    ahead.set_yticks([])
    ahead.set_xticks([-0.1, 0, 0.1])
    ahead.set_title("BiStil minus the arm")
    ahead.set_xlabel("in Georgian, same names,\n95 % interval of the difference")
    arm_bars(source, record, "accuracy_source", ARMS, unit="kind/concept")
    source.set_yticklabels([])
    source.set_title("English")
    source.set_xlabel("the same concepts")
    return figure
