"""Multi-IF: instructions that a program can verify, added turn by turn, and all in force until the end.

The user's t-th message asks for one thing more, which a program can check, and the reply has to follow all that was
asked so far, C_t (eq. 1). The model answers each turn with its own earlier replies before it (eq. 2):

    C_1 < C_2 < C_3                                                                                               (1)
    y_t = M(x_1, y_1, ..., x_t)                                                                                   (2)
    s(c, y) = [y is not empty and c holds of y];   l(c, y) = max of c over eight variants of y                    (3)
    overall_t = mean of (all of C_t followed; followed share of C_t) x (strict; loose)                            (4)
    IFR_t = |followed at t, not at t+1| / |followed at t|,  ECR_t = |not at t, followed at t+1| / |not at t|      (5)

Two controls: `merged` asks for C_t in one message, `oracle_history` puts replies that follow all before it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Literal, NamedTuple

from papers.multi_if.checkers import Compat, follows

Mode = Literal["multi_turn", "merged", "oracle_history"]
Message = Mapping[str, str]
Reply = Callable[[list[list[Message]]], Sequence[str]]


@dataclass(frozen=True)
class Constraint:
    """One verifiable instruction with its arguments."""

    instruction: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the instruction with its arguments."""
        return f"{self.instruction} {json.dumps(dict(self.arguments), sort_keys=True, ensure_ascii=False)}"


@dataclass(frozen=True)
class Turn:
    """What the user says, and all that is in force from then on (eq. 1)."""

    prompt: str
    constraints: tuple[Constraint, ...]
    oracle: str = ""
    """A reply that follows all of them, for `oracle_history`."""
    ask: str = ""
    """What the message adds, for `merged`; by default the message."""


@dataclass(frozen=True)
class Conversation:
    """Some turns in a language, whose code it is."""

    key: str
    language: str
    turns: tuple[Turn, ...]


def converse(
    reply: Reply, conversations: Sequence[Conversation], mode: Mode = "multi_turn", turns: Collection[int] = (1, 2, 3)
) -> dict[str, list[str]]:
    """Replies by the conversation's key, turn by turn; "" at those that are left out, which only controls can be.

    `reply` gives the next turn of each dialogue, a list of messages with `role` and `content`.
    """
    said: dict[str, list[str]] = {talk.key: [] for talk in conversations}
    for turn in range(max(len(talk.turns) for talk in conversations)):
        active = [talk for talk in conversations if len(talk.turns) > turn]
        dialogues = [history(talk, turn, said[talk.key], mode) for talk in active]
        texts = reply(dialogues) if turn + 1 in turns else [""] * len(active)
        for talk, text in zip(active, texts, strict=True):
            said[talk.key].append(text.strip())
    return said


def history(conversation: Conversation, turn: int, said: Sequence[str], mode: Mode = "multi_turn") -> list[Message]:
    """What the model is given at a turn (from 0)."""
    asked = conversation.turns[: turn + 1]
    if mode == "merged":
        return [{"role": "user", "content": "\n".join([asked[0].prompt, *(t.ask or t.prompt for t in asked[1:])])}]
    before = [t.oracle for t in asked] if mode == "oracle_history" else said
    user: list[Message] = [{"role": "user", "content": step.prompt} for step in asked]
    assistant: list[Message] = [{"role": "assistant", "content": text} for text in (*before[:turn], "")]
    return [message for pair in zip(user, assistant, strict=True) for message in pair][:-1]


# --- equation 3: strict and loose -------------------------------------------------------------------------------------


def check(
    instruction: str,
    arguments: Mapping[str, Any],
    response: str,
    *,
    strict: bool = True,
    compat: Compat = "fixed",
    language: str | None = None,
) -> bool:
    """Whether a response follows an instruction: a reward, or a filter.

    Args:
        instruction: One of the 25 ids, such as `punctuation:no_comma`.
        arguments: Its arguments.
        response: The text. An empty one follows nothing.
        strict: As it stands; otherwise also without its first or last line, or its asterisks.
        compat: `official` decides as the authors' evaluator does, `fixed` without its mistakes (`checkers.py`).
        language: Code of the conversation's language, which `fixed` counts words and sentences by.
    """
    texts = [response] if strict else list(dict.fromkeys(loosened(response)))  # some are equal
    return any(follows(instruction, arguments, t, compat, language) for t in texts if (t if strict else t.strip()))


def loosened(response: str) -> list[str]:
    """The eight variants: first, last or both of the lines left out or not, with and without asterisks."""
    lines = response.split("\n")
    cut = [response, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return [*cut, *(text.replace("*", "") for text in cut)]


class Scored(NamedTuple):
    """What the reply to one turn followed, in the order of the turn's constraints."""

    key: str
    language: str
    turn: int
    names: tuple[str, ...]
    strict: tuple[bool, ...]
    loose: tuple[bool, ...]


def score(
    conversations: Iterable[Conversation], said: Mapping[str, Sequence[str]], compat: Compat = "fixed"
) -> list[Scored]:
    """Each reply against all constraints of its turn; turns count from 1."""
    rows = []
    for talk in conversations:
        for number, (turn, text) in enumerate(zip(talk.turns, said[talk.key], strict=False), start=1):
            asked = [(c.instruction, c.arguments, text) for c in turn.constraints]
            strict, loose = (
                tuple(check(*one, strict=how, compat=compat, language=talk.language) for one in asked)
                for how in (True, False)
            )
            names = tuple(constraint.name for constraint in turn.constraints)
            rows.append(Scored(talk.key, talk.language, number, names, strict, loose))
    return rows


# --- equations 4 and 5 ------------------------------------------------------------------------------------------------


class Accuracies(NamedTuple):
    """The four accuracies of a turn and their mean; instructions are pooled over conversations, as are languages."""

    prompt_strict: float
    instruction_strict: float
    prompt_loose: float
    instruction_loose: float
    overall: float


def accuracies(rows: Sequence[Scored]) -> Accuracies:
    """Equation 4 over the rows of one turn."""
    values = []
    for found in ([row.strict for row in rows], [row.loose for row in rows]):
        values += [fmean(map(all, found)), fmean(verdict for verdicts in found for verdict in verdicts)]
    return Accuracies._make([*values, fmean(values)])


class Ratios(NamedTuple):
    """Forgetting and correction from one turn to the next (None: nothing to forget or correct), and their counts."""

    ifr: float | None
    ecr: float | None
    of_followed: int
    of_missed: int


def ratios(rows: Iterable[Scored], turn: int, scope: Literal["next", "any_later"] = "next") -> Ratios:
    """Equation 5 by strict verdicts, over what is in force at t and t+1; `scope` says where a correction counts."""
    by_key: dict[str, dict[int, dict[str, bool]]] = defaultdict(dict)
    for row in rows:
        by_key[row.key][row.turn] = dict(zip(row.names, row.strict, strict=True))
    kept, mended = [], []
    for turns in by_key.values():
        later = [turns[number] for number in sorted(turns) if number > turn]
        for name, held in turns.get(turn, {}).items():
            if turn + 1 not in turns or name not in later[0]:
                continue
            if held:
                kept.append(later[0][name])
            else:
                mended.append(any(known.get(name, False) for known in later[: 1 if scope == "next" else None]))
    return Ratios(1 - fmean(kept) if kept else None, fmean(mended) if mended else None, len(kept), len(mended))
