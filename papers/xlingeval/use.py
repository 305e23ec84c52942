"""XLingEval on your own: a model on your questions, answers that you have, wrong answers, a scorer, verdicts.

    python -m papers.xlingeval.use evaluate mine.tsv --model Qwen/Qwen2.5-0.5B-Instruct --languages hi
    python -m papers.xlingeval.use consistency answers.jsonl
    python -m papers.xlingeval.use pairs mine.tsv --languages hi --out pairs.tsv
    python -m papers.xlingeval.use verify mine.tsv --languages hi --scorer mine.py:scorer
    python -m papers.xlingeval.use verdicts replies.csv

As a library: :func:`papers.xlingeval.consistency`, :func:`papers.xlingeval.candidates`,
:func:`papers.xlingeval.verdict`, :func:`papers.xlingeval.drops`.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try
from papers.xlingeval.config import AXES, Axis, Config
from papers.xlingeval.verdicts import Parser

if TYPE_CHECKING:
    from papers.xlingeval.eval import Scores

# What the axes are called in a report.
AXIS_NAMES = {
    "right": "right answers",
    "wrong": "contradictory answers",
    "alike": "consistency",
    "auc": "verifiability",
}


# --- as a command -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Ask a model questions of your own in English and other languages, on all axes."""

    questions: Positional[str]
    """A table in one of the layouts on the page, such as rows of `id`, `language`, `question` and `answer`."""
    model: str
    """A causal model: hub id, folder or wheel."""
    languages: tuple[str, ...]
    """Codes, beside English."""
    axes: tuple[Axis, ...] = AXES
    """What is measured."""
    judge: str = "none"
    """A chat model; `requests`, which writes judge_requests.jsonl for one elsewhere, then the file of its replies (rows
    of `id` and `judgement`); `likelihood` or `nearest` where every question has a `contradiction`; none = correctness
    is left out."""
    score: Literal["likelihood", "verdict"] = "likelihood"
    """How right answers are told from wrong: by how likely the question makes them, or by Yes and No."""
    negatives: Annotated[int, Range(1)] = 4
    """Wrong answers to a question: those of the table, else right ones to questions on other topics."""
    samples: Annotated[int, Range(2)] = 4
    """Answers to a question, for consistency."""
    temperature: Annotated[float, Range(0)] = 1.0
    """Of these."""
    encoder: str = "wheel:e5-small"
    """Sentence vectors for consistency."""
    max_new_tokens: Annotated[int, Range(1)] = 200
    """Longest answer."""
    seed: Seed = 0
    """Draws wrong answers and samples."""
    out: Path = Path("report")
    """Folder for questions.tsv (scores) and answers.jsonl (what was said)."""


@dataclass(frozen=True, kw_only=True)
class Consistency:
    """How alike several answers to a question are, by every similarity."""

    answers: Positional[str]
    """Rows of `id`, `language` and `answer`, two or more to every question."""
    encoder: str = "wheel:e5-small"
    """Sentence vectors; none = words alone."""
    topics: Annotated[int, Range(0)] = 10
    """Of the topic model; 0 = none."""
    out: Path = Path("consistency.tsv")
    """A row a question."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Add wrong answers to questions, in the official layout."""

    questions: Positional[str]
    """A table in one of the layouts on the page."""
    languages: tuple[str, ...] = ()
    """Codes beside English; empty = all."""
    negatives: Annotated[int, Range(1)] = 4
    """To each question; 4 in LiveQA and MedicationQA, 9 in HealthQA."""
    seed: Seed = 0
    """Draws them."""
    out: Path = Path("pairs.tsv")
    """The table."""


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Let a scorer of your own tell right answers from wrong ones, in every language."""

    questions: Positional[str]
    """A table in one of the layouts on the page."""
    scorer: str
    """`path/to/file.py:function`; the function returns one from question, answer and language to a number."""
    languages: tuple[str, ...]
    """Codes, beside English."""
    negatives: Annotated[int, Range(1)] = 4
    """Wrong answers to a question."""
    seed: Seed = 0
    """Draws them."""
    out: Path = Path("report")
    """Folder for questions.tsv."""


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """Read Yes, No or neither from what models wrote; with `label`, score them."""

    replies: Positional[str]
    """Rows of `language` and `text`, and perhaps `label` (1 = the answer was right)."""
    parser: Parser = "words"
    """`official` for the paper's numbers."""
    out: Path = Path("verdicts.jsonl")
    """The rows with `verdict`: 1, 0 or -1."""


