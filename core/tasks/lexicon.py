"""Bilingual lexicon induction: the nearest words of another language, in vocabularies of any size.

    space = Space(target_vectors, source_vectors)               # CSLS; Space(target_vectors) = cosine
    space.nearest(queries, 10)                                  # places and scores of the ten best words
    ranks = space.ranks(queries, [{3}, {7, 9}])                 # rank of the best right answer of each query
    precision(ranks, 5), reciprocal(ranks)                      # a value for each query; their means are P@5 and MRR
    induce(vectors, synsets, ["de", "tr"], ["en", "ko"])        # every direction between languages, by source language
    agreement(left, right, ratings)                             # with people, on how similar two words are
    known = look_up(pairs, english, sinhala)     # translations of each word, and the coverage

Cosine favours hubs, words that are near to everything. CSLS (Conneau et al. 2018) takes off how near both words are to
the other language as such:

    CSLS(x, y) = 2 cos(x, y) - r_t(x) - r_s(y),   r_t(x) = mean cosine of x to its k nearest target words,

and r_s(y) likewise over *all* source words, not only those that are asked for. What is asked for is a word of the
source language, so a query with several right answers counts once.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from core.errors import UserError
from core.metrics.correlations import spearman
from core.metrics.retrieval import hits
from core.text.distance import edit_distance, shared_trigrams
from core.text.romanize import Romanizer, resolve

Pair = tuple[str, str]
"""A word and one of its translations."""
CHUNK = 1024
"""Queries that are compared with a whole vocabulary at once, if it is small enough."""
SCORES = 1 << 27
"""Scores that are held at once (0.5 GB): of 200,000 words, those of 671 queries."""


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
        for scores in self._scores(queries):
            right = [(row, place) for row, places in enumerate(gold[len(found) :][: len(scores)]) for place in places]
            rows, places = torch.tensor(right, device=scores.device).T
            best = scores.new_full((len(scores),), -torch.inf).scatter_reduce(0, rows, scores[rows, places], "amax")
            scores[rows, places] = -torch.inf
            found += ((scores >= best[:, None]).sum(1) + 1).tolist()
        return found

    def _scores(self, queries: Any) -> Iterator[Float[Tensor, "chunk word"]]:
        for part in chunks(queries, len(self.targets)):
            cosine = _unit(part).to(self.targets) @ self.targets.T
            if self.hubs is None:
                yield cosine
            else:
                yield 2 * cosine - _mean_of_top(cosine, self.k)[:, None] - self.hubs


def hubness(words: Float[Any, "word width"], others: Float[Any, "other width"], k: int = 10) -> Float[Tensor, " word"]:
    """Mean cosine of each word to its k nearest words of the other language: r of CSLS."""
    near = _unit(words)
    far = _unit(others).to(near)
    return torch.cat([_mean_of_top(part @ far.T, k) for part in chunks(near, len(far))])


def chunks(queries: Any, words: int) -> Iterator[Any]:
    """Queries in parts whose scores against so many words are held at once."""
    size = max(1, min(CHUNK, SCORES // max(1, words)))
    return (queries[start : start + size] for start in range(0, len(queries), size))


class Known(NamedTuple):
    """What two vocabularies know of a dictionary: places of the translations by the place of each source word, in the
    order of the dictionary; and the share of its source words that are there.
    """

    places: dict[int, list[int]]
    coverage: float


def look_up(pairs: Iterable[Pair], source: Sequence[str], target: Sequence[str]) -> Known:
    """Places of the pairs whose words are in the vocabularies; words are compared as they are written."""
    left, right = ({word: place for place, word in enumerate(words)} for words in (source, target))
    places: dict[int, list[int]] = {}
    asked = set()
    for one, other in pairs:
        asked.add(one)
        if one in left and other in right:
            places.setdefault(left[one], []).append(right[other])
    return Known(places, len(places) / max(1, len(asked)))


class Built(NamedTuple):
    """Dictionaries that share no source word, but for `full`: all that is not for the test."""

    train: list[Pair]
    test: list[Pair]
    full: list[Pair]


def build_dictionaries(
    pairs: Iterable[Pair],
    source: Sequence[str],
    target: Sequence[str],
    *,
    train: int = 5000,
    test: int = 1500,
    most: int = 5,
) -> Built:
    """Training and test dictionaries as MUSE has them: frequent source words to learn from, rarer ones to test on.

    Args:
        pairs: A raw dictionary.
        source: Source vocabulary, the most frequent words first.
        target: Target vocabulary.
        train: Source words to learn from.
        test: Source words after them.
        most: Translations of a word, the first ones.

    Raises:
        UserError: The vocabularies do not know enough source words.
    """
    rank, known = {word: place for place, word in enumerate(source)}, set(target)
    by_word: dict[str, list[str]] = {}
    for one, other in dict.fromkeys(pairs):
        if one in rank and other in known:
            by_word.setdefault(one, []).append(other)
    words = sorted(by_word, key=rank.__getitem__)
    if len(words) < train + test:
        raise UserError(
            f"{len(words)} source words have a translation that the vocabularies know: ask for fewer than "
            f"{train} to learn from and {test} to test on."
        )
    asked = words[train : train + test]
    parts = [words[:train], asked, words[:train] + words[train + test :]]
    limits = [most, most, None]
    return Built(
        *([(w, t) for w in part for t in by_word[w][:limit]] for part, limit in zip(parts, limits, strict=True))
    )


def aligned(sources: Iterable[str], targets: Iterable[str]) -> list[Pair]:
    """Words of parallel sentences that occur together, those first that do so most exclusively (Dice coefficient)."""
    together: Counter[Pair] = Counter()
    alone: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for source, target in zip(sources, targets, strict=True):
        words = set(source.split()), set(target.split())
        together.update(product(*words))
        for count, found in zip(alone, words, strict=True):
            count.update(found)
    # Not in the order of a set, which differs between processes.
    return sorted(together, key=lambda pair: (-together[pair] / (alone[0][pair[0]] + alone[1][pair[1]]), pair))


def statistics(pairs: Sequence[Pair]) -> dict[str, float]:
    """Size of a dictionary: pairs, different source and target words, targets of a source word."""
    sources, targets = ({pair[side] for pair in pairs} for side in (0, 1))
    return {
        "pairs": len(pairs),
        "source words": len(sources),
        "target words": len(targets),
        "targets of a word": len(pairs) / len(sources) if sources else 0.0,
    }


def apart(pairs: Sequence[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """A dictionary in two parts that share no source word, the second with this share of them, drawn by a seed."""
    words = list(dict.fromkeys(source for source, _ in pairs))
    asked = set(random.Random(seed).sample(words, max(1, round(share * len(words)))))
    return [pair for pair in pairs if pair[0] not in asked], [pair for pair in pairs if pair[0] in asked]


class Letters(NamedTuple):
    """What letters alone say of a word list: whether they translate each word (of n candidates that share as much, one
    in n), and whether more than half of the longer word would have to be changed to make the other.
    """

    right: list[float]
    unlike: list[bool]


def by_letters(words: Sequence[str], others: Sequence[str], romanizer: Romanizer = "uroman") -> Letters:
    """The solver that knows no language: it takes the word that shares most trigrams once it is in Latin letters.

    Args:
        words: What is asked.
        others: Their translations, in this order; all are candidates.
        romanizer: As of :func:`core.text.romanize.resolve`.
    """
    romanize = resolve(romanizer)
    left, right = [romanize(word) for word in words], [romanize(word) for word in others]
    found = hits(shared_trigrams(left, right), 1, ties="expected").tolist()
    distances = [edit_distance(one.lower(), other.lower()) for one, other in zip(left, right, strict=True)]
    longest = [max(len(one), len(other)) for one, other in zip(left, right, strict=True)]
    return Letters(found, [2 * distance > length for distance, length in zip(distances, longest, strict=True)])


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
