"""The figure of the page, drawn from the record: test pictures and what two arms say of them, scores of all arms."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.experiment.figures import pair_bars, unit_rows
from core.experiment.results import Record
from papers.bimedix2 import miniature
from papers.bimedix2.config import Config
from papers.bimedix2.pictures import MODALITIES

ARMS = (
    ("bimedix2", "both languages, both stages"),
    ("english-pictures", "pictures in English alone"),
    ("without-stage-1", "without stage 1"),
    ("without-text", "without text"),
    ("shuffled", "pictures exchanged (null)"),
)
LANGUAGES = (("en", "English", "blue"), ("ar", "Arabic", "vermilion"))
NAMES = dict(zip(MODALITIES, ("X-ray", "MRI", "histology", "gross", "CT"), strict=True))


def draw(record: Record) -> Figure:
    """Above: a picture of each manner and what is said of it in Arabic. Below: scores by arm, manner, and of text."""
    matplotlib.rcParams["svg.fonttype"] = "none"
    warnings.filterwarnings("ignore", r"Glyph \d+ .* missing", UserWarning)
    figure = plt.figure(figsize=(9.8, 7.6), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(1, 1.2))
    above, below = parts
    for number, axes in enumerate(above.subplots(1, len(MODALITIES))):
        _shown(axes, record, number)
    left, middle, right = below.subplots(1, 3, width_ratios=(1.5, 1, 1))
    _bars(left, record, "relative", ARMS, "modality")
    left.set(title="Questions about new pictures", xlabel="relative score")
    unit_rows(
        middle, record, "relative_ar", [("bimedix2", "vermilion"), ("english-pictures", "grey")], NAMES.__getitem__
    )
    middle.set(title="In Arabic, by manner", xlabel="red: pictures in both languages\ngrey: in English alone")
    _bars(right, record, "text", (("base", "not tuned"), ("bimedix2", "tuned"), ("without-text", "no text")), "wording")
    right.axvline(0.25, color="black", linestyle=":", linewidth=1)
    right.set(title="Without pictures", xlabel="accuracy (dotted: chance)")
    return figure


def _shown(axes: Axes, record: Record, number: int) -> None:
    """The first test picture of a manner in the first seed, with what is said of it in Arabic."""
    seed, begin = record.seeds[0], f"{MODALITIES[number]}/describe/{number}-"
    axes.imshow(next(q.image for q in miniature.questions(Config(seed=seed)) if q.id.startswith(begin)))
    axes.axis("off")
    lines = []
    for arm, name in (("bimedix2", "pictures in both"), ("english-pictures", "in English alone")):
        samples = record.measurements[arm][seed].details["samples"]
        report = next(s for s in samples if s["language"] == "ar" and s["id"].startswith(begin))
        mark = "✔" if report["said"] == report["answer"] else "✘"
        lines += [f"{mark} {name}", *wrap(report["said"], 26)[:2], ""]
    text = axes.text(0.5, -0.06, "\n".join(lines), transform=axes.transAxes, ha="center", va="top", fontsize=8)
    text.set_in_layout(False)
    axes.set_anchor("N")


def _bars(axes: Axes, record: Record, metric: str, arms: Sequence[tuple[str, str]], unit: str) -> None:
    pair = [(f"{metric}_{code}", label, colour) for code, label, colour in LANGUAGES]
    pair_bars(axes, record, arms, pair, unit, size=8)
