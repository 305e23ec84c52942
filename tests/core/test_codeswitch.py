"""Texts that change language in the middle, and translations that keep what they must."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from core.errors import UserError
from core.tasks.translated import aligned_rows
from core.text.codeswitch import CodeSwitcher, Unit, code_switched, code_switched_texts, replace_units, switch_units


def test_texts_change_language_between_clauses_words_or_characters() -> None:
    english, french, chinese = "a red heart, above a blue square", "un cœur rouge, sur un carré bleu", "红心，蓝方"
    assert code_switched("a red heart", "un cœur rouge.") == "a red rouge."
    assert code_switched("红心", "a cat") == "红 cat"
    mixed = code_switched_texts({"fr": [french], "en": [english], "zh": [chinese]})
    assert mixed["EF"]["fr"] == ["a red heart, sur un carré bleu"]
    assert mixed["ES"] == {"fr": ["un cœur rouge, above a blue square"], "zh": ["红心， above a blue square"]}


MARIA = "Maria has three apples and two books"
UNITS = [Unit(1, 2, "ana"), Unit(2, 4, "matufaha matatu"), Unit(5, 7, "vitabu viwili")]


def test_units_are_replaced_where_they_stand() -> None:
    assert replace_units(MARIA, [UNITS[0], UNITS[2]]) == "Maria ana three apples and vitabu viwili"
    assert replace_units(MARIA, []) == MARIA
    assert replace_units("(three apples), two!", [Unit(0, 2, "matufaha"), Unit(2, 3, "mbili")]) == "(matufaha), mbili!"
    assert switch_units(MARIA, UNITS, 1.0, Random(0)) == (replace_units(MARIA, UNITS), tuple(UNITS))
    assert switch_units(MARIA, UNITS, 0.0, Random(0)) == (MARIA, ())
    drawn = [len(switch_units(MARIA, UNITS, 0.5, Random(seed)).replaced) for seed in range(400)]
    assert 1.35 < sum(drawn) / 400 < 1.65


def test_words_of_a_lexicon_are_found_longest_first() -> None:
    lexicon = {"three apples": "matufaha matatu", "apples": "matufaha", "Three": ["tatu", "matatu"], "2": "mbili"}
    switch = CodeSwitcher(lexicon, alpha=1.0, seed=3)
    assert switch.units(MARIA) == [Unit(2, 4, "matufaha matatu")]
    assert switch.units("Apples, three. apples 2 apples") == [
        Unit(0, 1, "matufaha"), Unit(1, 2, "tatu"), Unit(2, 3, "matufaha"), Unit(4, 5, "matufaha")
    ]  # fmt: skip
    text, replaced = switch("She has THREE apples.")
    assert text == "She has matufaha matatu."
    assert replaced == (Unit(2, 4, "matufaha matatu"),)
    assert {switch("three", draw).text for draw in range(20)} == {"tatu", "matatu"}
    half = CodeSwitcher(lexicon, alpha=0.5, seed=3)
    assert half("three apples and three") == half("three apples and three")
    assert len({half("three apples and three", draw).text for draw in range(20)}) > 2
    assert CodeSwitcher({}, 1.0)("— ... ?") == ("— ... ?", ())


def test_files_of_one_benchmark_agree_in_all_but_the_text(tmp_path: Path) -> None:
    rows = {"en": [{"tag": "a", "prompt": "x"}, {"tag": "b", "prompt": "y"}], "fr": [{"tag": "a", "prompt": "u"}]}
    rows["fr"].append({"tag": "b", "prompt": "v"})
    paths = {code: tmp_path / f"{code}.jsonl" for code in rows}

    def write() -> None:
        for code, found in rows.items():
            paths[code].write_text("\n".join(map(json.dumps, found)), encoding="utf-8")

    write()
    texts, common = aligned_rows(paths, "prompt", ["tag"])
    assert texts == {"en": ["x", "y"], "fr": ["u", "v"]}
    assert common == [{"tag": "a"}, {"tag": "b"}]
    for broken, words in (
        ({"tag": "c", "prompt": "v"}, "row 2: tag differs"),
        ({"tag": "b", "prompt": " "}, "without prompt"),
    ):
        rows["fr"][1] = broken
        write()
        with pytest.raises(UserError, match=words):
            aligned_rows(paths, "prompt", ["tag"])
    del rows["fr"][1]
    write()
    with pytest.raises(UserError, match="align"):
        aligned_rows(paths, "prompt", ["tag"])
