"""The tiny world: English beside German, Spanish and French, words and glosses of ours.

`false_friends.tsv` has matched triplets: an English word, its false friend and its translation. `cognates.tsv` has
words that are alike in form and meaning. `sentences.tsv` has for some false friends a sentence that leaves their
meaning open and one that does not, in each of the two languages. The column `part` says what is for development,
demonstrations and the mean of equation 1, and what is asked; an English word is in one part alone, in all languages.
A seed draws which words of the part accuracies are of: cognates whose forms are as alike as the false friends'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any, Literal, NamedTuple

from core.corpora.files import table_rows
from papers.orthography_semantics.method import Item, similarity, with_negatives

Part = Literal["dev", "test"]
LANGUAGES = ("de", "es", "fr")
HERE = Path(__file__).parent
DRAWS = 200


class Sentence(NamedTuple):
    """A frame with `{}` for the word, in `language`; `level`, low or high, says how far it settles the meaning."""

    key: str
    language: str
    level: str
    text: str


@cache
def pool(language: str, part: Part) -> tuple[Item, ...]:
    """Items of all four kinds in one language; those of one English word have one key."""
    friends = [row for row in _rows("false_friends", part) if row["language"] == language]
    found: list[Item] = []
    for row in friends:
        key, english, gloss = f"{language}/{row['english']}", row["english"], row["english_gloss"]
        found.append(Item(key, "false", language, english, gloss, row["other"], row["other_gloss"]))
        found.append(Item(key, "translation", language, english, gloss, row["translation"], gloss))
    for row, other in zip(friends, _unrelated(friends), strict=True):
        found.append(
            Item(f"{language}/{row['english']}", "unrelated", language, row["english"], row["english_gloss"],
                 other["translation"], other["english_gloss"])
        )  # fmt: skip
    for row in _rows("cognates", part):
        if row[language]:
            key = f"{language}/{row['english']}"
            found.append(Item(key, "cognate", language, row["english"], row["gloss"], row[language], row["gloss"]))
    return tuple(found)


def _unrelated(friends: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """For each row another one, each once, whose translation is as like this row's English word as its own is, so that
    form does not tell translations from unrelated words; none of like form, nor with a word of its gloss in common."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    alike = np.array([[similarity(row["english"], one["translation"]) for one in friends] for row in friends])
    cost = np.abs(alike - alike.diagonal()[:, None])
    words = [{word for word in row["english_gloss"].split() if len(word) > 3} for row in friends]
    related = np.array([[bool(one & other) for other in words] for one in words])
    cost[related | np.eye(len(friends), dtype=bool) | (alike >= 0.5)] = len(friends)  # more than all others together
    return [friends[place] for place in linear_sum_assignment(cost)[1]]


def items(part: Part, encode: Any, keys: set[str] | None = None) -> list[Item]:
    """Items of a part, all or those with the keys, with wrong definitions chosen among those of the language."""
    own = [[one for one in pool(language, part) if keys is None or one.key in keys] for language in LANGUAGES]
    return [one for group in own for one in with_negatives(group, encode)]


def drawn(part: Part, size: int, seed: int) -> set[str]:
    """Keys that a seed draws: of each language `size` English words with all that belongs to them, and as many
    cognates, of several draws the one whose mean likeness of form is closest to that of the false friends."""
    found = set[str]()
    for language in LANGUAGES:
        every = [one for one in pool(language, part) if one.kind in ("false", "cognate")]
        form = {one.key: similarity(one.english, one.word) for one in every}
        sides = [[one.key for one in every if one.kind == kind] for kind in ("false", "cognate")]
        draw = Random(f"items-{language}-{seed}")
        friends = draw.sample(sides[0], min(size, len(sides[0])))
        goal = fmean(map(form.__getitem__, friends))
        draws = [draw.sample(sides[1], min(size, len(sides[1]))) for _ in range(DRAWS)]
        found.update(friends, min(draws, key=lambda keys: abs(fmean(map(form.__getitem__, keys)) - goal)))
    return found


def sentences(part: Part) -> list[Sentence]:
    """Frames of the false friends of a part, four each."""
    return [
        Sentence(f"{row['language']}/{row['english']}", code, level, row[f"{side}_{level}"])
        for row in _rows("sentences", part)
        for side, code in (("english", "en"), ("other", row["language"]))
        for level in ("low", "high")
    ]


@cache
def _rows(name: str, part: Part) -> list[dict[str, str]]:
    return [row for _, row in table_rows(HERE / f"{name}.tsv") if row["part"] == part]


def toy(answer: str, folder: Path) -> None:
    """Save a small untrained model, for tests: an encoder, or a decoder that spells in bytes."""
    from core.models.scratch import byte_decoder, masked_lm

    lines = [row["english_gloss"] for row in _rows("false_friends", "dev")]
    if answer == "cosine":
        for part in masked_lm(lines, pieces=200):
            part.save_pretrained(folder)
    else:
        byte_decoder(folder, lines)
