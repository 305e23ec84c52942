"""TransliCo: exact numbers of the official code, invariants, the world's splits, adapters, verbs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModel, BertConfig, BertForMaskedLM

from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.entrypoint import execute
from core.experiment.run import Measurement, Run, temporary
from core.models import loading
from core.models.embedding import pool
from core.models.scratch import masked_lm
from core.text.normalize import fold
from core.training.masking import masked_lm_loss
from core.worlds.messages import skeleton
from papers.translico import (
    PAPER,
    TransliCo,
    TwoSides,
    data,
    finetune,
    miniature,
    nt_xent,
    pair,
    script_barrier,
    tune,
    use,
)
from papers.translico.config import PRESETS, VARIANTS, Config, workload
from papers.translico.eval import evaluate
from papers.translico.method import TRAINING, Pair, contrast_layer, partners
from papers.translico.train import train

GEORGIAN = ["დილა მშვიდობისა", "როგორ ხარ", "გმადლობთ ძალიან", "ნახვამდის", "სად არის სადგური", "რა ღირს ეს"]


@pytest.fixture(scope="module")
def small() -> loading.Loaded:
    """An untrained encoder that reads Georgian and Latin letters: of another size than the miniature's."""
    lines = [*GEORGIAN, *(row["transliteration"] for row in pair(GEORGIAN))]
    return masked_lm(lines * 3, pieces=100, layers=4, width=16, heads=2, longest=24)


# --- parity with the official code -----------------------------------------------------------------------------------


def test_the_contrastive_loss_has_the_official_values() -> None:
    u, v = torch.tensor([[1.0, 0], [0, 1], [1, 1]]), torch.tensor([[1.0, 0.5], [0, 1], [0.5, 1]])
    assert nt_xent(u, v).loss.item() == pytest.approx(0.670599, abs=1e-6)
    assert nt_xent(u, v, 0.5).loss.item() == pytest.approx(0.592712, abs=1e-6)
    same = torch.eye(2)
    assert nt_xent(same, same).loss.item() == pytest.approx(0.275722, abs=1e-6)
    assert nt_xent(same, same).loss.item() == pytest.approx(0.5 * math.log(1 + 2 / math.e))
    assert partners(6).tolist() == [1, 0, 3, 2, 5, 4]


def test_states_are_averaged_over_the_mask() -> None:
    four = torch.tensor([[[1.0, 2], [3, 4], [5, 6], [7, 8]]])
    assert pool(four, torch.tensor([[0, 1, 1, 0]])).tolist() == [[4, 5]]
    four = torch.tensor([[[1.0, 1], [2, 2], [3, 3], [4, 4]]])
    assert pool(four, torch.tensor([[0, 1, 0, 0]])).tolist() == [[2, 2]]


@pytest.mark.parametrize("pairs", [2, 5, 24])
def test_equal_vectors_cost_half_the_logarithm_of_all_others(pairs: int) -> None:
    vectors = torch.ones(pairs, 3)
    assert nt_xent(vectors, vectors).loss.item() == pytest.approx(0.5 * math.log(2 * pairs - 1))


def test_the_total_is_both_language_models_and_a_weighted_contrast(small: loading.Loaded) -> None:
    """CE(x) + CE(z) + lambda * TCM, each CE the mean over its own masked tokens; by an independent computation."""
    model, tokenizer = small
    batch = TwoSides(tokenizer, 24, 0.5)(pair(GEORGIAN), np.random.default_rng(0))
    loss = TransliCo(3, 0.5)(model, batch)
    wanted, vectors = 0.0, []
    for side in (batch["text"], batch["transliteration"]):
        given = {name: side[name] for name in ("input_ids", "attention_mask")}
        output = model(**given, labels=side["labels"], output_hidden_states=True)
        wanted += output.loss.item()
        keep = (1 - side["special_tokens_mask"]).float()[..., None]
        vectors.append((output.hidden_states[3] * keep).sum(1) / keep.sum(1))
    u, v = vectors
    rows = torch.stack([u, v], 1).reshape(-1, u.shape[1]).detach()
    products = rows @ rows.T
    each = [
        math.log(sum(math.exp(float(products[r, c])) for c in range(len(rows)) if c != r)) - float(products[r, r ^ 1])
        for r in range(len(rows))
    ]
    wanted += 0.5 * 0.5 * sum(each) / len(each)
    assert loss.total.item() / loss.items == pytest.approx(wanted, rel=1e-5)
    alone = TransliCo(3, 0.5, lm_weight=0.0)(model, batch).total.item() / len(GEORGIAN)
    assert alone == pytest.approx(0.25 * sum(each) / len(each), rel=1e-5)
    assert loss.logs["mlm"].item() / loss.items == pytest.approx(
        sum(
            one.total.item() / one.items
            for one in (masked_lm_loss(model, batch[side]) for side in batch if side != "real_tokens")
        )
    )


