"""Requests for functions, from templates: each language asks for the same function with the same values.

    world = load("tools.json", ["bg.yaml", "en.yaml"])
    values = world.values_for("set_timer", 0, "train", Random(0))     # (("minutes", 25),)
    request = world.request("set_timer", 0, values, "en")             # "Start a timer for 25 minutes."
    world.arguments("set_timer", values, "en", request)               # {"minutes": 25}

Functions are a JSON list in any form that :mod:`core.metrics.calls` reads; those of one `x-topic` are easily mistaken
for one another. A language is a YAML file:

    language: en
    no_function: [None of the functions fits.]
    tools:
      set_timer:
        requests: ["Start a timer[ for {minutes} minutes].", ...]
        ask: {minutes: ["How many minutes?"]}
        reply: "You want a timer[ for {minutes} minutes]."
    values:
      minutes: range:2:120

The n-th request of a function means the same in all languages, and so do the keys of `values`. These are a list, a
mapping, names of CLDR (`cldr:city`, `cldr:currency without EUR`) or a range. What stands at a key is what the request
says, or a pair of that and what the call gives. A part of a request in [brackets] is dropped with the value that it
names. Training, development and test share neither a wording nor a value of an open slot; a slot with an enumeration is
closed: its values stand in the schema, and in its language.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from core.corpora import adapted
from core.errors import UserError
from core.files import load_json, load_yaml
from core.metrics.calls import checked, one_form, violations
from core.worlds.base import Part
from core.worlds.names import short_names

Values = Iterable[tuple[str, Any]]
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
    """Functions as a model sees them, their topics, and by language how they are asked for and refused.

    `normal` brings texts into the form in which a value must occur in its request.
    """

    functions: dict[str, dict[str, Any]]
    topics: dict[str, str]
    tools: dict[str, dict[str, Tool]]
    values: dict[str, dict[str, dict[Any, Any]]]
    refusals: dict[str, list[str]]
    normal: Callable[[str], str] = str.casefold

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
        """Required values that a template can do without in every language: each alone in its brackets.

        Raises:
            UserError: There is none.
        """
        can_go = set(self.required(name))
        for own in self.tools.values():
            parts = map(_SLOT.findall, _OPTIONAL.findall(own[name].requests[template]))
            can_go &= {slots[0] for slots in parts if len(slots) == 1}
        if can_go:
            return sorted(can_go)
        raise UserError(
            f"Request {template + 1} of {name} cannot leave out a required value: put one into [brackets] of its own, "
            "the same in every language."
        )

    def values_for(
        self, name: str, template: int, part: Part, rng: Random, *, without: str = "", options: float = 0.5
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

    def texts(self, values: Values, language: str) -> dict[str, str]:
        """Values by slot as a language writes them."""
        found = {slot: self.values[language][slot][value] for slot, value in values}
        return {slot: entry[0] if isinstance(entry, list) else entry for slot, entry in found.items()}

    def request(self, name: str, template: int, values: Values, language: str) -> str:
        """A request in a language."""
        return fill(self.tools[language][name].requests[template], self.texts(values, language), language)

    def reply(self, name: str, values: Values, language: str) -> str:
        """What is answered in words."""
        return fill(self.tools[language][name].reply, self.texts(values, language), language)

    def arguments(self, name: str, values: Values, language: str, request: str) -> dict[str, Any]:
        """Values as the user's pair says, else as the schema enumerates them, else as they stand in the request.

        Raises:
            UserError: A value does not occur in the request, or violates its schema.
        """
        gold, texts = {}, self.texts(values, language)
        for slot, value in values:
            schema, entry = self.slots(name)[slot], self.values[language][slot][value]
            own = entry if not closed(schema) and "string" in schema.get("type", "string") else value
            gold[slot] = entry[1] if isinstance(entry, list) else own
            if not closed(schema) and self.normal(texts[slot]) not in self.normal(request):
                raise UserError(f"The value {texts[slot]!r} of {slot} does not occur in the request {request!r}.")
        if wrong := violations(gold, self.functions[name]["parameters"]):
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


# --- files ------------------------------------------------------------------------------------------------------------


def load(tools: str | Path, templates: Sequence[str | Path], normal: Callable[[str], str] = str.casefold) -> Catalogue:
    """Read functions (a JSON list) and a YAML file a language; values that one of them lacks are left out.

    Args:
        tools: The list.
        templates: The languages; the first one's requests are those that are drawn from.
        normal: See :class:`Catalogue`.

    Raises:
        UserError: Names the file, function and template that does not fit.
    """
    listed = load_json(Path(tools), list)
    found = list(adapted(str(tools), listed, lambda function, _: checked(function)))
    topics = {own["name"]: own.get("x-topic", own["name"]) for own in map(one_form, listed)}
    catalogue = Catalogue({function["name"]: function for function in found}, topics, {}, {}, {}, normal)
    for path in templates:
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
            where = "the example at the head of core/worlds/requests.py"
            raise UserError(f"{path} is not laid out as {where}: {reason}.") from None
    for slots in catalogue.values.values():
        for slot, table in slots.items():
            others = [other[slot] for other in catalogue.values.values() if slot in other]
            slots[slot] = {value: text for value, text in table.items() if all(value in other for other in others)}
            if not slots[slot] or len(slots[slot]) < 5 <= len(table):
                raise UserError(f"The languages share {len(slots[slot])} values of {slot!r}: give all the same keys.")
    for code, own in catalogue.tools.items():
        for name, tool in next(iter(catalogue.tools.values())).items():
            if name not in own or len(own[name].requests) < len(tool.requests):
                raise UserError(f"{code} lacks a request for {name!r} that others have: keep the files aligned.")
    return catalogue


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
    if unknown := {*_SLOT.findall(tool.reply)} - set(known):
        raise UserError(f"{language}: {tool.reply!r} names {min(unknown)!r}, but {name} has {[*known]} alone.")
    for template in (*tool.requests, tool.reply):
        if options := {*_SLOT.findall(_OPTIONAL.sub("", template))} - required:
            raise UserError(f"{language}: put {min(options)!r} of {template!r} into [brackets]: it is not required.")
    for slot, schema in known.items():
        if len(catalogue.values[language][slot]) < 5 and not closed(schema):
            raise UserError(f"{language}: give at least five values for {slot!r}: they are split in three parts.")
    if missing := required - set(tool.ask):
        raise UserError(f"{language}: {name} has no question that asks for {min(missing)!r}.")


# --- solvers that understand nothing ----------------------------------------------------------------------------------

Known = Sequence[tuple[set[str], str]]
"""Words of requests that are known, each with its function; "" where none is to be called."""
Called = tuple[str, dict[str, Any]]


def words(text: str) -> list[str]:
    """Words of a request in their order."""
    return re.findall(r"[\w’'-]+", text)


def wordings(catalogue: Catalogue, names: Iterable[str], part: Part, language: str) -> Known:
    """Words of every wording of a part, without its values, with its function."""
    tools = catalogue.tools[language]
    texts = [(tools[name].requests[number], name) for name in names for number in catalogue.templates(name, part)]
    return [(set(words(_SLOT.sub(" ", text))), name) for text, name in texts]


def nearest(request: str, known: Known) -> str:
    """The function of the known words that have most in common with a request (Jaccard)."""
    said = set(words(request))
    return max(known, key=lambda one: len(one[0] & said) / len(one[0] | said))[1]


def neighbour(request: str, known: Known, trained: Known, offered: Sequence[Mapping[str, Any]]) -> Called | None:
    """Does what was right for the known request that is nearest: a function and its arguments, or no call.

    For values it takes what no trained wording has, in the order of the function's required arguments.
    """
    functions, name = {one["name"]: one["parameters"] for one in offered}, nearest(request, known)
    if name not in functions:
        return None
    old = set().union(*(said for said, _ in trained))
    runs = itertools.groupby(words(request), key=lambda word: word not in old)
    values = [" ".join(run) for is_new, run in runs if is_new]
    return name, dict(zip(functions[name].get("required") or (), values, strict=False))


def rule(request: str, trained: Known, offered: Sequence[Mapping[str, Any]]) -> Called | None:
    """Takes the function of the nearest wording and fills it with the numbers and capitalised words of the request."""
    functions, name = {one["name"]: one["parameters"] for one in offered}, nearest(request, trained)
    if name not in functions:
        return None
    said = words(request)
    titles = [" ".join(run) for title, run in itertools.groupby(said[1:], key=str.istitle) if title]
    given = {"string": titles, "integer": [word for word in said if word.isdigit()]}
    found: dict[str, Any] = {}
    for slot, schema in functions[name]["properties"].items():
        # A type is a text or a list of them.
        if fitting := [texts for kind, texts in given.items() if texts and kind in (schema.get("type") or ())]:
            found[slot] = fitting[0].pop(0)
    return (name, found) if set(functions[name].get("required") or ()) <= set(found) else None
