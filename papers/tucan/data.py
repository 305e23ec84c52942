"""What TUCAN is fed: items drawn from functions and how each language asks for them, or rows of files and of the hub.

    items = build_dataset(load_catalogue("tools.json", ["bg.yaml", "en.yaml"]), 2000, seed=0)
    chats = read_conversations("conversations.jsonl", prompt)
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.files import load_json, load_yaml, parse_json
from core.tasks import samples
from core.text.identification import identify
from core.worlds.names import short_names
from papers.tucan.grader import normalize, parse_call, violations
from papers.tucan.method import (
    CALL_SCENARIOS,
    MIX,
    SCENARIOS,
    Draw,
    Prompt,
    Tags,
    conversation,
    draw,
    mirrored,
    render_call,
)

if TYPE_CHECKING:
    from papers.tucan.config import Config, PromptConfig

Chat = list[dict[str, str]]
Part = Literal["train", "dev", "test"]
HERE = Path(__file__).parent
ROLES = {**samples.ROLES, "tool": "user", "function": "user", "model": "assistant"}
LACKING = "missing_required_parameters"
# Where a row names no language: the two that the paper trains on, and their likeliest strangers.
TOLD_APART = ("bg", "ru", "en", "de", "fr", "es", "it")
# Bulgarian prepositions before a word that begins with their own sound.
EUPHONY = {"bg": ((r"(?<!\w)([Вв]) (?=[ВвФф])", r"\1ъв "), (r"(?<!\w)([Сс]) (?=[СсЗз])", r"\1ъс "))}
_SLOT = re.compile(r"\{(\w+)\}")
_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")


# --- functions, and how each language asks for them -----------------------------------------------------------------


@dataclass(frozen=True)
class Tool:
    """How one language asks for a function, what it asks back for an argument, and its answer without functions."""

    requests: list[str]
    ask: dict[str, list[str]]
    reply: str


@dataclass(frozen=True)
class Catalogue:
    """Functions and templates.

    Attributes:
        functions: By name, as a model sees them.
        topics: `{function: what it is about}`; functions of one topic are easily mistaken for one another.
        tools: `{language: {function: how it is asked for}}`; the n-th request of all languages is the same.
        values: `{language: {slot: {key: text}}}`, the same keys in every language.
        refusals: `{language: what is said where no function fits}`.
    """

    functions: dict[str, dict[str, Any]]
    topics: dict[str, str]
    tools: dict[str, dict[str, Tool]]
    values: dict[str, dict[str, dict[str, str]]]
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
    ) -> tuple[tuple[str, str], ...]:
        """Keys of the values of a request: all that are required, and those that are not with a probability."""
        keys: dict[str, str] = {}
        asked = _SLOT.findall(self.requests(name)[template])
        for slot, schema in self.slots(name).items():
            if slot in asked and slot != without and (slot in self.required(name) or rng.random() < options):
                known = next(iter(self.values.values()))[slot]
                pool = sorted(known) if closed(schema) else _parted(tuple(known))[part]
                keys[slot] = rng.choice([key for key in pool if key not in keys.values()] or pool)
        return tuple(keys.items())

    def texts(self, drawn: Draw, language: str) -> dict[str, str]:
        """The values of a draw as a language writes them."""
        return {slot: self.values[language][slot][key] for slot, key in drawn.keys}

    def render(self, drawn: Draw, language: str) -> dict[str, Any]:
        """A draw in one language: the form in which it is scored, and the answer where it is no call.

        Raises:
            UserError: The language lacks the template or a value; the gold call violates its schema, or has a value
                that does not stand in the request.
        """
        try:
            tool, texts = self.tools[language][drawn.name], self.texts(drawn, language)
            request = fill(tool.requests[drawn.template], texts, language)
            said = tool.ask[drawn.missing] if drawn.missing else self.refusals[language]
        except (KeyError, IndexError) as error:
            raise UserError(f"{language} lacks {error} that another language has: keep the files aligned.") from None
        expected: dict[str, Any] = {"should_call_function": drawn.scenario in CALL_SCENARIOS}
        shown = [self.functions[name] for name in drawn.offered]
        item = {"scenario_type": drawn.scenario, "user_message": request, "functions": shown}
        if drawn.scenario in CALL_SCENARIOS:
            expected |= {"expected_function": drawn.name, "expected_parameters": self._gold(drawn, texts, request)}
            return {**item, "expected_behavior": expected}
        if not drawn.offered:
            said = [fill(tool.reply, texts, language)]
        expected["expected_response_type"] = "text_clarification" if drawn.missing else "text_only"
        return {**item, "expected_behavior": expected, "answer": said[drawn.wording % len(said)]}

    def _gold(self, drawn: Draw, texts: Mapping[str, str], request: str) -> dict[str, Any]:
        """Values as the call has to give them: the schema's own for enumerations, else as they stand in the request."""
        gold: dict[str, Any] = {}
        for slot, key in drawn.keys:
            schema, text = self.slots(drawn.name)[slot], texts[slot]
            as_asked = not closed(schema) and "string" in schema.get("type", "string")
            gold[slot] = text if as_asked else _value(key)
            if not closed(schema) and normalize(text) not in normalize(request):
                raise UserError(f"The value {text!r} of {slot} does not occur in the request {request!r}.")
        if wrong := violations(gold, self.functions[drawn.name]["parameters"]):
            raise UserError(f"The gold call of {request!r} violates its schema: {wrong[0]}.")
        return gold


