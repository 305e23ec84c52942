"""What TUCAN is fed: items drawn from a catalogue, or rows of files and of the hub, in the wording of one prompt.

    items = build_dataset(load_catalogue("tools.json", ["bg.yaml", "en.yaml"]), 2000, seed=0)
    chats = read_conversations("conversations.jsonl", prompt)
    items = read_items("llm-bg/Tucan-BG-Eval-v1.0")

An item has the form in which it is scored (`scenario_type`, `functions`, `user_message`, `expected_behavior`) and what
training needs (`answer`, or the expected call).
"""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.corpora import TABLES, adapted, read_rows
from core.errors import UserError
from core.files import load_yaml, parse_json, source_is_path
from core.text.scripts import dominant_script
from papers.tucan.catalogue import HERE, Catalogue, Part, plain_function
from papers.tucan.grader import parse_call
from papers.tucan.method import MIX, SCENARIOS, Draw, Prompt, Tags, conversation, draw, mirrored

if TYPE_CHECKING:
    from papers.tucan.config import PromptConfig

Chat = list[dict[str, str]]
ROLES = {
    "system": "system", "human": "user", "user": "user", "tool": "user", "function": "user", "gpt": "assistant",
    "model": "assistant", "assistant": "assistant",
}  # fmt: skip
# The official loader takes the first of these splits that a dataset has.
SPLITS = ("test", "validation", "train")
FILES = (".jsonl", ".ndjson", ".json", ".parquet", *TABLES)


# --- drawing items --------------------------------------------------------------------------------------------------


