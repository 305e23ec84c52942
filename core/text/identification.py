"""Which language a text is in, of a few that it may be: by its script, and between languages of one by their words.

    identify("これはペンです。", ["zh-Hans", "ja", "ko"])   # 'ja'
    identifier(["sw", "de"])("Guten Morgen.", "sw")         # 'de': Swahili was expected

Words are compared by their frequencies in each language (wordfreq).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

from core.text.languages import language, same_language, word_list
from core.text.scripts import MARKING, dominant_of, script_counts, scripts_of_language, share_of
from core.text.segment import words


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
    dominant = dominant_of(counts)
    if dominant is None:
        return None
    fitting: list[str] = []
    for code in candidates:
        fits = share_of(counts, code) >= minimum and _marked(dominant, code)
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
        scripts[0] != scripts[1] and not MARKING.keys().isdisjoint(scripts)
    ):
        return True
    lists = [word_list(code) for code in (left, right)]
    return None not in lists and lists[0] != lists[1]


def identifier(spoken: Sequence[str]) -> Callable[[str, str], str | None]:
    """An identifier for answers that should be in a language: between that one, English, Chinese and some others.

    Args:
        spoken: Codes of the other languages.

    Returns:
        (text, expected code) -> code; `und` where most letters are in the script of none of them; None where it cannot
        tell, so too for what may be in the expected language where that has no word list of its own.
    """

    @cache
    def candidates(expected: str) -> tuple[list[str], bool]:
        # One pair that words cannot decide between, and nothing would ever be decided.
        chosen, blind = [expected], False
        for code in ("en", "zh", *spoken):
            if not any(same_language(code, other) for other in chosen):
                if all(can_tell_apart(code, other) for other in chosen):
                    chosen.append(code)
                blind |= word_list(code) is not None and not can_tell_apart(code, expected)
        return chosen, blind

    def decide(text: str, expected: str) -> str | None:
        chosen, blind = candidates(expected)
        found, counts = identify(text, chosen), script_counts(text)
        if found == expected:
            return None if blind else found
        strange = counts and all(share_of(counts, code) < 0.5 for code in chosen)
        return "und" if found is None and strange else found

    return decide


def _marked(dominant: str, code: str) -> bool:
    """Kana rule out Chinese, and their absence rules out Japanese."""
    script = language(code).script
    return script == dominant if dominant in MARKING or script in MARKING else True


def _mean_frequency(text: str, known: str) -> float:
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
