"""Texts that change language in the middle, from translations of each other.

code_switched("a red heart, above a blue square", "un cœur rouge, sur un carré bleu")
# a red heart, sur un carré bleu
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

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
