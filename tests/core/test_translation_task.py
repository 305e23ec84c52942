"""Translation: directions, prompts, scores by segment and direction, and what is reached without translating."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sacrebleu.metrics import BLEU, CHRF

from core.errors import UserError
from core.tasks.translation import (
    Segment,
    adapt_segment,
    all_pairs,
    corpus_scores,
    direction_scores,
    few_shot,
    following,
    hypotheses,
    matrix,
    means,
    official_test,
    scorer,
    segments,
    sentence_scores,
    star,
    translate,
    translate_lines,
    trivial,
    with_examples,
    write_segments,
)

ROWS: list[dict[str, Any]] = [
    {"key": "a", "en": "the red house", "de": "das rote Haus", "zh": "红色的房子"},
    {"key": "b", "en": "the green tree over there", "de": "der grüne Baum dort", "zh": None},
    {"key": "c", "en": "one word", "de": "ein Wort", "zh": "一个词"},
]


def ask(segment: Segment) -> str:
    return f"{segment.source}: {segment.source_text}\n{segment.target}:"


def test_directions() -> None:
    assert star(["de"], ["en", "zh"]) == [
        ("en", "zh"), ("zh", "en"), ("en", "de"), ("de", "en"), ("zh", "de"), ("de", "zh"),
    ]  # fmt: skip
    assert set(all_pairs(["en", "de", "zh"])) == set(star(["de"], ["en", "zh"]))


def test_segments_leave_out_what_a_row_lacks() -> None:
    found = segments(ROWS, [("en", "zh"), ("de", "en")])
    assert [segment.id for segment in found] == ["en-zh/a", "en-zh/c", "de-en/a", "de-en/b", "de-en/c"]
    assert found[1] == Segment("c", "en", "zh", "one word", "一个词")
    assert [s.item for s in segments([{"en": "x", "de": "y"}], [("en", "de")])] == ["0"]
    with pytest.raises(UserError, match="'fr'"):
        segments(ROWS, [("en", "fr")])


def test_prompts_show_solved_segments_and_begin_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def generate(model: Any, tokenizer: Any, prompts: list[str], **options: Any) -> list[str]:
        assert options == {"max_new_tokens": 5, "stop": ["\n"]}
        seen.extend(prompts)
        return [" out "] * len(prompts)

    monkeypatch.setattr("core.inference.generation.generate", generate)
    parts = segments(ROWS, [("en", "de"), ("de", "en")])
    shots = {"en-de": parts[2:3]}
    tokenizer: Any = SimpleNamespace(bos_token="<s>")
    outputs = translate(tokenizer, tokenizer, parts[:4], ask, shots=shots, max_new_tokens=5, stop=["\n"])
    assert outputs == ["out"] * 4
    assert seen[0] == "<s>en: one word\nde: ein Wort\n\nen: the red house\nde:"
    assert seen[3] == "<s>de: das rote Haus\nen:"
    assert few_shot(ask, parts[0], parts[2:3]) == seen[0].removeprefix("<s>")
    translate(tokenizer, tokenizer, parts[:1], lambda part: f"<s>{part.item}", max_new_tokens=5, stop=["\n"])
    assert seen[-1] == "<s>a"


def test_lines_are_translated_one_for_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("core.files.standard_input", lambda: ["one", " ", "two", ""])
    translate_lines(lambda texts: [f"{text}\n{len(texts)}" for text in texts])
    assert capsys.readouterr().out == "one 2\n\ntwo 2\n\n"


def test_scores_by_segment_and_direction_are_sacrebleus() -> None:
    parts = segments(ROWS, [("en", "de"), ("en", "zh")])
    outputs = ["das rote Haus", "der Baum dort", "ein Satz", "红色的房子", "一个字"]
    exact = sentence_scores(parts, outputs, "exact")
    assert exact == {"en-de/a": 1, "en-de/b": 0, "en-de/c": 0, "en-zh/a": 1, "en-zh/c": 0}
    assert means(exact) == {"en-de": pytest.approx(1 / 3), "en-zh": 0.5}
    german = [part.target_text for part in parts[:3]]
    assert corpus_scores(parts, outputs, "bleu")["en-de"].score == pytest.approx(
        BLEU().corpus_score(outputs[:3], [german]).score
    )
    chinese = BLEU(tokenize="zh").corpus_score(outputs[3:], [[part.target_text for part in parts[3:]]])
    assert corpus_scores(parts, outputs, "bleu")["en-zh"].score == pytest.approx(chinese.score)
    chrf = CHRF(word_order=2)
    assert corpus_scores(parts, outputs, "chrf++")["en-de"].score == pytest.approx(
        chrf.corpus_score(outputs[:3], [german]).score
    )
    assert sentence_scores(parts, outputs, "chrf++")["en-de/b"] == pytest.approx(
        chrf.sentence_score(outputs[1], [german[1]]).score
    )
    assert sentence_scores(parts, outputs, "bleu")["en-de/a"] == pytest.approx(100)
    with pytest.raises(ValueError, match="same direction and item"):
        sentence_scores([parts[0], parts[0]], ["x", "y"], "exact")


def test_hypotheses_are_rows_for_other_scorers() -> None:
    parts = segments(ROWS[:1], [("en", "de")])
    row = {"direction": "en-de", "item": "a", "src": "the red house", "mt": "ein Haus", "ref": "das rote Haus"}
    assert hypotheses(parts, ["ein Haus"]) == [row]


def test_scores_by_direction_stand_side_by_side() -> None:
    parts = segments(ROWS, [("en", "de"), ("en", "zh")])
    outputs = [part.target_text for part in parts]
    found = direction_scores(parts, outputs, ["chrf++", "comet"], lambda s, o, r: [float(len(text)) for text in s])
    assert [(name, *scores) for name, scores in found.items()] == [(d, "chrf++", "comet") for d in ("en-de", "en-zh")]
    assert found["en-de"]["chrf++"] == pytest.approx(100)
    assert found["en-zh"]["comet"] == pytest.approx((len("the red house") + len("one word")) / 2)


def test_copies_and_wrong_rows_are_scored_as_translations() -> None:
    parts = [*segments(ROWS, [("en", "de")]), Segment("name", "en", "de", "Berlin", "Berlin")]
    found = trivial(parts, "exact")
    assert found["copy"] == {"en-de/a": 0, "en-de/b": 0, "en-de/c": 0, "en-de/name": 1}
    assert set(found["wrong_row"].values()) == {0}
    same = [Segment(str(i), "en", "de", f"s{i}", "immer gleich") for i in range(3)]
    assert set(trivial(same, "exact")["wrong_row"].values()) == {1}


def test_sets_of_pairs_in_three_shapes_are_read() -> None:
    wanted = Segment("7", "de", "en", "Hallo", "Hello")
    assert adapt_segment({"id": 7, "translation": {"de": "Hallo", "en": "Hello"}}) == wanted
    renamed = {"src_lang": "de", "tgt_lang": "en", "src_text": "Hallo", "tgt_text": "Hello"}
    assert adapt_segment(renamed, 7) == wanted
    with pytest.raises(UserError, match="'source_text'; it has source, target, text"):
        adapt_segment({"source": "de", "target": "en", "text": "Hallo"})


def test_the_following_segment_is_of_the_same_direction_and_every_one_follows_one() -> None:
    parts = [Segment(str(n), source, "de", "", f"{source}{n}") for n in range(3) for source in ("en", "sw")]
    found = following(parts)
    assert [part.target_text for part in found] == ["en1", "sw1", "en2", "sw2", "en0", "sw0"]
    assert [part.target_text for part in following(parts, lambda part: part.target)] == [
        "sw0", "en1", "sw1", "en2", "sw2", "en0",
    ]  # fmt: skip


def test_files_of_a_direction_have_a_segment_a_line(tmp_path: Path) -> None:
    parts = segments(ROWS, [("en", "de")])
    write_segments(tmp_path, parts, ["a\nb", "c", "d"], "mine-")
    assert (tmp_path / "mine-en-de.out").read_text(encoding="utf-8") == "a b\nc\nd\n"
    references = (tmp_path / "mine-en-de.ref").read_text(encoding="utf-8").splitlines()
    assert references == [part.target_text for part in parts]


def test_pieces_that_cannot_be_fetched_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> Any:
        raise OSError

    monkeypatch.setattr("sacrebleu.metrics.BLEU", offline)
    with pytest.raises(UserError, match="FLORES-200 pieces"):
        corpus_scores(segments(ROWS, [("en", "de")]), ["x"] * 3, "spbleu")


def test_scorers_for_evaluation_and_reward() -> None:
    arguments: Any = (["s", "s"], ["one ", "two"], ["one", "three"])
    assert scorer("exact")(*arguments) == [1.0, 0.0]
    best, worse = scorer("chrf++")(*arguments)
    assert best == pytest.approx(100)
    assert 0 <= worse < 50
    with pytest.raises(UserError, match="unbabel-comet"):
        scorer("comet")


class FakeComet(torch.nn.Module):
    """The interface of a COMET model: rates a row by a trained weight and the length of its hypothesis."""

    def __init__(self, size: int = 1, load_pretrained_weights: bool = True):
        super().__init__()
        assert not load_pretrained_weights
        self.weight = torch.nn.Parameter(torch.zeros(size))

    def prepare_for_inference(self, rows: list[dict[str, str]]) -> dict[str, torch.Tensor]:
        assert all(set(row) == {"src", "mt", "ref"} for row in rows)
        return {"lengths": torch.tensor([float(len(row["mt"])) for row in rows])}

    def predict_step(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"scores": inputs["lengths"] * self.weight.sum()}


def test_comet_is_built_from_its_settings_and_tensors_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "hparams.yaml").write_text("class_identifier: fake\nsize: 2\nbatch_size: 4\n", encoding="utf-8")
    path = tmp_path / "checkpoints" / "model.ckpt"
    torch.save({"state_dict": {"weight": torch.tensor([0.25, 0.25]), "old.position_ids": torch.zeros(1)}}, path)
    monkeypatch.setitem(sys.modules, "comet", SimpleNamespace(download_model=lambda name: str(path)))
    monkeypatch.setitem(sys.modules, "comet.models", SimpleNamespace(str2model={"fake": FakeComet}))
    rate = scorer("comet")
    assert rate(["s"] * 70, ["ab"] * 69 + ["abcd"], ["r"] * 70) == [1.0] * 69 + [2.0]
    torch.save({"state_dict": {}}, path)
    with pytest.raises(UserError, match="has no weight"):
        scorer("comet")


def test_official_tests_come_line_by_line_with_their_first_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sacrebleu

    def file(side: str, pair: str) -> str:
        path = tmp_path / f"{pair}.{side}"
        # Unicode's line separators are no line ends: they would shift the references.
        path.write_text("".join(f"{pair} {side} {i}\u2028\n" for i in range(5)), encoding="utf-8")
        return str(path)

    monkeypatch.setattr(sacrebleu, "get_source_file", lambda test, pair: file("src", pair))
    monkeypatch.setattr(sacrebleu, "get_reference_files", lambda test, pair: [file("refA", pair), file("refB", pair)])
    found = official_test("wmt22", "zh", "en", 3)
    assert [s.source_text for s in found] == [f"zh-en src {i}\u2028" for i in range(3)]
    assert [s.target_text for s in found] == [f"zh-en refA {i}\u2028" for i in range(3)]
    assert {s.direction for s in found} == {"zh-en"}
    assert len(official_test("wmt22", "zh", "en")) == 5


def test_an_official_test_without_a_network_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import sacrebleu

    def fails(*arguments: str) -> str:
        raise OSError

    monkeypatch.setattr(sacrebleu, "get_source_file", fails)
    with pytest.raises(UserError, match="sacrebleu -t wmt22 -l zh-en"):
        official_test("wmt22", "zh", "en")


def test_a_matrix_has_a_row_for_each_source() -> None:
    lines = matrix({"en-de": 12.34, "de-en": 5.0}, ["en", "de"], "chrf").splitlines()
    assert [line.split() for line in lines] == [["chrf", "en", "de"], ["en", "-", "12.3"], ["de", "5.0", "-"]]


def test_examples_are_shown_and_not_asked() -> None:
    rows = [{"en": f"e{n}", "tr": f"t{n}", "id": f"i{n}"} for n in range(3)]
    parts, question = with_examples(rows, all_pairs(["en", "tr", "id"]), ask, 1)
    assert len(parts) == 12
    assert question(parts[0]) == "en: e0\ntr: t0\n\nen: e1\ntr:"
    parts, question = with_examples(rows, [("en", "tr")], ask, 0)
    assert [question(part) for part in parts] == [f"en: e{n}\ntr:" for n in range(3)]
    with pytest.raises(UserError, match="too few"):
        with_examples(rows[:1], [("en", "tr")], ask, 1)
