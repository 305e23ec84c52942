"""Answers graded by a judge: verdicts, averages, requests, questions and their translations."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.tasks import judging


@pytest.mark.parametrize(
    ("judgement", "rating"),
    [
        ("Good. Rating: [[8.5]]", 8.5),
        ('The rating is as follows: "[[9.8]]".', 9.8),
        ("First [[3]], on reflection Rating:[[ 7 ]]", 7.0),
        ("Rating: [9]", None),
        ("8", None),
        ("Rating: [[high]]", None),
    ],
)
def test_the_last_bracketed_verdict_counts(judgement: str, rating: float | None) -> None:
    assert judging.parse_rating(judgement) == rating


def test_the_overall_average_is_over_items_not_over_categories() -> None:
    means = judging.aggregate([("math", "10"), ("math", 4), ("math", 4.0), ("code", 1)])
    assert means == {"code": 1.0, "math": 6.0, "overall": 19 / 4}
    with pytest.raises(ValueError, match="no rating"):
        judging.aggregate([])


def test_ratings_of_answers(tmp_path: Path) -> None:
    replies = tmp_path / "replies.jsonl"
    rows = [{"id": 1, "judgement": "Rating: [[8]]"}, {"id": 2, "judgement": "none"}, {"id": 3, "judgement": "[[9]]"}]
    replies.write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = [{"id": "1", "category": "math", "answer": "x"}, {"id": "3", "category": "math", "answer": ""}]
    assert judging.ratings(items, replies) == [("math", 8.0), ("math", 1.0)], "no answer gets the lowest grade"
    with pytest.raises(UserError, match="no verdict"):
        judging.ratings([{"id": "2", "category": "math", "answer": "x"}], replies)


def test_a_request_names_item_and_judge_and_holds_no_verdict() -> None:
    request = judging.judge_request("q", "a", "7", "gpt-4")
    assert (request["custom_id"], request["body"]["model"]) == ("7", "gpt-4")
    assert judging.parse_rating(request["body"]["messages"][0]["content"]) is None


def sheet(path: Path, rows: list[tuple[str, str]]) -> Path:
    cells = "".join(
        f'<row><c t="{"n" if number else "inlineStr"}">'
        + (f"<v>{key}</v>" if number else f"<is><t>{key}</t></is>")
        + f'</c><c t="inlineStr"><is><t> {text}</t></is></c></row>'
        for number, (key, text) in enumerate(rows)
    )
    namespace = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "xl/worksheets/sheet1.xml", f'<worksheet xmlns="{namespace}"><sheetData>{cells}</sheetData></worksheet>'
        )
    return path


def test_questions_join_their_translations(tmp_path: Path) -> None:
    english = tmp_path / "vicuna.jsonl"
    rows: list[dict[str, Any]] = [{"question_id": n, "category": "math", "turns": [f"Question {n}?"]} for n in (1, 2)]
    english.write_text("".join(json.dumps(row) + "\n" for row in rows))
    book = sheet(tmp_path / "Nepali.xlsx", [("प्रश्न", "पाठ"), ("1", "प्रश्न एक?"), ("2", "प्रश्न दुई?")])
    found = judging.questions(english, book)
    assert found[1] == {"id": "2", "category": "math", "english": "Question 2?", "instruction": "प्रश्न दुई?"}
    translated = tmp_path / "ne.jsonl"
    translated.write_text(json.dumps({"question_id": 1, "text": "प्रश्न एक?"}) + "\n")
    with pytest.raises(UserError, match="no translation of question 2"):
        judging.questions(english, translated)
    with pytest.raises(UserError, match="not a spreadsheet"):
        judging.read_sheet(english)


def test_a_report_asks_the_judge_about_answers_alone(tmp_path: Path) -> None:
    nepali = "यो नेपाली भाषाको लामो उत्तर हो"
    asked = [{"id": "1", "category": "a", "instruction": "q"}, {"id": "2", "category": "b", "instruction": "q"}]
    written: Any = asked, ["whole", "cut"], [nepali, ""]
    options = judging.Benchmark("model", "english.jsonl", "nepali.jsonl", out=tmp_path)
    assert judging.report(options, *written, "Nepali") == {"answered": 0.5, "in_language": 1.0}
    kept, requests = (
        [json.loads(line) for line in (tmp_path / f"{name}-Nepali.jsonl").read_text().splitlines()]
        for name in ("answers", "judge_requests")
    )
    assert kept == [
        {**asked[0], "question": "q", "output": "whole", "answer": nepali},
        {**asked[1], "question": "q", "output": "cut", "answer": ""},
    ]
    assert [(request["custom_id"], request["body"]["model"]) for request in requests] == [("1", "gpt-4")]
    (tmp_path / "replies.jsonl").write_text('{"id": 1, "judgement": "[[8]]"}\n')
    graded = replace(options, judgements=str(tmp_path / "replies.jsonl"))
    found = judging.report(graded, *written, "Nepali")
    assert found == {"answered": 0.5, "in_language": 1.0, "rating_a": 8.0, "rating_b": 1.0, "rating_overall": 4.5}
    with pytest.warns(UserWarning, match="left out"):
        assert "in_language" not in judging.report(options, *written, "Maltese")


def test_a_request_is_appended_to_every_question(tmp_path: Path) -> None:
    english, translated = tmp_path / "en.jsonl", tmp_path / "ne.jsonl"
    english.write_text(json.dumps({"question_id": 1, "category": "math", "turns": ["One?"]}) + "\n")
    translated.write_text(json.dumps({"question_id": 1, "text": "एक?"}) + "\n")
    options = judging.Benchmark("model", str(english), str(translated))
    assert [row["instruction"] for row in options.asked()] == ["एक?"]
    assert [row["instruction"] for row in replace(options, question_suffix="छोटो").asked()] == ["एक? छोटो"]


# --- A released benchmark: TaCo (Upadhayay and Behzadan 2023), Vicuna's 80 questions in four languages ----------------

# The ratings (facts, not text), the items in their order.
CATEGORIES = (
    "coding", "common-sense", "counterfactual", "fermi", "generic", "knowledge", "math", "roleplay", "writing"
)  # fmt: skip
RATINGS = {
    "Nepali": (
        "1 4 7 2 1 1 6 / 9 10 9 8 10 9 9 8 5 8.5 / 9 9 9 9 10 8 9 9 9 8 / 9 1 8 10 9 8 9 8 7 8 / 9 8 9 9 9 9 10 9 "
        "9 9 / 9 10 9 10 10 10 10 10 8.5 9 / 10 9 10 / 9 9 8 9 10 10 7 7 8.5 6 / 9 10 10 9 7 10 8 8 9 8"
    ),
    "Sanskrit": (
        "10 10 8 3 9 5 3 / 7 8 10 9 9 8 8 10 7 7 / 9 9 1 8 9 10 10 10 8 9 / 8 2 8 8 9 9 8 9 9 7 / 8 8.3 10 9 9 10 "
        "10 8 9 10 / 10 9 9 10 10 9 9.2 9 10 9 / 3 1 6 / 7 9 9 8.5 8.5 10 9 9 10 9 / 8.5 10 10 9 9 10 9 8 8 8"
    ),
    "Persian": (
        "6 9 8.8 9 9 4 9.5 / 7 9 10 8.5 9 9 6 10 9 8.5 / 9 8 9 7 9 8.5 8.5 8.6 8 9 / 1 8 9 9 10 10 8 9 10 8 / 9 9 "
        "9 7 9 9 9 9 10 10 / 10 10 9 9 8 9 9 8.5 10 10 / 10 1 8 / 8 8 8 9 9 9 8 9 9 9 / 8 10 9 10 10 9 8 7 7.5 8"
    ),
    "Maithili": (
        "8 7 9 5 10 7 9 / 7 3 10 8 9 10 9 8 9 5 / 8 8 8 8 9 6 10 10 8 8 / 9 3 3 9 9 9 7 9 8 9 / 8 9 10 9 9 10 10 9 "
        "10 9 / 9 9 9 9 9 6 10 9 9 9 / 10 1 10 / 2 2 10 9 10 9 9 10 8 9 / 9 9 9 9 9 10 10 10 10 8"
    ),
}
# The README table of the official repository: one column per language, the overall average last.
TABLE = {
    "Nepali": (3.14, 8.55, 8.90, 7.70, 9.00, 9.55, 9.67, 8.35, 8.80, 8.24),
    "Sanskrit": (6.86, 8.30, 8.30, 7.70, 9.13, 9.42, 3.33, 8.90, 8.95, 8.31),
    "Persian": (7.90, 8.60, 8.46, 8.20, 9.00, 9.25, 6.33, 8.60, 8.65, 8.52),
    "Maithili": (7.86, 7.80, 8.30, 7.50, 9.30, 8.80, 7.00, 7.80, 9.30, 8.30),
}


@pytest.mark.parametrize("language", TABLE)
def test_the_released_ratings_give_the_released_table(language: str) -> None:
    ratings = [
        (category, rating)
        for category, values in zip(CATEGORIES, RATINGS[language].split("/"), strict=True)
        for rating in values.split()
    ]
    assert len(ratings) == 80
    means = judging.aggregate(ratings)
    for name, reported in zip([*CATEGORIES, "overall"], TABLE[language], strict=True):
        assert means[name] == pytest.approx(reported, abs=0.005 + 1e-9), name


def test_a_judge_is_a_file_of_replies(tmp_path: Path) -> None:
    prompts = {"1": "Same?", "2": "Other?"}
    requests = tmp_path / "requests.jsonl"
    judging.write_requests(requests, prompts, "judge", "Be brief.")
    bodies = [json.loads(line) for line in requests.read_text().splitlines()]
    assert [body["custom_id"] for body in bodies] == ["1", "2"]
    assert [turn["role"] for turn in bodies[0]["body"]["messages"]] == ["system", "user"]
    replies = tmp_path / "replies.csv"
    replies.write_text('id,judgement\n2,No\n1,"Yes, it is"\n')
    assert judging.judge_of(str(replies))(prompts) == {"1": "Yes, it is", "2": "No"}
    with pytest.raises(UserError, match="no reply to '3'"):
        judging.judge_of(str(replies))({"3": "?"})
    replies.write_text("id,verdict\n2,No\n")
    with pytest.raises(UserError, match="row 1 has parts of another kind"):
        judging.judge_of(str(replies))


def test_a_judge_is_a_chat_model() -> None:
    judge = judging.judge_of("wheel:smollm2", "Answer with one word.", max_new_tokens=3)
    first = judge({"a": "Is water wet?", "b": "Is fire cold?"})
    assert list(first) == ["a", "b"]
    assert all(first.values())
    assert judge({"b": "Is fire cold?"})["b"] == first["b"], "greedy, whatever else is asked"


def test_the_faults_of_the_stand_in_are_known() -> None:
    truth = {str(key): "same" if key % 2 else "other" for key in range(2000)}
    for error in (0.0, 0.2, 1.0):
        found = judging.erring_judge(truth, ("same", "other", "none"), error)(truth)
        assert sum(found[key] != truth[key] for key in truth) / len(truth) == pytest.approx(error, abs=0.03)
    some = judging.erring_judge(truth, ("same", "other"), 0.2)({"7": "?"})
    assert some["7"] == judging.erring_judge(truth, ("same", "other"), 0.2)(truth)["7"], "fixed by the key"
