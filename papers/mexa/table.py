"""What a run shows: a table with one line per language, on the terminal and as a file for spreadsheets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from core.experiment.run import Measurement
from core.metrics.stats import Interval
from core.printing import console
from papers.mexa.config import Config
from papers.mexa.scoring import Alignment, Estimate

_BLOCKS = " ▁▂▃▄▅▆▇█"
_COLUMNS = ("score", "low", "high", "mean", "max", "best_layer", "tail", "n")


@dataclass(frozen=True)
class Report:
    """What is known of each language.

    Attributes:
        alignments: Its scores.
        known: Its task score, if it has been measured.
        estimates: Its predicted task score, if not.
        comparison: By how much a second model scores higher.
    """

    alignments: Mapping[str, Alignment]
    known: Mapping[str, float]
    estimates: Mapping[str, Estimate]
    comparison: Mapping[str, Interval]

    def as_json(self) -> dict[str, dict[str, Any]]:
        """One object a language, layer curve included."""
        rows = {}
        for language, alignment in self.alignments.items():
            estimate, difference = self.estimates.get(language), self.comparison.get(language)
            rows[language] = alignment.row() | {
                "task_score": self.known.get(language),
                "estimate": vars(estimate) if estimate else None,
                "difference": [difference.estimate, difference.low, difference.high] if difference else None,
            }
        return rows

    def as_tsv(self) -> str:
        """One line a language, for spreadsheets."""
        lines = ["\t".join(["language", *_COLUMNS, "task_score", "estimate", "estimate_low", "estimate_high"])]
        for language, row in self.as_json().items():
            estimate = row["estimate"] or {}
            values = [*(row[name] for name in (*_COLUMNS, "task_score")), *map(estimate.get, ("score", "low", "high"))]
            lines.append("\t".join([language, *("" if value is None else f"{value:.6g}" for value in values)]))
        return "\n".join(lines) + "\n"

    def show(self, config: Config, measurement: Measurement) -> None:
        """The table on the terminal, the best-aligned language first, and what a reader has to know."""
        from rich.box import SIMPLE
        from rich.table import Table

        table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1))
        columns = ["", f"{config.pool} [95 %]", "max", "layer", "P(chance)", "by layer"]
        columns += ["task"] * bool(self.known) + ["predicted [95 %]"] * bool(self.estimates)
        columns += ["difference"] * bool(self.comparison)
        for column in columns:
            table.add_column(column, justify="left" if column in ("", "by layer") else "right", no_wrap=True)
        for language in sorted(self.alignments, key=lambda code: -self.alignments[code].score):
            table.add_row(*self._cells(language))
        terminal = console()
        terminal.print(f"\n{config.score} of {config.model}, {measurement.details['n']} sentences")
        terminal.print(table)
        for note in notes(config, measurement, self):
            terminal.print(f"- {note}")

    def _cells(self, language: str) -> list[str]:
        a = self.alignments[language]
        peak = max(max(alignment.curve) for alignment in self.alignments.values())
        tail = "" if a.tail is None else f"{a.tail:.0e}"
        cells = [language, _interval(a.score, a.low, a.high), f"{a.max:.2f}", str(a.best_layer), tail]
        cells.append(sparkline(a.curve, peak))
        if self.known:
            cells.append(f"{self.known[language]:.2f}" if language in self.known else "")
        if self.estimates:
            estimate = self.estimates.get(language)
            cells.append(_interval(estimate.score, estimate.low, estimate.high) if estimate else "")
        if self.comparison:
            d = self.comparison[language]
            cells.append(_interval(d.estimate, d.low, d.high))
        return cells


def notes(config: Config, measurement: Measurement, report: Report) -> list[str]:
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
        lines.append(f"Pearson r with the task score over {len(report.known)} languages: {found['pearson_r']:.2f}.")
    if report.estimates and details["fit"] is None:
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
