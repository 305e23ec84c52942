"""MultiLoKo on your own: score answers, ask a model, make a set for a language that the benchmark lacks.

    python -m papers.multiloko.use score predictions.csv --references benchmark_data
    python -m papers.multiloko.use evaluate benchmark_data --model Qwen/Qwen2.5-0.5B --languages swedish
    python -m papers.multiloko.use build rows.csv --language ukrainian --human english.csv --out mine
    python -m papers.multiloko.use normalise "Der Hund" --language german

As a library: :func:`papers.multiloko.answer_variants`, :func:`papers.multiloko.score`, :func:`papers.multiloko.diagnose`,
:func:`papers.multiloko.report`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional

from core.errors import UserError
from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try
from papers.multiloko.answers import METRICS, Metric, Scorer, answer_variants, language_of, normalise

if TYPE_CHECKING:
    from papers.multiloko.data import Row, Sets
    from papers.multiloko.method import Diagnosis, Effect

Said = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Report:
    """What one model's answers say.

    Attributes:
        scores: Of every question, by set and id, 0 to 1.
        contains: The same for `contains`, which forgives what is said around an answer.
        diagnosis: With human translations.
        machine: With machine translations; the same parity.
        averages: Over local sets, by each of the three scorers: they do not agree.
    """

    scores: dict[str, dict[str, float]]
    contains: dict[str, dict[str, float]]
    diagnosis: Diagnosis
    machine: Diagnosis
    averages: dict[str, float]


def report(asked: Sets, said: Said, scorer: Scorer = "current", metric: Metric = "em", source: object = "") -> Report:
    """Score answers and compare the sets.

    Args:
        asked: What was asked (:func:`papers.multiloko.data.read_sets`).
        said: Answers by set and id; a set that is not there was not asked, an id that is not there is an error.
        scorer: Which official version.
        metric: What is compared; better when higher.
        source: Where the answers are from, for messages.

    Raises:
        UserError: An answer is missing, or belongs to no question; no language's own questions were answered.
    """
    from core.tasks.transcripts import complete
    from papers.multiloko import method
    from papers.multiloko.eval import graded

    if metric == "edit_distance":
        raise UserError("edit_distance is better when lower: compare languages by edit_similarity.")
    for key, answers in said.items():
        if key not in asked:
            raise UserError(f"{source} answers {key!r}, and there is no such set: the sets are {', '.join(asked)}.")
        complete(answers, [row.id for row in asked[key]], f"{source}, {key},")
    if not method.local(said):  # type: ignore[arg-type]
        raise UserError(f"{source} answers no language's own questions: add rows whose language is one of them.")
    own = {key: asked[key] for key in method.local(said)}  # type: ignore[arg-type]
    averages = {
        name: fmean(fmean(values.values()) for values in graded(own, said, name, metric).values())
        for name in ("initial", "v1", "current")
    }  # type: ignore[arg-type]
    scores, contained = (graded(asked, said, scorer, name) for name in (metric, "contains"))  # type: ignore[arg-type]
    return Report(scores, contained, method.diagnose(scores), method.diagnose(scores, "machine"), averages)


def lines(found: Report, scorer: Scorer) -> list[str]:
    """The report in points, as text."""
    from papers.multiloko import method

    parity = found.diagnosis.parity
    told = [
        f"  average {100 * parity.average:.2f} ± {100 * parity.twice_error:.2f} (2 standard errors over languages) with "
        f"scorer {scorer}; " + ", ".join(f"{name} {100 * value:.2f}" for name, value in found.averages.items()),
        f"  gap {100 * parity.gap:.2f} from {parity.best} to {parity.worst}; equal languages would show "
        f"{100 * parity.gap_of_equals:.2f} by the choice of questions",
    ]
    subsets = {"local questions in English": (True, "human"), "English questions in each language": (False, "human")}
    named: dict[str, tuple[Effect | None, str, str]] = {}
    for by, one in (("human", found.diagnosis), ("machine", found.machine)):
        named[f"mother-tongue effect ({by})"] = (one.mother_tongue, "in the language", "in English")
        named[f"locality effect ({by})"] = (one.locality, "local", "from English")
    for name, (into, _) in subsets.items():
        named[f"human less machine, {name}"] = (method.translation(found.scores, into_pivot=into), "human", "machine")
    for name, (effect, first, second) in named.items():
        if effect:
            one, other = (100 * fmean(values) for values in zip(*effect.by_language.values(), strict=True))
            rank = f", rank correlation of languages {method.order(effect):.2f}" if "machine, " in name else ""
            told.append(
                f"  {name} {100 * effect.mean:+.2f} ± {100 * effect.twice_error:.2f} ({first} {one:.2f}, {second} "
                f"{other:.2f}{rank})"
            )
    for name, keys in _subsets(found).items():
        spread = method.parity({key: found.scores[key] for key in keys})
        told.append(f"  {name}: average {100 * spread.average:.2f}, gap {100 * spread.gap:.2f}")
    if same := found.diagnosis.consistency:
        told.append(f"  right or wrong in both languages alike: {fmean(one.agreement for one in same.values()):.0%}")
    return told


def _subsets(found: Report) -> dict[str, list[str]]:
    """Translated sets of a kind, where there are several."""
    kinds: dict[str, list[str]] = {}
    for key in found.scores:
        home, mark, rest = key.partition("_translated_")
        by = rest.partition("_")[0]
        if mark:
            kinds.setdefault(f"English questions, by {by}" if home == "english" else f"in English, by {by}", []).append(key)
    return {name: keys for name, keys in kinds.items() if len(keys) > 1}


def table(found: Report) -> list[dict[str, Any]]:
    """A row a language: questions, score and `contains` of its own questions, the other terms, effects; in points."""
    rows = []
    for code in (key for key in found.scores if "_translated_" not in key):
        row: dict[str, Any] = {"language": code, "questions": len(found.scores[code])}
        row |= {name: round(100 * fmean(of[code].values()), 2) for name, of in (("score", found.scores), ("contains", found.contains))}
        for by, one in (("human", found.diagnosis), ("machine", found.machine)):
            for name, effect in (("in_english", one.mother_tongue), ("from_english", one.locality)):
                pair = effect.by_language.get(code) if effect else None
                row[f"{name}_{by}"] = round(100 * pair[1], 2) if pair else None
                short = {"in_english": "mte", "from_english": "le"}[name]
                row[f"{short}_{by}"] = round(100 * (pair[0] - pair[1]), 2) if pair else None
        rows.append(row)
    return rows


def audit(rows: Sequence[Row], language: str) -> list[str]:
    """What is odd about questions, one sentence a kind: blank answers, answers in the question or not in the text,
    an answer that is right too often."""
    from papers.multiloko.data import unanswerable

    forms = {row.id: {form for target in row.targets for form in answer_variants(target, language)} for row in rows}
    plain = {row.id: normalise(row.question, language) for row in rows}
    texts = {row.id: normalise(row.text, language) for row in rows if row.text}
    given = [key for key, found in forms.items() if any(form in plain[key] for form in found)]
    absent = [key for key, text in texts.items() if forms[key] and not any(form in text for form in forms[key])]
    first = Counter(normalise(row.targets[0], language) for row in rows)
    common, count = first.most_common(1)[0]
    told = {
        "no right answer that can be matched": unanswerable(rows, language),
        "a right answer in the question": given,
        "no right answer in the text": absent,
        f"{common!r} as right answer": [row.id for row in rows if normalise(row.targets[0], language) == common]
        if count > max(2, len(rows) // 10)
        else [],
    }
    return [f"{len(keys)} of {len(rows)} have {what}: {', '.join(keys[:5])}" for what, keys in told.items() if keys]


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
    max_new_tokens: Annotated[int, Range(1)] = 64
    """Room for an answer."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the forward pass."""
    out: Path = Path("scores")
    """Folder for predictions.jsonl and what `score` writes."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """Write a language's set in the official layout, and say what is odd about it."""

    rows: Positional[Path]
    """`question` and `targets` (a list, or " | " between answers), better also `output_type`, `text`, `target`, `id`."""
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
    said = answers(loaded, asked, options.references, options.mode, options.shots, options.max_new_tokens)
    options.out.mkdir(parents=True, exist_ok=True)
    write_predictions(options.out / "predictions.jsonl", said)
    _tell(asked, {options.model: said}, options.scorer, "em", options.out)


