"""three_stage_mt: documents to the letter, packing that cuts nothing, instructions, stages, own data."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.experiment.run import Run
from core.models import loading
from core.models.architectures import miniature as tiny_llama
from core.models.tokenization import IGNORED, train_bpe
from core.text.languages import name
from papers.three_stage_mt import data, method, miniature, train, use
from papers.three_stage_mt.config import PRESETS, Config, scratch_shape
from papers.three_stage_mt.method import INSTRUCTIONS, make_interlinear, pack

DOCUMENT = [("A b.", "X y."), ("C.", "Z.")]
TEXTS = ["Guten Tag.", "Good day.", "eins zwei drei", "one two three"] * 20


def joined(**options: Any) -> str:
    (units,) = make_interlinear([DOCUMENT], **{"order": "src_first", **options})
    return "\n".join(units)


# ------------------------------------------------------------------------------------------- interlinear documents


def test_documents_to_the_letter() -> None:
    assert joined() == "A b.\nX y.\nC.\nZ."
    assert joined(order="tgt_first") == "X y.\nA b.\nZ.\nC."
    assert joined(granularity="document") == joined(granularity="block_2") == "A b.\nC.\nX y.\nZ."
    assert joined(alignment="shifted") == "A b.\nZ.\nC.\nX y."
    assert joined(tags=("English", "German")) == "English: A b.\nGerman: X y.\nEnglish: C.\nGerman: Z."


pairs = st.tuples(st.text("abc", min_size=1, max_size=4), st.text("xyz", min_size=1, max_size=4))
documents = st.lists(st.lists(pairs, min_size=1, max_size=6), min_size=2, max_size=6)


@given(documents, st.sampled_from(["sentence", "document", "block_2"]), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_nothing_is_lost_and_lines_keep_their_order(texts: Any, granularity: str, seed: int) -> None:
    for document, units in zip(texts, make_interlinear(texts, granularity=granularity, seed=seed), strict=True):
        lines = "\n".join(units).split("\n")
        assert [line for line in lines if line[0] in "abc"] == [pair[0] for pair in document]
        assert [line for line in lines if line[0] in "xyz"] == [pair[1] for pair in document]


def test_each_document_draws_its_order_and_shuffling_moves_every_translation() -> None:
    texts = [[(f"a{d:02}{i}", f"x{d:02}{i}") for i in range(3)] for d in range(40)]
    first = [units[0][0] for units in make_interlinear(texts)]
    assert 10 < first.count("a") < 30
    for count, seed in ((40, 1), (2, 0), (2, 1), (2, 2)):
        moved = method.misaligned(texts[:count], "shuffled", seed=seed)
        flat = [pair for document in moved for pair in document]
        assert sorted(x for _, x in flat) == sorted(x for document in texts[:count] for _, x in document)
        assert all(a[1:3] != x[1:3] for a, x in flat)
    (alone,) = method.misaligned(texts[:1], "shuffled")
    assert all(a[1:] != x[1:] for a, x in alone)
    assert method.misaligned([], "shuffled") == []


def test_packing_cuts_no_pair() -> None:
    tokenizer = train_bpe(TEXTS, 300)
    units = [["Guten Tag.\nGood day.", "eins\none"], ["zwei\ntwo"] * 5, ["drei " * 50 + "\nthree"], []]
    sizes = [[len(tokenizer.encode(f"{unit}\n", add_special_tokens=False)) for unit in part] for part in units]
    packed = pack(tokenizer, units, 32)
    assert packed.dropped == 1
    assert all(row["input_ids"][0] == tokenizer.bos_token_id and len(row["input_ids"]) <= 32 for row in packed.rows)
    assert packed.tokens == sum(map(sum, sizes[:2])) + len(packed.rows) + 2
    text = [tokenizer.decode(row["input_ids"], skip_special_tokens=True) for row in packed.rows]
    assert all(block.endswith("\n") for block in text)
    assert "".join(text) == "".join(f"{unit}\n" for part in units[:2] for unit in part)
    assert sum(row["input_ids"].count(tokenizer.eos_token_id) for row in packed.rows) == 2
    assert "labels" not in packed.rows[0]
    (row,) = pack(tokenizer, [["eins\none", "drei " * 50 + "\nthree"]], 32).rows
    assert row["input_ids"][-1] == tokenizer.eos_token_id  # although the last unit was dropped


# ------------------------------------------------------------------------------------------------------ instructions


def test_the_instruction_follows_the_source() -> None:
    assert method.translation_prompt("de", "en", "Hallo.") == (
        "Übersetze den folgenden Satz (Deutsch → Englisch):\nHallo.\n"
    )
    assert method.instruction("en", "zh") == "Translate the following sentence (English → Chinese):"
    assert method.instruction("zh-Hans", "en").startswith(INSTRUCTIONS["zh"])
    assert method.instruction("de", "fr", "target") == "Traduisez la phrase suivante (allemand → français):"
    assert method.instruction("de", "fr", "en") == "Translate the following sentence (German → French):"
    assert method.instruction("sw", "en") == "Translate the following sentence (Swahili → English):"
    assert len(INSTRUCTIONS) >= 12
    assert name("ta", "de") == "Tamil"
    assert name("zh", "zh") == "中文"


def test_the_loss_of_tuning_is_on_the_translation_alone() -> None:
    tokenizer = train_bpe(TEXTS, 300)
    part = miniature.Segment("0", "de", "en", "eins", "one two")
    (row,) = method.translation_rows(tokenizer, [part], "source")
    learnt = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != IGNORED]
    assert tokenizer.decode(learnt) == f"one two{tokenizer.eos_token}"
    assert row["input_ids"][0] == tokenizer.bos_token_id


# -------------------------------------------------------------------------------------------------- the vocabulary


def test_new_pieces_begin_as_the_mean_of_their_parts() -> None:
    tokenizer = train_bpe(TEXTS, 290)
    shape = tiny_llama(
        len(tokenizer), width=8, layers=1, heads=2, feed_forward=8, positions=16, tie_word_embeddings=False
    )
    model = loading.from_config(shape, seed=0)
    parts = tokenizer.encode("wx", add_special_tokens=False)
    with torch.no_grad():
        model.get_input_embeddings().weight[parts, :2] = torch.tensor([[1.0, 0], [1, 1]])
    before = model.get_input_embeddings().weight.detach().clone(), model.get_output_embeddings().weight.detach().clone()
    extended = method.extend_vocabulary(model, tokenizer, ["wx"] * 20, 5)
    (new,) = extended.encode("wx", add_special_tokens=False)
    for old, head in zip(before, (model.get_input_embeddings(), model.get_output_embeddings()), strict=True):
        assert len(head.weight) == len(extended)
        assert torch.allclose(head.weight[new], old[parts].mean(0))
        assert torch.equal(head.weight[: len(old)], old)
    assert model.get_input_embeddings().weight[new, :2].tolist() == [1, 0.5]


# --------------------------------------------------------------------------------------------------------- the world


@pytest.mark.parametrize("seed", [0, 3, 9])
def test_no_stage_reads_what_another_asks(seed: int) -> None:
    config = replace(PRESETS["tiny"], seed=seed)
    found = miniature.parts(config)
    keys = {part: {row["key"] for row in rows} for part, rows in found.items()}
    assert sum(map(len, keys.values())) == len(set().union(*keys.values()))
    assert [len(keys[part]) for part in ("test", "dev", "tuning")] == [100, 100, 50]
    english, other = miniature.languages(config)
    held_out = {row[code] for part in ("test", "dev", "tuning") for row in found[part] for code in (english, other)}
    read = {text for document in miniature.documents(config, "stage2", 200) for pair in document for text in pair}
    assert not held_out & read


def test_what_of_an_output_is_right() -> None:
    parts = [
        miniature.Segment(str(i), "en", "de", "-", text) for i, text in enumerate(["zwölf", "zwölf", "einhunderteins"])
    ]
    found = miniature.read_back(parts, ["einhundertzwölf", "zwölfzig", "einhunderteins"])
    assert list(found["well_formed"].values()) == [1, 0, 1]
    assert list(found["digits"].values()) == pytest.approx([2 / 3, 0, 1])


def test_without_stage_1_the_vocabulary_is_the_same_and_nothing_is_read(tmp_path: Path) -> None:
    config = replace(PRESETS["smoke"], bitext_as="nothing", seed=miniature.LANGUAGES.index("vi"))
    run = Run(tmp_path, "three_stage_mt", config, tmp_path / "stages")
    starts = [loading.load(str(miniature.started(replace(config, monolingual=on), run))) for on in (True, False)]
    assert starts[0][1].get_vocab() == starts[1][1].get_vocab()
    names = [row["vi"] for row in miniature.parts(config)["text"]]
    assert [starts[0][1].decode(ids) for ids in starts[0][1](names, add_special_tokens=False)["input_ids"]] == names
    weights = [model.get_input_embeddings().weight for model, _ in starts]
    assert not torch.equal(*weights)


def test_the_bitext_as_instructions_has_the_tokens_of_stage_2() -> None:
    config = replace(PRESETS["tiny"], aligning=replace(PRESETS["tiny"].aligning, steps=5))
    tokenizer = train_bpe([row[code] for row in miniature.parts(config)["text"] for code in ("en", "de")], 500)
    text = miniature.blocks(tokenizer, config)
    rows = method.translation_rows(tokenizer, miniature.pairs(miniature.parts(config)["text"], config), "source")
    settings = train.equal_tokens(config, text, rows)
    mean = sum(len(row["input_ids"]) for row in rows) / len(rows)
    tokens = sum(len(block["input_ids"]) for block in text)
    assert settings.steps == 5
    assert settings.steps * settings.batch_size * mean == pytest.approx(tokens, rel=0.1)


def test_settings_that_mean_nothing_are_refused() -> None:
    for values, message in (
        ({"languages": ("en", "en")}, "two different codes"),
        ({"base": "x"}, "needs languages and tuning"),
        ({"granularity": "block_0"}, "block_k"),
        ({"base": "x", "languages": ("en", "de"), "tuning": ("wmt20",)}, "needs bitext"),
        (
            {"base": "x", "languages": ("en", "de"), "tuning": ("wmt20",), "bitext": ("b",), "monolingual": False},
            "raw_base",
        ),
    ):
        with pytest.raises(UserError, match=message):
            Config(**values)


# ---------------------------------------------------------------------------------------------- own data and commands


def own(folder: Path) -> dict[str, str]:
    """Another model and another pair than the miniature's: Swahili and Amharic."""
    numbers = {"sw": ["moja", "mbili", "tatu", "nne"], "am": ["አንድ", "ሁለት", "ሦስት", "አራት"]}
    for code, words in numbers.items():
        (folder / f"talk.{code}.txt").write_text("\r\n".join([*words[:2], "", *words[2:]]) + "\r\n", encoding="utf-8")
    rows = [
        {"source": a, "target": b, "source_text": numbers[a][i], "target_text": numbers[b][i]}
        for i in range(4) for a, b in (("sw", "am"), ("am", "sw"))
    ]  # fmt: skip
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    tokenizer = train_bpe([word for words in numbers.values() for word in words] * 5, 280)
    shape = scratch_shape(len(tokenizer), replace(PRESETS["smoke"], width=16))
    loading.from_config(shape, seed=0).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return {name: str(folder / name) for name in ("talk.sw.txt", "talk.am.txt", "pairs.jsonl", "model")}


