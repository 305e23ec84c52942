"""The table of transfer: accuracy by task, language, exposure and resource level, and answers in wrong languages."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from core import corpora
from core.errors import UserError
from core.tasks import transfer
from core.tasks.transfer import Item


def items(answers: Sequence[str], **more: Any) -> list[Item]:
    return [Item(str(i), f"q{i}", answer, **more) for i, answer in enumerate(answers)]


def test_transfer_is_split_by_exposure_and_resource() -> None:
    tasks = {
        "next": {"en": items("ab"), "sw": items("ab"), "yo": items("ab")},
        "digits": {"en": items("ab"), "de": items("ab")},
    }
    seen: list[Item] = []

    def model(asked: Sequence[Item]) -> list[str]:
        seen.extend(asked)
        return ["a" for _ in asked]

    exposure: Any = {"en": "instructed", "sw": "translated", "de": "translated"}
    found = transfer.transfer_matrix(model, tasks, exposure=exposure)
    assert len(seen) == 10
    assert [(c.task, c.language, c.exposure) for c in found.cells] == [
        ("next", "en", "instructed"), ("next", "sw", "translated"), ("next", "yo", "unseen"),
        ("digits", "en", "instructed"), ("digits", "de", "translated"),
    ]  # fmt: skip
    assert all(cell.accuracy == 0.5 for cell in found.cells)
    assert found.cells[0].correct == {"0": 1.0, "1": 0.0}
    assert found.mean("next", exposure="unseen") == 0.5
    assert [c.language for c in found.select(resource="high", exposure="translated")] == ["de"]
    assert math.isnan(found.mean("next", resource="none such"))
    assert "= translated" in found.table()
    assert len(transfer.transfer_matrix(model, tasks, ["sw"]).cells) == 1
    with pytest.raises(UserError, match="nothing to ask"):
        transfer.transfer_matrix(model, tasks, ["fr"])


@pytest.mark.parametrize(
    ("blocks", "exposure"),
    [({"en": 3, "xling": 2}, "instructed"), ({"xling": 2, "knowledge": 1}, "translated"), ({"knowledge": 1}, "unseen")],
)
def test_exposure_follows_from_the_manifest(blocks: dict[str, int], exposure: str) -> None:
    assert transfer.exposure_of("xx", {"xx": blocks}, ("en", "zh", "oracle")) == exposure
    assert transfer.exposure_of("yy", {"xx": blocks}, ("en",)) == "unseen"
    assert transfer.exposure_of("swh_Latn", {"sw": blocks}, ("en", "zh", "oracle")) == exposure


def test_wrong_languages_are_reported_beside_the_accuracy() -> None:
    tasks = {"next": {"de": items(["vier", "fünf"], answer_language="de")}}
    told = {"vier": "de", "five": "en"}
    found = transfer.transfer_matrix(
        lambda asked: ["vier", "five"], tasks, identify=lambda answer, expected: told[answer]
    )
    assert found.cells[0].wrong_language == found.wrong_language("next") == 0.5
    assert found.mean("next") == 0.5


@pytest.mark.parametrize(
    ("expected", "answer", "wrong"),
    [
        ("en", "谢谢", True), ("eng_Latn", "谢谢", True), ("eng_Latn", "thank you very much", False),
        ("eng_Latn", "vielen Dank für alles", True), ("deu_Latn", "vielen Dank für alles", False),
        ("de", "thank you very much", True), ("zh", "谢谢你们", False), ("zh-Hans", "谢谢你们", False),
        ("cmn_Hans", "thank you very much", True), ("de", "谢谢你们", True), ("sw", "thank you very much", False),
        ("sw", "谢谢你们", True), ("hr", "thank you very much", True), ("de", "hvala lijepa na svemu", True),
    ],
)  # fmt: skip
def test_languages_are_compared_by_what_they_mean(expected: str, answer: str, wrong: bool) -> None:
    tasks = {
        "asked": {expected: items(["?"], answer_language=expected)},
        "others": {code: items(["?"], answer_language=code) for code in ("de", "hr", "bs", "sw")},
    }
    found = transfer.transfer_matrix(lambda asked: [answer] * 5, tasks)
    assert found.wrong_language("asked") == wrong


@pytest.mark.parametrize(("told", "wrong"), [("zho_Hans", False), ("cmn", False), ("yue", True), ("mixed", True)])
def test_an_identifier_may_spell_a_language_otherwise(told: str, wrong: bool) -> None:
    tasks = {"t": {"zh": items(["?"], answer_language="zh")}}
    found = transfer.transfer_matrix(lambda asked: ["谢谢"], tasks, identify=lambda answer, expected: told)
    assert found.wrong_language("t") == wrong


def test_an_answer_outside_the_choices_is_refused() -> None:
    with pytest.raises(UserError, match="not among its choices"):
        transfer.transfer_matrix(lambda asked: [], {"t": {"en": items("c", choices=("a", "b"))}})


def test_own_tasks_are_read_from_json_lines(tmp_path: Path) -> None:
    rows = [
        {"task": "quiz", "language": "sw", "prompt": "q", "answer": "A", "choices": ["A", "B"], "key": 7},
        {"task": "quiz", "language": "en", "prompt": "q", "answer": "yes", "answer_language": "en"},
    ]
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert transfer.read_tasks(path) == {
        "quiz": {"sw": [Item("7", "q", "A", ("A", "B"))], "en": [Item("1", "q", "yes", answer_language="en")]}
    }
    path.write_text(json.dumps({**rows[0], "choices": "AB"}) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match="no list of texts"):
        transfer.read_tasks(path)


def test_questions_of_benchmarks_and_own_files(hub_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = corpora.load

    def local(name: str, **more: Any) -> Any:
        return load(name, **more, folder=hub_folder / name / more["split"])

    monkeypatch.setattr(corpora, "load", local)
    row = {"task": "quiz", "language": "fr", "prompt": "q", "answer": "yes"}
    own = hub_folder / "own.jsonl"
    own.write_text(f"{json.dumps(row)}\n" * 3)
    with pytest.warns(UserWarning, match="m_arc is left out in de"):
        tasks = transfer.benchmark_tasks(["belebele", "m_arc", str(own)], ["fr"], [], limit=2) | (
            transfer.benchmark_tasks(["m_arc"], ["fr"], ["de"], limit=2)
        )
    assert {name: {code: len(some) for code, some in found.items()} for name, found in tasks.items()} == {
        "belebele": {"fr": 2}, "m_arc": {"fr": 2}, "quiz": {"fr": 2},
    }  # fmt: skip
    first = tasks["belebele"]["fr"][0]
    assert (first.answer, first.choices) == ("B", ("A", "B", "C", "D"))
    assert first.prompt.endswith("D: four\nAnswer:")
    assert tasks["m_arc"]["fr"][0].answer == "three"
    with pytest.raises(UserError, match="de"):
        transfer.benchmark_tasks(["m_arc"], ["de"], [])


def test_a_language_is_told_by_its_words() -> None:
    identify = transfer.told_by_words({"de": ["drei", "hundert"], "en": ["three", "hundred"], "digits": "0123"})
    asked = [("drei hundert", "de"), ("three hundred", "de"), ("3 0", "digits"), ("drei 0", "de"), ("", "en")]
    assert [identify(*pair) for pair in asked] == ["de", "en", "digits", "mixed", "en"]


def test_the_table_by_language() -> None:
    tasks = {"quiz": {"sw": items("ab")}, "next": {"sw": items("bb"), "en": items("a")}}
    found = transfer.transfer_matrix(lambda asked: ["a"] * len(asked), tasks, exposure={"sw": "translated"})
    assert found.by_language() == {
        "sw": {"exposure": "translated", "resource": "low", "quiz": 0.5, "next": 0.0},
        "en": {"exposure": "unseen", "resource": "high", "next": 1.0},
    }
