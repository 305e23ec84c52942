"""What the method is fed at the paper's scale and from own files (draft)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from papers.xcot import miniature
from papers.xcot.config import HIGH, Config
from papers.xcot.method import Example

Pool = dict[str, list[Example]]


class Question(NamedTuple):
    """A question to measure on, with the number that answers it and, where it is known, the same in English."""

    id: str
    question: str
    answer: str
    english: str = ""


def pool(config: Config) -> Pool:
    found = miniature.pool(config)
    return mismatched(found, config.seed) if config.mismatched else found


def tests(config: Config) -> dict[str, list[Question]]:
    items = miniature.measured(config)
    return {
        code: [Question(one.id, one.questions[code], one.answers[HIGH], one.questions[HIGH]) for one in items]
        for code in items[0].questions
    }


def mismatched(found: Pool, seed: int) -> Pool:
    """The same with the words and questions of other problems in the place of translations."""
    from random import Random

    rng = Random(f"mismatched-{seed}")
    words: dict[str, list[str]] = {}
    for one in found[HIGH]:
        for code, units in one.units.items():
            words.setdefault(code, []).extend(unit.translation for unit in units)
    words = {code: sorted(set(known)) for code, known in words.items()}
    changed = [
        one._replace(
            units={
                code: [unit._replace(translation=rng.choice(words[code])) for unit in units]
                for code, units in one.units.items()
            }
        )
        for one in found[HIGH]
    ]
    others: dict[str, list[Example]] = {}
    for code, known in found.items():
        if code != HIGH:
            shifted = known[1:] + known[:1]
            others[code] = [
                one._replace(questions={**other.questions, code: one.questions[code]})
                for one, other in zip(known, shifted, strict=True)
            ]
    return {HIGH: changed, **others}
