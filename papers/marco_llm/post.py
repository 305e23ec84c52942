"""Post-training: supervised fine-tuning on multilingual conversations, then preference alignment by DPO.

The paper names the two steps and gives no numbers; the settings are ours. DPO (Rafailov et al. 2023, equation 7):

    loss = - log sigmoid( beta * [ (log pi(y_w|x) - log ref(y_w|x)) - (log pi(y_l|x) - log ref(y_l|x)) ] )

The reference is the fine-tuned model itself. Its log-probabilities are computed once, before anything changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from core.corpora import read_jsonl
from core.experiment.run import Run
from core.models.tokenization import IGNORED, chat_row, completion_row
from core.training.fit import fit
from core.training.losses import Loss
from papers.marco_llm.base import in_one_piece

if TYPE_CHECKING:
    from papers.marco_llm.config import Config

Row = dict[str, list[int]]


def align(model: Any, tokenizer: Any, config: Config, run: Run) -> Any:
    """The model fine-tuned and aligned, on whatever data the configuration names; without any, as it is.

    Raises:
        UserError: A file without the columns that are needed.
    """
    if config.post.sft_data:
        rows = [chat_row(tokenizer, row["messages"]) for row in read_jsonl(config.post.sft_data, {"messages": list})]
        model = in_one_piece(model, tokenizer, run)
        fit(model, rows, config.post.sft, run, seed=config.seed, name="sft")
    if config.post.preferences:
        table = read_jsonl(config.post.preferences, ["prompt", "chosen", "rejected"])
        pairs = [preference(tokenizer, row, config.post.dpo.max_length) for row in table]
        model = in_one_piece(model, tokenizer, run)
        with_reference(model, pairs, pad=tokenizer.pad_token_id or 0)

        def loss(model: Any, batch: Mapping[str, Tensor]) -> Loss:
            return preference_loss(model, batch, config.post.beta)

        def collate(rows: Sequence[Mapping[str, Any]], rng: np.random.Generator) -> dict[str, Tensor]:
            return batch_of(rows, tokenizer.pad_token_id or 0)

        fit(model, pairs, config.post.dpo, run, loss_fn=loss, collate=collate, seed=config.seed, name="dpo")
    return model


def preference(tokenizer: Any, row: Mapping[str, Any], max_length: int) -> dict[str, Any]:
    """Token rows of the preferred and the other answer, whose labels are the answers alone.

    `prompt`, `chosen` and `rejected` are texts, or lists of chat messages (then the tokenizer's template is used; what
    the assistant says in the prompt is labelled in both rows, and leaves the difference again).
    """
    found = {}
    for name in ("chosen", "rejected"):
        if isinstance(row["prompt"], str):
            encoded = completion_row(tokenizer, row["prompt"], row[name], bos=tokenizer.bos_token_id is not None)
        else:
            encoded = chat_row(tokenizer, [*row["prompt"], *row[name]])
        found[name] = {key: values[:max_length] for key, values in encoded.items()}
    return found


def batch_of(rows: Sequence[Mapping[str, Any]], pad: int) -> dict[str, Tensor]:
    """Preferred answers, then the others, padded on the right; with the reference's log-probabilities if known."""
    both: list[Row] = [row[name] for name in ("chosen", "rejected") for row in rows]
    longest = max(len(row["input_ids"]) for row in both)

    def padded(name: str, value: int) -> Tensor:
        return torch.tensor([row[name] + [value] * (longest - len(row[name])) for row in both])

    lengths = torch.tensor([len(row["input_ids"]) for row in both])
    batch = {
        "input_ids": padded("input_ids", pad),
        "labels": padded("labels", IGNORED),
        "attention_mask": (torch.arange(longest)[None] < lengths[:, None]).long(),
    }
    if "reference" in rows[0]:
        batch["reference"] = torch.tensor([row["reference"] for row in rows], dtype=torch.float32)
    return batch


def sequence_logps(model: Any, batch: Mapping[str, Tensor]) -> Float[Tensor, " rows"]:
    """Log-probability of each row's label tokens, summed, in nats."""
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits
    targets = batch["labels"][:, 1:]
    losses = F.cross_entropy(logits[:, :-1].float().transpose(1, 2), targets, ignore_index=IGNORED, reduction="none")
    return -losses.sum(1)


@torch.no_grad()
def with_reference(model: Any, pairs: Sequence[dict[str, Any]], pad: int, size: int = 4) -> None:
    """Add to each pair the reference's log-probabilities (preferred, other)."""
    training, device = model.training, next(model.parameters()).device
    model.eval()
    for begin in range(0, len(pairs), size):
        part = pairs[begin : begin + size]
        batch = {name: tensor.to(device) for name, tensor in batch_of(part, pad).items()}
        for pair, logps in zip(part, sequence_logps(model, batch).view(2, -1).T.tolist(), strict=True):
            pair["reference"] = logps
    model.train(training)


def dpo_loss(
    chosen: Float[Tensor, " n"],
    rejected: Float[Tensor, " n"],
    reference_chosen: Float[Tensor, " n"],
    reference_rejected: Float[Tensor, " n"],
    beta: float = 0.1,
) -> Float[Tensor, " n"]:
    """The equation of this module, pair by pair; log 2 while the model is the reference."""
    return -F.logsigmoid(beta * ((chosen - reference_chosen) - (rejected - reference_rejected)))


def preference_loss(model: Any, batch: Mapping[str, Tensor], beta: float) -> Loss:
    """DPO over a batch, with the share of pairs in which the preferred answer gained more."""
    chosen, rejected = sequence_logps(model, batch).chunk(2)
    reference = batch["reference"]
    losses = dpo_loss(chosen, rejected, reference[:, 0], reference[:, 1], beta)
    gained = (chosen - reference[:, 0]) > (rejected - reference[:, 1])
    return Loss(losses.sum(), len(losses), {"preferred": gained.float().sum().detach()})
