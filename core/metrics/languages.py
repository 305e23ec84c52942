"""How equal is a model in its languages, and how often does it answer in one that nobody asked for?

democratization({"en": 80, "sw": 20, "hi": 50}).share               # 62.5: the mean in percent of the best language
off_target(outputs, ["sw", "sw", "de"])["sw"].rate                  # 0.5: one of two answers is not in Swahili
off_target(outputs, wanted, groups=["en-sw", "hi-sw", "en-de"])     # by direction
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.errors import UserError
from core.metrics.classification import check_lengths
from core.text.identification import identifier
from core.text.languages import same_language


@dataclass(frozen=True)
class Democratization:
    """How equal the scores of languages are, and what the share hides.

    Attributes:
        share: 100 · mean / best, in [0, 100]; 100 when all languages are equal, NaN when all scores are 0. It rises
            too where nothing but the best language got worse.
        mean: Mean score.
        best: Highest score.
        worst: Lowest score.
        best_language: Who has the highest.
        worst_language: Who has the lowest.
    """

    share: float
    mean: float
    best: float
    worst: float
    best_language: str
    worst_language: str


def democratization(scores: Mapping[str, float]) -> Democratization:
    """Language democratization (XLT, Huang et al. 2023): the mean score in percent of the best language's.

    Args:
        scores: A score that is at least 0, by language.

    Raises:
        UserError: There is no score, or one is negative or not finite.
    """
    if not scores:
        raise UserError("There is no score: democratization compares the scores of languages.")
    if bad := next((code for code, score in scores.items() if not (math.isfinite(score) and score >= 0)), None):
        raise UserError(f"The score of {bad} is {scores[bad]}: democratization needs finite scores of at least 0.")
    best, worst = max(scores, key=lambda code: scores[code]), min(scores, key=lambda code: scores[code])
    mean = sum(scores.values()) / len(scores)
    share = 100 * mean / scores[best] if scores[best] else math.nan
    return Democratization(share, mean, scores[best], scores[worst], best, worst)


@dataclass(frozen=True)
class OffTarget:
    """Outputs in a language that was not asked for.

    Attributes:
        rate: Their share among the judged outputs, in [0, 1]; NaN where none was judged.
        judged: Outputs that are empty (which is no language that anyone asked for) or whose language could be told.
        outputs: Outputs in all. Numbers, names and a word or two have no language that an identifier could tell.
    """

    rate: float
    judged: int
    outputs: int


def off_target(
    outputs: Sequence[str],
    wanted: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    identify: Callable[[str, str], str | None] | None = None,
) -> dict[str, OffTarget]:
    """The off-target rate of each language or direction, in the order in which they come first.

    Args:
        outputs: Texts.
        wanted: Code of the language that each should be in.
        groups: What each is counted under, such as its direction; None = the language wanted.
        identify: (text, wanted code) -> code of its language in any spelling, None where it cannot tell; None decides
            by script and word frequencies among the languages wanted, English and Chinese
            (:func:`core.text.identification.identifier`). At a paper's scale: fastText or GlotLID.

    Raises:
        ValueError: Lengths differ, or there is nothing to judge.
    """
    check_lengths(outputs, wanted)
    names = wanted if groups is None else groups
    check_lengths(outputs, names)
    recognise = identify or identifier(sorted(set(wanted)))
    wrong: dict[str, list[bool | None]] = {}
    for text, code, name in zip(outputs, wanted, names, strict=True):
        found = recognise(text, code) if text.strip() else ""
        wrong.setdefault(name, []).append(None if found is None else not (found and same_language(found, code)))
    return {name: _rate(values) for name, values in wrong.items()}


def _rate(values: Sequence[bool | None]) -> OffTarget:
    judged = [value for value in values if value is not None]
    return OffTarget(sum(judged) / len(judged) if judged else math.nan, len(judged), len(values))
