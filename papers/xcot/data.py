"""What the method is fed: own examples, MathOctopus' translations of GSM8K, questions to measure on.

rows = build_xcot(english, {"sw": swahili}, {"sw": {"three": ["tatu"], ...}})     # rows of the JSONL that trains
found = pool(config)              # {"en": [Example, ...], "sw": [...]}, what `Draws` draws from
asked = tests(config)             # {"en": [Question, ...], "sw": [...]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from core.corpora import adapted, read_rows
from core.corpora.filtering import aligned_words
from core.errors import UserError
from core.tasks import mathematics
from core.tasks.mathematics import Question, chain_of_thought
from core.text.codeswitch import CodeSwitcher, Unit
from papers.xcot import miniature
from papers.xcot.config import HIGH, Config
from papers.xcot.method import Example, Pool, Turn, switched

Lexicon = Mapping[str, str | Sequence[str]]
# Questions from which words are aligned where there is no lexicon; examples kept for development, a tenth at most.
ALIGNED, DEV = 2000, 100


def with_units(examples: Sequence[Example], lexicons: Mapping[str, Lexicon], codes: Sequence[str]) -> list[Example]:
    """Examples with the units of their English questions; without a lexicon words are aligned by IBM Model 1."""
    for code in codes:
        pairs = [(one.questions[HIGH], one.questions[code]) for one in examples if code in one.questions][:ALIGNED]
        known = CodeSwitcher(lexicons.get(code) or aligned_words(pairs))
        examples = [one._replace(units={**one.units, code: known.units(one.questions[HIGH])}) for one in examples]
    return list(examples)


def build_xcot(
    english: Sequence[Mapping[str, Any]],
    translated: Mapping[str, Sequence[Mapping[str, Any]]],
    lexicons: Mapping[str, Lexicon] | None = None,
    alpha: float = 0.5,
    k: int = 2,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """A cross-lingual training set of an English one and its translations.

    Args:
        english: Rows with `id`, `question` and `answer`, a chain of thought that ends with the number.
        translated: By language, rows with `id`, `question` and, for native chains of thought, `answer`.
        lexicons: By language, English words or phrases and their translations; None: words are aligned by IBM-1.
        alpha: Probability that a unit of a demonstration is replaced.
        k: Demonstrations of a row's `prompt`.
        seed: Of their choice.

    Returns:
        A row for each question in each language, English first. `prompt` and `completion` train with any trainer;
        `units` (start, end, translation in the English question) let `papers.xcot.train` draw other demonstrations than
        those of `context`, and no longer the same.

    Raises:
        UserError: An answer has no number, an id is not in English, or there are too few examples.
    """
    found = {str(row["id"]): Example(str(row["id"]), {HIGH: row["question"]}, {HIGH: _chain(row)}) for row in english}
    for code, own in translated.items():
        for row in own:
            if (one := found.get(str(row["id"]))) is None:
                raise UserError(f"The example {row['id']!r} in {code!r} is not in English: rows are joined on `id`.")
            answers = {**one.answers, **({code: _chain(row)} if row.get("answer") else {})}
            found[one.id] = one._replace(questions={**one.questions, code: row["question"]}, answers=answers)
    if len(found) <= k:
        raise UserError(f"{len(found)} English examples are too few for {k} demonstrations beside a question.")
    rng, rows, examples = Random(seed), [], with_units(list(found.values()), lexicons or {}, list(translated))
    for code in (HIGH, *translated):
        for example in (one for one in examples if code in one.questions):
            shown = rng.sample([one for one in examples if one.id != example.id], k)
            turns = [Turn(switched(one, code, alpha, rng), one.answers[HIGH]) for one in shown]
            query = Turn(example.questions[code], example.answers[HIGH])
            row = {"id": example.id, "lang": code, "question": query.question, "question_en": example.questions[HIGH]}
            row |= {"answer_en": query.chain, "answer": example.answers.get(code, "")}
            row |= {"units": [list(unit) for unit in example.units.get(code, ())], "context": [one.id for one in shown]}
            prompt = "".join(f"{turn.prompt}{turn.answer}\n\n" for turn in turns) + query.prompt
            rows.append({**row, "prompt": prompt, "completion": query.answer})
    return rows


def _chain(row: Mapping[str, Any]) -> str:
    try:
        return chain_of_thought(row["answer"])
    except UserError as error:
        raise UserError(f"The example {row['id']!r}: {error}") from None


def read_texts(source: str, *columns: str) -> list[dict[str, str]]:
    """Rows of a file or hub dataset with `id` and `question`, perhaps `answer`, and the columns that have to be there.

    Raises:
        UserError: A row lacks one of them.
    """

    def texts(row: Mapping[str, Any], _: int) -> dict[str, str]:
        cells = {column: row.get(column) for column in ("id", "question", "answer")}
        found = {column: "" if cell is None else str(cell).strip() for column, cell in cells.items()}
        if lacking := [column for column in ("id", "question", *columns) if not found[column]]:
            raise UserError(f"it has no {lacking[0]}.")
        return found

    return list(adapted(source, read_rows(source), texts))


def read_examples(source: str) -> list[Example]:
    """Examples of a JSONL that :func:`build_xcot` made.

    Raises:
        UserError: A row of another form.
    """
    found: dict[str, Example] = {}

    def add(row: Mapping[str, Any], _: int) -> None:
        key, code, english = str(row["id"]), str(row["lang"]), {HIGH: chain_of_thought(row["answer_en"])}
        one = found.get(key, Example(key, {HIGH: str(row["question_en"])}, english))
        answers = {code: str(row["answer"])} if row.get("answer") else {}
        units = [Unit(int(start), int(end), str(text)) for start, end, text in row["units"]]
        questions = {**one.questions, code: str(row["question"])}
        found[key] = Example(key, questions, {**answers, **one.answers}, {**one.units, code: units})

    for _ in adapted(source, read_rows(source), add):
        pass
    return list(found.values())


def hub_examples(config: Config, source: str = mathematics.GSM8K_TRANSLATIONS) -> list[Example]:
    """MathOctopus' translations of GSM8K, with the units of IBM Model 1."""
    examples = []
    for row in mathematics.gsm8k_translations(config.languages, source):
        questions, answers = ({code: one[part] for code, one in row.items()} for part in (1, 2))
        examples.append(Example(row[HIGH].id, questions, answers))
    return with_units(examples, {}, config.languages)


