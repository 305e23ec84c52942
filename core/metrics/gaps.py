"""One score a language: the mean, what languages with little data have, and how far apart they are.

found = language_gap({"en": 0.55, "de": 0.44, "sw": 0.38}, low=["sw"])
found.mean, found.low, found.gap, found.mean_to_best
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from statistics import fmean
from typing import NamedTuple

from core.errors import UserError


class Gap(NamedTuple):
    """Scores of several languages in a few numbers, in the unit of the scores."""

    mean: float
    """Over all languages."""
    low: float
    """Mean over the languages with little data."""
    gap: float
    """The high-resource language less `low`."""
    mean_to_best: float
    """The mean divided by the best language's score: 1 where all are equal; 0 where all scores are 0."""


def language_gap(scores: Mapping[str, float], low: Collection[str], high: str = "en") -> Gap:
    """How even a model is over languages.

    Args:
        scores: By language.
        low: Languages with little data; at least one of them is scored. Those without a score are left out, as papers
            do where a benchmark lacks a language.
        high: The language that the others are measured by.

    Raises:
        UserError: A language that is needed has no score.
    """
    chosen = [scores[code] for code in low if code in scores]
    if not chosen or high not in scores:
        lacking = high if high not in scores else " or ".join(low)
        raise UserError(f"There is no score in {lacking}: the scores are in {', '.join(scores)}.")
    mean, best = fmean(scores.values()), max(scores.values())
    return Gap(mean, fmean(chosen), scores[high] - fmean(chosen), mean / best if best else 0.0)
