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
    ("native", "English ↔ Indian scripts", ()),
    ("unlike", "English ↔ romanised text\nthat letters do not give away", ()),
    ("topics_native", "topics, taught in English,\nasked in Indian scripts", ("majority",)),
    ("across", "between languages of India\n(never met)", ()),
    ("romanised", "English ↔ all romanised text", ("overlap", "length")),
    ("topics_romanised", "topics, taught in English,\nasked in romanised text", ("majority", "letters")),
)


def draw(record: Record) -> Figure:
    """Retrieval and zero-shot topics, every arm, with 95 % intervals over languages."""
    figure, axes = plt.subplots(2, 3, figsize=(10.4, 6.2), sharey=True, sharex=True)
    for panel, (metric, title, solvers) in zip(axes.flat, PANELS, strict=True):
        arm_bars(panel, record, metric, ARMS)
        if solvers:
            trivial_lines(panel, record, vertical=True, names=solvers)
        panel.set_title(title, pad=16)
    for panel, text in zip(axes[1], ("translations found",) * 2 + ("topics told",), strict=True):
        panel.set_xlabel(f"{text}, 95 % interval")
    return figure
