"""Normalisation of text before it is compared.

Arabic spelling varies in ways that a reader does not notice: vowel marks, the lengthening stroke, the seat of the
hamza, ta marbuta. A string metric does notice, so both sides are normalised before scoring.
"""

from __future__ import annotations

import re
import unicodedata

_SPACE = re.compile(r"\s+")
# Vowel marks U+064B-U+0652, further signs to U+065F, dagger alif, Quranic annotation, lengthening stroke (tatweel).
_ARABIC_MARKS = re.compile(
    "[\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u08d3-\u08ff\u0640]"
)
_ALIF = re.compile("[أإآٱ]")
_DIGITS = {ord(digit): str(unicodedata.digit(digit)) for digit in "٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९০১২৩৪৫৬৭৮৯"}


def strip_arabic_marks(text: str) -> str:
    """Arabic without vowel marks and tatweel."""
    return _ARABIC_MARKS.sub("", text)


def normalize_arabic(text: str, *, letters: bool = True, digits: bool = True) -> str:
    """Arabic (and Persian, Urdu) in the form in which it is scored.

    Args:
        text: Any text; other scripts pass unchanged but for NFKC.
        letters: Unify what spelling confuses: أ إ آ ٱ to ا, ى to ي, ة to ه, ؤ to و, ئ to ي, Persian ک and ی to ك and ي.
        digits: Write Arabic-Indic and Persian digits as 0-9.
    """
    text = strip_arabic_marks(unicodedata.normalize("NFKC", text))
    if letters:
        text = _ALIF.sub("ا", text).translate(str.maketrans("ىةؤئکی", "يهويكي"))
    return text.translate(_DIGITS) if digits else text


def fold(text: str) -> str:
    """Case, compatibility forms, digits and white space folded; what a reader would call the same string."""
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", text).casefold().translate(_DIGITS)).strip()


def strip_punctuation(text: str, replacement: str = " ") -> str:
    """Text with the punctuation and symbols of any script (Unicode categories P and S) replaced."""
    return "".join(replacement if unicodedata.category(character)[0] in "PS" else character for character in text)
