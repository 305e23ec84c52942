"""Conversations as the official table has them, a row each.

    talks = read("facebook/Multi-IF")                # or a .csv, .tsv, .jsonl file of yours
    write(Path("mine.csv"), talks)

Columns: `key`, `language` (its name or code), and for t = 1, 2, 3 `turn_t_prompt` (a chat message as JSON, or a text),
`turn_t_instruction_id_list` (a JSON list of ids) and `turn_t_kwargs` (a JSON list with an object, or an object as JSON,
for each id). The lists of a turn hold what is in force, not what is new. A turn that is not there is "None" or empty.
`turn_t_oracle` and `turn_t_ask` are ours: a reply that follows everything, and what the turn adds, for the controls.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.files import parse_json, write_text
from core.text.languages import language as known_language
from papers.multi_if.checkers import Compat, complete, languages
from papers.multi_if.method import Constraint, Conversation, Turn

TURNS = (1, 2, 3)
_LISTS = ("instruction_id_list", "kwargs")
_OURS = ("oracle", "ask")


def read(
    source: str | Path, codes: Collection[str] = (), *, replies: bool = False, compat: Compat = "official"
) -> list[Conversation]:
    """The conversations of a table.

    Args:
        source: A file, or a dataset of the hub.
        codes: Languages; none = all.
        replies: Whether each turn needs an oracle's reply.
        compat: The reading of the checkers, which must be able to read the arguments.

    Raises:
        UserError: The table cannot be read, or a row has no such columns, unknown instructions or wrong arguments.
    """
    found = list(
        adapted(source, read_rows(source, split="train"), lambda row, number: _conversation(row, replies, compat))
    )
    if len({talk.key for talk in found}) < len(found):  # a key may stand for a conversation in all languages
        found = [replace(talk, key=f"{talk.language}/{talk.key}") for talk in found]
    if repeated := len(found) - len({talk.key for talk in found}):
        raise UserError(f"{source}: {repeated} rows repeat the key and language of another one: give each its own key.")
    wanted = {known_language(code).bcp47 for code in codes}
    found = [talk for talk in found if not wanted or known_language(talk.language).bcp47 in wanted]
    if not found:
        raise UserError(f"{source} has no conversation in {', '.join(codes) or 'any language'}.")
    return found


def exchanged(talks: Sequence[Conversation]) -> list[Conversation]:
    """The same messages with the constraints of the next conversation in the language that has as many turns."""
    groups: dict[tuple[str, int], list[Conversation]] = defaultdict(list)
    for talk in talks:
        groups[talk.language, len(talk.turns)].append(talk)
    following = {talk.key: group[(at + 1) % len(group)] for group in groups.values() for at, talk in enumerate(group)}
    return [
        replace(talk, turns=tuple(
            replace(turn, constraints=other.constraints)
            for turn, other in zip(talk.turns, following[talk.key].turns, strict=True)
        ))
        for talk in talks
    ]  # fmt: skip


def _conversation(row: Mapping[str, Any], replies: bool, compat: Compat) -> Conversation:
    code, turns = _code(str(row["language"])), list[Turn]()
    for number in TURNS:
        prompt = _prompt(row.get(f"turn_{number}_prompt"))
        if not prompt:
            break
        ids, arguments = (_list(row[f"turn_{number}_{name}"], f"turn_{number}_{name}") for name in _LISTS)
        if len(ids) != len(arguments) or not ids:
            raise UserError(f"turn {number} has {len(ids)} instructions and {len(arguments)} arguments: one for each.")
        if len(ids) < len(turns[-1].constraints if turns else ()):
            raise UserError(f"turn {number} lists less than turn {number - 1}: a turn lists all that is in force.")
        active = []
        for instruction, given in zip(ids, arguments, strict=True):
            known = _object(given)
            complete(instruction, known, compat)
            active.append(Constraint(instruction, known))
        oracle, ask = (str(row.get(f"turn_{number}_{name}") or "") for name in _OURS)
        if replies and not oracle:
            raise UserError(f"oracle_history needs a reply that follows everything: fill turn_{number}_oracle in.")
        turns.append(Turn(prompt, tuple(active), oracle, ask))
    if not turns:
        raise UserError("it has no turn_1_prompt: fill it in.")
    return Conversation(str(row["key"]), code, tuple(turns))


def _code(name: str) -> str:
    """The code of a language that is named in English, or by its code."""
    import langcodes

    for code, table in languages().items():
        if name == table["name"]:
            return code
    try:
        return known_language(name).bcp47
    except UserError:
        try:
            return str(langcodes.find(name))
        except LookupError:
            raise UserError(f"{name!r} is no language: write its English name or its code.") from None


def _prompt(value: Any) -> str:
    """The text of a message: JSON of a chat message, or as it stands."""
    text = "" if value is None else str(value)
    if text.strip() in ("", "None"):
        return ""
    if text.lstrip().startswith("{"):
        with contextlib.suppress(UserError):
            message = parse_json(text, "prompt")
            if isinstance(message, dict) and isinstance(message.get("content"), str):
                return str(message["content"])
    return text


def _list(value: Any, name: str) -> list[Any]:
    found = parse_json(value, name) if isinstance(value, str) else value
    if not isinstance(found, list):
        raise UserError(f"{name} is no list: write a JSON list.")
    return found


def _object(value: Any) -> dict[str, Any]:
    found = parse_json(value, "arguments") if isinstance(value, str) else value
    if not isinstance(found, dict):
        raise UserError(f"the arguments {value!r} are no object: write {{}} where there are none.")
    return found


def write(path: Path, talks: Iterable[Conversation]) -> None:
    """The table of conversations, as the official one is written, with our columns beside it."""
    rows = [_row(talk) for talk in talks]
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


def _row(talk: Conversation) -> dict[str, str]:
    names = {code: table["name"] for code, table in languages().items()}
    row = {"key": talk.key, "language": names.get(talk.language, talk.language)}
    for number in TURNS:
        turn = talk.turns[number - 1] if number <= len(talk.turns) else None
        message = {"role": "user", "content": turn.prompt} if turn else None
        ids, arguments = ([], []) if turn is None else _split(turn.constraints)
        row[f"turn_{number}_prompt"] = json.dumps(message, ensure_ascii=False) if message else "None"
        row[f"turn_{number}_instruction_id_list"] = json.dumps(ids)
        row[f"turn_{number}_kwargs"] = json.dumps(arguments, ensure_ascii=False)
        row |= {f"turn_{number}_{name}": getattr(turn, name, "") for name in _OURS}
    return row


def _split(constraints: Sequence[Constraint]) -> tuple[list[str], list[str]]:
    return (
        [constraint.instruction for constraint in constraints],
        [json.dumps(dict(constraint.arguments), ensure_ascii=False) for constraint in constraints],
    )
