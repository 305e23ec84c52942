"""GenEval's decisions by the official code's numbers, and DPG-Bench's arithmetic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.errors import UserError
from core.models.vision import Detection
from core.tasks import geneval


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 10, 10), (8, 8, 18, 18), {"above", "left of"}),
        ((0, 0, 10, 10), (1, 1, 11, 11), set()),
        ((0, 0, 20, 20), (3, 19, 23, 39), {"above"}),
        ((0, 0, 4, 4), (6, 3, 10, 7), {"left of"}),
    ],
)
def test_relations_of_geneval(a: Any, b: Any, expected: set[str]) -> None:
    assert geneval.relative_position(a, b) == expected
    opposite = {"above": "below", "left of": "right of"}
    assert geneval.relative_position(b, a) == {opposite[name] for name in expected}


def found(*boxes: Any, colour: str = "red", score: float = 0.95) -> list[Detection]:
    return [Detection(box, colour, score) for box in boxes]


def test_decisions_of_geneval() -> None:
    left, right = (0, 0, 4, 4), (20, 0, 24, 4)
    two = {"include": [{"class": "cat", "count": 2}], "exclude": [{"class": "cat", "count": 3}]}
    assert geneval.judge({"cat": found(left, right)}, two) == (True, "")
    assert not geneval.judge({"cat": found(left)}, two)[0]
    assert geneval.judge({"cat": found(left, right, left)}, two)[1] == "expected cat < 3"
    blue = {"include": [{"class": "cat", "count": 1, "color": "blue"}]}
    assert not geneval.judge({"cat": found(left) + found(right, colour="blue", score=0.9)}, blue)[0]
    placed = {"include": [{"class": "dog", "count": 1}, {"class": "cat", "count": 1, "position": ["left of", 0]}]}
    assert geneval.judge({"cat": found(left), "dog": found(right)}, placed)[0]
    assert not geneval.judge({"cat": found(right), "dog": found(left)}, placed)[0]
    assert geneval.judge({"cat": found(left)}, placed)[1].startswith("expected dog")
    one = {"include": [{"class": "cat", "count": 1}]}
    assert [geneval.judge({"cat": found(left, score=s)}, one)[0] for s in (0.3, 0.31)] == [False, True]
    assert not geneval.judge({"cat": found(left, score=0.89)}, {**one, "tag": "counting"})[0]
    assert geneval.judge({"cat": found(*[left] * 30)}, {**one, "exclude": [{"class": "cat", "count": 17}]})[0]
    assert geneval.overall({"a": [True, True, True, False], "b": [False]}) == pytest.approx(0.375)
    with pytest.raises(UserError, match="task without images"):
        geneval.overall({"a": []})


def test_answers_to_questions_that_depend_on_others() -> None:
    answers = {"cat": False, "black": True, "dog": True}
    assert geneval.dpg_score(answers, {"black": ["cat"]}) == pytest.approx(1 / 3)


def test_four_images_of_a_prompt_in_one_picture(tmp_path: Path) -> None:
    from PIL import Image

    images = torch.tensor([-1.0, 0.0, 0.5, 1.0])[:, None, None, None].expand(4, 2, 2, 3)
    with Image.open(geneval.write_2x2(tmp_path / "deep" / "0.png", images)) as file:
        assert np.asarray(file)[::2, ::2, 0].tolist() == [[0, 128], [191, 255]]


def test_prompts_of_several_languages_have_one_description(tmp_path: Path) -> None:
    rows = {"": "a cat", "_french": "un chat", "_nl": "een kat"}
    for name, prompt in rows.items():
        line = {"tag": "single_object", "include": [{"class": "cat", "count": 1}], "prompt": prompt}
        (tmp_path / f"evaluation_metadata{name}.jsonl").write_text(json.dumps(line), encoding="utf-8")
    prompts, metadata = geneval.read_prompts(tmp_path, ("en", "fr", "nl"))
    assert prompts == {"en": ["a cat"], "fr": ["un chat"], "nl": ["een kat"]}
    assert [row["tag"] for row in metadata] == ["single_object"]
    (tmp_path / "evaluation_metadata_zh.jsonl").write_text('{"prompt": "x"}', encoding="utf-8")
    for language, words in (("zh", "tag differs"), ("sw", "leave out sw")):
        with pytest.raises(UserError, match=words):
            geneval.read_prompts(tmp_path, ("en", language))