def build_dataset(
    catalogue: Catalogue,
    count: int,
    *,
    languages: Sequence[str] = ("bg", "en"),
    part: Part = "train",
    seed: int = 0,
    mix: Mapping[str, float] = MIX,
    distractors: int = 3,
    tools: Sequence[str] = (),
    withheld: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Draw items; item i is draw i // len(languages) in language i % len(languages).

    Args:
        catalogue: Functions and templates.
        count: Items in all.
        languages: Of the requests.
        part: Whose templates and values are used.
        seed: Of the draws.
        mix: Share of each scenario; shares are met up to rounding.
        distractors: At most so many further functions, at least 1.
        tools: Functions that are asked for; none: all. Each scenario goes through all of them before one comes again.
        withheld: Functions that are neither asked for nor offered.

    Returns:
        Items with ids `<function>/<scenario>/<part>-<seed>-<number>-<language>`.

    Raises:
        UserError: An unknown language, scenario or function, or a catalogue that cannot fill a scenario.
    """
    for what, names, known in (
        ("language", languages, list(catalogue.tools)),
        ("scenario", mix, list(SCENARIOS)),
        ("function", (*tools, *withheld), list(catalogue.functions)),
    ):
        if unknown := [name for name in names if name not in known]:
            raise UserError(f"There is no {what} {unknown[0]!r}: choose among {', '.join(known)}.")
    rng = random.Random(f"{seed}/{part}")
    asked = [name for name in tools or catalogue.tools[languages[0]] if name not in withheld]
    offered = [name for name in catalogue.functions if name not in withheld]
    if not asked or len(offered) < 2:
        raise UserError("Two functions are needed, one to ask for and one beside it: withhold fewer.")
    scenarios = apportion(mix, -(-count // len(languages)))
    rng.shuffle(scenarios)
    queues: dict[str, list[str]] = {}
    seen: set[Draw] = set()
    items: list[dict[str, Any]] = []
    for number, scenario in enumerate(scenarios):
        queue = queues.setdefault(scenario, [])
        queue[:] = queue or rng.sample(asked, len(asked))
        name = queue.pop()
        for _ in range(20):  # nothing is asked twice in one wording with the same values, as long as there is more
            drawn = draw(catalogue, scenario, name, offered, part, distractors, rng)
            core = replace(drawn, scenario="", offered=(), wording=0)
            if core not in seen:
                break
        seen.add(core)
        place = f"{name}/{scenario}/{part}-{seed}-{number:05d}"
        items += [{"id": f"{place}-{one['language']}", **one} for one in mirrored(catalogue, drawn, languages)]
    return items[:count]


def apportion(mix: Mapping[str, float], count: int) -> list[str]:
    """`count` scenarios in the shares of `mix` (largest remainders)."""
    exact = {name: share / sum(mix.values()) * count for name, share in mix.items()}
    counts = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: counts[name] - exact[name])[: count - sum(counts.values())]:
        counts[name] += 1
    return [name for name, number in counts.items() for _ in range(number)]


# --- rows of files and the hub --------------------------------------------------------------------------------------


def evaluation_item(row: Mapping[str, Any], number: int = 0) -> dict[str, Any]:
    """One evaluation row as an item. Functions and expected values stay as they are: the official prompt shows them so.

    Raises:
        UserError: A part is missing or cannot be parsed, or a call is expected without naming its function.
    """
    request, functions = row.get("user_message"), _parsed(row.get("functions"), "functions") or []
    expected = _parsed(row.get("expected_behavior"), "expected_behavior")
    if not isinstance(request, str) or not isinstance(expected, Mapping) or not isinstance(functions, list):
        raise UserError("an item needs a user_message, a list of functions, and expected_behavior.")
    if not isinstance(expected.get("should_call_function"), bool):
        raise UserError("expected_behavior has no should_call_function that is true or false.")
    if expected["should_call_function"] and not isinstance(expected.get("expected_function"), str):
        raise UserError("a call is expected, but expected_function does not name it.")
    for function in functions:
        plain_function(function)
    if (parameters := _parsed(expected.get("expected_parameters"), "expected_parameters")) is not None:
        expected = {**expected, "expected_parameters": parameters}
    # Where a row does not say its language, the script of its request does.
    script = "bg" if dominant_script(request) == "Cyrl" else "en"
    return {
        **row,
        "id": str(row.get("id") if row.get("id") is not None else number),
        "scenario_type": str(row.get("scenario_type") or "unknown"),
        "language": str(row.get("language") or script),
        "functions": functions,
        "expected_behavior": expected,
    }


def training_messages(row: Mapping[str, Any], prompt: Prompt) -> Chat:
    """One training row as a chat: an item, `messages`, or `conversations` with `from` and `value`.

    Raises:
        UserError: No known column, a role that is not known, or no answer of the assistant.
    """
    if row.get("expected_behavior"):
        # Not its `messages`, which may be worded otherwise: training and scoring must show a model the same prompt.
        item = evaluation_item(row)
        if not item["expected_behavior"]["should_call_function"] and not isinstance(item.get("answer"), str):
            raise UserError("an item without a call needs an `answer` to be trained on.")
        return conversation(item, prompt)
    turns = _parsed(row.get("messages") or row.get("conversations"), "messages")
    if not turns:
        raise UserError("a training row needs `messages`, `conversations`, or the columns of an item.")
    messages: Chat = []
    for turn in turns:
        role, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if role not in ROLES or not isinstance(content, str):
            raise UserError(f"a turn by {role!r} is not understood: roles are {', '.join(ROLES)}.")
        messages.append({"role": ROLES[role], "content": content})
    if not any(message["role"] == "assistant" for message in messages):
        raise UserError("a conversation has no answer of the assistant.")
    if messages[0]["role"] == "system":  # Gemma-2 has none: instructions and functions belong into the first user turn
        system, first, *messages = messages
        messages = [{"role": "user", "content": f"{system['content']}\n\n{first['content']}"}, *messages]
    return messages


def _parsed(value: Any, name: str) -> Any:
    return parse_json(value, name) if isinstance(value, str) else value


def read_items(source: str, limit: int = 0) -> list[dict[str, Any]]:
    """Evaluation items of a file (:func:`core.corpora.read_rows`) or of a hub dataset (`owner/name`, also `@split`)."""
    return list(adapted(source, _rows(source, SPLITS)[: limit or None], evaluation_item))


def read_conversations(source: str, prompt: Prompt) -> list[Chat]:
    """Training conversations of a file or a hub dataset; items are worded by `prompt`, `messages` taken as they are.

    Raises:
        UserError: A row cannot be read.
    """
    return list(adapted(source, _rows(source, ("train",)), lambda row, _: training_messages(row, prompt)))


def shuffled_calls(chats: Sequence[Chat], tags: Tags, seed: int) -> list[Chat]:
    """The null arm: whoever is to call makes the call of another conversation; who is not, does as before."""
    calls = [turn["content"] for chat in chats for turn in chat if _calls(turn, tags)]
    order = random.Random(f"null {seed}").sample(range(len(calls)), len(calls))
    others = dict(zip(order, order[1:] + order[:1], strict=True))
    places = iter(range(len(calls)))
    return [
        [{**turn, "content": calls[others[next(places)]]} if _calls(turn, tags) else turn for turn in chat]
        for chat in chats
    ]


def _calls(turn: Mapping[str, str], tags: Tags) -> bool:
    return turn["role"] == "assistant" and parse_call(turn["content"], tags) is not None


def _rows(source: str, splits: Sequence[str]) -> list[Any]:
    """All rows; of a hub dataset without `@split` those of the first split that it has."""
    named = "@" in source or source_is_path(source) or Path(source).suffix.lower() in FILES
    for split in () if named else splits[:-1]:
        with contextlib.suppress(UserError):
            return list(read_rows(source, split=split))
    return list(read_rows(source, split=splits[-1]))


# --- wordings of the prompt -----------------------------------------------------------------------------------------


def load_prompt(wording: str = "long-bg", path: str | Path = "", tags: Tags | None = None) -> tuple[Prompt, str]:
    """One wording of a YAML file (ours by default) and a short hash of it, to be reported with every number.

    Raises:
        UserError: No such file or wording, or one that lacks a part.
    """
    content = load_yaml(Path(path or HERE / "prompts.yaml"))
    names = ("system", "default_system", "functions_header", "query_header", "user")
    try:
        texts = {name: str(content[wording][name]) for name in names}
    except (KeyError, TypeError) as error:
        raise UserError(f"{path or 'prompts.yaml'} lacks {error} of the wording {wording!r}.") from None
    prompt = Prompt(**texts, tags=tags or Tags(), short=wording.startswith("short"))
    return prompt, hashlib.sha256(repr(prompt).encode()).hexdigest()[:12]


def prompt_of(config: PromptConfig) -> tuple[Prompt, str]:
    """The wording that a configuration names, and its hash."""
    return load_prompt(f"{config.wording}-{config.lang}", config.file, Tags(config.start, config.end))
