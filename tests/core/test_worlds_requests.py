"""Requests from templates: two languages that say the same, parts that share nothing, files that do not fit."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from core.errors import UserError
from core.worlds import requests
from core.worlds.base import PARTS
from core.worlds.requests import Catalogue, fill

FUNCTIONS = [
    {
        "name": "shop", "x-topic": "errands",
        "parameters": {
            "properties": {"city": {"type": "string"}, "pieces": {"type": "integer"}, "size": {"enum": ["s", "l"]}},
            "required": ["city", "pieces"],
        },
    },
    {"name": "wake", "parameters": {"properties": {"on": {"type": "boolean"}}, "required": ["on"]}},
]  # fmt: skip
SIZES = {"en": ("small", "large"), "sv": ("liten", "stor")}
VERBS = {
    "en": ("Buy", "Get", "Order", "Fetch", "Find", "Send", "Bring", "Pick"),
    "sv": ("Köp", "Hämta", "Beställ", "Hitta", "Sök", "Skicka", "Ta", "Plocka"),
}


def entry(language: str) -> dict[str, Any]:
    small, large = SIZES[language]
    shop = {
        "requests": [f"{verb} {{pieces}}[, {{size}}][ in {{city}}]." for verb in VERBS[language]],
        "ask": {"city": ["Where?"], "pieces": ["How many?"]},
        "reply": "{pieces}, I see.",
    }
    wake = {"requests": [f"{verb}[ {{on}}]!" for verb in "ABC"], "ask": {"on": ["Well?"]}, "reply": "Yes."}
    values = {
        "city": "cldr:city without Etc/UTC", "pieces": "range:2:60", "size": {"s": small, "l": large},
        "on": {True: "now", False: ["never, not", False]},
    }  # fmt: skip
    tools = {"shop": shop, "wake": wake}
    return {"language": language, "no_function": ["No."], "tools": tools, "values": values}


def load(folder: Path, *entries: dict[str, Any], normal: Callable[[str], str] = str.casefold) -> Catalogue:
    (folder / "tools.json").write_text(json.dumps(FUNCTIONS), encoding="utf-8")
    paths = [folder / f"{number}.yaml" for number in range(len(entries))]
    for path, one in zip(paths, entries, strict=True):
        path.write_text(yaml.safe_dump(one, allow_unicode=True), encoding="utf-8")
    return requests.load(folder / "tools.json", paths, normal)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return load(tmp_path_factory.mktemp("world"), entry("en"), entry("sv"))


def test_languages_say_the_same_with_their_own_values(world: Catalogue) -> None:
    assert world.topics == {"shop": "errands", "wake": "wake"}
    assert "x-topic" not in world.functions["shop"]
    values = (("city", "Europe/Copenhagen"), ("pieces", 3), ("size", "s"))
    said = {code: world.request("shop", 0, values, code) for code in ("en", "sv")}
    assert said == {"en": "Buy 3, small in Copenhagen.", "sv": "Köp 3, liten in Köpenhamn."}
    calls = {code: world.arguments("shop", values, code, text) for code, text in said.items()}
    # A closed slot gives what its schema enumerates.
    assert calls["en"] == {"city": "Copenhagen", "pieces": 3, "size": "s"}
    assert calls["sv"] == {**calls["en"], "city": "Köpenhamn"}
    assert world.reply("shop", values, "sv") == "3, I see."
    never = (("on", False),)
    assert world.arguments("wake", never, "en", world.request("wake", 0, never, "en")) == {"on": False}
    assert world.arguments("shop", values, "en", said["en"].upper())["city"] == "Copenhagen"
    with pytest.raises(UserError, match="'Copenhagen' of city does not occur"):
        world.arguments("shop", values, "en", "Buy 3.")
    with pytest.raises(UserError, match="pieces is missing"):
        world.arguments("shop", values[:1], "en", "Copenhagen")


def test_parts_share_neither_wordings_nor_open_values(world: Catalogue) -> None:
    assert [world.templates("shop", part) for part in PARTS] == [[0, 1, 2, 3, 4], [5], [6, 7]]
    drawn: dict[str, set[tuple[str, Any]]] = {}
    for part in PARTS:
        found = (world.values_for("shop", 0, part, Random(number)) for number in range(200))
        drawn[part] = {pair for values in found for pair in values}
        assert {("size", "s"), ("size", "l")} <= drawn[part], "a closed slot has all its values in every part"
    for one, other in itertools.combinations(PARTS, 2):
        assert {slot for slot, _ in drawn[one] & drawn[other]} == {"size"}
    assert {slot for slot, _ in world.values_for("shop", 0, "train", Random(0), without="city", options=0)} == {
        "pieces"
    }
    assert world.droppable("shop", 0) == ["city"], "pieces stand outside of the brackets"


def test_filling_drops_parts_and_keeps_bulgarian_euphony() -> None:
    template = "Намери хотел[ в {city}][ за {nights} нощувки]."
    assert fill(template, {"city": "Варна", "nights": "3"}, "bg") == "Намери хотел във Варна за 3 нощувки."
    assert fill(template, {}, "bg") == "Намери хотел."
    assert fill("С {a}, в {b}", {"a": "Зоя", "b": "Фес"}, "bg") == "Със Зоя, във Фес"
    assert fill("in {b}", {"b": "Vienna"}, "en") == "in Vienna"


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("tools shop requests", ["{colour}"] * 3, "must name all of"), ("tools shop requests", ["x"] * 2, "three"),
        ("tools shop ask", {}, "no question that asks for 'city'"), ("tools nothing", {}, "not laid out"),
        ("tools shop requests", [5] * 3, "not laid out"), ("values city", "cldr:moon", "kind 'moon'"),
        ("values city", "moon", "not understood"), ("values city", ["a"], "at least five values"),
        ("values city", {"a": ["b"]}, "no pair"), ("tools shop reply", "{size}!", "put 'size' .* into .brackets"),
        ("tools shop requests", ["{city} {pieces} {size}"] * 3, "put 'size' .* into .brackets"),
        ("tools shop reply", "{pieces}[ in {citty}], I see.", "names 'citty', but shop has"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit(place: str, value: Any, message: str, tmp_path: Path) -> None:
    changed = copy.deepcopy(entry("en"))
    *path, last = place.split()
    inner = changed
    for name in path:
        inner = inner[name]
    inner[last] = value
    with pytest.raises(UserError, match=message):
        load(tmp_path, changed)


def test_a_value_must_occur_in_its_request_as_the_caller_compares_them(world: Catalogue, tmp_path: Path) -> None:
    values, said = (("city", "Europe/Copenhagen"), ("pieces", 3)), "Kop 3 i Kopenhamn."
    plain = load(tmp_path, entry("en"), entry("sv"), normal=lambda text: text.replace("ö", "o"))
    assert plain.arguments("shop", values, "sv", said) == {"city": "Köpenhamn", "pieces": 3}
    for other, text in ((world, said), (plain, said.lower())):
        with pytest.raises(UserError, match="'Köpenhamn' of city does not occur"):
            other.arguments("shop", values, "sv", text)


def test_languages_that_do_not_fit_each_other(tmp_path: Path) -> None:
    few = copy.deepcopy(entry("sv")["tools"])
    del few["shop"]["requests"][-1]
    changes: list[tuple[str, Any, str]] = [
        ("values", {**entry("sv")["values"], "city": list("abcde")}, "share 0 values of 'city'"),
        ("tools", {"shop": entry("sv")["tools"]["shop"]}, "sv lacks a request for 'wake'"),
        ("tools", few, "sv lacks a request for 'shop' that others have"),
    ]
    for name, value, message in changes:
        with pytest.raises(UserError, match=message):
            load(tmp_path, entry("en"), {**entry("sv"), name: value})
    unknown = {**entry("en"), "tools": {"nothing": entry("en")["tools"]["wake"]}}
    with pytest.raises(UserError, match="no such function"):
        load(tmp_path, unknown)
    fixed = copy.deepcopy(entry("en"))
    fixed["tools"]["wake"]["requests"] = ["Wake me {on}"] * 3
    with pytest.raises(UserError, match="cannot leave out"):
        load(tmp_path, fixed).droppable("wake", 0)
    other = entry("sv")
    other["tools"]["shop"]["requests"][0] = "Köp {pieces}[, {size}] in {city}."
    with pytest.raises(UserError, match="cannot leave out"):
        load(tmp_path, entry("en"), other).droppable("shop", 0)
    assert load(tmp_path, entry("en"), other).droppable("shop", 1) == ["city"]


def test_solvers_that_understand_nothing(world: Catalogue) -> None:
    offered = list(world.functions.values())
    wordings = requests.wordings(world, world.functions, "train", "en")
    assert wordings[0] == ({"Buy", "in"}, "shop")
    known = [({"Buy", "7", "in", "Rome"}, "shop"), ({"Stop", "it"}, "")]
    asked = "Buy 3 in New York"
    assert requests.nearest(asked, known) == "shop"
    # In the order of the required arguments, right or wrong.
    assert requests.neighbour(asked, known, wordings, offered) == ("shop", {"city": "3", "pieces": "New York"})
    assert requests.neighbour("Stop it", known, wordings, offered) is None
    assert requests.neighbour(asked, known, wordings, offered[1:]) is None
    assert requests.rule(asked, wordings, offered) == ("shop", {"city": "New York", "pieces": "3"})
    assert requests.rule("Buy in New York", wordings, offered) is None, "a required argument has no value"
    properties = {"city": {"type": ["string", "null"]}, "pieces": {"type": ["null", "integer"]}, "size": {}}
    either = [{"name": "shop", "parameters": {"properties": properties}}]
    assert requests.rule(asked, wordings, either) == ("shop", {"city": "New York", "pieces": "3"})
