"""Retrieval of translations among sentence vectors: SR-B, SR-T, Tatoeba, interface messages.

    found = retrieve(encoder, {"ru": Pairs(english, russian)}, k=(1, 5, 10))
    found["ru"].forward[1]                      # 1.0 or 0.0 for every English query
    found["ru"].accuracy(10), found["ru"].accuracy(10, "backward")

`forward` asks with the first side and searches the second. Similarity is the cosine, the search is exact, and of
candidates with equal similarity the right one counts as the last: vectors that have collapsed find nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from core.metrics.retrieval import cosine_similarity, hits
from core.text.distance import shared_trigrams

Direction = Literal["forward", "backward"]
Encode = Callable[[Sequence[str]], Any]
"""Texts -> vectors [text, width]; a :class:`core.models.embedding.Encoder` is one."""


class Pairs(NamedTuple):
    """Aligned sentences: the i-th query means what the i-th candidate means."""

    queries: Sequence[str]
    candidates: Sequence[str]


class Found(NamedTuple):
    """For each k, whether the translation of each sentence is among the k nearest (1.0 or 0.0), in both directions."""

    forward: dict[int, list[float]]
    backward: dict[int, list[float]]

    def accuracy(self, k: int = 1, direction: Direction = "forward") -> float:
        """Share of the sentences whose translation is found, in [0, 1]."""
        return statistics.fmean(getattr(self, direction)[k])

    def mutual(self) -> list[float]:
        """1.0 for the pairs that are each other's nearest."""
        return [a * b for a, b in zip(self.forward[1], self.backward[1], strict=True)]


def retrieve(encode: Encode, sets: Mapping[str, Pairs], k: Sequence[int] = (1,)) -> dict[str, Found]:
    """Search every set of pairs; every text is encoded once, in however many sets it stands.

    Args:
        encode: The encoder, or any function from texts to vectors.
        sets: Aligned sentences by name (a language, a language and a script).
        k: How many candidates are looked at.
    """
    texts = list(dict.fromkeys(text for pairs in sets.values() for side in pairs for text in side))
    vectors = encode(texts)
    vectors = np.asarray(getattr(vectors, "vectors", vectors), dtype=np.float64)
    place = {text: index for index, text in enumerate(texts)}
    found = {}
    for name, pairs in sets.items():
        left, right = (vectors[[place[text] for text in side]] for side in pairs)
        found[name] = ranked(cosine_similarity(left, right), k)
    return found


def ranked(similarity: Any, k: Sequence[int] = (1,)) -> Found:
    """What a square matrix [query, candidate] finds in both directions."""
    matrix = np.asarray(similarity, dtype=np.float64)
    return Found({n: hits(matrix, n).tolist() for n in k}, {n: hits(matrix.T, n).tolist() for n in k})


def trivial(pairs: Pairs) -> dict[str, float]:
    """Accuracy@1 (forward, ties at their expectation) of solvers that understand nothing.

    `length` takes the candidate whose number of characters fits best, after the sides' mean ratio; `overlap` the one
    that shares most character trigrams (names, numbers, cognates; Dice coefficient).
    """
    left, right = (np.array([len(text) for text in side], dtype=float) for side in pairs)
    by_length = -np.abs(left[:, None] * (right.sum() / left.sum()) - right[None, :])
    return {
        name: float(hits(matrix, 1, ties="expected").mean())
        for name, matrix in (("length", by_length), ("overlap", shared_trigrams(*pairs)))
    }
