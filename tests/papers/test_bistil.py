"""BiStil: numbers of the official code, layers, places, sparse files, trimming, own data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from transformers import BertConfig, BertForTokenClassification

from core.experiment.run import temporary
from core.models.loading import load, load_model, load_tokenizer
from core.models.scratch import masked_lm
from papers.bistil import data, method, sparse, train, use
from papers.bistil import eval as evaluation
from papers.bistil.config import TINY, VARIANTS, Config

BATCH = {
    "input_ids": torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
    "labels": torch.tensor([[-100, 0, 2, -100], [-100, 1, -100, -100]]),
}


def official(layers: int, phase: float = 0.0) -> Any:
    """The tagger of the parity run: weights depend on a parameter's name alone."""
    shape: dict[str, Any] = {"attn_implementation": "eager"}
    config = BertConfig(
        vocab_size=12, hidden_size=8, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16, num_labels=3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **shape,
    )  # fmt: skip
    model = BertForTokenClassification(config).eval()
    for name, parameter in model.named_parameters():
        shift = sum(map(ord, name)) % 97 + phase
        values = 0.1 * torch.sin(0.37 * torch.arange(parameter.numel(), dtype=torch.float64) + shift)
        values += 1.0 if "LayerNorm.weight" in name else 0.0
        parameter.data = values.reshape(parameter.shape).float()
    return model


def test_losses_of_the_official_code() -> None:
    small, teacher = official(2, 1.0), method.frozen(official(4))
    seen, shown = method.look(small, BATCH), teacher(BATCH)
    assert float(method.hidden_loss(seen, shown, 2)) == pytest.approx(0.648777, abs=2e-6)
    assert float(method.attention_loss(seen, shown, 2)) == pytest.approx(0.017206, abs=2e-6)
    assert seen.logits is not None
    assert shown.logits is not None
    soft = method.soft_cross_entropy(seen.logits, shown.logits)
    assert float(soft) == pytest.approx(1.100580, abs=2e-6)
    general = method.general_loss(small, BATCH, method.frozen(official(4), head=False), 2)
    assert float(general.total / general.items) == pytest.approx(0.665983, abs=2e-6)
    task = method.task_loss(small, BATCH, teacher, 2)
    assert float(task.logs["ce"] / task.items) == pytest.approx(1.099167, abs=2e-6)
    assert float(task.total / task.items) == pytest.approx(1.765150, abs=2e-6)
    by_hand = method.soft_cross_entropy(torch.tensor([[1.0, 2, 0], [0, 0, 1]]), torch.tensor([[2.0, 0, 1], [1, 1, 0]]))
    assert float(by_hand) == pytest.approx(1.209367, abs=2e-6)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of four layers, text in three languages, and topics and tags in two."""
    root = tmp_path_factory.mktemp("own")
    lines = {
        "en": ["the red cat sleeps", "a blue dog runs", "my house is old"] * 4,
        "sw": ["paka mwekundu analala", "mbwa wa bluu anakimbia", "nyumba yangu ni ya zamani"] * 4,
        "de": ["die rote Katze", "ein blauer Hund"] * 4,
    }
    every = [line for own in lines.values() for line in own]
    model, tokenizer = masked_lm(every, pieces=120, layers=4, width=16, heads=2, longest=32)
    model.base_model.save_pretrained(root / "base")
    tokenizer.save_pretrained(root / "base")
    (root / "texts").mkdir()
    for code, own in lines.items():
        (root / "texts" / f"{code}.txt").write_text("\n".join(own) + "\n")
    for code, part in (("en", "train"), ("en", "test"), ("sw", "test")):
        for task in ("topics", "tags"):
            (root / task / code).mkdir(parents=True, exist_ok=True)
            with (root / task / code / f"{part}.jsonl").open("w") as file:
                for number, line in enumerate(lines[code][:6]):
                    words = line.split()
                    row: dict[str, Any] = {"text": line, "category": "ab"[number % 2]}
                    if task == "tags":
                        row = {"tokens": words, "ner_tags": ["B-PER", *["O"] * (len(words) - 1)]}
                    file.write(json.dumps(row) + "\n")
    return root


def own(world: Path, task: str = "topics", **more: Any) -> Config:
    short = replace(TINY.task_training, steps=2, batch_size=4, max_length=32, precision="fp32")
    return Config(
        base=str(world / "base"), texts=str(world / "texts"), task=str(world / task), target="sw",
        general_training=short, teacher_training=short, task_training=short, **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("variant", "task"),
    [("bistil", "topics"), ("bistil", "tags"), ("multi", "tags"), ("scratch", "topics"), ("full", "topics"),
     ("plain", "tags"), ("random_places", "topics"), ("teacher", "tags")],
)  # fmt: skip
def test_own_text_and_own_task(variant: str, task: str, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = own(world, task, **VARIANTS[variant])
    with temporary("bistil", config) as run:
        run.path.mkdir(parents=True)
        train.train(config, run)
        found = evaluation.evaluate(config, run)
        assert 0 <= found.metrics["accuracy"] <= 1
        if variant == "teacher":
            return
        change, head, labels = sparse.read(run.artifact / "task.safetensors")
        small: Any = load_model(run.artifact / "student", task="encoder")
        assert small.config.num_hidden_layers == 2
        assert len(load_tokenizer(run.artifact / "student")) == small.config.vocab_size
        assert (head, labels) == (("token", ["B-PER", "O"]) if task == "tags" else ("sequence", ["a", "b"]))
        tuned_places = sum(map(len, change.places.values()))
        every = sum(value.numel() for value in small.parameters())
        assert (tuned_places <= 0.09 * every) == (variant != "full")
        if (variant, task) == ("bistil", "tags"):
            serve(run.artifact, world / task / "sw" / "test.jsonl", capsys)


def serve(artifact: Path, labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a user does with it: write the classifier, measure it; another student is refused."""
    small, out = artifact / "student", artifact.parent / "small"
    use.main(["apply", str(artifact / "task.safetensors"), "--student", str(small), "--out", str(out)])
    use.main(["report", str(labelled), "--models", str(out)])
    assert "ms a row\tF1\n" + str(out) in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        use.main(["report", str(labelled), "--models", str(small)])
    assert "is no classifier: tune it to the task first" in capsys.readouterr().err


