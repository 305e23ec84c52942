"""JSON Schema, as far as function parameters use it: is this value allowed, and if not, why.

    violations({"city": 5}, {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
    # ["city: 5 is no string"]

Types, enumerations, required and additional properties, items, bounds, combinations and local references. `format`,
`pattern` and everything that only annotates are not checked (a pattern from a stranger's schema can run for hours).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from core.errors import UserError

Json = Any
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int, float),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_BOUNDS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "minimum": (lambda value, bound: value >= bound, "less than"),
    "maximum": (lambda value, bound: value <= bound, "more than"),
    "exclusiveMinimum": (lambda value, bound: value > bound, "not more than"),
    "exclusiveMaximum": (lambda value, bound: value < bound, "not less than"),
}
_SIZES = {"minLength": str, "maxLength": str, "minItems": list, "maxItems": list}


def violations(value: Json, schema: Json, root: Json = None, path: str = "", depth: int = 0) -> list[str]:
    """Why a value does not satisfy a schema; empty when it does.

    Args:
        value: Parsed JSON.
        schema: A JSON Schema; True allows everything, False nothing.
        root: The whole schema, which local references (`#/$defs/...`) point into.
        path: Of the value, for the messages.
        depth: Of the recursion.

    Raises:
        UserError: A schema that is no object, a type that does not exist, a reference that leads nowhere or in circles.
    """
    root = schema if root is None else root
    where = f"{path}: " if path else ""
    if isinstance(schema, bool):
        return [] if schema else [f"{where}nothing is allowed here"]
    if not isinstance(schema, Mapping):
        raise UserError(f"The schema {schema!r} is no object: write JSON Schema, such as {{'type': 'string'}}.")
    if depth > 64:
        raise UserError("The schema refers to itself without end: check its $ref.")
    if "$ref" in schema:
        return violations(value, _resolve(schema["$ref"], root), root, path, depth + 1)
    wanted = schema.get("type")
    if wanted is not None and not any(_is(value, name) for name in ([wanted] if isinstance(wanted, str) else wanted)):
        return [f"{where}{_short(value)} is no {wanted if isinstance(wanted, str) else ' or '.join(wanted)}"]
    found = [f"{where}{problem}" for problem in _scalar(value, schema)]
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            results = [violations(value, option, root, path, depth + 1) for option in schema[key]]
            fitting = sum(not result for result in results)
            if not {"allOf": fitting == len(results), "anyOf": fitting > 0, "oneOf": fitting == 1}[key]:
                found.append(f"{where}{_short(value)} fits {fitting} of the {len(results)} options of {key}")
    if isinstance(value, dict):
        found += _object(value, schema, root, path, depth)
    if isinstance(value, list) and "items" in schema:
        for position, element in enumerate(value):
            found += violations(element, schema["items"], root, f"{path}[{position}]", depth + 1)
    return found


def _is(value: Json, name: str) -> bool:
    if name not in _TYPES:
        raise UserError(f"The schema has the type {name!r}: choose one of {', '.join(_TYPES)}.")
    if isinstance(value, bool):  # in Python, a bool is an int
        return name == "boolean"
    if not isinstance(value, _TYPES[name]):
        return False
    return name != "integer" or isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _scalar(value: Json, schema: Mapping[str, Any]) -> Iterator[str]:
    options = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if options is not None and not any(_same(value, option) for option in options):
        yield f"{_short(value)} is none of {', '.join(map(str, options))}"
    for key, (holds, what) in _BOUNDS.items():
        number = key in schema and isinstance(value, int | float) and not isinstance(value, bool)
        if number and not holds(value, schema[key]):
            yield f"{_short(value)} is {what} {schema[key]}"
    for key, kind in _SIZES.items():
        surplus = len(value) - schema[key] if key in schema and isinstance(value, kind) else 0
        if (surplus < 0 and key.startswith("min")) or (surplus > 0 and key.startswith("max")):
            yield f"its length {len(value)} violates {key} {schema[key]}"


def _same(left: Json, right: Json) -> bool:
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _object(value: dict[str, Json], schema: Mapping[str, Any], root: Json, path: str, depth: int) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path + ': ' if path else ''}{name} is missing"
    for name, inner in value.items():
        below = f"{path}.{name}" if path else name
        allowed = properties.get(name, schema.get("additionalProperties", True))
        yield from violations(inner, allowed, root, below, depth + 1)


def _resolve(reference: str, root: Json) -> Json:
    target = root
    if not reference.startswith("#"):
        raise UserError(f"The reference {reference!r} leaves the schema: only local ones (#/$defs/...) are read.")
    for part in filter(None, reference[1:].split("/")):
        part = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(target, Mapping) or part not in target:
            raise UserError(f"The reference {reference!r} leads nowhere: add what it names to the schema.")
        target = target[part]
    return target


def _short(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
