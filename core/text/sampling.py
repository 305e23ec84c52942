"""How often each language is drawn in multilingual training.

With n_i examples of language i and q_i = n_i / sum(n), two spellings of the same family are in use:

    p_i ∝ q_i^alpha         (mBERT, XLM-R: alpha 0.3 to 0.7)
    p_i ∝ q_i^(1/T)         (Arivazhagan et al. 2019: T 1 to 100; alpha = 1/T)

alpha = 1 keeps the sizes, alpha -> 0 (T -> infinity) draws all languages equally often.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import numpy as np

from core.errors import UserError

Key = TypeVar("Key")
Row = TypeVar("Row")


def probabilities(
    sizes: Mapping[Key, float], *, temperature: float | None = None, alpha: float | None = None
) -> dict[Key, float]:
    """Sampling probability of each language.

    Args:
        sizes: Examples (or tokens) per language; languages without any get probability 0.
        temperature: T >= 1 flattens, T < 1 sharpens; infinity is uniform.
        alpha: The exponent itself; give one of the two. Neither means proportional.

    Returns:
        Probabilities that sum to 1, in the order given.

    Raises:
        UserError: both given, a non-positive temperature, a negative alpha or size, no example at all.
    """
    if temperature is not None and alpha is not None:
        raise UserError("Give temperature or alpha, not both: alpha = 1 / temperature.")
    if temperature is not None and not temperature > 0:
        raise UserError(f"temperature must be positive, not {temperature}: 1 keeps the sizes, larger values flatten.")
    exponent = 1 / temperature if temperature is not None else (1.0 if alpha is None else alpha)
    if not 0 <= exponent < math.inf:
        raise UserError(f"alpha must be finite and not negative, not {exponent}: 1 keeps the sizes, 0 is uniform.")
    if any(not 0 <= size < math.inf for size in sizes.values()):
        raise UserError(f"Sizes must be finite and not negative, got {dict(sizes)}.")
    present = {key: math.log(size) for key, size in sizes.items() if size > 0}
    if not present:
        raise UserError("Every language is empty: give at least one example.")
    top = max(present.values())  # in logarithms, so that no power overflows
    weights = {key: math.exp(exponent * (value - top)) for key, value in present.items()}
    total = math.fsum(weights.values())
    return {key: weights.get(key, 0.0) / total for key in sizes}


@dataclass(frozen=True)
class Allocation:
    """How many examples to draw of a language.

    Attributes:
        draws: Number of draws.
        epochs: Draws divided by the number of examples that there are.
        capped: Whether the epoch cap held it back.
    """

    draws: int
    epochs: float
    capped: bool


def allocate(
    sizes: Mapping[Key, float],
    total: int,
    *,
    temperature: float | None = None,
    alpha: float | None = None,
    max_epochs: float = math.inf,
) -> dict[Key, Allocation]:
    """Divide `total` draws among languages, exactly, with no language repeated more than `max_epochs` times.

    What the cap takes from a small language goes to the others in proportion to their probabilities, as in
    UniMax (Chung et al. 2023) for alpha = 0. Fractions are rounded by largest remainder, so the draws add up.

    Returns:
        Draws per language, in the order given. They sum to `total`, or to the sum of the caps where that is less.

    Raises:
        UserError: as :func:`probabilities`; a negative total or a cap that is not positive.
    """
    if total < 0:
        raise UserError(f"total must not be negative, not {total}.")
    if not max_epochs > 0:
        raise UserError(f"max_epochs must be positive, not {max_epochs}.")
    share = probabilities(sizes, temperature=temperature, alpha=alpha)
    caps = {key: math.inf if max_epochs == math.inf else math.floor(max_epochs * size) for key, size in sizes.items()}
    free = [key for key in sizes if share[key] > 0]
    fixed: dict[Key, int] = {key: 0 for key in sizes if share[key] == 0}
    while True:
        left = total - sum(fixed.values())
        weight = math.fsum(share[key] for key in free)
        over = [key for key in free if left * share[key] / weight > caps[key]]
        if not over:
            break
        fixed |= {key: int(caps[key]) for key in over}
        free = [key for key in free if key not in over]
        if not free:
            break
    if free:
        fixed |= _largest_remainder({key: left * share[key] / weight for key in free}, left)
    return {
        key: Allocation(fixed[key], fixed[key] / size if size else 0.0, caps[key] <= fixed[key] and size > 0)
        for key, size in sizes.items()
    }


def _largest_remainder(quotas: Mapping[Key, float], total: int) -> dict[Key, int]:
    """Whole numbers next to the quotas that sum to `total`; ties go to the earlier one."""
    counts = {key: math.floor(quota) for key, quota in quotas.items()}
    order = sorted(quotas, key=lambda key: counts[key] - quotas[key])
    for key in order[: total - sum(counts.values())]:
        counts[key] += 1
    return counts


def repeated(rows: Sequence[Row], size: int, draw: Random) -> list[Row]:
    """As many rows as wanted: each as often as all others, but for those of the last round, which are drawn.

    Args:
        rows: At least one.
        size: Rows wanted.
        draw: Of the last round.
    """
    rounds, rest = divmod(size, len(rows))
    return [*rows] * rounds + draw.sample([*rows], rest)


def schedule(draws: Mapping[Key, int], seed: int) -> list[Key]:
    """A random order of the languages in which each occurs exactly as often as `draws` says."""
    keys = list(draws)
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(keys)), [draws[key] for key in keys]))
    return [keys[index] for index in order]
