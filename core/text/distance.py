"""How much two words look alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from core.text.romanize import romanize


def edit_distance(a: str, b: str) -> int:
    """Levenshtein distance: fewest insertions, deletions and substitutions of characters."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def look_alike(a: str, b: str, threshold: float = 0.5) -> bool:
    """Whether two words, in Latin letters and lower case, have 1 - edit distance / longer length >= threshold.

    Who can read both scripts can tell such a pair from others without knowing either language.
    """
    left, right = romanize(a).lower(), romanize(b).lower()
    return 1 - edit_distance(left, right) / max(len(left), len(right), 1) >= threshold


def shared_trigrams(left: Sequence[str], right: Sequence[str]) -> Float[np.ndarray, "left right"]:
    """How many character trigrams texts share: Dice coefficient in [0, 1]; case does not count, borders of texts do."""
    from scipy.sparse import csr_array

    grams = [[_trigrams(text) for text in side] for side in (left, right)]
    columns = {
        gram: column for column, gram in enumerate(sorted({gram for side in grams for own in side for gram in own}))
    }
    sizes = [np.array([len(own) for own in side]) for side in grams]
    one, other = (
        csr_array(
            (np.ones(size.sum()), [columns[gram] for own in side for gram in own], np.r_[0, size.cumsum()]),
            shape=(len(side), len(columns)),
        )
        for side, size in zip(grams, sizes, strict=True)
    )
    return 2 * (one @ other.T).toarray() / np.add.outer(*sizes)


def _trigrams(text: str) -> frozenset[str]:
    padded = f"  {text.casefold()} "
    return frozenset(padded[start : start + 3] for start in range(len(padded) - 2))
