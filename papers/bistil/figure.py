"""The figure of the page, drawn from the record alone: transfer by arm, and the distance to the teacher."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars
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
    """Accuracy in the target, and in English."""
    figure, (target, source) = plt.subplots(1, 2, figsize=(9.6, 4.6), width_ratios=(1.2, 1))
    arm_bars(target, record, "accuracy", ARMS, unit="kind/concept")
    target.set_title("In Georgian, without Georgian task data")
    target.set_xlabel(
        "held-out names told right, with 95 % interval over seeds\ndotted: the commonest kind, the length of a name"
    )
    for line in ("trivial_majority", "trivial_length"):
        cells = [cell.metrics[line] for cell in record.measurements["bistil"].values()]
        target.axvline(sum(cells) / len(cells), color="black", linewidth=0.8, linestyle=":")
    arm_bars(source, record, "accuracy_source", ARMS, unit="kind/concept")
    source.set_yticklabels([])
    source.set_title("In English")
    source.set_xlabel("the same concepts")
    return figure
