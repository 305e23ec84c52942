"""Graded answers as the official files have them: columns `question`, `essay`, `grade`; a file a language condition.

    csw_paper_data/data_maibat/train_spanglish.csv      150 answers; dev_ and test_ in English and Spanglish alone
    csw_paper_data/final_test/final_spanglish_test.csv  1,000 answers

Conditions are the same answers in other words, row by row. Questions are English in all of them.

Code-mixed variants of a test are made by rule: `Mixer({"currency": "moneda"}, rate=0.5)("The currency of Germany")`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.text.codeswitch import CodeSwitcher, Unit, replace_units
from papers.bilingual_education.method import ACCEPTABLE, UNACCEPTABLE, Answer

# As our arms and the official files name the conditions.
OFFICIAL: Mapping[str, str] = {"en": "english", "es": "spanish", "sp": "spanglish"}
_FILES = {"train": "data_maibat/train_{}.csv", "dev": "data_maibat/dev_{}.csv", "final": "final_test/final_{}_test.csv"}
Conditions = dict[str, list[Answer]]


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


def official(
    folder: str | Path, part: Literal["train", "dev", "final"], conditions: Sequence[str] = tuple(OFFICIAL)
) -> Conditions:
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


# --- mixing by rule ---------------------------------------------------------------------------------------------------


class Mixed(NamedTuple):
    """A text in two languages."""

    text: str
    rate: float
    """Share of its words that are of the other language, in [0, 1]."""
    reachable: float
    """The same if all that the lexicon knows were replaced."""


@dataclass(frozen=True)
class Mixer:
    """Mixes texts; the same text is always mixed alike, and a higher rate replaces what a lower one does, and more.

    A rate is the share of a mixed text's words that are of the other language. What a lexicon lacks cannot be replaced,
    and phrases are replaced whole, so the rate that comes out stands beside every text. Nobody speaks so: real
    code-mixing follows both grammars; this probes how a grader takes words of another language.

    Attributes:
        lexicon: Words or phrases of the texts' language, each with one or more translations.
        rate: What is aimed at, in [0, 1]; it is passed by no more than half a unit.
        seed: Of the order in which units are replaced, and of the choice among translations.
    """

    lexicon: Mapping[str, str | Sequence[str]]
    rate: float = 0.5
    seed: int = 0
    switcher: CodeSwitcher = field(init=False)

    def __post_init__(self) -> None:
        """Prepare the lexicon.

        Raises:
            UserError: The rate is no share, or the lexicon is empty.
        """
        if not 0 <= self.rate <= 1:
            raise UserError(f"rate = {self.rate} is no share of words: give a number from 0 to 1.")
        if not self.lexicon:
            raise UserError("The lexicon is empty: give words with their translations.")
        object.__setattr__(self, "switcher", CodeSwitcher(self.lexicon))

    def __call__(self, text: str) -> Mixed:
        """The text with units in the other language, in random order until another would go past the rate."""
        rng = Random(f"{self.seed}/{text}")
        units = self.switcher.units(text, rng)
        order, chosen = rng.sample(units, len(units)), list[Unit]()
        for unit in order:
            now, then = (_rate(text, sorted(found)) for found in (chosen, [*chosen, unit]))
            if abs(then - self.rate) > abs(now - self.rate) or now >= self.rate:
                break
            chosen.append(unit)
        chosen.sort()
        return Mixed(replace_units(text, chosen), _rate(text, chosen), _rate(text, units))


def _rate(text: str, units: Sequence[Unit]) -> float:
    foreign = sum(len(unit.translation.split()) for unit in units)
    own = len(text.split()) - sum(unit.end - unit.start for unit in units)
    return foreign / max(1, foreign + own)
