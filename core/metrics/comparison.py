"""From measurements to the interval of a claim: which values are drawn, which belong together, what is paired.

A measurement names its values by paths, `de/017/template-2`. The first `depth` parts name the *drawn unit*, what the
claim generalises over; everything below one such name is a cluster that is drawn whole, and its value is the mean of
its leaves, after pairing. Seeds see the same units (crossed: the two-way analysis of variance of
:mod:`core.metrics.intervals`) or each its own (nested: what a seed draws is then part of what it is, and the means of
seeds are all that is independent). Where units share the names below them, `de/017` and `fr/017`, those are the same
leaf and are drawn too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from core.errors import UserError
from core.metrics.correlations import correlation_difference_interval, mean_correlation
from core.metrics.intervals import Array, Interval, Layouts, Spread, interval_of, leaf_error, spread_of

Leaves = Mapping[int, Mapping[str, float]]


@dataclass(frozen=True)
class Sample:
    """The effective sample behind an interval.

    Attributes:
        seeds: Seeds that both sides have.
        units: Distinct drawn units, over all seeds.
        leaves: Distinct leaves below them, over all seeds; one that several seeds share counts once.
        overlap: Share of their leaves that two seeds have in common (Jaccard index, mean over pairs of seeds), in
            [0, 1]; 1 for one seed.
        left_out: Drawn units that not every seed, or not both sides, measured and that were therefore left out.
        nested: Most units are of one seed or some, so that seeds alone are drawn, each with all its units.
    """

    seeds: int
    units: int
    leaves: int
    overlap: float
    left_out: int = 0
    nested: bool = False


@dataclass(frozen=True)
class Comparison:
    """Treatment against control.

    Attributes:
        interval: Of treatment minus control.
        treatment: Mean over drawn units, then seeds; or the correlation.
        control: The same of the control; or the number.
        sample: What the interval rests on.
        control_sample: The control's, where it is not paired.
        spread: Variances of the difference, for :func:`core.metrics.stats.half_width`; None where it is not one mean.
    """

    interval: Interval
    treatment: float
    control: float
    sample: Sample
    control_sample: Sample | None = None
    spread: Spread | None = None


def compare(treatment: Leaves, control: Leaves | float, depth: int = 1, paired: bool = True) -> Comparison:
    """Compare two variants, or one with a number.

    Args:
        treatment: `{seed: {path: value}}`.
        control: The same, or a number.
        depth: How many leading parts of a path name the drawn unit; 0 when seeds alone are drawn. A shorter path is
            a unit of its own.
        paired: Whether a path of a seed means the same object on both sides; then only common seeds and leaves count.

    Returns:
        The interval and what it rests on. Units count alike, however many leaves each has.

    Raises:
        UserError: nothing to compare, a negative depth, or a value that is not finite.
    """
    if not isinstance(control, Mapping):
        one = _cells(treatment, depth)
        floor = one.leaf_error((0, 0, 1, 1)) if _binary(treatment) else 0.0
        interval = interval_of([tuple(layout - control for layout in one.layouts)], floor)
        return Comparison(interval, one.mean, float(control), one.sample, spread=one.spread)
    both_binary = _binary(treatment) and _binary(control)
    if not paired:
        one, other = _cells(treatment, depth), _cells(control, depth)
        floor = math.hypot(*(side.leaf_error((0, 0, 1, 1)) for side in (one, other))) if both_binary else 0.0
        interval = interval_of([one.layouts, tuple(-layout for layout in other.layouts)], floor)
        return Comparison(interval, one.mean, other.mean, one.sample, other.sample)
    common = {
        seed: [path for path in treatment[seed] if path in control[seed]] for seed in treatment if seed in control
    }
    sides = [
        {seed: {path: side[seed][path] for path in paths} for seed, paths in common.items()}
        for side in (treatment, control)
    ]
    before = {*_units(treatment, depth), *_units(control, depth)}
    difference = {
        seed: {path: sides[0][seed][path] - sides[1][seed][path] for path in paths} for seed, paths in common.items()
    }
    cells = _cells(difference, depth, before)
    left, right = (_cells(side, depth) for side in sides)
    interval = interval_of([cells.layouts], cells.leaf_error((-1, 1)) if both_binary else 0.0)
    return Comparison(interval, left.mean, right.mean, cells.sample, spread=cells.spread)


def change(before: Sequence[float], after: Sequence[float]) -> str:
    """For people to read: two means over the same items, and their difference with its 95 % interval (of two items)."""
    old, new = ({str(number): value for number, value in enumerate(values)} for values in (before, after))
    said = f"{np.mean(before):.3f} -> {np.mean(after):.3f}"
    if len(old) < 2:
        return said
    return f"{said}   {compare({0: new}, {0: old}).interval:+.3f}"


def compare_correlations(
    treatment: tuple[Leaves, Leaves], control: tuple[Leaves, Leaves] | float, depth: int = 1
) -> Comparison:
    """Compare two correlations over drawn units, or one with a number.

    Args:
        treatment: The two metrics that are correlated, each `{seed: {path: value}}`.
        control: The same of the control, over the same seeds and units; or a number.
        depth: As in :func:`compare`. The two metrics may have different leaves below the same units.

    Raises:
        UserError: no seed and unit in common, or seeds that have no unit in common.
    """
    sides = [*treatment, *(control if isinstance(control, tuple) else ())]
    clusters = [{seed: _clusters(leaves, depth) for seed, leaves in side.items()} for side in sides]
    seeds = [seed for seed in clusters[0] if all(seed in side for side in clusters)]
    every = [set(side[seed]) for side in clusters for seed in seeds]
    units = sorted(set.intersection(*every)) if every else []
    if not units:
        raise UserError("Nothing to correlate: the metrics have no unit that every seed measured.")
    x, y, *against = (
        np.array([[np.mean([*side[seed][unit].values()]) for unit in units] for seed in seeds]) for side in clusters
    )
    value = mean_correlation(x, y)
    other = mean_correlation(*against) if isinstance(control, tuple) else float(control)
    interval = correlation_difference_interval((x, y), (against[0], against[1]) if against else other)
    sample = _sample([clusters[0][seed] for seed in seeds], set(units), len(set.union(*every)), nested=False)
    return Comparison(interval, value, other, sample)


class _Cells(NamedTuple):
    """What is left of one side.

    Attributes:
        layouts: Means of drawn units, [seeds, units], or means of seeds, [seeds, 1], where units are nested; and means
            of the leaves that all units share, [seeds, leaves], where they do.
        sample: The effective sample.
        spread: Its variance components; None for a single value.
        leaves: Mean over seeds of each distinct leaf, or of each drawn unit where seeds draw from one list of leaves.
        weights: Its share of the mean; they sum to 1.
    """

    layouts: Layouts
    sample: Sample
    spread: Spread | None
    leaves: Array
    weights: Array

    @property
    def mean(self) -> float:
        return float(self.layouts[0].mean())

    def leaf_error(self, against: tuple[float, ...]) -> float:
        return float(leaf_error(self.leaves, self.weights, against))


def _cells(values: Leaves, depth: int, before: set[str] | None = None) -> _Cells:
    """Group leaves by drawn unit; `before` are the units there were before pairing."""
    if depth < 0:
        raise UserError(f"depth is {depth}: it counts leading parts of a path, so give 0 or more.")
    seeds = [_clusters(leaves, depth) for leaves in values.values()]
    if not seeds or not all(seeds):
        raise UserError("Nothing to compare: a seed has no value, or the two sides have no seed and path in common.")
    for seed, leaves in values.items():
        for path, value in leaves.items():
            if not np.isfinite(value):
                raise UserError(f"The value of {path!r} in seed {seed} is {value}: leave such units out of the metric.")
    crossed = [unit for unit in seeds[0] if all(unit in other for other in seeds)]
    # Where seeds have most units for themselves, the few that all share are no sample of what is compared.
    nested = 2 * len(crossed) < len({unit for seed in seeds for unit in seed})
    kept = [list(seed) if nested else crossed for seed in seeds]
    means = [
        np.array([np.mean([*seed[unit].values()]) for unit in units]) for seed, units in zip(seeds, kept, strict=True)
    ]
    matrix = np.array([[row.mean()] for row in means]) if nested else np.stack(means)
    shared = None if nested else _shared(seeds, crossed)
    every = {unit for units in kept for unit in units}
    drawn = [path for clusters, units in zip(seeds, kept, strict=True) for unit in units for path in clusters[unit]]
    # Where seeds draw from one list of leaves, their means are no bound alone; then leaves of one cluster are not many.
    whole = nested and len(drawn) >= 2 * len({*drawn})
    shares: dict[str, list[float]] = {}  # weight and weighted sum of each distinct leaf
    for clusters, units in zip(seeds, kept, strict=True):
        for unit in units:
            weight = 1 / (len(seeds) * len(units) * len(clusters[unit]))
            for path, value in clusters[unit].items():
                share = shares.setdefault(unit if whole else path, [0.0, 0.0])
                share[0] += weight
                share[1] += weight * value
    weights, sums = np.array([*shares.values()]).T
    sample = _sample(seeds, every, len(before or _units(values, depth)), nested)
    layouts = (matrix,) if shared is None else (matrix, shared)
    return _Cells(layouts, sample, _spread(means, nested, shared), sums / weights, weights)


def _shared(seeds: list[dict[str, dict[str, float]]], units: list[str]) -> Array | None:
    """Means over units of the leaves that all units have, [seeds, leaves]; None unless these are most leaves."""
    if len(units) == 1:
        return None
    named = [
        [{path.removeprefix(unit): value for path, value in seed[unit].items()} for unit in units] for seed in seeds
    ]
    every = [cell for row in named for cell in row]
    names = [name for name in every[0] if all(name in cell for cell in every)]
    if len(names) < 2 or 2 * len(names) <= max(map(len, every)):
        return None
    return np.array([[np.mean([cell[name] for cell in row]) for name in names] for row in named])


def _spread(means: list[Array], nested: bool, shared: Array | None) -> Spread | None:
    if sum(row.size for row in means) == 1:
        return None
    if not nested:
        return spread_of(np.stack(means), shared)
    few = min(row.size for row in means)
    return spread_of(np.stack([row[:few] for row in means]), nested=True)


def _sample(seeds: list[dict[str, dict[str, float]]], units: set[str], known: int, nested: bool) -> Sample:
    paths = [{path for unit, cluster in seed.items() if unit in units for path in cluster} for seed in seeds]
    overlaps = [len(one & other) / len(one | other) for one, other in combinations(paths, 2)]
    overlap = float(np.mean(overlaps)) if overlaps else 1.0
    return Sample(len(seeds), len(units), len(set.union(*paths)), overlap, known - len(units), nested)


def _clusters(leaves: Mapping[str, float], depth: int) -> dict[str, dict[str, float]]:
    """Leaves by drawn unit."""
    found: dict[str, dict[str, float]] = {}
    for path, value in leaves.items():
        found.setdefault(_unit(path, depth), {})[path] = float(value)
    return found


def _units(values: Leaves, depth: int) -> set[str]:
    return {_unit(path, depth) for leaves in values.values() for path in leaves}


def _unit(path: str, depth: int) -> str:
    return "/".join(path.split("/")[:depth])


def _binary(values: Leaves) -> bool:
    return all(value in (0, 1) for leaves in values.values() for value in leaves.values())
