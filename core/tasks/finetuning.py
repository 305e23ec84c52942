"""Fine-tune an encoder with a head on labelled English; keep the checkpoint that English development data like best.

What sentence classification and tagging share; the zero-shot protocol of XTREME and Glot500: nothing of another
language is seen, neither in training nor in the choice of the checkpoint.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING, PreTrainedModel, PreTrainedTokenizerBase

from core import distributed
from core.errors import UserError
from core.experiment.run import Run
from core.files import read_json, write_json
from core.models.loading import Loaded, load, load_model, load_tokenizer
from core.models.vocabulary import resize_embeddings, trim_vocabulary
from core.training.config import TrainingConfig
from core.training.fit import fit, save_pretrained
from core.training.losses import IGNORED, Loss

Head = Literal["sequence", "token"]


class Row(NamedTuple):
    """An encoded example: tokens, a label for each (or one for all), and which of its words has which place."""

    input_ids: list[int]
    labels: list[int]
    places: list[int]
    words: list[int]


def load_classifier(
    spec: str | Path,
    head: Head,
    labels: Sequence[str],
    *,
    seed: int = 0,
    frozen_layers: int = 0,
) -> Loaded:
    """An encoder in float32 with a fresh head.

    Args:
        spec: As in :func:`core.models.loading.load`.
        head: One label a text, read from its first token as the architecture does, or one a token.
        labels: Names, in the order of their numbers.
        seed: Of the head's weights.
        frozen_layers: Embeddings and this many of the lowest layers are not trained; 0 trains everything.

    Raises:
        UserError: More frozen layers than the model has.
    """
    distributed.seed_everything(seed)
    model = load_model(
        spec, task="token-cls" if head == "token" else "seq-cls", labels=labels, dtype="float32", device="cpu"
    )
    tokenizer = load_tokenizer(spec)
    if frozen_layers:
        encoder: Any = model.base_model
        layers = encoder.encoder.layer
        if frozen_layers > len(layers):
            raise UserError(f"frozen_layers = {frozen_layers}, but the model has {len(layers)} layers: give fewer.")
        for module in (encoder.embeddings, *layers[:frozen_layers]):
            module.requires_grad_(False)
    return Loaded(model, tokenizer)


def save_trimmed(spec: str | Path, texts: Iterable[str], folder: Path) -> None:
    """Save an encoder with the part of its vocabulary that some texts use: small and quick to fine-tune and to keep.

    It changes no result on these texts: they are cut as before, and AdamW without weight decay does not move a row
    that gets no gradient.

    Args:
        spec: As in :func:`core.models.loading.load`.
        texts: All that will be read in training and test; words where words are tagged.
        folder: Where model and tokenizer go.
    """
    model, tokenizer = load(spec, task="encoder", dtype="float32", device="cpu")
    trimmed = trim_vocabulary(tokenizer, texts)
    resize_embeddings(model, trimmed.rows)
    model.save_pretrained(folder)
    trimmed.tokenizer.save_pretrained(folder)


def finetune(
    classifier: Loaded,
    rows: Sequence[Row],
    score: Callable[[PreTrainedModel], float],
    settings: TrainingConfig,
    run: Run,
    *,
    name: str,
    seed: int = 0,
    patience: int = 0,
) -> Loaded:
    """Train on `rows`, evaluate every `settings.eval_every` steps and after the last, keep the best.

    Args:
        classifier: What :func:`load_classifier` gives; trained in place.
        rows: Encoded English.
        score: Of a model on English development data; higher is better, and of equal ones the first is kept.
        settings: Length and speed; `max_length` is the longest input.
        run: Its folder receives checkpoints, metrics, and `<name>/`, the best model (`from_pretrained` reads it).
        name: Of this fine-tuning.
        seed: Order of the rows and dropout.
        patience: Stop when more than this many evaluations in a row bring nothing better; 0 = never. Counted anew
            where an interrupted run goes on.

    Returns:
        The best model, for inference, and the tokenizer.
    """
    model, tokenizer = classifier
    folder = run.path / name
    best = (read_json(folder / "best.json") or {"score": -1.0})["score"]  # there when an interrupted run goes on
    waited = 0

    def keep_best(model: PreTrainedModel) -> dict[str, float]:
        nonlocal best, waited
        # Rank zero decides for all, since saving is a joint operation.
        value = distributed.gather_objects(score(model))[0]
        waited += 1
        if value > best:
            best, waited = value, 0
            save_pretrained(model, folder, tokenizer)
            if distributed.is_main():
                write_json(folder / "best.json", {"score": value})
        if patience and waited > patience:
            raise _Enough
        return {f"{name}_dev": value}

    with contextlib.suppress(_Enough):
        fit(
            model,
            [row._asdict() for row in rows],
            settings,
            run,
            loss_fn=label_loss,
            collate=lambda chosen, _: collate(chosen, pad_id(tokenizer)),
            seed=seed,
            evaluate=keep_best,
            name=name,
        )
    tags = MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING.get(type(model.config), None) is type(model)
    return Loaded(load_model(folder, task="token-cls" if tags else "seq-cls"), tokenizer)


class _Enough(Exception):
    """Nothing better for longer than the patience."""


def collate(rows: Sequence[Mapping[str, Any]], pad: int) -> dict[str, Tensor]:
    """Rows padded to the longest on the right."""

    def padded(values: Sequence[Sequence[int]], filler: int) -> Tensor:
        width = max(map(len, values))
        return torch.tensor([[*value, *[filler] * (width - len(value))] for value in values])

    ids = [row["input_ids"] for row in rows]
    return {
        "input_ids": padded(ids, pad),
        "attention_mask": padded([[1] * len(row) for row in ids], 0),
        "labels": padded([row["labels"] for row in rows], IGNORED),
    }


def label_loss(model: Any, batch: Mapping[str, Tensor]) -> Loss:
    """Cross-entropy summed over labelled texts or tokens, and their number."""
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    labels = batch["labels"].flatten()
    loss = F.cross_entropy(logits.flatten(0, -2).float(), labels, ignore_index=IGNORED, reduction="sum")
    return Loss(loss, (labels != IGNORED).sum())


@torch.inference_mode()
def predicted(classifier: Loaded, rows: Sequence[Row], batch_tokens: int = 4096) -> list[list[str]]:
    """The likeliest label at every place of every row, in batches of like length."""
    model, tokenizer = classifier
    names: Any = model.config.id2label
    found: list[list[str]] = [[] for _ in rows]
    for chosen in batches([len(row.input_ids) for row in rows], batch_tokens):
        batch = collate([rows[index]._asdict() for index in chosen], pad_id(tokenizer))
        inputs = {key: batch[key].to(model.device) for key in ("input_ids", "attention_mask")}
        best = model(**inputs).logits.argmax(-1).cpu()
        for position, index in enumerate(chosen):
            values = best[position].reshape(-1)
            found[index] = [names[int(values[place])] for place in rows[index].places]
    return found


def batches(lengths: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Indices in batches of similar length, each at most `limit` tokens with its padding (but at least one row)."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[index] * (len(batch) + 1) > limit:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The padding token's id.

    Raises:
        UserError: There is none.
    """
    if tokenizer.pad_token_id is None:
        raise UserError("The tokenizer has no padding token: give it one before fine-tuning.")
    return int(tokenizer.pad_token_id)