def test_own_documents_and_model(
    tmp_path: Path, command: Callable[..., Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = own(tmp_path)
    out = tmp_path / "interlinear.jsonl"
    use.main(
        ["interlinear", files["talk.sw.txt"], files["talk.am.txt"], "--languages", "sw", "am", "--out", str(out),
         "--order", "src_first", "--tokenizer", files["model"], "--length", "64"]
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "2 documents of 4 pairs" in said
    assert "am: " in said
    assert [json.loads(line)["text"] for line in out.read_text(encoding="utf-8").splitlines()] == [
        "moja\nአንድ\nmbili\nሁለት", "tatu\nሦስት\nnne\nአራት"
    ]  # fmt: skip
    with pytest.raises(SystemExit):
        use.main(["interlinear", files["talk.sw.txt"], files["talk.am.txt"], "--languages", "sw", "sw"])
    assert "name two different ones" in capsys.readouterr().err
    arguments = (
        "smoke", "--base", files["model"], "--languages", "sw", "am", "--bitext", files["talk.sw.txt"],
        files["talk.am.txt"], "--tuning", files["pairs.jsonl"], "--test", files["pairs.jsonl"],
    )  # fmt: skip
    command("papers.three_stage_mt.train", *arguments, cwd=tmp_path)
    command("papers.three_stage_mt.eval", *arguments, cwd=tmp_path)
    (trained,) = (tmp_path / "runs").rglob("artifact")
    monkeypatch.setattr("sys.stdin", (tmp_path / "talk.sw.txt").open(encoding="utf-8"))
    capsys.readouterr()
    use.main(["translate", "--model", str(trained), "--source", "sw", "--target", "am", "--max-new-tokens", "4"])
    assert len(capsys.readouterr().out.split("\n")) == 6


def test_the_adapters_of_the_paper_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"id": str(i), "translation": {"en": f"Sentence {i}.", "zh": f"句子{i}。"}} for i in range(12)]
    file = tmp_path / "news.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    config = replace(PRESETS["paper"], bitext=(str(file),), tuning=(str(file),), test=str(file))
    assert [len(document) for document in data.documents(config)] == [10, 2]
    monkeypatch.setattr(data, "official_test", lambda source, a, b, limit=None: [(source, a, b)])
    assert data.tuning(PRESETS["paper"])[:2] == [("wmt17", "en", "zh"), ("wmt17", "zh", "en")]
    assert {part.direction for part in data.tuning(config)} == {"en-zh"}
    with pytest.raises(UserError, match="no pair between"):
        data.tuning(replace(config, languages=("de", "fr")))


# -------------------------------------------------------------------------------------------------------------- smoke


def test_smoke(smoke: Callable[..., Any]) -> None:
    measured = smoke("three_stage_mt").measurement
    names = {"accuracy", "accuracy_out", "accuracy_back", "well_formed", "digits", "fitted"}
    names |= {"trivial_copy", "trivial_wrong_row"}
    assert names <= set(measured["metrics"])
    assert all("-" in unit and "/" in unit for unit in measured["units"]["accuracy"])
