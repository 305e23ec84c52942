"""What the method is fed: own examples, MathOctopus' translations of GSM8K, questions to measure on.

    rows = build_xcot(english, {"sw": swahili}, {"sw": {"three": ["tatu"], ...}})     # rows of the JSONL that trains
    found = pool(config)              # {"en": [Example, ...], "sw": [...]}, what `Draws` draws from
    asked = tests(config)             # {"en": [Question, ...], "sw": [...]}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from core import corpora
from core.corpora import adapted, read_rows
from core.corpora.filtering import ibm_model_1, words
from core.corpora.lexicons import read_dictionary
from core.errors import UserError
from core.metrics.answers import last_number
from core.text.codeswitch import CodeSwitcher, Unit, switch_units
from core.text.languages import match, name
from papers.xcot import miniature
from papers.xcot.config import HIGH, Config
from papers.xcot.method import Example, Turn

Pool = dict[str, list[Example]]
Lexicon = Mapping[str, str | Sequence[str]]
HUB = "Mathoctopus/GSM8KInstruct_Parallel"
# Questions from which words are aligned, and the probability from which a word counts as a translation.
ALIGNED, LIKELY = 2000, 0.3
# Examples that are kept for development, where there are ten times as many.
DEV = 100
_PROMPT = re.compile(r"answer in (\w+)\.?\s*### Instruction:\s*(.*?)\s*### Response:", re.DOTALL | re.IGNORECASE)


class Question(NamedTuple):
    """A question to measure on, its number, and the same in English where that is known."""

    id: str
    question: str
    answer: str
    english: str = ""


# --- examples ---------------------------------------------------------------------------------------------------------


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
        lexicons: By language, English words or phrases and their translations. None: words are aligned by IBM-1.
        alpha: Probability that a unit of a demonstration is replaced.
        k: Demonstrations of a row's `prompt`.
        seed: Of their choice.

    Returns:
        A row for each question in each language, English first. `prompt` and `completion` train with any trainer;
        `units` (start, end, translation in the English question) and `context` (ids of the demonstrations) let
        `papers.xcot.train` draw others.

    Raises:
        UserError: An answer has no number, an id is not in English, or there are too few examples.
    """
    examples = list(_examples(english, translated, lexicons or {}).values())
    if len(examples) <= k:
        raise UserError(f"{len(examples)} English examples are too few for {k} demonstrations beside a question.")
    rng, rows = Random(seed), []
    for code in (HIGH, *translated):
        for example in (one for one in examples if code in one.questions):
            shown = rng.sample([one for one in examples if one.id != example.id], k)
            switched = [switch_units(one.questions[HIGH], one.units.get(code, ()), alpha, rng).text for one in shown]
            turns = [Turn(text, one.answers[HIGH], "") for text, one in zip(switched, shown, strict=True)]
            context = "".join(f"{turn.prompt}{turn.answer}\n\n" for turn in turns)
            query = Turn(example.questions[code], example.answers[HIGH], "")
            row = {"id": example.id, "lang": code, "question": query.question, "question_en": example.questions[HIGH]}
            row |= {"answer_en": query.chain, "answer": example.answers.get(code, "")}
            row |= {"units": [list(unit) for unit in example.units.get(code, ())], "context": [one.id for one in shown]}
            rows.append({**row, "prompt": context + query.prompt, "completion": query.answer})
    return rows


def _examples(
    english: Sequence[Mapping[str, Any]],
    translated: Mapping[str, Sequence[Mapping[str, Any]]],
    lexicons: Mapping[str, Lexicon],
) -> dict[str, Example]:
    found = {
        str(row["id"]): Example(str(row["id"]), {HIGH: row["question"]}, {HIGH: _numbered(row)}, {}) for row in english
    }
    for code, rows in translated.items():
        if unknown := [str(row["id"]) for row in rows if str(row["id"]) not in found]:
            raise UserError(f"The example {unknown[0]!r} in {code!r} is not in English: rows are joined on `id`.")
        for row in rows:
            one = found[str(row["id"])]
            answers = {**one.answers, **({code: _numbered(row)} if row.get("answer") else {})}
            found[one.id] = one._replace(questions={**one.questions, code: row["question"]}, answers=answers)
        own = lexicons.get(code) or aligned_lexicon([one for one in found.values() if code in one.questions], code)
        switcher = CodeSwitcher(own)
        for key, one in found.items():
            found[key] = one._replace(units={**one.units, code: switcher.units(one.questions[HIGH])})
    return found