def _tell(asked: Sets, said: Mapping[str, Said], scorer: Scorer, metric: Metric, out: Path) -> None:
    from core.files import write_rows, write_table
    from core.metrics.stats import compare, spearman
    from papers.multiloko import method
    from papers.multiloko.answers import score
    from papers.multiloko.data import unanswerable

    found = {name: report(asked, answers, scorer, metric, name) for name, answers in said.items()}
    for name, one in found.items():
        print(f"{name}: {metric} of {sum(map(len, one.scores.values()))} answers in {len(one.scores)} sets")
        print("\n".join(lines(one, scorer)))
    if blank := {key: len(ids) for key, rows in asked.items() if (ids := unanswerable(rows, language_of(key)))}:
        print(f"No answer can match {sum(blank.values())} questions, whose right answers are blank: {', '.join(blank)}.")
    name, first = next(iter(found.items()))
    own = lambda one: {f"{c}/{key}": v for c in method.local(one.scores) for key, v in one.scores[c].items()}  # noqa: E731
    for other, one in list(found.items())[1:]:
        if own(one).keys() != own(first).keys():
            raise UserError(f"{other} and {name} answer other languages: give files of the same sets.")
        gain = compare({0: own(one)}, {0: own(first)}, 1).interval
        print(f"{other} less {name}: {100 * gain.estimate:+.2f} [{100 * gain.low:+.2f}, {100 * gain.high:+.2f}], languages drawn")
    effects = [method.translation(one.scores) for one in found.values()]
    if len(effects) > 2 and all(effects):
        human, machine = zip(*(map(fmean, zip(*e.by_language.values(), strict=True)) for e in effects if e), strict=True)
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
    from core.tasks.transcripts import complete
    from papers.multiloko.data import SHOTS, read_set, write_set
    from papers.multiloko.method import PIVOT, set_name

    if not re.fullmatch(r"(?!english$)[a-z]+(_[a-z]+)*", options.language) or "_translated" in options.language:
        raise UserError(f"--language {options.language!r}: write small letters and underscores, as in simplified_mandarin.")
    if (options.from_human or options.from_machine) and not options.english:
        raise UserError("Translations of English questions need the questions themselves: give --english.")
    code = options.language
    files = {code: options.rows, set_name(code, PIVOT): options.human, set_name(code, PIVOT, "machine"): options.machine}
    files |= {PIVOT: options.english, set_name(PIVOT, code): options.from_human}
    files |= {set_name(PIVOT, code, "machine"): options.from_machine}
    read = {key: read_set(path) for key, path in files.items() if path}
    for key, rows in read.items():
        home = key.partition("_translated_")[0]
        complete([row.id for row in rows], [row.id for row in read[home]], files[key])
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
    data="the folder of the unpacked release, or one of the same layout, such as `use build` writes.",
    means="What the model knows that matters in each language, how far languages are apart, and whether it knows local "
    "facts in their language alone (mother-tongue effect above 0) or better in English (below).",
    limits="Nothing minus nothing is no effect: look at both terms, and at `contains` for a model that talks around its "
    "answers. Differences of translated sets are also those of the translation. Numbers of different scorers do not "
    "compare.",
    more="--mode chat --languages swedish thai",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.multiloko.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