def test_a_student_of_all_layers_is_its_teacher_and_one_of_half_has_every_second() -> None:
    teacher = official(4)
    shown = method.look(teacher, BATCH)
    same = method.look(method.student(teacher, 1), BATCH)
    assert float(method.hidden_loss(same, shown, 1)) == float(method.attention_loss(same, shown, 1)) == 0
    small = method.student(teacher, 2)
    assert small.config.num_hidden_layers == 2
    for mine, of in ((0, 1), (1, 3)):
        for one, other in zip(
            small.bert.encoder.layer[mine].parameters(), teacher.bert.encoder.layer[of].parameters(), strict=True
        ):
            assert torch.equal(one, other)
            assert one is not other


def test_kept_tokens_are_frequent_in_one_of_the_languages() -> None:
    def tokenizer(text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [ord(character) for character in text]}

    kept = method.kept_tokens(tokenizer, [["aaab"], ["ccccccccd"]], 0.2)
    assert kept == {ord("a"), ord("b"), ord("c")}


def trained(model: Any) -> Any:
    """A training function that moves every parameter by its own gradient."""

    def train(_: str) -> None:
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.0)
        for _ in range(3):
            output = model(**{name: BATCH[name] for name in method.INPUTS if name in BATCH}, labels=BATCH["labels"])
            output.loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return train


def test_sparse_tuning_leaves_the_other_places_bit_for_bit_and_applies_and_reverts() -> None:
    model = official(2)
    start, inside = sparse.weights(model), sparse.encoder_names(model)
    change = method.sparse_tuning(model, trained(model), 0.08)
    every = sum(start[name].numel() for name in inside)
    moved = sum(int((value != start[name]).sum()) for name, value in sparse.weights(model).items() if name in inside)
    assert 0 < moved <= int(0.08 * every) + 2
    assert set(change.head) == {"classifier.weight", "classifier.bias"}
    assert not torch.equal(model.classifier.weight, start["classifier.weight"])
    after = sparse.weights(model)
    sparse.put(model, start)
    with sparse.applied(model, change):
        assert all(torch.allclose(value, after[name]) for name, value in sparse.weights(model).items())
    assert all(torch.equal(value, start[name]) for name, value in sparse.weights(model).items())


