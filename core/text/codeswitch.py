"""Texts in two languages: halves of translations of each other, or words replaced from a lexicon.

code_switched("a red heart, above a blue square", "un cœur rouge, sur un carré bleu")
# a red heart, sur un carré bleu

switch = CodeSwitcher({"red": ["rouge"], "heart": ["cœur"]}, alpha=0.5, seed=0)
text, units = switch("a red heart")        # a rouge heart, (Unit(start=1, end=2, translation='rouge'),)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import NamedTuple

# Punctuation that ends a clause: Latin, Arabic and Devanagari before a space, Chinese and Japanese anywhere.
_CLAUSE_END = re.compile(r"[,;:.!?،؛؟](?=\s)|।|[，。；：、]")


def code_switched(first: str, second: str) -> str:
    """The first half of one text and the second half of its translation.

    Each is cut at the end of the clause that is nearest to its middle; without clauses between two words, and where a
    script has no spaces, in the middle.
    """
    return f"{first[: _middle(first)].rstrip()} {second[_middle(second) :].lstrip()}"


def code_switched_texts(texts: Mapping[str, Sequence[str]], reference: str = "en") -> dict[str, dict[str, list[str]]]:
    """By order and other language: `EF` begins in the reference (English first), `ES` ends in it (English second).

    Args:
        texts: Aligned texts by language.
        reference: The language that is mixed with each of the others.
    """
    pairs = {
        code: list(zip(texts[reference], found, strict=True)) for code, found in texts.items() if code != reference
    }
    return {
        "EF": {code: [code_switched(a, b) for a, b in found] for code, found in pairs.items()},
        "ES": {code: [code_switched(b, a) for a, b in found] for code, found in pairs.items()},
    }


def _middle(text: str) -> int:
    for boundary in (_CLAUSE_END, re.compile(r"\s")):
        cuts = [found.end() for found in boundary.finditer(text.rstrip()) if found.end() < len(text.rstrip())]
        if cuts:
            return min(cuts, key=lambda cut: abs(cut - len(text) / 2))
    return len(text) // 2


# --- words from a lexicon ---------------------------------------------------------------------------------------------


class Unit(NamedTuple):
    """Words `start` to `end` of a text, counted between white space, and what they are in the other language."""

    start: int
    end: int
    translation: str


class Switched(NamedTuple):
    """A text in two languages, and the units that were replaced."""

    text: str
    replaced: tuple[Unit, ...]


def replace_units(text: str, units: Iterable[Unit]) -> str:
    """A text with units in the other language; punctuation around them stays.

    Args:
        text: Words between white space.
        units: Of this text, in its order, none in another.
    """
    words, found, end = text.split(), [], 0
    for unit in units:
        before, after = _around(words[unit.start])[0], _around(words[unit.end - 1])[1]
        found += [*words[end : unit.start], f"{before}{unit.translation}{after}"]
        end = unit.end
    return " ".join([*found, *words[end:]])


def switch_units(text: str, units: Sequence[Unit], alpha: float, rng: Random) -> Switched:
    """Each unit is replaced with probability `alpha`, by itself."""
    drawn = tuple(unit for unit in units if rng.random() < alpha)
    return Switched(replace_units(text, drawn), drawn)


class CodeSwitcher:
    """Replaces words and phrases of a text by those of a lexicon, at random.

    The same text is always switched alike; `draw` gives others. Words with digits are never replaced.
    """

    def __init__(self, lexicon: Mapping[str, str | Sequence[str]], alpha: float = 0.5, seed: int = 0) -> None:
        """
        Args:
            lexicon: Words or phrases of the text's language, without regard to case, and one or more translations.
            alpha: Probability that a unit is replaced, in [0, 1].
            seed: Of all draws.
        """
        self.alpha, self.seed = alpha, seed
        self._entries = {
            tuple(_bare(word) for word in source.split()): [target] if isinstance(target, str) else list(target)
            for source, target in lexicon.items()
            if source.split() and not any(map(str.isdigit, source))
        }
        self._longest = max(map(len, self._entries), default=0)

    def units(self, text: str, rng: Random | None = None) -> list[Unit]:
        """What the lexicon knows of a text: from left to right, the longest entry first.

        Args:
            text: Words between white space; a phrase does not go on after punctuation.
            rng: Chooses among several translations; None takes the first.
        """
        words = text.split()
        around, bare = [_around(word) for word in words], [_bare(word) for word in words]
        found, place = [], 0
        while place < len(words):
            for length in range(min(self._longest, len(words) - place), 0, -1):
                inside = range(place, place + length - 1)
                entries = self._entries.get(tuple(bare[place : place + length]))
                if entries and not any(around[word][1] or around[word + 1][0] for word in inside):
                    found.append(Unit(place, place + length, rng.choice(entries) if rng else entries[0]))
                    break
            place = found[-1].end if found and found[-1].start == place else place + 1
        return found

    def __call__(self, text: str, draw: int = 0) -> Switched:
        """The text in two languages; another `draw` is another choice of units and translations."""
        rng = Random(f"{self.seed}/{draw}/{text}")
        return switch_units(text, self.units(text, rng), self.alpha, rng)


def _around(word: str) -> tuple[str, str]:
    """Punctuation before and after a word; a word of punctuation alone is a word."""
    inner = [place for place, character in enumerate(word) if unicodedata.category(character)[0] not in "PS"]
    return (word[: inner[0]], word[inner[-1] + 1 :]) if inner else ("", "")


def _bare(word: str) -> str:
    before, after = _around(word)
    return word[len(before) : len(word) - len(after)].casefold()