def _numbered(row: Mapping[str, Any]) -> str:
    """A row's chain of thought; GSM8K's marks become the sentence that ends one."""
    text = re.sub(r"<<.*?>>", "", row["answer"]).strip()
    if last_number(text) is None:
        raise UserError(f"The answer of {row['id']!r} has no number: a chain of thought ends with one.")
    return re.sub(r"\s*####\s*(\S+)\s*$", r"\nThe answer is \1.", text)


def aligned_lexicon(examples: Sequence[Example], code: str) -> dict[str, str]:
    """English words and the likeliest word in the other language, by IBM Model 1 on the questions.

    Words that mean each other seldom enough are left out, and digits. Where scripts put no space between words, this
    aligns single characters: give a lexicon there.
    """
    pairs = examples[:ALIGNED]
    table = ibm_model_1([words(one.questions[HIGH]) for one in pairs], [words(one.questions[code]) for one in pairs], 5)
    best: dict[str, tuple[float, str]] = {}
    for (source, target), probability in table.items():
        best[source] = max(best.get(source, (LIKELY, "")), (probability, target))
    return {source: target for source, (_, target) in best.items() if target and not target.isdigit()}


def read_texts(source: str, *, answers: bool = False) -> list[dict[str, str]]:
    """Rows of a file or hub dataset with `id`, `question` and perhaps `answer`, which may be asked for.

    Raises:
        UserError: A row lacks one of them.
    """

    def texts(row: Mapping[str, Any], _: int) -> dict[str, str]:
        found = {column: str(row.get(column) or "").strip() for column in ("id", "question", "answer")}
        found["id"] = str(row.get("id", "")).strip()
        needed = ("id", "question", "answer") if answers else ("id", "question")
        if lacking := [column for column in needed if not found[column]]:
            raise UserError(f"it has no {lacking[0]}.")
        return found

    return list(adapted(source, read_rows(source), texts))


def read_examples(source: str) -> dict[str, Example]:
    """Examples of a JSONL that :func:`build_xcot` made.

    Raises:
        UserError: A row of another form.
    """
    found: dict[str, Example] = {}

    def add(row: Mapping[str, Any], _: int) -> None:
        key, code = str(row["id"]), str(row["lang"])
        one = found.get(key) or Example(key, {HIGH: row["question_en"]}, {HIGH: row["answer_en"]}, {})
        if last_number(row["answer_en"]) is None:
            raise UserError("its answer_en has no number: a chain of thought ends with one.")
        answers = {code: row["answer"]} if row.get("answer") else {}
        units = [Unit(int(start), int(end), str(text)) for start, end, text in row["units"]]
        found[key] = one._replace(
            questions={**one.questions, code: str(row["question"])},
            answers={**answers, **one.answers},
            units={**one.units, code: units},
        )

    for _ in adapted(source, read_rows(source), add):
        pass
    return found


def hub_examples(config: Config, source: str = HUB) -> dict[str, Example]:
    """MathOctopus' GSM8K: an English row (`prompt`, `chosen`), then its translations, as far as there are any.

    Raises:
        UserError: A row of another form, or none in English.
    """
    codes = {name(code): code for code in (HIGH, *config.languages)}
    english: list[dict[str, str]] = []
    translated: dict[str, list[dict[str, str]]] = {code: [] for code in config.languages}

    def add(row: Mapping[str, Any], number: int) -> None:
        asked = _PROMPT.search(row["prompt"])
        if not asked:
            raise UserError("its prompt is not MathOctopus', which names the language and the instruction.")
        code = codes.get(asked[1].capitalize())
        if code == HIGH:
            english.append({"id": str(number), "question": asked[2], "answer": row["chosen"]})
        elif code and english:
            translated[code].append({"id": english[-1]["id"], "question": asked[2], "answer": row["chosen"]})

    for _ in adapted(source, read_rows(source), add):
        pass
    if not english:
        raise UserError(f"{source} has no English row, which the translations follow.")
    lexicons = {code: _lexicon(config.lexicons, code) for code in config.languages} if config.lexicons else {}
    return _examples(english, translated, lexicons)


