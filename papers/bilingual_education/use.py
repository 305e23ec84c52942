"""Audit a grader for language bias, tune one, grade answers, mix the languages of a test.

    python -m papers.bilingual_education.use audit en=test_en.csv es=test_es.csv sp=test_sp.csv --grader mine.py:grader
    python -m papers.bilingual_education.use tune en=train_en.csv sp=train_sp.csv --model wheel:e5-small --out grader
    python -m papers.bilingual_education.use grade answers.csv --grader grader --out graded.csv
    python -m papers.bilingual_education.use mix test_en.csv --lexicon words.tsv --rate 0.5 --out mixed.csv

As a library: :func:`papers.bilingual_education.condition`, :func:`papers.bilingual_education.disparity`,
:class:`papers.bilingual_education.Mixer`, :func:`papers.bilingual_education.load_grader`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try
from core.training.config import TrainingConfig
from papers.bilingual_education.config import TRAINING

if TYPE_CHECKING:
    from papers.bilingual_education.data import Conditions
    from papers.bilingual_education.method import Answer

Grade = Callable[[Sequence[str], Sequence[str]], Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Say how a grader does in every language condition, whom it rejects wrongly, and whether conditions differ."""

    answers: Positional[tuple[str, ...]]
    """The same answers in every condition, as name=file; columns question, essay, grade. With `given`, the grader's
    grade is in the file."""
    grader: str = ""
    """A folder of `tune`; or your own, path/to/file.py:function, which returns `grade(questions, essays) -> grades`.
    Empty: the files have it."""
    model: str = ""
    """Or a causal model as it is: hub id, folder or wheel."""
    out: Path = Path("audit")
    """Folder for conditions.tsv and pairs.tsv."""


@dataclass(frozen=True, kw_only=True)
class Tune:
    """Teach a model to grade from graded answers in chosen conditions; with LoRA, or a regression on an encoder."""

    answers: Positional[tuple[str, ...]]
    """Graded answers by condition, as name=file; columns question, essay, grade."""
    model: str
    """A causal model, or with --kind encoder an encoder: hub id, folder or wheel."""
    kind: Literal["lora", "encoder"] = "lora"
    """LoRA on a causal model, or a regression on a frozen encoder."""
    equal: bool = False
    """Each content in one condition alone, in turn: as many answers as one file has. Needs aligned files."""
    aside: Annotated[float, Range(0.05, 0.5)] = 0.2
    """Share of the questions that is not learnt from but calibrates probabilities."""
    loss_on: Literal["all", "completion"] = "completion"
    """Of LoRA: learn the grade alone, or the essays too (official)."""
    training: TrainingConfig = field(default_factory=lambda: replace(TRAINING, max_length=512))
    """Of LoRA."""
    seed: Seed = 0
    """What is put aside, order, adapters."""
    out: Path = Path("grader")
    """Folder to write."""


@dataclass(frozen=True, kw_only=True)
class GradeAnswers:
    """Grade answers with calibrated probabilities."""

    answers: Positional[Path]
    """Columns question and essay; others are kept."""
    grader: str
    """A folder of `tune`."""
    out: Path = Path("graded.csv")
    """The same rows with `given` and `probability`."""


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Replace words of a column by those of a lexicon, up to a rate, and say for every row what rate came out."""

    rows: Positional[Path]
    """.csv, .tsv or .jsonl."""
    lexicon: Path
    """Two columns: a word or phrase of the rows' language, and its translation; .tsv or .txt."""
    rate: Annotated[float, Range(0, 1)] = 0.5
    """Share of a text's words that is aimed at."""
    column: str = "essay"
    """What is mixed."""
    seed: Seed = 0
    """Which words."""
    out: Path = Path("mixed.csv")
    """The same rows with `mixed_rate`."""


# --- audit ------------------------------------------------------------------------------------------------------------


