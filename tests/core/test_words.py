"""Word meaning: no look-alikes, no leaks, disjoint samples; task scores that were measured elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from core.tasks.choices import Question
from core.tasks.scores import read_scores
from core.tasks.words import DISJOINT, OPTIONS, _concepts, _extremes, trivial, weights, words
from core.text.distance import look_alike


@pytest.mark.parametrize("language", ["de", "zh-Hans"])
def test_words_are_no_lookalikes_and_samples_are_disjoint(language: str) -> None:
    drawn = [words(language, "test", 24, seed) for seed in range(3, 3 + DISJOINT)]
    dev = words(language, "dev", 20, 0)
    keys = [{question.id for question in questions} for questions in (*drawn, dev)]
    assert len(set.union(*keys)) == 3 * 24 + 20
    assert words(language, "test", 24, 3) == drawn[0]
    assert {q.id for q in words(language, "test", 24, 6)} != keys[0]
    known = {concept.id.partition("/")[2]: concept for concept in _concepts(language)}
    for question in [*drawn[0], *dev]:
        concept = known[question.id]
        assert not look_alike(concept.prompt, concept.answer)
        assert question.choices[question.answer] == f" {concept.answer}"
        assert len(set(question.choices)) == OPTIONS
        assert question.context.endswith(f"“{concept.prompt}” means")
        assert question.prior is not None
        assert question.prior.endswith("“” means")
        assert not any(f"“{concept.prompt}” means {concept.answer}." in t for t in (question.context, question.prior))
    asked = [question for questions in drawn for question in questions]
    assert 0.1 < np.mean([question.answer == 0 for question in asked]) < 0.42
    with pytest.raises(UserError, match="ask for fewer"):
        words(language, "test", 1000, 0)


@pytest.mark.parametrize("language", ["es", "zh-Hans"])
def test_options_and_letters_alone_are_guessing(language: str) -> None:
    reached = []
    for seed in range(3, 3 + DISJOINT):
        asked = words(language, "test", 24, seed)
        offered: dict[frozenset[str], set[str]] = {}
        for question in asked:
            offered.setdefault(frozenset(question.choices), set()).add(question.choices[question.answer])
        assert all(right == options for options, right in offered.items())  # each option is right once
        assert sum(weights(asked)) == pytest.approx(1)
        reached.append(trivial(asked))
        assert reached[-1]["nearest"] == pytest.approx(0.25, abs=0.03)
    assert max(np.mean([found[name] for found in reached]) for name in reached[0]) < 0.38


def test_trivial_solvers_by_hand() -> None:
    asked = [Question("a", "the word “tisch” means", (" fish", " table", " tablecloths"), 1)]
    expected = {"nearest": 0, "farthest": 1, "edits": 0, "trigrams": 1, "length": 1, "longest": 0, "rarest": 0}
    assert trivial(asked) == expected
    alike = np.array([[[9, 1, 1, 1], [9, 5, 1, 1], [9, 1, 9, 1], [9, 3, 2, 1]]], dtype=float)[None]
    # Most alike: right, wrong, one of two, wrong. Least alike: right in the last alone.
    assert _extremes(alike).tolist() == [[1.5 / 4], [1 / 4]]


def test_questions_that_letters_answer_have_a_quarter_of_the_weight() -> None:
    by_letters = Question("a", "“telefon” means", (" table", " telephone", " fish"), 1)
    not_by_letters = [Question(key, "“tisch” means", (" table", " telephone", " fish"), 0) for key in "bc"]
    assert weights([by_letters, *not_by_letters]) == pytest.approx([0.25, 0.375, 0.375])
    assert weights([by_letters]) == [1]


def test_known_scores_are_matched_by_language(tmp_path: Path) -> None:
    path = tmp_path / "scores.tsv"
    path.write_text("language\tscore\nfr\t0.8\nzho_Hans\t.5\nxx\t0.1\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="1 of 3"):
        assert read_scores(path, ["fra_Latn", "zh-Hans", "sw"]) == {"fra_Latn": 0.8, "zh-Hans": 0.5}
    results = {"belebele": {"acc,none": 0.5}, "belebele_fra_Latn": {"acc,none": 0.7, "acc_norm,none": 0.6}}
    results |= {"m_mmlu_sw": {"acc,none": 0.3}, "arc_de": {"acc,none": 0.4}}
    file = tmp_path / "results.json"
    file.write_text(json.dumps({"results": results}), encoding="utf-8")
    assert read_scores(file, ["fr", "sw", "de"]) == {"fr": 0.7, "sw": 0.3, "de": 0.4}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("s.tsv", "fr\t80\n", "outside"),
        ("s.tsv", "fr 0.8\n", "line 1"),
        ("s.tsv", "l\ts\nfr\tgood\n", "line 2"),
        ("s.tsv", "de\t0.5\n", "no score for any language"),
        ("r.json", "{}", "results file of lm-eval"),
    ],
)
def test_bad_scores_are_refused(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=sentence):
        read_scores(tmp_path / name, ["fr"])
