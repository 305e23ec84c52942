"""Normalisation of text before it is compared.

Arabic spelling varies in ways that a reader does not notice: vowel marks, the lengthening stroke, the seat of the
hamza, ta marbuta. A string metric does notice, so both sides are normalised before scoring. Characters are classed by
their Unicode properties, never by lists, so that every script is treated alike.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import regex

from core.text.languages import language as lookup

_SPACE = regex.compile(r"\s+")
# Vowel marks and Quranic annotation of any Arabic block, the lengthening stroke (tatweel), small waw and yeh.
_ARABIC_MARKS = regex.compile(r"(?V1)[[\p{Mn}&&\p{Script_Extensions=Arabic}]\u0640\u06e5\u06e6]")
_ALIF = regex.compile("[أإآٱ]")
_DIGIT = regex.compile(r"\p{Nd}")
_IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}+")
# A dot above an i that has one already, with what may stand between (SpecialCasing.txt, After_Soft_Dotted).
_SECOND_DOT = regex.compile(r"(?<=\p{Soft_Dotted}(?:(?!\p{ccc=230})\p{M})*)\u0307+")
# The languages whose Latin alphabet has i without a dot (CaseFolding.txt, status T, "for Turkic languages").
_DOTLESS = frozenset({"tr", "az", "crh", "gag", "kaa", "kk", "tt"})


def strip_arabic_marks(text: str) -> str:
    """Arabic without vowel marks and tatweel, composed (NFC): a hamza or madda that belongs to its letter stays."""
    return _ARABIC_MARKS.sub("", unicodedata.normalize("NFC", text))


def normalize_arabic(text: str, *, letters: bool = True, digits: bool = True) -> str:
    """Arabic (and Persian, Urdu) in the form in which it is scored.

    Args:
        text: Any text; other scripts pass unchanged but for NFKC and digits.
        letters: Unify what spelling confuses: أ إ آ ٱ to ا, ى to ي, ة to ه, ؤ to و, ئ to ي, Persian ک and ی to ك and ي.
        digits: Write the decimal digits of every script as 0-9.
    """
    text = strip_arabic_marks(unicodedata.normalize("NFKC", text))
    if letters:
        text = _ALIF.sub("ا", text).translate(str.maketrans("ىةؤئکی", "يهويكي"))
    return ascii_digits(text) if digits else text


@cache
def _digit(character: str) -> str:
    return next(str(value) for value in range(10) if regex.match(rf"\p{{Numeric_Value={value}}}", character))


def ascii_digits(text: str) -> str:
    """Text with the decimal digits of every script (Unicode category Nd) as 0-9."""
    return text if text.isascii() else _DIGIT.sub(lambda match: _digit(match[0]), text)


def fold(text: str, language: str | None = None) -> str:
    """Case, compatibility forms, digits, invisible characters and white space folded: what reads as the same string.

    Unicode's NFKC_Casefold, with the digits of every script as 0-9.

    Args:
        text: Any text.
        language: Its language, where that has a casing of its own: the i of Turkish and its relatives with and without
            dot, capitals of Greek without accent.

    Raises:
        UserError: unknown language.
    """
    text = unicodedata.normalize("NFD", _IGNORABLE.sub("", text))
    known = lookup(language) if language else None
    base = known.bcp47.split("-")[0] if known else ""
    if known and base in _DOTLESS and known.script == "Latn":
        text = text.replace("I\u0307", "i").replace("I", "ı")
    elif base == "el":
        text = text.replace("\u0301", "")
    text = text.casefold()
    for _ in range(2):  # a compatibility form may hold capitals, and case folding may undo a composition
        text = unicodedata.normalize("NFKC", text).casefold()
    text = _SECOND_DOT.sub("", unicodedata.normalize("NFD", text))
    return _SPACE.sub(" ", ascii_digits(unicodedata.normalize("NFKC", text))).strip()


def strip_punctuation(text: str, replacement: str = " ") -> str:
    """Text with the punctuation and symbols of any script (Unicode categories P and S) replaced."""
    return regex.sub(r"[\p{P}\p{S}]", replacement, text)
