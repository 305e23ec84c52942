"""Preference training: of two answers to a prompt, the better one has to gain on the worse (Rafailov et al. 2023, DPO).

    rows = pairs(tokenizer, prompts, better, worse)
    rows = with_reference(model, rows)                        # before training: the model itself is the reference
    train(model, rows, config.training, run, seed=0, beta=0.1)

With y_w the better and y_l the worse answer, and log-probabilities summed over the tokens of an answer,

    z = beta [(log pi(y_w|x) - log ref(y_w|x)) - (log pi(y_l|x) - log ref(y_l|x))],    L = - log sigma(z)        (eq. 7)

perhaps with alpha times the negative log-likelihood of y_w, which keeps both from sinking together. The reference is
asked once, so that no second model is held. Loss and gradient are those of trl's `DPOTrainer` (a test compares them);
here they run in :func:`core.training.fit.fit`, which continues a killed run to the same numbers and shards like every
other training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from core import distributed
from core.errors import UserError
from core.inference.scoring import evaluating
from core.models.tokenization import completion_row
from core.training import seq2seq
from core.training.config import TrainingConfig
from core.training.fit import FitResult, fit
from core.training.losses import IGNORED, Loss, label_log_probs

if TYPE_CHECKING:
    from core.experiment.run import Run

Pair = Mapping[str, Any]
"""`better` and `worse`, each a row of `input_ids` and `labels`; later also `reference`: the log-probabilities, in nats,
that the reference gives the one answer and the other."""


def pairs(
    tokenizer: Any, prompts: Sequence[str], better: Sequence[str], worse: Sequence[str],
    *, longest: int | None = None, bos: bool | None = None, eos: bool = True,
) -> list[Pair]:  # fmt: skip
    """Rows of a prompt with two answers; the loss is on the answers and their end.

    Args:
        tokenizer: The model's.
        prompts: As generation will be asked, templates included.
        better: The preferred answers.
        worse: The rejected ones.
        longest: Pairs with more tokens on either side are left out, since a cut answer would teach to stop there.
        bos: As in :func:`core.models.tokenization.completion_row`.
        eos: Whether an answer ends with the end token.

    Raises:
        UserError: No pair is left, or the two answers of one are the same.
    """
    rows: list[Pair] = []
    for prompt, yes, no in zip(prompts, better, worse, strict=True):
        if yes == no:
            raise UserError(f"Both answers to {prompt!r} are {yes!r}: a pair needs a better and a worse one.")
        pair = {"better": yes, "worse": no}
        row = {side: completion_row(tokenizer, prompt, text, bos=bos, eos=eos) for side, text in pair.items()}
        if longest is None or max(len(one["input_ids"]) for one in row.values()) <= longest:
            rows.append(row)
    if not rows:
        raise UserError(f"None of {len(prompts)} pairs has at most {longest} tokens: allow longer ones.")
    return rows


def collate(rows: Sequence[Pair], rng: np.random.Generator | None = None) -> dict[str, Tensor]:
    """A padded batch [2 x pairs, length]: first the better answers, then the worse; `reference` is [2 x pairs]."""
    batch = seq2seq.collate([row[side] for side in ("better", "worse") for row in rows], pad=0)
    if "reference" in rows[0]:
        batch["reference"] = torch.tensor([row["reference"][side] for side in (0, 1) for row in rows])
    return batch


def answer_log_probs(model: nn.Module, batch: Mapping[str, Tensor]) -> Float[Tensor, " rows"]:
    """log pi(y | x) of every row, in nats: summed over its labels."""
    values, row = label_log_probs(model, {name: batch[name] for name in ("input_ids", "attention_mask", "labels")})
    return values.new_zeros(len(batch["input_ids"])).index_add(0, row, values)


@torch.no_grad()
def with_reference(
    model: Any, rows: Sequence[Pair], *, batch_size: int = 16, progress: Callable[[int, int], None] | None = None
) -> list[Pair]:
    """The rows with the log-probabilities that the model as it is now, without dropout, gives both answers.

    Processes share the work, and each has the whole result.

    Args:
        model: The reference: in DPO, the model that training starts from.
        rows: As of :func:`pairs`.
        batch_size: Pairs of one forward pass.
        progress: Is told how many pairs of this process are done, and of how many.
    """
    longest_first = sorted(range(len(rows)), key=lambda i: -len(rows[i]["better"]["input_ids"]))
    mine = longest_first[distributed.rank() :: distributed.world_size()]
    found: dict[int, list[float]] = {}
    with evaluating(model):
        for start in range(0, len(mine), batch_size):
            part = mine[start : start + batch_size]
            batch = collate([{side: rows[i][side] for side in ("better", "worse")} for i in part])
            values = answer_log_probs(model, {name: value.to(model.device) for name, value in batch.items()})
            found |= dict(zip(part, values.view(2, -1).T.tolist(), strict=True))
            if progress is not None:
                progress(len(found), len(mine))
    whole = {i: pair for part in distributed.gather_objects(found) for i, pair in part.items()}
    return [{**row, "reference": whole[i]} for i, row in enumerate(rows)]


def preference_loss(model: nn.Module, batch: Mapping[str, Tensor], *, beta: float, nll: float = 0.0) -> Loss:
    """Equation 7 summed over pairs; the log has the share of pairs in the right order and how far both answers moved.

    Args:
        model: The policy.
        batch: As of :func:`collate`, with a reference.
        beta: How much the policy is held to the reference.
        nll: alpha, the weight of - log pi(y_w|x) / |y_w|.
    """
    log_probs = answer_log_probs(model, batch)
    gain_better, gain_worse = (log_probs - batch["reference"].to(log_probs)).chunk(2)
    z = beta * (gain_better - gain_worse)
    loss = -F.logsigmoid(z).sum()
    if nll:
        better = slice(0, len(z))
        lengths = (batch["labels"][better, 1:] != IGNORED).sum(1)
        loss = loss - nll * (log_probs[better] / lengths).sum()
    logs = {"preferred": (z > 0).double(), "gain_better": gain_better, "gain_worse": gain_worse}
    return Loss(loss, len(z), {name: value.detach().sum() for name, value in logs.items()})


def train(
    model: nn.Module, rows: Sequence[Pair], settings: TrainingConfig, run: Run, seed: int,
    *, beta: float, nll: float = 0.0, name: str = "preferences",
) -> FitResult:  # fmt: skip
    """Train a model, in place, on pairs that have a reference.

    Args:
        model: A causal language model, whole or with LoRA adapters.
        rows: As of :func:`with_reference`.
        settings: Batch size in pairs, speed, number format.
        run: Receives metrics and checkpoints.
        seed: Decides the order of the pairs and dropout.
        beta: As in :func:`preference_loss`.
        nll: As in :func:`preference_loss`.
        name: Of this phase.

    Raises:
        UserError: The rows have no reference, or as :func:`core.training.fit.fit`.
    """
    if any("reference" not in row for row in rows):
        raise UserError("Pairs without a reference: let with_reference(model, rows) ask the model before training.")
    loss = partial(preference_loss, beta=beta, nll=nll)
    return fit(model, rows, settings, run, collate=collate, loss_fn=loss, seed=seed, name=name)
