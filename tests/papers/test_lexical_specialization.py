"""Lexical specialization: parity with the official code, the tiny world without leaks, verbs, the paper's files."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.run import Run
from core.models import loading
from core.models.embedding import pool
from core.tasks.lexicon import induce
from core.training.config import TrainingConfig
from core.worlds.concepts import apart, held_out, names
from papers.lexical_specialization import PAPER, data, miniature, use
from papers.lexical_specialization.config import PRESETS, VARIANTS, Config, workload
from papers.lexical_specialization.eval import evaluate, searched, trivial
from papers.lexical_specialization.inputs import Constraint, collate, sequences
from papers.lexical_specialization.method import (
    OBJECTIVES,
    contrast,
    encode_words,
    nt_xent,
    row_weights,
    similarities,
    specialize,
    sup_con,
)
from papers.lexical_specialization.train import train

E = torch.tensor([[1, 0, 0], [0.8, 0.6, 0], [0, 1, 0], [0, 0.6, 0.8], [0, 0, 1], [0.6, 0, 0.8]])
PAIRED, DOUBLE = [0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 2, 2]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> loading.Loaded:
    folder = tmp_path_factory.mktemp("toy")
    miniature.toy(folder)
    return loading.load(folder, task="encoder", dtype="float32")


# --- parity with the official code -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "temperature", "of_pairs", "of_anchors"),
    [
        (PAIRED, 0.07, 0.7787995, 0.7787995),
        (PAIRED, 0.5, 1.0872346, 1.0872346),
        (DOUBLE, 0.07, 3.0085645, 3.6994350),
        (DOUBLE, 0.5, 1.1127917, 1.4961234),
    ],
)
def test_losses_are_those_of_pytorch_metric_learning(labels, temperature, of_pairs, of_anchors) -> None:
    for objective, value in ((nt_xent, of_pairs), (sup_con, of_anchors)):
        found = objective(similarities(E), torch.tensor(labels), temperature)
        assert found.mean().item() == pytest.approx(value, abs=2e-6)


def test_csls_of_a_batch_is_that_of_the_official_code() -> None:
    found = similarities(E, "csls")
    assert found[0].tolist() == pytest.approx([1.44, 0.872, -0.52, -0.76, -0.60, 0.416], abs=1e-6)
    assert nt_xent(found, torch.tensor(PAIRED), 0.07).mean().item() == pytest.approx(1.0705783, abs=2e-6)


def test_rows_are_drawn_as_the_official_sampler_does() -> None:
    langs = [("en", "de")] * 6 + [("de", "en")] * 2 + [("en", "sw"), ("sw", "sw")]
    rows = [Constraint(str(n), "a", one, "b", other) for n, (one, other) in enumerate(langs)]
    assert row_weights(rows, 0.5) == pytest.approx([0.07322331] * 8 + [0.20710678] * 2, abs=1e-7)
    assert row_weights(rows, 1) == pytest.approx([0.1] * 10)
    # There pairs without a row count too, which halves all weights; a sampler looks at their ratios.
    assert [weight / 2 for weight in row_weights(rows, 0)] == pytest.approx([0.02083333] * 8 + [0.16666667] * 2)


def test_words_are_pooled_over_their_own_subwords(toy: loading.Loaded) -> None:
    states = torch.arange(24.0).reshape(2, 4, 3)
    inner = torch.tensor([[0, 1, 1, 0], [0, 1, 0, 0]])  # of four and three tokens, <s> and </s> among them
    assert pool(states, inner).tolist() == [[4.5, 5.5, 6.5], [15, 16, 17]]
    words = ["dog", "лампочка", "犬", "hot beverage"]
    found = encode_words(*toy, words, (0, 1, -1))
    for number, word in enumerate(words):
        ids = toy.tokenizer(word, return_tensors="pt")
        with torch.no_grad():
            hidden = toy.model(**ids, output_hidden_states=True).hidden_states
        for layer, vectors in zip((0, 1, -1), found, strict=True):
            wanted = hidden[layer][0, 1:-1].sum(0) / (ids["input_ids"].shape[1] - 2)
            assert torch.allclose(vectors[number], wanted, atol=1e-5)


def test_reciprocal_ranks_by_hand() -> None:
    vectors = {
        "xx": torch.tensor([[1.0, 0], [0, 1], [1, 1]]),
        "yy": torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [-1, 0]]),
    }
    gold = {"a": {"xx": [0], "yy": [0]}, "b": {"xx": [1], "yy": [2]}, "c": {"xx": [2], "yy": [2]}}
    found = induce(vectors, gold, ["xx"], ["yy"])
    assert found == {"xx/a": 1.0, "xx/b": 0.5, "xx/c": 1.0}
    assert np.mean(list(found.values())) == pytest.approx(0.8333, abs=1e-4)
    assert np.mean([value == 1 for value in found.values()]) == pytest.approx(0.6667, abs=1e-4)


# --- the losses by their definition -----------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.lists(st.integers(0, 3), min_size=1, max_size=5), st.sampled_from([0.07, 1.0]))
def test_losses_are_what_their_equations_say(seed: int, synsets: list[int], temperature: float) -> None:
    labels = torch.tensor(synsets).repeat_interleave(2)
    s = similarities(torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(seed)).double())
    e = (s / temperature).exp()
    everyone = range(len(labels))
    pairs, anchors = [], []
    for a in everyone:
        positives = [p for p in everyone if p != a and labels[p] == labels[a]]
        negative = sum((e[a, n] for n in everyone if labels[n] != labels[a]), torch.tensor(0.0))
        others = sum(e[a, k] for k in everyone if k != a)
        pairs += [-math.log(e[a, p] / (e[a, p] + negative)) for p in positives]
        anchors.append(-sum(math.log(e[a, p] / others) for p in positives) / len(positives))
    assert nt_xent(s, labels, temperature).tolist() == pytest.approx(pairs, abs=1e-6)
    assert sup_con(s, labels, temperature).tolist() == pytest.approx(anchors, abs=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_batch_without_negatives_moves_nothing_to_nan(objective) -> None:
    vectors = torch.randn(4, 3, requires_grad=True)
    OBJECTIVES[objective](similarities(vectors), torch.zeros(4), 0.07).sum().backward()
    assert vectors.grad is not None
    assert vectors.grad.isfinite().all()


# --- what is read -----------------------------------------------------------------------------------------------------

ROW = Constraint("n1", "dog", "en", "犬", "ja", "a tame animal", "動物")


def test_what_is_read_and_what_is_pooled(toy: loading.Loaded) -> None:
    read = toy.tokenizer
    row = Constraint("n1", "dog", "en", "chien", "fr", "an animal", "un animal")
    alone, with_gloss = (sequences(read, row, 64, glosses=glosses) for glosses in (False, True))
    assert alone["ids"] == [read("dog").input_ids, read("chien").input_ids]
    for number, (word, gloss) in enumerate((("dog", "an animal"), ("chien", "un animal"))):
        text = f"<s> {word}</s></s> {gloss}</s>"
        assert with_gloss["ids"][number] == read(text, add_special_tokens=False).input_ids
        own = read(word, add_special_tokens=False).input_ids
        for found in (alone, with_gloss):
            pairs = zip(found["ids"][number], found["word"][number], strict=True)
            assert [token for token, pooled in pairs if pooled] == own


def test_a_batch_has_every_word_with_the_label_of_its_synset(toy: loading.Loaded) -> None:
    rows = [{**sequences(toy.tokenizer, ROW, 64, glosses=glosses), "label": 7} for glosses in (False, True)]
    batch = collate(rows, toy.tokenizer.pad_token_id)
    assert batch["labels"].tolist() == [7] * 4
    assert batch["word"].sum(1).tolist() == [sum(mask) for row in rows for mask in row["word"]]
    assert batch["input_ids"][batch["attention_mask"] == 0].unique().tolist() == [toy.tokenizer.pad_token_id]


def test_words_without_a_subword_are_refused(toy: loading.Loaded) -> None:
    with pytest.raises(UserError, match="without a subword"):
        sequences(toy.tokenizer, ROW._replace(word1=" "), 64)
    with pytest.raises(UserError, match="no subword"):
        encode_words(*toy, ["dog", " "])
    with pytest.raises(UserError, match="no layer 9"):
        encode_words(*toy, ["dog"], (9,))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_loss_of_a_batch_is_that_of_its_word_vectors(toy: loading.Loaded, objective) -> None:
    """In whatever order the words are read, and with whatever padding."""
    texts = ["dog", "hot beverage", "a", "hund mit brille und hut", "chien", "cat"]
    labels = torch.tensor(DOUBLE)
    rows = [
        {**sequences(toy.tokenizer, Constraint("", one, "", other, ""), 64), "label": label}
        for one, other, label in zip(texts[::2], texts[1::2], DOUBLE[::2], strict=True)
    ]
    with torch.no_grad():
        found = contrast(toy.model, collate(rows, toy.tokenizer.pad_token_id), objective=objective, temperature=0.5)
    terms = OBJECTIVES[objective](similarities(encode_words(*toy, texts)[0]), labels, 0.5)
    assert found.items == len(terms)
    assert (found.total / found.items).item() == pytest.approx(terms.mean().item(), rel=1e-4)


def test_specialization_pulls_synonyms_together_and_nothing_else_is_trained(toy, tmp_path: Path) -> None:
    rows = [Constraint(key, name["en"], "en", name["de"], "de") for key, name in list(names().items())[:20]]
    model = loading.load(toy.model.name_or_path, task="encoder", dtype="float32").model
    model.embeddings.requires_grad_(False)
    words = model.embeddings.word_embeddings.weight.clone()
    read = [{**sequences(toy.tokenizer, row, 64), "label": number} for number, row in enumerate(rows)]

    def loss() -> float:
        with torch.no_grad():
            return contrast(model.eval(), collate(read, toy.tokenizer.pad_token_id)).total.item()

    before = loss()
    settings = TrainingConfig(epochs=20, batch_size=20, learning_rate=1e-2, layout="padded", max_length=32)
    run = Run(tmp_path, "lexical_specialization", settings, tmp_path, quiet=True)
    assert specialize(model, toy.tokenizer, rows, settings, run).steps == 20
    assert loss() < 0.9 * before
    assert torch.equal(words, model.embeddings.word_embeddings.weight)
    assert specialize(model, toy.tokenizer, rows, replace(settings, steps=1), run).steps == 1
    with pytest.raises(UserError, match="fewer than two synsets"):
        specialize(model, toy.tokenizer, rows[:1], settings, run)


# --- the tiny world ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["test", "dev"])
def test_nothing_that_is_tested_is_trained_on(split) -> None:
    tiny = replace(PRESETS["tiny"], split=split, seed=5)
    rows, held = data.constraints(tiny), held_out(split, tiny.items, 5)
    assert len({row.synset for row in rows}) == len(rows) == tiny.number
    assert {row.synset for row in rows} <= set(apart(held))
    assert set(searched(tiny)[1]) == set(held)
    read = {text for row in rows for text in (row.word1, row.word2, row.gloss1)}
    assert read.isdisjoint(names()[key][code] for key in held for code in miniature.SEEN)


def test_constraints_of_an_arm_differ_in_what_the_arm_says() -> None:
    tiny = PRESETS["tiny"]
    rows = {name: data.constraints(with_variant(tiny, VARIANTS, name)) for name in VARIANTS}
    assert len({len(rows[name]) for name in ("specialized", "en_de", "zh_ar", "permuted")}) == 1
    assert {row.lang1 for row in rows["zh_ar"]} == {"zh", "ar"}
    assert set(rows["eighth"]) < set(rows["specialized"])
    assert len(rows["eighth"]) * 8 == tiny.number
    shares = Counter(code for row in rows["specialized"] for code in (row.lang1, row.lang2))
    assert [shares[code] for code in miniature.SEEN[:4]] == sorted(
        (shares[c] for c in miniature.SEEN[:4]), reverse=True
    )
    for old, new in zip(rows["specialized"], rows["permuted"], strict=True):
        assert (old.synset, old.word1, old.lang2) == (new.synset, new.word1, new.lang2)
    for side in ("word1", "word2"):
        found = [Counter(getattr(row, side) for row in rows[name]) for name in ("specialized", "permuted")]
        assert found[0] == found[1]
    moved = sum(old.word2 != new.word2 for old, new in zip(rows["specialized"], rows["permuted"], strict=True))
    assert moved > 0.99 * len(rows["specialized"])


def test_settings_that_mean_nothing_are_refused() -> None:
    for changes in ({"specialized": False, "adapter": "lora"}, {"same_steps": True}):
        with pytest.raises(UserError):
            override(PRESETS["tiny"], changes)
    assert all(workload(config)[0].tokens > 0 for config in PRESETS.values())


# --- runs -------------------------------------------------------------------------------------------------------------


def test_smoke_has_what_is_judged_and_lora_is_merged(tmp_path: Path, smoke: Callable[[str], Any]) -> None:
    done = smoke("lexical_specialization")
    wanted = {check.metric for check in PAPER.judged if check.metric} | {premise.metric for premise in PAPER.premises}
    assert wanted <= set(done.measurement["metrics"])
    for metric in ("bli_unseen", "csls_unseen", "places_unseen", "sentences_unseen"):
        wanted = set(miniature.READ if metric == "sentences_unseen" else miniature.UNSEEN)
        assert {path.partition("/")[0] for path in done.measurement["units"][metric]} == wanted
    assert len(done.measurement["details"]["by_layer"]) == 3

    def opened(variant: str, **changes: Any) -> Run:
        config = override(with_variant(PRESETS["smoke"], VARIANTS, variant), changes)
        return Run(tmp_path / variant, "lexical_specialization", config, done.stages, quiet=True).open()

    lora, vanilla = opened("lora", glosses=True), opened("vanilla")
    train(lora.config, lora)
    assert not [name for name in loading.load(lora.artifact, task="encoder").model.state_dict() if "lora" in name]
    train(vanilla.config, vanilla)
    assert not vanilla.artifact.exists()


def test_solvers_that_know_no_language(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words that all languages share are found by their letters; a word like none stands behind all others."""
    words = {code: ["moon", "sunshine", "dog", "cat"] for code in miniature.UNSEEN} | {"en": ["a", "b", "c", "d"]}
    words["tr"] = ["moon", "xyzzy", "dog", "cat"]
    monkeypatch.setattr("papers.lexical_specialization.eval.searched", lambda *_, **__: (words, {"a": 0, "b": 1}))
    found = trivial(PRESETS["smoke"])
    assert found["trivial_letters"] == found["trivial_places_letters"] == (42 * 2 + 14 * (1 + 1 / 4)) / (56 * 2)
    assert found["trivial_chance"] == pytest.approx(25 / 48)
    assert 0 < found["trivial_sentences_letters"] < 1


