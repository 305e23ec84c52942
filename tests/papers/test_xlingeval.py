"""xlingeval: parity with the official functions, verdicts, speakers of known faults, layouts, verbs."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.experiment.config import with_variant
from core.experiment.run import temporary
from core.files import read_json_lines
from core.text.scripts import in_script_share
from core.text.segment import words
from papers.xlingeval import asking, data, eval, method, miniature, similarity, use
from papers.xlingeval.config import PRESETS, VARIANTS, Config, simulation, workload
from papers.xlingeval.data import Text, candidates, read_items, write_long
from papers.xlingeval.verdicts import CUES, OPTIONS, label, verdict

CODES = ("en", "es", "zh", "hi")

# --- verdicts ---------------------------------------------------------------------------------------------------------

# text, language, what the official functions say (measured), what is meant
VERDICTS: list[tuple[str | None, str, int, int]] = [
    ("Yes", "en", 1, 1), ("No", "en", 0, 0), ("Yes, the diagnosis is correct", "en", -1, 1),
    ("I do not know", "en", 0, -1), ("Not sure", "en", 0, -1), ("Unknown", "en", 0, -1), ("I cannot tell", "en", 0, -1),
    ("Sí, es correcto", "es", 1, 1), ("No sé", "es", 0, -1), ("正确", "zh", 1, 1), ("不正确", "zh", 0, 0),
    ("可能是正确的", "zh", 1, 1), ("नहीं", "hi", 0, 0), ("हाँ", "hi", 1, 1), ("Depends", "en", -1, -1),
    ("Maybe", "en", -1, -1), ("The answer is yes and no", "en", -1, -1), (None, "en", -1, -1),
]  # fmt: skip


@pytest.mark.parametrize(("text", "language", "official", "meant"), VERDICTS, ids=[str(row[0]) for row in VERDICTS])
def test_verdicts_of_the_official_function_and_ours(text: str | None, language: str, official: int, meant: int) -> None:
    assert verdict(text, language, "official") == official
    assert verdict(text, language) == meant


SENTENCES = {
    ("en", 1): ["The normal answer is correct", "YES!"],  # "no" in "normal"
    ("en", 0): ["This is not a correct answer.", "It is incorrect."],
    ("en", -1): ["I don’t know, no idea", "", "Wash your hands."],
    ("es", 1): ["La respuesta es correcta"], ("es", 0): ["No es correcto."], ("es", -1): ["No lo sé, sí o no"],
    ("zh", 1): ["没错，正确。"], ("zh", 0): ["这个答案是错误的。", "这个回答不是正确的", "No."],
    ("zh", -1): ["无法判断是否正确"], ("zh-Hans", 0): ["不对"], ("sw", 1): ["Yes"],
    ("hi", 1): ["यह उत्तर सही है।", "Yes"],  # the prompt asks for an English word
    ("hi", 0): ["यह उत्तर सही नहीं है।", "यह सही उत्तर नहीं है।"], ("hi", -1): ["मुझे नहीं पता"],
}  # fmt: skip


@pytest.mark.parametrize(("language", "meant"), SENTENCES)
def test_verdicts_in_sentences(language: str, meant: int) -> None:
    assert {verdict(text, language) for text in SENTENCES[language, meant]} == {meant}


def test_every_cue_is_read_as_what_it_is() -> None:
    for language, cues in CUES.items():
        for meant, texts in cues.items():
            assert {verdict(text, language) for text in texts} == {meant}
    for language, said in miniature.SAID.items():
        for meant, texts in said.items():
            assert {verdict(text, language) for text in texts} == {meant}, language


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=30), st.sampled_from(CODES))
def test_any_text_has_a_verdict(text: str, language: str) -> None:
    assert {verdict(text, language), verdict(text, language, "official")} <= {1, 0, -1}


# --- parity with the official metrics ---------------------------------------------------------------------------------


def test_shared_words() -> None:
    official = similarity.official_words
    one, other = "Take two tablets a day with food", "Take one tablet a day with water"
    assert similarity.jaccard(official(one), official(other)) == pytest.approx(0.333333, abs=1e-6)
    assert similarity.jaccard(official(one), official(other), 2) == pytest.approx(0.111111, abs=1e-6)
    assert similarity.jaccard(official("每天 两片"), official("每天 一片")) == pytest.approx(1 / 3)
    assert similarity.jaccard(official("每天两片"), official("每天一片")) == 0
    hindi = "दिन में दो गोली", "दिन में एक गोली"
    assert similarity.jaccard(official(hindi[0]), official(hindi[1])) == 0
    assert math.isnan(similarity.jaccard(official("a b"), official("c d")))  # raises there
    # Ours, for untranslated answers.
    assert similarity.jaccard(words(hindi[0]), words(hindi[1])) == pytest.approx(3 / 5)
    assert similarity.jaccard(words("每天两片"), words("每天一片")) == pytest.approx(3 / 5)


def test_means_over_pairs() -> None:
    vectors = np.array([[1.0, 0], [1, 1], [0, 2]])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert method.pair_mean(vectors @ vectors.T) == pytest.approx(0.471405, abs=1e-6)
    topics = np.array([[1, 0.5, 0.2], [0.5, 1, 0.8], [0.2, 0.8, 1]])
    assert (method.pair_mean(topics), similarity.pair_spread(topics)) == (pytest.approx(0.5), pytest.approx(0.3))
    with pytest.raises(ValueError, match="two answers"):
        method.pair_mean(np.ones((1, 1)))


def test_scores_of_verdicts() -> None:
    labels, said = map(int, "1000010000"), map(int, "1001000000")
    found = method.verifiability(list(labels), list(said))
    assert found == pytest.approx((0.6875, 0.6875, 0.6875, 0.8, 0))
    assert method.verifiability([1, 0, 0], [1, -1, 0]) == pytest.approx((1, 1, 1, 1, 1 / 3))
    assert math.isnan(method.verifiability([1], [-1]).f1)
    with pytest.raises(ValueError, match="verdicts on"):
        method.verifiability([], [])


def counts(*rows: Sequence[int]) -> dict[str, dict[str, float]]:
    """From more, less, neither and contradictory, each en/es/zh/hi."""
    names = ("more", "less", "neither", "contradictory")
    return {code: {name: float(row[n]) for name, row in zip(names, rows, strict=True)} for n, code in enumerate(CODES)}


GPT = {
    "healthqa": counts((1013, 891, 878, 575), (98, 175, 185, 402), (20, 63, 57, 110), (3, 5, 14, 47)),
    "liveqa": counts((226, 213, 212, 142), (3, 12, 16, 59), (14, 20, 14, 32), (3, 1, 4, 13)),
    "medicationqa": counts((618, 547, 509, 407), (18, 50, 41, 125), (49, 70, 92, 107), (5, 23, 48, 51)),
}


def test_the_headlines_follow_from_the_published_counts() -> None:
    assert method.correctness_drop(GPT) == pytest.approx(18.12, abs=0.005)
    assert method.contradiction_ratio(GPT) == pytest.approx(5.82, abs=0.005)
    alpaca = {
        name: counts(more, [0] * 4, [size - a - b for a, b in zip(more, wrong, strict=True)], wrong)
        for name, size, more, wrong in (
            ("healthqa", 1134, (193, 15, 4, 13), (124, 182, 277, 172)),
            ("liveqa", 246, (58, 7, 5, 15), (34, 32, 32, 44)),
            ("medicationqa", 690, (131, 20, 15, 12), (105, 126, 131, 108)),
        )
    }  # fmt: skip
    found = method.correctness_drop(alpaca), method.contradiction_ratio(alpaca)
    assert found == pytest.approx((17.57, 1.30), abs=0.005)
    none = {"mine": {code: own | {"contradictory": 0.0} for code, own in GPT["liveqa"].items()}}
    assert math.isnan(method.contradiction_ratio(none))


def test_labels_of_a_judge() -> None:
    for reply, expected in (
        ("They agree. So\nAnswer 2 has more comprehensive and appropriate information.", "more"),
        ("Answer 2 provides contradictory information in comparison to Answer 1", "contradictory"),
        ("3) Answer 2 has less comprehensive and appropriate information. It is short.", "less"),
        ("less comprehensive and appropriate. A. B. C. D.", "none"),  # not in the last three pieces
        ("It is neither contradictory nor similar, yet more comprehensive and appropriate", "neither"),  # in order
        ("", "none"),
    ):
        assert label(reply) == expected
    assert all(mark in asking.judge_prompt("q", "a", "b", "hi") for mark in OPTIONS)


# --- the axes ---------------------------------------------------------------------------------------------------------


def test_alikeness_beyond_what_all_answers_share() -> None:
    rng = np.random.default_rng(0)
    common = np.ones(64)

    def answer() -> np.ndarray:
        vector = common + rng.normal(size=64)
        return vector / np.linalg.norm(vector)

    same = {str(n): np.stack([answer()] * 3) for n in range(20)}
    unlike = {str(n): np.stack([answer() for _ in range(3)]) for n in range(20)}
    assert fmean(method.pair_mean(rows @ rows.T) for rows in unlike.values()) > 0.4  # the plain cosine is far above 0
    assert fmean(method.excess(unlike).values()) == pytest.approx(0, abs=0.05)
    assert min(method.excess(same).values()) == pytest.approx(1)
    one = answer()
    assert {*method.excess({"1": np.stack([one, one]), "2": np.stack([one, one])}).values()} == {0.0}
    with pytest.raises(ValueError, match="two questions"):
        method.excess({"1": unlike["1"]})


def test_bertscore_matches_greedily() -> None:
    eye = np.eye(3)
    assert similarity.bertscore(eye[:2], eye[:2]) == pytest.approx((1, 1, 1))
    assert similarity.bertscore(eye[:1], eye[:2]) == pytest.approx((0.5, 1, 2 / 3))
    assert similarity.bertscore(eye[:1], eye[1:]) == (0, 0, 0)


def test_likelihood_of_an_answer_beyond_its_own() -> None:
    assert method.pointwise(-10.0, -30.0, 10) == 2.0
    assert (method.auc(1.0, [0.0, 1.0, 2.0]), method.auc(0.0, [0.0])) == (0.5, 0.5)
    assert method.threshold([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]) == pytest.approx(0.5)
    assert method.threshold([1.0], [1]) == 1.0


def test_a_drop_is_within_the_questions() -> None:
    easy = {str(n): float(n % 2) for n in range(40)}
    scores = {"en": easy, "hi": {key: value / 2 for key, value in easy.items()}, "es": dict(easy)}
    found = method.drops(scores, draws=400)
    assert found["hi"].points.estimate == pytest.approx(0.25)
    assert found["hi"].relative.estimate == pytest.approx(0.5)
    assert found["hi"].relative.high - found["hi"].relative.low < 1e-9  # whichever questions are drawn
    assert (found["es"].points.low, found["es"].points.high) == (0, 0)
    scores["hi"]["1"] = math.nan
    del scores["es"]["3"]
    assert len(method.common(scores)) == 38
    none = method.drops({"en": dict.fromkeys(easy, 0.0), "es": easy}, draws=50)["es"]
    assert none.points.estimate == -0.5
    assert math.isinf(none.relative.low)
    assert math.isnan(method.drops({"en": dict.fromkeys(easy, -0.1), "es": easy}, draws=50)["es"].relative.estimate)


def test_consistency_of_text_alone() -> None:
    answers = {"1": ["Wash your hands.", "Wash your hands."], "2": ["### Input: # a", "b c"], "3": ["", ""]}
    found = similarity.consistency(answers, "en", None, topics=2)
    assert found["unigram"]["1"] == found["bigram"]["1"] == found["own_script"]["1"] == 1
    assert found["topics"]["1"] == pytest.approx(1)
    assert math.isnan(found["unigram"]["3"])
    assert (found["length_mean"]["1"], found["length_std"]["1"]) == (3, 0)
    assert not {"alike", "cosine", "bertscore"} & {*found}
    assert similarity.cleaned("### Response: # take  it") == "take it"
    with pytest.raises(UserError, match="single answer"):
        similarity.consistency({"1": ["a"]}, "en")


# --- questions --------------------------------------------------------------------------------------------------------


def test_the_questions_are_sound() -> None:
    items = read_items(miniature.ITEMS)
    assert len(items) == 40
    assert data.languages_of(items) == CODES
    for code in CODES:
        texts = [item.texts[code] for item in items]
        assert len({text.answer for text in texts}) == 40
        assert min(in_script_share(part, code) for text in texts for part in vars(text).values()) > 0.5
        # Neither the longer nor the shorter of answer and contradiction is the right one.
        assert 0.2 < fmean(len(text.answer) > len(text.contradiction) for text in texts) < 0.8
    for item in items:
        assert len(item.texts["en"].question.split()) <= 15
        assert 12 <= len(item.texts["en"].answer.split()) <= 30
        for text in item.texts.values():
            assert text.contradiction
            assert 0.7 < len(text.contradiction) / len(text.answer) < 1.45, item.id
    parts = {split: {item.id for item in miniature.questions(Config(split=split))} for split in ("dev", "test")}
    assert not parts["dev"] & parts["test"]
    assert (len(parts["dev"]), len(parts["test"])) == (16, 24)


def test_wrong_answers_are_of_like_length_in_all_languages_and_of_other_topics() -> None:
    items = miniature.questions(Config())
    by_answer = {item.texts["en"].answer: item for item in items}
    first, again, other = (candidates(items, 4, seed) for seed in (1, 1, 2))
    assert first == again != other
    for item in items:
        texts, *wrong = first[item.id]
        assert texts["en"] == item.texts["en"].answer
        assert len({one["en"] for one in wrong}) == 4
        for one in wrong:
            assert by_answer[one["en"]].topic != item.topic
            assert by_answer[one["en"]].texts["hi"].answer == one["hi"]
            assert all(abs(len(one[code]) - len(texts[code])) <= 0.4 * len(texts[code]) for code in CODES)
    with pytest.warns(UserWarning, match="of unlike length"):
        candidates(items, 20, 1)
    with pytest.raises(UserError, match="has 0 wrong answers"):
        candidates(items[:1], 1)


ROWS: list[dict[str, Any]] = [
    {"id": "a", "en": Text("Who?", "She does."), "hi": Text("कौन?", "वह करती है।")},
    {"id": "b", "en": Text("What?", "A stone."), "hi": Text("क्या?", "एक पत्थर।")},
]  # fmt: skip


def layouts(folder: Path) -> dict[str, Path]:
    """The same two questions in every layout."""
    nested = [{"id": row["id"], **{code: vars(row[code]) for code in ("en", "hi")}} for row in ROWS]
    flat = [
        {"id": row["id"], "language": code, "question": row[code].question, "answer": row[code].answer}
        for row in ROWS for code in ("hi", "en")
    ]  # fmt: skip
    wide = [
        {"question": row["en"].question, "answer": row["en"].answer, "translated_question_Hindi": row["hi"].question,
         "translated_answer_Hindi": row["hi"].answer} for row in ROWS
    ]  # fmt: skip
    long = [
        {"id": row["id"], "label": label, "answer_ids": 1, "question_English": row["en"].question,
         "answer_English": other["en"].answer, "question_Hindi": row["hi"].question, "answer_Hindi": other["hi"].answer}
        for row, wrong in zip(ROWS, reversed(ROWS), strict=True) for label, other in ((1, row), (0, wrong))
    ]  # fmt: skip
    made = {"nested": nested, "flat": flat, "wide": wide, "long": long}
    for name, rows in made.items():
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return {name: folder / f"{name}.jsonl" for name in made}


def test_layouts_of_questions(tmp_path: Path) -> None:
    for name, path in layouts(tmp_path).items():
        items = read_items(path, ("hi",))
        assert [item.texts["hi"] for item in items] == [row["hi"] for row in ROWS], name
        assert [item.texts["en"] for item in items] == [row["en"] for row in ROWS], name
        assert [item.id for item in items] == (["1", "2"] if name == "wide" else ["a", "b"])
        asked = candidates(items, 1)
        assert [text["hi"] for text in asked[items[0].id]] == ["वह करती है।", "एक पत्थर।"]
        write_long(tmp_path / "again.tsv", items, asked)
        assert [item.texts for item in read_items(tmp_path / "again.tsv")] == [item.texts for item in items]
        assert read_items(tmp_path / "again.tsv")[0].wrong == ({"en": "A stone.", "hi": "एक पत्थर।"},)
        with pytest.raises(UserError, match="zh is missing"):
            read_items(path, ("zh",))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"id": 1, "x": 1}], "row 1: there is no question"),
        ([{"id": 1, "en": {"question": " ", "answer": "b"}}], "is no text"),
        ([{"id": 1, "en": {"answer": "b"}}], "row 1 has parts of another kind"),
        ([{"id": 1, "en": {"question": "a", "answer": "b"}}] * 2, "is there twice"),
        ([{"id": 1, "language": "hi", "question": "a", "answer": "b"}], "en is missing"),
    ],
)
def test_rows_that_cannot_be_read(rows: list[Any], expected: str, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    with pytest.raises(UserError, match=expected):
        read_items(tmp_path / "rows.json")


def test_a_question_that_lacks_a_language_is_left_out(tmp_path: Path) -> None:
    rows = [{"id": n, "en": {"question": "a", "answer": "b"}, "es": {"question": "c", "answer": "d"}} for n in (1, 2)]
    del rows[1]["es"]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    with pytest.warns(UserWarning, match="1 of 2 questions lack a language"):
        assert len(read_items(tmp_path / "rows.json", ("es",))) == 1


# --- speakers of known faults -----------------------------------------------------------------------------------------


def test_stand_ins_say_what_they_mean() -> None:
    items = miniature.questions(Config())
    for name, rates in miniature.STAND_INS.items():
        kinds = [
            kind for seed in range(30) for own in miniature.StandIn(name, items, seed).answers("hi")[1].values()
            for kind in own
        ]  # fmt: skip
        assert kinds.count("right") / len(kinds) == pytest.approx(rates["hi"].right, abs=0.06)
        assert kinds.count("contradictory") / len(kinds) == pytest.approx(rates["hi"].contradictory, abs=0.06)
    speaker, asked = miniature.StandIn("even", items, 3), candidates(items, 3, 3)
    for code in CODES:
        said, meant = speaker.verdicts(asked, code)
        assert {key: [verdict(text, code) for text in own] for key, own in said.items()} == meant
        answers, kinds_by = speaker.answers(code, 3, "samples")
        assert all(len(own) == 3 for own in answers.values())
        assert all(0 <= share <= 1 for share in miniature.same_source(kinds_by).values())
    assert miniature.shortened("a, b", random.Random(0)) == "a, b"
    assert miniature.shortened("a, b, c", random.Random(0)) in ("a, b", "b, c", "a, c")


def test_who_knows_nothing_is_near_chance() -> None:
    items = miniature.questions(Config())
    found = miniature.trivial(items, candidates(items, 4, 5))
    assert found["trivial_longest"] == pytest.approx(0.5, abs=0.12)
    assert found["trivial_overlap"] == pytest.approx(0.5, abs=0.1)
    for name in ("longest", "shortest", "overlap"):
        assert found[f"trivial_right_{name}"] < 0.45


# --- whole runs and verbs ---------------------------------------------------------------------------------------------


@pytest.fixture
def toy(smoke: Callable[[str], Any]) -> str:
    (folder,) = smoke("xlingeval").stages.glob("toy-*")
    return str(folder)


def test_a_smoke_run_measures_all_axes(smoke: Callable[[str], Any]) -> None:
    done = smoke("xlingeval")
    found = done.measurement
    for name in ("auc", "right", "wrong", "alike"):
        values = found["units"][f"loss_{name}"]
        assert found["metrics"][f"loss_{name}"] == pytest.approx(fmean(values.values()))
    asked = {row["axis"] for row in read_json_lines(done.path / "answers.jsonl")}
    assert asked == {"correctness", "consistency", "verdict"}
    assert {*found["details"]["headline"]} == {"drop", "ratio"}


def tried(config: Config, smoke: Callable[[str], Any]) -> Any:
    with temporary("xlingeval", config) as run:
        run.path.mkdir(parents=True)
        return eval.evaluate(config, replace(run, stages=smoke("xlingeval").stages))


def test_a_stand_in_without_an_encoder_is_measured_as_it_is(smoke: Callable[[str], Any]) -> None:
    config = replace(with_variant(Config(axes=("verifiability",)), VARIANTS, "uneven"), seed=4, languages=("es", "hi"))
    found = tried(config, smoke)
    assert found.units["loss_auc"] == found.units["loss_auc_truth"]
    assert found.metrics["loss_auc_hi"] > found.metrics["loss_auc_es"]
    assert found.metrics["kept_official_en"] < found.metrics["kept_en"]


def test_answers_are_cut_at_like_lengths_in_the_miniature_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    speaker = SimpleNamespace(loaded=SimpleNamespace(tokenizer=lambda text: {"input_ids": text.encode()}))
    monkeypatch.setattr(eval.Interview, "_load", lambda _: (speaker, None, None))
    items = miniature.questions(Config())
    rooms = [eval.Interview(Config(), items, {}, cast(Any, None))._room(code) for code in ("en", "hi")]
    assert rooms[0] == 12
    assert 24 < rooms[1] < 36  # a Hindi letter has three bytes
    assert eval.Interview(Config(source="mine.tsv"), items, {}, cast(Any, None))._room("hi") == 12


def test_shuffled_questions_are_of_no_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(with_variant(Config(), VARIANTS, "shuffled"), languages=("hi",))
    items = miniature.questions(config)
    asked = candidates(items, 3, 0)
    monkeypatch.setattr(eval.Interview, "_load", lambda _: (None, None, None))
    interview = eval.Interview(config, items, asked, cast(Any, None))
    for place, item in enumerate(items):
        question = interview.question(place, "hi")
        (source,) = [other for other in items if other.texts["hi"].question == question]
        assert source.id != item.id
        assert source.texts["hi"].answer not in {text["hi"] for text in asked[item.id]}


def test_a_judge_whose_replies_are_given(
    smoke: Callable[[str], Any], toy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(PRESETS["smoke"], model=toy, axes=("correctness",), encoder=toy)
    items = data.spread(miniature.questions(config), 3)
    replies = [
        {"id": f"{code}/{item.id}", "judgement": f"Answer 2 has {what} comprehensive and appropriate information"}
        for code, what in (("en", "more"), ("es", "less"), ("hi", "less"))
        for item in items
    ]
    (tmp_path / "replies.jsonl").write_text("\n".join(map(json.dumps, replies)))
    found = tried(replace(config, judge=str(tmp_path / "replies.jsonl")), smoke)
    assert (found.metrics["right_en"], found.metrics["right_hi"], found.details["headline"]["drop"]) == (1, 0, 100)
    with pytest.raises(UserError, match="has no reply"):
        tried(replace(config, judge=str(tmp_path / "replies.jsonl"), limit=4), smoke)
    monkeypatch.chdir(tmp_path)
    path, options = str(layouts(tmp_path)["flat"]), ["--axes", "correctness", "--judge", "requests"]
    use.main(["evaluate", path, "--model", toy, "--languages", "hi", "--max-new-tokens", "2", *options])
    asked = [row["custom_id"] for row in read_json_lines(tmp_path / "report" / "judge_requests.jsonl")]
    assert asked == ["en/a", "en/b", "hi/a", "hi/b"]


def test_the_paper_preset_on_local_copies(smoke: Callable[[str], Any], toy: str, tmp_path: Path) -> None:
    """The official layout, verdicts that are written, five temperatures."""
    paths = layouts(tmp_path)
    config = replace(
        PRESETS["paper"], source=str(paths["long"]), model=toy, judge="nearest", encoder=toy, dtype="float32",
        device_map=None, languages=("hi",), negatives=1, max_new_tokens=2, samples=2, back_translate="",
    )  # fmt: skip
    with pytest.raises(UserError, match="needs a contradiction"):
        tried(config, smoke)
    found = tried(replace(config, axes=("consistency", "verifiability")), smoke)
    assert {"auc_hi", "kept_official_en", "alike_hi", "dropped_en"} <= {*found.metrics}
    assert asking.translated("nothing/here", ["Good."], "en") == ["Good."]
    assert list(found.details["by_temperature"]["hi"]) == ["0.0", "0.25", "0.5", "0.75", "1.0"]


def test_verbs_on_own_questions(toy: str, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    path = str(layouts(tmp_path)["flat"])
    options = ["--model", toy, "--languages", "hi", "--negatives", "1", "--samples", "2", "--max-new-tokens", "2"]
    wide = str(layouts(tmp_path)["long"])
    use.main(["evaluate", wide, *options, "--encoder", toy])
    printed = capsys.readouterr().out
    assert "verifiability, 2 questions: en" in printed
    assert "hi loses" in printed
    assert {"auc", "alike"} <= {*(tmp_path / "report" / "questions.tsv").read_text().split("\n")[0].split("\t")}
    scorer = "def scorer():\n    return lambda q, a, code: len(a) if code == 'en' else -len(a)\n"
    (tmp_path / "mine.py").write_text(scorer)
    use.main(["verify", wide, "--languages", "hi", "--scorer", "mine.py:scorer", "--negatives", "1"])
    assert "verifiability, 2 questions: en 0.500, hi 0.500" in capsys.readouterr().out
    use.main(["pairs", path, "--languages", "hi", "--negatives", "1", "--out", "pairs.tsv"])
    assert "Wrote 4 answers to 2 questions" in capsys.readouterr().out
    assert len(read_items("pairs.tsv")) == 2
    for bad, expected in (
        (["verify", wide, "--languages", "hi", "--scorer", "none.py:x", "--negatives", "1"], "there is no file"),
        (["pairs", path, "--negatives", "7"], "ask for fewer"),
        (["evaluate", path, *options, "--judge", "nearest", "--encoder", toy], "needs a contradiction"),
    ):
        with pytest.raises(SystemExit):
            use.main(bad)
        assert expected in capsys.readouterr().err


def test_verbs_on_what_was_said(toy: str, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [("hi", "1", "हाथ धोएँ।"), ("hi", "1", "हाथ धोएँ।"), ("hi", "2", "पानी पिएँ"), ("hi", "2", "आराम करें")]
    lines = ["language,id,answer", *map(",".join, rows)]
    (tmp_path / "answers.csv").write_text("\n".join(lines), encoding="utf-8")
    use.main(["consistency", "answers.csv", "--encoder", toy])
    assert "hi, 2 questions: alike" in capsys.readouterr().out
    table = (tmp_path / "consistency.tsv").read_text(encoding="utf-8").splitlines()
    assert len(table) == 3
    replies = ["language,text,label", "en,Yes the diagnosis,1", "en,No,0", "hi,सही नहीं है,0", "hi,,1"]
    (tmp_path / "replies.csv").write_text("\n".join(replies), encoding="utf-8")
    use.main(["verdicts", "replies.csv"])
    printed = capsys.readouterr().out
    assert "en: 1 Yes, 1 No, 0 neither" in printed
    assert "hi: 0 Yes, 1 No, 1 neither" in printed
    assert "f1 1.000" in printed
    assert [row["verdict"] for row in read_json_lines(tmp_path / "verdicts.jsonl")] == [1, 0, 0, -1]


def test_settings_that_mean_nothing() -> None:
    changes: list[tuple[dict[str, Any], str]] = [
        ({"model": "even"}, "--judge nearest --score verdict"), ({"score": "cosine"}, "writes nothing"),
        ({"languages": ("en",)}, "leave en out"), ({"temperatures": ()}, "at least one value"),
    ]  # fmt: skip
    for change, expected in changes:
        with pytest.raises(UserError, match=expected):
            Config(**change)


def test_the_plan() -> None:
    names = [one.name for one in workload(PRESETS["paper"])]
    assert names == ["correctness", "judge", "consistency", "back-translation", "verifiability"]
    consistent = next(one for one in workload(PRESETS["paper"]) if one.name == "consistency")
    assert consistent.tokens == 246 * 4 * 5 * 10 * 700  # answers as the brief counts them
    assert [one.name for one in simulation(PRESETS["paper"])] == ["answers", "judge"]
    assert workload(PRESETS["smoke"])
    assert similarity.TOPIC_SEED == 42
