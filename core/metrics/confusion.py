"""Language confusion: does a model answer in the language it should?

Marchisio et al. (EMNLP 2024, section 4): a response passes *by line* when every line of at least five words is in the
expected language, and *by word* when it moreover holds no English word; the second only makes sense where the expected
language is not written in Latin letters. LPR is the share of responses that pass by line; WPR the share of those that
also pass by word; LCPR their harmonic mean.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache, partial

from core.text.scripts import identify as identify_by_script
from core.text.scripts import scripts_of_language
from core.text.segment import words

_LATIN_WORD = re.compile(r"(?<![A-Za-z0-9_])[a-z]{4,}(?![A-Za-z0-9_])")


@dataclass(frozen=True)
class Confusion:
    """Pass rates over the responses that have a line long enough to judge; NaN where there is none.

    Attributes:
        line_pass_rate: LPR, in [0, 1].
        word_pass_rate: WPR, in [0, 1]; NaN for languages in Latin script.
        pass_rate: LCPR, the harmonic mean; LPR alone for languages in Latin script.
        line_accuracy: Mean share of the lines of a response in the expected language.
        judged: Number of responses that were judged.
    """

    line_pass_rate: float
    word_pass_rate: float
    pass_rate: float
    line_accuracy: float
    judged: int


@cache
def english_words() -> frozenset[str]:
    """Lower-case English words of more than three letters that wordfreq counts at least once per million."""
    from wordfreq import iter_wordlist, zipf_frequency

    return frozenset(
        word
        for word in iter_wordlist("en", wordlist="small")
        if word.isascii() and word.isalpha() and len(word) > 3 and zipf_frequency(word, "en", wordlist="small") >= 3
    )


def language_confusion(
    responses: Sequence[str],
    expected: str,
    *,
    identify: Callable[[str], str | None] | None = None,
    others: Sequence[str] = ("en",),
    minimum_words: int = 5,
    vocabulary: Collection[str] | None = None,
) -> Confusion:
    """Pass rates of responses that should be in one language.

    Args:
        responses: Texts; several lines each are judged line by line.
        expected: Code of the language that they should be in.
        identify: Line -> language code; None tells `expected` from `others` by script and word frequencies
            (:func:`core.text.scripts.identify`). The paper uses fastText's 176 languages.
        others: Languages to tell `expected` from when `identify` is None.
        minimum_words: Lines with fewer words are not judged (characters count as words in unspaced scripts).
        vocabulary: English words that must not occur; None takes :func:`english_words`.
    """
    recognise = identify or partial(identify_by_script, candidates=[expected, *others])
    foreign = english_words() if vocabulary is None else vocabulary
    latin = "Latn" in scripts_of_language(expected)
    accuracies: list[float] = []
    clean = 0
    for response in responses:
        lines = [line for line in response.splitlines() if len(words(line)) >= minimum_words]
        if not lines:
            continue
        right = sum(recognise(line) == expected for line in lines)
        accuracies.append(right / len(lines))
        found = {word for line in lines for word in _LATIN_WORD.findall(line)}
        clean += right == len(lines) and found.isdisjoint(foreign)
    passed = sum(accuracy == 1 for accuracy in accuracies)
    judged = len(accuracies)
    by_line = passed / judged if judged else math.nan
    by_word = clean / passed if passed and not latin else math.nan
    both = by_line if math.isnan(by_word) else 2 * by_line * by_word / (by_line + by_word)
    return Confusion(by_line, by_word, both, sum(accuracies) / judged if judged else math.nan, judged)
