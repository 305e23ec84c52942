"""The generator of tool-calling data: a catalogue of functions, request templates by language, six scenarios.

    items = build_dataset(load_catalogue("tools.json", ["bg.yaml", "en.yaml"]), 220, languages=("bg", "en"), seed=0)

An item has the form in which it is scored (`scenario_type`, `functions`, `user_message`, `expected_behavior`) and what
is needed for training (`answer`, or the expected call). Item i is the same draw in every language: scenario, function,
template, values, distractors. So mirrored items share their gold call, up to the spelling of values in their language.

Training, development and test never share a template of a request, nor a value of an open slot. A slot with an
enumeration is closed: its values are in the schema, which also says in which language they are to be given.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.corpora import adapted
from core.errors import UserError
from core.files import json_kind, load_json, load_yaml
from papers.tucan.method import CALL_SCENARIOS, NO_CALL_SCENARIOS, SCENARIOS, Prompt, Tags, normalize
from papers.tucan.schema import violations

if TYPE_CHECKING:
    from papers.tucan.config import PromptConfig

Part = Literal["train", "development", "test"]
Function = dict[str, Any]
HERE = Path(__file__).parent
# 60 % call, 15 % irrelevant, 15 % missing parameter, 10 % without functions (ours; the paper's mix is not released).
MIX: dict[str, float] = {
    **dict.fromkeys(CALL_SCENARIOS, 0.2),
    "irrelevant_question_with_functions": 0.15,
    "missing_required_parameters": 0.15,
    "no_functions_available": 0.1,
}
# Bulgarian prepositions before a word that begins with their own sound.
EUPHONY = {"bg": ((r"(?<!\w)([Вв]) (?=[ВвФф])", r"\1ъв "), (r"(?<!\w)([Сс]) (?=[СсЗз])", r"\1ъс "))}
_SLOT = re.compile(r"\{(\w+)\}")
_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True)
class Catalogue:
    """Functions, and how each language asks for them.

    Attributes:
        functions: By name, with `x-topic` and `x-synonyms` as annotations.
        languages: Content of each language's template file.
        values: `{language: {slot: {key: text}}}`, the same keys in every language.
    """

    functions: dict[str, Function]
    languages: dict[str, dict[str, Any]]
    values: dict[str, dict[str, dict[str, str]]]

    def property(self, name: str, slot: str) -> dict[str, Any]:
        """Schema of one argument."""
        return self.functions[name]["parameters"]["properties"][slot]

    def required(self, name: str) -> list[str]:
        """Arguments that a call must have."""
        return list(self.functions[name]["parameters"].get("required", ()))


# --- reading a catalogue ------------------------------------------------------------------------------------------


def plain_function(function: Mapping[str, Any]) -> Function:
    """A function in our form, from plain JSON Schema, OpenAI's `{"type": "function", ...}` or an MCP tool.

    Raises:
        UserError: It has no name, or its parameters are no object schema.
    """
    inner = function.get("function", function) if isinstance(function, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(inner.get("name"), str):
        raise UserError(f"A function has no name: {json.dumps(function, ensure_ascii=False)[:80]}")
    parameters = inner.get("parameters", inner.get("inputSchema", inner.get("input_schema"))) or {}
    if not isinstance(parameters, Mapping) or parameters.get("type", "object") != "object":
        raise UserError(f"The parameters of {inner['name']} are no object: give a JSON Schema of type 'object'.")
    properties, required = parameters.get("properties") or {}, parameters.get("required") or []
    if not isinstance(properties, Mapping) or not all(isinstance(schema, Mapping) for schema in properties.values()):
        raise UserError(f"The properties of {inner['name']} are no schemas by name: give a JSON Schema.")
    if not isinstance(required, list) or not all(name in properties for name in map(str, required)):
        raise UserError(f"What {inner['name']} requires is no list of its properties: give a JSON Schema.")
    extra = {key: value for key, value in inner.items() if key == "description" or key.startswith("x-")}
    return {"name": inner["name"], **extra, "parameters": {"type": "object", "properties": {}, **parameters}}


def load_catalogue(tools: str | Path = "", templates: Sequence[str | Path] = ()) -> Catalogue:
    """Read functions (JSON: a list, or an MCP answer with `tools`) and one YAML file a language.

    Without arguments: the ten functions of the miniature, in Bulgarian and English.

    Raises:
        UserError: Names the file, function and template that does not fit.
    """
    content = _parse(Path(tools or HERE / "tools.json"))
    content = content.get("tools", content) if isinstance(content, Mapping) else content
    if not isinstance(content, list):
        raise UserError(f"{tools} holds no list of functions.")
    found = adapted(tools or "tools.json", content, lambda function, _: plain_function(function))
    functions = {function["name"]: function for function in found}
    languages: dict[str, dict[str, Any]] = {}
    values: dict[str, dict[str, dict[str, str]]] = {}
    for path in templates or (HERE / "bg.yaml", HERE / "en.yaml"):
        entry = _parse(Path(path))
        if not isinstance(entry, Mapping) or not {"language", "tools", "values", "questions", "no_function"} <= set(
            entry
        ):
            raise UserError(f"{path} needs the keys language, tools, values, questions and no_function.")
        code = entry["language"]
        _check_shape(entry, str(path))
        languages[code] = dict(entry)
        values[code] = {slot: _values(source, code, slot) for slot, source in entry["values"].items()}
    # CLDR does not name everything in every language.
    for slot in {slot for entry in languages.values() for slot, source in entry["values"].items() if "cldr:" in source}:
        common = set.intersection(*(set(table[slot]) for table in values.values() if slot in table))
        for table in values.values():
            table[slot] = {key: text for key, text in table.get(slot, {}).items() if key in common}
    catalogue = Catalogue(functions, languages, values)
    for code in languages:
        _check(catalogue, code)
    return catalogue


def _check_shape(entry: Mapping[str, Any], path: str) -> None:
    """A template file is what the other functions take for granted."""

    def texts(value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(text, str) for text in value)

    for name, kind in (("language", str), ("tools", Mapping), ("values", Mapping), ("questions", list)):
        if not isinstance(entry[name], kind):
            wanted = {str: "a code", list: "a list of pairs"}.get(kind, "a mapping")
            raise UserError(f"{path}: {name} is {json_kind(entry[name])}, not {wanted}: see papers/tucan/en.yaml.")
    for number, pair in enumerate(entry["questions"], start=1):
        if not (texts(pair) and len(pair) == 2):
            raise UserError(f"{path}: question {number} is no pair of question and answer: see papers/tucan/en.yaml.")
    for name, tool in entry["tools"].items():
        if not (isinstance(tool, Mapping) and texts(tool.get("requests")) and isinstance(tool.get("ask", {}), Mapping)):
            raise UserError(f"{path}: the tool {name!r} has no list of requests, or no mapping of what to ask.")


def _parse(path: Path) -> Any:
    return load_json(path) if path.suffix == ".json" else load_yaml(path)


def _values(source: Any, language: str, slot: str) -> dict[str, str]:
    """Values of a slot: a mapping key -> text, a list, `cldr:city`, `cldr:currency without EUR`, or `range:2:60`."""
    if isinstance(source, Mapping):
        return {str(key): str(text) for key, text in source.items()}
    if isinstance(source, list):
        return {str(text): str(text) for text in source}
    kind, _, rest = str(source).partition(":")
    names, _, left_out = rest.partition(" without ")
    if kind == "cldr" and names in ("city", "country", "currency", "language"):
        return {key: text for key, text in cldr_values(names, language).items() if key not in left_out.split()}
    if kind == "range" and re.fullmatch(r"\d+:\d+", rest):
        low, high = map(int, rest.split(":"))
        return {str(number): str(number) for number in range(low, high)}
    raise UserError(
        f"The values of {slot!r} ({source!r}) are not understood: a list, a mapping, cldr:city or range:2:60."
    )


@cache
def cldr_values(kind: str, language: str) -> dict[str, str]:
    """Short names of CLDR in one language: exemplar cities of the time zones, countries, currencies, languages."""
    from core.corpora.names import locale_of

    locale = locale_of(language)
    names: dict[str, str]
    if kind == "city":
        named = {zone: entry.get("city") for zone, entry in locale.time_zones.items()}
        # English names a zone's city only where the zone's id does not.
        zones = sorted(str(zone) for zone in locale_of("bg").time_zones if "/" in str(zone))
        names = {zone: named.get(zone) or zone.rpartition("/")[2].replace("_", " ") for zone in zones}
    elif kind == "country":
        names = {
            str(code): name
            for code, name in locale.territories.items()
            if str(code).isalpha() and code not in ("XA", "XB", "ZZ")
        }
    else:
        table = locale.currencies if kind == "currency" else locale.languages
        names = {str(code): name for code, name in table.items()}
    if kind == "currency":
        names = {code: name.lower() for code, name in names.items()}
    words = re.compile(r"[^\W\d]+([’' -][^\W\d]+){0,2}")
    short = {key: name for key, name in sorted(names.items()) if words.fullmatch(name) and len(name) <= 16}
    first = {name: key for key, name in reversed(short.items())}
    return {key: name for key, name in short.items() if first[name] == key}


def _check(catalogue: Catalogue, language: str) -> None:
    """Every template can be filled, and every required argument has a value and a question that asks for it."""
    for name, entry in catalogue.languages[language]["tools"].items():
        if name not in catalogue.functions:
            raise UserError(f"{language}: templates for {name!r}, but there is no such function.")
        known = catalogue.functions[name]["parameters"]["properties"]
        if len(entry.get("requests", ())) < 3:
            raise UserError(f"{language}: {name} needs three requests: for training, development and test.")
        for template in entry["requests"]:
            slots = set(_SLOT.findall(template))
            if not set(catalogue.required(name)) <= slots <= set(known):
                raise UserError(
                    f"{language}: the request {template!r} of {name} must name all of {catalogue.required(name)} and "
                    f"no others than {list(known)}."
                )
        for slot in known:
            if slot not in catalogue.values[language]:
                raise UserError(f"{language}: there are no values for {slot!r} of {name}.")
            options = catalogue.property(name, slot).get("enum")
            if options is None and len(catalogue.values[language][slot]) < 5:
                raise UserError(f"{language}: give at least five values for {slot!r}: they are split in three parts.")
            if options is not None and not set(catalogue.values[language][slot]) <= set(map(str, options)):
                raise UserError(f"{language}: the keys of the values of {slot!r} must be the schema's: {options}.")
        if missing := [slot for slot in catalogue.required(name) if slot not in entry.get("ask", {})]:
            raise UserError(f"{language}: {name} has no question that asks for {missing[0]!r}.")


# --- filling templates --------------------------------------------------------------------------------------------


def fill(template: str, values: Mapping[str, str], language: str) -> str:
    """A request with its values; a part in brackets goes when one of its values is not given."""
    kept = _OPTIONAL.sub(lambda m: m[1] if all(slot in values for slot in _SLOT.findall(m[1])) else "", template)
    text = _SLOT.sub(lambda m: values[m[1]], kept)
    for pattern, replacement in EUPHONY.get(language, ()):
        text = re.sub(pattern, replacement, text)
    return text


def droppable(template: str) -> set[str]:
    """Slots that a template can do without: each alone in its brackets."""
    found = [_SLOT.findall(part) for part in _OPTIONAL.findall(template)]
    return {slots[0] for slots in found if len(slots) == 1}


def split_templates(templates: Sequence[str], part: Part) -> list[int]:
    """Positions of a part's templates: the last is for the test, the one before for development."""
    last = len(templates) - 1
    return {"test": [last], "development": [last - 1], "train": list(range(last - 1))}[part]