def run_evaluate(options: Evaluate) -> None:
    """Measure, and print what each language loses."""
    from core.experiment.run import temporary
    from core.files import write_rows
    from core.tasks.judging import write_requests
    from papers.xlingeval.data import candidates, read_items
    from papers.xlingeval.eval import Interview

    axes = tuple(axis for axis in options.axes if axis != "correctness" or options.judge != "none")
    config = Config(
        model=options.model, source=options.questions, languages=options.languages, axes=axes, judge=options.judge,
        score=options.score, negatives=options.negatives, samples=options.samples, sampled=0,
        temperatures=(options.temperature,), encoder=options.encoder, max_new_tokens=options.max_new_tokens,
        seed=options.seed,
    )  # fmt: skip
    items = read_items(options.questions, options.languages)
    needed = "verifiability" in axes or options.judge == "likelihood"
    asked = candidates(items, options.negatives, options.seed) if needed else {}
    with temporary("xlingeval", config) as run:
        found = Interview(config, items, asked, run).held()
    if options.judge == "requests":
        found.scores = {name: by for name, by in found.scores.items() if name not in ("right", "wrong")}
    _report(found.scores, options.out)
    if options.score == "verdict":
        shown = ", ".join(f"{code} {1 - fmean(kept.values()):.0%}" for code, kept in found.scores["kept"].items())
        print(f"verdicts that are none: {shown}")
    write_rows(options.out / "answers.jsonl", found.rows)
    if options.judge == "requests":
        write_requests(options.out / "judge_requests.jsonl", found.prompts, "judge")
        print(f"Wrote {options.out / 'judge_requests.jsonl'}: have it answered, then give the replies with --judge.")


