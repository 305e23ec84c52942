"""The scorer: reads the call in an answer and says whether it is the one that was wanted. Nothing that is read is run.

    grade('```tool_call\\n{"name": "get_weather", "arguments": {"city": "София"}}\\n```', expected)   # "CORRECT"
    report = evaluate(generate, items, prompt)        # any model or API: a list of prompts in, a list of answers out

It agrees with the official scorer (llm-bg/Tucan-Eval, July 2026) wherever that one does not raise an exception. Pure
Python, so that answers of any model can be graded without torch.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from core.errors import UserError
from papers.tucan.method import Item, Prompt, Tags

Label = Literal[
    "CORRECT", "NO_CALL_WHEN_EXPECTED", "UNEXPECTED_CALL", "WRONG_FUNCTION", "WRONG_PARAMETERS", "MALFORMED_JSON"
]
LABELS: tuple[Label, ...] = (
    "CORRECT", "NO_CALL_WHEN_EXPECTED", "UNEXPECTED_CALL", "WRONG_FUNCTION", "WRONG_PARAMETERS", "MALFORMED_JSON",
)  # fmt: skip
Translit = Literal["official", "bg_standard"]
SCORER = "llm-bg/Tucan-Eval, July 2026"


# --- reading a call -------------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """The first fenced block of an answer.

    Attributes:
        name: Of the function, as written; None when the call is malformed.
        arguments: As written (anything that JSON can hold).
        malformed: Not JSON, not an object, or an object that reports an `error`.
    """

    name: Any
    arguments: Any
    malformed: bool = False


def parse_call(response: str, tags: Tags | None = None) -> Call | None:
    """Read the first call of an answer; None when there is no block, or an empty object in it.

    A payload that is no object is malformed (the official scorer raises an exception there). `parameters` is accepted
    for `arguments`.
    """
    tags = tags or Tags()
    match = re.search(re.escape(tags.start) + r"(.*?)" + re.escape(tags.end), response, re.DOTALL)
    if match is None:
        return None
    try:
        payload = json.loads(match[1].strip())
    except (ValueError, RecursionError):  # ValueError: also integers of thousands of digits
        return Call(None, None, malformed=True)
    if not isinstance(payload, dict) or "error" in payload:
        return Call(None, None, malformed=True)
    if not payload:
        return None
    return Call(payload.get("name"), payload["arguments"] if "arguments" in payload else payload.get("parameters"))


# --- equivalence of values ------------------------------------------------------------------------------------------

_OFFICIAL = {
    **dict(zip("абвгдезийклмнопрстуфхыэ", "abvgdeziyklmnoprstufhye", strict=True)),
    "ж": "zh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ю": "yu", "я": "ya", "ъ": "", "ь": "",
}  # fmt: skip
# The Bulgarian transliteration act of 2009.
_STANDARD = {**_OFFICIAL, "щ": "sht", "ъ": "a", "ь": "y"}
_TABLES: dict[str, dict[int, str]] = {
    name: str.maketrans({**table, **{letter.upper(): sound.upper() for letter, sound in table.items()}})
    for name, table in (("official", _OFFICIAL), ("bg_standard", _STANDARD))
}


def normalize(text: str, translit: Translit = "official") -> str:
    """Latin letters, no trailing punctuation, single blanks, no outer quotes, lower case, in the official order.

    Trailing punctuation goes before blanks do, and closing quotes stay: `" софия. "` keeps its dot. `official` is the
    scorer's Russian-like table; `bg_standard` is the law's, in which a final -ия is -ia.
    """
    if translit == "bg_standard":
        text = re.sub(r"(?<=и)я\b|(?<=И)Я\b", "a", text)
    text = re.sub(r"[.!?,:;]+$", "", text.translate(_TABLES[translit]))  # `$` as there: before a last line end, too
    return " ".join(text.split()).strip("\"'„").strip().lower()


def equivalent(expected: Any, actual: Any, translit: Translit = "official") -> bool:
    """Whether two argument values mean the same: equal, equal after :func:`normalize`, or a number and its digits."""
    if expected is None or actual is None:
        return expected is actual
    if expected == actual:
        return True
    if isinstance(expected, str) and isinstance(actual, str):
        if expected.strip().lower() == actual.strip().lower():
            return True
        return normalize(expected, translit) == normalize(actual, translit)
    if isinstance(expected, str) and isinstance(actual, int | float):
        return _number(expected) == actual
    if isinstance(actual, str) and isinstance(expected, int | float):
        return _number(actual) == expected
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(
            equivalent(left, right, translit) for left, right in zip(expected, actual, strict=True)
        )
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        return same_arguments(expected, actual, translit)
    return False


def _number(text: str) -> float | None:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return None


def same_arguments(expected: Any, actual: Any, translit: Translit = "official") -> bool:
    """Equal keys (letter by letter) and equivalent values; None and what is empty count as no arguments."""
    expected, actual = expected or {}, actual or {}
    if not isinstance(expected, Mapping) or not isinstance(actual, Mapping) or expected.keys() != actual.keys():
        return False
    return all(equivalent(value, actual[key], translit) for key, value in expected.items())


# --- grading --------------------------------------------------------------------------------------------------------


def grade(
    response: str, expected_behavior: Mapping[str, Any], tags: Tags | None = None, translit: Translit = "official"
) -> Label:
    """Label one answer as the official scorer does. Where no call is wanted, its text is not read.

    Args:
        response: What the model wrote.
        expected_behavior: `should_call_function`, and where that is true `expected_function`, `expected_parameters`.
        tags: Around a call.
        translit: Which table compares Cyrillic with Latin spellings.
    """
    return _label(parse_call(response, tags), expected_behavior, translit)


def _label(call: Call | None, expected: Mapping[str, Any], translit: Translit) -> Label:
    if call is not None and call.malformed:
        return "MALFORMED_JSON"
    if not expected["should_call_function"]:
        return "CORRECT" if call is None else "UNEXPECTED_CALL"
    if call is None:
        return "NO_CALL_WHEN_EXPECTED"
    if call.name != expected["expected_function"]:
        return "WRONG_FUNCTION"
    same = same_arguments(expected.get("expected_parameters"), call.arguments, translit)
    return "CORRECT" if same else "WRONG_PARAMETERS"


class Verdict(NamedTuple):
    """One graded answer.

    Attributes:
        label: Of the official scorer.
        called: Name of the called function; None without a readable call.
        valid: Whether the call names an offered function and its arguments satisfy that function's schema; None
            without a call.
        errors: Why it is not valid.
    """

    label: Label
    called: Any
    valid: bool | None
    errors: tuple[str, ...] = ()


def examine(response: str, item: Item, tags: Tags | None = None, translit: Translit = "official") -> Verdict:
    """Grade one answer and validate its arguments against the JSON schema of the called function."""
    call = parse_call(response, tags)
    label = _label(call, item["expected_behavior"], translit)
    if call is None:
        return Verdict(label, None, None)
    if call.malformed:
        return Verdict(label, None, False, ("the call is no JSON object",))
    # Functions stand in the item as in the prompt: plain, in OpenAI's form, or in MCP's.
    offered = {one["name"]: one for one in (f.get("function", f) for f in item["functions"])}
    if not isinstance(call.name, str) or call.name not in offered:
        return Verdict(label, call.name, False, (f"no function {call.name!r} was offered",))
    function = offered[call.name]
    schema = function.get("parameters") or function.get("inputSchema") or function.get("input_schema") or {}
    errors = tuple(violations({} if call.arguments is None else call.arguments, schema))
    return Verdict(label, call.name, not errors, errors)


# --- arguments against their JSON Schema ----------------------------------------------------------------------------

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int, float), "number": (int, float), "boolean": (bool,), "array": (list,),
    "object": (dict,), "null": (type(None),),
}  # fmt: skip


def violations(value: Any, schema: Any, path: str = "") -> list[str]:
    """Why a value does not satisfy a JSON Schema; empty when it does.

    Types, enumerations, bounds, required and additional properties, items, `anyOf`. What else a schema may hold is not
    checked: a pattern from a stranger's schema can run for hours.

    Args:
        value: Parsed JSON.
        schema: True allows everything, False nothing.
        path: Of the value, for the messages.

    Raises:
        UserError: A schema that is no object, or a type that does not exist.
    """
    where = f"{path}: " if path else ""
    if isinstance(schema, bool):
        return [] if schema else [f"{where}nothing is allowed here"]
    if not isinstance(schema, Mapping):
        raise UserError(f"The schema {schema!r} is no object: write JSON Schema, such as {{'type': 'string'}}.")
    shown = repr(value) if len(repr(value)) <= 40 else f"{repr(value)[:37]}..."
    wanted = schema.get("type", [])
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if wanted and not any(_is(value, name) for name in wanted):
        return [f"{where}{shown} is no {' or '.join(map(str, wanted))}"]
    found = []
    options = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if options is not None and not any(
        value == one and isinstance(value, bool) == isinstance(one, bool) for one in options
    ):
        found.append(f"{where}{shown} is none of {', '.join(map(str, options))}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = schema.get("minimum"), schema.get("maximum")
        found += [f"{where}{shown} is less than {low}"] if low is not None and value < low else []
        found += [f"{where}{shown} is more than {high}"] if high is not None and value > high else []
    if "anyOf" in schema and all(violations(value, option, path) for option in schema["anyOf"]):
        found.append(f"{where}{shown} fits no option of anyOf")
    if isinstance(value, dict):
        found += [f"{where}{name} is missing" for name in schema.get("required") or () if name not in value]
        for name, inner in value.items():
            allowed = (schema.get("properties") or {}).get(name, schema.get("additionalProperties", True))
            found += violations(inner, allowed, f"{path}.{name}" if path else name)
    if isinstance(value, list):
        for position, element in enumerate(value):
            found += violations(element, schema.get("items", True), f"{path}[{position}]")
    return found


def _is(value: Any, name: Any) -> bool:
    if name not in _TYPES:
        raise UserError(f"The schema has the type {name!r}: choose one of {', '.join(_TYPES)}.")
    if isinstance(value, bool):  # in Python, a bool is an int
        return bool(name == "boolean")
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, _TYPES[name]) and (name != "integer" or whole)


# --- adding up ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    """Scores of a set of answers; shares lie in [0, 1] and are NaN where nothing was counted.

    Attributes:
        n: Items.
        accuracy: Share that is right.
        never_call: What a model that never calls would get: half of a balanced benchmark is free.
        scenarios: Accuracy by scenario.
        errors: Items by label.
        precision: Of the calls that were made, how many were wanted.
        recall: Of the calls that were wanted, how many were made.
        schema_valid: Of the calls that were made, how many name an offered function and satisfy its schema.
        confusion: `{expected function: {called function: items}}`; no call is "".
        verdicts: One per item.
    """

    n: int
    accuracy: float
    never_call: float
    scenarios: dict[str, float]
    errors: dict[str, int]
    precision: float
    recall: float
    schema_valid: float
    confusion: dict[str, dict[str, int]]
    verdicts: tuple[Verdict, ...] = field(repr=False, default=())


def summarize(items: Sequence[Item], verdicts: Sequence[Verdict]) -> Report:
    """Add up verdicts."""
    right = [verdict.label == "CORRECT" for verdict in verdicts]
    wanted = [bool(item["expected_behavior"]["should_call_function"]) for item in items]
    called = [verdict.valid is not None for verdict in verdicts]
    both = sum(w and c for w, c in zip(wanted, called, strict=True))
    scenarios: dict[str, list[bool]] = {}
    confusion: dict[str, Counter[str]] = {}
    for item, verdict in zip(items, verdicts, strict=True):
        scenarios.setdefault(item["scenario_type"], []).append(verdict.label == "CORRECT")
        if item["expected_behavior"]["should_call_function"]:
            counts = confusion.setdefault(item["expected_behavior"]["expected_function"], Counter())
            counts[str(verdict.called or "")] += 1
    return Report(
        n=len(items),
        accuracy=_share(sum(right), len(items)),
        never_call=_share(len(items) - sum(wanted), len(items)),
        scenarios={name: _share(sum(found), len(found)) for name, found in scenarios.items()},
        errors={label: sum(verdict.label == label for verdict in verdicts) for label in LABELS},
        precision=_share(both, sum(called)),
        recall=_share(both, sum(wanted)),
        schema_valid=_share(sum(bool(verdict.valid) for verdict in verdicts), sum(called)),
        confusion={name: dict(counts) for name, counts in confusion.items()},
        verdicts=tuple(verdicts),
    )


def evaluate(
    generate: Callable[[list[str]], Iterable[str]],
    items: Sequence[Item],
    prompt: Prompt,
    translit: Translit = "official",
) -> Report:
    """Score any model or API: `generate` gets the rendered user turns and returns one answer for each."""
    answers = list(generate([prompt.render(item["user_message"], item["functions"]) for item in items]))
    pairs = zip(answers, items, strict=True)
    return summarize(items, [examine(answer, item, prompt.tags, translit) for answer, item in pairs])


def _share(count: int, total: int) -> float:
    return count / total if total else float("nan")
