"""What TUCAN is made of: one prompt layout, one call format, and a grader that reads calls and never runs them.

A model gets a request u and function schemas F in one user turn, and answers with plain text or with one fenced call:

    x = system . header_F . json(F) . header_u . u          y = fence . {"name": f, "arguments": a} . fence   or text

Training is cross-entropy on y alone. An answer is right when it calls although a call was expected, with the expected
name and equivalent arguments, or does not call although none was expected; in the second case its text is not read.

Pure Python (no torch), so that answers of any model or API can be graded:

    grade('```tool_call\\n{"name": "get_weather", "arguments": {"city": "София"}}\\n```', expected)   # "CORRECT"
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from papers.tucan.schema import Json, violations

Label = Literal[
    "CORRECT", "NO_CALL_WHEN_EXPECTED", "UNEXPECTED_CALL", "WRONG_FUNCTION", "WRONG_PARAMETERS", "MALFORMED_JSON"
]
LABELS: tuple[Label, ...] = (
    "CORRECT", "NO_CALL_WHEN_EXPECTED", "UNEXPECTED_CALL", "WRONG_FUNCTION", "WRONG_PARAMETERS", "MALFORMED_JSON",
)  # fmt: skip
Translit = Literal["official", "bg_standard"]
Item = Mapping[str, Any]

CALL_SCENARIOS = ("function_call_required", "multiple_functions_selection", "ambiguous_function_selection")
NO_CALL_SCENARIOS = (
    "irrelevant_question_with_functions", "missing_required_parameters", "no_functions_available",
)  # fmt: skip
SCENARIOS = CALL_SCENARIOS + NO_CALL_SCENARIOS


# --- prompt and target --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tags:
    """What stands around a call and around a function's result."""

    start: str = "```tool_call"
    end: str = "```"
    result_start: str = "```tool_result"
    result_end: str = "```"


@dataclass(frozen=True)
class Prompt:
    """Wording of the one user turn.

    Attributes:
        system: First paragraph when there are functions; `{start}`, `{end}` and `{result}` stand
            for the tags.
        default_system: First paragraph when there are none.
        functions_header: Line before the schemas.
        query_header: Line before the request.
        user: What names the speaker when there are no functions.
        tags: Around a call.
        indent: Indentation of the schemas' JSON; None writes them without any blank, a third of the length.
        descriptions: Keep the descriptions of functions and parameters.
    """

    system: str
    default_system: str
    functions_header: str
    query_header: str
    user: str
    tags: Tags = field(default_factory=Tags)
    indent: int | None = 2
    descriptions: bool = True

    def render(self, request: str, functions: Sequence[Mapping[str, Any]]) -> str:
        """The user turn: everything in one message, because Gemma-2 has no system role."""
        if not functions:
            return f"{self.default_system}\n\n{self.user}: {request}"
        system = self.system.replace("{start}", self.tags.start).replace("{end}", self.tags.end)
        system = system.replace("{result}", self.tags.result_start)
        separators = None if self.indent else (",", ":")
        shown = [shown_function(function, self.descriptions) for function in functions]
        schemas = json.dumps(shown, ensure_ascii=False, indent=self.indent, separators=separators)
        return f"{system}\n\n{self.functions_header}\n{schemas}\n\n{self.query_header}\n{request}"


def shown_function(function: Mapping[str, Any], descriptions: bool = True) -> dict[str, Any]:
    """A function as the model sees it: name, description, parameters; our own `x-` annotations are left out."""
    hidden = () if descriptions else ("description",)

    def clean(schema: Json) -> Json:
        if isinstance(schema, list):
            return [clean(element) for element in schema]
        if not isinstance(schema, Mapping):
            return schema
        # A property may be *named* description: below `properties` every key stays.
        return {
            key: {name: clean(inner) for name, inner in value.items()} if key == "properties" else clean(value)
            for key, value in schema.items()
            if not key.startswith("x-") and key not in hidden
        }

    parts = [key for key in ("name", "description", "parameters") if key in function and key not in hidden]
    return {key: clean(function[key]) for key in parts}


def render_call(name: str, arguments: Mapping[str, Any], tags: Tags | None = None) -> str:
    """The call that a model is trained to write. Cyrillic stays Cyrillic: escapes would ruin a small model."""
    tags = tags or Tags()
    call = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"{tags.start}\n{call}\n{tags.end}"


def render_result(result: Any, tags: Tags | None = None) -> str:
    """The turn in which a function's result comes back to the model."""
    tags = tags or Tags()
    return f"{tags.result_start}\n{json.dumps(result, ensure_ascii=False)}\n{tags.result_end}"


def conversation(item: Item, prompt: Prompt) -> list[dict[str, str]]:
    """The chat form of an item, so that training and scoring see the same text.

    Roles: user, then the call or the answer; with `result` and `final` also the result (in the user's role: Gemma-2
    knows no other) and the answer that follows from it.
    """
    expected = item["expected_behavior"]
    if expected["should_call_function"]:
        answer = render_call(expected["expected_function"], expected.get("expected_parameters") or {}, prompt.tags)
    else:
        answer = item["answer"]
    turns = [("user", prompt.render(item["user_message"], item["functions"])), ("assistant", answer)]
    if item.get("final"):
        turns += [("user", render_result(item.get("result"), prompt.tags)), ("assistant", item["final"])]
    return [{"role": role, "content": content} for role, content in turns]


