"""What is asked: questions with an expert's answer in several languages, and wrong answers beside it.

Four layouts are read, whatever the table's format (`.jsonl`, `.json`, `.csv`, `.tsv`, a hub dataset):

    {"id": "1", "topic": "skin", "en": {"question": ..., "answer": ..., "contradiction": ...}, "hi": {...}}     ours
    id  language  question  answer                                            a row a language
    question  answer  translated_question_Hindi  translated_answer_Hindi ...  official, of the correctness task
    id  label  answer_ids  question_English  answer_English ...               official, a row an answer

    items = read_items("mine.tsv", ("en", "hi"))
    asked = candidates(items, negatives=4, seed=0)         # {id: [{"en": right, "hi": ...}, {"en": wrong}, ...]}
"""

from __future__ import annotations

import random
import re
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.files import write_table
from papers.xlingeval.method import PIVOT

NAMES = {"en": "English", "es": "Spanish", "zh": "Chinese", "hi": "Hindi"}
"""As the official files call their languages."""


@dataclass(frozen=True)
class Text:
    """A question in one language, what an expert answers and, where somebody wrote it, an answer that is wrong."""

    question: str
    answer: str
    contradiction: str = ""


@dataclass(frozen=True)
class Item:
    """The same question in several languages.

    Attributes:
        id: Unique.
        texts: By code of the language.
        topic: Wrong answers are drawn from other topics; the id where nobody named one.
        wrong: Wrong answers that the file brings, each by language.
    """

    id: str
    texts: Mapping[str, Text]
    topic: str
    wrong: tuple[Mapping[str, str], ...] = field(default=())


Candidates = dict[str, list[dict[str, str]]]
"""Of every question the answers to be judged, the right one first, each in all languages."""


def read_items(source: str | Path, languages: Sequence[str] = ()) -> list[Item]:
    """The questions that are there in every language.

    Args:
        source: A table in one of the layouts above, or the id of a hub dataset.
        languages: Codes; English, which the others are compared with, is read too. Empty = all of the first row.

    Raises:
        UserError: No such file, a row that cannot be read, or no question in all languages.
    """
    rows = list(read_rows(source))
    found: dict[str, Item] = {}
    wrong: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for key, topic, right, texts in adapted(source, rows, _part):
        if not right:
            wrong[key].append({code: text.answer for code, text in texts.items()})
            continue
        if known := found.get(key):
            if twice := {*known.texts} & {*texts}:
                raise UserError(f"{source}: question {key!r} is there twice in {min(twice)!r}; keep one.")
            texts = {**known.texts, **texts}
        found[key] = Item(key, texts, topic or key)
    items = [Item(i.id, i.texts, i.topic, tuple(wrong[i.id])) for i in found.values()]
    wanted = {PIVOT, *languages} if languages else {PIVOT, *(items[0].texts if items else ())}
    kept = [
        replace(item, texts={code: text for code, text in item.texts.items() if code in wanted})
        for item in items
        if wanted <= {*item.texts}
    ]
    if not kept:
        lacking = ", ".join(sorted(wanted - {*items[0].texts})) if items else PIVOT
        raise UserError(f"{source} has no question in all of {', '.join(sorted(wanted))} ({lacking} is missing).")
    if len(kept) < len(items):
        warnings.warn(f"{source}: {len(items) - len(kept)} of {len(items)} questions lack a language.", stacklevel=2)
    return kept


def _part(row: Mapping[str, Any], number: int) -> tuple[str, str, bool, dict[str, Text]]:
    """Key, topic, whether it is the right answer, and the texts of a row in any of the layouts."""
    key, topic = str(row.get("id") or number), str(row.get("topic") or "")
    right = "label" not in row or float(row["label"]) == 1
    codes = {name: code for code, name in NAMES.items()}
    if "language" in row:
        found = {str(row["language"]): row}
    elif any(str(name).startswith(("question_", "translated_question_")) for name in row):
        key = str(row["id"]) if row.get("id") not in (None, "") else str(number)
        found = {PIVOT: row} if row.get("question") else {}
        for name in row:
            if column := re.fullmatch(r"(translated_)?question_(\w+)", str(name)):
                start, language = column[1] or "", column[2]
                parts = {part: row[f"{start}{part}_{language}"] for part in ("question", "answer")}
                found[codes.get(language, language)] = parts
    else:
        found = {code: texts for code, texts in row.items() if isinstance(texts, dict)}
    texts = {code: _text(parts, code) for code, parts in found.items()}
    if not texts:
        raise UserError("there is no question: compare the columns with the layouts on the page.")
    return key, topic, right, texts