def audit(options: Audit) -> None:
    """Print a line for each condition and each pair, and write both tables."""
    from core.files import write_table
    from papers.bilingual_education import data, method

    sources = data.named(options.answers)
    tests = data.read_conditions(sources)
    said, margins = grades(options, sources, tests)
    conditions: list[dict[str, Any]] = []
    for name, answers in tests.items():
        found = method.condition([one.grade for one in answers], said[name], margins.get(name))
        conditions.append({"condition": name, **{key: _plain(value) for key, value in found._asdict().items()}})
        print(
            f"{name:10s} {found.answers:6d} answers  accuracy {found.accuracy:.3f}  F1 {found.f1:.3f}  "
            f"rejects {found.rejected:.1%} of the acceptable, accepts {found.accepted:.1%} of the others"
            + (f"  AUC {found.auc:.3f}" if name in margins else "")
            + (f"  {found.unknown:.1%} without a grade" if found.unknown else "")
        )
    if len(tests) > 1:
        print(f"gap {method.gap({row['condition']: row['accuracy'] for row in conditions}):.3f}")
    pairs = [row for one, other in combinations(tests, 2) for row in compared(one, other, tests, said)]
    for row in pairs:
        shown = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        print(f"{row['pair']:14s} {row['what']:20s} {shown}  McNemar p = {row['p']:.2g}")
    options.out.mkdir(parents=True, exist_ok=True)
    write_table(options.out / "conditions.tsv", conditions)
    if pairs:
        write_table(options.out / "pairs.tsv", pairs)
    print(f"Wrote the tables to {options.out}.")


def _plain(value: float) -> float | None:
    return None if value != value else round(value, 5)


def compared(
    one: str, other: str, tests: Conditions, said: Mapping[str, Sequence[str]]
) -> list[dict[str, str | float | None]]:
    """Accuracy, and rejection of acceptable answers, of one condition less those of another."""
    from papers.bilingual_education import method

    right = [[a.grade == b for a, b in zip(tests[name], said[name], strict=True)] for name in (one, other)]
    good = [n for n, answer in enumerate(tests[one]) if answer.grade == method.ACCEPTABLE]
    measures = {"accuracy": right, "false rejections": [[not side[n] for n in good] for side in right]}
    rows: list[dict[str, str | float | None]] = []
    for what, (left, right_side) in measures.items():
        if len(left) > 1:
            found = method.disparity(left, right_side)
            rows.append({
                "pair": f"{one} - {other}", "what": what, "difference": found.difference.estimate,
                "low": found.difference.low, "high": found.difference.high, "first_only": found.first_only,
                "second_only": found.second_only, "p": found.test.p,
            })  # fmt: skip
    return rows


def grades(
    options: Audit, sources: Mapping[str, str], tests: Conditions
) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """The grader's grades, and its margins if it has some.

    Raises:
        UserError: No grader or several, or it does not give every answer a grade.
    """
    from core.corpora import read_rows
    from core.files import is_folder
    from papers.bilingual_education import graders

    if options.grader and options.model:
        raise UserError("Give --grader or --model, not both.")
    if options.grader and not is_folder(options.grader):
        from core.plugins import own

        function = own(options.grader, "grader")
        return {name: asked(function, options.grader, answers) for name, answers in tests.items()}, {}
    if options.grader or options.model:
        grader: graders.Grader = (
            graders.load_grader(options.grader) if options.grader else graders.LanguageGrader(options.model)
        )
        margins = {name: grader.score(answers) for name, answers in tests.items()}
        return {name: grader.grades(found) for name, found in margins.items()}, margins
    said = {}
    for name, source in sources.items():
        rows = [row.get("given") for row in read_rows(source)]
        if not all(isinstance(given, str) for given in rows):
            raise UserError(f"{source} has no grades in a column `given`: add them, or name a --grader or a --model.")
        said[name] = [canonical(str(given)) for given in rows]
    return said, {}


def canonical(given: str) -> str:
    """A grade in its usual form; anything else is no grade, and wrong."""
    from papers.bilingual_education import data, method

    try:
        return data.grade(given)
    except UserError:
        return method.UNKNOWN


def asked(function: Grade, named: str, answers: Sequence[Answer]) -> list[str]:
    """What the user's function says.

    Raises:
        UserError: It fails, or does not give every answer a text.
    """
    try:
        found = list(function([one.question for one in answers], [one.essay for one in answers]))
    except Exception as error:
        raise UserError(
            f"grader = {named!r} fails on {len(answers)} answers ({type(error).__name__}: {error})."
        ) from error
    if len(found) != len(answers) or not all(isinstance(one, str) for one in found):
        raise UserError(f"grader = {named!r}: give each of {len(answers)} answers one grade as text, not {found[:3]}.")
    return [canonical(one) for one in found]


# --- tune and grade ---------------------------------------------------------------------------------------------------


