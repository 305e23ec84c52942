"""What vectors are arranged by: the share of their variance that a grouping explains."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np


def variance_share(vectors: Any, groups: Sequence[Hashable]) -> float:
    """Share of the variance of vectors that lies between groups (scripts, languages): eta squared over all dimensions.

    With group means m_g, group sizes n_g and the mean m of all it is sum_g n_g |m_g - m|^2 / sum_i |x_i - m|^2, in
    [0, 1]. Groups drawn by chance explain about (groups - 1) / (vectors - 1).

    Args:
        vectors: Shape [vector, width].
        groups: The group of each.

    Returns:
        The share, in [0, 1]; NaN where all vectors are equal.

    Raises:
        ValueError: As many groups as vectors are needed.
    """
    matrix = np.asarray(vectors, dtype=np.float64)
    if matrix.ndim != 2 or len(groups) != len(matrix):
        raise ValueError(f"{len(groups)} groups do not fit vectors of shape {matrix.shape}.")
    centred = matrix - matrix.mean(0)
    total = float((centred**2).sum())
    if not total:
        return math.nan
    members: dict[Hashable, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    between = sum(len(rows) * float((centred[rows].mean(0) ** 2).sum()) for rows in members.values())
    return between / total
