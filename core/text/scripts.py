"""Unicode scripts: which one a text is written in, and which language that leaves possible.

dominant_script("Привет, world!")                   # 'Cyrl'
identify("これはペンです。", ["zh-Hans", "ja", "ko"])   # 'ja'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache

from fontTools import unicodedata as scripts

from core.text.languages import language

# Scripts of BCP-47 that are mixtures or varieties of Unicode's.
_COMPOSED = {
    "Hans": ("Hani",),
    "Hant": ("Hani",),
    "Jpan": ("Hira", "Kana", "Hani"),
    "Kore": ("Hang", "Hani"),
    "Hrkt": ("Hira", "Kana"),
}
# The kana tell Japanese from Chinese, hangul tells Korean: a text of such a language has at least this share of them.
_MARKING = {"Jpan": (("Hira", "Kana"), 0.05), "Kore": (("Hang",), 0.3)}
_NEUTRAL = ("Zyyy", "Zinh", "Zzzz")


@lru_cache(maxsize=1 << 16)
def script_of(character: str) -> str:
    """ISO 15924 code of a character's script; `Zyyy` for digits, punctuation, symbols and combining marks."""
    code = scripts.script(character)
    return "Zyyy" if code in _NEUTRAL else code


def script_counts(text: str) -> Counter[str]:
    """Number of characters by script; digits, punctuation, spaces and combining marks are not counted."""
    counts = Counter(map(script_of, text))
    del counts["Zyyy"]
    return counts


def dominant_script(text: str) -> str | None:
    """The most frequent script of a text; None when it has no letter. Japanese and Korean count as one script each."""
    counts = script_counts(text)
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
    counts = script_counts(text)
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
    dominant = dominant_script(text)
    if dominant is None:
        return None
    fitting = [
        code for code in dict.fromkeys(candidates) if in_script_share(text, code) >= minimum and _marked(dominant, code)
    ]
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    scores = {code: _mean_frequency(text, code) for code in fitting}
    if any(score is None for score in scores.values()):
        return None
    first, second = sorted(scores, key=lambda code: -(scores[code] or 0.0))[:2]
    return first if scores[first] != scores[second] else None


def _marked(dominant: str, code: str) -> bool:
    """Kana rule out Chinese, and their absence rules out Japanese."""
    script = language(code).script
    return script == dominant if dominant in _MARKING or script in _MARKING else True


def _mean_frequency(text: str, code: str) -> float | None:
    from wordfreq import available_languages, zipf_frequency

    from core.text.segment import words

    base = language(code).bcp47.split("-")[0]
    if base not in available_languages("small") and base not in ("hr", "sr", "bs"):
        return None
    found = words(text)
    return sum(zipf_frequency(word, base, wordlist="small") for word in found) / len(found) if found else None
