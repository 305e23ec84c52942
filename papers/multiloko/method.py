"""MultiLoKo: what a model knows that matters in a place, and whether it knows it in that place's language alone.

A set of questions is named by where its facts are from and by what it is written in: `german` holds local questions as
they were asked, `german_translated_human_english` the same in English, and `english_translated_human_german` the
English ones in German. With s(X) the mean score of set X (exact match of a short answer), differences of means say

    Gap    = max_L s(L) - min_L s(L)                                          how far languages are apart,        (1)
    MTE(L) = s(L) - s(L translated to English)                                mother-tongue effect,               (2)
    LE(L)  = s(L) - s(English translated to L)                                locality effect,                    (3)

each with twice the standard error over languages. A fact that is at hand in the language in which it is told, and not
in English, gives MTE > 0; with MTE < 0 English is the better way to it. With LE > 0 a translated English benchmark
underestimates a language. With machine in place of human translations they say what the translation does.

    found = diagnose({"german": {"1": 1.0}, "german_translated_human_english": {"1": 0.0}, ...})
    found.parity.gap, found.mother_tongue.mean, found.mother_tongue.by_language["german"]
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal, NamedTuple, get_args

By = Literal["human", "machine"]
TRANSLATORS: tuple[By, ...] = get_args(By)
Scores = Mapping[str, Mapping[str, float]]
"""Of each set the score of every question, by id; 0 to 1."""
PIVOT = "english"


def set_name(source: str, target: str, by: By = "human") -> str:
    """What the questions of `source` are called when they are written in `target`."""
    return source if source == target else f"{source}_translated_{by}_{target}"


def local(scores: Iterable[str]) -> list[str]:
    """Of names of sets those of languages' own questions, which are the languages."""
    return [key for key in scores if "_translated_" not in key]


# --- equation 1: parity -----------------------------------------------------------------------------------------------


class Parity(NamedTuple):
    """How a score is spread over sets. A small gap means little where the average is small."""

    average: float
    twice_error: float
    best: str
    worst: str
    gap: float
    gap_of_equals: float
    """The gap that is to be expected where all have the average, by which questions happen to be asked alone."""


def parity(scores: Scores) -> Parity:
    """Average and gap over all sets that are given; choose them before (the official script averages all of a file).

    Raises:
        ValueError: There is no set, or one without questions.
    """
    means = {key: fmean(values.values()) for key, values in scores.items()}
    best, worst = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    average = fmean(means.values())
    chance = gap_of_equals(average, [len(values) for values in scores.values()])
    return Parity(average, twice_error(list(means.values())), best, worst, means[best] - means[worst], chance)


def twice_error(values: Sequence[float]) -> float:
    """Twice the standard error over languages (n - 1); NaN for a single one."""
    return 2 * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def gap_of_equals(rate: float, sizes: Sequence[int], draws: int = 2000) -> float:
    """Expected gap of sets of so many questions, all answered right at the same rate."""
    import numpy as np

    rng = np.random.default_rng(0)
    means = rng.binomial(sizes, min(1.0, max(0.0, rate)), (draws, len(sizes))) / np.array(sizes)
    return float((means.max(axis=1) - means.min(axis=1)).mean())


# --- equations 2 and 3: where a fact is at hand -----------------------------------------------------------------------


class Effect(NamedTuple):
    """A difference of two means, by language; look at both terms, since nothing minus nothing is no effect."""

    mean: float
    twice_error: float
    by_language: dict[str, tuple[float, float]]
    """The two means of each language; the effect is the first less the second."""


def mother_tongue(scores: Scores, by: By = "human") -> Effect | None:
    """Equation 2, over the languages whose own questions were also asked in English; None without any."""
    return _effect(scores, {code: (code, set_name(code, PIVOT, by)) for code in local(scores) if code != PIVOT})


def locality(scores: Scores, by: By = "human") -> Effect | None:
    """Equation 3, over the languages that were also asked the English questions; None without any."""
    return _effect(scores, {code: (code, set_name(PIVOT, code, by)) for code in local(scores) if code != PIVOT})


def translation(scores: Scores, *, into_pivot: bool = True) -> Effect | None:
    """Human less machine translation of the same questions: into English, or of the English ones into each language."""
    names = {code: (code, PIVOT) if into_pivot else (PIVOT, code) for code in local(scores) if code != PIVOT}
    return _effect(scores, {code: (set_name(*ends), set_name(*ends, "machine")) for code, ends in names.items()})


def _effect(scores: Scores, pairs: Mapping[str, tuple[str, str]]) -> Effect | None:
    found = {
        code: (fmean(scores[one].values()), fmean(scores[other].values()))
        for code, (one, other) in pairs.items()
        if one in scores and other in scores
    }
    if not found:
        return None
    values = [one - other for one, other in found.values()]
    return Effect(fmean(values), twice_error(values), found)


def order(effect: Effect) -> float:
    """Spearman's correlation of languages between the two terms: does the exchange reorder their difficulty?

    The paper does not say which correlation it takes. NaN where one of the terms is the same in all languages.
    """
    from core.metrics.stats import spearman

    one, other = zip(*effect.by_language.values(), strict=True)
    return spearman(one, other)


# --- the same questions in two languages ------------------------------------------------------------------------------


class Consistency(NamedTuple):
    """How far the same questions are right in two languages. The formulas are ours: the paper's could not be read."""

    overlap: float
    """Right in both, of those that are right in either; NaN where none is."""
    agreement: float
    """Right in both or wrong in both, of all."""


def consistency(one: Mapping[str, float], other: Mapping[str, float]) -> Consistency:
    """Of the questions that both have; a score of at least a half is right.

    Raises:
        ValueError: They have none in common.
    """
    pairs = [(value >= 0.5, other[key] >= 0.5) for key, value in one.items() if key in other]
    if not pairs:
        raise ValueError("The two sets have no question in common.")
    both, either = sum(a and b for a, b in pairs), sum(a or b for a, b in pairs)
    return Consistency(both / either if either else math.nan, fmean(float(a == b) for a, b in pairs))


@dataclass(frozen=True)
class Diagnosis:
    """All of it, for one model; what the sets that were asked do not allow is None."""

    parity: Parity
    mother_tongue: Effect | None
    locality: Effect | None
    consistency: dict[str, Consistency]
    """Of each language: its own questions, asked in it and in English."""


def diagnose(scores: Scores, by: By = "human") -> Diagnosis:
    """Equations 1 to 3 and the consistency from the scores of all questions.

    Raises:
        ValueError: No language's own questions were asked.
    """
    own = {code: scores[code] for code in local(scores)}
    both = {code: (scores[code], scores.get(set_name(code, PIVOT, by), {})) for code in own if code != PIVOT}
    same = {code: consistency(*pair) for code, pair in both.items() if {*pair[0]} & {*pair[1]}}
    return Diagnosis(parity(own), mother_tongue(scores, by), locality(scores, by), same)
