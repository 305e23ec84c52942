"""Calls of functions: functions in one form, and whether the arguments of a call satisfy their JSON Schema.

    one_form({"type": "function", "function": {"name": "get_weather", "parameters": {...}}})["parameters"]
    violations({"city": 5}, parameters)                     # ["city: 5 is no string"]

Nothing that a model writes is run or evaluated, here or elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.errors import UserError

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,),
    "object": (dict,), "null": (type(None),),
}  # fmt: skip


def one_form(function: Mapping[str, Any]) -> dict[str, Any]:
    """A function with its `parameters`, from JSON Schema by itself, OpenAI's form or a tool of an MCP server."""
    own = function.get("function", function)
    return {**own, "parameters": own.get("parameters", own.get("inputSchema")) or {}}


def checked(function: Any) -> dict[str, Any]:
    """A function of any of these forms with its name, description and sound parameters, and nothing else.

    Raises:
        UserError: There is no name, or the parameters are no JSON Schema of an object that has what it requires.
    """
    try:
        own = one_form(function)
        schema = own["parameters"]
        properties = schema.get("properties") or {}
        sound = isinstance(own["name"], str) and schema.get("type", "object") == "object"
        sound = sound and set(schema.get("required") or ()) <= set(properties)
        sound = sound and all(isinstance(one, dict) for one in properties.values())
    except (AttributeError, KeyError, TypeError):
        sound = False
    if not sound:
        shown = json.dumps(function, ensure_ascii=False)[:80]
        raise UserError(f"No function: {shown}. Give a name, and parameters as an object's JSON Schema.")
    kept: dict[str, Any] = {key: own[key] for key in ("name", "description") if key in own}
    return {**kept, "parameters": {"type": "object", **schema, "properties": properties}}


def undescribed(schema: Any, named: bool = False) -> Any:
    """A function, a schema or a list of them without descriptions; a property may be *named* description, and stays."""
    if isinstance(schema, list):
        return [undescribed(element) for element in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept = {key: value for key, value in schema.items() if named or key != "description"}
    return {key: undescribed(value, named=key == "properties" and not named) for key, value in kept.items()}


def violations(value: Any, schema: Any, path: str = "") -> list[str]:
    """Why parsed JSON does not satisfy a JSON Schema: types, enumerations, required and unknown properties, items.

    What else a schema may hold is not checked: a pattern from a stranger's schema can run for hours.

    Raises:
        UserError: The schema is no object, or names an unknown type.
    """
    where, shown = f"{path}: " if path else "", repr(value)[:40]
    if isinstance(schema, bool):  # everything, or nothing
        schema = {} if schema else {"enum": []}
    if not isinstance(schema, Mapping):
        raise UserError(f"The schema {schema!r} is no object: write JSON Schema, such as {{'type': 'string'}}.")
    wanted = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    if unknown := [name for name in wanted if name not in _TYPES]:
        raise UserError(f"The schema has the type {unknown[0]!r}: choose one of {', '.join(_TYPES)}.")
    # In Python, a bool is an int.
    if wanted and not any(isinstance(value, _TYPES[n]) and isinstance(value, bool) <= (n == "boolean") for n in wanted):
        return [f"{where}{shown} is no {' or '.join(wanted)}"]
    found = []
    if value not in schema.get("enum", [value]):
        found.append(f"{where}{shown} is none of {', '.join(map(str, schema['enum'])) or 'nothing'}")
    if isinstance(value, dict):
        found += [f"{where}{name} is missing" for name in schema.get("required") or () if name not in value]
        for name, inner in value.items():
            allowed = (schema.get("properties") or {}).get(name, schema.get("additionalProperties", True))
            found += violations(inner, allowed, f"{path}.{name}" if path else name)
    if isinstance(value, list):
        for position, element in enumerate(value):
            found += violations(element, schema.get("items", True), f"{path}[{position}]")
    return found
