"""Miniature worlds: nothing leaks through a split by class, and what leaks through another is shown."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.worlds.base import Item, solved, split, trivial


def sums(largest: int, language: str = "en") -> list[Item]:
    return [
        Item(f"{language}/{a}-{b}", f"plus/{min(a, b)}-{max(a, b)}", f"{a} plus {b} ?", str(a + b), language)
        for a in range(largest)
        for b in range(largest)
    ]


@given(st.integers(3, 12), st.integers(0, 5), st.randoms(use_true_random=False))
def test_a_split_shares_no_class_and_does_not_depend_on_the_order(largest: int, seed: int, rng: random.Random) -> None:
    items = sums(largest) + sums(largest, "de")
    parts = split(items, seed, {"train": 0.5, "dev": 0.2, "test": 0.3})
    classes = [{item.cls for item in part} for part in parts.values()]
    assert sum(map(len, classes)) == len(set.union(*classes)) == largest * (largest + 1) // 2
    assert [len(group) for group in classes] == pytest.approx(
        [0.5 * len(set.union(*classes)), *map(len, classes[1:])], abs=1
    )
    shuffled = rng.sample(items, len(items))
    assert {
        name: set(part) for name, part in split(shuffled, seed, {"train": 0.5, "dev": 0.2, "test": 0.3}).items()
    } == {name: set(part) for name, part in parts.items()}


def test_a_smaller_training_part_is_contained_in_a_larger_one_and_seeds_differ() -> None:
    items = sums(10)
    small, large = (set(split(items, 1, {"train": share})["train"]) for share in (0.3, 0.6))
    assert small < large
    assert set(split(items, 2, {"train": 0.3})["train"]) != small


def test_lookups_find_the_leak_of_a_split_by_row_and_none_of_a_split_by_class() -> None:
    items = random.Random(0).sample(sums(12), 144)
    leaky = trivial(items[:100], items[100:])
    assert leaky["lookup"] == 0
    assert leaky["symmetric"] > 0.4
    parts = split(items, 0)
    clean = trivial(parts["train"], parts["test"])
    assert clean["lookup"] == clean["symmetric"] == 0
    assert trivial(items, items)["lookup"] == 1


def test_copy_majority_and_length_find_what_gives_the_answer_away() -> None:
    def world(answer: object) -> tuple[list[Item], list[Item]]:
        rows = [f"take {'x' * n} of {m}" for n in range(1, 7) for m in range(5)]
        items = [Item(str(i), str(i), row, answer(row), "en") for i, row in enumerate(rows)]  # type: ignore[operator]
        return items[::2], items[1::2]

    assert trivial(*world(lambda row: row.split()[-1]))["copy"] == 1
    assert trivial(*world(lambda row: row))["copy"] == 1
    assert trivial(*world(lambda row: str(len(row))))["length"] == 1
    assert trivial(*world(lambda row: "yes"))["majority"] == 1
    assert trivial(*world(lambda row: str(hash(row))))["copy"] == 0


def test_majority_and_length_are_by_language() -> None:
    train = [Item(f"{code}/{i}", f"{i}", f"q{i}", code, code) for code in ("de", "en") for i in range(3)]
    test = [Item(f"{code}/9", "9", "q9", code, code) for code in ("de", "en", "fr")]
    assert solved(train, test)["majority"] == solved(train, test)["length"] == {"de/9": 1, "en/9": 1, "fr/9": 0}


def test_unspaced_prompts_are_compared_by_character() -> None:
    train, test = [Item("a", "a", "七加四", "11", "zh")], [Item("b", "b", "四加七", "11", "zh")]
    assert trivial(train, test)["symmetric"] == 1


def test_what_is_refused() -> None:
    items = sums(4)
    with pytest.raises(UserError, match="at most 1"):
        split(items, 0, {"train": 0.9, "test": 0.2})
    with pytest.raises(UserError, match="dev would be empty"):
        split(sums(2), 0)
    with pytest.raises(ValueError, match="id 'en/0-0'"):
        split([*items, items[0]], 0)
    with pytest.raises(ValueError, match="one class"):
        split([*items, Item("copy", "other", items[0].prompt, items[0].answer, "en")], 0)
    with pytest.raises(ValueError, match="no item"):
        trivial(items, [])