# --- invariants ------------------------------------------------------------------------------------------------------

VECTORS = st.lists(st.lists(st.floats(-3, 3), min_size=3, max_size=3), min_size=2, max_size=6)


@given(VECTORS, st.randoms())
def test_neither_order_nor_side_matters(rows: list[list[float]], random: Any) -> None:
    u = torch.tensor(rows)
    v = u.flip(1) + 1
    order = random.sample(range(len(u)), len(u))
    loss = nt_xent(u, v).loss
    assert torch.allclose(nt_xent(v, u).loss, loss, atol=1e-4)
    assert torch.allclose(nt_xent(u[order], v[order]).loss, loss, atol=1e-4)


def test_a_pair_that_agrees_costs_less_than_a_shuffled_one() -> None:
    u = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)) * 3
    right, wrong = nt_xent(u, u), nt_xent(u, u.roll(1, 0))
    assert right.loss < wrong.loss
    assert wrong.accuracy == 0
    far = 4 * torch.eye(8)
    assert nt_xent(far, far).accuracy == 1


def test_both_sides_are_masked_apart_and_pooled_by_what_they_were(small: loading.Loaded) -> None:
    tokenizer = small.tokenizer
    batch = TwoSides(tokenizer, 24, 0.5)(pair(GEORGIAN), np.random.default_rng(0))
    text, other = batch["text"], batch["transliteration"]
    masked = text["input_ids"] == tokenizer.mask_token_id
    assert masked.any()
    assert not (masked & text["special_tokens_mask"].bool()).any(), "masked tokens are pooled"
    assert bool((text["special_tokens_mask"][:, 0] == 1).all())
    assert int(batch["real_tokens"].sum()) == int(text["attention_mask"].sum() + other["attention_mask"].sum())
    uneven = TwoSides(tokenizer, 24)([Pair(text=GEORGIAN[0], transliteration="d")] * 2, np.random.default_rng(0))
    assert uneven["text"]["input_ids"].shape[1] > uneven["transliteration"]["input_ids"].shape[1]
    twins = [Pair(text=line, transliteration=line) for line in GEORGIAN]
    batch = TwoSides(tokenizer, 24, 0.5)(twins, np.random.default_rng(0))
    assert not torch.equal(batch["text"]["labels"], batch["transliteration"]["labels"])


def test_pairs_that_are_romanised_alike_are_no_negatives(small: loading.Loaded) -> None:
    rows = [Pair(text="Немачка", transliteration="Nemacka"), Pair(text="Nemačka", transliteration="nemacka")]
    rows += pair(GEORGIAN[:2])
    collate = TwoSides(small.tokenizer, 24)
    assert len(collate(rows, np.random.default_rng(0))["text"]["input_ids"]) == 3
    alone = collate(rows[:2], np.random.default_rng(0))
    assert TransliCo(2)(small.model, alone).total.isfinite()


def test_padding_changes_no_vector_and_unknown_text_is_pooled_whole(small: loading.Loaded) -> None:
    model, tokenizer = small
    collate = TwoSides(tokenizer, 24)
    rows = [*pair(GEORGIAN[:2]), Pair(text="漢", transliteration="x")]
    loss = TransliCo(2, lm_weight=0.0)(model, collate(rows, np.random.default_rng(1)))
    assert loss.total.isfinite()
    with torch.no_grad():
        short = tokenizer([GEORGIAN[1]], return_tensors="pt")
        both = tokenizer(GEORGIAN[:2], return_tensors="pt", padding=True)
        alone, padded = (
            pool(model(x["input_ids"], x["attention_mask"], output_hidden_states=True).hidden_states[2],
                 x["attention_mask"])
            for x in (short, both)
        )  # fmt: skip
    assert torch.allclose(alone[0], padded[1], atol=1e-5)


