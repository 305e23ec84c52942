"""The figure of the page, drawn from the record alone."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.results import Record


def draw(record: Record) -> Figure:
    """The score of each variant, one dot a seed."""
    figure, axes = plt.subplots(figsize=(5, 2))
    for row, (variant, by_seed) in enumerate(record.measurements.items()):
        axes.plot([m.metrics["score"] for m in by_seed.values()], [row] * len(by_seed), "o", label=variant)
    axes.set_yticks(range(len(record.measurements)), list(record.measurements))
    axes.set_xlabel("score (correlation)")
    return figure
