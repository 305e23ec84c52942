"""What models wrote, as files that are scored again without a model.

A transcript is a conversation's replies, turn by turn; a prediction is one answer to one question. Both are rows of any
table: `.jsonl`, `.json`, `.csv`, `.tsv`, each also as `.gz`.

    write_transcripts(path, replies)                 # {"key": "17", "turn": 1, "response": "..."}, a row a turn
    replies = read_transcripts(path)                 # {"17": ["first reply", "second reply"]}
    write_predictions(path, answers)                 # {"language": "sw", "id": "3", "prediction": "..."}
    answers = read_predictions(path)                 # {"sw": {"3": "..."}}

An answer may be empty: a model that wrote nothing is wrong, not missing. What was asked and has no row is missing, and
:func:`complete` says so rather than score what happens to be there.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.corpora.files import read_rows
from core.errors import UserError
from core.files import format_of, write_rows, write_text


def write_transcripts(path: Path, replies: Mapping[str, Sequence[str]]) -> None:
    """A row a turn with `key`, `turn` (from 1) and `response`: a `.csv`, or JSON lines.

    Args:
        path: The file.
        replies: Replies of each conversation, in the order of its turns.
    """
    _write(
        path,
        [
            {"key": key, "turn": turn, "response": reply}
            for key, turns in replies.items()
            for turn, reply in enumerate(turns, start=1)
        ],
    )


def read_transcripts(path: str | Path) -> dict[str, list[str]]:
    """Replies of each conversation, in the order of its turns; rows may stand in any order.

    Raises:
        UserError: the file cannot be read, lacks a column, repeats a turn or leaves one out.
    """
    turns: dict[str, dict[int, str]] = defaultdict(dict)
    for where, row in _rows(path, ("key", "turn", "response")):
        key, number = str(row["key"]), str(row["turn"]).strip()
        if not number.isascii() or not number.isdigit() or int(number) < 1:
            raise UserError(f"{where}: turn {number!r} is no number from 1 on.")
        if int(number) in turns[key]:
            raise UserError(f"{where}: turn {number} of {key!r} is there twice; keep one.")
        turns[key][int(number)] = _text(row["response"])
    for key, found in turns.items():
        if missing := sorted({*range(1, max(found) + 1)} - {*found}):
            raise UserError(f"{path}: {key!r} has turn {max(found)} but not turn {missing[0]}.")
    return {key: [found[turn] for turn in sorted(found)] for key, found in turns.items()}


def write_predictions(path: Path, answers: Mapping[str, Mapping[str, str]]) -> None:
    """A row an answer with `language`, `id` and `prediction`: a `.csv`, or JSON lines."""
    _write(
        path,
        [
            {"language": language, "id": key, "prediction": text}
            for language, found in answers.items()
            for key, text in found.items()
        ],
    )


def read_predictions(path: str | Path) -> dict[str, dict[str, str]]:
    """Answers by language (or whatever names the set in that column) and id.

    Raises:
        UserError: the file cannot be read, lacks a column or repeats an id.
    """
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    for where, row in _rows(path, ("language", "id", "prediction")):
        language, key = str(row["language"]), str(row["id"])
        if key in answers[language]:
            raise UserError(f"{where}: id {key!r} of {language!r} is there twice; keep one.")
        answers[language][key] = _text(row["prediction"])
    return dict(answers)


def complete(found: Collection[str], asked: Collection[str], source: object) -> None:
    """Refuse answers that leave questions out, or answer what was not asked.

    Args:
        found: Keys that were answered.
        asked: Keys of the questions.
        source: Where the answers are from, for the message.

    Raises:
        UserError: naming the first key and the number of them.
    """
    left_out, unasked = ([key for key in one if key not in other] for one, other in ((asked, found), (found, asked)))
    for keys, fault in ((left_out, "has no answer to"), (unasked, "answers what was not asked:")):
        if keys:
            raise UserError(f"{source} {fault} {keys[0]!r}{f' and {len(keys) - 1} more' * (len(keys) > 1)}.")


def _rows(path: str | Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, row in enumerate(read_rows(path), start=1):
        where = f"{path}, row {number}"
        if lacking := [name for name in columns if name not in row]:
            raise UserError(
                f"{where}: column {lacking[0]!r} is missing; every row needs {', '.join(columns)} "
                f"(this one has {', '.join(map(str, row)) or 'none'})."
            )
        yield where, row


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    if format_of(path) != ".csv":
        write_rows(path, rows)
        return
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerows([[*rows[0]], *(row.values() for row in rows)])
    write_text(path, text.getvalue())
