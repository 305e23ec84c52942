"""The paper's fine-tuning tasks: topics (SIB200, Taxi1500), entities (WikiANN) and parts of speech (UD).

A model is fine-tuned on English, which is in Latin script already; the epoch with the best F1 on English development
data is kept; then every language is tested as it is written and romanised. F1 is macro-averaged over topics, and
micro-averaged over entities (for tags without B- and I-, such as parts of speech, every word is one).

    python -m papers.transmi.train paper-sib200 --variant max
    python -m papers.transmi.eval paper-sib200 --variant max
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from core import distributed
from core.experiment.run import Measurement, Run
from core.files import read_json, write_json
from core.metrics.classification import macro_f1
from core.text.romanize import resolve
from core.training.fit import fit, save_pretrained
from core.training.losses import IGNORED, Loss
from papers.transmi import data, labelled
from papers.transmi.config import Config
from papers.transmi.labelled import Labelled

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_KIND: Any = {"tagging": "token-cls", "classification": "seq-cls"}


def finetune(folder: str, config: Config, run: Run) -> None:
    """Fine-tune the model of a folder on English and save the best epoch as the run's artifact.

    Raises:
        UserError: No such corpus, or none of its columns is known.
    """
    from core.models import loading

    distributed.seed_everything(config.seed)
    english = labelled.english_of(config.corpus)
    train, dev = (labelled.read(config.corpus, english, split) for split in ("train", "dev"))
    labels = sorted({label for example in train for label in example.labels})
    tokenizer = loading.load_tokenizer(folder)
    model = loading.load_model(folder, task=_KIND[config.task], dtype="float32", device="cpu", labels=labels)
    settings = replace(config.training, eval_every=math.ceil(len(train) / config.training.batch_size))
    best = (read_json(run.path / "best.json") or {"f1": -1.0})["f1"]  # there when an interrupted run goes on

    def keep_best(model: PreTrainedModel) -> dict[str, float]:
        nonlocal best
        # Rank zero decides for all: saving is a joint operation.
        score = distributed.gather_objects(f1(predict(model, tokenizer, dev, config), dev, config.task))[0]
        if score > best:
            best = score
            save_pretrained(model, run.artifact, tokenizer)
            if distributed.is_main():
                write_json(run.path / "best.json", {"f1": score})
        return {"english_dev_f1": score}

    fit(
        model,
        encode(tokenizer, train, {label: index for index, label in enumerate(labels)}, config),
        settings,
        run,
        loss_fn=token_loss,
        collate=lambda rows, _: collate(rows, tokenizer.pad_token_id),
        seed=config.seed,
        evaluate=keep_best,
    )


def evaluate(config: Config, run: Run) -> Measurement:
    """F1 of the fine-tuned model on the test set of every language, as it is written and romanised."""
    from core.models import loading

    model, tokenizer = loading.load(run.artifact, task=_KIND[config.task])
    romanize = resolve(data.romanizer(config.romanizer))
    units: dict[str, dict[str, float]] = {"f1_native": {}, "f1_romanised": {}}
    for language in config.languages or labelled.languages_of(config.corpus):
        native = labelled.read(config.corpus, language, "test")
        romanized = [labelled.romanized(example, romanize) for example in native]
        units["f1_native"][language] = f1(predict(model, tokenizer, native, config), native, config.task)
        units["f1_romanised"][language] = f1(predict(model, tokenizer, romanized, config), native, config.task)
    metrics = {name: sum(values.values()) / len(values) for name, values in units.items()}
    return Measurement(metrics=metrics, units=units)


def encode(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Labelled], ids: Mapping[str, int], config: Config
) -> list[dict[str, list[int]]]:
    """Token ids and labels: one label a text, or each word's label on its first piece.

    Args:
        tokenizer: The adapted model's.
        examples: Texts or words with labels.
        ids: Number of every label; a label that it lacks is ignored.
        config: Task and longest input.

    Returns:
        Rows with `input_ids`, `labels`, and where predictions are read: `places` (tokens; one 0 for a text) of `words`.
    """
    rows = []
    for example in examples:
        split = config.task == "tagging"
        text: Any = list(example.words) if split else example.words[0]
        encoded = tokenizer(text, is_split_into_words=split, truncation=True, max_length=config.max_length)
        owner = encoded.word_ids() if split else [0]
        places = [p for p, word in enumerate(owner) if word is not None and (p == 0 or word != owner[p - 1])]
        labels = [IGNORED] * len(owner)
        for place in places:
            labels[place] = ids.get(example.labels[owner[place]], IGNORED)
        words = [owner[place] for place in places]
        rows.append({"input_ids": encoded["input_ids"], "labels": labels, "places": places, "words": words})
    return rows


def collate(rows: Sequence[Mapping[str, Sequence[int]]], pad: int) -> dict[str, Tensor]:
    """Rows padded to the longest."""

    def padded(values: Sequence[Sequence[int]], filler: int) -> Tensor:
        width = max(map(len, values))
        return torch.tensor([[*value, *[filler] * (width - len(value))] for value in values])

    ids = [row["input_ids"] for row in rows]
    return {
        "input_ids": padded(ids, pad),
        "attention_mask": padded([[1] * len(row) for row in ids], 0),
        "labels": padded([row["labels"] for row in rows], IGNORED),
    }


def token_loss(model: Any, batch: Mapping[str, Tensor]) -> Loss:
    """Cross-entropy summed over labelled texts or words, and their number."""
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    labels = batch["labels"].flatten()
    loss = F.cross_entropy(logits.flatten(0, -2).float(), labels, ignore_index=IGNORED, reduction="sum")
    return Loss(loss, (labels != IGNORED).sum())


@torch.inference_mode()
def predict(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Labelled], config: Config
) -> list[list[str]]:
    """Labels of every example: one for a text, one for every word (`O` for words beyond the longest input)."""
    rows = encode(tokenizer, examples, {}, config)
    names: Any = model.config.id2label
    predicted = [["O"] * len(example.labels) for example in examples]
    for chosen in data.batches([len(row["input_ids"]) for row in rows], config.batch_tokens):
        batch = collate([rows[index] for index in chosen], tokenizer.pad_token_id)
        inputs = {name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")}
        best = model(**inputs).logits.argmax(-1).cpu()
        for position, index in enumerate(chosen):
            values = best[position].reshape(-1)
            for place, word in zip(rows[index]["places"], rows[index]["words"], strict=True):
                predicted[index][word] = names[int(values[place])]
    return predicted


def f1(predicted: Sequence[Sequence[str]], examples: Sequence[Labelled], task: str) -> float:
    """Macro-F1 over topics, or micro-F1 over entities."""
    gold = [example.labels for example in examples]
    if task == "classification":
        return macro_f1([label for (label,) in predicted], [label for (label,) in gold])
    found = {(index, *span) for index, tags in enumerate(predicted) for span in spans(tags)}
    wanted = {(index, *span) for index, tags in enumerate(gold) for span in spans(tags)}
    return 2 * len(found & wanted) / max(1, len(found) + len(wanted))


def spans(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Entities of a tagged sentence as (first word, word after the last, type).

    `I-X` continues an entity of type X and otherwise begins one, as in the CoNLL evaluation; a tag without prefix is an
    entity of one word.
    """
    start, kind = 0, ""
    for index, tag in enumerate([*tags, "O"]):
        prefix, dash, name = tag.partition("-")
        if kind and not (dash and prefix == "I" and name == kind):
            yield start, index, kind
            kind = ""
        if tag == "O":
            continue
        if not dash:
            yield index, index + 1, tag
        elif not kind:
            start, kind = index, name