# --- the paper's files ------------------------------------------------------------------------------------------------


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


PUBLISHED = """synsetID,word1,lang1,word2,lang2,sent1,sent2
bn:1,dog,EN,Hund,DE,a tame animal,ein Haustier
bn:1,dog,EN,hound,EN,a tame animal,a tame animal
bn:2,cat,EN,кошка,RU,,
bn:3,sun,EN,Sonne,DE,a star,ein Stern
"""


def official(folder: Path) -> Config:
    """The paper's preset on files of the official repository's form."""
    for number, file in enumerate(data.VALIDATION):
        write(folder / file, "Sonne\tсолнце\n" if number == 3 else "a\tb\n")
    return replace(PRESETS["paper"], constraints=str(write(folder / "babelbert.csv", PUBLISHED)), tests=str(folder))


def test_published_constraints(tmp_path: Path) -> None:
    config = official(tmp_path)
    rows = data.constraints(config)
    assert [(row.synset, row.word2, row.gloss2) for row in rows] == [
        ("bn:1", "Hund", "ein Haustier"), ("bn:1", "hound", "a tame animal"), ("bn:2", "кошка", ""),
    ]  # fmt: skip
    assert set(data.languages(config)) == {"EN", "DE", "RU"}
    assert [row.word2 for row in data.constraints(replace(config, languages=("en", "de")))] == ["Hund", "hound"]
    assert len(data.constraints(replace(config, number=2))) == 2
    with pytest.raises(UserError, match="is left"):
        data.constraints(replace(config, languages=("sw",)))


