"""Constraints at every scale: of the tiny world, as they are published, and every two words of an own synset.

The published form has the columns synsetID, word1, lang1, word2, lang2 and perhaps sent1, sent2 (glosses); own lexicons
are those of :func:`core.corpora.lexicons.read_synsets`.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from core import corpora
from core.corpora.lexicons import Member, read_dictionary, read_synsets
from core.errors import UserError, about
from core.text.languages import match
from papers.lexical_specialization import miniature
from papers.lexical_specialization.config import Config
from papers.lexical_specialization.inputs import Constraint

# Of the official repository: no word of these lexicons is trained on (code).
VALIDATION = (
    "bli_datasets/vulic/th-et/th-et.train.5000.cc.trans",
    "bli_datasets/vulic/ko-ka/ko-ka.train.5000.cc.trans",
    "bli_datasets/glavas/en-it/yacle.train.freq.5k.en-it.tsv",
    "bli_datasets/glavas/de-ru/yacle.train.freq.5k.de-ru.tsv",
)


def constraints(config: Config) -> list[Constraint]:
    """What a configuration trains on.

    Raises:
        UserError: No such data, or none of it is left.
    """
    rng = random.Random(config.seed)
    if config.constraints == "emoji":
        known, number = config.languages or miniature.SEEN, config.number or 10**6
        rows = miniature.constraints(config.split, config.items, config.seed, number=number, languages=known)
    else:
        tested = {word for file in VALIDATION for pair in read_dictionary(Path(config.tests, file)) for word in pair}
        rows = [
            row
            for row in read_constraints(config.constraints)
            if not config.languages or all(match(code, config.languages) for code in (row.lang1, row.lang2))
            if tested.isdisjoint((row.word1, row.word2))
        ]
        rows = rng.sample(rows, config.number) if 0 < config.number < len(rows) else rows
    rows = rows if config.share == 1 else rng.sample(rows, max(2, round(config.share * len(rows))))
    if not rows:
        raise UserError(f"No constraint of {config.constraints} is left for languages {config.languages}: name others.")
    return permuted(rows, config.seed) if config.permuted else rows


def permuted(rows: Sequence[Constraint], seed: int) -> list[Constraint]:
    """The same words in the same languages, every second one from another synset: a null arm."""
    rng, found = random.Random(seed), list(rows)
    by_language: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_language[row.lang2].append(number)
    for numbers in by_language.values():
        order = rng.sample(numbers, len(numbers))
        for taken, given in zip(order, [*order[1:], order[0]], strict=True):
            found[taken] = rows[taken]._replace(word2=rows[given].word2, gloss2=rows[given].gloss2)
    return found


def languages(config: Config) -> tuple[str, ...]:
    """The languages that the data have constraints of, whichever of them an arm takes."""
    if config.constraints == "emoji":
        return miniature.SEEN
    return tuple({code for row in read_constraints(config.constraints) for code in (row.lang1, row.lang2)})


@cache
def read_constraints(source: str) -> list[Constraint]:
    """Constraints of a hub data set or a file, in the published form or as an own lexicon: every two of a synset.

    Raises:
        UserError: It cannot be read, has other columns, or no synset of two words.
    """
    rows = corpora.read_rows(source)
    if "synsetID" in next(iter(rows)):
        return list(corpora.adapted(source, rows, _published))
    synsets: dict[str, list[Member]] = defaultdict(list)
    with about(source):
        for member in read_synsets(source, rows):
            synsets[member.synset].append(member)
    pairs = [pair for members in synsets.values() for pair in combinations(members, 2)]
    if not pairs:
        raise UserError(f"{source} has no synset with two words: give synonyms the same synset.")
    return [Constraint(a.synset, a.word, a.language, b.word, b.language, a.gloss, b.gloss) for a, b in pairs]


def _published(row: Any, number: int) -> Constraint:
    found = [str(row[name]).strip() for name in ("synsetID", "word1", "lang1", "word2", "lang2")]
    if not all(found):
        raise UserError("a word, a language or the synset is empty: leave the row out.")
    return Constraint(*found, *(str(row.get(name) or "").strip() for name in ("sent1", "sent2")))
