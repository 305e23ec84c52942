"""The tiny world: narrations in English, letter by letter, and in Arabic as a language that is no clone.

Books of narrations are read or held out whole, and a narration that stands in two books is left out, so that nothing
that is measured has been read. Held-out text is its own parallel text: a window of it is rendered in both languages.
"""

from __future__ import annotations

import re
from functools import cache, partial
from random import Random
from typing import Any

from papers.cloned_languages.config import Config
from papers.cloned_languages.data import Texts

BOOKS = 8
"""Books held out for test, and as many for dev; of each at most `LETTERS` characters are measured."""
LETTERS = 4000
LEAST, MOST = 30, 250
"""Narrations of a book that may be held out: of the smaller ones there is too little, of the larger ones too much."""
# What is taken out; in Arabic with it the vowel signs, which are characters of their own.
_OTHER = {"en": re.compile(r"[^a-z ,.:;?'()-]+"), "ar": re.compile(r"[^\u0621-\u063a\u0641-\u064a ،.:؟-]+")}


@cache
def books() -> dict[str, list[dict[str, str]]]:
    """Narrations by book in both languages, in the characters that are kept; what two books share is in neither."""
    from core import corpora

    home: dict[str, set[str]] = {}
    rows: list[dict[str, Any]] = []
    for row in corpora.load("narrations", narrator=False).to_list():
        texts = {code: cleaned(row[code], code) for code in _OTHER}
        if min(map(len, texts.values())) < 20:
            continue
        rows.append({"book": row["chapter"], **texts})
        for text in texts.values():
            home.setdefault(text, set()).add(row["chapter"])
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        if all(len(home[row[code]]) == 1 for code in _OTHER):
            found.setdefault(row["book"], []).append({code: row[code] for code in _OTHER})
    return found


def cleaned(text: str, code: str) -> str:
    """Lower case, no vowel signs, few punctuation marks, one blank between words."""
    return " ".join(_OTHER[code].sub("", text.lower()).split())


def texts(config: Config) -> Texts:
    """What a seed reads and what it is measured on."""
    known = books()
    fit = sorted(name for name, rows in known.items() if LEAST <= len(rows) <= MOST)
    Random(f"books-{config.seed}").shuffle(fit)
    held = {"test": fit[:BOOKS], "dev": fit[BOOKS : 2 * BOOKS]}
    kept = {name for names in held.values() for name in names}
    rows = [row for name, rows in sorted(known.items()) if name not in kept for row in rows]
    Random(f"order-{config.seed}").shuffle(rows)
    measured = {name: known[name] for name in held[config.split]}
    parallel = [(row["en"], row["ar"]) for rows in measured.values() for row in rows]
    return Texts(
        [partial(_column, rows, code) for code in _OTHER],
        [{name: _beginning([row[code] for row in rows]) for name, rows in measured.items()} for code in _OTHER],
        parallel,
    )


def _column(rows: list[dict[str, str]], code: str) -> list[str]:
    return [row[code] for row in rows]


def _beginning(lines: list[str]) -> list[str]:
    found, length = [], 0
    for line in lines:
        if length >= LETTERS:
            break
        found.append(line[: LETTERS - length])
        length += len(found[-1])
    return found


def characters(lines: list[str]) -> Any:
    """A tokenizer whose pieces are the characters of these lines."""
    from tokenizers import Regex, pre_tokenizers

    from core.models.tokenization import word_level

    tokenizer = word_level(sorted(set("".join(lines))), unknown=True)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return tokenizer