def _report(scores: Mapping[str, Scores], out: Path) -> None:
    """Print the axes with what each language loses, and write all scores."""
    from papers.xlingeval import method
    from papers.xlingeval.eval import WORSE

    for name in (axis for axis in AXIS_NAMES if axis in scores):
        keys = method.common(scores[name])
        means = {code: fmean(found[key] for key in keys) for code, found in scores[name].items()}
        print(f"{AXIS_NAMES[name]}, {len(keys)} questions: {', '.join(f'{c} {mean:.3f}' for c, mean in means.items())}")
        sign = -1 if name in WORSE else 1
        for code, drop in method.drops(scores[name]).items() if len(keys) > 1 else ():
            low, high = sorted((sign * drop.points.low, sign * drop.points.high))
            part = "" if math.isnan(drop.relative.estimate) else f", {sign * drop.relative.estimate:+.1%}"
            lost = f"{sign * drop.points.estimate:+.3f} [{low:+.3f}, {high:+.3f}]"
            print(f"  {code} loses {lost} against English{part}, 95 % over questions")
    rows: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for name, by_language in scores.items():
        for code, values in by_language.items():
            for key, value in values.items():
                rows[code, key][name] = value
    if rows:
        _write(out / "questions.tsv", [{"language": code, "id": key, **row} for (code, key), row in rows.items()])


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A table with a column for every name that a row has; what is no number is left empty."""
    from core.files import write_table

    names = list(dict.fromkeys(name for row in rows for name in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, [{name: _shown(row.get(name)) for name in names} for row in rows])
    print(f"Wrote {path}.")


def _shown(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def run_consistency(options: Consistency) -> None:
    """Print means by language."""
    from core.corpora import adapted, read_rows
    from core.models.embedding import load_encoder
    from papers.xlingeval.similarity import consistency

    answers: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    parts = adapted(
        options.answers, read_rows(options.answers), lambda row, _: [row[k] for k in ("language", "id", "answer")]
    )
    for code, key, text in parts:
        answers[str(code)][str(key)].append("" if text is None else str(text))
    encoder = load_encoder(options.encoder) if options.encoder != "none" else None
    rows: list[dict[str, Any]] = []
    for code, own in answers.items():
        found = consistency(own, code, encoder, options.topics)
        known = {name: [value for value in values.values() if not math.isnan(value)] for name, values in found.items()}
        print(f"{code}, {len(own)} questions: " + ", ".join(f"{n} {fmean(v):.3f}" for n, v in known.items() if v))
        rows += [{"language": code, "id": key} | {n: found[n].get(key) for n in found} for key in own]
    _write(options.out, rows)


def run_pairs(options: Pairs) -> None:
    """Draw and write."""
    from papers.xlingeval.data import candidates, read_items, write_long

    items = read_items(options.questions, options.languages)
    asked = candidates(items, options.negatives, options.seed)
    write_long(options.out, items, asked)
    print(f"Wrote {sum(map(len, asked.values()))} answers to {len(items)} questions to {options.out}.")


def run_verify(options: Verify) -> None:
    """Score every candidate."""
    from core.plugins import own
    from papers.xlingeval import method
    from papers.xlingeval.data import candidates, languages_of, read_items

    items = read_items(options.questions, options.languages)
    asked, scorer = candidates(items, options.negatives, options.seed), own(options.scorer, "scorer")
    scores: Scores = defaultdict(dict)
    for code, item in itertools.product(languages_of(items), items):
        try:
            values = [float(scorer(item.texts[code].question, texts[code], code)) for texts in asked[item.id]]
        except Exception as error:
            raise UserError(f"--scorer fails on {item.id!r} in {code!r} ({type(error).__name__}: {error}).") from error
        if not all(map(math.isfinite, values)):
            raise UserError(f"--scorer gives no finite number to {item.id!r} in {code!r}.")
        scores[code][item.id] = method.auc(values[0], values[1:])
    _report({"auc": scores}, options.out)


def run_verdicts(options: Verdicts) -> None:
    """Print how many there are of each, and how well they fit."""
    from core.corpora import adapted, read_rows
    from core.files import write_rows
    from papers.xlingeval.method import verifiability
    from papers.xlingeval.verdicts import verdict

    def part(row: Mapping[str, Any], _: int) -> dict[str, Any]:
        text = row["text"]
        if text is not None and not isinstance(text, str):
            raise UserError("`text` is no text: write what the model said.")
        label = {} if row.get("label") in (None, "") else {"label": int(float(row["label"]))}
        if label and label["label"] not in (0, 1):
            raise UserError(f"label {row['label']!r} is neither 1 nor 0.")
        return {**row, **label, "verdict": verdict(text, str(row["language"]), options.parser)}

    rows = list(adapted(options.replies, read_rows(options.replies), part))
    for code in dict.fromkeys(str(row["language"]) for row in rows):
        own = [row for row in rows if str(row["language"]) == code]
        counts = {value: sum(row["verdict"] == value for row in own) for value in (1, 0, -1)}
        print(f"{code}: {counts[1]} Yes, {counts[0]} No, {counts[-1]} neither")
        if labelled := [row for row in own if row.get("label") in (0, 1)]:
            found = verifiability([row["label"] for row in labelled], [row["verdict"] for row in labelled])
            print("  " + ", ".join(f"{name} {value:.3f}" for name, value in found._asdict().items()))
    write_rows(options.out, rows)
    print(f"Wrote {options.out}.")


VERBS: Verbs = {
    "evaluate": (Evaluate, run_evaluate), "consistency": (Consistency, run_consistency), "pairs": (Pairs, run_pairs),
    "verify": (Verify, run_verify), "verdicts": (Verdicts, run_verdicts),
}  # fmt: skip

TRY = Try(
    command="evaluate {data} --model {model} --languages {language} --out {out}",
    data="questions with an expert's answer in English and the language: rows of id, language, question and answer.",
    means="What asking in the language costs against English, within the same questions: how well right answers are "
    "told from wrong ones, and how alike several answers to a question are, each with its interval.",
    limits="Part of a loss is the translation's and the tokenizer's. A model that repeats itself is consistent: look "
    "at the answers. Correctness needs a judge (--judge), whose own weakness in the language is mixed into its labels.",
    more="--judge meta-llama/Llama-3.1-70B-Instruct",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.xlingeval.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
