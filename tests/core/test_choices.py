"""Multiple choice: prompts as the field words them, scores as papers normalise them, and what is right for nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import corpora
from core.errors import UserError
from core.tasks.choices import Question, answer, choice_scores, credit, exam, from_items, lettered, trivial
from core.worlds.base import Item, split


def test_exam_prompts_and_examples(hub_folder: Path) -> None:
    belebele = exam("belebele", "fra_Latn", shots=5, folder=hub_folder / "belebele", limit=7)
    shown = "P: Passage\nQ: Q{}?\nA: one\nB: two\nC: three\nD: four\nAnswer:"
    assert belebele[0].context == "".join(f"{shown.format(i)} B\n\n" for i in range(2, 7)) + shown.format(1)
    assert belebele[6].context == "".join(f"{shown.format(i)} B\n\n" for i in range(1, 6)) + shown.format(7)
    assert (belebele[0].choices, belebele[0].answer) == ((" A", " B", " C", " D"), 1)
    mmlu = exam("m_mmlu", "fr", folder=hub_folder / "m_mmlu", shots=1)
    options = "A. one [x]\nB. two\nC. three\nD. four\nAnswer:"
    assert mmlu[0].context == f"Which [title] train 0?\n{options} C\n\nWhich [title] test 0?\n{options}"
    arc = exam("m_arc", "fr", folder=hub_folder / "m_arc", shots=1)
    assert arc[0].context == "Question: Which. train 0?\nAnswer: three\n\nQuestion: Which. test 0?\nAnswer:"
    assert arc[0].choices == (" one ", " two", " three", " four")
    assert arc[0].answer == 2


@pytest.mark.parametrize(("name", "code"), [("belebele", "fra_Latn"), ("m_mmlu", "fr"), ("m_arc", "fr")])
def test_prompts_are_those_of_lm_eval(hub_folder: Path, name: Any, code: str) -> None:
    lm_eval = pytest.importorskip("lm_eval")
    import jinja2
    import yaml

    folder = Path(lm_eval.__file__).parent / "tasks"
    place = {"belebele": "belebele/_default_template_yaml", "m_mmlu": "okapi/mmlu_multilingual/_default_yaml"}.get(name)
    item = exam(name, code, shots=0, folder=hub_folder / name)[0]
    row = json.loads((hub_folder / name / "test" / f"{code}.jsonl").read_text().splitlines()[0])
    if place is None:
        process = _module(folder / "okapi/arc_multilingual/utils.py").process_docs
        row |= {"option_e": ""}
        adapted = process(corpora.to_dataset([row]))[0]
        assert item.context == adapted["query"]
        assert [choice.removeprefix(" ") for choice in item.choices] == adapted["choices"]
        assert item.answer == adapted["gold"]
        return
    template = yaml.load((folder / place).read_text(), yaml.BaseLoader)
    assert item.context == jinja2.Template(template["doc_to_text"]).render(**row)
    assert [choice.removeprefix(" ") for choice in item.choices] == template["doc_to_choice"]


def _module(path: Path) -> Any:
    import importlib.util

    spec = importlib.util.spec_from_file_location("process", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_first_questions_of_an_exam_need_no_examples(hub_folder: Path) -> None:
    (hub_folder / "m_mmlu" / "train" / "fr.jsonl").unlink()
    assert len(exam("m_mmlu", "fr", folder=hub_folder / "m_mmlu", limit=3)) == 3


# --- scores ---------------------------------------------------------------------------------------------------------

TABLE = {
    ("Q", " a"): (-2.0, 2, 1),
    ("Q", " bbbb"): (-3.0, 2, 4),
    ("P", " a"): (-1.0, 2, 1),
    ("P", " bbbb"): (-9.0, 2, 4),
}


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Any:
    def scored(model: Any, tokenizer: Any, contexts: Any, choices: Any, **_: Any) -> Any:
        def score(context: str, choice: str) -> Any:
            value, tokens, characters = TABLE[context, choice]
            return SimpleNamespace(log_likelihood=value, tokens=tokens, characters=characters)

        pairs = zip(contexts, choices, strict=True)
        return [[score(context, choice) for choice in options] for context, options in pairs]

    monkeypatch.setattr("core.inference.scoring.score_choices", scored)
    return None


@pytest.mark.parametrize(
    ("by", "scores"),
    [("sum", [-2, -3]), ("token", [-1, -1.5]), ("character", [-2, -0.75]), ("prior", [-1, 6])],
)
def test_normalisations(stub: Any, by: Any, scores: list[float]) -> None:
    question = Question("k", "Q", (" a", " bbbb"), 0, prior="P")
    assert choice_scores(stub, stub, [question], by) == [scores]
    assert answer(stub, stub, [question], by) == {"k": float(scores[0] > scores[1])}


def test_a_missing_prior_and_a_repeated_id_are_refused(stub: Any) -> None:
    question = Question("k", "Q", (" a", " bbbb"), 0)
    with pytest.raises(ValueError, match="prior in every question"):
        choice_scores(stub, stub, [question, replace(question, prior="P")], "prior")
    with pytest.raises(UserError, match="id 'k'"):
        answer(stub, stub, [question, question])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_credit_is_shared_among_ties_and_sums_to_one(scores: list[int]) -> None:
    credits = [credit(scores, right) for right in range(len(scores))]
    assert sum(credits) == pytest.approx(1)
    assert {bool(value) for value, score in zip(credits, scores, strict=True) if score == max(scores)} == {True}


# --- questions of worlds, and solvers -------------------------------------------------------------------------------


def capitals(language: str, count: int = 40) -> list[Item]:
    return [
        Item(f"{language}/{i}", str(i), f"{language}: capital of {i}?", f"town {i % 20}", language)
        for i in range(count)
    ]


def test_wrong_options_are_right_answers_of_the_same_group() -> None:
    items = capitals("en") + capitals("de", 10)
    questions = from_items(items, options=3, seed=0)
    texts = {q.id: {text.strip() for text in q.choices} for q in questions}
    for item, question in zip(items, questions, strict=True):
        assert question.choices[question.answer] == f" {item.answer}"
        assert len(texts[item.id]) == 3
        assert texts[item.id] <= {other.answer for other in items if other.language == item.language}
    assert from_items(items[::-1], options=3, seed=0) != questions[::-1]  # another order of the answers, another draw
    assert from_items(items, options=3, seed=0) == questions
    assert texts["en/0"] != texts["en/20"]  # one answer, another draw
    with pytest.raises(UserError, match="ask for fewer"):
        from_items(capitals("de", 2), options=3, seed=0)


def test_a_second_right_answer_is_not_a_wrong_option() -> None:
    items = [Item(str(i), str(i), "money of Cuba", name, "en") for i, name in enumerate(("peso", "dollar"))]
    items += [Item(str(i), str(i), f"money of {i}", f"coin {i}", "en") for i in range(2, 5)]
    for question in from_items(items, options=3, seed=1)[:2]:
        assert not {" peso", " dollar"} <= set(question.choices)


def test_solvers_without_a_model() -> None:
    draw = Random(0)
    towns = [replace(item, answer=f"town {draw.randrange(20):02}") for item in capitals("en", 600)]
    parts = split(towns, seed=0)
    train, test = (from_items(parts[part], options=4, seed=0) for part in ("train", "test"))
    clean = trivial(train, test)
    assert clean["chance"] == 0.25
    assert all(0.15 < value < 0.35 for value in clean.values()), clean
    giveaway = [
        Question(str(i), f"money of {i}", (" euro", f" coin {i}"), answer=0, texts=("euro", f"coin {i}"))
        for i in range(9)
    ]
    assert trivial(giveaway[:6], giveaway[6:]) == {
        "chance": 0.5, "position": 1.0, "majority": 1.0, "longest": 0.0, "shortest": 1.0,
    }  # fmt: skip
    with pytest.raises(ValueError, match="no question"):
        trivial(giveaway, [])


def test_lettered_options() -> None:
    assert lettered(["x", "y"]) == "A. x\nB. y"
