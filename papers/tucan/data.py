"""What TUCAN is fed: items drawn from functions and how each language asks for them, or rows of files and of the hub.

    items = build_dataset(load_catalogue("tools.json", ["bg.yaml", "en.yaml"]), 2000, seed=0)
    items = read_items("llm-bg/Tucan-BG-Eval-v1.0")

An item has the form in which it is scored (`scenario_type`, `functions`, `user_message`, `expected_behavior`) and what
training needs (`answer`, or the expected call). Training, development and test share neither a wording nor a value of
an open slot; a slot with an enumeration is closed: its values stand in the schema, and in its language.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.files import load_json, load_yaml, parse_json
from core.tasks import samples
from core.text.identification import identify
from core.text.sampling import allocate
from core.worlds.names import short_names
from papers.tucan.grader import normalize, parse_call, plain, violations
from papers.tucan.method import CALL_SCENARIOS, MIX, Draw, Prompt, Tags, conversation, draw, mirrored

if TYPE_CHECKING:
    from papers.tucan.config import Config, PromptConfig

Chat = list[dict[str, str]]
Part = Literal["train", "dev", "test"]
HERE = Path(__file__).parent
LACKING = "missing_required_parameters"
# Where a row names no language: the two that the paper trains on, and their likeliest strangers.
TOLD_APART = ("bg", "ru", "en", "de", "fr", "es", "it")
OWN = "bg"
"""The language of the paper's prompts."""
# Bulgarian prepositions before a word that begins with their own sound.
EUPHONY = {"bg": ((r"(?<!\w)([Вв]) (?=[ВвФф])", r"\1ъв "), (r"(?<!\w)([Сс]) (?=[СсЗз])", r"\1ъс "))}
_SLOT = re.compile(r"\{(\w+)\}")
_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True)
class Tool:
    """How one language asks for a function, what it asks back for an argument, and its answer without functions."""

    requests: list[str]
    ask: dict[str, list[str]]
    reply: str


