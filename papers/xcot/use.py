"""xCoT on your own data: build a training set, switch words of a text, score outputs, tune a model of yours.

python -m papers.xcot.use build --english en.jsonl --translated sw.jsonl --language sw --lexicon en-sw.tsv
echo "Maria has three apples" | python -m papers.xcot.use switch --lexicon en-sw.tsv
python -m papers.xcot.use score --outputs outputs.jsonl --references mgsm.jsonl --low sw bn te th
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, show, tools
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
class Switch:
    """Replace words of the lines on standard input by their translations."""

    lexicon: str
    """Word list: a word or phrase, a tab and its translation a line."""
    alpha: Annotated[float, Range(0, 1)] = 0.5
    """Probability that a unit is replaced."""
    seed: Seed = 0
    """Of the choice."""


@dataclass(frozen=True)
class Score:
    """Score outputs as MGSM does, the last number of each, by language, and say how far the languages are apart."""

    outputs: str
    """Rows with id, lang and output."""
    references: str
    """Rows with id, lang and answer."""
    low: tuple[str, ...] = ("sw", "bn", "te", "th")
    """Codes of the languages with little data."""
    high: str = HIGH
    """The language that they are measured by."""


def read_lexicon(path: str) -> dict[str, list[str]]:
    """A word list: every word or phrase with all its translations."""
    from core.corpora.lexicons import read_dictionary

    found: dict[str, list[str]] = {}
    for source, target in read_dictionary(path):
        found.setdefault(source, []).append(target)
    return found


def build(options: Build) -> None:
    """Write the JSONL."""
    from core.files import write_rows
    from papers.xcot import data

    if len(options.translated) != len(options.language) or len(options.lexicon) not in (0, len(options.language)):
        raise UserError(
            f"{len(options.translated)} translations and {len(options.lexicon)} lexicons for {len(options.language)} "
            "languages: give one each, in their order."
        )
    english = data.read_texts(options.english, answers=True)
    translated = {
        code: data.read_texts(source) for code, source in zip(options.language, options.translated, strict=True)
    }
    lexicons = {code: read_lexicon(path) for code, path in zip(options.language, options.lexicon, strict=False)}
    rows = data.build_xcot(english, translated, lexicons, options.alpha, options.k, options.seed)
    write_rows(options.out, rows)
    known = {code: sum(row["lang"] == code for row in rows) for code in (HIGH, *options.language)}
    print(f"{options.out}: {', '.join(f'{count} in {code}' for code, count in known.items())}")


def switch(options: Switch) -> None:
    """Print the lines in two languages."""
    from core.files import standard_input
    from core.text.codeswitch import CodeSwitcher

    switcher = CodeSwitcher(read_lexicon(options.lexicon), options.alpha, options.seed)
    for number, line in enumerate(standard_input()):
        print(switcher(line, number).text)


def score(options: Score) -> None:
    """Print accuracy by language, the mean, that of low-resource languages, the gap and the mean to the best."""
    from core import corpora

    def read(path: str, column: str) -> dict[tuple[str, str], str]:
        rows = corpora.read_jsonl(path, required={"id": object, "lang": str, column: object})
        return {(row["lang"], str(row["id"])): str(row[column]) for row in rows}

    outputs, wanted = read(options.outputs, "output"), read(options.references, "answer")
    if missing := [key for key in outputs if key not in wanted]:
        lang, key = missing[0]
        raise UserError(f"{options.references} has no row {key!r} in {lang!r}: both are joined on `id` and `lang`.")
    show(table(outputs, wanted, options.low, options.high))


def table(
    outputs: Mapping[tuple[str, str], str],
    answers: Mapping[tuple[str, str], str],
    low: Sequence[str],
    high: str = HIGH,
) -> dict[str, float]:
    """The table of MGSM: accuracy by language, then `mean`, `low`, `gap` and `mean_to_best`.

    Args:
        outputs: By language and id; what was not answered counts as wrong.
        answers: The numbers, of the languages that were answered.
        low: Languages with little data.
        high: The language that they are measured by.

    Raises:
        UserError: There is no output in a language that is needed.
    """
    from core.metrics.answers import same_number
    from core.metrics.gaps import language_gap

    found: dict[str, list[float]] = {}
    for (code, key), answer in answers.items():
        found.setdefault(code, []).append(same_number(outputs.get((code, key), ""), answer))
    answered = {code for code, _ in outputs}
    scores = {code: sum(right) / len(right) for code, right in found.items() if code in answered}
    return {**scores, **language_gap(scores, low, high)._asdict()}


def finetune(
    model: Any, tokenizer: Any, examples: Sequence[Example], languages: Sequence[str], config: Config | None = None
) -> Any:
    """Tune any causal language model, in place, by any of the three devices.

    Args:
        model: Of transformers, or a PEFT model around one.
        tokenizer: Its own, with an end token.
        examples: `papers.xcot.read_examples("xcot.jsonl")`, or one's own.
        languages: Codes of the languages beside English.
        config: Devices (`context`, `rewrite`, `beta`) and `training`; None = all three, 160 steps.

    Raises:
        UserError: A language has no example.
    """
    from core.experiment.run import temporary
    from papers.xcot import method

    config = replace(config or TINY, languages=tuple(languages))
    pool = {code: [one for one in examples if code in one.questions] for code in (HIGH, *languages)}
    if empty := [code for code, own in pool.items() if not own]:
        raise UserError(f"There is no example in {empty[0]!r}: leave the language out, or add some.")
    settings = config.training
    count = settings.steps * settings.batch_size or round(settings.epochs * sum(map(len, pool.values())))
    with temporary("xcot") as run:
        method.tune(model, tokenizer, method.Draws(pool, config, max(count, settings.batch_size)), settings, run)
    return model.eval()


VERBS: Verbs = {"build": (Build, build), "switch": (Switch, switch), "score": (Score, score)}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.xcot.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
