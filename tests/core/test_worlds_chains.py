"""Chains of arithmetic in words: results, classes, aligned units."""

from __future__ import annotations

import pytest

from core.errors import UserError
from core.text.codeswitch import replace_units
from core.worlds.base import split, trivial
from core.worlds.chains import (
    CHAIN_SOLVERS,
    THEN,
    Problem,
    chain,
    facts,
    items,
    lexicon,
    problems,
    question,
    units,
    word_by_word,
)

ONE = Problem(7, "plus", 4, "minus", 3)


def test_a_problem_in_words() -> None:
    assert (ONE.middle, ONE.result, ONE.id) == (11, 8, "7-plus-4-minus-3")
    assert question(ONE, "en") == "seven plus four then minus three ?"
    assert chain(ONE, "en") == "seven plus four = eleven . eleven minus three = eight ."
    assert question(ONE, "sw") == "saba jumlisha nne kisha toa tatu ?"
    assert chain(ONE, "tr") == "yedi artı dört = on bir . on bir eksi üç = sekiz ."
    with pytest.raises(UserError, match="no problems in 'km'"):
        question(ONE, "km")


def test_results_stay_in_range_and_no_problem_is_missing() -> None:
    found = problems(12, 24)
    assert len(found) == len({one.id for one in found}) == 5304
    assert all(0 <= one.middle <= 24 and 0 <= one.result <= 24 for one in found)
    assert Problem(12, "plus", 12, "minus", 0) in found
    assert Problem(12, "plus", 12, "plus", 1) not in found


def test_facts_are_the_steps_of_problems() -> None:
    found = facts("en", 12, 24)
    assert ("zero plus seven ?", "zero plus seven = seven .", 7) in found
    told = {text for _, text, _ in found}
    for one in problems(12, 24)[::97]:
        first, second = chain(one, "en").split(" . ")
        assert {f"{first} .", second} <= told
    assert (
        len(found)
        == len(told)
        == sum(0 <= a + sign * b <= 24 for a in range(25) for b in range(13) for sign in (1, -1))
    )


def test_a_class_holds_what_follows_from_each_other() -> None:
    same = [
        ONE,
        Problem(4, "minus", 3, "plus", 7),
        Problem(8, "plus", 3, "minus", 7),
        Problem(4, "plus", 7, "minus", 8),
    ]
    assert {one.cls for one in same} == {"3.8=4.7"}
    assert Problem(2, "plus", 3, "plus", 4).cls == Problem(9, "minus", 2, "minus", 4).cls == "2.3.4=9"
    assert Problem(7, "plus", 4, "plus", 3).cls != ONE.cls


@pytest.mark.parametrize("code", sorted(set(THEN) - {"en"}))
def test_units_translate_a_question_word_by_word(code: str) -> None:
    for one in (ONE, Problem(12, "minus", 0, "plus", 11)):
        assert replace_units(question(one, "en"), units(code, one)) == question(one, code)
        assert word_by_word(question(one, code), {there: here for here, there in lexicon(code).items()}) == question(
            one, "en"
        )
    known = lexicon(code)
    assert len(known) == len(set(known.values())) == 13 + 3
    # Words of English would be understood without being taught.
    english = set(question(ONE, "en").split()) | set(lexicon("sw"))
    assert not {word for phrase in known.values() for word in phrase.split()} & english


def test_nothing_that_understands_nothing_solves_them() -> None:
    parts = split(items(problems(), "ne"), 0, {"train": 0.8, "test": 0.1})
    solved = trivial(parts["train"], parts["test"][:200], CHAIN_SOLVERS)
    assert solved["lookup"] == solved["symmetric"] == 0
    assert max(solved.values()) < 0.15
