"""Training of encoder-decoders: teacher forcing, smoothed labels, batches of like lengths on both sides.

    rows = pairs(tokenizer, ["Good morning."], ["Chào buổi sáng."], "en", "vi")      # input_ids, labels
    train(model, rows, config.training, run, 0, pad=tokenizer.pad_token_id, smoothing=0.1)
    translate(model, tokenizer, ["Good morning."], "en", "vi")                      # core.inference.seq2seq

With smoothing e and V entries in the vocabulary, for a target y of a source x,

    L = - sum_t [(1 - e) log P(y_t | y_<t, x) + e / V sum_v log P(v | y_<t, x)]

What a decoder is given before its first word differs by family; the model itself shifts the labels and knows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.inference.seq2seq import encode
from core.training.config import TrainingConfig
from core.training.documents import by_length
from core.training.fit import FitResult, fit
from core.training.losses import IGNORED, Loss

if TYPE_CHECKING:
    from core.experiment.run import Run

Row = Mapping[str, Sequence[int]]
"""`input_ids` as the encoder reads them and `labels` as the decoder writes them, both with their special tokens."""


def pairs(
    tokenizer: Any, sources: Sequence[str], targets: Sequence[str], source: str, target: str, longest: int = 1024
) -> list[Row]:
    """Rows of texts and their translations.

    Args:
        tokenizer: Of an encoder-decoder.
        sources: Texts of one language.
        targets: Their translations, in the same order.
        source: Code of the language to translate from.
        target: Code of the language to translate into.
        longest: Most tokens of either side; longer ones are cut.
    """
    read, written = encode(tokenizer, sources, source, longest)[0], encode(tokenizer, targets, target, longest)[1]
    return [{"input_ids": ids, "labels": labels} for ids, labels in zip(read, written, strict=True)]


def collate(rows: Sequence[Row], rng: np.random.Generator | None = None, *, pad: int) -> dict[str, Tensor]:
    """A padded batch of `input_ids`, `attention_mask` and `labels`, [row, longest of its side]."""

    def padded(values: Sequence[Sequence[int]], filler: int) -> Tensor:
        rows = [torch.tensor(row) for row in values]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=filler)

    return {
        "input_ids": padded([row["input_ids"] for row in rows], pad),
        "attention_mask": padded([[1] * len(row["input_ids"]) for row in rows], 0),
        "labels": padded([row["labels"] for row in rows], IGNORED),
    }


def sequence_loss(model: nn.Module, batch: Mapping[str, Any], *, smoothing: float = 0.0) -> Loss:
    """The loss L above, summed over what the decoder writes."""
    labels = batch["labels"]
    logits = model(**batch).logits
    loss = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="sum", label_smoothing=smoothing)
    return Loss(loss, int((labels != IGNORED).sum()))


def bucketed(rows: Sequence[Row], settings: TrainingConfig, seed: int) -> Sequence[Row]:
    """Rows for all steps, each batch of like lengths on both sides: sorted by the source, then by the target.

    Train on them with `shuffle` off.

    Raises:
        UserError: Too few rows for a batch.
    """
    return by_length(rows, [(len(row["input_ids"]), len(row["labels"])) for row in rows], settings, seed)


def train(
    model: nn.Module, rows: Sequence[Row], settings: TrainingConfig, run: Run, seed: int,
    *, pad: int, smoothing: float = 0.0, bucket: bool = False, name: str = "train",
) -> FitResult:  # fmt: skip
    """Train a model, in place, to write the labels of its inputs.

    Args:
        model: An encoder-decoder.
        rows: As of :func:`pairs`.
        settings: Length, speed, number format; `steps` has to be set where batches are bucketed.
        run: Receives metrics and checkpoints.
        seed: Decides the order of the rows and dropout.
        pad: Id of the padding token.
        smoothing: Of the labels.
        bucket: Whether batches are of like lengths, which wastes less where lengths differ.
        name: Of this phase.

    Raises:
        UserError: As :func:`core.training.fit.fit` and :func:`bucketed`.
    """
    if bucket:
        rows, settings = bucketed(rows, settings, seed), replace(settings, shuffle=False)
    loss = partial(sequence_loss, smoothing=smoothing)
    return fit(model, rows, settings, run, collate=partial(collate, pad=pad), loss_fn=loss, seed=seed, name=name)


def set_dropout(model: nn.Module, dropout: float, attention: float) -> None:
    """Set the rates of a model whose configuration has others: of attention weights, and of everything else."""
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = dropout
        elif isinstance(getattr(part, "dropout", None), float):
            part.dropout = attention if "Attention" in type(part).__name__ else dropout  # type: ignore[assignment]
