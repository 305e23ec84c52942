"""Configurations: frozen dataclasses, three presets, and the command line that follows from them.

    config = resolve(PRESETS, VARIANTS, ["tiny", "--variant", "bilingual", "--seed", "3"], program=..., help=...)

A field's docstring is its help text; `Annotated[float, Range(0, 1)]` and `Literal[...]` say what it may be. Values are
checked wherever they come from (preset, variant, command line), and a bad one is refused with the field's name and
the allowed range. Parsing is `tyro`'s.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
import json
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from core.errors import UserError
from core.printing import styled

C = TypeVar("C")
V = TypeVar("V")


@dataclass(frozen=True)
class Range:
    """Closed interval of allowed values, for `Annotated[int, Range(1)]`.

    At an open end stands what a machine can hold: infinities and NaN are never allowed, nor integers beyond 64 bits.
    """

    low: float = -math.inf
    high: float = math.inf

    def __contains__(self, value: object) -> bool:
        if isinstance(value, int):
            return -(2**63) <= value < 2**63 and self.low <= value <= self.high
        return isinstance(value, float) and math.isfinite(value) and self.low <= value <= self.high

    def __str__(self) -> str:
        if self.low == -math.inf and self.high == math.inf:
            return "that is finite"
        if self.high == math.inf:
            return f"at least {_number(self.low)}"
        if self.low == -math.inf:
            return f"at most {_number(self.high)}"
        return f"between {_number(self.low)} and {_number(self.high)}"


def _number(value: float) -> str:
    return f"{int(value)}" if value == int(value) else f"{value:g}"


# What every random generator takes: NumPy's old one, scikit-learn's and transformers' stop at 2**32.
Seed = Annotated[int, Range(0, 2**31 - 1)]


def validate(config: Any, prefix: str = "") -> None:
    """Check every field of a configuration, nested ones included.

    What a configuration checks across fields (`__post_init__`) begins with it: zero heads are refused before anything
    is divided by them.

    Raises:
        UserError: Names the field, the value and what is allowed.
    """
    kind: Any = type(config)
    hints = _hints(kind)
    for field in dataclasses.fields(config):
        _check(f"{prefix}{field.name}", getattr(config, field.name), hints[field.name])


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _check(name: str, value: Any, hint: Any) -> None:
    """Check one value against one annotation: ranges, choices, options, elements of tuples, other configurations."""
    if dataclasses.is_dataclass(value):
        validate(value, f"{name}.")
        return
    origin = get_origin(hint)
    if origin is not Annotated and isinstance(value, int | float) and value not in Range():
        raise UserError(f"{name} = {value!r} is out of range: give a finite number, and whole ones of at most 64 bits.")
    if origin is Annotated:
        inner, *constraints = get_args(hint)
        for allowed in constraints:
            if isinstance(allowed, Range) and value is not None and value not in allowed:
                raise UserError(f"{name} = {value!r} is out of range: give a number {allowed}.")
        _check(name, value, inner)
    elif origin is Literal and value not in get_args(hint):
        raise UserError(f"{name} = {value!r} is not known: choose one of {', '.join(map(str, get_args(hint)))}.")
    elif origin in (typing.Union, types.UnionType) and value is not None:
        options = [option for option in get_args(hint) if option is not types.NoneType]
        if len(options) == 1:
            _check(name, value, options[0])
    elif origin is tuple and isinstance(value, tuple):
        inner = get_args(hint)
        elements = [inner[0]] * len(value) if len(inner) == 2 and inner[1] is Ellipsis else inner
        for element, element_hint in zip(value, elements, strict=False):
            _check(name, element, element_hint)


def override(config: C, changes: Mapping[str, Any]) -> C:
    """A copy with some fields changed; `"training.steps"` reaches into a nested configuration.

    Raises:
        UserError: If there is no such field, or the new value is not allowed.
    """
    config = _replace(config, {tuple(path.split(".")): value for path, value in changes.items()})
    validate(config)
    return config


def _replace(config: Any, changes: Mapping[tuple[str, ...], Any], prefix: str = "") -> Any:
    """All changes at once: a check across fields must not see a half-changed configuration."""
    names = [field.name for field in dataclasses.fields(config)]
    new: dict[str, Any] = {}
    nested: dict[str, dict[tuple[str, ...], Any]] = {}
    for (name, *rest), value in changes.items():
        if name not in names:
            raise UserError(f"There is no setting {prefix + name!r}: {_nearest(name, names)}")
        if rest:
            nested.setdefault(name, {})[tuple(rest)] = value
        else:
            new[name] = value
    for name, inner in nested.items():
        new[name] = _replace(new.get(name, getattr(config, name)), inner, f"{prefix}{name}.")
    return dataclasses.replace(config, **new)


def name_values(
    setting: str,
    entries: Sequence[str],
    example: str,
    value: Callable[[str], V],
    *,
    allowed: Range | None = None,
    repeats: bool = False,
) -> list[tuple[str, V]]:
    """Settings of the form `name=value`, in the order given.

    Args:
        setting: What the user calls them, for the message.
        entries: Such as `("en=0.3", "zh=0.7")`; the first `=` divides.
        example: What a right entry looks like, for the message.
        value: Converts what stands after the `=`, such as `float`.
        allowed: Where the values have to lie.
        repeats: Whether a name may come more than once.

    Raises:
        UserError: An entry without name, `=` or readable value, a value out of range, a repeated name.
    """
    found: list[tuple[str, V]] = []
    for entry in entries:
        name, _, text = entry.partition("=")
        try:
            if not (name and text):
                raise ValueError
            found.append((name, value(text)))
        except ValueError:
            raise UserError(f"{setting}: {entry!r} is not of the form {example}.") from None
        if allowed is not None and found[-1][1] not in allowed:
            raise UserError(f"{setting}: {entry!r} is out of range: give a number {allowed}.")
        if not repeats and name in dict(found[:-1]):
            raise UserError(f"{setting}: {name!r} is given twice, name it once.")
    return found


def resolve(
    presets: Mapping[str, C],
    variants: Mapping[str, Mapping[str, Any]],
    arguments: Sequence[str],
    *,
    program: str,
    help: str,
) -> C:
    """The configuration that a command line asks for: preset, then variant, then single fields.

    Args:
        presets: The presets by name; the first argument that is no flag chooses one, `tiny` otherwise.
        variants: Named sets of overrides, chosen with `--variant`.
        arguments: The command line without the program's name.
        program: How the program is called, for the usage line.
        help: Text above the list of options.

    Raises:
        UserError: For an unknown preset or variant and for values that are not allowed.
        SystemExit: For flags that do not parse (code 2, after a message) and for `--help` (code 0).
    """
    import tyro

    rest = list(arguments)
    preset = rest.pop(0) if rest and not rest[0].startswith("-") else "tiny"
    config = preset_named(presets, preset)
    for position, argument in enumerate(rest):
        if argument == "--variant" or argument.startswith("--variant="):
            _, equals, name = argument.partition("=")
            if not equals:
                if position + 1 == len(rest):
                    raise UserError(f"--variant needs a name: choose one of {', '.join(variants)}.")
                name = rest[position + 1]
            del rest[position : position + (1 if equals else 2)]
            config = with_variant(config, variants, name)
            break
    usage = f"{help}\n\npresets: {', '.join(presets)}\nvariants (--variant NAME): {', '.join(variants) or 'none'}"
    with styled(arguments):
        config = tyro.cli(type(config), default=config, args=rest, prog=f"{program} [preset]", description=usage)
    validate(config)
    return config


def preset_named(presets: Mapping[str, C], name: str) -> C:
    """One of the presets.

    Raises:
        UserError: If there is none of that name.
    """
    if name not in presets:
        raise UserError(f"There is no preset {name!r}: {_nearest(name, list(presets))}")
    return presets[name]


def with_variant(config: C, variants: Mapping[str, Mapping[str, Any]], name: str) -> C:
    """The configuration with a variant's overrides.

    Raises:
        UserError: If there is no such variant.
    """
    if name not in variants:
        raise UserError(f"There is no variant {name!r}: {_nearest(name, list(variants))}")
    return override(config, variants[name])


def to_dict(config: Any) -> dict[str, Any]:
    """The configuration as plain JSON values (paths become strings, tuples lists)."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=_plain))


def fingerprint(value: Any) -> str:
    """A short hash of any JSON-able value, equal for equal values."""
    text = json.dumps(value, sort_keys=True, default=_plain, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"{type(value).__name__} is not a configuration value")


def _nearest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(names)}."


def render(config: Any) -> str:
    """The resolved configuration as indented JSON, for `--dry-run` and the run directory."""
    return json.dumps(to_dict(config), indent=2, ensure_ascii=False)
