"""The scorer: reads the call in an answer and says whether it is the one that was wanted. Nothing that is read is run.

    grade('```tool_call\\n{"name": "get_weather", "arguments": {"city": "София"}}\\n```', expected)   # "CORRECT"
    report = evaluate(generate, items, prompt)        # any model or API: a list of prompts in, a list of answers out

It agrees with the official scorer (llm-bg/Tucan-Eval, July 2026) wherever that one does not raise an exception. Pure
Python, so that answers of any model can be graded without torch.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, Literal, NamedTuple, get_args

from core.metrics.calls import one_form, violations
from papers.tucan.method import OFFICIAL, Item, Prompt, Tags

Label = Literal[
    "CORRECT", "NO_CALL_WHEN_EXPECTED", "UNEXPECTED_CALL", "WRONG_FUNCTION", "WRONG_PARAMETERS", "MALFORMED_JSON"
]
LABELS: tuple[Label, ...] = get_args(Label)


class Call(NamedTuple):
    """The first fenced block of an answer, as written; malformed: no JSON object, or one that reports an `error`."""

    name: Any
    arguments: Any
    malformed: bool = False


def parse_call(response: str, tags: Tags = OFFICIAL) -> Call | None:
    """Read the first call of an answer; None when there is no block, or an empty object in it.

    A payload that is no object is malformed (the official scorer raises an exception there). `parameters` is accepted
    for `arguments`.
    """
    match = re.search(re.escape(tags.start) + r"(.*?)" + re.escape(tags.end), response, re.DOTALL)
    if match is None:
        return None
    try:
        payload = json.loads(match[1].strip())
    except (ValueError, RecursionError):  # ValueError: also integers of thousands of digits
        payload = None
    if not isinstance(payload, dict) or "error" in payload:
        return Call(None, None, malformed=True)
    return Call(payload.get("name"), payload.get("arguments", payload.get("parameters"))) if payload else None


_LATIN = {
    **dict(zip("абвгдезийклмнопрстуфхыэ", "abvgdeziyklmnoprstufhye", strict=True)),
    "ж": "zh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ю": "yu", "я": "ya", "ъ": "", "ь": "",
}  # fmt: skip
_TABLE = str.maketrans(_LATIN | {letter.upper(): sound.upper() for letter, sound in _LATIN.items()})


def normalize(text: str) -> str:
    """Latin letters, no trailing punctuation, single blanks, no outer quotes, lower case, in the official order.

    Trailing punctuation goes before blanks do, and closing quotes stay: `" софия. "` keeps its dot. The table is the
    scorer's, Russian-like: Търговище is trgovishche, not the Bulgarian standard's targovishte.
    """
    text = re.sub(r"[.!?,:;]+$", "", text.translate(_TABLE))  # `$` as there: before a last line end, too
    return " ".join(text.split()).strip("\"'„").strip().lower()


def equivalent(expected: Any, actual: Any) -> bool:
    """Whether two argument values mean the same: equal, equal after :func:`normalize`, or a number and its digits."""
    if expected is None or actual is None:
        return expected is actual
    if expected == actual:
        return True
    if isinstance(expected, str) and isinstance(actual, str):
        same = expected.strip().lower() == actual.strip().lower()
        return same or normalize(expected) == normalize(actual)
    if isinstance(expected, str) or isinstance(actual, str):
        text, number = (expected, actual) if isinstance(expected, str) else (actual, expected)
        try:
            return bool(number == (float(text) if "." in text else int(text)))
        except ValueError:
            return False
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(equivalent, expected, actual))
    return isinstance(expected, Mapping) and isinstance(actual, Mapping) and same_arguments(expected, actual)


def same_arguments(expected: Any, actual: Any) -> bool:
    """Equal keys (letter by letter) and equivalent values; None and what is empty count as no arguments."""
    expected, actual = expected or {}, actual or {}
    objects = isinstance(expected, Mapping) and isinstance(actual, Mapping) and expected.keys() == actual.keys()
    return objects and all(equivalent(value, actual[key]) for key, value in expected.items())


def grade(response: str, expected_behavior: Mapping[str, Any], tags: Tags = OFFICIAL) -> Label:
    """Label one answer as the official scorer does. Where no call is wanted, its text is not read."""
    call = parse_call(response, tags)
    if call is not None and call.malformed:
        return "MALFORMED_JSON"
    if not expected_behavior["should_call_function"]:
        return "CORRECT" if call is None else "UNEXPECTED_CALL"
    if call is None:
        return "NO_CALL_WHEN_EXPECTED"
    if call.name != expected_behavior["expected_function"]:
        return "WRONG_FUNCTION"
    same = same_arguments(expected_behavior.get("expected_parameters"), call.arguments)
    return "CORRECT" if same else "WRONG_PARAMETERS"


class Verdict(NamedTuple):
    """The official label; whether the called function is offered and its schema satisfied (None: no call); why not."""

    label: Label
    valid: bool | None = None
    errors: tuple[str, ...] = ()


def examine(response: str, item: Item, tags: Tags = OFFICIAL) -> Verdict:
    """Grade one answer and validate its arguments against the JSON schema of the called function."""
    label, call = grade(response, item["expected_behavior"], tags), parse_call(response, tags)
    if call is None:
        return Verdict(label)
    offered = {one["name"]: one["parameters"] for one in map(one_form, item["functions"])}
    if call.malformed:
        errors = ["the call is no JSON object"]
    elif not isinstance(call.name, str) or call.name not in offered:
        errors = [f"no function {call.name!r} was offered"]
    else:
        errors = violations({} if call.arguments is None else call.arguments, offered[call.name])
    return Verdict(label, not errors, tuple(errors))


class Report(NamedTuple):
    """Scores of a set of answers, with what a model that never calls would get: half of a balanced benchmark."""

    accuracy: float
    never_call: float
    scenarios: dict[str, float]
    errors: dict[Label, int]
    answers: list[str]
    verdicts: list[Verdict]


def score(items: Sequence[Item], answers: Iterable[str], tags: Tags = OFFICIAL) -> Report:
    """Examine the answers to at least one item, in their order, and add up the verdicts."""
    answers, scenarios = list(answers), defaultdict(list)
    verdicts = [examine(text, item, tags) for text, item in zip(answers, items, strict=True)]
    labels = [verdict.label for verdict in verdicts]
    for item, label in zip(items, labels, strict=True):
        scenarios[item["scenario_type"]].append(label == "CORRECT")
    return Report(
        accuracy=labels.count("CORRECT") / len(labels),
        never_call=fmean(not item["expected_behavior"]["should_call_function"] for item in items),
        scenarios={name: fmean(right) for name, right in scenarios.items()},
        errors={label: labels.count(label) for label in LABELS},
        answers=answers,
        verdicts=verdicts,
    )


def evaluate(generate: Callable[[list[str]], Iterable[str]], items: Sequence[Item], prompt: Prompt) -> Report:
    """Score any model or API: `generate` gets the rendered user turns and returns one answer for each."""
    return score(items, generate([prompt.render(one["user_message"], one["functions"]) for one in items]), prompt.tags)