def closed(schema: Mapping[str, Any]) -> bool:
    """Whether a slot has the values of an enumeration, or true and false: they are the same in all parts."""
    return "enum" in schema or schema.get("type") == "boolean"


def _key(value: Any) -> str:
    """How a catalogue names a value: a text by itself, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _value(key: str) -> Any:
    try:
        return parse_json(key, "a key")
    except UserError:
        return key


@cache
def _parted(keys: tuple[str, ...]) -> dict[Part, list[str]]:
    """A fifth of the values each for development and test, by a hash of the key."""
    ranked = sorted(keys, key=lambda key: hashlib.sha256(key.encode()).hexdigest())
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
    """Read functions (JSON: a list, or an MCP answer with `tools`) and one YAML file a language; by default ours.

    Raises:
        UserError: Names the file, function and template that does not fit.
    """
    content = load_json(Path(tools or HERE / "tools.json"))
    content = content.get("tools") if isinstance(content, Mapping) else content
    if not isinstance(content, list):
        raise UserError(f"{tools} holds no list of functions.")
    found = list(adapted(tools or "tools.json", content, lambda function, _: plain_function(function)))
    topics = {function["name"]: function.pop("x-topic", function["name"]) for function in found}
    catalogue = Catalogue({function["name"]: function for function in found}, topics, {}, {}, {})
    named: set[str] = set()
    for path in templates or (HERE / "bg.yaml", HERE / "en.yaml"):
        try:
            entry = load_yaml(Path(path))
            code = str(entry["language"])
            catalogue.tools[code] = {name: Tool(**tool) for name, tool in entry["tools"].items()}
            catalogue.values[code] = {slot: _values(source, code, slot) for slot, source in entry["values"].items()}
            catalogue.refusals[code] = list(map(str, entry["no_function"]))
            for name, tool in catalogue.tools[code].items():
                _check(catalogue, code, name, tool)
            named |= {slot for slot, source in entry["values"].items() if "cldr:" in source}
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}, {error}"
            raise UserError(f"{path} is not laid out as papers/tucan/en.yaml: {reason}.") from None
    for slot in named:  # CLDR does not name everything in every language
        common = set.intersection(*(set(table[slot]) for table in catalogue.values.values() if slot in table))
        for table in catalogue.values.values():
            table[slot] = {key: text for key, text in table.get(slot, {}).items() if key in common}
    return catalogue


def plain_function(function: Any) -> dict[str, Any]:
    """A function in our form, from plain JSON Schema, OpenAI's `{"type": "function", ...}` or an MCP tool.

    Raises:
        UserError: It has no name, or its parameters are no object schema.
    """
    try:
        inner = function.get("function", function)
        parameters = inner.get("parameters", inner.get("inputSchema")) or {}
        properties, required = parameters.get("properties") or {}, parameters.get("required") or []
        sound = isinstance(inner["name"], str) and parameters.get("type", "object") == "object"
        sound = sound and set(required) <= set(properties) and all(isinstance(one, dict) for one in properties.values())
    except (AttributeError, KeyError, TypeError):
        sound = False
    if not sound:
        shown = json.dumps(function, ensure_ascii=False)[:80]
        raise UserError(f"No function: {shown}. Give a name, and parameters as an object's JSON Schema.")
    extra = {key: inner[key] for key in ("description", "x-topic") if key in inner}
    return {"name": inner["name"], **extra, "parameters": {"type": "object", **parameters, "properties": properties}}


def _values(source: Any, language: str, slot: str) -> dict[str, str]:
    """Values of a slot: a mapping key -> text, a list, `cldr:city`, `cldr:currency without EUR`, or `range:2:60`.

    A key is what the call gives: a text by itself, or JSON where the schema wants no string (`"1.5"`, `"[1, 2]"`).
    """
    if isinstance(source, Mapping | list):
        pairs = source.items() if isinstance(source, Mapping) else ((text, text) for text in source)
        return {_key(key): _key(text) for key, text in pairs}
    kind, _, rest = str(source).partition(":")
    names, _, left_out = rest.partition(" without ")
    if kind == "cldr":
        return {key: text for key, text in short_names(language, names).items() if key not in left_out.split()}
    if kind == "range" and re.fullmatch(r"\d{1,6}:\d{1,6}", rest):
        return {str(number): str(number) for number in range(*map(int, rest.split(":")))}
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


# --- drawing items --------------------------------------------------------------------------------------------------


def build_dataset(
    catalogue: Catalogue, count: int, *, languages: Sequence[str] = ("bg", "en"), part: Part = "train", seed: int = 0,
    mix: Mapping[str, float] = MIX, distractors: int = 3, tools: Sequence[str] = (), withheld: Sequence[str] = (),
) -> list[dict[str, Any]]:  # fmt: skip
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
    for names, known in (
        (languages, [*catalogue.tools]), (mix, [*SCENARIOS]), ((*tools, *withheld), [*catalogue.functions]),
    ):  # fmt: skip
        if unknown := [name for name in names if name not in known]:
            raise UserError(f"There is no {unknown[0]!r}: choose among {', '.join(known)}.")
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
        # A function without required arguments lacks nothing.
        able = [name for name in asked if catalogue.required(name)] if scenario == LACKING else asked
        if not able:
            raise UserError("No function has a required argument: leave missing_required_parameters out of the mix.")
        queue[:] = queue or rng.sample(able, len(able))
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
    return {
        **row,
        "id": str(row.get("id") if row.get("id") is not None else number),
        "scenario_type": str(row.get("scenario_type") or "unknown"),
        "language": _language(row, request),
        "functions": functions,
        "expected_behavior": expected,
    }


def training_messages(row: Mapping[str, Any], prompt: Prompt) -> Chat:
    """One training row as a chat: an item, `messages` (OpenAI's calls too), or `conversations` with `from` and `value`.

    Raises:
        UserError: No known column, a role that is not known, or no answer of the assistant.
    """
    if row.get("expected_behavior"):
        # Not its `messages`, which may be worded otherwise: training and scoring must show a model the same prompt.
        item = evaluation_item(row)
        if not item["expected_behavior"]["should_call_function"] and not isinstance(item.get("answer"), str):
            raise UserError("an item without a call needs an `answer` to be trained on.")
        return conversation(item, prompt)
    messages: Chat = []
    for turn in _parsed(row.get("messages") or row.get("conversations"), "messages") or []:
        role, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if calls := turn.get("tool_calls"):
            content = "\n".join([*[content] * bool(content), *(_fenced(call, prompt) for call in calls)])
        if role not in ROLES or not isinstance(content, str):
            raise UserError(f"a turn by {role!r} is not understood: roles are {', '.join(ROLES)}, and it needs a text.")
        messages.append({"role": ROLES[role], "content": content})
    if not any(message["role"] == "assistant" for message in messages):
        raise UserError("no answer of the assistant: give `messages`, `conversations`, or the columns of an item.")
    if functions := _parsed(row.get("tools"), "tools"):  # OpenAI's rows hold them beside the turns
        first = next((turn for turn in messages if turn["role"] == "user"), {"content": ""})
        first["content"] = prompt.render(first["content"], functions)
    if messages[0]["role"] == "system":  # Gemma-2 has none: instructions and functions belong into the first user turn
        system, first, *messages = messages
        messages = [{"role": "user", "content": f"{system['content']}\n\n{first['content']}"}, *messages]
    return messages


def _fenced(call: Any, prompt: Prompt) -> str:
    """A call in OpenAI's form (`{"function": {"name": ..., "arguments": "{...}"}}`) in ours."""
    inner = call.get("function", call)
    return render_call(inner["name"], _parsed(inner.get("arguments") or {}, "arguments"), prompt.tags)


def _parsed(value: Any, name: str) -> Any:
    return parse_json(value, name) if isinstance(value, str) else value


def read_items(source: str, limit: int = 0) -> list[dict[str, Any]]:
    """Evaluation items of a file (:func:`core.corpora.read_rows`) or of a hub dataset's `test` (`owner/name@split`)."""
    return list(adapted(source, list(read_rows(source, split="test"))[: limit or None], evaluation_item))


def read_conversations(source: str, prompt: Prompt, *, language: str = "all", negatives: bool = True) -> list[Chat]:
    """Training conversations of a file or a hub dataset; items are worded by `prompt`, `messages` taken as they are.

    Args:
        source: See :func:`read_items`.
        prompt: Wording of items, and the tags of a call.
        language: Keep one alone: a row's `language`, or what the words of its request say.
        negatives: Off: keep conversations with a call alone.

    Returns:
        As many as there are; what is kept comes again in the place of what is not.

    Raises:
        UserError: A row cannot be read, or none is kept.
    """
    rows = list(read_rows(source))
    chats: list[Chat] = list(adapted(source, rows, lambda row, _: training_messages(row, prompt)))
    kept = [
        chat
        for row, chat in zip(rows, chats, strict=True)
        if language in ("all", _language(row, row.get("user_message") or chat[0]["content"].splitlines()[-1]))
        and (negatives or any(parse_call(t["content"], prompt.tags) for t in chat if t["role"] == "assistant"))
    ]
    if not kept:
        raise UserError(f"{source} has no conversation that is to be trained on: see languages and negatives.")
    return list(itertools.islice(itertools.cycle(kept), len(chats)))


def shuffled_answers(chats: Sequence[Chat], seed: int) -> list[Chat]:
    """The null arm: every request gets the answer of another one, a call or none."""
    answers = [turn["content"] for chat in chats for turn in chat if turn["role"] == "assistant"]
    order = random.Random(f"null {seed}").sample(range(len(answers)), len(answers))
    others = dict(zip(order, order[1:] + order[:1], strict=True))
    places = iter(range(len(answers)))
    return [
        [{**turn, "content": answers[others[next(places)]]} if turn["role"] == "assistant" else turn for turn in chat]
        for chat in chats
    ]


def training_chats(config: Config) -> list[Chat]:
    """What an arm is trained on, from a file or the miniature: every ablation changes both."""
    prompt, _ = prompt_of(config.prompt)
    if config.train_file:
        kept: Any = {"language": config.languages, "negatives": config.negatives}
        chats = read_conversations(config.train_file, prompt, **kept)
    else:
        from papers.tucan import miniature

        chats = [conversation(item, prompt) for item in miniature.training_items(config)]
    return shuffled_answers(chats, config.seed) if config.answers == "shuffled" else chats


def _language(row: Mapping[str, Any], request: str) -> str:
    """What a row says, else what the words of its request do; `und` (undetermined) where they do not."""
    return str(row.get("language") or identify(request, TOLD_APART) or "und")


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