def test_layers_lie_at_two_thirds_of_the_depth() -> None:
    assert [contrast_layer(BertConfig(num_hidden_layers=n)) for n in (1, 2, 3, 6, 12, 24)] == [1, 1, 2, 4, 8, 16]


def test_what_cannot_be_romanised_is_dropped() -> None:
    assert pair(["  да ", "", "♥"], {"д": "d", "а": "a", "♥": ""}) == [{"text": "да", "transliteration": "da"}]


# --- tuning ----------------------------------------------------------------------------------------------------------


def test_tuning_pulls_pairs_together(small: loading.Loaded) -> None:
    """Another language and architecture than the miniature's: Georgian, BERT."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    tokenizer = small.tokenizer
    model = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **sizes))
    before = script_barrier(model.eval(), tokenizer, pair(GEORGIAN))
    quick = replace(TRAINING, steps=40, batch_size=6, learning_rate=3e-3)
    assert finetune(model, tokenizer, GEORGIAN, layer=1, settings=quick) is model
    after = script_barrier(model, tokenizer, pair(GEORGIAN))
    assert len(before) == len(after) == 3
    assert after[1].own - after[1].others > before[1].own - before[1].others + 0.1
    assert after[1].found == 1


@pytest.mark.parametrize(("layer", "batch", "message"), [(9, 6, "no layer 9"), (2, 1, "nothing to be contrasted")])
def test_what_cannot_be_tuned_is_refused(small: loading.Loaded, layer: int, batch: int, message: str) -> None:
    settings = replace(TRAINING, steps=1, batch_size=batch)
    with temporary("translico") as run, pytest.raises(UserError, match=message):
        tune(*small, pair(GEORGIAN), settings, run, TransliCo(layer))


def test_a_sentence_that_is_its_own_transliteration_has_no_barrier(small: loading.Loaded) -> None:
    rows = [Pair(text=line, transliteration=line) for line in GEORGIAN]
    for layer in script_barrier(*small, rows):
        assert (round(layer.own, 5), layer.found) == (1, 1)
        assert layer.script == pytest.approx(0, abs=1e-9)
    with pytest.raises(UserError, match="at least two"):
        script_barrier(*small, rows[:1])


# --- the tiny world --------------------------------------------------------------------------------------------------

SMALL = replace(PRESETS["smoke"], lines=0)


@pytest.mark.parametrize("split", ["test", "dev"])
def test_nothing_that_is_measured_is_read_before(split: Any) -> None:
    world = miniature.world(replace(SMALL, split=split))
    tests = {fold(name.words[0]) for found in world.names["test"].values() for name in found}
    for code, lines in world.text.items():
        read = {skeleton(line) for line in lines}
        assert not read & {skeleton(line) for line in world.messages[code]}
        assert not read & {skeleton(name.words[0]) for name in world.names["test"][code]}
        assert not {fold(name.words[0]) for name in world.names["train"][code]} & tests
    assert len({len(lines) for lines in world.messages.values()}) == 1
    other = miniature.world(replace(SMALL, split="dev" if split == "test" else "test"))
    for code in SMALL.languages:
        assert not {*world.messages[code]} & {*other.messages[code]}
        assert not {*world.names["test"][code]} & {*other.names["test"][code]}


def test_scripts_and_the_group() -> None:
    tiny = PRESETS["tiny"].languages
    assert "".join("L" if miniature.is_latin(code) else "C" for code in tiny) == "LLLLLLCCCCCC"
    assert [code for code in tiny if miniature.in_group(code)] == ["hr", "sr-Latn", "sl", "sr", "mk", "bg"]


def test_every_arm_has_its_partners() -> None:
    lines, plain = [f"строка {n}" for n in range(30)], Config()
    romanize = str.upper
    own, shuffled = (data.arranged(lines, romanize, replace(plain, partner=name)) for name in ("own", "shuffled"))
    assert all(row["transliteration"] == row["text"].upper() for row in own)
    assert not any(row["transliteration"] == row["text"].upper() for row in shuffled)
    assert sorted(row["transliteration"] for row in shuffled) == sorted(row["transliteration"] for row in own)


def test_arms_choose_their_languages(smoke: Callable[[str], Any], tmp_path: Path) -> None:
    run = Run(tmp_path, "translico", PRESETS["smoke"], smoke("translico").stages)
    text = miniature.world(PRESETS["smoke"]).text
    for changes, codes in (
        ({}, "hr sr-Latn sr mk"),
        ({"latin": False}, "sr mk"),
        ({"group": "one"}, "hr sr-Latn sr mk"),
    ):
        wanted = {line for code in codes.split() for line in text[code]}
        assert {row["text"] for row in data.pairs(replace(PRESETS["smoke"], **changes), run)} <= wanted


@pytest.mark.parametrize("variant", ["full", "source"])
def test_smoke(variant: str, tmp_path: Path, smoke: Callable[[str], Any]) -> None:
    config = with_variant(PRESETS["smoke"], VARIANTS, variant)
    run = Run(tmp_path / "run", "translico", config, smoke("translico").stages, quiet=True).open()
    execute(train, run, "train")
    measurement = execute(evaluate, run, "eval")
    assert isinstance(measurement, Measurement)
    wanted = {check.metric for check in PAPER.judged} | {premise.metric for premise in PAPER.premises}
    assert wanted <= set(measurement.metrics)
    assert set(measurement.units["acc1_cross"]) == {f"{a}/{b}" for a in ("sr", "mk") for b in ("hr", "sr-Latn")}
    assert set(measurement.units["f1_cross"]) == set(measurement.units["margin_own"]) == {"sr", "mk"}
    assert not (run.path / "transfer").exists()
    if variant == "full":
        model = AutoModel.from_pretrained(run.artifact)
        assert model.config.architectures == ["XLMRobertaForMaskedLM"]


# --- the paper's scale -----------------------------------------------------------------------------------------------


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_corpus_is_read_by_language_and_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "c" / "hin_Deva.txt", "नमस्ते\nधन्यवाद\n\n")
    write(tmp_path / "c" / "eng_Latn.txt", "good day\n")
    write(tmp_path / "c" / "rus_Cyrl.txt", "да\n")
    config = replace(PRESETS["paper"], corpus=str(tmp_path / "c"), fraction=1.0)
    run = Run(tmp_path / "run", "translico", config, tmp_path / "stages")
    rows = [dict(row) for row in data.pairs(config, run)]
    assert rows[0] == {"text": "good day", "transliteration": "good day"}
    assert {"text": "नमस्ते", "transliteration": "namaste"} in rows
    assert len(rows) == 4
    for changes, codes in (({"latin": False}, ["hin_Deva", "rus_Cyrl"]), ({"group": "one"}, ["hin_Deva"])):
        assert [code for code, _ in data._languages(replace(config, **changes))] == codes
    write(tmp_path / "d" / "eng_Latn.txt", "good day\n")
    with pytest.raises(UserError, match="no language of that group"):
        list(data._languages(replace(config, corpus=str(tmp_path / "d"), latin=False)))
    with pytest.raises(UserError, match="does not exist"):
        list(data._languages(replace(config, corpus=str(tmp_path / "e"))))
    monkeypatch.setattr(data.by_script, "_hub_subsets", lambda: ["hin_Deva", "eng_Latn"])
    asked: list[str] = []
    monkeypatch.setattr(data.by_script, "read_rows", lambda name, **_: asked.append(name) or [{"text": "धन्यवाद"}])
    assert [row["text"] for row in data._corpus(replace(config, corpus="glot500"))] == ["धन्यवाद"] * 2
    assert asked == ["cis-lmu/Glot500#hin_Deva@train", "cis-lmu/Glot500#eng_Latn@train"]


def test_the_paper_preset_is_the_launch_script() -> None:
    config = PRESETS["paper"]
    training = config.training
    assert (config.base, config.fraction, config.layer) == ("cis-lmu/glot500-base", 0.05, 8)
    assert (config.contrast_weight, TransliCo(8).temperature, config.latin) == (0.5, 1.0, True)
    assert (training.micro_batch_size, training.batch_size) == (24, 4 * 24 * 8)
    assert (training.epochs, training.learning_rate, training.schedule, training.warmup) == (2, 2e-5, "linear", 0)
    assert (training.weight_decay, training.max_grad_norm, training.save_every) == (0, 1, 2000)
    from core.cost.plan import plan

    assert plan(workload(config), gpus=4).costs[0].parameters.total == pytest.approx(395e6, rel=0.01)


def test_settings_that_mean_nothing_are_refused() -> None:
    for bad in ({"contrast_weight": 0, "lm_weight": 0}, {"base": "x"}, {"corpus": "glot500"}):
        with pytest.raises(UserError):
            override(Config(), bad)


# --- use -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mine(tmp_path: Path, small: loading.Loaded) -> Path:
    small.model.save_pretrained(tmp_path / "mine")
    small.tokenizer.save_pretrained(tmp_path / "mine")
    return tmp_path / "mine"


def test_verbs_tune_see_and_search(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = write(tmp_path / "ka.txt", "\r\n".join([*GEORGIAN, "", "გრძელი " * 40]))
    pairs = write(tmp_path / "gold.jsonl", json.dumps({"text": "დიახ", "transliteration": "diax"}) + "\n")
    out = str(tmp_path / "out")
    use.main(["tune", str(lines), str(pairs), "--model", str(mine), "--batch-size", "4", "--epochs", "1", "--out", out])
    assert "8 pairs, 2 steps, layer 3" in capsys.readouterr().out
    use.main(["barrier", str(lines), "--models", str(mine), out])
    printed = capsys.readouterr().out
    assert len(re.findall(r"^ +\d ", printed, re.MULTILINE)) == 2 * 5
    latin = write(tmp_path / "latin.txt", "\n".join(row["transliteration"] for row in pair(GEORGIAN)))
    georgian = write(tmp_path / "six.txt", "\n".join(GEORGIAN))
    given = ["search", "--queries", str(latin), "--documents", str(georgian), "--models", str(mine), out]
    use.main(given)
    assert len(re.findall(r"^    -?\d\.\d{3}  \S", capsys.readouterr().out, re.MULTILINE)) == 6 * 3 * 2
    nothing = write(tmp_path / "nothing.txt", "\n\n")
    odd = write(tmp_path / "odd.jsonl", '{"sentence": "x"}\n')
    for arguments, message in (
        (["tune", str(lines), "--model", str(mine), "--out", out], "is there already"),
        (["tune", str(nothing), "--model", str(mine), "--out", str(tmp_path / "x")], "has no sentence"),
        (["tune", str(odd), "--model", str(mine), "--out", str(tmp_path / "x")], "row 1: there is no column"),
        (["tune", str(pairs), "--model", str(mine), "--out", str(tmp_path / "x")], "at least two pairs"),
        (["tune", str(lines), "--model", str(mine), "--layer", "7", "--out", str(tmp_path / "x")], "no layer 7"),
        (["barrier", str(pairs), "--models", str(mine)], "at least two"),
        (["search", "--queries", str(nothing), "--documents", str(lines), "--models", str(mine)], "has no line"),
    ):
        with pytest.raises(SystemExit, match="2"):
            use.main(arguments)
        assert message in capsys.readouterr().err


def test_the_example_of_the_page_runs(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an untrained model in the place of the page's."""
    page = (PAPER.folder / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "urdu.txt", "\n".join(GEORGIAN))
    write(tmp_path / "hindi.txt", "\n".join(row["transliteration"] for row in pair(GEORGIAN)))
    monkeypatch.setattr(loading, "load", lambda *_, load=loading.load, **options: load(mine, **options))
    names: dict[str, Any] = {}
    exec(code, names)
    assert (tmp_path / "tuned" / "model.safetensors").exists()
