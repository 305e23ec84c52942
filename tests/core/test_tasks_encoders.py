"""What encoder papers measure: labelled data, fine-tuning with a choice of checkpoints, F1, retrieval; messages."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import XLMRobertaConfig, XLMRobertaModel, XLMRobertaTokenizer

from core.errors import UserError
from core.experiment.run import Run, temporary
from core.models.loading import Loaded
from core.tasks import classification, finetuning, labelled, retrieval, tagging
from core.tasks import messages as made
from core.tasks.labelled import Labelled
from core.training.config import TrainingConfig
from core.worlds import messages
from core.worlds.base import Item

SHORT = TrainingConfig(epochs=8, batch_size=8, learning_rate=1e-2, schedule="linear", layout="padded", max_length=16)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained XLM-R of one layer with a vocabulary of letters and a few words, saved."""
    folder = tmp_path_factory.mktemp("encoder")
    pieces = ["▁", *"abcdefghijklmnopqrstuvwxyz", "▁train", "▁team", "▁Anna", "▁in", "▁Moscow", "▁late", "▁won"]
    vocabulary = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    vocabulary += [(piece, -float(len(pieces) - len(piece))) for piece in pieces]
    tokenizer = XLMRobertaTokenizer(vocab=[*vocabulary, ("<mask>", 0.0)], model_max_length=32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = XLMRobertaModel(
            XLMRobertaConfig(
                vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                intermediate_size=32, max_position_embeddings=34, type_vocab_size=1,
            ),
            add_pooling_layer=False,
        )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


TOPICS = [Labelled(("train late",), ("travel",)), Labelled(("team won",), ("sports",))] * 8
TAGS = [Labelled(("Anna", "in", "Moscow"), ("B-PER", "O", "B-LOC"))] * 16


# --- fine-tuning ---------------------------------------------------------------------------------------------------


def test_topics_are_learnt_and_looked_at_once_an_epoch(encoder: Path) -> None:
    with temporary("transmi") as run:
        best = classification.finetune(encoder, TOPICS, TOPICS[:2], SHORT, run)
        lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
        scores = [line[key] for line in lines for key in line if key.endswith("classification_dev")]
        assert len(scores) == 8
        assert json.loads((run.path / "classification" / "best.json").read_text())["score"] == max(scores) == 1.0
        config: Any = best.model.config
        assert config.id2label == {0: "sports", 1: "travel"}
        assert classification.predict(best, TOPICS[:2]) == ["travel", "sports"]
        assert not best.model.training


def test_tags_are_learnt_by_heart(encoder: Path) -> None:
    with temporary("transmi") as run:
        best = tagging.finetune(encoder, TAGS, TAGS[:2], replace(SHORT, eval_every=4), run)
        assert tagging.f1(tagging.predict(best, TAGS), TAGS) == tagging.accuracy(tagging.predict(best, TAGS), TAGS) == 1


def test_checkpoint_of_a_tagger_is_chosen_by_the_score_that_is_asked_for(encoder: Path) -> None:
    with temporary("transmi") as run:
        tagging.finetune(encoder, TAGS, TAGS[:2], SHORT, run, score=lambda tags, examples: float(len(tags) == 2) / 4)
        assert json.loads((run.path / "tagging" / "best.json").read_text())["score"] == 0.25


def run_scores(scores: list[float], patience: int, encoder: Path, run: Run, **settings: Any) -> Any:
    """Fine-tune with a score that is given, and say how often it was asked and which step was kept."""
    classifier = finetuning.load_classifier(encoder, "sequence", ["sports", "travel"])
    rows = classification.encode(classifier.tokenizer, TOPICS, {"sports": 0, "travel": 1}, SHORT)
    asked: list[float] = []
    kept: list[torch.Tensor] = []

    def score(model: Any) -> float:
        asked.append(scores[len(asked)])
        kept.append(model.classifier.out_proj.bias.detach().clone())
        return asked[-1]

    best = finetuning.finetune(
        classifier, rows, score, replace(SHORT, eval_every=2, **settings), run, name="x", patience=patience
    )
    bias: Any = best.model
    found = bias.classifier.out_proj.bias.float()
    return len(asked), int(torch.stack([(found - other).abs().max() for other in kept]).argmin())


@pytest.mark.parametrize(("patience", "asked"), [(0, 8), (1, 4), (2, 5)])
def test_the_first_best_checkpoint_is_kept_and_patience_ends_it(encoder: Path, patience: int, asked: int) -> None:
    with temporary("transmi") as run:
        scores = [0.1, 0.5, 0.5, 0.2, 0.3, 0.4, 0.1, 0.0]
        assert run_scores(scores, patience, encoder, run) == (asked, 1)


def test_a_trimmed_vocabulary_changes_no_result(encoder: Path, tmp_path: Path) -> None:
    """Rows without a gradient are not moved, so that only those which the texts use have to be there."""
    finetuning.save_trimmed(encoder, ["train late", "team won", "team", "late"], tmp_path / "small")
    predictions = []
    for spec in (encoder, tmp_path / "small"):
        with temporary("transmi") as run:
            best = classification.finetune(spec, TOPICS, TOPICS[:2], SHORT, run, seed=3)
            batch = best.tokenizer(["train won", "team late"], return_tensors="pt")
            with torch.no_grad():
                predictions.append(best.model(**batch).logits.float())
            assert (len(best.tokenizer) < 30) == (spec != encoder)
    assert torch.allclose(*predictions, atol=2e-2)


def test_frozen_layers_stay(encoder: Path) -> None:
    model, _ = finetuning.load_classifier(encoder, "token", ["O"], frozen_layers=1)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert {name.split(".")[0] for name in trained} == {"roberta", "classifier"}
    assert not any("embeddings" in name or "layer.0." in name for name in trained)
    assert any("layer.1." in name for name in trained)
    with pytest.raises(UserError, match="frozen_layers = 3"):
        finetuning.load_classifier(encoder, "token", ["O"], frozen_layers=3)


def test_the_head_follows_the_seed(encoder: Path) -> None:
    heads: list[Any] = [finetuning.load_classifier(encoder, "token", ["O", "X"], seed=seed).model for seed in (1, 1, 2)]
    first, again, other = (head.classifier.weight for head in heads)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_words_label_stands_on_its_first_piece(encoder: Path) -> None:
    tokenizer = finetuning.load_classifier(encoder, "token", ["O"]).tokenizer
    example = Labelled(("Anna", "lab", "in"), ("A", "B", "C"))
    (row,) = tagging.encode(tokenizer, [example], {"A": 1, "B": 2, "C": 3}, SHORT)
    assert tokenizer.convert_ids_to_tokens(row.input_ids) == ["<s>", "▁Anna", "▁", "l", "a", "b", "▁in", "</s>"]
    assert row.labels == [-100, 1, 2, -100, -100, -100, 3, -100]
    assert (row.places, row.words) == ([1, 2, 6], [0, 1, 2])


def test_words_beyond_the_longest_input_are_not_scored(encoder: Path) -> None:
    classifier = finetuning.load_classifier(encoder, "token", ["B-PER", "O"])
    long = Labelled(("in",) * 20, ("O",) * 19 + ("B-PER",))
    (tags,) = tagging.predict(Loaded(classifier.model.eval(), classifier.tokenizer), [long], SHORT)
    assert [tag is None for tag in tags] == [False] * 14 + [True] * 6
    assert tagging.f1([["B-PER"] + [None] * 19], [Labelled(("in",) * 20, ("B-PER",) + ("O",) * 18 + ("B-PER",))]) == 1.0


@given(lengths=st.lists(st.integers(1, 50), max_size=40), limit=st.integers(1, 200))
def test_batches_hold_every_row_once_and_stay_within_the_limit(lengths, limit) -> None:
    batches = list(finetuning.batches(lengths, limit))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= limit


# --- scores and trivial solvers ------------------------------------------------------------------------------------


def tagged(*tags: str) -> Labelled:
    return Labelled(("w",) * len(tags), tags)


@pytest.mark.parametrize(
    ("gold", "guess", "expected"),
    [
        (("NOUN", "NOUN", "VERB"), ("NOUN", "NOUN", "NOUN"), 0.0),  # the official metric: runs of equal tags are one
        (("NOUN", "VERB"), ("NOUN", "ADJ"), 0.5),
        (("B-PER", "I-PER", "O"), ("B-PER", "O", "O"), 0.0),
        (("B-PER", "I-PER", "B-LOC"), ("I-PER", "I-PER", "B-LOC"), 1.0),
        (("O", "O"), ("O", "O"), 0.0),
    ],
)
def test_f1_is_seqevals(gold, guess, expected) -> None:
    assert tagging.f1([list(guess)], [tagged(*gold)]) == pytest.approx(expected)


def test_accuracy_of_tags_is_of_words_that_have_one() -> None:
    gold = [tagged("NOUN", "NOUN", "VERB"), tagged("X")]
    assert tagging.accuracy([["NOUN", "ADJ", None], ["X"]], gold) == pytest.approx(2 / 3)
    assert tagging.accuracy([[None] * 3, [None]], gold) == 0


def test_sides_that_do_not_correspond_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        tagging.f1([["O"]], [tagged("O", "O")])


def test_capitals_inside_a_sentence_are_taken_for_the_commonest_names() -> None:
    train = [Labelled(("Rome", "and", "Oslo", "in", "Latin"), ("B-LOC", "O", "B-LOC", "O", "B-LANG"))]
    test = [Labelled(("Select", "Sri", "Lanka", "or", "Mali", "ok"), ("O",) * 6), Labelled(("是",), ("O",))]
    assert tagging.capitals(train, test) == [["O", "B-LOC", "I-LOC", "O", "B-LOC", "O"], ["O"]]
    assert tagging.capitals([Labelled(("a",), ("O",))], test) == [["O"] * 6, ["O"]]


def test_trivial_solvers() -> None:
    train = [Labelled(("The", "Nile"), ("O", "B-LOC")), Labelled(("the", "Anna"), ("O", "B-PER"))]
    assert tagging.lexicon(train, [Labelled(("THE", "nile", "Volga"), ("O", "B-LOC", "B-LOC"))]) == [
        ["O", "B-LOC", "O"]
    ]
    assert classification.majority([*TOPICS, TOPICS[1]], TOPICS[:2]) == ["sports", "sports"]
    assert classification.f1(["sports", "sports"], TOPICS[:2]) == pytest.approx(1 / 3)
    pairs = retrieval.Pairs(["Django 5", "a much longer sentence"], ["Джанго Django 5", "одно гораздо более длинное"])
    assert retrieval.trivial(pairs) == {"length": 1.0, "overlap": 0.75}  # the second pair shares no letter: by chance


# --- retrieval -----------------------------------------------------------------------------------------------------


def test_translations_are_found_in_both_directions_and_ties_find_nothing() -> None:
    vectors = {"a": [1.0, 0], "b": [0, 1.0], "x": [1.0, 0.1], "y": [0.9, 0.2], "z": [1.0, 0.0]}
    asked: list[list[str]] = []

    def encode(texts: Any) -> torch.Tensor:
        asked.append(list(texts))
        return torch.tensor([vectors[text] for text in texts])

    sets = {"xy": retrieval.Pairs(["a", "b"], ["x", "y"]), "zz": retrieval.Pairs(["a", "b"], ["z", "z"])}
    found = retrieval.retrieve(encode, sets, k=(1, 2))
    assert asked == [["a", "b", "x", "y", "z"]]
    assert found["xy"].forward == {1: [1.0, 1.0], 2: [1.0, 1.0]}
    assert found["xy"].backward == {1: [1.0, 0.0], 2: [1.0, 1.0]}
    assert (found["xy"].accuracy(), found["xy"].accuracy(1, "backward")) == (1.0, 0.5)
    assert found["xy"].mutual() == [1.0, 0.0]
    assert found["zz"].forward[1] == [0.0, 0.0]  # two equal candidates: the right one counts as the last
    assert retrieval.ranked(np.zeros((3, 3)), (1, 2, 3)).forward == {1: [0.0] * 3, 2: [0.0] * 3, 3: [1.0] * 3}


# --- labelled data -------------------------------------------------------------------------------------------------


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("row", "words", "labels"),
    [
        ({"index_id": 3, "category": "travel", "text": "Вокзал далеко."}, ("Вокзал далеко.",), ("travel",)),
        ({"key": "3", "label": "travel", "text": "Вокзал далеко."}, ("Вокзал далеко.",), ("travel",)),
        ({"id": "40001001", "label": "Sin", "verse": "Грех."}, ("Грех.",), ("Sin",)),
        ({"tokens": ["В", "Киеве"], "ner_tags": ["O", "B-LOC"], "langs": ["ru", "ru"]}, ("В", "Киеве"), ("O", "B-LOC")),
        ({"tokens": ["Да"], "pos_tags": ["PART"]}, ("Да",), ("PART",)),
    ],
)
def test_rows_of_the_published_data_sets(row, words, labels) -> None:
    assert labelled.labelled_row(row, "here") == Labelled(words, labels)
    with pytest.raises(UserError, match="hold no text with labels"):
        labelled.labelled_row({"title": "x"}, "here")


