"""How much two words look alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from core.text.romanize import romanize, romanize_all


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


def trigrams(*columns: Sequence[str]) -> list[Float[np.ndarray, "word trigram"]]:
    """Counts of the letter trigrams of words, in Latin letters and lower case, in one space for all columns.

    Their cosines find translations that look or sound alike (names, loans, cognates) without knowing any language. A
    trigram that only one word has is left out.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    latin = [[word.lower() for word in romanize_all(column)] for column in columns]
    count = CountVectorizer(analyzer="char_wb", ngram_range=(3, 3), min_df=2, dtype=np.float32)
    count.fit(word for column in latin for word in column)
    return [count.transform(column).toarray() for column in latin]
