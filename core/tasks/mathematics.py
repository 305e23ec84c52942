"""Word problems with a number as their answer, in many languages: MGSM, MSVAMP, translations of GSM8K, one's own.

    asked = questions("mgsm", ["en", "sw"])                     # {"en": [Question, ...], "sw": [...]}
    asked = questions("msvamp/test_{language}.jsonl", ["sw"])   # a file for each language, or one with a column `lang`
    table({("sw", "1"): "so 3 + 4 = 7"}, {("sw", "1"): "7"}, low=["sw"], high="sw")
    for problem in gsm8k_translations(["sw"]): problem["sw"].question, problem["sw"].answer

An output is right when its last number is the answer (`core.metrics.answers.same_number`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from core import corpora
from core.corpora import adapted, read_rows
from core.errors import UserError
from core.metrics.answers import last_number, same_number
from core.metrics.gaps import language_gap
from core.text.languages import match, name

GSM8K_TRANSLATIONS = "Mathoctopus/GSM8KInstruct_Parallel"
_PROMPT = re.compile(r"answer in (\w+)\.?\s*### Instruction:\s*(.*?)\s*### Response:", re.DOTALL | re.IGNORECASE)


class Question(NamedTuple):
    """A question and its answer: a number alone, or a chain of thought that ends with it."""

    id: str
    question: str
    answer: str


def chain_of_thought(text: str) -> str:
    """An answer as GSM8K writes it, without marks of a calculator, `#### 18` at its end as a sentence.

    Raises:
        UserError: It has no number.
    """
    if last_number(text) is None:
        raise UserError("its answer has no number: a chain of thought ends with one.")
    return re.sub(r"\s*####\s*(\S+)\s*$", r"\nThe answer is \1.", re.sub(r"<<.*?>>", "", text).strip())


def adapt_question(row: Mapping[str, Any], number: int) -> Question:
    """A row of MGSM (`question`, `answer_number`), MSVAMP (`m_query`, `response`) or one's own (`question`, `answer`).

    Raises:
        UserError: It has no such columns, or an answer without a number.
    """
    text = row.get("m_query") or row.get("question")
    answer = next((row[key] for key in ("response", "answer_number", "answer") if row.get(key) not in (None, "")), None)
    if not text or answer is None:
        raise UserError("it has neither question and answer, nor m_query and response.")
    if (value := last_number(str(answer))) is None:
        raise UserError(f"its answer {answer!r} has no number.")
    return Question(str(row.get("id", number)), str(text).strip(), str(int(value) if value.is_integer() else value))


def questions(source: str, languages: Sequence[str]) -> dict[str, list[Question]]:
    """Questions by language.

    Args:
        source: `mgsm`; a file or hub dataset with a column `lang`; or one for each language, with {code} or {language}
            (its English name) in its name, such as `Mathoctopus/MSVAMP#{code}@test`.
        languages: Codes.

    Raises:
        UserError: A language has no question, or a row another form.
    """
    found: dict[str, list[Question]] = {code: [] for code in languages}
    if source == "mgsm":
        rows: Any = corpora.load("mgsm", languages=list(languages))
        for row in rows:
            found[row["language"]].append(Question(row["key"], row["question"], row["answer"]))
    elif "{code}" in source or "{language}" in source:
        for code in languages:
            place = source.format(code=code, language=name(code))
            found[code] = list(adapted(place, read_rows(place), adapt_question))
    else:
        for code, question in adapted(source, read_rows(source), lambda row, n: (row["lang"], adapt_question(row, n))):
            if own := match(str(code), list(languages)):
                found[own].append(question)
    if empty := [code for code, own in found.items() if not own]:
        raise UserError(f"{source} has no question in {empty[0]!r}: leave the language out, or add some.")
    return found


def gsm8k_translations(languages: Sequence[str], source: str = GSM8K_TRANSLATIONS) -> list[dict[str, Question]]:
    """GSM8K's training problems, each in English and those of the languages that it was translated into.

    MathOctopus (Chen et al. 2023) has a row for each language, `prompt` and `chosen`; an English row is followed by its
    translations.

    Args:
        languages: Codes of the languages beside English.
        source: A file or hub dataset in this format.

    Raises:
        UserError: A row of another form, or none in English.
    """
    codes, found = {name(code): code for code in ("en", *languages)}, list[dict[str, Question]]()

    def add(row: Mapping[str, Any], number: int) -> None:
        asked = _PROMPT.search(row["prompt"])
        if not asked:
            raise UserError("its prompt is not MathOctopus', which names the language and the instruction.")
        code = codes.get(asked[1].capitalize())
        if code == "en":
            found.append({})
        if code and found:
            found[-1][code] = Question(str(number), asked[2], chain_of_thought(row["chosen"]))

    for _ in adapted(source, read_rows(source), add):
        pass
    if not found:
        raise UserError(f"{source} has no English row, which the translations follow.")
    return found


def table(
    outputs: Mapping[tuple[str, str], str],
    answers: Mapping[tuple[str, str], str],
    low: Collection[str],
    high: str = "en",
) -> dict[str, float]:
    """The table of MGSM: accuracy by language, then `mean`, `low`, `gap` and `mean_to_best`.

    Args:
        outputs: By language and id; what has none counts as wrong, a language without any is left out.
        answers: The numbers, or texts that end with them.
        low: Languages with little data.
        high: The language that they are measured by.

    Raises:
        UserError: An output has no answer, or a language that is needed no output.
    """
    if missing := [key for key in outputs if key not in answers]:
        raise UserError(
            f"There is no answer {missing[0][1]!r} in {missing[0][0]!r}: both are joined on `id` and `lang`."
        )
    answered, found = {code for code, _ in outputs}, dict[str, list[float]]()
    for (code, key), answer in answers.items():
        if code in answered:
            found.setdefault(code, []).append(same_number(outputs.get((code, key), ""), answer))
    scores = {code: sum(right) / len(right) for code, right in found.items()}
    return {**scores, **language_gap(scores, low, high)._asdict()}
