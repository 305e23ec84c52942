"""The tiny world: names of emoji in 14 languages (CLDR) are synsets, and six of the languages have constraints.

A concept is a synset, its names are the synonyms. Tested are concepts with a single English word. Whatever contains a
name of theirs as a whole, in any language ("guitar" in "guitarra eléctrica"), is not trained on; a quarter of them is
for development alone. The vocabulary that is searched are all names of a language.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from core import corpora
from core.text.normalize import fold
from core.worlds import messages
from core.worlds.base import Item, in_part
from papers.lexical_specialization.inputs import Constraint

Part = Literal["test", "dev"]
SEEN = ("en", "de", "es", "ru", "zh", "ar")
UNSEEN = ("tr", "ko", "fa", "it", "fr", "pt", "ja", "id")
LANGUAGES = (*SEEN, *UNSEEN)
DEV = 0.25
"""Share of the testable concepts that is for development."""


@cache
def names() -> dict[str, dict[str, str]]:
    """`{emoji: {language: name}}` of those of one character that all languages name otherwise than any other one."""
    rows = corpora.load("emoji", languages=[*LANGUAGES[1:]], distinct=True)
    single = (row for row in rows if len(row["key"].rstrip("\N{VARIATION SELECTOR-16}")) == 1)  # no flags
    return {row["key"]: {code: row[code] for code in LANGUAGES} for row in single}


def held_out(part: Part, size: int, seed: int) -> list[str]:
    """The concepts that are tested: a sample of those with a single English word."""
    testable = [key for key, name in names().items() if re.fullmatch(r"[^\W\d]+", name["en"])]
    testable.sort(key=lambda key: blake2b(key.encode(), digest_size=8).digest())
    dev = round(DEV * len(testable))
    pool = testable[:dev] if part == "dev" else testable[dev:]
    return random.Random(seed).sample(pool, min(size, len(pool)))


def constraints(
    part: Part, tested: int, seed: int, *, number: int, languages: Sequence[str] = SEEN
) -> list[Constraint]:
    """Constraints, each of a concept of its own and of two languages; both glosses are English.

    Args:
        part: Which items are tested.
        tested: How many of them.
        seed: Which concepts and languages.
        number: At most so many.
        languages: Two or more; the n-th is drawn in proportion to 1 / n, since resources are skewed.
    """
    rng = random.Random(seed)
    held = {*held_out(part, tested, seed), *held_out("dev", len(names()), 0)}
    words = {code: {fold(names()[key][code]) for key in held} for code in LANGUAGES}
    concepts = [key for key, name in names().items() if key not in held and not _contains(name, words)]
    rows = []
    for key in rng.sample(concepts, min(number, len(concepts))):
        # Two by weight, without replacement (Efraimidis and Spirakis 2006).
        place = {code: rng.random() ** rank for rank, code in enumerate(languages, start=1)}
        left, right = sorted(languages, key=place.__getitem__)[-2:]
        # The character's name in the Unicode standard; the English one of those that are too new for this Python.
        gloss = unicodedata.name(key[0], names()[key]["en"]).lower()
        rows.append(Constraint(key, names()[key][left], left, names()[key][right], right, gloss, gloss))
    return rows


def _contains(name: Mapping[str, str], words: Mapping[str, set[str]]) -> bool:
    for code, text in name.items():
        if code in ("zh", "ja"):  # no spaces: any part of two characters or more
            parts, glue, least = list(fold(text)), "", 2
        else:
            parts, glue, least = re.findall(r"\w+", fold(text)), " ", 1
        runs = (glue.join(parts[i:j]) for i in range(len(parts)) for j in range(i + least, len(parts) + 1))
        if not words[code].isdisjoint(runs):
            return True
    return False


def places(size: int, seed: int) -> dict[str, dict[str, str]]:
    """A second lexicon, of another domain: names of territories and languages, `{code: {language: name}}`."""
    rows = corpora.load("cldr", languages=LANGUAGES[1:], kinds=("territory", "language"), distinct=True)
    chosen = random.Random(seed).sample(list(rows), min(size, len(rows)))
    return {row["key"]: {code: row[code] for code in LANGUAGES} for row in chosen}


def sentences(part: Part, size: int, seed: int) -> dict[str, list[str]]:
    """Interface messages that all languages have, aligned."""
    columns: dict[str, dict[str, Item]] = {}
    for code in LANGUAGES:
        found = messages.translations([{"zh": "zh-Hans"}.get(code, code)], max_chars=60)
        columns[code] = {item.id.partition("/")[2]: item for item in found}
    english = list(columns["en"].values())
    shared = [item for key, item in columns["en"].items() if all(key in column for column in columns.values())]
    chosen = messages.sample(in_part(shared, english, part, {"dev": 0.3, "test": 0.7}), size, seed)
    keys = [item.id.partition("/")[2] for item in chosen]
    return {code: [column[key].answer for key in keys] for code, column in columns.items()}


@cache
def texts() -> list[str]:
    """Everything that is read at the tiny scale, for a vocabulary without the rest."""
    found = {text for table in (names(), places(10**6, 0)) for name in table.values() for text in name.values()}
    found |= {unicodedata.name(key[0], "").lower() for key in names()}
    for part in ("test", "dev"):
        found |= {text for column in sentences(part, 10**6, 0).values() for text in column}
    return sorted(found - {""})


def toy(folder: Path) -> None:
    """Save a small untrained encoder whose tokenizer knows some of the names."""
    from core.models.scratch import masked_lm

    some = list(names().values())[:60]
    model, tokenizer = masked_lm([text for name in some for text in name.values()], pieces=1200)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