def _text(parts: Mapping[str, Any], code: str) -> Text:
    given = [parts["question"], parts["answer"], parts.get("contradiction") or ""]
    if not all(isinstance(text, str) for text in given) or not (given[0].strip() and given[1].strip()):
        raise UserError(f"question or answer in {code!r} is no text: fill it in.")
    return Text(*(" ".join(text.split()) for text in given))


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """So many questions, evenly over the list, whose neighbours are on one topic; 0 = all."""
    count = min(count, len(items)) or len(items)
    return [items[n * len(items) // count] for n in range(count)]


def languages_of(items: Sequence[Item]) -> tuple[str, ...]:
    """English, then the others that every question has."""
    shared = [code for code in items[0].texts if all(code in item.texts for item in items)]
    return (PIVOT, *(code for code in shared if code != PIVOT))


# --- answers to be judged ---------------------------------------------------------------------------------------------


def candidates(items: Sequence[Item], negatives: int = 4, seed: int = 0, pool: Sequence[Item] = ()) -> Candidates:
    """The right answer and wrong ones: those of the file, else right answers to questions on other topics.

    Which ones is drawn by seed and question, the same in all languages. By length alone they cannot be told, in any:
    where too few are of like length, the nearest are taken, with a warning.

    Args:
        items: Questions.
        negatives: Wrong answers to each question.
        seed: Of the draw.
        pool: Questions whose answers are drawn; empty = the same.

    Raises:
        UserError: A question has too few wrong answers.
    """
    codes, found, strained = languages_of(items), Candidates(), 0
    for item in items:
        right = {code: item.texts[code].answer for code in codes}
        wrong = [{code: text[code] for code in codes} for text in item.wrong if {*codes} <= {*text}]
        if not wrong:
            pooled = (other for other in pool or items if other.topic != item.topic)
            others = [{code: other.texts[code].answer for code in codes} for other in pooled]
            others.sort(key=lambda other: _unlike(other, right))
            wrong = [other for other in others if _unlike(other, right) <= TOLERANCE]
            if len(wrong) < negatives <= len(others):
                wrong, strained = others[:negatives], strained + 1
        if len(wrong) < negatives:
            raise UserError(
                f"Question {item.id!r} has {len(wrong)} wrong answers and {negatives} are asked for: ask for fewer, or "
                "give more questions on other topics."
            )
        drawn = random.Random(f"negatives/{seed}/{item.id}").sample(wrong, negatives)
        found[item.id] = [right, *drawn]
    if strained:
        warnings.warn(f"{strained} of {len(items)} questions have wrong answers of unlike length.", stacklevel=2)
    return found


TOLERANCE = 0.4  # a wrong answer is at most so much longer or shorter than the right one, in characters; ours


def _unlike(other: Mapping[str, str], right: Mapping[str, str]) -> float:
    """How far lengths are apart, in the language in which they are farthest."""
    return max(abs(len(other[code]) - len(text)) / len(text) for code, text in right.items())


def write_long(path: Path, items: Sequence[Item], asked: Candidates) -> None:
    """Questions and candidates as a table in the official layout, a row an answer."""
    codes = languages_of(items)
    rows: list[dict[str, str | float | None]] = [
        {
            "id": item.id,
            "label": int(not place),
            "answer_ids": f"{item.id}/{place}",
            **{f"question_{NAMES.get(code, code)}": item.texts[code].question for code in codes},
            **{f"answer_{NAMES.get(code, code)}": texts[code] for code in codes},
        }
        for item in items
        for place, texts in enumerate(asked[item.id])
    ]
    write_table(path, rows)
