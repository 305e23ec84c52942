"""Functions, and how each language asks for them: what items are drawn from.

    catalogue = load_catalogue("tools.json", ["bg.yaml", "en.yaml"])
    catalogue.render(Draw("function_call_required", "get_weather", keys=(("city", "Europe/Sofia"),)), "bg")

Training, development and test share neither a wording nor a value of an open slot; a slot with an enumeration is
closed: its values stand in the schema, and in its language.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
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
# Of every five general questions, three, one and one.
QUESTIONS: tuple[Part, ...] = ("train", "train", "train", "dev", "test")
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
        functions: By name, with `x-topic` and `x-synonyms` as annotations.
        tools: `{language: {function: how it is asked for}}`.
        values: `{language: {slot: {key: text}}}`, the same keys in every language.
        refusals: `{language: what is said where no function fits}`.
        questions: General questions: their part, and question and answer by language.
    """

    functions: dict[str, dict[str, Any]]
    tools: dict[str, dict[str, Tool]]
    values: dict[str, dict[str, dict[str, str]]]
    refusals: dict[str, list[str]]
    questions: list[tuple[Part, dict[str, tuple[str, str]]]]

    def topic(self, name: str) -> str:
        """What a function is about; functions of one topic are easily mistaken for one another."""
        return str(self.functions[name].get("x-topic", name))

    def synonyms(self, name: str) -> list[str]:
        """Functions that would do as well."""
        return list(self.functions[name].get("x-synonyms", ()))

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

    def questions_of(self, part: Part) -> list[int]:
        """Positions of a part's general questions."""
        return [number for number, (own, _) in enumerate(self.questions) if own == part]

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
            if drawn.question is not None:
                request, said = self.questions[drawn.question][1][language]
            else:
                tool, texts = self.tools[language][drawn.name], self.texts(drawn, language)
                request, wordings = fill(tool.requests[drawn.template], texts, language), self.refusals[language]
                if drawn.missing:
                    wordings = tool.ask[drawn.missing]
                elif not drawn.offered and tool.reply:
                    wordings = [fill(tool.reply, texts, language)]
                said = wordings[drawn.wording % len(wordings)]
            if call:
                gold = {slot: self._gold(drawn.name, slot, key, texts[slot]) for slot, key in drawn.keys}
                self._check_gold(drawn.name, gold, request)
                expected |= {"expected_function": drawn.name, "expected_parameters": gold}
            else:
                expected["expected_response_type"] = "text_clarification" if drawn.missing else "text_only"
                answer["answer"] = said
        except (KeyError, IndexError) as error:
            raise UserError(f"{language} lacks {error} that another language has: keep the files aligned.") from None
        shown = [shown_function(self.functions[name]) for name in drawn.offered]
        item = {"scenario_type": drawn.scenario, "user_message": request, "functions": shown}
        return {**item, "expected_behavior": expected, **answer}

    def _gold(self, name: str, slot: str, key: str, text: str) -> Any:
        """A value as the call has to give it: the schema's own for enumerations, else the text."""
        schema = self.functions[name]["parameters"]["properties"][slot]
        if "enum" in schema:
            return next(option for option in schema["enum"] if str(option) == key)
        kind = schema.get("type")
        return int(text) if kind == "integer" else float(text) if kind == "number" else text

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
    parts: dict[Part, list[str]] = {
        "test": ranked[:fifth],
        "dev": ranked[fifth : 2 * fifth],
        "train": ranked[2 * fifth :],
    }
    return {part: sorted(own) for part, own in parts.items()}


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
    inner = function.get("function", function) if isinstance(function, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(inner.get("name"), str):
        raise UserError(f"A function has no name: {json.dumps(function, ensure_ascii=False)[:80]}")
    parameters = inner.get("parameters", inner.get("inputSchema", inner.get("input_schema"))) or {}
    properties = parameters.get("properties") or {} if isinstance(parameters, Mapping) else None
    required = parameters.get("required") or [] if isinstance(parameters, Mapping) else None
    if (
        not isinstance(properties, Mapping)
        or parameters.get("type", "object") != "object"
        or not all(isinstance(schema, Mapping) for schema in properties.values())
        or not isinstance(required, list)
        or not all(name in properties for name in map(str, required))
    ):
        raise UserError(
            f"The parameters of {inner['name']} are no object with properties: give a JSON Schema of type 'object', "
            "whose 'required' names some of its properties."
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
    content = content.get("tools", content) if isinstance(content, Mapping) else content
    if not isinstance(content, list):
        raise UserError(f"{tools} holds no list of functions.")
    found = adapted(tools or "tools.json", content, lambda function, _: plain_function(function))
    functions = {function["name"]: function for function in found}
    catalogue = Catalogue(functions, {}, {}, {}, [])
    named: set[str] = set()
    asked: dict[str, list[tuple[str, str]]] = {}
    for path in templates or (HERE / "bg.yaml", HERE / "en.yaml"):
        with _laid_out(path):
            entry = load_yaml(Path(path))
            code = str(entry["language"])
            catalogue.tools[code] = {
                name: Tool(
                    _texts(tool["requests"]),
                    {slot: _texts(said) for slot, said in tool.get("ask", {}).items()},
                    _texts(tool.get("reply", ""))[0],
                )
                for name, tool in entry["tools"].items()
            }
            catalogue.values[code] = {slot: _values(source, code, slot) for slot, source in entry["values"].items()}
            catalogue.refusals[code] = _texts(entry["no_function"])
            asked[code] = [(question, answer) for question, answer in map(_texts, entry["questions"])]
            named |= {slot for slot, source in entry["values"].items() if "cldr:" in source}
    for slot in named:  # CLDR does not name everything in every language
        common = set.intersection(*(set(table[slot]) for table in catalogue.values.values() if slot in table))
        for table in catalogue.values.values():
            table[slot] = {key: text for key, text in table.get(slot, {}).items() if key in common}
    # The n-th question of every language is the same.
    for number, pairs in enumerate(zip(*asked.values(), strict=False)):
        catalogue.questions.append((QUESTIONS[number % 5], dict(zip(asked, pairs, strict=True))))
    for code in catalogue.tools:
        with _laid_out(code):
            _check(catalogue, code)
    return catalogue


@contextlib.contextmanager
def _laid_out(path: str | Path) -> Iterator[None]:
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        reason = str(error)[:80]
        raise UserError(
            f"{path} is not laid out as papers/tucan/en.yaml ({type(error).__name__}: {reason}): it needs language, "
            "tools, values, questions and no_function."
        ) from None


def _texts(value: Any) -> list[str]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(isinstance(text, str) for text in found):
        raise TypeError(f"{str(value)[:40]!r} is no text and no list of texts")
    return found


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
        low, high = map(int, rest.split(":"))
        return {str(number): str(number) for number in range(low, high)}
    raise UserError(
        f"The values of {slot!r} ({source!r}) are not understood: a list, a mapping, cldr:city or range:2:60."
    )


def _check(catalogue: Catalogue, language: str) -> None:
    """Every template can be filled, and every required argument has a value and a question that asks for it."""
    for name, tool in catalogue.tools[language].items():
        if name not in catalogue.functions:
            raise UserError(f"{language}: templates for {name!r}, but there is no such function.")
        known = catalogue.functions[name]["parameters"]["properties"]
        if len(tool.requests) < 3:
            raise UserError(f"{language}: {name} needs three requests: for training, development and test.")
        for template in tool.requests:
            slots = set(_SLOT.findall(template))
            if not set(catalogue.required(name)) <= slots <= set(known):
                raise UserError(
                    f"{language}: the request {template!r} of {name} must name all of {catalogue.required(name)} and "
                    f"no others than {list(known)}."
                )
        for slot, schema in known.items():
            values = catalogue.values[language].get(slot)
            if values is None:
                raise UserError(f"{language}: there are no values for {slot!r} of {name}.")
            if "enum" not in schema and len(values) < 5:
                raise UserError(f"{language}: give at least five values for {slot!r}: they are split in three parts.")
            if "enum" in schema and not set(values) <= set(map(str, schema["enum"])):
                raise UserError(f"{language}: the keys of {slot!r} must be the schema's: {schema['enum']}.")
        if missing := [slot for slot in catalogue.required(name) if slot not in tool.ask]:
            raise UserError(f"{language}: {name} has no question that asks for {missing[0]!r}.")
