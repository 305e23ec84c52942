"""Tables that the instrument reads and writes, the paper's published ones, and scores from lm-evaluation-harness.

scores   model  benchmark  language  score      .csv, .tsv, .jsonl, or a folder of lm-eval's results_*.json
ratings  model  language   rating               or a wide table: model, and a column a language
votes    language  first  second  winner        winner: first, second or tie
models   model  size  ...                       numbers that cost nothing to know; sizes are also read from names
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.files import load_json, write_table
from papers.bitter_lesson.method import Battle

if TYPE_CHECKING:
    from papers.bitter_lesson.config import Config

Column = dict[str, float]  # by model
Scores = dict[tuple[str, str], Column]  # by benchmark and language
Ratings = dict[str, Column]  # by language

_HERE = Path(__file__).parent
PEOPLE = ("zh", "fr", "de", "es", "ru")
# The harness's name of each benchmark, as its tasks are called; Okapi has no Chinese HellaSwag, XQuAD no French.
TASKS = {
    "XNLI": "xnli_{}", "ARC": "arc_{}", "HellaSwag": "hellaswag_{}", "TruthfulQA": "truthfulqa_{}_mc2",
    "MMLU": "m_mmlu_{}", "GlobalMMLU": "global_mmlu_full_{}", "XQuAD": "xquad_{}", "MGSM": "mgsm_native_cot_{}",
    "CMMLU": "cmmlu",
}  # fmt: skip
_ABSENT = {("HellaSwag", "zh"), ("XQuAD", "fr"), *(("CMMLU", code) for code in PEOPLE if code != "zh")}
# Which number of a task is its score, the first that it has.
_OFFICIAL = ("exact_match,flexible-extract", "f1,none", "acc_norm,none", "acc,none", "exact_match,none")
_ACCURACY = ("acc,none", "exact_match,strict-match", "exact_match,remove_whitespace", "exact_match,none")
ACCURACY = ":accuracy"


def tasks() -> dict[tuple[str, str], str]:
    """The harness's task of every benchmark and language of the paper."""
    pairs = ((benchmark, code) for benchmark in TASKS for code in PEOPLE)
    return {pair: TASKS[pair[0]].format(pair[1]) for pair in pairs if pair not in _ABSENT}


# --- the paper's tables -------------------------------------------------------------------------------------------


def arena() -> tuple[Ratings, Column]:
    """Table 3: ratings of thirty models in five languages on 30 December 2024, and nominal billions of parameters."""
    rows = list(read_rows(_HERE / "arena.csv"))
    ratings = {code: {row["model"]: float(row[code]) for row in rows} for code in PEOPLE}
    return ratings, {row["model"]: float(row["size"]) for row in rows}


def published() -> dict[tuple[str, str], float]:
    """Table 2: rho of each benchmark in each language; CMMLU's stands in the abstract."""
    return {(row["benchmark"], row["language"]): float(row["rho"]) for row in read_rows(_HERE / "published.csv")}


# --- own tables ---------------------------------------------------------------------------------------------------


def read_scores(source: str | Path) -> Scores:
    """Scores by benchmark and language.

    Raises:
        UserError: A file that cannot be read, a row without a column, with a score that is no number or twice.
    """
    if Path(source).is_dir():
        return from_harness(source)
    return _columns(source, ("benchmark", "language"), "score")


def read_ratings(source: str | Path) -> Ratings:
    """Ratings by language, of a long table or of one with a column a language."""
    rows = list(read_rows(source))
    if "rating" in rows[0]:
        return {key[0]: column for key, column in _columns(source, ("language",), "rating").items()}
    if "model" not in rows[0] or len(rows[0]) < 2:
        raise UserError(f"{source}: give the columns model, language and rating, or model and a column a language.")
    ratings: Ratings = {code: {} for code in rows[0] if code != "model"}

    def add(row: Mapping[str, Any], number: int) -> None:
        if (model := _text(row, "model")) in next(iter(ratings.values())):
            raise UserError(f"model {model!r} is there twice")
        for code in ratings:
            ratings[code][model] = _number(row, code)

    list(adapted(source, rows, add))
    return ratings


def read_votes(source: str | Path) -> dict[str, list[Battle]]:
    """Votes by language; without that column all are one language, called `all`."""
    sides = {"first": 1.0, "second": 0.0, "tie": 0.5, "model_a": 1.0, "model_b": 0.0, "tie (bothbad)": 0.5}
    votes: dict[str, list[Battle]] = defaultdict(list)

    def add(row: Mapping[str, Any], number: int) -> None:
        names = ("first", "second") if "first" in row else ("model_a", "model_b")
        first, second = (_text(row, name) for name in names)
        if (winner := _text(row, "winner")) not in sides:
            raise UserError(f"winner {winner!r} is none of {', '.join(sides)}")
        if first == second:
            raise UserError(f"{first!r} is compared with itself")
        votes[str(row.get("language") or "all")].append(Battle(first, second, sides[winner]))

    list(adapted(source, read_rows(source), add))
    return dict(votes)


