"""What models wrote comes back from files as it was, and what is missing is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.tasks import transcripts

# Line feeds, quotes, commas, other scripts, nothing at all; no surrogates, which UTF-8 has not, nor what ends a line in
# some readers and is a character in others.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")) | st.sampled_from('\n",;'), max_size=12)
KEYS = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(replies=st.dictionaries(KEYS, st.lists(TEXT, min_size=1, max_size=3), min_size=1, max_size=4))
@pytest.mark.parametrize("name", ["t.jsonl", "t.csv"])
def test_transcripts_come_back(tmp_path_factory: pytest.TempPathFactory, name: str, replies: dict) -> None:  # type: ignore[type-arg]
    path = tmp_path_factory.mktemp("t") / name
    transcripts.write_transcripts(path, replies)
    assert transcripts.read_transcripts(path) == replies


@settings(max_examples=60, deadline=None)
@given(answers=st.dictionaries(KEYS, st.dictionaries(KEYS, TEXT, min_size=1, max_size=3), min_size=1, max_size=3))
@pytest.mark.parametrize("name", ["p.jsonl", "p.csv"])
def test_predictions_come_back(tmp_path_factory: pytest.TempPathFactory, name: str, answers: dict) -> None:  # type: ignore[type-arg]
    path = tmp_path_factory.mktemp("p") / name
    transcripts.write_predictions(path, answers)
    assert transcripts.read_predictions(path) == answers


def test_rows_may_stand_in_any_order_and_an_answer_may_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [{"key": 7, "turn": 2, "response": None}, {"key": 7, "turn": "1", "response": "a"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert transcripts.read_transcripts(path) == {"7": ["a", ""]}


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([{"key": "a", "turn": 1}], "row 1: column 'response' is missing"),
        ([{"key": "a", "turn": 0, "response": "x"}], "row 1: turn '0' is no number from 1 on"),
        ([{"key": "a", "turn": "²", "response": "x"}], "is no number"),
        ([{"key": "a", "turn": 1, "response": "x"}] * 2, "row 2: turn 1 of 'a' is there twice"),
        ([{"key": "a", "turn": 2, "response": "x"}], "'a' has turn 2 but not turn 1"),
    ],
)
def test_faulty_transcripts_are_refused(tmp_path: Path, rows: list[dict[str, object]], match: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match=match):
        transcripts.read_transcripts(path)


def test_predictions_name_an_id_once(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("language,id,prediction\r\nsw,1,a\r\nsw,1,b\r\n")
    with pytest.raises(UserError, match="row 2: id '1' of 'sw' is there twice"):
        transcripts.read_predictions(path)


def test_what_was_asked_is_answered() -> None:
    transcripts.complete(["a", "b"], {"b": 1, "a": 2}, "f")
    with pytest.raises(UserError, match="f has no answer to 'b' and 1 more"):
        transcripts.complete(["a"], ["a", "b", "c"], "f")
    with pytest.raises(UserError, match="f answers what was not asked: 'z'"):
        transcripts.complete(["a", "z"], ["a"], "f")
