"""From measurements to the interval of a claim: which values are drawn, which belong together, what is paired.

A measurement names its values by paths, `de/017/template-2`; the first `depth` parts name the *drawn unit*, what the
claim generalises over, and everything below one such name is a cluster that is drawn whole: its value is the mean of
its leaves, after pairing. Seeds see the same units (crossed) or each its own (nested).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from core.errors import UserError
from core.metrics.intervals import Array, Interval, difference_interval

Leaves = Mapping[int, Mapping[str, float]]


@dataclass(frozen=True)
class Sample:
    """The effective sample behind an interval.

    Attributes:
        seeds: Seeds that count.
        units: Distinct drawn units, over all seeds.
        leaves: Distinct leaves below them, over all seeds; those that are alike in every seed count once.
        overlap: Share of leaves that two seeds have in common (Jaccard, mean over pairs of seeds); 1 for one seed.
        left_out: Drawn units that not every seed (or not both sides) measured and that were therefore left out.
        nested: Every seed has its own units, so seeds alone are drawn.
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
        treatment: Mean over drawn units and seeds.
        control: The same of the control, or the number.
        sample: What the interval rests on.
        control_sample: The control's, where it is not paired.
    """

    interval: Interval
    treatment: float
    control: float
    sample: Sample
    control_sample: Sample | None = None


def compare(treatment: Leaves, control: Leaves | float, depth: int = 1, paired: bool = True) -> Comparison:
    """Compare two variants, or one with a number.

    Args:
        treatment: `{seed: {path: value}}`.
        control: The same, or a number.
        depth: How many leading parts of a path name the drawn unit; 0 when seeds alone are drawn. A shorter path is
            a unit of its own.
        paired: Whether a path of a seed means the same object on both sides; then only common leaves are compared.

    Raises:
        UserError: nothing to compare, or a value that is not finite.
    """
    if depth < 0:
        raise UserError(f"depth is {depth}: it counts leading parts of a path, so give 0 or more.")
    if not isinstance(control, Mapping):
        left, sample = _cells(treatment, depth)
        return Comparison(_interval(left, float(control)), float(left.mean()), float(control), sample)
    if paired:
        seeds = [seed for seed in treatment if seed in control]
        common = {seed: [path for path in treatment[seed] if path in control[seed]] for seed in seeds}
        left, sample = _cells({s: {p: treatment[s][p] for p in common[s]} for s in seeds}, depth, treatment)
        right, _ = _cells({s: {p: control[s][p] for p in common[s]} for s in seeds}, depth)
        return Comparison(_interval(left - right, 0.0), float(left.mean()), float(right.mean()), sample)
    left, sample = _cells(treatment, depth)
    right, other = _cells(control, depth)
    interval = difference_interval(left, right, paired=False)
    return Comparison(interval, float(left.mean()), float(right.mean()), sample, other)


def _interval(left: Array, control: float) -> Interval:
    return difference_interval(left, control)


def _cells(values: Leaves, depth: int, before: Leaves | None = None) -> tuple[Array, Sample]:
    """Means of drawn units, [seeds, units], and the sample; one column when units are nested in seeds."""
    clusters = {seed: _clusters(leaves, depth) for seed, leaves in values.items()}
    if not clusters or not all(clusters.values()):
        raise UserError("Nothing to compare: a seed has no value, or the two sides have no path in common.")
    names = list(clusters.values())
    crossed = [unit for unit in names[0] if all(unit in other for other in names)]
    nested = not crossed
    known = {unit for seed in (before or values).values() for unit in _clusters(seed, depth)}
    if nested:
        matrix = np.array([[np.mean([np.mean(cell) for cell in seed.values()])] for seed in names])
        kept = {unit for seed in names for unit in seed}
    else:
        matrix = np.array([[np.mean(seed[unit]) for unit in crossed] for seed in names])
        kept = set(crossed)
    paths = [{path for path in leaves if _unit(path, depth) in kept} for leaves in values.values()]
    overlaps = [len(a & b) / len(a | b) for a, b in combinations(paths, 2)]
    sample = Sample(
        seeds=len(names),
        units=len(kept),
        leaves=len(set.union(*paths)),
        overlap=float(np.mean(overlaps)) if overlaps else 1.0,
        left_out=len(known - kept),
        nested=nested,
    )
    return matrix, sample


def _clusters(leaves: Mapping[str, float], depth: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for path, value in leaves.items():
        found.setdefault(_unit(path, depth), []).append(float(value))
    return found


def _unit(path: str, depth: int) -> str:
    return "/".join(path.split("/")[:depth])
