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
        functions: By name, with `x-topic` as annotation.
        tools: `{language: {function: how it is asked for}}`.
        values: `{language: {slot: {key: text}}}`, the same keys in every language.
        refusals: `{language: what is said where no function fits}`.
    """

    functions: dict[str, dict[str, Any]]
    tools: dict[str, dict[str, Tool]]
    values: dict[str, dict[str, dict[str, str]]]
    refusals: dict[str, list[str]]

    def topic(self, name: str) -> str:
        """What a function is about; functions of one topic are easily mistaken for one another."""
        return str(self.functions[name].get("x-topic", name))

    def required(self, name: str) -> list[str]:
        """Arguments that a call must have."""
        return list(self.functions[name]["parameters"].get("required") or ())

    def requests(self, name: str) -> list[str]:
        """The templates of a function in the first language; their order is that of all others."""
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
        can_go = sorted(slots[0] for slots in found if len(slots) == 1 and slots[0] in self.required(name))
        if not can_go:
            raise UserError(f"No request of {name} can leave out a required value: put it into [brackets].")
        return can_go

    def pool(self, name: str, slot: str, part: Part) -> list[str]:
        """Keys of a part's values: a fifth each for development and test, by a hash of the key."""
        keys = next(iter(self.values.values()))[slot]
        if "enum" in self.functions[name]["parameters"]["properties"][slot]:
            return sorted(keys)
        return _parted(tuple(keys))[part]

    def values_for(
        self, name: str, template: int, part: Part, rng: random.Random, *, without: str = "", options: float = 0.5
    ) -> tuple[tuple[str, str], ...]:
        """Keys of the values of a request: all that are required, and those that are not with a probability."""
        keys: dict[str, str] = {}
        slots = _SLOT.findall(self.requests(name)[template])
        for slot in self.functions[name]["parameters"]["properties"]:
            if slot in slots and slot != without and (slot in self.required(name) or rng.random() < options):
                pool = self.pool(name, slot, part)
                keys[slot] = rng.choice([key for key in pool if key not in keys.values()] or pool)
        return tuple(keys.items())

    def texts(self, drawn: Draw, language: str) -> dict[str, str]:
        """The values of a draw as a language writes them."""
        return {slot: self.values[language][slot][key] for slot, key in drawn.keys}

    def render(self, drawn: Draw, language: str) -> dict[str, Any]:
        """A draw in one language: the form in which it is scored, and the answer where it is no call.

        Raises:
            UserError: The language lacks the template, the value or the question; the gold call violates its schema,
                or has a value that does not stand in the request.
        """
        call = drawn.scenario in CALL_SCENARIOS
        expected: dict[str, Any] = {"should_call_function": call}
        answer: dict[str, str] = {}
        try:
            tool, texts = self.tools[language][drawn.name], self.texts(drawn, language)
            request, said = fill(tool.requests[drawn.template], texts, language), self.refusals[language]
            if call:
                gold = {slot: self._gold(drawn.name, slot, key, texts[slot]) for slot, key in drawn.keys}
                self._check_gold(drawn.name, gold, request)
                expected |= {"expected_function": drawn.name, "expected_parameters": gold}
            else:
                if drawn.missing:
                    said = tool.ask[drawn.missing]
                elif not drawn.offered:
                    said = [fill(tool.reply, texts, language)]
                answer["answer"] = said[drawn.wording % len(said)]
                expected["expected_response_type"] = "text_clarification" if drawn.missing else "text_only"
        except (KeyError, IndexError) as error:
            raise UserError(f"{language} lacks {error} that another language has: keep the files aligned.") from None
        shown = [shown_function(self.functions[name]) for name in drawn.offered]
        item = {"scenario_type": drawn.scenario, "user_message": request, "functions": shown}
        return {**item, "expected_behavior": expected, **answer}

    def _gold(self, name: str, slot: str, key: str, text: str) -> Any:
        """A value as the call has to give it: the schema's own for enumerations, else the text."""
        schema = self.functions[name]["parameters"]["properties"][slot]
        return key if "enum" in schema else int(text) if schema.get("type") == "integer" else text

    def _check_gold(self, name: str, gold: dict[str, Any], request: str) -> None:
        parameters = self.functions[name]["parameters"]
        if wrong := violations(gold, parameters):
            raise UserError(f"The gold call of {request!r} violates its schema: {wrong[0]}.")
        for slot, value in gold.items():
            if "enum" not in parameters["properties"][slot] and normalize(str(value)) not in normalize(request):
                raise UserError(f"The value {value!r} of {slot} does not occur in the request {request!r}.")


