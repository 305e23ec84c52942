"""Answers graded by a judge: verdicts, averages, requests, questions and their translations."""

from __future__ import annotations

import json
import zipfile
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
