"""What the benchmarks share: paired timing, and the row of the table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Comparison:
    """One row.

    Attributes:
        name: What was compared.
        ours: Our figure (median).
        instead: The figure of what a user would use instead (median).
        unit: Of both.
        ratio: Median of the ratios, in the direction in which more is better.
        expected: What we aim for.
        note: Conditions, agreement of the results, and why a ratio falls short.
        low: Smallest ratio of a repetition.
        high: Largest.
    """

    name: str
    ours: float
    instead: float
    unit: str
    ratio: float
    expected: str
    note: str
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def scaled(self, times: float) -> Comparison:
        """The row as it is where the other way was timed on so many times less work than ours."""
        bounds = {name: value * times for name in ("low", "high") if (value := getattr(self, name)) is not None}
        return replace(self, instead=self.instead / times, ratio=self.ratio * times, **bounds)


@dataclass(frozen=True)
class Growth:
    """How the cost of something grows with the work.

    Attributes:
        name: What it is.
        work: What there is more and more of.
        points: (work, seconds), the smallest work first.
        note: Conditions.
    """

    name: str
    work: str
    points: tuple[tuple[float, float], ...]
    note: str

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def seconds(function: Callable[[], Any]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def compare(
    name: str,
    ours: Callable[[], Any],
    instead: Callable[[], Any],
    *,
    work: float,
    unit: str,
    expected: str,
    note: str,
    repeats: int = 3,
) -> Comparison:
    """Time two ways of doing the same work, in turn, so that a drift of the machine meets both.

    Args:
        name: Of the row.
        ours: Our way.
        instead: The other way.
        work: Items in one call; speeds are `work / seconds`.
        unit: Of the speeds.
        expected: What we aim for.
        note: For the table.
        repeats: Timed pairs; one untimed call of ours comes first.
    """
    ours()
    times = [(seconds(ours), seconds(instead)) for _ in range(repeats)]
    ratios = [theirs / mine for mine, theirs in times]
    return Comparison(
        name=name,
        ours=work / statistics.median(mine for mine, _ in times),
        instead=work / statistics.median(theirs for _, theirs in times),
        unit=unit,
        ratio=statistics.median(ratios),
        expected=expected,
        note=note,
        low=min(ratios),
        high=max(ratios),
    )
