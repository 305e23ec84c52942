"""The figure of the page, drawn from the record alone: what each kind of pairs ties together."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars
from core.experiment.report import trivial_lines
from core.experiment.results import Record

ARMS = (
    ("muril", "MuRIL: both kinds of pairs", "blue"),
    ("notlit", "translations alone", "green"),
    ("notrans", "transliterations alone", "orange"),
    ("mlm", "text alone (as mBERT)", "vermilion"),
    ("shuffled", "pairs shuffled (null)", "grey"),
)
PANELS = (
    ("native", "English with Indian scripts", ()),
    ("unlike", "English with romanised text\n(never met, letters do not help)", ()),
    ("scripts", "Indian scripts with romanised text", ()),
    ("across", "two languages of India (never met)", ()),
)


def draw(record: Record) -> Figure:
    """Four kinds of retrieval, every arm, with 95 % intervals over languages."""
    figure, axes = plt.subplots(2, 2, figsize=(9.6, 5.6), sharey=True, sharex=True)
    for panel, (metric, title, solvers) in zip(axes.flat, PANELS, strict=True):
        arm_bars(panel, record, metric, ARMS)
        trivial_lines(panel, record, vertical=True, names=solvers)
        panel.set_title(title)
    for panel in axes[1]:
        panel.set_xlabel("translations found (accuracy@1)")
    return figure
