"""Graded answers as the official files have them: columns `question`, `essay`, `grade`; a file a language condition.

    csw_paper_data/data_maibat/train_spanglish.csv      150 answers; dev_ and test_ in English and Spanglish alone
    csw_paper_data/final_test/final_spanglish_test.csv  1,000 answers

Conditions are the same answers in other words, row by row. Questions are English in all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from core.corpora import adapted, read_rows
from core.errors import UserError
from papers.bilingual_education.method import ACCEPTABLE, UNACCEPTABLE, Answer

# As our arms and the official files name the conditions.
OFFICIAL: Mapping[str, str] = {"en": "english", "es": "spanish", "sp": "spanglish"}
_FILES = {"train": "data_maibat/train_{}.csv", "dev": "data_maibat/dev_{}.csv", "final": "final_test/final_{}_test.csv"}
Conditions = dict[str, list[Answer]]
Part = Literal["train", "dev", "final"]


def grade(text: str) -> str:
    """The canonical form of a grade, whatever its case.

    Raises:
        UserError: It is neither of the two.
    """
    found = {name.lower(): name for name in (ACCEPTABLE, UNACCEPTABLE)}.get(text.strip().lower())
    if found is None:
        raise UserError(f"the grade {text!r} is neither {ACCEPTABLE} nor {UNACCEPTABLE}: write one of the two.")
    return found


def read_answers(source: str | Path, *, graded: bool = True) -> list[Answer]:
    """Answers of a .csv, .tsv or .jsonl; their number is their id where they have none.

    Args:
        source: A file with `question`, `essay` and, if they are `graded`, `grade`.
        graded: Whether each answer needs a grade.

    Raises:
        UserError: The file cannot be read, or a row lacks one of them.
    """

    def answer(row: Mapping[str, Any], number: int) -> Answer:
        texts = {name: row.get(name) for name in ("question", "essay", *(("grade",) if graded else ()))}
        for name, text in texts.items():
            if not isinstance(text, str) or not text.strip():
                raise UserError(f"there is no text in {name!r}: the columns are question, essay and grade.")
        said = grade(str(row["grade"])) if graded else ""
        return Answer(str(texts["question"]).strip(), str(texts["essay"]).strip(), said, str(row.get("id") or number))

    return list(adapted(source, read_rows(source), answer))


def read_conditions(sources: Mapping[str, str | Path]) -> Conditions:
    """Several files of the same answers in other languages.

    Raises:
        UserError: As :func:`read_answers`; or the files do not correspond row by row.
    """
    found = {name: read_answers(source) for name, source in sources.items()}
    (first, rows), *others = found.items()
    for name, other in others:
        if len(other) != len(rows):
            raise UserError(
                f"{sources[first]} has {len(rows)} answers and {sources[name]} {len(other)}: give the same answers."
            )
        for number, (one, two) in enumerate(zip(rows, other, strict=True), start=1):
            if (one.question, one.grade) != (two.question, two.grade):
                raise UserError(
                    f"Row {number} of {sources[name]} has another question or grade than that of {sources[first]}: "
                    "conditions are the same answers, row by row."
                )
    return found


def named(sources: Sequence[str]) -> dict[str, str]:
    """`en=test_en.csv` as name and file.

    Raises:
        UserError: None, without a name, or a name twice.
    """
    pairs = [source.partition("=") for source in sources]
    if not pairs or any(not (name and path) for name, _, path in pairs) or len({p[0] for p in pairs}) < len(pairs):
        raise UserError(f"Name each file once, as in en=english.csv sp=spanglish.csv, not {' '.join(sources)!r}.")
    return {name: path for name, _, path in pairs}


def official(folder: str | Path, part: Part, conditions: Sequence[str] = tuple(OFFICIAL)) -> Conditions:
    """A part of the unpacked official data; there is no Spanish one for development.

    Raises:
        UserError: A file is missing or cannot be read.
    """
    return read_conditions({code: Path(folder) / _FILES[part].format(OFFICIAL[code]) for code in conditions})


def leaked(test: Sequence[Answer], train: Sequence[Answer]) -> list[bool]:
    """Which test answers have a question, or an essay, that stands in the training data too.

    Case, spaces and punctuation do not count. Officially 26 of the 1,000 have such a question, of 17, and one more
    such an essay.
    """
    known = {_bare(text) for one in train for text in (one.question, one.essay)}
    return [_bare(one.question) in known or _bare(one.essay) in known for one in test]


def _bare(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def equal_parts(conditions: Conditions) -> list[Answer]:
    """As many answers as one condition has, each content in one of them, in turn: bilingual data of the same size."""
    names = list(conditions)
    turns: dict[str, int] = {}
    return [
        conditions[names[turns.setdefault(one.question, len(turns)) % len(names)]][number]
        for number, one in enumerate(conditions[names[0]])
    ]
