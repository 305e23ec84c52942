"""Configurations: resolution order, ranges, and refusals that name the field."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.experiment.config import Range, fingerprint, name_values, override, resolve, to_dict


@dataclass(frozen=True)
class Inner:
    steps: Annotated[int, Range(1)] = 10
    """Optimiser steps."""


@dataclass(frozen=True)
class Example:
    seed: int = 0
    rate: Annotated[float, Range(0, 1)] = 0.5
    """A rate."""
    mode: Literal["max", "mean"] = "mean"
    ratio: tuple[Annotated[int, Range(0)], ...] = (2, 1)
    limit: Annotated[int, Range(1)] | None = None
    inner: Inner = field(default_factory=Inner)


PRESETS = {"smoke": Example(inner=Inner(steps=1)), "tiny": Example(), "paper": Example(inner=Inner(steps=1000))}
VARIANTS: dict[str, dict[str, object]] = {"max": {"mode": "max", "inner.steps": 3}}


def parse(*arguments: str) -> Example:
    return resolve(PRESETS, VARIANTS, arguments, program="example", help="Example.")


def test_resolution_order_is_preset_then_variant_then_fields() -> None:
    assert parse() == Example()
    assert parse("paper").inner.steps == 1000
    assert parse("paper", "--variant", "max").inner.steps == 3
    assert parse("paper", "--variant=max", "--inner.steps", "7", "--seed", "2") == Example(
        seed=2, mode="max", inner=Inner(steps=7)
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tinny"], ["tinny", "tiny"]),
        (["tiny", "--variant", "maxx"], ["maxx", "max"]),
        (["tiny", "--variant"], ["--variant", "max"]),
        (["tiny", "--rate", "7"], ["rate", "7", "between 0 and 1"]),
        (["tiny", "--inner.steps", "0"], ["inner.steps", "at least 1"]),
        (["tiny", "--ratio", "1", "-3"], ["ratio", "-3"]),
        (["tiny", "--limit", "0"], ["limit", "at least 1"]),
    ],
)
def test_bad_values_are_refused_with_field_and_range(arguments: list[str], words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        parse(*arguments)
    assert all(word in str(error.value) for word in words)


def test_an_unknown_flag_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse("tiny", "--learning-rat", "1")
    assert stop.value.code == 2
    assert "learning-rat" in capsys.readouterr().err


def test_override_refuses_unknown_and_disallowed_values() -> None:
    with pytest.raises(UserError, match=r"inner\.step"):
        override(Example(), {"inner.step": 3})
    with pytest.raises(UserError, match="mode"):
        override(Example(), {"mode": "median"})


@given(st.floats(0, 1), st.integers(1, 10**6), st.sampled_from(["max", "mean"]))
def test_fingerprint_depends_on_values_alone(rate: float, steps: int, mode: Literal["max", "mean"]) -> None:
    config = Example(rate=rate, mode=mode, inner=Inner(steps))
    assert fingerprint(to_dict(config)) == fingerprint(dict(reversed(list(to_dict(config).items()))))
    assert fingerprint(to_dict(config)) != fingerprint(to_dict(override(config, {"inner.steps": steps + 1})))


def test_name_values_are_read_in_order_and_refused_with_an_example() -> None:
    assert name_values("--shares", ("en=0.25", "zh=1e-1"), "en=0.3", float) == [("en", 0.25), ("zh", 0.1)]
    assert name_values("--files", ("en=a=b.tsv", "en=c"), "en=f", str, repeats=True) == [("en", "a=b.tsv"), ("en", "c")]
    for bad in ("en", "=1", "en=", "en=x"):
        with pytest.raises(UserError, match=re.escape(f"--shares: {bad!r} is not of the form en=0.3.")):
            name_values("--shares", (bad,), "en=0.3", float)
    with pytest.raises(UserError, match="between 0 and 1"):
        name_values("--shares", ("en=1.5",), "en=0.3", float, allowed=Range(0, 1))
    with pytest.raises(UserError, match="'en' is given twice"):
        name_values("--shares", ("en=1", "en=1"), "en=0.3", float)
