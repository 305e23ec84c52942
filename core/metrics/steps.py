"""Answers in steps: how often each succeeds given that all before it did, so that the one that fails can be found.

    found = step_rates([{"understood": 1, "answered": 1}, {"understood": 1, "answered": 0}])
    found.given["answered"]                               # 0.5

A chain can reach a right end by a wrong way: every step right is as frequent as the product of the share of right first
steps and of the shares given the steps before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class StepRates(NamedTuple):
    """What :func:`step_rates` found, by step in their order."""

    means: dict[str, float]
    """Mean score of each step."""
    given: dict[str, float]
    """For each step but the first the share of right ones where all before it were right; NaN where they never were."""
    all_right: float
    """Share of the answers with every step right."""


def step_rates(scores: Sequence[Mapping[str, float]], threshold: float = 1.0) -> StepRates:
    """Rates of the steps of many answers.

    Args:
        scores: Score by step, the steps in their order, for each answer.
        threshold: From which score on a step counts as right.

    Raises:
        ValueError: There is no answer.
    """
    if not scores:
        raise ValueError("There is nothing to score: no answer.")
    left, given = list(scores), {}
    for number, step in enumerate(scores[0]):
        right = [row for row in left if row[step] >= threshold]
        if number:
            given[step] = len(right) / len(left) if left else math.nan
        left = right
    means = {step: sum(row[step] for row in scores) / len(scores) for step in scores[0]}
    return StepRates(means, given, len(left) / len(scores))
