"""Functions in their forms, and arguments against JSON Schema."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from core.errors import UserError
from core.metrics.calls import checked, one_form, undescribed, violations

SOFIA = {"location": "София"}
WEATHER = {
    "name": "get_weather",
    "description": "Weather",
    "parameters": {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "City"},
            "days": {"type": "integer"},
            "unit": {"type": ["string", "null"], "enum": ["C", "F", None]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["location"],
        "additionalProperties": False,
    },
}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (SOFIA, None), (SOFIA | {"days": 3, "unit": None, "tags": ["a"]}, None), ([], "[] is no object"),
        ({}, "location is missing"), ({"location": 5}, "location: 5 is no string"),
        (SOFIA | {"days": 2.5}, "days: 2.5 is no integer"), (SOFIA | {"days": True}, "days: True is no integer"),
        (SOFIA | {"extra": 1}, "extra: 1 is none of nothing"), (SOFIA | {"tags": [1]}, "tags[0]: 1 is no string"),
        (SOFIA | {"unit": "K"}, "unit: 'K' is none of C, F, None"),
    ],
)  # fmt: skip
def test_arguments_against_their_schema(value: Any, problem: str | None) -> None:
    assert violations(value, WEATHER["parameters"]) == ([] if problem is None else [problem])


def test_schemas_that_cannot_be_read_are_refused() -> None:
    for schema, message in (({"type": "text"}, "type 'text'"), (5, "is no object")):
        with pytest.raises(UserError, match=re.escape(message)):
            violations({}, schema)


def test_functions_of_other_forms_and_broken_ones() -> None:
    plain = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"a": {}}}}
    openai = {"type": "function", "function": {**plain, "strict": True}}
    mcp = {"name": "f", "description": "d", "inputSchema": plain["parameters"]}
    assert checked(plain) == checked(openai) == checked(mcp) == plain
    assert one_form({"name": "f"})["parameters"] == {}
    for broken in ({}, 5, *({"name": "f", "parameters": one} for one in ({"type": "string"}, {"required": ["x"]}))):
        with pytest.raises(UserError, match="No function"):
            checked(broken)


def test_descriptions_are_left_out_and_properties_of_that_name_are_not() -> None:
    assert "description" not in json.dumps(undescribed([WEATHER]))
    named = {"name": "f", "parameters": {"properties": {"description": {"type": "string", "description": "d"}}}}
    assert undescribed(named)["parameters"]["properties"] == {"description": {"type": "string"}}