@dataclass(frozen=True)
class Catalogue:
    """Functions as a model sees them, and by language how they are asked for and refused.

    Functions of one topic are easily mistaken for one another. The n-th request of a tool is the same in all languages,
    and so are the keys of `values[language][slot]`; what stands there is what the request says, or a pair of that and
    what the call gives.
    """

    functions: dict[str, dict[str, Any]]
    topics: dict[str, str]
    tools: dict[str, dict[str, Tool]]
    values: dict[str, dict[str, dict[Any, Any]]]
    refusals: dict[str, list[str]]

    def slots(self, name: str) -> dict[str, Any]:
        """Arguments of a function, each with its schema."""
        return dict(self.functions[name]["parameters"]["properties"])

    def required(self, name: str) -> list[str]:
        """Arguments that a call must have."""
        return list(self.functions[name]["parameters"].get("required") or ())

    def requests(self, name: str) -> list[str]:
        """How the first language asks for a function."""
        return next(iter(self.tools.values()))[name].requests

    def templates(self, name: str, part: Part) -> list[int]:
        """Positions of a part's templates: the last quarter is for the test, a sixth before it for development."""
        count = len(self.requests(name))
        test = count - max(1, count // 4)
        dev = test - max(1, count // 6)
        return list({"train": range(dev), "dev": range(dev, test), "test": range(test, count)}[part])

    def droppable(self, name: str, template: int) -> list[str]:
        """Required values that a template can do without: each alone in its brackets."""
        found = [_SLOT.findall(part) for part in _OPTIONAL.findall(self.requests(name)[template])]
        if can_go := sorted(slots[0] for slots in found if len(slots) == 1 and slots[0] in self.required(name)):
            return can_go
        raise UserError(f"A request of {name} cannot leave out a required value: put it into [brackets].")

    def values_for(
        self, name: str, template: int, part: Part, rng: random.Random, *, without: str = "", options: float = 0.5
    ) -> tuple[tuple[str, Any], ...]:
        """Values of a request by slot: all that are required, and those that are not with a probability."""
        drawn: dict[str, Any] = {}
        asked = _SLOT.findall(self.requests(name)[template])
        for slot, schema in self.slots(name).items():
            if slot in asked and slot != without and (slot in self.required(name) or rng.random() < options):
                known = next(iter(self.values.values()))[slot]
                pool = sorted(known, key=str) if closed(schema) else _parted(tuple(known))[part]
                drawn[slot] = rng.choice([value for value in pool if value not in drawn.values()] or pool)
        return tuple(drawn.items())

    def texts(self, values: Iterable[tuple[str, Any]], language: str) -> dict[str, str]:
        """Values by slot as a language writes them."""
        found = {slot: self.values[language][slot][value] for slot, value in values}
        return {slot: entry[0] if isinstance(entry, list) else entry for slot, entry in found.items()}

    def render(self, drawn: Draw, language: str) -> dict[str, Any]:
        """A draw in one language: the form in which it is scored, and the answer where it is no call."""
        try:
            tool, texts = self.tools[language][drawn.name], self.texts(drawn.values, language)
            request = fill(tool.requests[drawn.template], texts, language)
            said = tool.ask[drawn.missing] if drawn.missing else self.refusals[language]
            said = said if drawn.offered else [fill(tool.reply, texts, language)]
        except (KeyError, IndexError) as error:
            raise UserError(f"{language} lacks {error} that another language has: keep the files aligned.") from None
        shown = [self.functions[name] for name in drawn.offered]
        item = {"scenario_type": drawn.scenario, "user_message": request, "functions": shown}
        if drawn.scenario in CALL_SCENARIOS:
            gold = self._gold(drawn, language, request)
            called = {"should_call_function": True, "expected_function": drawn.name, "expected_parameters": gold}
            return {**item, "expected_behavior": called}
        kind = "text_clarification" if drawn.missing else "text_only"
        refrained = {"should_call_function": False, "expected_response_type": kind}
        return {**item, "expected_behavior": refrained, "answer": said[drawn.wording % len(said)]}

    def _gold(self, drawn: Draw, language: str, request: str) -> dict[str, Any]:
        """Values as the user's pair says, else as the schema enumerates them, else as they stand in the request."""
        gold, texts = {}, self.texts(drawn.values, language)
        for slot, value in drawn.values:
            schema, entry = self.slots(drawn.name)[slot], self.values[language][slot][value]
            own = entry if not closed(schema) and "string" in schema.get("type", "string") else value
            gold[slot] = entry[1] if isinstance(entry, list) else own
            if not closed(schema) and normalize(texts[slot]) not in normalize(request):
                raise UserError(f"The value {texts[slot]!r} of {slot} does not occur in the request {request!r}.")
        if wrong := violations(gold, self.functions[drawn.name]["parameters"]):
            raise UserError(f"The gold call of {request!r} violates its schema: {wrong[0]}.")
        return gold


def closed(schema: Mapping[str, Any]) -> bool:
    """Whether a slot has the values of an enumeration, or true and false: they are the same in all parts."""
    return "enum" in schema or schema.get("type") == "boolean"


@cache
def _parted(values: tuple[Any, ...]) -> dict[Part, list[Any]]:
    """A fifth of the values each for development and test, by a hash."""
    ranked = sorted(values, key=lambda value: hashlib.sha256(str(value).encode()).hexdigest())
    fifth = max(1, len(ranked) // 5)
    return {"test": ranked[:fifth], "dev": ranked[fifth : 2 * fifth], "train": ranked[2 * fifth :]}


def fill(template: str, values: Mapping[str, str], language: str) -> str:
    """A request with its values; a part in brackets goes when one of its values is not given."""
    kept = _OPTIONAL.sub(lambda m: m[1] if all(slot in values for slot in _SLOT.findall(m[1])) else "", template)
    text = _SLOT.sub(lambda m: values[m[1]], kept)
    for pattern, replacement in EUPHONY.get(language, ()):
        text = re.sub(pattern, replacement, text)
    return text


def load_catalogue(tools: str | Path = "", templates: Sequence[str | Path] = ()) -> Catalogue:
    """Read functions (a JSON list) and a YAML file a language, by default ours; values that one lacks are left out.

    Raises:
        UserError: Names the file, function and template that does not fit.
    """
    listed = Path(tools or HERE / "tools.json")
    found = list(adapted(str(listed), load_json(listed, list), lambda function, _: plain_function(function)))
    topics = {function["name"]: function.pop("x-topic", function["name"]) for function in found}
    catalogue = Catalogue({function["name"]: function for function in found}, topics, {}, {}, {})
    for path in templates or (HERE / "bg.yaml", HERE / "en.yaml"):
        try:
            entry = load_yaml(Path(path))
            code = str(entry["language"])
            catalogue.tools[code] = {name: Tool(**tool) for name, tool in entry["tools"].items()}
            catalogue.values[code] = {slot: _values(source, code, slot) for slot, source in entry["values"].items()}
            catalogue.refusals[code] = list(map(str, entry["no_function"]))
            for name, tool in catalogue.tools[code].items():
                _check(catalogue, code, name, tool)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}, {error}"
            raise UserError(f"{path} is not laid out as papers/tucan/en.yaml: {reason}.") from None
    for slots in catalogue.values.values():
        for slot, table in slots.items():
            others = [other[slot] for other in catalogue.values.values() if slot in other]
            slots[slot] = {value: text for value, text in table.items() if all(value in other for other in others)}
            if not slots[slot] or len(slots[slot]) < 5 <= len(table):
                raise UserError(f"The languages share {len(slots[slot])} values of {slot!r}: give all the same keys.")
    return catalogue


def plain_function(function: Any) -> dict[str, Any]:
    """A function in our form, from plain JSON Schema, OpenAI's `{"type": "function", ...}` or an MCP tool."""
    try:
        own = plain(function)
        schema = own["parameters"]
        properties = schema.get("properties") or {}
        sound = isinstance(own["name"], str) and schema.get("type", "object") == "object"
        sound = sound and set(schema.get("required") or ()) <= set(properties)
        sound = sound and all(isinstance(one, dict) for one in properties.values())
    except (AttributeError, KeyError, TypeError):
        sound = False
    if not sound:
        shown = json.dumps(function, ensure_ascii=False)[:80]
        raise UserError(f"No function: {shown}. Give a name, and parameters as an object's JSON Schema.")
    kept: dict[str, Any] = {key: own[key] for key in ("name", "description", "x-topic") if key in own}
    return {**kept, "parameters": {"type": "object", **schema, "properties": properties}}


def _values(source: Any, language: str, slot: str) -> dict[Any, Any]:
    """Values of a slot from a mapping, a list, `cldr:city`, `cldr:currency without EUR` or `range:2:60`."""
    if isinstance(source, list):
        source = dict(zip(source, source, strict=True))
    if isinstance(source, Mapping):
        pairs = [entry for entry in source.values() if isinstance(entry, list)]
        if wrong := [pair for pair in pairs if len(pair) != 2 or not isinstance(pair[0], str)]:
            raise UserError(
                f"{language}: {wrong[0]!r} of {slot!r} is no pair of what the request says and what the call gives."
            )
        return {value: entry if isinstance(entry, list) else str(entry) for value, entry in source.items()}
    kind, _, rest = str(source).partition(":")
    names, _, left_out = rest.partition(" without ")
    if kind == "cldr":
        return {key: text for key, text in short_names(language, names).items() if key not in left_out.split()}
    if kind == "range" and re.fullmatch(r"\d{1,6}:\d{1,6}", rest):
        return {number: str(number) for number in range(*map(int, rest.split(":")))}
    raise UserError(f"Values of {slot!r} ({source!r}) are not understood: a list, a mapping, cldr:city or range:2:60.")


def _check(catalogue: Catalogue, language: str, name: str, tool: Tool) -> None:
    """Every template can be filled, and every required argument has a question that asks for it."""
    if name not in catalogue.functions:
        raise UserError(f"{language}: templates for {name!r}, but there is no such function.")
    known, required = catalogue.slots(name), set(catalogue.required(name))
    if len(tool.requests) < 3:
        raise UserError(f"{language}: {name} needs three requests: for training, development and test.")
    for template in tool.requests:
        if not required <= set(_SLOT.findall(template)) <= set(known):
            wanted = f"all of {sorted(required)} and no others than {[*known]}"
            raise UserError(f"{language}: {template!r} must name {wanted}.")
    for slot, schema in known.items():
        if len(catalogue.values[language][slot]) < 5 and not closed(schema):
            raise UserError(f"{language}: give at least five values for {slot!r}: they are split in three parts.")
    if missing := required - set(tool.ask):
        raise UserError(f"{language}: {name} has no question that asks for {min(missing)!r}.")


def build_dataset(
    catalogue: Catalogue, count: int, *, languages: Sequence[str] = ("bg", "en"), part: Part = "train", seed: int = 0,
    mix: Mapping[str, float] = MIX, distractors: int = 3, tools: Sequence[str] = (), withheld: Sequence[str] = (),
) -> list[dict[str, Any]]:  # fmt: skip
    """Draw items with ids `<function>/<scenario>/<part>-<seed>-<number>-<language>`, each draw in every language.

    The shares of `mix` are met up to rounding. Of `tools` (none: all) each is asked for in a scenario before one comes
    again, beside at most `distractors` further functions; those `withheld` are neither asked for nor offered.

    Raises:
        UserError: A catalogue that cannot fill a scenario.
    """
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
        plain_function(function)
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
