"""What the method is fed at the paper's scale: aligned problems to train on, benchmarks to measure on.

read_aligned("problems.jsonl", ["en", "sw"])        # [Problem, ...], those that are in all of the languages
tests(config, ["en", "sw"])                         # {"en": [Question, ...], ...} with ids such as `aime_2024/7`
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.text.languages import match
from papers.parallel_scaling.config import Config

# Of training problems, for development; a tenth at most.
DEV = 200
_CHOICE = re.compile(r"\(([A-D])\)")


class Problem(NamedTuple):
    """A problem in several languages: what is asked and perhaps a solution, by language, and the one answer."""

    id: str
    prompts: Mapping[str, str]
    answer: str
    solutions: Mapping[str, str] = {}


class Question(NamedTuple):
    """A test item in one language; `id` is `benchmark/item`."""

    id: str
    prompt: str
    answer: str


def read_aligned(source: str, languages: Sequence[str]) -> list[Problem]:
    """Problems that are in all of the languages, in the order in which they come first.

    Args:
        source: A file or hub dataset of rows with `id`, `lang`, `prompt` (or `problem`, `question`), `answer` and,
            perhaps, `solution`.
        languages: Codes.

    Raises:
        UserError: A row of another form, two answers to one problem, or no problem in all languages.
    """
    found: dict[str, tuple[dict[str, str], str, dict[str, str]]] = {}

    def add(row: Mapping[str, Any], _: int) -> None:
        key, code = str(row["id"]), match(str(row["lang"]), list(languages))
        asked = _question(row)
        if code is None:
            return
        prompts, answer, solutions = found.setdefault(key, ({}, asked.answer, {}))
        if answer != asked.answer:
            raise UserError(f"its answer is {asked.answer!r}, that of problem {key!r} in another language {answer!r}.")
        prompts[code] = asked.prompt
        if row.get("solution"):
            solutions[code] = str(row["solution"])

    for _ in adapted(source, read_rows(source), add):
        pass
    whole = [Problem(key, *parts) for key, parts in found.items() if len(parts[0]) == len(languages)]
    if not whole:
        raise UserError(f"{source} has no problem in all of {', '.join(languages)}: rows are joined on `id`.")
    return whole


def aligned(config: Config, languages: Sequence[str]) -> list[Problem]:
    """Problems to train on, without those that are kept for development; the same ones for every k."""
    return _kept(config, languages)[0]


def _kept(config: Config, languages: Sequence[str]) -> tuple[list[Problem], list[Problem]]:
    if not config.problems:
        raise UserError("problems is empty: name a JSONL with id, lang, prompt and answer.")
    found = read_aligned(config.problems, languages)
    size = min(DEV, len(found) // 10)
    return found[size:], found[:size]


def tests(config: Config, languages: Sequence[str]) -> dict[str, list[Question]]:
    """Items to measure on by language; for development, problems that are kept from training.

    Raises:
        UserError: There are no tests, or a language has none in one of them.
    """
    if config.split == "dev":
        _, kept = _kept(config, languages)
        return {code: [Question(f"dev/{one.id}", one.prompts[code], one.answer) for one in kept] for code in languages}
    if not config.tests:
        raise UserError("tests is empty: name files or hub datasets with problem and answer.")
    found: dict[str, list[Question]] = {code: [] for code in languages}
    for source in config.tests:
        name = re.sub(r"[@#{}./]+|code$", " ", source.rpartition("/")[2]).split()[0]
        for code in languages:
            place = source.format(code=code)
            rows = read_rows(place) if place != source else (r for r in read_rows(place) if _is_in(r, code))
            asked = [one._replace(id=f"{name}/{one.id}") for one in adapted(place, rows, _question)]
            if not asked:
                raise UserError(f"{place} has no item in {code!r}: leave the language out, or add some.")
            found[code] += asked
            if len({one.id for one in found[code]}) < len(found[code]):
                raise UserError(f"{place} has an id in {code!r} that is there already: give files names of their own.")
    return found


def _is_in(row: Mapping[str, Any], code: str) -> bool:
    return match(str(row.get("lang", "")), [code]) is not None


def _question(row: Mapping[str, Any], number: int = 0) -> Question:
    """AIME, MATH500 and one's own as they are; GPQA's answers, such as `(A)`, as their letters."""
    asked = row.get("prompt") or row.get("problem") or row.get("question")
    if not asked or row.get("answer") in (None, ""):
        raise UserError("it needs prompt (or problem, question) and answer.")
    answer = str(row["answer"]).strip()
    letter = _CHOICE.fullmatch(answer)
    return Question(str(row.get("id", number)), str(asked).strip(), letter[1] if letter else answer)
