"""MultiLoKo on your own: score answers, ask a model, make a set for a language that the benchmark lacks.

    python -m papers.multiloko.use score predictions.csv --references benchmark_data
    python -m papers.multiloko.use evaluate benchmark_data --model Qwen/Qwen2.5-0.5B --languages swedish
    python -m papers.multiloko.use build rows.csv --language ukrainian --human english.csv --out mine
    python -m papers.multiloko.use normalise "Der Hund" --language german

As a library: :func:`papers.multiloko.answer_variants`, :func:`papers.multiloko.score`,
:func:`papers.multiloko.diagnose`, :func:`papers.multiloko.report`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional

from core.errors import UserError
from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try
from papers.multiloko.answers import METRICS, Metric, Scorer, answer_variants, language_of

if TYPE_CHECKING:
    from papers.multiloko.data import Sets

Said = Mapping[str, Mapping[str, str]]


# --- as a command -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Score:
    """Score answers: of one model, or of several that are compared with the first."""

    predictions: Positional[tuple[Path, ...]]
    """Rows of `language` (the name of a set), `id` and `prediction`: .csv, .tsv, .jsonl."""
    references: str
    """Folder of the unpacked release, or one of the same layout; or its hub id."""
    subset: str = "dev"
    """Which files."""
    scorer: Scorer = "current"
    """`initial` for the paper's numbers, `current` for new work; never compare across them."""
    metric: Metric = "em"
    """What the languages are compared by."""
    out: Path = Path("scores")
    """Folder for languages.tsv (of the first) and questions.jsonl: forms of every answer, and all metrics."""


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Ask a model every set of a folder, and score what it says."""

    references: Positional[str]
    """Folder of the unpacked release, or one of the same layout; or its hub id."""
    model: str
    """A causal model: hub id, folder or wheel."""
    mode: Literal["base", "chat"] = "base"
    """Base models see demonstrations, chat models none."""
    shots: Annotated[int, Range(0)] = 5
    """Demonstrations, from each language's knowledge_fewshot.jsonl."""
    languages: tuple[str, ...] = ()
    """Only these, English beside them; empty = all."""
    subset: str = "dev"
    """Which files."""
    scorer: Scorer = "current"
    """Which official version."""
    max_new_tokens: Annotated[int | None, Range(1)] = None
    """Room for an answer; 64 for base models and 256 for chat models if it is not given."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the forward pass."""
    out: Path = Path("scores")
    """Folder for predictions.jsonl and what `score` writes."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """Write a language's set in the official layout, and say what is odd about it."""

    rows: Positional[Path]
    """`question` and `targets` (a list, or " | " between them); better also `output_type`, `text`, `target`, `id`."""
    language: str
    """Its name, as the benchmark writes names: ukrainian."""
    human: Path | None = None
    """The same questions, by id, translated into English by people."""
    machine: Path | None = None
    """The same, by a machine."""
    english: Path | None = None
    """English local questions, for the locality effect."""
    from_human: Path | None = None
    """Those in the language, translated by people."""
    from_machine: Path | None = None
    """Those in the language, by a machine."""
    shots: Path | None = None
    """Demonstrations for base models."""
    subset: str = "dev"
    """Name of the files."""
    out: Path = Path("multiloko")
    """The folder; languages that are in it stay."""


@dataclass(frozen=True, kw_only=True)
class Normalise:
    """Print the forms in which an answer is compared, a line each."""

    text: Positional[str]
    """An answer."""
    language: str
    """Key of the benchmark, such as german; or any name, for a language without rules."""
    scorer: Scorer = "current"
    """Which official version."""


def run_score(options: Score) -> None:
    """Print the report of each file, and how the others differ from the first."""
    from core.tasks.transcripts import read_predictions
    from papers.multiloko.data import read_sets

    if not options.predictions:
        raise UserError("Name at least one file of predictions.")
    asked = read_sets(options.references, options.subset)
    said = {str(path): read_predictions(path) for path in options.predictions}
    _tell(asked, said, options.scorer, options.metric, options.out)


def run_evaluate(options: Evaluate) -> None:
    """Ask, write the answers, and report."""
    from core.models.loading import load
    from core.tasks.transcripts import write_predictions
    from papers.multiloko.data import read_sets
    from papers.multiloko.eval import answers

    languages = options.languages and {*options.languages, "english"}
    asked = read_sets(options.references, options.subset, languages)
    loaded = load(options.model, dtype=options.dtype)
    room = options.max_new_tokens or (64 if options.mode == "base" else 256)
    said = answers(loaded, asked, options.references, options.mode, options.shots, room)
    options.out.mkdir(parents=True, exist_ok=True)
    write_predictions(options.out / "predictions.jsonl", said)
    _tell(asked, {options.model: said}, options.scorer, "em", options.out)


