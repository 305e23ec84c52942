"""Word problems: numbers at the end of answers, rows of the benchmarks, the table by language."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.metrics.answers import last_number, same_number
from core.metrics.gaps import language_gap
from core.tasks.mathematics import Question, chain_of_thought, gsm8k_translations, questions, table


def write_lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is 1,250.50", 1250.5),
        ("First 3, then 5. The answer is: 5 apples, not 3", 3),  # the last number, whatever is said of it
        ("答案是 42。", 42),
        ("no digit", None),
        ("उत्तर १२ है", 12),
        ("1,2,3", 3),
        ("12,345,678 euros", 12_345_678),
        ("it falls to -7.", -7),
        ("10-5", 5),
        ("= −3", -3),
        ("18.", 18),
    ],
)
def test_the_last_number_is_the_answer(text: str, number: float | None) -> None:
    assert last_number(text) == number


@given(st.integers(-(10**9), 10**9))
def test_numbers_are_read_as_they_are_written(value: int) -> None:
    for text in (f"{value}", f"so it is {value:,}.", f"$ {value}.0 !"):
        assert same_number(text, value) == same_number(text, f"{value:,}") == 1
    assert same_number(f"{value}", value + 1) == same_number("none", value) == 0


def test_an_answer_has_a_number() -> None:
    with pytest.raises(ValueError, match="'none' has no number"):
        same_number("5", "none")
    assert same_number("it is 0.33333", 1 / 3) == 1


def test_gaps_by_hand() -> None:
    found = language_gap({"en": 0.6, "de": 0.5, "sw": 0.2, "th": 0.3}, ["sw", "th", "te"])
    assert found == pytest.approx((0.4, 0.25, 0.35, 0.4 / 0.6))
    assert language_gap({"en": 0.0, "sw": 0.0}, ["sw"]).mean_to_best == 0
    for scores in ({"en": 1.0}, {"sw": 1.0}):
        with pytest.raises(UserError, match="There is no score in"):
            language_gap(scores, ["sw"])


def test_chains_of_gsm8k_end_with_a_sentence() -> None:
    assert chain_of_thought("3 + 2 = <<3+2=5>>5\n#### 5") == "3 + 2 = 5\nThe answer is 5."
    assert chain_of_thought("It is 5.") == "It is 5."
    with pytest.raises(UserError, match="has no number"):
        chain_of_thought("none")


def test_questions_have_the_columns_of_the_benchmarks(tmp_path: Path) -> None:
    msvamp = {"query": "how many ?", "equation": "- number0 number1", "response": "8.0", "m_query": " Watoto 18?"}
    write_lines(tmp_path / "test_Swahili.jsonl", [msvamp])
    found = questions(f"{tmp_path}/test_{{language}}.jsonl", ["sw"])
    assert found == {"sw": [Question("1", "Watoto 18?", "8")]}
    own = [{"lang": "swh", "question": "a", "answer_number": 18}, {"lang": "en", "question": "b", "answer": "so 1,250"}]
    both = questions(write_lines(tmp_path / "own.jsonl", own), ["en", "sw"])
    assert [both[code][0].answer for code in ("en", "sw")] == ["1250", "18"]
    with pytest.raises(UserError, match="no question in 'th'"):
        questions(str(tmp_path / "own.jsonl"), ["en", "th"])
    with pytest.raises(UserError, match="row 1: it has neither"):
        questions(write_lines(tmp_path / "bad.jsonl", [{"lang": "en"}]), ["en"])


def octopus(language: str, question: str, answer: str) -> dict[str, str]:
    prompt = (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request in "
        f"{language}. Please answer in {language}.\n\n### Instruction:\n{question}\n\n### Response:"
    )
    return {"prompt": prompt, "chosen": answer}


def test_translations_follow_their_english_row(tmp_path: Path) -> None:
    rows = []
    for number in (4, 9):
        rows += [octopus("English", f"{number} cats?", f"It is {number}. #### {number}")]
        rows += [octopus("Swahili", f"paka {number}?", f"Ni {number}."), octopus("Telugu", "x", "1")]
    found = gsm8k_translations(["sw"], write_lines(tmp_path / "rows.jsonl", rows[:-2]))
    assert [set(row) for row in found] == [{"en", "sw"}, {"en"}]
    assert found[0]["sw"] == Question("2", "paka 4?", "Ni 4.")
    assert found[1]["en"].answer == "It is 9.\nThe answer is 9."
    with pytest.raises(UserError, match="row 1: its prompt is not"):
        gsm8k_translations(["sw"], write_lines(tmp_path / "bad.jsonl", [{"prompt": "x", "chosen": "y"}]))
    with pytest.raises(UserError, match="has no English row"):
        gsm8k_translations(["sw"], write_lines(tmp_path / "sw.jsonl", rows[1:3]))


def test_the_table_counts_what_was_not_answered() -> None:
    answers = {("en", "1"): "1", ("sw", "1"): "5", ("sw", "2"): "3", ("th", "1"): "1"}
    outputs = {("en", "1"): "1 + 0 = 1", ("sw", "1"): "5"}
    assert table(outputs, answers, ["sw"]) == pytest.approx(
        {"en": 1.0, "sw": 0.5, "mean": 0.75, "low": 0.5, "gap": 0.5, "mean_to_best": 0.75}
    )
    with pytest.raises(UserError, match="no answer '9' in 'en'"):
        table({("en", "9"): "1"}, answers, ["sw"])
