"""Functions, and how each language asks for them: what items are drawn from.

    catalogue = load_catalogue("tools.json", ["bg.yaml", "en.yaml"])
    catalogue.render(Draw("function_call_required", "get_weather", keys=(("city", "Europe/Sofia"),)), "bg")

Training, development and test share neither a wording nor a value of an open slot; a slot with an enumeration is
closed: its values stand in the schema, and in its language.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from core.corpora import adapted
from core.errors import UserError
from core.files import load_json, load_yaml
from core.worlds.names import short_names
from papers.tucan.grader import normalize, violations
from papers.tucan.method import CALL_SCENARIOS, Draw

Part = Literal["train", "dev", "test"]
HERE = Path(__file__).parent
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

    def templates(self, name: str, part: Part) -> list[int]:
        """Positions of a part's templates: the last quarter is for the test, a sixth before it for development."""
        count = len(self._request(name))
        test = count - max(1, count // 4)
        dev = test - max(1, count // 6)
        return list({"train": range(dev), "dev": range(dev, test), "test": range(test, count)}[part])

    def droppable(self, name: str, template: int) -> list[str]:
        """Required values that a template can do without: each alone in its brackets."""
        found = [_SLOT.findall(part) for part in _OPTIONAL.findall(self._request(name)[template])]
        if can_go := sorted(slots[0] for slots in found if len(slots) == 1 and slots[0] in self.required(name)):
            return can_go
        raise UserError(f"No request of {name} can leave out a required value: put it into [brackets].")

    def values_for(
        self, name: str, template: int, part: Part, rng: random.Random, *, without: str = "", options: float = 0.5
    ) -> tuple[tuple[str, str], ...]:
        """Keys of the values of a request: all that are required, and those that are not with a probability."""
        keys: dict[str, str] = {}
        asked = _SLOT.findall(self._request(name)[template])
        for slot, schema in self.slots(name).items():
            if slot in asked and slot != without and (slot in self.required(name) or rng.random() < options):
                known = next(iter(self.values.values()))[slot]
                pool = sorted(known) if "enum" in schema else _parted(tuple(known))[part]
                keys[slot] = rng.choice([key for key in pool if key not in keys.values()] or pool)
        return tuple(keys.items())

    def _request(self, name: str) -> list[str]:
        return next(iter(self.tools.values()))[name].requests

    def texts(self, drawn: Draw, language: str) -> dict[str, str]:
        """The values of a draw as a language writes them."""
        return {slot: self.values[language][slot][key] for slot, key in drawn.keys}

    def render(self, drawn: Draw, language: str) -> dict[str, Any]:
        """A draw in one language: the form in which it is scored, and the answer where it is no call.

        Raises:
            UserError: The language lacks the template or a value; the gold call violates its schema, or has a value
                that does not stand in the request.
        """
        call = drawn.scenario in CALL_SCENARIOS
        shown = [self.functions[name] for name in drawn.offered]
        try:
            tool, texts = self.tools[language][drawn.name], self.texts(drawn, language)
            request, said = fill(tool.requests[drawn.template], texts, language), self.refusals[language]
            if drawn.missing:
                said = tool.ask[drawn.missing]
        except (KeyError, IndexError) as error:
            raise UserError(f"{language} lacks {error} that another language has: keep the files aligned.") from None
        expected: dict[str, Any] = {"should_call_function": call}
        item = {"scenario_type": drawn.scenario, "user_message": request, "functions": shown}
        if call:
            expected |= {"expected_function": drawn.name, "expected_parameters": self._gold(drawn, texts, request)}
            return {**item, "expected_behavior": expected}
        said = said if drawn.missing or drawn.offered else [fill(tool.reply, texts, language)]
        expected["expected_response_type"] = "text_clarification" if drawn.missing else "text_only"
        return {**item, "expected_behavior": expected, "answer": said[drawn.wording % len(said)]}

    def _gold(self, drawn: Draw, texts: Mapping[str, str], request: str) -> dict[str, Any]:
        """Values as the call has to give them: the schema's own for enumerations, else as they stand in the request."""
        gold: dict[str, Any] = {}
        for slot, key in drawn.keys:
            schema, text = self.slots(drawn.name)[slot], texts[slot]
            gold[slot] = key if "enum" in schema else int(text) if schema.get("type") == "integer" else text
            if "enum" not in schema and normalize(text) not in normalize(request):
                raise UserError(f"The value {text!r} of {slot} does not occur in the request {request!r}.")
        if wrong := violations(gold, self.functions[drawn.name]["parameters"]):
            raise UserError(f"The gold call of {request!r} violates its schema: {wrong[0]}.")
        return gold


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


# --- reading a catalogue --------------------------------------------------------------------------------------------


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


def load_catalogue(tools: str | Path = "", templates: Sequence[str | Path] = ()) -> Catalogue:
    """Read functions (JSON: a list, or an MCP answer with `tools`) and one YAML file a language.

    Without arguments: the nineteen functions of the miniature, in Bulgarian and English.

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
            raise UserError(
                f"{path} is not laid out as papers/tucan/en.yaml: {type(error).__name__}, {error}."
            ) from None
    for slot in named:  # CLDR does not name everything in every language
        common = set.intersection(*(set(table[slot]) for table in catalogue.values.values() if slot in table))
        for table in catalogue.values.values():
            table[slot] = {key: text for key, text in table.get(slot, {}).items() if key in common}
    return catalogue


def _values(source: Any, language: str, slot: str) -> dict[str, str]:
    """Values of a slot: a mapping key -> text, a list, `cldr:city`, `cldr:currency without EUR`, or `range:2:60`."""
    if isinstance(source, Mapping | list):
        pairs = source.items() if isinstance(source, Mapping) else ((text, text) for text in source)
        return {str(key): str(text) for key, text in pairs}
    kind, _, rest = str(source).partition(":")
    names, _, left_out = rest.partition(" without ")
    if kind == "cldr":
        return {key: text for key, text in short_names(language, names).items() if key not in left_out.split()}
    if kind == "range" and re.fullmatch(r"\d{1,6}:\d{1,6}", rest):
        return {str(number): str(number) for number in range(*map(int, rest.split(":")))}
    raise UserError(
        f"The values of {slot!r} ({source!r}) are not understood: a list, a mapping, cldr:city or range:2:60."
    )


def _check(catalogue: Catalogue, language: str, name: str, tool: Tool) -> None:
    """Every template can be filled, and every required argument has a question that asks for it."""
    if name not in catalogue.functions:
        raise UserError(f"{language}: templates for {name!r}, but there is no such function.")
    known, required = catalogue.slots(name), set(catalogue.required(name))
    if len(tool.requests) < 3:
        raise UserError(f"{language}: {name} needs three requests: for training, development and test.")
    for template in tool.requests:
        if not required <= set(_SLOT.findall(template)) <= set(known):
            raise UserError(
                f"{language}: {template!r} must name all of {sorted(required)} and no others than {[*known]}."
            )
    for slot, schema in known.items():
        values = catalogue.values[language][slot]
        if not set(values) <= set(map(str, schema.get("enum", values))):
            raise UserError(f"{language}: the keys of {slot!r} must be the schema's: {schema['enum']}.")
        if "enum" not in schema and len(values) < 5:
            raise UserError(f"{language}: give at least five values for {slot!r}: they are split in three parts.")
    if missing := required - set(tool.ask):
        raise UserError(f"{language}: {name} has no question that asks for {min(missing)!r}.")
