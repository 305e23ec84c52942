"""Unicode scripts: how much of a text is written in which.

    dominant_script("Привет, world!")                   # 'Cyrl'

Characters have scripts by the Unicode standard; `core.text.identification` tells languages from them.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cache, lru_cache

from fontTools import unicodedata as scripts

from core.text.languages import language

# Scripts of ISO 15924 that are mixtures or varieties of Unicode's.
_COMPOSED = {
    "Jpan": ("Hira", "Kana", "Hani"), "Hrkt": ("Hira", "Kana"), "Kore": ("Hang", "Hani"), "Jamo": ("Hang",),
    "Hans": ("Hani",), "Hant": ("Hani",), "Hanb": ("Hani", "Bopo"), "Aran": ("Arab",), "Cyrs": ("Cyrl",),
    "Geok": ("Geor",), "Latf": ("Latn",), "Latg": ("Latn",), "Syre": ("Syrc",), "Syrj": ("Syrc",), "Syrn": ("Syrc",),
}  # fmt: skip
_NEUTRAL = ("Zyyy", "Zinh", "Zzzz")
# The kana tell Japanese from Chinese, hangul tells Korean: a text of such a language has at least this share of them.
MARKING = {"Jpan": (("Hira", "Kana"), 0.05), "Kore": (("Hang",), 0.3)}


@lru_cache(maxsize=1 << 16)
def script_of(character: str) -> str:
    """ISO 15924 code of a character's script; `Zyyy` for digits, punctuation, symbols and combining marks."""
    code = scripts.script(character)
    return "Zyyy" if code in _NEUTRAL else code


def script_counts(text: str) -> Counter[str]:
    """Number of characters by script, composed (NFC); digits, punctuation, spaces and combining marks do not count."""
    counts = Counter(map(script_of, unicodedata.normalize("NFC", text)))
    del counts["Zyyy"]
    return counts


def dominant_script(text: str) -> str | None:
    """The most frequent script of a text; None when it has no letter. Japanese and Korean count as one script each."""
    return dominant_of(script_counts(text))


def dominant_of(counts: Counter[str]) -> str | None:
    """The dominant script, from counts by script."""
    if not counts:
        return None
    total = counts.total()
    for script, (marking, share) in MARKING.items():
        inside = sum(counts[part] for part in _COMPOSED[script])
        if 2 * inside > total and sum(counts[part] for part in marking) >= share * inside:
            return script
    return counts.most_common(1)[0][0]


@cache
def scripts_of_language(code: str) -> frozenset[str]:
    """Unicode scripts that a language is written in: `ja` -> Hira, Kana, Hani; `zh-Hans` -> Hani; `fr` -> Latn."""
    script = language(code).script
    return frozenset(_COMPOSED.get(script, (script,)))


def in_script_share(text: str, code: str) -> float:
    """Share of the letters of a text that belong to the scripts of a language; NaN when it has no letter."""
    return share_of(script_counts(text), code)


def share_of(counts: Counter[str], code: str) -> float:
    """Share of a language's own scripts in counts by script; NaN when there are none."""
    own = sum(counts[script] for script in scripts_of_language(code))
    return own / counts.total() if counts else float("nan")