def _tell(asked: Sets, said: Mapping[str, Said], scorer: Scorer, metric: Metric, out: Path) -> None:
    from core.files import write_rows, write_table
    from core.metrics.stats import compare, spearman
    from papers.multiloko import method
    from papers.multiloko.answers import score
    from papers.multiloko.data import unanswerable
    from papers.multiloko.reporting import lines, report, table

    found = {name: report(asked, answers, scorer, metric, name) for name, answers in said.items()}
    for name, one in found.items():
        print(f"{name}: {metric} of {sum(map(len, one.scores.values()))} answers in {len(one.scores)} sets")
        print("\n".join(f"  {line}" for line in lines(one)))
    if blank := {key: len(ids) for key, rows in asked.items() if (ids := unanswerable(rows, language_of(key)))}:
        print(f"No answer can match {sum(blank.values())} questions with blank right answers: {', '.join(blank)}.")
    name, first = next(iter(found.items()))
    own = lambda one: {f"{c}/{key}": v for c in method.local(one.scores) for key, v in one.scores[c].items()}  # noqa: E731
    for other, one in list(found.items())[1:]:
        if own(one).keys() != own(first).keys():
            raise UserError(f"{other} and {name} answer other languages: give files of the same sets.")
        over = "languages" if len(method.local(first.scores)) > 1 else "questions"
        gain = compare({0: own(one)}, {0: own(first)}, 1 if over == "languages" else 2).interval
        ends = f"[{100 * gain.low:+.2f}, {100 * gain.high:+.2f}]"
        print(f"{other} less {name}: {100 * gain.estimate:+.2f} {ends}, 95 % over {over}")
    effects = [effect for one in found.values() if (effect := method.translation(one.scores))]
    if len(effects) == len(found) > 2:
        human, machine = ([fmean(pair[n] for pair in e.by_language.values()) for e in effects] for n in (0, 1))
        print(f"Rank correlation of the models between human and machine translations: {spearman(human, machine):.2f}")
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / "languages.tsv", table(first))
    rows = [
        {
            "model": model, "set": key, "id": row.id, "prediction": answers[key][row.id], "scorer": scorer,
            "forms": answer_variants(answers[key][row.id], language_of(key), scorer),
            "targets": [form for target in row.targets for form in answer_variants(target, language_of(key), scorer)],
            **score(answers[key][row.id], row.targets, language_of(key), scorer, METRICS),
        }
        for model, answers in said.items()
        for key in answers
        for row in asked[key]
    ]  # fmt: skip
    write_rows(out / "questions.jsonl", rows)
    print(f"Wrote languages.tsv and questions.jsonl to {out}.")


def build(options: Build) -> None:
    """Check that translations belong to the questions, write, and audit."""
    from papers.multiloko.data import SHOTS, read_set, write_set
    from papers.multiloko.method import PIVOT, set_name
    from papers.multiloko.reporting import audit

    if not re.fullmatch(r"(?!english$)[a-z]+(_[a-z]+)*", options.language) or "_translated" in options.language:
        raise UserError(
            f"--language {options.language!r}: write small letters and underscores, as in simplified_mandarin."
        )
    if (options.from_human or options.from_machine) and not options.english:
        raise UserError("Translations of English questions need the questions themselves: give --english.")
    code = options.language
    files = {code: options.rows, PIVOT: options.english}
    files |= {set_name(code, PIVOT): options.human, set_name(code, PIVOT, "machine"): options.machine}
    files |= {set_name(PIVOT, code): options.from_human, set_name(PIVOT, code, "machine"): options.from_machine}
    read = {key: read_set(path) for key, path in files.items() if path}
    for key, rows in read.items():
        ids, own = ({row.id for row in of} for of in (rows, read[key.partition("_translated_")[0]]))
        if ids != own:
            raise UserError(
                f"{files[key]} has other ids than the questions: {min(ids ^ own)!r} is in one of them alone."
            )
    shots = read_set(options.shots) if options.shots else []
    for key, rows in read.items():
        path = write_set(options.out, key, rows, options.subset)
        print(f"{path}: {len(rows)} questions")
        for sentence in audit(rows, language_of(key)):
            print(f"  {sentence}")
    if shots:
        print(f"{write_set(options.out, code, shots, SHOTS)}: {len(shots)} demonstrations")


def run_normalise(options: Normalise) -> None:
    """Print the forms."""
    for form in answer_variants(options.text, options.language, options.scorer):
        print(form)


VERBS: Verbs = {
    "score": (Score, run_score), "evaluate": (Evaluate, run_evaluate), "build": (Build, build),
    "normalise": (Normalise, run_normalise),
}  # fmt: skip

TRY = Try(
    command="evaluate {data} --model {model} --out {out}",
    data="the folder of the unpacked release, or one of the same layout, such as `build` writes.",
    means="What the model knows that matters in each language, how far languages are apart, whether it knows local "
    "facts in their language alone (mother-tongue effect above 0) or better in English (below).",
    limits="Nothing minus nothing is no effect: look at both terms, and at `contains` for a model that talks around "
    "its answers. Differences of translated sets are also those of the translation. Numbers of different scorers do "
    "not compare.",
    more="--mode chat --languages swedish thai",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.multiloko.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
