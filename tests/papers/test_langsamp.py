"""LangSAMP: numbers of the official code, the encoder knows no ids, any head, tables apart, own files."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, DistilBertConfig, ElectraConfig, XLMRobertaConfig, XLMRobertaForMaskedLM

from core.errors import UserError
from core.models.loading import from_config, load, load_model
from core.models.vocabulary import adopt_tokenizer
from core.training.masking import Masking
from papers.langsamp import (
    Tables,
    attach,
    data,
    detach,
    donors,
    langsamp_loss,
    load_tables,
    miniature,
    neutrality,
    told,
)
from papers.langsamp.config import LANGUAGES, PRESETS, Config
from papers.langsamp.eval import as_trained, donor
from papers.langsamp.train import save_tables

IDS = torch.tensor([[0, 5, 6, 19, 2], [0, 7, 19, 9, 2]])
LABELS = torch.full_like(IDS, -100)
LABELS[0, 3], LABELS[1, 2] = 8, 11
OFFICIAL = {"language": "roberta.embeddings.lang_type_embeddings.weight"}
OFFICIAL["script"] = OFFICIAL["language"].replace("lang", "script")


def wave(parameter: torch.Tensor, name: str) -> None:
    """Values that depend on the official name of a parameter alone."""
    shift = sum(map(ord, name)) % 97
    values = 0.1 * torch.sin(0.37 * torch.arange(parameter.numel(), dtype=torch.float64) + shift)
    values += 1.0 if "LayerNorm.weight" in name or "layer_norm.weight" in name else 0.0
    parameter.data = values.reshape(parameter.shape).float()


def official(languages: int = 3, scripts: int = 2) -> XLMRobertaForMaskedLM:
    config = XLMRobertaConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=12, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-12,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, attn_implementation="eager",
    )  # fmt: skip
    model = XLMRobertaForMaskedLM(config).eval()
    tied = {"lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight"}
    for name, parameter in model.named_parameters():
        wave(parameter, tied.get(name, name))
    model.roberta.embeddings.token_type_embeddings.weight.data.zero_()  # the official model has none
    tables = Tables(8, [f"l{n}" for n in range(languages)], [f"s{n}" for n in range(scripts)])
    for side, name in OFFICIAL.items():
        if getattr(tables, side) is not None:
            wave(getattr(tables, side).weight, name)
    if languages or scripts:
        attach(model, tables)
    return model


def batch(languages: list[int], scripts: list[int]) -> dict[str, torch.Tensor]:
    ids = {"languages": torch.tensor(languages), "scripts": torch.tensor(scripts)}
    return {"input_ids": IDS, "attention_mask": torch.ones_like(IDS), "labels": LABELS, **ids}


@pytest.mark.parametrize(
    ("sizes", "ids", "loss"),
    [
        ((3, 2), ([1, 2], [0, 1]), 2.984072),
        ((3, 0), ([1, 2], [0, 1]), 3.015162),
        ((0, 2), ([1, 2], [0, 1]), 2.974326),
        ((0, 0), ([1, 2], [0, 1]), 3.006589),
        ((3, 2), ([0, 2], [0, 1]), 2.982718),
        ((3, 2), ([2, 2], [0, 1]), 2.980230),
    ],
)
def test_losses_of_the_official_code(sizes: tuple[int, int], ids: tuple[list[int], list[int]], loss: float) -> None:
    found = langsamp_loss(official(*sizes), batch(*ids))
    assert float(found.total / found.items) == pytest.approx(loss, abs=2e-6)


def test_logits_and_states_of_the_official_code() -> None:
    model = official()
    inputs = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS), "output_hidden_states": True}
    with told(model, model.langsamp(torch.tensor([1, 2]), torch.tensor([0, 1]))):
        output = model(**inputs)
    expected = [-0.06503, -0.12104, -0.05351, -0.05552]
    assert output.logits[0, 3, :4].tolist() == pytest.approx(expected, abs=1e-5)
    assert output.hidden_states[-1][0, 1, :3].tolist() == pytest.approx([-0.85069, 0.43266, 1.04443], abs=1e-5)
    assert sum(1 for _ in official(0, 0).parameters()) - 1 == 41  # less the row of token types
    assert sum(1 for _ in model.parameters()) - 1 == 43


@pytest.mark.parametrize("kind", [BertConfig, DistilBertConfig, ElectraConfig, XLMRobertaConfig])
def test_any_head_is_told_and_no_encoder(kind: Any) -> None:
    """The vectors reach the logits through the whole head; the states stay what they are, unless told at the input."""
    names = {"n_layers": 1, "n_heads": 2, "dim": 8, "hidden_dim": 16} if kind is DistilBertConfig else {}
    names |= {"embedding_size": 8} if kind is ElectraConfig else {}
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = from_config(
        kind(vocab_size=30, **(names if kind is DistilBertConfig else shape | names)), seed=0, task="masked-lm"
    ).eval()
    inputs = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS), "output_hidden_states": True}
    added = torch.randn(2, 1, 8)
    with torch.no_grad():
        plain = model(**inputs)
        with told(model, added):
            head = model(**inputs)
        with told(model, added, "input"):
            both = model(**inputs)
        again = model(**inputs)
    assert torch.equal(head.hidden_states[-1], plain.hidden_states[-1])
    assert not torch.allclose(head.logits, plain.logits)
    assert not torch.allclose(both.hidden_states[-1], plain.hidden_states[-1])
    assert torch.equal(again.logits, plain.logits)


def test_tables_are_trained_with_the_model_and_taken_out_whole(tmp_path: Path) -> None:
    model = official(0, 0)
    before = set(model.state_dict())
    attach(model, Tables(8, ("srp", "swh"), ("Latn", "Cyrl")))
    langsamp_loss(model, batch([0, 0], [0, 1])).total.backward()
    assert model.langsamp.language.weight.grad[1].abs().sum() == 0  # a language that the batch lacks
    assert model.langsamp.script.weight.grad.abs().sum(1).min() > 0
    tables = detach(model)
    assert set(model.state_dict()) == before
    save_tables(tables, tmp_path)
    found = load_tables(tmp_path)
    assert (found.languages, found.scripts, found.place) == (("srp", "swh"), ("Latn", "Cyrl"), "head")
    assert torch.equal(found.language.weight, tables.language.weight)
    with pytest.raises(UserError, match=r"no tables\.json"):
        load_tables(tmp_path / "elsewhere")


def test_ids_may_change_within_a_chunk() -> None:
    tables = Tables(4, ("a", "b"), ("x",))
    mixed = tables(torch.tensor([[0, 1, 1]]), torch.tensor([[0, 0, 0]]))
    assert mixed.shape == (1, 3, 4)
    assert torch.equal(mixed[0, 1:2], tables(torch.tensor([1]), torch.tensor([0]))[0])


def test_donors_are_the_languages_with_the_nearest_vectors() -> None:
    tables = Tables(2, ("a", "b", "c", "d"), ())
    tables.language.weight.data = torch.tensor([[1.0, 0.0], [2.0, 0.2], [0.0, 1.0], [-1.0, 0.0]])
    assert donors(tables, "a", ("c", "b", "d"), 3) == ["b", "c", "d"]
    assert donors(tables, "a", ("a", "d")) == ["d"]
    with pytest.raises(ValueError, match="'z' has no row"):
        donors(tables, "a", ("z",))


def test_neutrality_by_hand() -> None:
    """Two languages: with equal vectors all neutral, with vectors that tell the language alone not at all."""
    items = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    same = neutrality({"a": items, "b": items})
    assert set(same["pair_cosine"].values()) == {1.0}
    assert same["language_variance"] == {"a": 0.0, "b": 0.0}
    away = neutrality({"a": items * 0 + [1.0, 0.0], "b": items * 0 - [1.0, 0.0]})
    assert away["pair_cosine"] == {"a": -1.0, "b": -1.0}
    assert np.mean([*away["language_variance"].values()]) == pytest.approx(1.0)
    assert away["margin"] == {"a": 0.0, "b": 0.0}
    assert same["margin"]["a"] == pytest.approx(4 / 3)  # translations 1, other lines -1/3


def test_the_miniature_reads_other_numbers_in_every_language_and_keeps_some_from_all() -> None:
    config = replace(PRESETS["tiny"], lines=50)
    parts, reading = miniature.parts(config), miniature.reading(config)
    kept = {*parts["test"], *parts["dev"]}
    assert len(kept) == 200
    assert min(kept) >= 100
    assert len(parts["train"]) == 999 - 200
    assert not kept & {*parts["train"]}
    assert not kept & {number for read in reading.values() for number in read}
    assert len({tuple(read) for read in reading.values()}) == len(LANGUAGES) == 16
    tables = miniature.tables(config)
    assert len(tables.languages) == 15
    assert set(tables.scripts) == {"Latn", "Cyrl", "Grek"}
    assert tables.of["sr"][0] == tables.of["sr-Latn"][0]
    assert tables.of["sr"][1] != tables.of["sr-Latn"][1]


def test_the_base_is_told_translations() -> None:
    """The loss of masked words, and that of which line of the other half is the translation."""
    from core.models import scratch
    from core.training.masking import encode, masked_lm_loss

    model, tokenizer = scratch.masked_lm(["uno dos", "один два"], pieces=0, width=8, heads=2)
    assert len(tokenizer.tokenize("uno два")) == 2
    rows = encode(tokenizer, ["uno", "dos", "один", "два"])
    batch = Masking(tokenizer, rate=0.5)(rows, np.random.default_rng(0))
    found, modelling = miniature.translations_told(model, batch), masked_lm_loss(model, batch)
    contrast = float(found.logs["contrast"])
    assert found.items == 2
    assert float(found.total) == pytest.approx(2 * float(modelling.total) / modelling.items + contrast, rel=1e-5)
    same = {name: value[[0, 0, 1, 1]] for name, value in batch.items()}
    # Two lines twice: which of the two is meant cannot be told.
    assert float(miniature.translations_told(model, same).logs["contrast"]) == pytest.approx(2 * math.log(2), rel=1e-5)


def test_only_an_encoder_that_was_told_at_its_input_is_told_when_it_is_measured() -> None:
    model = official(0, 0)
    tables = {place: Tables(8, ("a", "b"), ("x",), place=place, std=1.0) for place in ("head", "input")}
    inputs = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS), "output_hidden_states": True}

    def states(found: Tables | None, language: int) -> torch.Tensor:
        with torch.no_grad(), as_trained(model.roberta, found, (language, 0)):
            return model.roberta(**inputs).hidden_states[-1]

    plain = states(None, 0)
    assert torch.equal(states(tables["head"], 1), plain)
    assert not torch.allclose(states(tables["input"], 0), plain)
    assert not torch.allclose(states(tables["input"], 0), states(tables["input"], 1))


def test_a_donor_is_read_in_the_script_of_the_target() -> None:
    names = miniature.tables(replace(PRESETS["tiny"], languages=("hr", "sr-Latn", "sr", "mk")))
    tables = Tables(2, names.languages, names.scripts)
    tables.language.weight.data = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 0.3]])  # hr, sr, mk
    chosen = {code: donor(tables, code, names) for code in names.of}
    assert chosen == {"hr": "sr-Latn", "mk": "sr", "sr": "hr", "sr-Latn": "hr"}


def test_chunks_have_one_length_and_one_language_each(smoke: Callable[[str], Any]) -> None:
    tokenizer = load(smoke("langsamp").path / "artifact", task="masked-lm").tokenizer
    tables = data.names(["spa_Latn", "rus_Cyrl"])
    texts = {"spa_Latn": ["dos mil tres"] * 40, "rus_Cyrl": ["три тысячи"] * 3}
    chunks = data.chunked(tokenizer, texts, tables, 16)
    assert {len(row["input_ids"]) for row in chunks["spa_Latn"]} == {16}
    assert all(row["input_ids"][0] == tokenizer.bos_token_id for rows in chunks.values() for row in rows)
    assert {row["languages"] for row in chunks["rus_Cyrl"]} == {1}
    drawn = data.sampled(chunks, 400, 0.0, seed=0)
    assert 150 < sum(row["languages"] for row in drawn) < 250  # alpha 0: as often as each other
    rows, rng = drawn[:8], np.random.default_rng(0)
    made = data.Chunks(Masking(tokenizer))(rows, rng)
    assert made["languages"].tolist() == [row["languages"] for row in rows]
    null = data.Chunks(Masking(tokenizer), shuffled=True)(rows, np.random.default_rng(0))
    assert sorted(null["languages"].tolist()) == sorted(made["languages"].tolist())
    with pytest.raises(UserError, match="rus_Cyrl has no text"):
        data.chunked(tokenizer, {"rus_Cyrl": []}, tables, 16)
    with pytest.raises(UserError, match="is not <language>_<Script>"):
        data.names(["swahili"])


def test_glot500_is_read_in_its_published_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def read_rows(address: str, **options: Any) -> list[dict[str, str]]:
        asked.append(address)
        return [{"text": "Habari za asubuhi", "script": "Latn"}]

    monkeypatch.setattr(data.by_script, "read_rows", read_rows)
    found = data.read(replace(PRESETS["paper"], languages=("swh_Latn",)))
    assert list(found["swh_Latn"]) == ["Habari za asubuhi"]
    assert asked == ["cis-lmu/Glot500#swh_Latn@train"]
    with pytest.raises(UserError, match="Name the languages"):
        data.read(PRESETS["paper"])


def test_another_tokenizer_keeps_the_vectors_of_known_tokens() -> None:
    from core.models import scratch

    model, old = scratch.masked_lm(["uno dos tres", "cuatro cinco"], pieces=30)
    _, new = scratch.masked_lm(["один два три", "uno dos"], pieces=30)
    before = model.get_input_embeddings().weight.detach().clone()
    assert adopt_tokenizer(model, old, new) is new
    after = model.get_input_embeddings().weight
    assert len(after) == len(new)
    assert torch.equal(after[new.mask_token_id], before[old.mask_token_id])
    shared = [token for token in new.get_vocab() if token in old.get_vocab()]
    assert len(shared) > 5
    assert all(torch.equal(after[new.get_vocab()[token]], before[old.get_vocab()[token]]) for token in shared)


def test_the_smoke_run_ships_an_ordinary_encoder(smoke: Callable[[str], Any]) -> None:
    run = smoke("langsamp")
    encoder = load_model(run.path / "artifact", task="encoder")
    assert not any("langsamp" in name for name in encoder.state_dict())
    tables = load_tables(run.path / "artifact")
    assert tables.languages == ("en", "sr")
    assert 0 < run.measurement["metrics"]["masked_loss"] < 2 * math.log(180)
    assert set(run.measurement["details"]["donors"]) == {"en", "sr", "sr-Latn"}
    assert run.measurement["metrics"]["trivial_other_lines"] <= 1 / 9


def test_own_texts_on_another_model(command: Callable[..., Any], tmp_path: Path) -> None:
    """The page's example with a script that the miniature lacks, Windows line ends and an empty line."""
    from core.models import scratch

    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "hau_Latn.txt").write_text("Ina kwana lafiya\r\n\r\nNa gode sosai\r\n" * 20, encoding="utf-8", newline="")
    (texts / "amh_Ethi.txt").write_text("ሰላም ነው\nአመሰግናለሁ\n" * 20, encoding="utf-8")
    model, tokenizer = scratch.masked_lm(["Ina kwana lafiya Na gode sosai", "ሰላም ነው አመሰግናለሁ"], pieces=40)
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    arguments = ["paper", "--base", str(tmp_path / "base"), "--tokenizer", "", "--corpus", str(texts)]
    arguments += ["--out", str(tmp_path / "mine")]
    arguments += ["--training.steps", "2", "--training.batch-size", "4", "--training.max-length", "12", "--quiet"]
    assert command("papers.langsamp.train", *arguments, cwd=tmp_path).code == 0
    found = command(
        "papers.langsamp.use", "donors", "--tables", str(tmp_path / "mine" / "artifact"), "--target", "hau",
        cwd=tmp_path,
    )  # fmt: skip
    assert found.out.split() == ["amh"]
    lines = tmp_path / "lines.tsv"
    lines.write_text("ha\tam\nIna kwana\tሰላም\nNa gode\tአመሰግናለሁ\nSosai\tነው\n", encoding="utf-8")
    model_folder = str(tmp_path / "mine" / "artifact")
    found = command("papers.langsamp.use", "neutrality", str(lines), "--model", model_folder, cwd=tmp_path)
    assert found.out.splitlines()[0].split("\t")[:3] == ["language", "pair_cosine", "margin"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_lang": False, "use_script": False, "shuffled": True}, "nothing to place"),
        ({"trained": False}, "has no vectors"),
        ({"base": "x"}, "belong together"),
        ({"tokenizer": "x"}, "needs a base"),
    ],
)
def test_settings_that_mean_nothing(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Config(**changes)
