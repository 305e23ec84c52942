"""Semi-automatic translation: translate, score, refine, and let a person review what stays doubtful.

    y0 = translate(x);  s, remarks = score(x, y);  while s < threshold and rounds are left: y = refine(x, y, remarks)

Items that stay below the threshold, and a random sample of the accepted ones, go to a reviewer. Every round is kept.
Bring any translator, scorer and reviewer: they are plain objects with one or two methods.

    records = translate_corpus(["Asthma affects the lungs."], my_translator, my_scorer, my_reviewer)
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from core.errors import UserError


class Translator(Protocol):
    """Whatever translates: a model, a service, a lexicon."""

    def translate(self, text: str) -> str:
        """First translation of a source text."""

    def refine(self, text: str, translation: str, remarks: str) -> str:
        """A better translation, given the scorer's remarks on the last one."""


class Scorer(Protocol):
    """Whatever grades a translation without a reference."""

    def score(self, text: str, translation: str) -> tuple[float, str]:
        """A grade from 0 to 100 and remarks for the translator."""


class Reviewer(Protocol):
    """The medically trained speaker."""

    def review(self, text: str, translation: str) -> str:
        """The corrected translation; the same string if nothing is wrong."""


@dataclass(frozen=True)
class Round:
    """One attempt and its grade."""

    translation: str
    score: float
    remarks: str


@dataclass(frozen=True)
class Translation:
    """What happened to one text. `reason` says why a person saw it: `score`, `audit` or nothing."""

    source: str
    translation: str
    score: float
    reason: str = ""
    changed_by_reviewer: bool = False
    rounds: list[Round] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As one line of a log."""
        return asdict(self)


def translate_corpus(
    texts: Sequence[str],
    translator: Translator,
    scorer: Scorer,
    reviewer: Reviewer | None = None,
    *,
    threshold: float = 80.0,
    refinements: int = 2,
    audit: float = 0.05,
    seed: int = 0,
) -> list[Translation]:
    """Translate texts with automatic checks and human review (figure 2 of the paper; its thresholds are not public).

    Args:
        texts: In the source language.
        translator: Translates and refines.
        scorer: Grades from 0 to 100.
        reviewer: Corrects; None leaves doubtful items as they are, marked by their score.
        threshold: Grade below which a translation is refined, then reviewed.
        refinements: Most refinements of one text.
        audit: Share of the accepted translations that are reviewed anyway.
        seed: Of the audit's random choice.

    Returns:
        One record a text, in order.

    Raises:
        UserError: If a setting is out of range or the scorer leaves the range 0 to 100.
    """
    if not 0 <= threshold <= 100 or not 0 <= audit <= 1 or refinements < 0:
        raise UserError("threshold must lie in 0 to 100, audit in 0 to 1, and refinements must not be negative.")
    draw = random.Random(seed)
    return [
        _translate_one(text, translator, scorer, reviewer, threshold, refinements, draw.random() < audit)
        for text in texts
    ]


def _translate_one(
    text: str,
    translator: Translator,
    scorer: Scorer,
    reviewer: Reviewer | None,
    threshold: float,
    refinements: int,
    audited: bool,
) -> Translation:
    rounds = [_graded(text, translator.translate(text), scorer)]
    while rounds[-1].score < threshold and len(rounds) <= refinements:
        last = rounds[-1]
        rounds.append(_graded(text, translator.refine(text, last.translation, last.remarks), scorer))
    # A refinement may make things worse; the best attempt goes on.
    best = max(rounds, key=lambda attempt: attempt.score)
    reason = "score" if best.score < threshold else "audit" if audited else ""
    final = reviewer.review(text, best.translation) if reason and reviewer else best.translation
    return Translation(text, final, best.score, reason, final != best.translation, rounds)


def _graded(text: str, translation: str, scorer: Scorer) -> Round:
    score, remarks = scorer.score(text, translation)
    if not 0 <= score <= 100:
        raise UserError(f"The scorer graded {score:g}: grades must lie in 0 to 100.")
    return Round(translation, score, remarks)


def translate_samples(
    samples: Sequence[dict[str, Any]], target: str, translate: Callable[[str], Translation]
) -> list[dict[str, Any]]:
    """Translate instruction samples turn by turn and mark them as translated, with their lowest grade.

    Args:
        samples: As :mod:`papers.bimedix.data` reads them; multiple-choice options are translated too.
        target: Language code of the result.
        translate: One text, e.g. `lambda text: translate_corpus([text], ...)[0]`.
    """
    translated = []
    for sample in samples:
        grades: list[float] = []

        def one(text: str, grades: list[float] = grades) -> str:
            result = translate(text)
            grades.append(result.score)
            return result.translation

        new = {**sample, "lang": target, "translated": True}
        if sample.get("question") and sample.get("options"):
            from papers.bimedix.data import multiple_choice

            options = [one(option) for option in sample["options"]]
            new |= multiple_choice(one(sample["question"]), options, sample["answer"], target)
        else:
            new["messages"] = [{**turn, "content": one(turn["content"])} for turn in sample["messages"]]
        translated.append({**new, "score": min(grades)})
    return translated


class PromptedModel:
    """Translator and scorer made of any text generator: a client, or `core.inference.generation.generate`."""

    def __init__(self, generate: Callable[[str], str], source: str = "English", target: str = "Arabic") -> None:
        self.generate, self.source, self.target = generate, source, target

    def translate(self, text: str) -> str:
        """Ask for a faithful translation."""
        return self.generate(
            f"Translate this medical text from {self.source} to {self.target}. Keep every fact, number, negation and "
            f"option letter. Give the translation alone.\n\n{text}"
        ).strip()

    def refine(self, text: str, translation: str, remarks: str) -> str:
        """Ask for a corrected translation."""
        return self.generate(
            f"This {self.target} translation of a {self.source} medical text has faults.\n\nText: {text}\n\n"
            f"Translation: {translation}\n\nFaults: {remarks}\n\nGive the corrected translation alone."
        ).strip()

    def score(self, text: str, translation: str) -> tuple[float, str]:
        """Ask for a grade from 0 to 100, then reasons. An answer without a number grades 0."""
        answer = self.generate(
            f"Grade from 0 to 100 how faithfully the {self.target} text renders the {self.source} text. Begin with the "
            f"number, then list what is wrong.\n\n{self.source}: {text}\n\n{self.target}: {translation}"
        )
        number = re.search(r"\d+(?:\.\d+)?", answer)
        return (min(100.0, float(number[0])) if number else 0.0), answer.strip()
