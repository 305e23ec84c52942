"""Miniature worlds: nothing leaks through a split by class, and what leaks through another is shown."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.text.distance import edit_distance, look_alike
from core.worlds import messages, names
from core.worlds.base import Item, dealt, solved, split, trivial


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


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 40))
def test_seeds_that_are_dealt_together_share_nothing_and_use_the_whole_pool(
    size: int, disjoint: int, draw: int
) -> None:
    pool = [f"language-{number}" for number in range(size * disjoint)]
    hands = [dealt(pool, size, disjoint * draw + part, disjoint) for part in range(disjoint)]
    assert sorted(name for hand in hands for name in hand) == sorted(pool)
    assert all(len(hand) == size for hand in hands)


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


# --- names ----------------------------------------------------------------------------------------------------------


def test_names_translate_into_any_language_and_split_without_a_leak() -> None:
    items = names.translations(["de", "sw"], "fr", lookalikes=False)
    by_id = {item.id: item for item in items}
    assert (by_id["de/territory/DE"].prompt, by_id["de/territory/DE"].answer) == ("Deutschland", "Allemagne")
    assert {item.language for item in items} == {"de", "sw"}
    assert len(items) > 400
    assert not any(look_alike(item.prompt, item.answer) for item in items)
    parts = split(items, 0)
    found = trivial(parts["train"], parts["test"])
    assert found["lookup"] == found["symmetric"] == 0
    assert max(found.values()) < 0.05
    assert {item.id: item for item in names.translations(["de"])}["de/territory/DE"].answer == "Germany"


def test_concepts_that_share_a_name_are_one_class_and_no_prompt_has_two_answers() -> None:
    items = names.translations(["de", "sw", "zh-Hans"], kinds=["territory", "language", "currency", "script"])
    classes: dict[tuple[str, str], set[str]] = {}
    for item in items:
        classes.setdefault((item.language, item.prompt), set()).add(item.cls)
        classes.setdefault(("en", item.answer), set()).add(item.cls)
    assert {len(found) for found in classes.values()} == {1}
    prompts = [(item.language, item.prompt) for item in items]
    assert len(set(prompts)) == len(prompts)


def test_kinds_are_told_by_the_name_alone() -> None:
    items = names.kinds(["en", "ru"])
    assert {item.answer for item in items} == set(names.KINDS)
    assert {item.id: item.answer for item in items}["ru/currency/JPY"] == "currency"
    parts = split(items, 0)
    assert trivial(parts["train"], parts["test"])["majority"] < 0.6


def test_facts_are_asked_in_frames_and_stand_in_one_class_with_their_territory() -> None:
    frames = {("de", "currency"): ("Die Währung von {name} heißt", "{name} zahlt mit")}
    items = {item.id: item for item in names.facts(["de"], ["currency"], frames)}
    assert items["de/currency/JP/1"] == Item(
        "de/currency/JP/1", "territory/JP", "Japan zahlt mit", "Japanischer Yen", "de"
    )
    english = {item.id: item for item in names.facts(["en"])}
    assert english["en/language/JP/0"].answer == "Japanese"
    assert "en/language/BE/0" not in english  # three official languages
    assert {item.cls for item in english.values()} >= {"territory/JP", "territory/FR"}
    with pytest.raises(UserError, match="no wording"):
        names.facts(["de"])
    with pytest.raises(UserError, match="No name is left"):
        names.translations(["de"], prompt_words=0)


def test_names_that_nobody_bears_are_drawn_in_the_letters_of_a_language() -> None:
    drawn = {code: [names.made_up(random.Random(seed), code) for seed in range(200)] for code in ("bg", "en")}
    assert not re.search("[a-z]", " ".join(drawn["bg"]).lower())
    assert not re.search("[а-я]", " ".join(drawn["en"]).lower())
    assert len({*drawn["en"]}) > 195
    assert {len(name.split()) for name in drawn["en"]} == {1, 2}
    assert not {*drawn["bg"]} & {*names.short_names("bg", "city").values()}
    with pytest.raises(UserError, match="No sounds are known of 'fi'"):
        names.made_up(random.Random(0), "fi")


def test_short_names_are_those_of_one_key_in_every_language() -> None:
    bg, en = (names.short_names(code, "city") for code in ("bg", "en"))
    assert (bg["Europe/Sofia"], en["Europe/Sofia"], bg["Europe/Paris"]) == ("София", "Sofia", "Париж")
    assert len(bg.keys() & en.keys()) > 300
    for kind in names.SHORT_KINDS:
        found = list(names.short_names("bg", kind).values())
        assert len(set(found)) == len(found) > 50
        assert all(len(name) <= 16 and not any(letter.isdigit() for letter in name) for name in found)
    assert names.short_names("en", "currency")["JPY"] == "japanese yen"
    with pytest.raises(UserError, match="moon"):
        names.short_names("en", "moon")


def test_lookalikes() -> None:
    assert look_alike("Германия", "Germany")
    assert look_alike("Montag", "Monday")
    assert not look_alike("lundi", "Monday")
    assert edit_distance("kitten", "sitting") == edit_distance("sitting", "kitten") == 3
    assert edit_distance("", "abc") == 3


def test_held_out_messages_are_aligned_and_their_classes_are_in_no_training_text() -> None:
    codes = ["en", "et", "ru"]  # Estonian translates messages alike that other languages tell apart
    found = messages.texts(codes, 30, seed=1)
    rows = {item.id: item for item in messages.translations(codes, min_chars=1, max_chars=160)}
    cls = {(item.language, item.answer): item.cls for item in rows.values()}
    held = [{cls["en", line] for line in found[part]["en"]} for part in ("dev", "test")]
    assert all(len(classes) == 30 for classes in held)
    assert not held[0] & held[1]
    for code in codes:
        assert [len(found[part][code]) for part in ("dev", "test")] == [30, 30]
        assert [cls[code, line] for line in found["test"][code]] == [cls["en", line] for line in found["test"]["en"]]
        assert not {cls[code, line] for line in found["train"][code]} & (held[0] | held[1])
        alike = [{messages.skeleton(line) for line in found[part][code]} for part in ("train", "dev", "test")]
        assert not alike[0] & (alike[1] | alike[2])
    assert found == messages.texts(codes, 30, seed=1)
    assert found["test"] != messages.texts(codes, 30, seed=2)["test"]
    known = {messages.skeleton(line) for line in found["test"]["en"]}
    assert {messages.skeleton(line) for line in messages.texts(codes, 25, 3, dev=known)["dev"]["en"]} <= known
    with pytest.raises(UserError, match="ask less"):
        messages.texts(codes, 1000, 0)


def test_concepts_have_a_name_of_their_own_in_every_language() -> None:
    found = names.concepts(["en", "ru", "si"], of=["territory", "language"])
    by_key = {concept.key: concept for concept in found}
    assert by_key["territory/JP"].names == {"en": "Japan", "ru": "Япония", "si": "ජපානය"}
    assert len(by_key) == len(found) > 300
    for code in ("en", "ru", "si"):
        assert len({concept.names[code] for concept in found}) == len(found)
    whole = {item.cls for item in names.kinds(["en", "ru", "si"], kinds=["territory", "language"])}
    assert {concept.cls for concept in found} <= whole
