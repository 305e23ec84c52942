"""Bilingual lexicon induction: the nearest words of another language, in vocabularies of any size.

    space = Space(target_vectors, source_vectors)               # CSLS; Space(target_vectors) = cosine
    space.nearest(queries, 10)                                  # places and scores of the ten best words
    ranks = space.ranks(queries, [{3}, {7, 9}])                 # rank of the best right answer of each query
    precision(ranks, 5), reciprocal(ranks)                      # a value for each query; their means are P@5 and MRR
    induce(vectors, synsets, ["de", "tr"], ["en", "ko"])        # every direction between languages, by source language
    agreement(left, right, ratings)                             # with people, on how similar two words are

Cosine favours hubs, words that are near to everything. CSLS (Conneau et al. 2018) takes off how near both words are to
the other language as such:

    CSLS(x, y) = 2 cos(x, y) - r_t(x) - r_s(y),   r_t(x) = mean cosine of x to its k nearest target words,

and r_s(y) likewise over *all* source words, not only those that are asked for. What is asked for is a word of the
source language, so a query with several right answers counts once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from core.metrics.correlations import spearman

CHUNK = 1024
"""Queries that are compared with a whole vocabulary at once (200,000 words: 0.8 GB)."""


class Nearest(NamedTuple):
    """Places in the target vocabulary, best first, and their cosine or CSLS. Both [query, top]."""

    places: Int[Tensor, "query top"]
    scores: Float[Tensor, "query top"]


class Space:
    """Target words to search.

    Args:
        targets: Vectors of the target vocabulary, [word, width]: an array, a memory-mapped one, or a tensor. They are
            normalised; their device is where the search runs.
        sources: Vectors of the source vocabulary in the same space. Given, the search is by CSLS, else by cosine.
        k: Neighbours over which CSLS takes its means; of a smaller vocabulary, all.
    """

    def __init__(self, targets: Any, sources: Any = None, *, k: int = 10) -> None:
        self.targets, self.k = _unit(targets), k
        self.hubs = None if sources is None else hubness(self.targets, sources, k)

    def nearest(self, queries: Any, top: int) -> Nearest:
        """The best words of each query; all of the vocabulary where it has no `top` words."""
        found = [block.topk(min(top, block.shape[1]), dim=1) for block in self._scores(queries)]
        return Nearest(torch.cat([part.indices for part in found]), torch.cat([part.values for part in found]))

    def ranks(self, queries: Any, gold: Sequence[Collection[int]]) -> list[int]:
        """Rank of the best right answer of each query, from 1; a wrong word with an equal score stands before it.

        Args:
            queries: Vectors, [query, width].
            gold: Places of the right answers in the target vocabulary, at least one for each query.

        Raises:
            ValueError: A query without an answer, or another number of answers than of queries.
        """
        if not all(gold) or len(gold) != len(queries):
            raise ValueError(f"{len(queries)} queries need as many non-empty sets of answers, got {len(gold)}.")
        found: list[int] = []
        for block in self._scores(queries):
            for row in block:
                right = list(gold[len(found)])
                best = row[right].max()
                row[right] = -torch.inf
                found.append(int((row >= best).sum()) + 1)
        return found

    def _scores(self, queries: Any) -> Iterator[Float[Tensor, "chunk word"]]:
        for start in range(0, len(queries), CHUNK):
            cosine = _unit(queries[start : start + CHUNK]).to(self.targets) @ self.targets.T
            if self.hubs is None:
                yield cosine
            else:
                yield 2 * cosine - _mean_of_top(cosine, self.k)[:, None] - self.hubs


def hubness(words: Float[Any, "word width"], others: Float[Any, "other width"], k: int = 10) -> Float[Tensor, " word"]:
    """Mean cosine of each word to its k nearest words of the other language: r of CSLS."""
    near = _unit(words)
    far = _unit(others).to(near)
    return torch.cat([_mean_of_top(near[start : start + CHUNK] @ far.T, k) for start in range(0, len(near), CHUNK)])


def precision(ranks: Sequence[int], k: int = 1) -> list[float]:
    """1.0 for each query with a right answer among its k best words, 0.0 for the others."""
    return [float(rank <= k) for rank in ranks]


def reciprocal(ranks: Sequence[int]) -> list[float]:
    """1 / rank of each query."""
    return [1 / rank for rank in ranks]


def induce(
    vectors: Mapping[str, Any],
    synsets: Mapping[str, Mapping[str, Sequence[int]]],
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    csls: bool = False,
) -> dict[str, float]:
    """Reciprocal rank of the right word, `source/synset`: the mean over the languages asked, and the synset's words.

    Args:
        vectors: Of the whole vocabulary of each language.
        synsets: What is asked for, by name: the rows of its words in each language that has any.
        sources: Languages that ask.
        targets: Languages that are searched; a language does not ask itself.
        csls: By CSLS instead of cosine.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for source, target in ((source, target) for source in sources for target in targets if source != target):
        pairs = [(key, rows[source], rows[target]) for key, rows in synsets.items() if {source, target} <= rows.keys()]
        asked = [(key, row, gold) for key, mine, gold in pairs for row in mine]
        if asked:
            keys, rows, gold = zip(*asked, strict=True)
            space = Space(vectors[target], vectors[source] if csls else None)
            for key, value in zip(keys, reciprocal(space.ranks(vectors[source][list(rows)], gold)), strict=True):
                found[f"{source}/{key}"].append(value)
    return {path: fmean(values) for path, values in found.items()}


def agreement(left: Any, right: Any, ratings: Sequence[float]) -> float:
    """Spearman's correlation between the cosine of two words, [pair, width] each, and how similar people find them."""
    return spearman((_unit(left) * _unit(right)).sum(1).tolist(), ratings)


def _mean_of_top(cosine: Float[Tensor, "row word"], k: int) -> Float[Tensor, " row"]:
    return cosine.topk(min(k, cosine.shape[1]), dim=1).values.mean(1)


def _unit(vectors: Any) -> Float[Tensor, "word width"]:
    return F.normalize(torch.as_tensor(vectors).float(), dim=-1)
