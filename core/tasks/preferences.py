"""Pairs of a better and a worse answer, in the schemas in which they are passed around.

pair({"prompt": "Name a fruit.", "chosen": "A fig.", "rejected": "A dog."})       # Pair("Name a fruit.", ...)
pair({"chosen": [user, good], "rejected": [user, bad]})                           # messages; a common beginning
messages(found)                                                                   # as chat trainers want them
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from core.errors import UserError


class Pair(NamedTuple):
    """A question, its better answer and its worse one."""

    prompt: str
    chosen: str
    rejected: str


def pair(row: Mapping[str, Any]) -> Pair:
    """A pair from a row with `prompt`, `chosen` and `rejected`: texts, or lists of messages with role and content.

    Without a `prompt`, or after it, the question is what both lists of messages begin with; UltraFeedback's begin with
    the prompt again.

    Raises:
        UserError: No such columns; or a conversation of several turns, which one question cannot hold.
    """
    chosen, rejected = (_turns(row.get(side), "assistant") for side in ("chosen", "rejected"))
    told = _turns(row.get("prompt"), "user")
    asked = chosen[:-1] if told == chosen[: len(told)] else [*told, *chosen[:-1]]
    if not chosen or not rejected or chosen[:-1] != rejected[:-1] or not asked:
        raise UserError(f"no pair (the columns are {', '.join(row)}): give prompt, chosen and rejected.")
    if [role for role, _ in asked] != ["user"]:
        raise UserError(f"{len(asked)} turns stand before the answers: only pairs of answers to one question fit.")
    return Pair(asked[0][1], chosen[-1][1], rejected[-1][1])


def _turns(value: Any, role: str) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(role, value)]
    turns = value if isinstance(value, list) else []
    known = all(isinstance(turn, Mapping) and {"role", "content"} <= {*turn} for turn in turns)
    return [(str(turn["role"]), str(turn["content"])) for turn in turns] if known else []


def messages(found: Pair) -> dict[str, list[dict[str, str]]]:
    """A pair with its three parts as lists of messages."""
    roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    return {name: [{"role": role, "content": getattr(found, name)}] for name, role in roles.items()}
