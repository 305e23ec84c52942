"""Sentences and words of text in any script, without a model.

Word boundaries follow Unicode's rules (UAX 29). Chinese, Japanese, Thai, Lao, Khmer, Burmese and Tibetan put no
space between words; there a "word" is one grapheme cluster, which is also how BLEU (`zh`) and multilingual SQuAD
scoring (MLQA, CMRC) cut them.
"""

from __future__ import annotations

import re

import regex

from core.text.languages import language

UNSPACED = frozenset({"Hans", "Hant", "Hani", "Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Lana", "Talu"})
"""Scripts (ISO 15924) that are written without spaces between words."""

_UNSPACED_RUN = r"[\p{Han}\p{Hiragana}\p{Katakana}ー々〆\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
# Either one cluster of an unspaced script, or a word, which may hold apostrophes, hyphens and full stops inside.
_WORD = regex.compile(
    rf"(?={_UNSPACED_RUN})\X|(?:(?!{_UNSPACED_RUN})[\p{{L}}\p{{M}}\p{{N}}_])+(?:['’ʼ·.-](?!{_UNSPACED_RUN})[\p{{L}}\p{{M}}\p{{N}}]+)*"
)
# A sentence ends after its terminator and closing quotes: before space for Latin-like scripts, at once for the
# full-width ones, the danda of Indic scripts, the Arabic question mark, the Ethiopic and Burmese full stops.
_SENTENCE_END = re.compile(
    r"(?<=[。！？｡])[”’」』）)\"']*|(?<=[.!?…؟۔।॥።፧။။])[”’»\"')\]]*\s+",
)
_ABBREVIATION = re.compile(r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|z\.B|d\.h|No|Nr|p|pp|cf)|^\d+)\.$")


def is_unspaced(code: str) -> bool:
    """Whether a language is written without spaces between words."""
    return language(code).script in UNSPACED


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
