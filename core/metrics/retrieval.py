"""Retrieval of translations: is the right candidate among the k most similar?

With S[i, j] the similarity of query i and candidate j and g(i) the right candidate, the rank of i is one plus the
number of other candidates that score higher. Ties decide much where representations collapse, so their treatment is
explicit: by default an equal score counts as higher, and a constant similarity matrix retrieves nothing.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

Ties = Literal["fail", "expected", "pass"]


def cosine_similarity(
    queries: Float[np.ndarray, "n dim"], candidates: Float[np.ndarray, "m dim"]
) -> Float[np.ndarray, "n m"]:
    """Cosines in float64; 0 for a zero vector."""
    left, right = (np.asarray(side, dtype=np.float64) for side in (queries, candidates))
    left, right = (side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-300) for side in (left, right))
    return left @ right.T


def hits(similarity: Any, k: int = 1, gold: Any = None, ties: Ties = "fail") -> Float[np.ndarray, " n"]:
    """Whether each query's candidate is among its top k.

    Args:
        similarity: Shape [queries, candidates].
        k: Number of candidates looked at.
        gold: Index of the right candidate of each query; None takes the diagonal.
        ties: `fail` ranks equal scores before the right one, `pass` behind it, `expected` averages over the orders.

    Returns:
        0 or 1 per query, or a probability with `expected`.

    Raises:
        ValueError: NaN, k < 1, an index outside, or a diagonal that does not exist.
    """
    matrix = np.asarray(similarity, dtype=np.float64)
    target = _targets(matrix, gold)
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}.")
    own = matrix[np.arange(len(matrix)), target][:, None]
    higher = (matrix > own).sum(axis=1)
    equal = (matrix == own).sum(axis=1) - 1
    if ties == "fail":
        return (higher + equal < k).astype(float)
    if ties == "pass":
        return (higher < k).astype(float)
    return np.clip((k - higher) / (equal + 1), 0.0, 1.0)


def accuracy_at_k(similarity: Any, k: int = 1, gold: Any = None, ties: Ties = "fail") -> float:
    """Share of the queries whose candidate is among the top k, in [0, 1]; arguments as :func:`hits`."""
    return float(hits(similarity, k, gold, ties).mean())


def _targets(matrix: np.ndarray, gold: Any) -> Int[np.ndarray, " n"]:
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f"Expected a non-empty matrix [queries, candidates], got shape {matrix.shape}.")
    if np.isnan(matrix).any():
        raise ValueError("The similarity matrix holds NaN.")
    target = np.arange(len(matrix)) if gold is None else np.asarray(gold, dtype=int)
    if target.shape != (len(matrix),) or target.min() < 0 or target.max() >= matrix.shape[1]:
        raise ValueError(f"{len(matrix)} queries need one index each into {matrix.shape[1]} candidates.")
    return target
