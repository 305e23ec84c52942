import re

import pytest

from core.text.normalize import fold
from core.worlds.concepts import LANGUAGES, apart, gloss, held_out, names


def test_names_are_complete_and_unique():
    table = names()
    assert len(table) > 1300
    assert table["🎸"]["de"] == "gitarre"
    for code in LANGUAGES:
        assert len({name[code] for name in table.values()}) == len(table)
    assert not [
        key for key in table if "\N{REGIONAL INDICATOR SYMBOL LETTER D}" in key or "\N{ZERO WIDTH JOINER}" in key
    ]
    assert gloss("🎱") == "billiards"
    assert all(map(gloss, table))


@pytest.mark.parametrize("part", ["test", "dev"])
def test_a_sample_is_drawn_by_the_seed(part):
    found = [held_out(part, 100, seed) for seed in (0, 1)]
    assert found[0] == held_out(part, 100, 0) != found[1]
    other = held_out("dev" if part == "test" else "test", 10_000, 0)
    assert not {*found[0], *found[1]} & {*other}
    assert all(name.isalpha() for name in (names()[key]["en"] for key in found[0]))


def test_what_contains_a_tested_name_is_not_apart():
    table, tested = names(), held_out("test", 150, 5)
    rest = apart(tested)
    assert len(rest) > 700
    assert not {*rest} & {*tested, *held_out("dev", 10_000, 0)}
    for code in ("en", "ko", "tr"):
        held = {fold(table[key][code]) for key in tested}
        assert held.isdisjoint(word for key in rest for word in re.findall(r"\w+", fold(table[key][code]))), code
    held = {fold(table[key]["en"]) for key in tested}
    assert held.isdisjoint(word for key in rest for word in re.findall(r"\w+", gloss(key)))
    held = {table[key]["ja"] for key in tested if len(table[key]["ja"]) > 1}
    assert not [key for key in rest if any(name in table[key]["ja"] for name in held)]
    # A face of a cat tells what a cat is called, in one language or another.
    (cat,) = (key for key, name in table.items() if name["en"] == "cat")
    assert not [key for key in apart([cat]) if "cat" in table[key]["en"].split()]
