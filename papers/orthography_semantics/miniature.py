"""The tiny world: English beside German, Spanish and French, words and glosses of ours.

`false_friends.tsv` has matched triplets: an English word, its false friend and its translation. `cognates.tsv` words
that are alike in form and meaning. A third of both is for development, demonstrations and the mean of equation 1; an
English word is in one part alone, in all languages. `sentences.tsv` has for some false friends a sentence that leaves
their meaning open and one that does not, in each of the two languages.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from core.corpora.files import table_rows
from papers.orthography_semantics.method import Item, similarity, with_negatives

Part = Literal["dev", "test"]
LANGUAGES = ("de", "es", "fr")
HERE = Path(__file__).parent


class Sentence(NamedTuple):
    """A frame with `{}` for the word, in `language`; `level`, low or high, says how far it settles the meaning."""

    key: str
    language: str
    level: str
    text: str


def _part(english: str) -> Part:
    return "dev" if int(hashlib.sha256(english.encode()).hexdigest(), 16) % 3 == 0 else "test"


@cache
def pool(language: str, part: Part) -> tuple[Item, ...]:
    """Items of all four kinds in one language; those of one English word have one key."""
    friends = [row for row in _rows("false_friends") if row["language"] == language and _part(row["english"]) == part]
    found: list[Item] = []
    for row in friends:
        key, english, gloss = f"{language}/{row['english']}", row["english"], row["english_gloss"]
        found.append(Item(key, "false", language, english, gloss, row["other"], row["other_gloss"]))
        found.append(Item(key, "translation", language, english, gloss, row["translation"], gloss))
    for place, row in enumerate(friends):  # the next translation whose form is not like the word's either
        others = [*friends[place + 1 :], *friends[:place]]
        other = next(one for one in others if similarity(row["english"], one["translation"]) < 0.5)
        found.append(
            Item(f"{language}/{row['english']}", "unrelated", language, row["english"], row["english_gloss"],
                 other["translation"], other["english_gloss"])
        )  # fmt: skip
    for row in _rows("cognates"):
        if row[language] and _part(row["english"]) == part:
            key = f"{language}/{row['english']}"
            found.append(Item(key, "cognate", language, row["english"], row["gloss"], row[language], row["gloss"]))
    return tuple(found)


def items(part: Part, size: int, encode: Any) -> dict[str, list[Item]]:
    """By language, the first `size` items of each kind, with wrong definitions chosen among them."""
    chosen = {
        language: [
            one
            for kind in ("cognate", "false", "translation", "unrelated")
            for one in [item for item in pool(language, part) if item.kind == kind][:size]
        ]
        for language in LANGUAGES
    }
    return {language: with_negatives(own, encode) for language, own in chosen.items()}


def sentences(part: Part) -> list[Sentence]:
    """Frames of the false friends of a part, four each."""
    return [
        Sentence(f"{row['language']}/{row['english']}", code, level, row[f"{side}_{level}"])
        for row in _rows("sentences")
        if _part(row["english"]) == part
        for side, code in (("english", "en"), ("other", row["language"]))
        for level in ("low", "high")
    ]


@cache
def _rows(name: str) -> list[dict[str, str]]:
    return [row for _, row in table_rows(HERE / f"{name}.tsv")]


def toy(folder: Path) -> None:
    """Save a small untrained model that spells in bytes, for tests."""
    from core.models.scratch import byte_decoder

    byte_decoder(folder, [row["english_gloss"] for row in _rows("false_friends")])