def kept(config: Config) -> tuple[list[Example], list[Example]]:
    """Own examples or those of the hub for tuning, and a few that are kept for development."""
    found = read_examples(config.examples) if config.examples else hub_examples(config)
    size = min(DEV, len(found) // 10)
    return found[size:], found[:size]


def pool(config: Config) -> Pool:
    """What tuning draws from, by language.

    Raises:
        UserError: A language has no example, or the native arm no answer in it.
    """
    found = miniature.pool(config) if not config.base else by_language(kept(config)[0], config.languages)
    found = {code: own if code == HIGH else own[: config.questions or None] for code, own in found.items()}
    if config.answer_language == "native" and (
        lacking := [code for code, own in found.items() if any(code not in one.answers for one in own)]
    ):
        raise UserError(f"An example in {lacking[0]!r} has no answer in its language: give the column `answer`.")
    return mismatched(found, config.seed) if config.mismatched else found


def samples(config: Config, pool: Pool) -> int:
    """How many the settings draw: by steps, or as often as there are questions in all languages."""
    settings = config.training
    count = settings.steps * settings.batch_size or round(settings.epochs * sum(map(len, pool.values())))
    return max(count, settings.batch_size)


def by_language(examples: Sequence[Example], languages: Sequence[str]) -> Pool:
    """Examples that have a question in English and in each of the languages.

    Raises:
        UserError: There is none in one of them.
    """
    found = {code: [one for one in examples if code in one.questions] for code in (HIGH, *languages)}
    if empty := [code for code, own in found.items() if not own]:
        raise UserError(f"There is no example in {empty[0]!r}: leave the language out, or add some.")
    return found


def mismatched(found: Pool, seed: int) -> Pool:
    """The null arm: units become any words of the language, and a question stands for that of another example."""
    rng, others = Random(f"mismatched-{seed}"), {code: own for code, own in found.items() if code != HIGH}
    words = {code: sorted({u.translation for one in found[HIGH] for u in one.units.get(code, ())}) for code in others}

    def any_words(units: Mapping[str, Sequence[Unit]]) -> dict[str, list[Unit]]:
        return {code: [u._replace(translation=rng.choice(words[code])) for u in own] for code, own in units.items()}

    changed = {HIGH: [one._replace(units=any_words(one.units)) for one in found[HIGH]]}
    for code, own in others.items():
        pairs = zip(own, own[1:] + own[:1], strict=True)
        changed[code] = [
            two._replace(questions={**two.questions, code: one.questions[code]}, units=any_words(two.units))
            for one, two in pairs
        ]
    return changed


def tests(config: Config) -> dict[str, list[Question]]:
    """Questions to measure on, by language, English first.

    Raises:
        UserError: A language has none.
    """
    languages = (HIGH, *config.languages)
    if config.base and config.split == "test":
        return mathematics.questions(config.test, languages)
    items = miniature.measured(config) if not config.base else kept(config)[1]
    return {
        code: [Question(one.id, one.questions[code], one.answers[HIGH]) for one in own]
        for code, own in by_language(items, miniature.targets(config)).items()
    }
