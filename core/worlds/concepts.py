"""A dictionary of concepts in 14 languages: names of emoji (CLDR).

    names()["🎸"]                               # {"en": "guitar", "de": "gitarre", "ru": "гитара", "zh": "吉他", ...}
    tested = held_out("test", 150, seed=0)      # concepts with a single English word; a quarter is for development
    apart(tested)                               # concepts none of whose names contains a name of a tested one

A name is unique in its language. Names of several words share words ("cat", "cat face", "grinning cat"), so what is
trained on has to be apart from what is tested in every language, not only another concept.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Collection, Mapping
from functools import cache
from hashlib import blake2b
from typing import Literal

from core import corpora
from core.text.normalize import fold
from core.text.segment import is_unspaced

LANGUAGES = ("en", "de", "es", "ru", "zh", "ar", "tr", "ko", "fa", "it", "fr", "pt", "ja", "id")
DEV = 0.25
"""Share of the concepts that can be tested which is for development."""


@cache
def names() -> dict[str, dict[str, str]]:
    """`{emoji: {language: name}}` of those of one character, which leaves out flags and variants; about 1,400."""
    rows = corpora.load("emoji", languages=LANGUAGES[1:], distinct=True)
    single = (row for row in rows if len(row["key"].rstrip("\N{VARIATION SELECTOR-16}")) == 1)
    return {row["key"]: {code: row[code] for code in LANGUAGES} for row in single}


def gloss(concept: str) -> str:
    """What the Unicode standard calls the character, in English; its name where this Python does not know it yet."""
    return unicodedata.name(concept[0], names()[concept]["en"]).lower()


def held_out(part: Literal["test", "dev"], size: int, seed: int) -> list[str]:
    """A sample of the concepts of a part, all of them if there are fewer; each has a single English word."""
    testable = [key for key, name in names().items() if re.fullmatch(r"[^\W\d]+", name["en"])]
    testable.sort(key=lambda key: blake2b(key.encode(), digest_size=8).digest())
    dev = round(DEV * len(testable))
    pool = testable[:dev] if part == "dev" else testable[dev:]
    return random.Random(seed).sample(pool, min(size, len(pool)))


def apart(tested: Collection[str]) -> list[str]:
    """The other concepts, none for development, whose names and gloss contain no name of these or of those for it.

    A name is contained where its words are, in any of the languages; where words are not spaced, where its characters
    are, two at least.
    """
    return list(_apart(frozenset(tested)))


@cache
def _apart(tested: frozenset[str]) -> tuple[str, ...]:
    held = {*tested, *held_out("dev", len(names()), 0)}
    words = {code: {fold(names()[key][code]) for key in held} for code in LANGUAGES}
    others = {key: [name, {"en": gloss(key)}] for key, name in names().items() if key not in held}
    return tuple(key for key, texts in others.items() if not any(_contains(text, words) for text in texts))


def _contains(name: Mapping[str, str], words: Mapping[str, set[str]]) -> bool:
    for code, text in name.items():
        if is_unspaced(code):
            parts, glue, least = list(fold(text)), "", 2
        else:
            parts, glue, least = re.findall(r"\w+", fold(text)), " ", 1
        runs = (glue.join(parts[i:j]) for i in range(len(parts)) for j in range(i + least, len(parts) + 1))
        if not words[code].isdisjoint(runs):
            return True
    return False