# --- reading a call -----------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """The first fenced block of an answer.

    Attributes:
        name: Of the function, as written; None when the call is malformed or empty.
        arguments: As written (anything that JSON can hold).
        malformed: Not JSON, not an object, or an object that reports an `error`.
    """

    name: Any
    arguments: Any
    malformed: bool = False


def parse_call(response: str, tags: Tags | None = None) -> Call | None:
    """Read the first call of an answer; None when there is no block, or an empty object in it.

    The text between the tags is parsed as JSON and never evaluated. A payload that is no object is malformed (the
    official scorer raises an exception there). `parameters` is accepted for `arguments`.
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


# --- equivalence of values ----------------------------------------------------------------------------------------

_OFFICIAL = {
    **dict(zip("абвгдезийклмнопрстуфхыэ", "abvgdeziyklmnoprstufhye", strict=True)),
    "ж": "zh",
    "ц": "ts",
    "ч": "ch",
    "ш": "sh",
    "щ": "shch",
    "ю": "yu",
    "я": "ya",
    "ъ": "",
    "ь": "",
}
# The Bulgarian transliteration act of 2009.
_STANDARD = {**_OFFICIAL, "щ": "sht", "ъ": "a", "ь": "y"}
_TABLES: dict[str, dict[int, str]] = {
    name: str.maketrans({**table, **{letter.upper(): sound.capitalize() for letter, sound in table.items()}})
    for name, table in (("official", _OFFICIAL), ("bg_standard", _STANDARD))
}


def normalize(text: str, translit: Translit = "official") -> str:
    """Latin letters, no trailing punctuation, single blanks, no outer quotes, lower case, in the official order.

    Trailing punctuation goes before blanks do, and closing quotes stay: `" софия. "` keeps its dot. `official` is the
    scorer's Russian-like table; `bg_standard` is the law's, in which a final -ия is -ia.
    """
    if translit == "bg_standard":
        text = re.sub(r"(?<=и)я\b|(?<=И)Я\b", "a", text)
    text = text.translate(_TABLES[translit]).rstrip(".!?,:;")
    return " ".join(text.split()).strip("\"'„").lower()


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
    """Equal keys (letter by letter) and equivalent values; None counts as no arguments."""
    expected, actual = ({} if value is None else value for value in (expected, actual))
    if not isinstance(expected, Mapping) or not isinstance(actual, Mapping) or expected.keys() != actual.keys():
        return False
    return all(equivalent(value, actual[key], translit) for key, value in expected.items())


# --- grading ------------------------------------------------------------------------------------------------------


def grade(
    response: str, expected_behavior: Mapping[str, Any], tags: Tags | None = None, translit: Translit = "official"
) -> Label:
    """Label one answer as the official scorer does (version of July 2026).

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
    offered = {function["name"]: function for function in item["functions"]}
    if not isinstance(call.name, str) or call.name not in offered:
        return Verdict(label, call.name, False, (f"no function {call.name!r} was offered",))
    schema = offered[call.name].get("parameters") or {}
    errors = tuple(violations({} if call.arguments is None else call.arguments, schema))
    return Verdict(label, call.name, not errors, errors)


@dataclass(frozen=True)
class Report:
    """Scores of a set of answers; shares lie in [0, 1] and are NaN where nothing was counted.

    Attributes:
        n: Items.
        accuracy: Share of CORRECT.
        never_call: Accuracy of a model that never calls: the share of items that expect none.
        scenarios: Accuracy by scenario.
        errors: Number of items by label.
        precision: Of the calls made (malformed ones included), the share that was expected.
        recall: Of the calls expected, the share where some call was made.
        schema_valid: Of the calls made, the share with an offered name and arguments that satisfy its schema.
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
    labels = [verdict.label for verdict in verdicts]
    wanted = [bool(item["expected_behavior"]["should_call_function"]) for item in items]
    called = [verdict.valid is not None for verdict in verdicts]
    both = sum(w and c for w, c in zip(wanted, called, strict=True))
    confusion: dict[str, Counter[str]] = {}
    for item, verdict, call_wanted in zip(items, verdicts, wanted, strict=True):
        if call_wanted:
            name = item["expected_behavior"]["expected_function"]
            confusion.setdefault(name, Counter())[str(verdict.called or "")] += 1
    return Report(
        n=len(items),
        accuracy=_share(labels.count("CORRECT"), len(labels)),
        never_call=_share(len(items) - sum(wanted), len(items)),
        scenarios={
            scenario: _share(sum(label == "CORRECT" for label in found), len(found))
            for scenario, found in _by_scenario(items, labels).items()
        },
        errors={label: labels.count(label) for label in LABELS},
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


def _by_scenario(items: Sequence[Item], labels: Sequence[Label]) -> dict[str, list[Label]]:
    groups: dict[str, list[Label]] = {}
    for item, label in zip(items, labels, strict=True):
        groups.setdefault(item["scenario_type"], []).append(label)
    return groups


def _share(count: int, total: int) -> float:
    return count / total if total else float("nan")