@cache
def _parted(keys: tuple[str, ...]) -> dict[Part, list[str]]:
    ranked = sorted(keys, key=lambda key: hashlib.sha256(key.encode()).hexdigest())
    fifth = max(1, len(ranked) // 5)
    return {"test": ranked[:fifth], "dev": ranked[fifth : 2 * fifth], "train": ranked[2 * fifth :]}


def shown_function(schema: Any) -> Any:
    """A function as a model sees it: without our own `x-` annotations."""
    if isinstance(schema, list):
        return [shown_function(element) for element in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {key: shown_function(value) for key, value in schema.items() if not key.startswith("x-")}


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
        raise UserError(
            f"Not understood as a function: {shown}. Give a name, and parameters as an object's JSON Schema."
        )
    extra = {key: value for key, value in inner.items() if key == "description" or key.startswith("x-")}
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
    found = adapted(tools or "tools.json", content, lambda function, _: plain_function(function))
    catalogue = Catalogue({function["name"]: function for function in found}, {}, {}, {})
    named: set[str] = set()
    for path in templates or (HERE / "bg.yaml", HERE / "en.yaml"):
        try:
            entry = load_yaml(Path(path))
            code = str(entry["language"])
            catalogue.tools[code] = {
                name: Tool(_texts(tool["requests"]), {k: _texts(v) for k, v in tool["ask"].items()}, str(tool["reply"]))
                for name, tool in entry["tools"].items()
            }
            catalogue.values[code] = {slot: _values(source, code, slot) for slot, source in entry["values"].items()}
            catalogue.refusals[code] = _texts(entry["no_function"])
            named |= {slot for slot, source in entry["values"].items() if "cldr:" in source}
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} is not laid out as papers/tucan/en.yaml ({type(error).__name__}: {error}): it needs language, "
                "tools, values and no_function."
            ) from None
    for slot in named:  # CLDR does not name everything in every language
        common = set.intersection(*(set(table[slot]) for table in catalogue.values.values() if slot in table))
        for table in catalogue.values.values():
            table[slot] = {key: text for key, text in table.get(slot, {}).items() if key in common}
    for code, tools_of in catalogue.tools.items():
        for name, tool in tools_of.items():
            if problem := _problem(catalogue, code, name, tool):
                raise UserError(f"{code}, {name}: {problem}.")
    return catalogue


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise TypeError(f"{str(value)[:40]!r} is no list of texts")
    return value


def _values(source: Any, language: str, slot: str) -> dict[str, str]:
    """Values of a slot: a mapping key -> text, a list, `cldr:city`, `cldr:currency without EUR`, or `range:2:60`."""
    if isinstance(source, Mapping):
        return {str(key): str(text) for key, text in source.items()}
    if isinstance(source, list):
        return {str(text): str(text) for text in source}
    kind, _, rest = str(source).partition(":")
    names, _, left_out = rest.partition(" without ")
    if kind == "cldr":
        from core.worlds.names import short_names

        return {key: text for key, text in short_names(language, names).items() if key not in left_out.split()}
    if kind == "range" and re.fullmatch(r"\d{1,6}:\d{1,6}", rest):
        return {str(number): str(number) for number in range(*map(int, rest.split(":")))}
    raise UserError(
        f"The values of {slot!r} ({source!r}) are not understood: a list, a mapping, cldr:city or range:2:60."
    )


def _problem(catalogue: Catalogue, language: str, name: str, tool: Tool) -> str:
    """Why not every template can be filled, or why a value is lacking; empty if nothing is wrong."""
    if name not in catalogue.functions:
        return "there is no such function"
    known, required = catalogue.functions[name]["parameters"]["properties"], set(catalogue.required(name))
    if len(tool.requests) < 3:
        return "give at least three requests, for training, development and test"
    for template in tool.requests:
        if not required <= set(_SLOT.findall(template)) <= set(known):
            return f"the request {template!r} must name all of {sorted(required)} and no others than {list(known)}"
    for slot, schema in known.items():
        values = catalogue.values[language].get(slot, {})
        if not set(values) <= set(map(str, schema.get("enum", values))):
            return f"the keys of {slot!r} must be the schema's, {schema['enum']}"
        if len(values) < (2 if "enum" in schema else 5):
            return f"give at least five values for {slot!r}: they are split in three parts"
        if slot in required and slot not in tool.ask:
            return f"there is no question that asks for {slot!r}"
    return ""