def tune(options: Tune) -> None:
    """Learn from most questions, calibrate on the others, write the grader."""
    from core.experiment.run import temporary
    from papers.bilingual_education import data, graders, method

    sources = data.named(options.answers)
    read = data.read_conditions(sources) if options.equal else {n: data.read_answers(s) for n, s in sources.items()}
    questions = list(dict.fromkeys(one.question for answers in read.values() for one in answers))
    if len(questions) < 4:
        raise UserError(
            f"{len(questions)} questions are too few to learn from some and calibrate on others: give more."
        )
    aside = {*Random(options.seed).sample(questions, max(1, round(options.aside * len(questions))))}
    learn = {name: [one for one in answers if one.question not in aside] for name, answers in read.items()}
    held = [one for answers in read.values() for one in answers if one.question in aside]
    lessons = data.equal_parts(learn) if options.equal else [one for answers in learn.values() for one in answers]
    Random(options.seed).shuffle(lessons)
    if len({one.grade for one in lessons}) < 2:
        raise UserError(
            f"All {len(lessons)} answers to learn from have one grade: give acceptable and unacceptable ones."
        )
    if options.kind == "encoder":
        encoder = graders.EncoderGrader(options.model)
        encoder.fit(lessons)
        grader: graders.Grader = encoder
    else:
        language = graders.LanguageGrader(options.model, same_prompt=True, dtype="float32")
        with temporary("bilingual_education") as run:
            language.fit(lessons, run, options.training, seed=options.seed, loss_on=options.loss_on)
        grader = language
    grader.calibrate(held)
    slope, shift = grader.calibration
    # What is likelier than not is accepted.
    grader.threshold = -shift / slope if slope > 0 else 0.0
    margins = grader.score(held)
    grader.save(options.out)  # type: ignore[attr-defined]
    found = method.condition([one.grade for one in held], grader.grades(margins), margins)
    print(f"Learnt from {len(lessons)} answers in {', '.join(read)}; {len(held)} to other questions: accuracy "
          f"{found.accuracy:.3f}, AUC {found.auc:.3f} (they also calibrated its probabilities).")  # fmt: skip
    print(f"Wrote {options.out}; `audit` and `grade` take it as --grader.")


def grade_answers(options: GradeAnswers) -> None:
    """Write grades and probabilities beside the answers."""
    from core.corpora import read_rows
    from papers.bilingual_education import data, graders

    answers = data.read_answers(options.answers, graded=False)
    grader = graders.load_grader(options.grader)
    margins = grader.score(answers)
    sure, given = grader.calibration.probabilities(margins), grader.grades(margins)
    rows = [
        {**row, "given": grade, "probability": round(float(p), 4)}
        for row, grade, p in zip(read_rows(options.answers), given, sure, strict=True)
    ]
    write_csv(options.out, rows)
    print(f"{options.out}: {len(rows)} answers, {given.count('Acceptable')} of them acceptable.")


# --- mix --------------------------------------------------------------------------------------------------------------


def mix(options: Mix) -> None:
    """Write the mixed rows, and print how far the rates are from the one that was asked for."""
    from core.corpora import adapted, read_rows
    from core.corpora.lexicons import by_word, read_dictionary
    from papers.bilingual_education.data import Mixer

    mixer = Mixer(by_word(read_dictionary(options.lexicon)), options.rate, options.seed)

    def mixed(row: Mapping[str, Any], number: int) -> dict[str, Any]:
        text = row.get(options.column)
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"there is no text in {options.column!r}: name another --column.")
        found = mixer(text)
        return {**row, options.column: found.text, "mixed_rate": round(found.rate, 4), "reachable": found.reachable}

    rows = list(adapted(options.rows, read_rows(options.rows), mixed))
    rates, reachable = ([row[name] for row in rows] for name in ("mixed_rate", "reachable"))
    write_csv(options.out, [{key: value for key, value in row.items() if key != "reachable"} for row in rows])
    print(f"{options.out}: {len(rows)} rows, {fmean(rates):.1%} of their words replaced on average (from "
          f"{min(rates):.1%} to {max(rates):.1%}); the lexicon would allow {fmean(reachable):.1%}.")  # fmt: skip


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as a table with all columns that occur."""
    from core.files import write_text

    text = io.StringIO()
    writer = csv.DictWriter(text, dict.fromkeys(name for row in rows for name in row), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())


VERBS: Verbs = {
    "audit": (Audit, audit), "tune": (Tune, tune), "grade": (GradeAnswers, grade_answers), "mix": (Mix, mix),
}  # fmt: skip

TRY = Try(
    command="audit all={data} --model {model} --out {out}",
    data="graded answers, a .csv with question, essay and grade (Acceptable or Unacceptable).",
    means="How often the model grades rightly as it is, and how many acceptable answers it rejects. Several language "
    "conditions of the same answers are compared by the verb `audit`.",
    limits="A model that grades no better than chance cannot be biased in what it knows: look at the AUC first. Mixed "
    "sentences that were made by rule or by a model are not what pupils write.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.bilingual_education.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
