"""Conversations and items from files and the hub: pure functions row -> item, and one reader for all of them.

A training row is an item of our generator, which is rendered with the run's own prompt, or has `messages` (or
`conversations` with `from`/`value`), possibly as a JSON string. An evaluation row has `scenario_type`, `user_message`,
`functions` and `expected_behavior`; the last two may be JSON strings, as they are on the hub.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.files import parse_json
from papers.tucan.data import plain_function
from papers.tucan.method import Prompt, conversation

ROLES = {
    "system": "system", "human": "user", "user": "user", "tool": "user", "function": "user", "gpt": "assistant",
    "model": "assistant", "assistant": "assistant",
}  # fmt: skip
# The official loader looks for an evaluation split in this order.
SPLITS = ("test", "validation", "train")


def evaluation_item(row: Mapping[str, Any], number: int = 0) -> dict[str, Any]:
    """One evaluation row as an item.

    Raises:
        UserError: A part is missing or cannot be parsed, or a call is expected without naming its function.
    """
    for name in ("user_message", "expected_behavior"):
        if not row.get(name):
            raise UserError(f"{name!r} is missing: an item needs user_message, functions and expected_behavior.")
    functions, expected = (_parsed(row.get(name), name) for name in ("functions", "expected_behavior"))
    if not isinstance(expected, Mapping) or not isinstance(expected.get("should_call_function"), bool):
        raise UserError("expected_behavior has no should_call_function that is true or false.")
    if not isinstance(functions or [], list):
        raise UserError("functions is no list.")
    if expected["should_call_function"] and not isinstance(expected.get("expected_function"), str):
        raise UserError("a call is expected, but expected_function does not name it.")
    expected = dict(expected)
    if isinstance(expected.get("expected_parameters"), str):
        expected["expected_parameters"] = _parsed(expected["expected_parameters"], "expected_parameters")
    known = {key: value for key, value in row.items() if value is not None}
    return {
        **known,
        "id": str(row.get("id") if row.get("id") is not None else number),
        "scenario_type": str(row.get("scenario_type") or "unknown"),
        "functions": [plain_function(function) for function in functions or []],
        "expected_behavior": expected,
    }


def training_messages(row: Mapping[str, Any], prompt: Prompt) -> list[dict[str, str]]:
    """One training row as a chat.

    Raises:
        UserError: No known column, a role that is not known, or no answer of the assistant.
    """
    if row.get("expected_behavior"):
        # Not its `messages`, which may be worded otherwise: training and scoring must show a model the same prompt.
        item = evaluation_item(row)
        if not item["expected_behavior"]["should_call_function"] and not item.get("answer"):
            raise UserError("an item without a call needs an `answer` to be trained on.")
        return conversation(item, prompt)
    turns = _parsed(row.get("messages") or row.get("conversations"), "messages")
    if not turns:
        raise UserError("a training row needs `messages`, `conversations`, or the columns of an item.")
    messages = []
    for turn in turns:
        role, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if role not in ROLES or not isinstance(content, str):
            raise UserError(f"a turn by {role!r} is not understood: roles are {', '.join(ROLES)}.")
        messages.append({"role": ROLES[role], "content": content})
    # Gemma-2 has no system role: instructions and functions belong into the first user turn.
    if messages[0]["role"] == "system" and len(messages) > 1:
        first = f"{messages[0]['content']}\n\n{messages[1]['content']}"
        messages = [{"role": "user", "content": first}, *messages[2:]]
    if not any(message["role"] == "assistant" for message in messages):
        raise UserError("a conversation has no answer of the assistant.")
    return messages


def _parsed(value: Any, name: str) -> Any:
    return parse_json(value, name) if isinstance(value, str) else value


def read_items(source: str, limit: int = 0) -> list[dict[str, Any]]:
    """Evaluation items of a JSON or JSONL file, or of a hub dataset (`owner/name`, optionally `@split`)."""
    return list(adapted(source, _rows(source, SPLITS)[: limit or None], evaluation_item))


def read_conversations(source: str, prompt: Prompt) -> list[list[dict[str, str]]]:
    """Training conversations of a file or a hub dataset."""
    return list(adapted(source, _rows(source, ("train",)), lambda row, _: training_messages(row, prompt)))


def _rows(source: str, splits: Iterable[str]) -> list[Any]:
    if Path(source).suffix in (".json", ".jsonl", ".ndjson", ".parquet", ".csv", ".tsv"):
        return [_dense(row) for row in read_rows(source)]
    name, _, split = source.partition("@")
    from datasets import load_dataset

    try:
        found = load_dataset(name)
        return [_dense(row) for row in found[split or next(name for name in splits if name in found)]]
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"Cannot load the dataset {source!r} ({reason}): give a JSONL file in its place.") from None


def _dense(value: Any) -> Any:
    """Without the None that Arrow writes where another row's function has a parameter and this one's has not."""
    if isinstance(value, Mapping):
        return {key: _dense(inner) for key, inner in value.items() if inner is not None}
    return [_dense(inner) for inner in value] if isinstance(value, list) else value
