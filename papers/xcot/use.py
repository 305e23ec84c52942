"""xCoT on your own data: build a training set, score outputs, tune a model of yours.

python -m papers.xcot.use build --english en.jsonl --translated sw.jsonl --language sw --lexicon en-sw.tsv
python -m papers.xcot.use score --outputs outputs.jsonl --references mgsm.jsonl --low sw bn te th
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, show, tools
from core.experiment.trying import Try
from papers.xcot.config import HIGH, TINY, Config

if TYPE_CHECKING:
    from papers.xcot.method import Example


@dataclass(frozen=True)
class Build:
    """Turn an English set of questions with chains of thought and its translations into a cross-lingual JSONL."""

    english: str
    """Rows with id, question and answer, which ends with the number: JSONL, JSON, TSV, CSV, Parquet or hub dataset."""
    translated: tuple[str, ...]
    """Rows with id and question, and answer where chains of thought are translated too; one for each language."""
    language: tuple[str, ...]
    """Codes of the languages, in the order of the files."""
    lexicon: tuple[str, ...] = ()
    """Word lists, an English word or phrase, a tab and its translation a line, in that order; none: IBM-1 aligns."""
    alpha: Annotated[float, Range(0, 1)] = 0.5
    """Probability that a word of a demonstration is replaced."""
    k: Annotated[int, Range(1, 16)] = 2
    """Demonstrations of a row."""
    seed: Seed = 0
    """Of their choice."""
    out: Path = Path("xcot.jsonl")
    """File to write."""


@dataclass(frozen=True)
class Score:
    """Score outputs as MGSM does, the last number of each, by language, and say how far the languages are apart."""

    outputs: str
    """JSONL with id, lang and output."""
    references: str
    """JSONL with id, lang and answer."""
    low: tuple[str, ...] = ("sw", "bn", "te", "th")
    """Codes of the languages with little data."""
    high: str = HIGH
    """The language that they are measured by."""


def build(options: Build) -> None:
    """Write the JSONL."""
    from core.corpora.lexicons import by_word, read_dictionary
    from core.files import write_rows
    from papers.xcot import data

    counts = {len(options.translated), len(options.lexicon) or len(options.language)}
    if counts != {len(options.language)}:
        raise UserError(
            f"{len(options.translated)} translations and {len(options.lexicon)} lexicons for {len(options.language)} "
            "languages: give one each, in their order."
        )
    english = data.read_texts(options.english, "answer")
    translated = {code: data.read_texts(path) for code, path in zip(options.language, options.translated, strict=True)}
    lists = zip(options.language, options.lexicon, strict=False)
    lexicons = {code: by_word(read_dictionary(path)) for code, path in lists}
    rows = data.build_xcot(english, translated, lexicons, options.alpha, options.k, options.seed)
    write_rows(options.out, rows)
    known = {code: sum(row["lang"] == code for row in rows) for code in (HIGH, *options.language)}
    print(f"{options.out}: {', '.join(f'{count} in {code}' for code, count in known.items())}")


def score(options: Score) -> None:
    """Print accuracy by language, the mean, that of low-resource languages, the gap and the mean to the best."""
    from core import corpora
    from core.metrics.answers import last_number
    from core.tasks.mathematics import table

    def read(path: str, column: str) -> dict[tuple[str, str], str]:
        rows = corpora.read_jsonl(path, required={"id": object, "lang": str, column: object})
        return {(row["lang"], str(row["id"])): str(row[column]) for row in rows}

    outputs, answers = read(options.outputs, "output"), read(options.references, "answer")
    if wrong := [key for (_, key), answer in answers.items() if last_number(answer) is None]:
        raise UserError(f"{options.references}: the answer to {wrong[0]!r} has no number: write it with its number.")
    show(table(outputs, answers, options.low, options.high))


def finetune(
    model: Any, tokenizer: Any, examples: Sequence[Example], languages: Sequence[str], config: Config | None = None
) -> Any:
    """Tune any causal language model, in place, by any of the three devices.

    Args:
        model: Of transformers, or a PEFT model around one.
        tokenizer: Its own, with an end token.
        examples: `read_examples("xcot.jsonl")`, or one's own.
        languages: Codes of the languages beside English.
        config: Devices (`context`, `rewrite`, `beta`) and `training`; None = those of the tiny scale.

    Raises:
        UserError: A language has no example.
    """
    from core.experiment.run import temporary
    from papers.xcot import data, method

    config = replace(config or TINY, languages=tuple(languages))
    pool = data.by_language(examples, languages)
    with temporary("xcot") as run:
        method.tune(model, tokenizer, method.Draws(pool, config, data.samples(config, pool)), config.training, run)
    return model.eval()


VERBS: Verbs = {"build": (Build, build), "score": (Score, score)}

TRY = Try(
    command="score --references {data}",
    data="word problems with answers as JSON lines; a model's outputs come with `-- --outputs outputs.jsonl`.",
    means="Accuracy by language with intervals, the gap to the best one, mean over best.",
    limits="Right numbers, not right reasons.",
    more="--outputs outputs.jsonl",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.xcot.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
