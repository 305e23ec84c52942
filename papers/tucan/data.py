"""What TUCAN is fed: items drawn from functions and how each language asks for them, or rows of files and of the hub.

    items = build_dataset(load_catalogue("tools.json", ["bg.yaml", "en.yaml"]), 2000, seed=0)
    items = read_items("llm-bg/Tucan-BG-Eval-v1.0")

An item has the form in which it is scored (`scenario_type`, `functions`, `user_message`, `expected_behavior`) and what
training needs (`answer`, or the expected call). Training, development and test share neither a wording nor a value of
an open slot (`core.worlds.requests`).
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.files import load_yaml, parse_json
from core.metrics.calls import checked
from core.tasks import samples
from core.text.identification import identify
from core.text.sampling import allocate
from core.worlds import requests
from core.worlds.base import Part
from core.worlds.requests import Catalogue
from papers.tucan.grader import normalize, parse_call
from papers.tucan.method import MIX, Draw, Prompt, Tags, conversation, draw, mirrored

if TYPE_CHECKING:
    from papers.tucan.config import Config, PromptConfig

Chat = list[dict[str, str]]
HERE = Path(__file__).parent
LACKING = "missing_required_parameters"
# Where a row names no language: the two that the paper trains on, and their likeliest strangers.
TOLD_APART = ("bg", "ru", "en", "de", "fr", "es", "it")
OWN = "bg"
"""The language of the paper's prompts."""


def load_catalogue(tools: str | Path = "", templates: Sequence[str | Path] = ()) -> Catalogue:
    """Functions and how languages ask for them (:func:`core.worlds.requests.load`), by default ours."""
    return requests.load(tools or HERE / "tools.json", templates or (HERE / "bg.yaml", HERE / "en.yaml"), normalize)