def read_models(source: str | Path) -> dict[str, Column]:
    """Numbers that are known of each model, by column."""
    found: dict[str, Column] = defaultdict(dict)

    def add(row: Mapping[str, Any], number: int) -> None:
        for name in row.keys() - {"model"}:
            found[name][_text(row, "model")] = _number(row, name)

    list(adapted(source, read_rows(source), add))
    return dict(found)


def named_size(model: str) -> float | None:
    """Billions of parameters as the name says (`Llama-3.1-8B`, `phi-1.5`: none); nominal, gemma-7b has 8.5."""
    found = re.findall(r"(?:^|[-_/ ])(\d+(?:\.\d+)?)([bm])(?=$|[-_/ ])", model.lower())
    return float(found[-1][0]) / (1000 if found[-1][1] == "m" else 1) if found else None


def from_harness(folder: str | Path) -> Scores:
    """Scores of lm-eval's `results_*.json` below a folder, each task's main number, and its accuracy where it has one.

    Of a task that the paper does not have, the last part of the name is taken for the language.
    """
    scores: Scores = defaultdict(dict)
    known = {task: pair for pair, task in tasks().items()}
    for path in sorted(Path(folder).rglob("results*.json")):
        found = load_json(path, dict, sound=False)
        model, results = found.get("model_name"), found.get("results")
        if not isinstance(model, str) or not isinstance(results, dict):
            raise UserError(f"{path} is no results file of lm-eval: it has no model_name and results.")
        for task, numbers in results.items():
            benchmark, _, code = task.rpartition("_")
            add_task(scores, known.get(task, (benchmark or task, code if benchmark else "all")), model, numbers)
    if not scores:
        raise UserError(f"{folder} holds no results_*.json of lm-eval with a score: give its --output_path.")
    return dict(scores)


def add_task(scores: Scores, pair: tuple[str, str], model: str, numbers: Mapping[str, Any]) -> None:
    """A task's official number and its accuracy, under the names that the arms ask for."""
    for suffix, wanted in (("", _OFFICIAL), (ACCURACY, _ACCURACY)):
        values = [numbers[name] for name in wanted if isinstance(numbers.get(name), int | float)]
        if values and isfinite(values[0]):
            scores.setdefault((pair[0] + suffix, pair[1]), {})[model] = float(values[0])


def paired_columns(*columns: Column) -> tuple[list[float], ...]:
    """Values of the models that all columns have, in one order."""
    names = sorted(set(columns[0]).intersection(*columns[1:]))
    return tuple([column[name] for name in names] for column in columns)


def write_columns(path: Path, columns: Mapping[Any, Column], *names: str) -> None:
    """A row a model and key, under `model`, the names of the key's parts and that of the value."""
    rows: list[dict[str, str | float | None]] = [
        dict(zip(("model", *names), (model, *key, value), strict=True))
        for key, column in columns.items()
        for model, value in column.items()
    ]
    write_table(path, rows)


def _columns(source: str | Path, keys: Sequence[str], value: str) -> Any:
    found: dict[tuple[str, ...], Column] = defaultdict(dict)

    def add(row: Mapping[str, Any], number: int) -> None:
        column = found[tuple(_text(row, key) for key in keys)]
        if (model := _text(row, "model")) in column:
            raise UserError(f"model {model!r} is there twice with the same {' and '.join(keys)}")
        column[model] = _number(row, value)

    list(adapted(source, read_rows(source), add))
    return dict(found)


def _text(row: Mapping[str, Any], name: str) -> str:
    if row.get(name) is None or not str(row[name]).strip():
        raise UserError(f"it has no {name!r}")
    return str(row[name]).strip()


def _number(row: Mapping[str, Any], name: str) -> float:
    try:
        value = float(_text(row, name))
    except ValueError:
        raise UserError(f"{name} {row[name]!r} is no number") from None
    if not isfinite(value):
        raise UserError(f"{name} {row[name]!r} is not finite")
    return value


# --- which benchmark an arm takes ---------------------------------------------------------------------------------


def chosen(config: Config, scores: Scores, models: Mapping[str, Column]) -> Iterator[tuple[str, str, Column]]:
    """Language, name and scores of the benchmark that an arm takes, in every language that has such a pair.

    In the miniature the kind of text that was written in the language is its localized benchmark, and the other kind
    the translated one. Of the paper's sets only Chinese has both.
    """
    from papers.bitter_lesson.miniature import WRITTEN_IN

    suffix = ACCURACY if config.score == "accuracy" else ""
    own = {code: kind for kind, code in WRITTEN_IN.items()} if miniature(config) else {"zh": "CMMLU"}
    for code, localized in own.items():
        elsewhere = next((other for other in own if other != code), "fr")
        translated = own.get(elsewhere, "MMLU")
        name, at = {
            "localized": (localized, code), "translated": (translated, code), "foreign": (translated, elsewhere),
            "floor": ("characters" if "characters" in models else "size", code),
        }[config.benchmark]  # fmt: skip
        column = models.get(name) if config.benchmark == "floor" else scores.get((name + suffix, at))
        if not column:
            raise UserError(f"There are no scores of {name} in {at!r}, the {config.benchmark} benchmark of {code!r}.")
        yield code, name if at == code else f"{name} ({at})", column


def miniature(config: Config) -> bool:
    """Whether the models are the miniature's own."""
    return not config.models and not config.scores