def test_full_density_is_dense_tuning_from_the_start() -> None:
    one, other = official(2), official(2)
    method.sparse_tuning(one, trained(one), 1.0)
    trained(other)("all")
    assert all(torch.equal(value, sparse.weights(other)[name]) for name, value in sparse.weights(one).items())


def test_one_threshold_for_all_tensors_and_ties_stay() -> None:
    masks = method.largest({"a": torch.tensor([3.0, 1.0]), "b": torch.tensor([[3.0, 2.0], [0.0, 0.5]])}, 0.2)
    assert masks["a"].tolist() == [True, False]
    assert masks["b"].tolist() == [[True, False], [False, False]]


def test_what_is_remembered_is_what_the_teacher_shows_padding_included() -> None:
    teacher = method.frozen(official(4))
    rows = [
        {"input_ids": [2, 5, 6, 7, 3], "labels": [0] * 5, "row": 0},
        {"input_ids": [2, 7, 3], "labels": [1] * 3, "row": 1},
    ]
    remembered = data.Remembered(teacher, data.collate(rows, 0))
    batch = data.collate([{"input_ids": [2, 8, 9, 3], "labels": [0] * 4, "row": 0}, rows[1]], 0)
    for one, other in zip(remembered(batch)[:2], teacher(batch)[:2], strict=True):
        for mine, live in zip(one, other, strict=True):
            assert torch.allclose(mine[1], live[1], atol=1e-6)
    assert torch.allclose(remembered(batch).logits[1], teacher(batch).logits[1], atol=1e-6)
    others = data.Remembered(teacher, data.collate(rows, 0), data.permuted(2, 0))
    assert torch.equal(others(batch).logits[1], remembered(batch).logits[0])


def test_batches_of_phase_one_are_of_one_language_each_and_languages_alike() -> None:
    rows = {"en": [{"of": "en", "n": n} for n in range(50)], "sw": [{"of": "sw", "n": n} for n in range(9)]}
    found = data.monolingual(rows, 4, 80, seed=1)
    batches = [found[start : start + 4] for start in range(0, 80, 4)]
    assert all(len({row["of"] for row in batch}) == 1 for batch in batches)
    assert [sum(batch[0]["of"] == code for batch in batches) for code in rows] == [10, 10]
    assert len({row["n"] for row in found if row["of"] == "en"}) == 40


def test_entities_have_the_published_columns_and_three_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["O", "B-PER", "I-PER", "B-DATE", "I-MISC", "B-LOC"]
    features = Features(
        {"id": Value("string"), "tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=names))}
    )
    table = Dataset.from_list(
        [{"id": "0", "tokens": list("abcdef"), "ner_tags": [0, 1, 2, 3, 4, 5]}], features=features
    )
    asked = []
    monkeypatch.setattr(data.corpora, "read_rows", lambda address: asked.append(address) or table)
    config = Config(texts="texts", task="ner", target="swa")
    (row,) = data.labelled(config, "swa", "test")
    assert row.labels == ("O", "B-PER", "I-PER", "O", "O", "B-LOC")
    data.labelled(config, "en", "dev")
    assert asked == ["masakhane/masakhaner#swa@test", "eriktks/conll2003@validation"]


def test_a_trimmed_model_reads_kept_tokens_as_before(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [str(world / "texts" / f"{code}.txt") for code in ("en", "sw")]
    use.main(["trim", *texts, "--model", str(world / "base"), "--out", str(tmp_path / "small"), "--check", texts[0]])
    said = capsys.readouterr().out
    assert "0.00% before, 0.00% after" in said
    states = []
    for folder in (world / "base", tmp_path / "small"):
        model, tokenizer = load(folder, task="encoder", dtype="float32", device="cpu")
        with torch.no_grad():
            states.append(model(**tokenizer("the red paka anakimbia", return_tensors="pt")).last_hidden_state)
    assert model.config.vocab_size == len(tokenizer) < 120
    assert torch.allclose(*states, atol=1e-6)
