"""Unicode scripts: which one a text is written in, and which language that leaves possible.

dominant_script("Привет, world!")                   # 'Cyrl'
identify("これはペンです。", ["zh-Hans", "ja", "ko"])   # 'ja'
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache

from fontTools import unicodedata as scripts

from core.text.languages import language, same_language, word_list

# Scripts of ISO 15924 that are mixtures or varieties of Unicode's.
_COMPOSED = {
    "Jpan": ("Hira", "Kana", "Hani"), "Hrkt": ("Hira", "Kana"), "Kore": ("Hang", "Hani"), "Jamo": ("Hang",),
    "Hans": ("Hani",), "Hant": ("Hani",), "Hanb": ("Hani", "Bopo"), "Aran": ("Arab",), "Cyrs": ("Cyrl",),
    "Geok": ("Geor",), "Latf": ("Latn",), "Latg": ("Latn",), "Syre": ("Syrc",), "Syrj": ("Syrc",), "Syrn": ("Syrc",),
}  # fmt: skip
# The kana tell Japanese from Chinese, hangul tells Korean: a text of such a language has at least this share of them.
_MARKING = {"Jpan": (("Hira", "Kana"), 0.05), "Kore": (("Hang",), 0.3)}
_NEUTRAL = ("Zyyy", "Zinh", "Zzzz")


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
    return _dominant(script_counts(text))


def _dominant(counts: Counter[str]) -> str | None:
    if not counts:
        return None
    total = counts.total()
    for script, (marking, share) in _MARKING.items():
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
    return _share(script_counts(text), code)


def _share(counts: Counter[str], code: str) -> float:
    own = sum(counts[script] for script in scripts_of_language(code))
    return own / counts.total() if counts else float("nan")


def identify(text: str, candidates: Sequence[str], minimum: float = 0.5) -> str | None:
    """The candidate language that a text is written in: by script, then by word frequencies.

    A light identifier for telling a handful of known languages apart. Among candidates of the same script it
    compares the mean Zipf frequency of the words (wordfreq), and gives up where a list is missing for one of them.

    Args:
        text: A line or more.
        candidates: Language codes.
        minimum: Smallest share of the letters that must be in the language's script.

    Returns:
        A candidate, or None when no script fits or the words do not decide.
    """
    counts = script_counts(text)
    dominant = _dominant(counts)
    if dominant is None:
        return None
    fitting: list[str] = []
    for code in candidates:
        fits = _share(counts, code) >= minimum and _marked(dominant, code)
        if fits and not any(same_language(code, other) for other in fitting):
            fitting.append(code)
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    lists = {code: word_list(code) for code in fitting}
    if None in lists.values() or len(set(lists.values())) < len(lists):
        return None
    scores = {code: _mean_frequency(text, str(known)) for code, known in lists.items()}
    first, second = sorted(scores, key=lambda code: -scores[code])[:2]
    return first if scores[first] != scores[second] else None


def can_tell_apart(left: str, right: str) -> bool:
    """Whether :func:`identify` can decide between two languages: by their scripts, or by a word list of each."""
    scripts = [language(code).script for code in (left, right)]
    if scripts_of_language(left).isdisjoint(scripts_of_language(right)) or (
        scripts[0] != scripts[1] and not _MARKING.keys().isdisjoint(scripts)
    ):
        return True
    lists = [word_list(code) for code in (left, right)]
    return None not in lists and lists[0] != lists[1]


def _marked(dominant: str, code: str) -> bool:
    """Kana rule out Chinese, and their absence rules out Japanese."""
    script = language(code).script
    return script == dominant if dominant in _MARKING or script in _MARKING else True


def _mean_frequency(text: str, known: str) -> float:
    from core.text.segment import words

    found = words(text)
    return sum(_zipf(word, known) for word in found) / len(found) if found else 0.0


def _zipf(word: str, known: str) -> float:
    from wordfreq import get_frequency_dict, zipf_frequency

    try:
        return zipf_frequency(word, known, wordlist="small")
    except (
        ImportError
    ):  # wordfreq would segment Chinese, Japanese and Korean with packages that are not needed for a word
        frequency = get_frequency_dict(known, "small").get(word, 0)
        return math.log10(frequency) + 9 if frequency else 0.0