def _lexicon(folder: str, code: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for source, target in read_dictionary(Path(folder) / f"{HIGH}-{code}.tsv"):
        found.setdefault(source, []).append(target)
    return found


def _kept(config: Config) -> tuple[list[Example], list[Example]]:
    """Examples for tuning, and those that are kept for development."""
    found = list((read_examples(config.examples) if config.examples else hub_examples(config)).values())
    if lacking := [code for code in config.languages if not any(code in one.questions for one in found)]:
        raise UserError(f"{config.examples or HUB} has no question in {lacking[0]!r}.")
    size = min(DEV, len(found) // 10)
    return found[size:], found[:size]


def pool(config: Config) -> Pool:
    """What tuning draws from.

    Raises:
        UserError: A language has no example, or the native arm no answer.
    """
    if not config.base:
        found = miniature.pool(config)
    else:
        tuning, _ = _kept(config)
        found = {HIGH: tuning}
        for code in config.languages:
            found[code] = [one for one in tuning if code in one.questions][: config.questions or None]
    if config.answer_language == "native":
        for code, own in found.items():
            if any(code not in one.answers for one in own):
                raise UserError(f"An example in {code!r} has no answer in its language: give the column `answer`.")
    return mismatched(found, config.seed) if config.mismatched else found


def mismatched(found: Pool, seed: int) -> Pool:
    """The null arm: units become words of anything, and questions belong to the English question of another example."""
    rng = Random(f"mismatched-{seed}")
    every: dict[str, set[str]] = {}
    for one in found[HIGH]:
        for code, units in one.units.items():
            every.setdefault(code, set()).update(unit.translation for unit in units)
    vocabulary = {code: sorted(own) for code, own in every.items()}

    def other(code: str, units: Sequence[Unit]) -> list[Unit]:
        return [unit._replace(translation=rng.choice(vocabulary[code])) for unit in units]

    changed = {
        HIGH: [
            one._replace(units={code: other(code, units) for code, units in one.units.items()}) for one in found[HIGH]
        ]
    }
    for code, own in found.items():
        if code != HIGH:
            pairs = zip(own, own[1:] + own[:1], strict=True)
            changed[code] = [one._replace(questions={**two.questions, code: one.questions[code]}) for one, two in pairs]
    return changed


# --- questions to measure on ------------------------------------------------------------------------------------------


def adapt_question(row: Mapping[str, Any], number: int) -> Question:
    """A row of MGSM (`question`, `answer_number`), MSVAMP (`m_query`, `response`) or one's own (`question`, `answer`).

    Raises:
        UserError: It has no such columns, or an answer without a number.
    """
    text, answer = row.get("m_query") or row.get("question"), row.get("response", row.get("answer_number"))
    answer = row.get("answer") if answer is None else answer
    if not text or answer is None:
        raise UserError("it has neither question and answer, nor m_query and response.")
    if (value := last_number(str(answer))) is None:
        raise UserError(f"its answer {answer!r} has no number.")
    return Question(str(row.get("id", number)), str(text).strip(), f"{value:g}" if abs(value) < 1e6 else str(answer))


def read_questions(source: str, languages: Sequence[str]) -> dict[str, list[Question]]:
    """Questions by language, of one file with a column `lang`, or of one for each with {code} or {language} in its name.

    Raises:
        UserError: A language has no question, or a row another form.
    """
    found: dict[str, list[Question]] = {code: [] for code in languages}
    if "{code}" in source or "{language}" in source:
        for code in languages:
            place = source.format(code=code, language=name(code))
            found[code] = list(adapted(place, read_rows(place), adapt_question))
    else:
        rows = list(adapted(source, read_rows(source), lambda row, n: (str(row["lang"]), adapt_question(row, n))))
        for code, question in rows:
            if own := match(code, list(languages)):
                found[own].append(question)
    if empty := [code for code, own in found.items() if not own]:
        raise UserError(f"{source} has no question in {empty[0]!r}: leave the language out, or add some.")
    return found


def tests(config: Config) -> dict[str, list[Question]]:
    """Questions to measure on, by language, English first.

    Raises:
        UserError: As :func:`read_questions`.
    """
    languages = [HIGH, *config.languages]
    if not config.base:
        items = miniature.measured(config)
    elif config.split == "dev":
        items = _kept(config)[1]
    elif config.test:
        return read_questions(config.test, languages)
    else:
        rows: Any = corpora.load("mgsm", languages=languages)
        asked: dict[str, list[Question]] = {code: [] for code in languages}
        for row in rows:
            asked[row["language"]].append(Question(row["key"], row["question"], row["answer"]))
        return asked
    found: dict[str, list[Question]] = {}
    for one in items:
        for code, text in one.questions.items():
            found.setdefault(code, []).append(Question(one.id, text, one.answers[HIGH], one.questions[HIGH]))
    return found