def test_every_two_words_of_an_own_synset_are_a_constraint(tmp_path: Path) -> None:
    own = "synset,word,language\n1,dog,en\n1,Hund,de\n1,собака,ru\n2,cat,en\n2,кошка,ru\n"
    rows = data.read_constraints(str(write(tmp_path / "own.csv", own)))
    assert [(row.synset, row.word1, row.word2, row.lang2) for row in rows] == [
        ("1", "dog", "Hund", "de"), ("1", "dog", "собака", "ru"), ("1", "Hund", "собака", "ru"),
        ("2", "cat", "кошка", "ru"),
    ]  # fmt: skip
    with pytest.raises(UserError, match="no synset with two words"):
        data.read_constraints(str(write(tmp_path / "single.csv", "synset,word,language\n1,dog,en\n2,cat,en\n")))


def test_the_papers_tests_on_files_of_their_form(
    toy: loading.Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(official(tmp_path), specialized=False, base=str(toy.model.name_or_path))
    for file, text in {
        "vulic/tr-ko/tr-ko.test.2000.cc.trans": "kedi\t고양이\nKöpek\t개\nyok\t없음\n",
        "glavas/de-ru/yacle.test.freq.2k.de-ru.tsv": "Hund\tсобака\n",
    }.items():
        write(tmp_path / "bli_datasets" / file, text)
    for code, words in {"tr": "kedi köpek", "ko": "개 고양이", "de": "hund katze", "ru": "кошка собака"}.items():
        write(tmp_path / "vocab" / f"{code}_vocab.txt", "\n".join(words.split()) + "\n")
    rated = "ID,ENG,DEU,PoS,score\n1,cat,katze,nouns,5.5\n2,cat,bank,nouns,0.5\n3,dog,hund,nouns,6\n"
    write(tmp_path / "multisimlex" / "ENG-DEU.csv", rated)
    said = {"deu": [("A dog.", "Ein Hund."), ("A cat.", "Eine Katze.")], "tur": [("Yes.", "Evet."), ("No.", "Hayır.")]}
    tatoeba = [(code, [{"en": en, "native": native} for en, native in rows]) for code, rows in said.items()]
    monkeypatch.setattr("core.tasks.pairs.read", lambda corpus: tatoeba)
    found = evaluate(config, Run(tmp_path / "run", "lexical_specialization", config, tmp_path, quiet=True))
    assert {metric: list(values) for metric, values in found.units.items()} == {
        "bli_seen": ["de/ru, glavas"], "bli_unseen": ["tr/ko, vulic"], "similarity": ["eng-deu"],
        "sentences_seen": ["deu/0", "deu/1"], "sentences_unseen": ["tur/0", "tur/1"],
    }  # fmt: skip
    assert len(found.details["by_layer"]) == 3
    mean = (found.metrics["bli_seen"] + found.metrics["bli_unseen"]) / 2
    assert found.details["by_layer"][-1] == pytest.approx(mean)


# --- own data ---------------------------------------------------------------------------------------------------------


def test_verbs(toy: loading.Loaded, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, thirty = str(toy.model.name_or_path), list(names().values())[:30]
    lines = [
        f"{n},{name[code]},{code}"
        for n, name in enumerate(thirty)
        for code in ("en", "fr", "ja")
        if "," not in name[code]
    ]
    lexicon = str(write(tmp_path / "own.csv", "synset,word,language\n" + "\n".join(lines) + "\n"))
    out = str(tmp_path / "words")
    given = ["specialize", lexicon, "--model", model, "--out", out, "--unseen", "ja", "--training.batch-size", "8"]
    use.main([*given, "--training.epochs", "1", "--training.learning-rate", "1e-3"])
    said = capsys.readouterr().out
    assert "constraints. Mean reciprocal rank in 6 other synsets" in said
    assert re.search(r"ja +6 synsets +\d\.\d+ -> \d\.\d+ .*no constraints", said)
    use.main(["audit", lexicon, "--models", model, out])
    assert re.search(r"fr +30 synsets +\d\.\d+ -> \d\.\d+ +[+-]\d", capsys.readouterr().out)
    words = str(write(tmp_path / "words.txt", "\n".join(name["en"] for name in thirty)))
    french = str(write(tmp_path / "french.txt", "\n".join(name["fr"] for name in thirty)))
    use.main(["induce", words, "--vocabulary", french, "--model", out, "--top", "2", "--no-csls"])
    found = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(row[0], row[1]) for row in found[:2]] == [(thirty[0]["en"], "1"), (thirty[0]["en"], "2")]
    use.main(["encode", words, "--model", out, "--out", str(tmp_path / "x.npy"), "--layer", "0"])
    assert np.load(tmp_path / "x.npy", allow_pickle=False).shape == (30, toy.model.config.hidden_size)
    empty = str(write(tmp_path / "empty.txt", "\n"))
    for arguments, message in (
        (given, "is there already"),
        ([*given[:4], "--unseen", "sw", "--out", str(tmp_path / "new")], "has no language 'sw'"),
        (["induce", empty, "--vocabulary", french, "--model", out], "is empty"),
        (["encode", words, "--model", out, "--layer", "7"], "no layer 7"),
    ):
        with pytest.raises(SystemExit, match="2"):
            use.main(arguments)
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("real", [False, pytest.param(True, marks=[pytest.mark.weights, pytest.mark.slow])])
def test_example_of_the_page_runs(
    real: bool, toy: loading.Loaded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (PAPER.folder / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    if not real:
        monkeypatch.setattr(loading, "load", lambda spec, **options: toy)
    names: dict[str, Any] = {}
    exec(code, names)
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in said[:4]] == [[code, "19", "synsets"] for code in ("en", "eu", "sw", "cy")]
    assert len(names["found"].places) == 19
    assert names["vectors"].shape == (2, names["model"].model.config.hidden_size)
