"""The world of numbers in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.worlds.base import split, trivial
from core.worlds.numbers import ARITHMETIC_SOLVERS, QUESTIONS, arithmetic, operation, spelled, split_words, statement

FACTS = arithmetic(tuple(QUESTIONS), 19)
BY_ID = {item.id: item for item in FACTS}


def test_facts_are_right_and_spelled_out() -> None:
    english = [item for item in FACTS if item.language == "en"]
    assert len(english) == 20 * 20 + 20 * 21 // 2
    item = BY_ID["en/4-7/plus-7-4"]
    assert (item.prompt, item.answer) == ("what is seven plus four ?", "eleven")
    assert BY_ID["en/4-7/minus-11-4"].answer == "seven"
    assert BY_ID["en/19-19/plus-19-19"].answer == "thirty eight"
    assert BY_ID["ne/4-7/plus-7-4"].answer == "एघार"
    assert statement(item) == "seven plus four is eleven ."
    assert not any(character.isdigit() for item in FACTS for character in item.prompt + item.answer)


@given(st.sampled_from(FACTS))
def test_a_family_holds_all_that_says_the_same_of_three_numbers(item) -> None:
    sign, a, b, c = operation(item)
    turned = f"{item.language}/{item.cls.partition('/')[2]}"
    other = {"plus": f"plus-{b}-{a}", "minus": f"minus-{a}-{c}"}[sign]
    assert BY_ID[f"{turned}/{other}"].cls == item.cls
    if sign == "plus" and c <= 19:
        assert BY_ID[f"{turned}/minus-{c}-{a}"].cls == item.cls


@pytest.mark.parametrize("seed", [0, 1])
def test_turning_known_facts_round_solves_nothing_that_is_held_out(seed: int) -> None:
    nepali = [item for item in FACTS if item.language == "ne"]
    parts = split(nepali, seed, {"train": 0.6, "test": 0.4})
    found = trivial(parts["train"], parts["test"], ARITHMETIC_SOLVERS)
    assert found["lookup"] == found["symmetric"] == found["family"] == 0
    assert max(found.values()) < 0.1
    by_row = nepali[::2], nepali[1::2]
    assert trivial(*by_row, ARITHMETIC_SOLVERS)["family"] > 0.5, "a split by row would leak, and the solver shows it"


def test_words_are_separated_by_spaces() -> None:
    assert spelled(("en", "de"), range(30))["de"][21] == "ein und zwanzig"
    assert split_words("thirty-eight", "en") == "thirty eight"
    assert split_words("三十", "zh") == "三 十"
    with pytest.raises(UserError, match="'xx'"):
        arithmetic(("xx",), 5)


@pytest.mark.parametrize(
    ("key", "prompt", "answer"),
    [
        ("cy/4-7/plus-7-4", "faint yw saith adio pedwar ?", "un deg un"),
        ("et/8-9/minus-17-9", "kui palju on seitseteist miinus üheksa ?", "kaheksa"),
        ("fa/4-7/minus-11-7", "یازده منهای هفت چند می‌شود ؟", "چهار"),
        ("fil/4-7/plus-7-4", "ano ang pitó dagdagan ng ápat ?", "labíng isá"),
        ("ga/4-7/plus-4-7", "cé mhéad é a ceathair móide a seacht ?", "a haon déag"),
        ("hi/19-19/plus-19-19", "उन्नीस जोड़ उन्नीस कितना होता है ?", "अड़तीस"),
        ("hy/4-7/plus-7-4", "որքա՞ն է յոթ գումարած չորս ։", "տասնմեկ"),
        ("is/10-11/plus-10-11", "hvað er tíu plús ellefu ?", "tuttugu og einn"),
        ("ka/9-12/plus-12-9", "რამდენია თორმეტი პლუს ცხრა ?", "ოცდაერთი"),
        ("kk/4-7/minus-11-4", "он бір алу төрт нешеге тең ?", "жеті"),
        ("mk/10-11/plus-11-10", "колку е единаесет плус десет ?", "дваесет и еден"),
        ("su/4-7/minus-11-4", "sabaraha sabelas dikurangan opat ?", "tujuh"),
        ("sw/10-11/plus-10-11", "kumi jumlisha kumi na moja ni ngapi ?", "ishirini na moja"),
        ("ta/4-7/plus-7-4", "ஏழு கூட்டல் நான்கு எவ்வளவு ?", "பதினொன்று"),
        ("tr/10-11/plus-11-10", "on bir artı on kaç eder ?", "yirmi bir"),
        ("vi/5-10/plus-10-5", "mười cộng năm bằng bao nhiêu ?", "mười lăm"),
    ],
)
def test_questions_in_other_languages(key: str, prompt: str, answer: str) -> None:
    assert (BY_ID[key].prompt, BY_ID[key].answer) == (prompt, answer)


def test_every_language_tells_its_numbers_apart_in_words_of_its_own() -> None:
    tables = spelled(tuple(QUESTIONS), range(39))
    assert {code: len(set(words.values())) for code, words in tables.items()} == dict.fromkeys(QUESTIONS, 39)
    words: dict[str, set[str]] = {}
    for item in FACTS:
        words.setdefault(item.language, set()).update(f"{item.prompt} {item.answer}".split())
    assert all(words[code] & words["en"] <= {"?"} for code in QUESTIONS if code != "en")