def test_numbers_of_class_labels_become_names() -> None:
    from datasets import ClassLabel, Dataset, Features, Sequence, Value

    features = Features({"tokens": Sequence(Value("string")), "ner_tags": Sequence(ClassLabel(names=["O", "B-PER"]))})
    table = Dataset.from_dict({"tokens": [["Анна", "идёт"]], "ner_tags": [[1, 0]]}, features=features)
    assert labelled.labelled_row(labelled.named(table[0], table), "x").labels == ("B-PER", "O")


@pytest.mark.parametrize("corpus", ["sib200", "ner"])
def test_languages_that_cannot_be_asked_for(corpus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreached(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no network")

    monkeypatch.setattr("huggingface_hub.list_repo_files", unreached)
    monkeypatch.setattr("datasets.get_dataset_config_names", unreached)
    with pytest.raises(UserError, match=r"^Cannot list the languages of \S+ \(ConnectionError\): name them"):
        labelled.languages_of(corpus)


def test_folders_in_the_layouts_of_the_published_files(tmp_path: Path) -> None:
    sib = "index_id\tcategory\ttext\n0\ttravel\tThe train is late\n"
    write(tmp_path / "eng_Latn" / "train.tsv", sib)
    write(tmp_path / "rus_Cyrl" / "test.tsv", sib.replace("\n", "\r\n"))
    assert labelled.english_of(str(tmp_path)) == "eng_Latn"
    assert labelled.languages_of(str(tmp_path)) == ["rus_Cyrl"]
    expected = [Labelled(("The train is late",), ("travel",))]
    assert (
        labelled.read(str(tmp_path), "eng_Latn", "train")
        == labelled.read(str(tmp_path), "rus_Cyrl", "test")
        == expected
    )
    write(tmp_path / "taxi" / "eng_test.tsv", "40001001\tSin\tA verse\n\n")
    assert labelled.read(str(tmp_path / "taxi"), "eng", "test") == [Labelled(("A verse",), ("Sin",))]
    write(tmp_path / "ner" / "en" / "dev.jsonl", '{"tokens": ["Anna"], "ner_tags": ["B-PER"]}\n')
    assert labelled.read(str(tmp_path / "ner"), "en", "dev") == [Labelled(("Anna",), ("B-PER",))]


@pytest.mark.parametrize(
    ("corpus", "language", "message"),
    [
        ("taxi1500", "eng", "request form"),
        ("nowhere", "eng", "does not exist"),
        ("folder", "rus", "no test data for 'rus'"),
        ("folder", "eng", "row 1: 2 columns, but there should be 3"),
        ("folder", "deu", "is empty"),
    ],
)
def test_unusable_labelled_data_are_refused(tmp_path: Path, corpus: str, language: str, message: str) -> None:
    write(tmp_path / "folder" / "eng_test.tsv", "a\tb\tc\n1\t2\n")
    write(tmp_path / "folder" / "deu_test.tsv", "\n")
    with pytest.raises(UserError, match=message):
        labelled.read(corpus if corpus == "taxi1500" else str(tmp_path / corpus), language, "test")
    with pytest.raises(UserError, match="no English training data"):
        labelled.english_of(str(tmp_path / "folder"))


def test_a_word_that_vanishes_keeps_its_place() -> None:
    example = Labelled(("ラ", "ー"), ("B-LOC", "I-LOC"))
    assert labelled.rewritten(example, lambda text: {"ラ": "ra", "ー": " "}[text]).words == ("ra", "ー")


# --- interface messages --------------------------------------------------------------------------------------------


def test_near_copies_are_one_class() -> None:
    classes = {item.prompt: item.cls for item in messages.translations(["en"], min_chars=10, max_chars=200)}
    assert classes["Change password"] == classes["Password change"]
    assert classes["Content Types"] == classes["content type"]
    assert classes["Change password"] != classes["Content Types"]
    assert not any("%(" in text or "<" in text for text in classes)
    assert messages.mask('<a href="{url}">The  %(name)s “%(obj)s”</a>\nis new') == "The … “…” is new"
    assert messages.skeleton("The %(name)s “{obj}”: ADDED, files.") == "the added file"


def test_samples_of_one_draw_share_no_class_where_there_is_enough() -> None:
    items = messages.translations(["ru"])
    drawn = [messages.sample(items, 40, seed, disjoint=3) for seed in (6, 7, 8, 9)]
    classes = [{item.cls for item in found} for found in drawn]
    assert all(len(found) == 40 for found in classes)
    assert len(set.union(*classes[:3])) == 120
    assert classes[3] != classes[0]
    assert len({messages.skeleton(item.answer) for item in drawn[0]}) == 40
    few = [Item(f"x/{n}", str(n), f"p{n}", f"answer {'abcdefgh'[n]}", "x") for n in range(8)]
    first, second, third = (messages.sample(few, 3, seed, disjoint=3) for seed in range(3))
    assert len({item.cls for item in (*first, *second)}) == 6
    assert third[-1] == first[0]  # too few for all: the last sample begins again
    assert len(messages.sample(few, 20, 0)) == 8


def test_aligned_messages_are_those_of_a_part_that_all_languages_have() -> None:
    codes = ("ru", "ja")
    found = messages.aligned(codes, "test", 40, 0, min_words=4, distinct=True)
    columns = messages.by_key(("en", *codes))
    assert list(found) == ["en", *codes]
    keys = list(found["en"])
    assert len(keys) == 40
    for code, column in found.items():
        assert column == {key: columns[code][key].answer for key in keys}
        assert len({messages.skeleton(text) for text in column.values()}) == 40
    assert all(len(text.split()) >= 4 for text in found["en"].values())
    classes = {
        part: {columns["en"][k].cls for k in messages.aligned(codes, part, 99, 0)["en"]} for part in ("dev", "test")
    }
    assert not classes["dev"] & classes["test"]
    second = messages.aligned(codes, "test", 40, 1, disjoint=2)
    assert not set(messages.aligned(codes, "test", 40, 0, disjoint=2)["en"]) & set(second["en"])


def test_classes_and_topics_are_the_same_in_all_languages() -> None:
    english = {item.id.split("/")[1]: item for item in messages.topics(["en"])}
    for item in messages.topics(["ru", "zh-Hans"]):
        same = english[item.id.split("/")[1]]
        assert (item.cls, item.answer) == (same.cls, same.answer)
        assert item.prompt != same.prompt
    assert {item.answer for item in english.values()} == set(messages.TOPICS)
    with pytest.raises(UserError, match="no language 'xx'"):
        messages.translations(["xx"])


def test_an_encoder_from_scratch_reads_its_lines() -> None:
    from core.models.scratch import masked_lm

    lines = ["Привет мир", "Добрый день", "Καλημέρα κόσμε"] * 4
    (model, tokenizer), again = (masked_lm(lines, pieces=60, layers=1, longest=16, seed=4) for _ in range(2))
    config: Any = model.config
    assert config.vocab_size == len(tokenizer) <= 65
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3, len(tokenizer) - 1]) == [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "<mask>",
    ]
    batch = tokenizer(["Привет мир " * 9], truncation=True, return_tensors="pt")
    assert batch["input_ids"].shape == (1, 16)
    assert tokenizer.unk_token_id not in batch["input_ids"]
    with torch.no_grad():
        assert torch.equal(model(**batch).logits, again.model(**batch).logits)


def test_training_and_test_share_neither_message_nor_name() -> None:
    parts = [{e.words for e in made.topics("en", part, 1000, 0)} for part in ("train", "dev", "test")]
    assert len(parts[0]) > 150
    assert len(set.union(*parts)) == sum(map(len, parts))
    found = {part: made.names("en", part, 1000, 0) for part in ("train", "test")}
    spans = {part: {name for e in examples for name in entities(e)} for part, examples in found.items()}
    assert len(spans["train"]) > 200
    assert not spans["train"] & spans["test"]
    other = made.names("ru", "test", 40, 5)
    assert other == made.names("ru", "test", 40, 5) != made.names("ru", "test", 40, 6)
    assert {label for e in other for label in e.labels} >= {"O", "B-LOC", "B-LANG", "B-CUR"}


def entities(example: Labelled) -> list[tuple[str, ...]]:
    from seqeval.metrics.sequence_labeling import get_entities

    return [example.words[start : end + 1] for _, start, end in get_entities(list(example.labels))]