def split_values(keys: Iterable[str], part: Part) -> list[str]:
    """A part's values: a fifth each for development and test, by hash, so that added values move no others far."""
    ranked = sorted(keys, key=lambda key: hashlib.sha256(key.encode()).hexdigest())
    fifth = max(1, len(ranked) // 5)
    cuts = {"test": ranked[:fifth], "development": ranked[fifth : 2 * fifth], "train": ranked[2 * fifth :]}
    return sorted(cuts[part])


def split_questions(count: int, part: Part) -> list[int]:
    """Positions of a part's general questions: of every five, three, one and one."""
    parts = ("train", "train", "train", "development", "test")
    return [number for number in range(count) if parts[number % 5] == part]


# --- drawing items ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draw:
    """One item without a language."""

    scenario: str
    name: str = ""
    template: int = 0
    keys: tuple[tuple[str, str], ...] = ()
    missing: str = ""
    offered: tuple[str, ...] = ()
    question: int = -1


def build_dataset(
    catalogue: Catalogue,
    count: int,
    *,
    languages: Sequence[str] = ("bg", "en"),
    part: Part = "train",
    seed: int = 0,
    mix: Mapping[str, float] = MIX,
    distractors: int = 3,
    unseen: Sequence[str] = (),
    multi_turn: float = 0.0,
) -> list[dict[str, Any]]:
    """Draw items; item i is draw i // len(languages) in language i % len(languages).

    Args:
        catalogue: Functions and templates.
        count: Items in all.
        languages: Of the requests.
        part: Whose templates, values and questions are used.
        seed: Of the draws.
        mix: Share of each scenario; shares are met up to rounding.
        distractors: At most so many further functions.
        unseen: Functions that training never shows; the other parts do.
        multi_turn: Share of the calls that go on with the function's result and the answer that follows.

    Raises:
        UserError: An unknown language or scenario, or a catalogue that cannot fill a scenario.
    """
    for language in languages:
        if language not in catalogue.languages:
            raise UserError(
                f"There are no templates for {language!r}: the catalogue has {', '.join(catalogue.languages)}."
            )
    if unknown := set(mix) - set(SCENARIOS):
        raise UserError(f"There is no scenario {sorted(unknown)[0]!r}: choose among {', '.join(SCENARIOS)}.")
    rng = random.Random(f"{seed}/{part}")
    draws = _draws(catalogue, -(-count // len(languages)), languages, part, mix, distractors, unseen, rng)
    continued = [rng.random() < multi_turn for _ in draws]
    items = []
    for i in range(count):
        number, language = i // len(languages), languages[i % len(languages)]
        item = render_item(catalogue, draws[number], language, part)
        if continued[number] and item["expected_behavior"]["should_call_function"]:
            entry = catalogue.languages[language]["tools"][draws[number].name]
            item |= {"result": entry.get("result"), "final": entry["done"]} if entry.get("done") else {}
        items.append({"id": f"{part}/{number:05d}/{language}", **item, "unseen": draws[number].name in unseen})
    return items


def _draws(
    catalogue: Catalogue, count: int, languages: Sequence[str], part: Part, mix: Mapping[str, float], distractors: int,
    unseen: Sequence[str], rng: random.Random,
) -> list[Draw]:  # fmt: skip
    names = [name for name in catalogue.languages[languages[0]]["tools"] if part != "train" or name not in unseen]
    offered = [name for name in catalogue.functions if part != "train" or name not in unseen]
    scenarios = apportion(mix, count)
    rng.shuffle(scenarios)
    draws: list[Draw] = []
    seen: set[tuple[Any, ...]] = set()
    queues: dict[str, list[str]] = {}
    for scenario in scenarios:
        for _ in range(50):
            # Calls go through all functions before they come to one a second time; so does each other scenario.
            queue = queues.setdefault("call" if scenario in CALL_SCENARIOS else scenario, [])
            if not queue:
                queue.extend(rng.sample(names, len(names)))
            draw = _draw(catalogue, scenario, queue.pop(), offered, languages[0], part, distractors, rng)
            key = (draw.name, draw.template, draw.keys, draw.missing)
            # Questions are few; what differs between two items that ask the same is the functions around it.
            if draw.question >= 0 or key not in seen:
                break
        seen.add(key)
        draws.append(draw)
    return draws


def apportion(mix: Mapping[str, float], count: int) -> list[str]:
    """`count` scenarios in the shares of `mix` (largest remainders)."""
    total = sum(mix.values())
    if total <= 0:
        raise UserError("The mix of scenarios is empty: give at least one a positive share.")
    exact = {name: share / total * count for name, share in mix.items()}
    counts = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: counts[name] - exact[name])[: count - sum(counts.values())]:
        counts[name] += 1
    return [name for name, number in counts.items() for _ in range(number)]


def _draw(
    catalogue: Catalogue, scenario: str, name: str, offered: Sequence[str], language: str, part: Part, distractors: int,
    rng: random.Random,
) -> Draw:  # fmt: skip
    entry = catalogue.languages[language]
    questions = split_questions(len(entry["questions"]), part)
    if scenario == "no_functions_available":
        return Draw(scenario, question=rng.choice(questions))
    function = catalogue.functions[name]
    related = {name, *function.get("x-synonyms", ())}
    others = [other for other in offered if other not in related]
    if scenario == "irrelevant_question_with_functions":
        shown = tuple(rng.sample(others, min(len(others), rng.randint(1, max(1, distractors)))))
        if rng.random() < 0.5:
            return Draw(scenario, offered=shown, question=rng.choice(questions))
    elif scenario == "function_call_required":
        shown = (name,)
    else:
        if scenario == "ambiguous_function_selection":
            topic = function.get("x-topic")
            others = [other for other in others if catalogue.functions[other].get("x-topic") == topic] or others
        shown = (name, *rng.sample(others, min(len(others), rng.randint(1, max(1, distractors)))))
    template = rng.choice(split_templates(entry["tools"][name]["requests"], part))
    required, missing = catalogue.required(name), ""
    if scenario == "missing_required_parameters":
        can_go = sorted(droppable(entry["tools"][name]["requests"][template]) & set(required))
        if not can_go:
            raise UserError(f"{language}: no request of {name} can leave out a required value: put it into [brackets].")
        missing = rng.choice(can_go)
    slots = set(_SLOT.findall(entry["tools"][name]["requests"][template]))
    keys: dict[str, str] = {}
    for slot in catalogue.functions[name]["parameters"]["properties"]:
        if slot in slots and slot != missing and (slot in required or rng.random() < 0.5):
            pool = list(catalogue.values[language][slot])
            pool = pool if "enum" in catalogue.property(name, slot) else split_values(pool, part)
            keys[slot] = rng.choice([key for key in pool if key not in keys.values()] or pool)
    return Draw(scenario, name, template, tuple(keys.items()), missing, tuple(rng.sample(shown, len(shown))))


def render_item(catalogue: Catalogue, draw: Draw, language: str, part: Part = "train") -> dict[str, Any]:
    """A draw in one language: the form in which it is scored, and the answer where it is no call.

    Raises:
        UserError: The language lacks the template, the value or the question.
    """
    entry, expected = catalogue.languages[language], {}
    try:
        if draw.question >= 0:
            request, answer = entry["questions"][draw.question]
            expected = {"should_call_function": False, "expected_response_type": "text_only"}
        else:
            tool = entry["tools"][draw.name]
            texts = {slot: catalogue.values[language][slot][key] for slot, key in draw.keys}
            request = fill(tool["requests"][draw.template], texts, language)
            answer = tool["ask"][draw.missing] if draw.missing else entry["no_function"]
            kind = "text_clarification" if draw.missing else "text_only"
            expected = {"should_call_function": False, "expected_response_type": kind}
            if draw.scenario in CALL_SCENARIOS:
                gold = {slot: _gold(catalogue, draw.name, slot, key, texts[slot]) for slot, key in draw.keys}
                expected = {"should_call_function": True, "expected_function": draw.name, "expected_parameters": gold}
    except (KeyError, IndexError) as error:
        raise UserError(f"{language} lacks {error} that another language has: keep the files aligned.") from None
    item = {
        "scenario_type": draw.scenario,
        "language": language,
        "user_message": request,
        "functions": [catalogue.functions[name] for name in draw.offered],
        "expected_behavior": expected,
    }
    check_item(item)
    return item if expected["should_call_function"] else {**item, "answer": answer}


def _gold(catalogue: Catalogue, name: str, slot: str, key: str, text: str) -> Any:
    """A value as the call has to give it: the schema's own for enumerations and value languages, else the request's."""
    schema = catalogue.property(name, slot)
    if "enum" in schema:
        return next(option for option in schema["enum"] if str(option) == key)
    if "x-language" in schema:
        return catalogue.values[schema["x-language"]][slot][key]
    kind = schema.get("type")
    return int(text) if kind == "integer" else float(text) if kind == "number" else text


def check_item(item: Mapping[str, Any]) -> None:
    """A gold call satisfies its schema, and its values stand in the request where the schema asks for no others.

    Raises:
        UserError: Names the request.
    """
    expected = item["expected_behavior"]
    if not expected["should_call_function"]:
        return
    function = next(f for f in item["functions"] if f["name"] == expected["expected_function"])
    if wrong := violations(expected["expected_parameters"], function["parameters"]):
        raise UserError(f"The gold call of {item['user_message']!r} violates its schema: {wrong[0]}.")
    request = normalize(item["user_message"])
    for slot, value in expected["expected_parameters"].items():
        schema = function["parameters"]["properties"][slot]
        if "enum" not in schema and "x-language" not in schema and normalize(str(value)) not in request:
            raise UserError(f"The value {value!r} of {slot} does not occur in the request {item['user_message']!r}.")


def without_negatives(mix: Mapping[str, float] = MIX) -> dict[str, float]:
    """The mix with the three scenarios dropped in which nothing is to be called."""
    return {name: 0.0 if name in NO_CALL_SCENARIOS else share for name, share in mix.items()}


# --- wordings of the prompt ---------------------------------------------------------------------------------------


def load_prompt(
    wording: str = "long-bg", path: str | Path = "", *, indent: int | None = 2, descriptions: bool = True,
    tags: Tags | None = None,
) -> tuple[Prompt, str]:  # fmt: skip
    """One wording of a YAML file (ours by default) and a short hash of it, to be reported with every number.

    Raises:
        UserError: No such file or wording, or one that lacks a part.
    """
    content = _parse(Path(path or HERE / "prompts.yaml"))
    parts = ("system", "default_system", "functions_header", "query_header", "user")
    if not isinstance(content, Mapping) or not isinstance(content.get(wording), Mapping):
        has = ", ".join(map(str, content)) if isinstance(content, Mapping) else json_kind(content)
        raise UserError(f"There is no wording {wording!r} in {path or 'prompts.yaml'}: it has {has or 'nothing'}.")
    if missing := [name for name in parts if name not in content[wording]]:
        raise UserError(f"The wording {wording!r} lacks {missing[0]!r}.")
    texts = {name: str(content[wording][name]) for name in parts}
    prompt = Prompt(**texts, tags=tags or Tags(), indent=indent, descriptions=descriptions)
    digest = hashlib.sha256(json.dumps([texts, indent, descriptions, repr(prompt.tags)]).encode()).hexdigest()
    return prompt, digest[:12]


def prompt_of(config: PromptConfig) -> tuple[Prompt, str]:
    """The wording that a configuration names, and its hash."""
    return load_prompt(
        f"{config.wording}-{config.lang}",
        config.file,
        indent=None if config.json_indent < 0 else config.json_indent,
        descriptions=config.descriptions,
        tags=Tags(start=config.start, end=config.end),
    )
