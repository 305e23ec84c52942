"""Sentences and words of text in any script, without a model.

Word boundaries are Unicode's (UAX 29), which keep together what joiners, viramas and other marks join; a hyphen joins
too. Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan and others put no space between words; there a "word" is one
grapheme cluster, which is also how BLEU (`zh`) and multilingual SQuAD scoring (MLQA, CMRC) cut them.
"""

from __future__ import annotations

import re
from functools import cache

import regex

from core.text.scripts import script_of, scripts_of_language

# Unicode breaks lines of such scripts by other means than spaces (UAX 14): at ideographs and kana, with a dictionary
# (SA) or at orthographic syllables (AK, AP, AS). Tibetan spaces its clauses.
_UNSPACED = (
    r"[[\p{L}\p{M}\p{N}]&&[\p{Ideographic}\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}ー\p{Tibetan}"
    r"\p{Line_Break=SA}\p{Line_Break=AK}\p{Line_Break=AP}\p{Line_Break=AS}]]"
)
# One cluster of an unspaced script, or what lies between two word boundaries of UAX 29; hyphens join words.
_PIECE = rf"(?!{_UNSPACED})[\p{{L}}\p{{M}}\p{{N}}_](?s:(?!{_UNSPACED}).)*?(?:\b|(?={_UNSPACED}))"
_WORD = regex.compile(rf"(?V1w)(?={_UNSPACED})\X|{_PIECE}(?:\p{{Hyphen}}{_PIECE})*")
_UNSPACED_LETTER = regex.compile(rf"(?V1){_UNSPACED}")
# A sentence ends after its terminators (Unicode's Sentence_Terminal) and closing quotes: at once after a wide one, else
# before space.
_SENTENCE_END = regex.compile(
    r"(?V1)(?:(?!．\p{Nd})[\p{Sentence_Terminal}&&[\p{East_Asian_Width=W}\p{East_Asian_Width=F}\p{East_Asian_Width=H}]])+"
    r"[\p{Pe}\p{Pf}\"']*|[\p{Sentence_Terminal}…][\p{Pe}\p{Pf}\p{Pi}\"']*\s+"
)
_ABBREVIATION = re.compile(r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|z\.B|d\.h|No|Nr|p|pp|cf)|^\d+)\.$")


@cache
def _unspaced_scripts() -> frozenset[str]:
    letters = regex.findall(rf"(?V1){_UNSPACED}", "".join(map(chr, (*range(0xD800), *range(0xE000, 0x20000)))))
    return frozenset(map(script_of, letters)) - {"Zyyy"}


def is_unspaced(code: str) -> bool:
    """Whether a language is written without spaces between words."""
    return scripts_of_language(code) <= _unspaced_scripts()


def unspaced(text: str) -> bool:
    """Whether a text has letters of a script that puts no spaces between words."""
    return bool(_UNSPACED_LETTER.search(text))


def words(text: str) -> list[str]:
    """Words of a text, without spaces and punctuation; single grapheme clusters where words are not spaced."""
    return _WORD.findall(text)


def graphemes(text: str) -> list[str]:
    """User-perceived characters (extended grapheme clusters)."""
    return regex.findall(r"\X", text)


def sentences(text: str) -> list[str]:
    """Sentences of a text, stripped; line breaks always end one.

    Splits after terminators of all major scripts and after a full stop that is followed by space, except after
    single capitals and common abbreviations. Thai and Lao end sentences with a space alone, which also separates
    phrases, and are therefore split at line breaks only.
    """
    found = []
    for line in text.splitlines():
        start = 0
        for match in _SENTENCE_END.finditer(line):
            piece = line[start : match.end()].strip()
            if not piece or _ABBREVIATION.search(piece):
                continue
            found.append(piece)
            start = match.end()
        if rest := line[start:].strip():
            found.append(rest)
    return found