def build_dataset(
    catalogue: Catalogue, count: int, *, languages: Sequence[str] = ("bg", "en"), part: Part = "train", seed: int = 0,
    mix: Mapping[str, float] = MIX, distractors: int = 3, tools: Sequence[str] = (), withheld: Sequence[str] = (),
) -> list[dict[str, Any]]:  # fmt: skip
    """Draw items with ids `<function>/<scenario>/<part>-<seed>-<number>-<language>`, each draw in every language.

    The shares of `mix` are met up to rounding. Of `tools` (none: all) each is asked for in a scenario before one comes
    again, beside at most `distractors` further functions; those `withheld` are neither asked for nor offered.

    Raises:
        UserError: A catalogue that cannot fill a scenario, or that lacks a language.
    """
    if not languages or set(languages) - catalogue.tools.keys():
        raise UserError(f"There are no requests in the languages {[*languages]}: name some of {[*catalogue.tools]}.")
    rng = random.Random(f"{seed}/{part}")
    asked = [name for name in tools or catalogue.tools[languages[0]] if name not in withheld]
    offered = [name for name in catalogue.functions if name not in withheld]
    # A function without required arguments lacks nothing.
    able = dict.fromkeys(mix, asked) | {LACKING: [name for name in asked if catalogue.required(name)]}
    if not able[LACKING] or len(offered) < 2:
        raise UserError("Two functions are needed, one to ask for, with a required argument, and one beside it.")
    shares = allocate(mix, -(-count // len(languages)))
    scenarios = [scenario for scenario, share in shares.items() for _ in range(share.draws)]
    rng.shuffle(scenarios)
    queues: dict[str, list[str]] = {scenario: [] for scenario in mix}
    seen: set[Draw] = set()
    items: list[dict[str, Any]] = []
    for number, scenario in enumerate(scenarios):
        queue = queues[scenario]
        queue[:] = queue or rng.sample(able[scenario], len(able[scenario]))
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


# --- rows of files and the hub --------------------------------------------------------------------------------------


def evaluation_item(row: Mapping[str, Any], number: int = 0) -> dict[str, Any]:
    """One evaluation row as an item; functions and expected values stay as they are: the official prompt shows them."""
    functions = list(_parsed(row.get("functions"), "functions") or [])
    expected = dict(_parsed(row["expected_behavior"], "expected_behavior"))
    called = expected["should_call_function"]
    texts = [row["user_message"], *([expected["expected_function"]] if called else [])]
    if not isinstance(called, bool) or not all(isinstance(text, str) for text in texts):
        raise UserError("user_message and expected_function are texts, and should_call_function is true or false.")
    for function in functions:
        checked(function)
    if (parameters := _parsed(expected.get("expected_parameters"), "expected_parameters")) is not None:
        expected["expected_parameters"] = parameters
    return {
        **row,
        "id": str(row.get("id") if row.get("id") is not None else number),
        "scenario_type": str(row.get("scenario_type") or "unknown"),
        "language": _language(row, row["user_message"]),
        "functions": functions,
        "expected_behavior": expected,
    }


def training_messages(row: Mapping[str, Any], prompt: Prompt) -> Chat:
    """One training row as a chat: an item, or what :func:`core.tasks.samples.lesson` takes, such as `messages`."""
    if row.get("expected_behavior"):
        # Not its `messages`, which may be worded otherwise: training and scoring must show a model the same prompt.
        item = evaluation_item(row)
        if not item["expected_behavior"]["should_call_function"] and not isinstance(item.get("answer"), str):
            raise UserError("an item without a call needs an `answer` to be trained on.")
        return conversation(item, prompt)
    chat: Chat = samples.lesson(row, "bg")["messages"]
    if chat[0]["role"] == "system":  # Gemma-2 has none: instructions and functions belong into the first user turn
        system, first, *chat = chat
        chat = [{"role": "user", "content": f"{system['content']}\n\n{first['content']}"}, *chat]
    return chat


def _parsed(value: Any, name: str) -> Any:
    return parse_json(value, name) if isinstance(value, str) else value


def _language(row: Mapping[str, Any], request: str) -> str:
    """What a row says, else what the words of its request do; `und` (undetermined) where they do not."""
    return str(row.get("language") or identify(request, TOLD_APART) or "und")


def read_items(source: str, limit: int = 0) -> list[dict[str, Any]]:
    """Evaluation items of a file (:func:`core.corpora.read_rows`) or of a hub dataset's `test` (`owner/name@split`)."""
    return list(adapted(source, list(read_rows(source, split="test"))[: limit or None], evaluation_item))


def training_chats(config: Config) -> list[Chat]:
    """What an arm is trained on, from a file or the miniature: every ablation changes both."""
    rows = list(read_rows(config.train_file)) if config.train_file else []
    prompt, _ = load_prompt(config.prompt, [str(row.get("language") or OWN) for row in rows] or [OWN])
    if not rows:
        from papers.tucan import miniature

        chats = [conversation(item, prompt) for item in miniature.training_items(config)]
    else:
        read: list[Chat] = list(adapted(config.train_file, rows, lambda row, _: training_messages(row, prompt)))
        kept = [chat for row, chat in zip(rows, read, strict=True) if _wanted(config, row, chat, prompt)]
        if not kept:
            raise UserError(f"{config.train_file} has no conversation to train on: see languages and negatives.")
        chats = list(itertools.islice(itertools.cycle(kept), len(read)))  # others in the place of what is left out
    if config.answers == "shuffled":  # the null arm: after every request comes what is right after another one
        order = random.Random(f"null {config.seed}").sample(range(len(chats)), len(chats))
        other = dict(zip(order, order[1:] + order[:1], strict=True))
        chats = [[chat[0], *chats[other[place]][1:]] for place, chat in enumerate(chats)]
    return chats


def _wanted(config: Config, row: Mapping[str, Any], chat: Chat, prompt: Prompt) -> bool:
    """Whether an arm trains on a row: whether it is in its language, and has a call if it has no negatives."""
    request = row.get("user_message") or chat[0]["content"].strip().rpartition("\n")[2]
    called = any(parse_call(turn["content"], prompt.tags) for turn in chat[1:])
    return config.languages in ("all", _language(row, request)) and (config.negatives or called)


def load_prompt(config: PromptConfig, languages: Iterable[str] = (OWN,)) -> tuple[Prompt, str]:
    """The wording that a configuration names, and a short hash of it, to be reported with every number.

    Without a file of other wordings, and where none of the `languages` of the requests is Bulgarian or undetermined,
    the wording is English.

    Raises:
        UserError: No such file or wording, or one that lacks a part.
    """
    content, wording = load_yaml(Path(config.file or HERE / "prompts.yaml")), config.wording
    names = ("system", "default_system", "functions_header", "query_header", "user")
    try:
        own = config.file or {OWN, "und"} & {*languages}
        texts = {name: str((content if own else content["en"])[wording][name]) for name in names}
    except (KeyError, TypeError) as error:
        raise UserError(f"{config.file or 'prompts.yaml'} lacks {error} of the wording {wording!r}.") from None
    prompt = Prompt(**texts, tags=Tags(config.start, config.end), short=config.wording == "short")
    return prompt, hashlib.sha256(repr(prompt).encode()).hexdigest()[:12]
