"""How many seeds would decide: from the spread of a comparison to numbers that bring its interval under the effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import UserError
from core.experiment.paper import Check

if TYPE_CHECKING:
    from core.metrics.stats import Comparison

MOST_SEEDS = 8


@dataclass(frozen=True)
class Forecast:
    """What can be decided about a claim.

    Attributes:
        effect: How far the estimate lies from the bound that decides, at least the smallest effect of interest.
        half_width: Expected half-width of the interval with the seeds and units at hand; None where it has no spread.
        seeds: Seeds that bring it under the effect, None if up to eight do not.
        units: Units of each of these seeds.
        phrase: The same for the page.
    """

    effect: float
    half_width: float | None
    seeds: int | None
    units: int | None
    phrase: str


def forecast(check: Check, compared: Comparison, *, undecided: bool = False) -> Forecast:
    """What more seeds, or else more units, would decide about one comparison; `undecided`: these have not."""
    from core.metrics import stats

    spread, sample = compared.spread, compared.sample
    effect = max(distance(check, compared.interval.estimate), check.smallest)
    if spread is None or effect <= 0:
        return Forecast(effect, None, None, None, "")
    units = max(1, round(sample.units / sample.seeds)) if sample.nested else sample.units
    try:
        width = stats.half_width(spread, sample.seeds, units)
        needed = stats.seeds_needed(spread, effect, units, most=MOST_SEEDS)
    except UserError as error:
        return Forecast(effect, None, None, None, str(error))
    if needed is None:
        return Forecast(effect, width, None, None, f"even {MOST_SEEDS} seeds of 1,000 units would not decide")
    more = f" of {needed.units} units" if needed.units > units else ""
    seeds = needed.seeds
    if not more and (undecided or effect <= (compared.interval.high - compared.interval.low) / 2):
        seeds = max(seeds, sample.seeds + 1)  # as many as these may be expected to do, but these have not
    return Forecast(effect, width, seeds, needed.units, f"{seeds} seeds{more} would decide")


def distance(check: Check, estimate: float) -> float:
    """How far a difference lies from the nearest bound that decides about the claim."""
    d = -estimate if check.better == "lower" else estimate
    bounds = (-check.size, check.size) if check.better == "equal" else (-check.size if check.keeps else check.size,)
    return min(abs(d - bound) for bound in bounds)
