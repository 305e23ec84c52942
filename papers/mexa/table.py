"""What a run shows: a table with one line per language, on the terminal and as a file for spreadsheets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from core.run import Measurement
from papers.mexa.config import Config
from papers.mexa.scoring import Alignment, Estimate

_BLOCKS = " ▁▂▃▄▅▆▇█"
_COLUMNS = ("score", "low", "high", "mean", "max", "best_layer", "tail", "n")


def as_tsv(alignments: Mapping[str, Alignment], known: Mapping[str, float], estimates: Mapping[str, Estimate]) -> str:
    """One line a language, for spreadsheets."""
    lines = ["\t".join(["language", *_COLUMNS, "task_score", "estimate", "estimate_low", "estimate_high"])]
    for language, alignment in alignments.items():
        estimate = estimates.get(language)
        values = [getattr(alignment, name) for name in _COLUMNS]
        values += [known.get(language), *((estimate.score, estimate.low, estimate.high) if estimate else (None,) * 3)]
        lines.append("\t".join([language, *("" if v is None else f"{v:.6g}" for v in values)]))
    return "\n".join(lines) + "\n"


def show(
    config: Config,
    measurement: Measurement,
    alignments: Mapping[str, Alignment],
    known: Mapping[str, float],
    estimates: Mapping[str, Estimate],
) -> None:
    """The table on the terminal, the best-aligned language first, and what a reader has to know."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    details = measurement.details
    differences: dict[str, Any] = details.get("comparison", {}).get("languages", {})
    console = Console()
    console.print(f"\n{config.score} of {config.model}, {details['n']} sentences", highlight=False)
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1))
    columns = ["", f"{config.pool} [95 %]", "max", "layer", "P(chance)", "by layer"]
    columns += ["task"] * bool(known) + ["predicted [95 %]"] * bool(estimates) + ["difference"] * bool(differences)
    for column in columns:
        table.add_column(column, justify="left" if column in ("", "by layer") else "right", no_wrap=True)
    peak = max(max(alignment.curve) for alignment in alignments.values())
    for language, a in sorted(alignments.items(), key=lambda pair: -pair[1].score):
        tail = "" if a.tail is None else f"{a.tail:.0e}"
        cells = [language, _interval(a.score, a.low, a.high), f"{a.max:.2f}", str(a.best_layer), tail]
        cells.append(sparkline(a.curve, peak))
        if known:
            cells.append(f"{known[language]:.2f}" if language in known else "")
        if estimates:
            e = estimates.get(language)
            cells.append(_interval(e.score, e.low, e.high) if e else "")
        if differences:
            d = differences[language]
            cells.append(_interval(d["difference"], d["low"], d["high"]))
        table.add_row(*cells)
    console.print(table)
    for note in notes(config, measurement):
        console.print(f"- {note}", highlight=False)


def notes(config: Config, measurement: Measurement) -> list[str]:
    """What a reader of the table has to know."""
    details, found = measurement.details, measurement.metrics
    lines = ["Scores fall with the number of sentences: compare only those of equally many."]
    if config.score == "mexa":
        chance, band = details["chance"], details["chance_band"]
        lines.append(f"By chance a layer scores {chance:.3f}, and above {band:.3f} in one case of 20.")
    lines.append(
        "The first position, an attention sink, is left out (--drop-first 0 includes it, as the official code does)."
        if config.drop_first
        else "The first position is included, as in the official code (--drop-first 1 leaves the attention sink out)."
    )
    if "pearson_r" in found:
        lines.append(
            f"Pearson r with the task score over {len(details['task_scores'])} languages: {found['pearson_r']:.2f}."
        )
    if details["estimates"] and details["fit"] is None:
        lines.append("Predicted on the ideal line; with three or more --scores a line is fitted and has intervals.")
    return lines + [f"Left out: {reason}." for reason in details["dropped"]]


def sparkline(values: Sequence[float], top: float, width: int = 16) -> str:
    """The curve as blocks, the highest value of neighbouring layers each; an empty place is 0."""
    width = min(width, len(values))
    edges = [round(place * len(values) / width) for place in range(width + 1)]
    heights = [max(values[left:right]) for left, right in pairwise(edges)]
    return "".join(_BLOCKS[math.ceil(max(0.0, h) / top * (len(_BLOCKS) - 1)) if top > 0 else 0] for h in heights)


def _interval(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.2f}" if low is None or high is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"
