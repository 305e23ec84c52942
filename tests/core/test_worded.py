"""Benchmarks asked in words: the published files, answers that are picked out of text, scores; pairs of answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.tasks import worded
from core.tasks.preferences import Pair, messages, pair
from core.tasks.worded import Question, picked, read, scores, summary


def write(path: Path, *rows: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")


def test_the_published_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "test_2k.tsv").write_text("id\tsentence1\tsentence2\tlabel\n1\tEr geht.\tEr steht.\t0\n")
    (found,) = read("paws_x", tmp_path, "{sentence1} = {sentence2} ?")
    assert found == Question("de", "1", "Er geht. = Er steht. ?", "no")
    row = {"premise": "p", "choice1": "c", "choice2": "d", "question": "cause", "label": 1, "idx": 0, "changed": False}
    write(tmp_path / "sw" / "test.sw.jsonl", row)
    (found,) = read("xcopa", tmp_path, "{premise} {question} {choice1} {choice2}")
    assert (found.group, found.instruction, found.reference) == ("sw", "p cause c d", "B")
    article = {"id": "x", "url": "u", "title": "t", "summary": "kurz", "text": "lang"}
    write(tmp_path / "xlsum" / "chinese_simplified_test.jsonl", article, article)
    (found,) = read("xl_sum", tmp_path / "xlsum", "Article: {text}", most=1)
    assert (found.group, found.wanted, found.metric, found.reference) == ("zh-Hans", "zh-Hans", "rouge_l", "kurz")
    task = {"id": "user_oriented_task_0", "instruction": "Taja", "instances": [{"input": "tunda", "output": "embe"}]}
    write(tmp_path / "own" / "sw.jsonl", task)
    (found,) = read("self_instruct", tmp_path / "own")
    assert (found.instruction, found.input, found.reference, found.wanted) == ("Taja", "tunda", "embe", "sw")


def test_files_that_are_not_there_and_rows_that_lack_a_column(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no \*/test_2k\.tsv"):
        read("paws_x", tmp_path)
    write(tmp_path / "sw" / "test.sw.jsonl", {"premise": "p"})
    with pytest.raises(UserError, match="row 1"):
        read("xcopa", tmp_path, "{premise} {choice1}")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("swahili", "sw"), ("chinese_traditional", "zh-Hant"), ("serbian_cyrillic", "sr-Cyrl"), ("pidgin", "pcm"),
        ("scottish_gaelic", "gd"), ("kirundi", "rn"), ("marathi", "mr"), ("oromo", "om"),
    ],
)  # fmt: skip
def test_languages_of_xl_sum(name: str, code: str) -> None:
    assert worded.language_of(name) == code


@pytest.mark.parametrize(
    ("text", "reference", "found"),
    [
        ("Yes, it does.", "no", "yes"),
        ("The answer is: No.", "no", "no"),
        ("Yesterday I knew", "no", ""),  # not a word of its own
        ("-B: he ran", "A", "B"),
        ("option a", "A", "A"),
        ("", "A", ""),
        ("neither", "yes", ""),
    ],
)
def test_an_answer_is_picked_out_of_a_text(text: str, reference: str, found: str) -> None:
    assert picked(text, reference) == found


def test_scores_and_their_summary() -> None:
    asked = [
        Question("de", "1", "?", "yes"), Question("de", "2", "?", "no"), Question("sw", "1", "?", "yes"),
    ]  # fmt: skip
    outputs = ["Yes.", "yes", "perhaps"]
    assert scores(asked, outputs) == {"de/1": 1, "de/2": 0, "sw/1": 0}
    found = summary(asked, outputs)
    assert found == {"mean": 0.25, "best": 0.5, "democratization": 50}
    written = [
        Question("en-ru", "1", "?", "Привет всем", "chrf++", wanted="ru"),
        Question("en-de", "1", "?", "Guten Morgen allen", "rouge_l", wanted="de"),
    ]
    found = summary(written, ["Hello all of you", "Guten Morgen allen"])
    assert found["off_target"] == 0.5
    assert scores(written, ["Привет всем", "Guten Abend"]) == pytest.approx({"en-ru/1": 100, "en-de/1": 2 / 5})


# --- pairs of answers -------------------------------------------------------------------------------------------------

USER, GOOD, BAD = (
    {"role": role, "content": text} for role, text in (("user", "q"), ("assistant", "g"), ("assistant", "b"))
)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "q", "chosen": "g", "rejected": "b"},
        {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": None, "chosen": [USER, GOOD], "rejected": [USER, BAD]},
        {"chosen": [USER, GOOD], "rejected": [USER, BAD], "score_chosen": 9},
        {"prompt": "q", "chosen": [USER, GOOD], "rejected": [USER, BAD]},  # UltraFeedback
    ],
)
def test_a_pair_in_every_schema(row: dict[str, Any]) -> None:
    assert pair(row) == Pair("q", "g", "b")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "q", "chosen": "g"}, "no pair .the columns are prompt, chosen"),
        ({"chosen": "g", "rejected": "b"}, "no pair"),
        ({"chosen": [USER, GOOD], "rejected": [GOOD, BAD]}, "no pair"),
        ({"prompt": "q", "chosen": [5], "rejected": [5]}, "no pair"),
        ({"prompt": [USER, GOOD, USER], "chosen": [GOOD], "rejected": [BAD]}, "3 turns stand before"),
        ({"prompt": "p", "chosen": [USER, GOOD], "rejected": [USER, BAD]}, "2 turns stand before"),
    ],
)
def test_what_is_no_pair_is_refused(row: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        pair(row)


@given(st.text(), st.text(), st.text())
def test_messages_and_back(prompt: str, chosen: str, rejected: str) -> None:
    found = Pair(prompt, chosen, rejected)
    assert pair(messages(found)) == pair(found._asdict()) == found
