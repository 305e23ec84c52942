"""Semi-automatic translation of instructions: translate, grade, refine, and give to a person what stays doubtful.

y = translate(x);  s, remarks = grade(x, y);  while s < threshold and rounds are left: y = refine(x, y, remarks)

model = PromptedModel(my_llm)                          # my_llm: str -> str; or any three functions of your own
accepted, review = translate_samples(samples, "ar", model.translate, model.grade, model.refine)
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.corpora.files import json_objects
from core.errors import UserError
from core.tasks.samples import Sample, multiple_choice

Grade = Callable[[str, str], tuple[float, str]]


@dataclass(frozen=True)
class Translation:
    """The best attempt at a text, its grade from 0 to 100, and every attempt with grade and remarks."""

    text: str
    score: float
    rounds: list[tuple[str, float, str]]


def translate_text(
    text: str,
    translate: Callable[[str], str],
    grade: Grade,
    refine: Callable[[str, str, str], str] | None = None,
    *,
    threshold: float = 80.0,
    refinements: int = 2,
) -> Translation:
    """Translate one text, as BiMediX does (arXiv 2402.13253, figure 2; its prompts and thresholds are not public).

    Args:
        text: In the source language.
        translate: The first attempt.
        grade: `grade(text, translation)`: 0 to 100, and remarks for the translator.
        refine: `refine(text, translation, remarks)`: a better attempt. None = translate once more.
        threshold: Grade below which a translation is refined.
        refinements: Most refinements.

    Raises:
        UserError: A setting is out of range, or the grade.
    """
    if not 0 <= threshold <= 100 or refinements < 0:
        raise UserError("threshold must lie in 0 to 100, and refinements must not be negative.")
    rounds: list[tuple[str, float, str]] = []
    while not rounds or (rounds[-1][1] < threshold and len(rounds) <= refinements):
        attempt = refine(text, rounds[-1][0], rounds[-1][2]) if rounds and refine else translate(text)
        score, remarks = grade(text, attempt)
        if not 0 <= score <= 100:
            raise UserError(f"A translation was graded {score:g}: grades must lie in 0 to 100.")
        rounds.append((attempt, score, remarks))
    # A refinement may make things worse.
    best = max(rounds, key=lambda attempt: attempt[1])
    return Translation(best[0], best[1], rounds)


def translate_samples(
    samples: Sequence[Sample],
    target: str,
    translate: Callable[[str], str],
    grade: Grade,
    refine: Callable[[str, str, str], str] | None = None,
    *,
    threshold: float = 80.0,
    refinements: int = 2,
    audit: float = 0.05,
    seed: int = 0,
) -> tuple[list[Sample], list[Sample]]:
    """Translate instructions turn by turn, questions with their options.

    Args:
        samples: As of :mod:`core.tasks.samples`.
        target: Language code of the result.
        translate: As in :func:`translate_text`; so are `grade`, `refine`, `threshold`, `refinements`.
        grade: See there.
        refine: See there.
        threshold: See there.
        refinements: See there.
        audit: Share of the accepted samples that a person looks at all the same, in [0, 1].
        seed: Of their choice.

    Returns:
        Samples that are accepted, and those for a medically trained speaker: `review` says whether for their `score`
        (the lowest of their texts) or for the `audit`. Each keeps its `id`, and its `rounds`.

    Raises:
        UserError: As :func:`translate_text`.
    """
    if not 0 <= audit <= 1:
        raise UserError(f"audit = {audit:g} is a share: give a number from 0 to 1.")
    draw = random.Random(seed)
    accepted: list[Sample] = []
    review: list[Sample] = []
    for sample in samples:
        done: list[Translation] = []

        def one(text: str, done: list[Translation] = done) -> str:
            done.append(translate_text(text, translate, grade, refine, threshold=threshold, refinements=refinements))
            return done[-1].text

        new: dict[str, Any] = {**sample, "lang": target, "translated": True}
        if sample.get("options"):
            options = [one(option) for option in sample["options"]]
            new |= multiple_choice(one(sample["question"]), options, sample["answer"], target)
        else:
            new["messages"] = [{**turn, "content": one(turn["content"])} for turn in sample["messages"]]
        new |= {"score": min(found.score for found in done), "rounds": [found.rounds for found in done]}
        reason = "score" if new["score"] < threshold else "audit" if draw.random() < audit else ""
        (review if reason else accepted).append({**new, "review": reason} if reason else new)
    return accepted, review


class PromptedModel:
    """Translator and grader made of any text generator: a client, or `core.inference.generation.generate`."""

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

    def grade(self, text: str, translation: str) -> tuple[float, str]:
        """Ask for a grade from 0 to 100, then reasons. An answer without a number grades 0."""
        answer = self.generate(
            f"Grade from 0 to 100 how faithfully the {self.target} text renders the {self.source} text. Begin with the "
            f"number, then list what is wrong.\n\n{self.source}: {text}\n\n{self.target}: {translation}"
        )
        number = re.search(r"\d+(?:\.\d+)?", answer)
        return (min(100.0, float(number[0])) if number else 0.0), answer.strip()


def aligned_rows(
    paths: Mapping[str, str | Path], text: str, same: Sequence[str]
) -> tuple[dict[str, list[str]], list[dict[str, Any]]]:
    """One benchmark in several languages, a JSONL file each: the texts by language, and what the rows have in common.

    Args:
        paths: The file of each language.
        text: The field that is translated.
        same: The fields that must agree, row by row.

    Raises:
        UserError: A row without text, files of different lengths, or the first row that differs.
    """
    texts: dict[str, list[str]] = {}
    common: list[dict[str, Any]] = []
    for code, path in paths.items():
        # Not through a table, whose columns would fill missing keys of nested fields with nulls.
        rows = [row for _, row in json_objects(path)]
        if any(not isinstance(row.get(text), str) or not row[text].strip() for row in rows):
            raise UserError(f"{path}: there is a row without {text}.")
        texts[code] = [row.pop(text) for row in rows]
        common = common or rows
        if len(rows) != len(common):
            raise UserError(f"{path} has {len(rows)} rows, the others have {len(common)}: align them.")
        for number, (a, b) in enumerate(zip(common, rows, strict=True), start=1):
            if odd := [name for name in same if a.get(name) != b.get(name)]:
                raise UserError(f"{path}, row {number}: {odd[0]} differs from the others'; translate {text} alone.")
    return texts, common
