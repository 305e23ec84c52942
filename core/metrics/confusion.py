"""Language confusion: does a model answer in the language it should?

Marchisio et al. (EMNLP 2024, section 4): a response passes *by line* when every line of at least five words is in the
expected language, and *by word* when it moreover holds no English word; the second only makes sense where the expected
language is not written in Latin letters. LPR is the share of responses that pass by line; WPR the share of those that
also pass by word; LCPR their harmonic mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache, partial

import langcodes
import regex

from core.errors import UserError
from core.text.languages import name, same_language, word_lists
from core.text.scripts import can_tell_apart, scripts_of_language
from core.text.scripts import identify as identify_by_script
from core.text.segment import words

# Not a part of a longer word such as "préparation" (however its accent is encoded); 这是wonderful的 has one.
_LATIN_WORD = regex.compile(r"(?<![\p{Latin}0-9_]\p{M}*)[a-z]{4,}(?![\p{Latin}\p{M}0-9_])")
# CLDR's distance of languages whose speakers read each other's (da and nb 12, id and ms 14).
_MUTUAL = 20


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
    others: Sequence[str] | None = None,
    minimum_words: int = 5,
    vocabulary: Collection[str] | None = None,
) -> Confusion:
    """Pass rates of responses that should be in one language.

    Args:
        responses: Texts; several lines each are judged line by line.
        expected: Code of the language that they should be in.
        identify: Line -> language code in any spelling (:func:`core.text.languages.same_language` compares), None where
            it does not know; None tells `expected` from `others` by script and word frequencies
            (:func:`core.text.scripts.identify`). The paper uses fastText's 176 languages.
        others: Languages to tell `expected` from when `identify` is None. None takes all that wordfreq counts words of,
            but for those that read each other's and those that cannot be told from `expected`.
        minimum_words: Lines with fewer words are not judged (characters count as words in unspaced scripts).
        vocabulary: English words that must not occur; None takes :func:`english_words`.

    Raises:
        UserError: unknown language; or words alone cannot tell the language from English or from one of `others`, so
            that the rates could not fail or could not succeed.
    """
    recognise = identify or partial(identify_by_script, candidates=[expected, *_others(expected, others)])
    foreign = english_words() if vocabulary is None else vocabulary
    latin = "Latn" in scripts_of_language(expected)
    accuracies: list[float] = []
    clean = 0
    for response in responses:
        lines = [line for line in response.splitlines() if len(words(line)) >= minimum_words]
        if not lines:
            continue
        right = sum(_is(recognise(line), expected) for line in lines)
        accuracies.append(right / len(lines))
        found = {word for line in lines for word in _LATIN_WORD.findall(line)}
        clean += right == len(lines) and found.isdisjoint(foreign)
    passed = sum(accuracy == 1 for accuracy in accuracies)
    judged = len(accuracies)
    by_line = passed / judged if judged else math.nan
    by_word = clean / passed if passed and not latin else math.nan
    both = by_line if math.isnan(by_word) else 2 * by_line * by_word / (by_line + by_word)
    return Confusion(by_line, by_word, both, sum(accuracies) / judged if judged else math.nan, judged)


def _is(found: str | None, expected: str) -> bool:
    return found is not None and same_language(found, expected)


def _others(expected: str, others: Sequence[str] | None) -> list[str]:
    """The languages to tell the expected one from; none that would make the answer the same for any text."""
    chosen = [code for code in (word_lists("small") if others is None else others) if not same_language(code, expected)]
    if others is None:
        pairs = {code: ((code, expected), (expected, code)) for code in chosen}
        chosen = [code for code in chosen if min(langcodes.tag_distance(*pair) for pair in pairs[code]) >= _MUTUAL]
    blind = [code for code in chosen if not can_tell_apart(expected, code)]
    if others is None and "en" not in blind:
        return [code for code in chosen if code not in blind]
    if blind:
        raise UserError(
            f"Words cannot tell {name(expected)} from {name('en' if 'en' in blind else blind[0])}, one of them has no "
            "word list of its own: give `identify`, or other languages as `others`."
        )
    if not chosen:
        raise UserError(f"There is no language to tell {name(expected)} from: name another one in `others`.")
    return chosen
