"""Lexical specialization: one contrastive pass over multilingual synsets makes an encoder of words.

    rows = [Constraint("n1", "dog", "en", "Hund", "de"), Constraint("n2", "cat", "en", "кошка", "ru"), ...]
    specialize(model, tokenizer, rows, settings, run)                       # in place
    encode_words(model, tokenizer, ["dog", "köpek"])[0]                     # [2, width]; Turkish was in no row

A constraint says that two words, of the same language or of two, are of one synset. A word is read alone, `<s> w </s>`;
its vector is the mean over its own subwords. The loss pulls the words of a synset together and all other words of the
batch apart. What changes is how subwords become a meaning, which languages share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from core.errors import UserError
from core.experiment.run import Run
from core.models.embedding import hidden_states, pool
from core.models.loading import longest_input
from core.text.sampling import probabilities
from core.training.config import TrainingConfig
from core.training.fit import FitResult, fit
from core.training.losses import Loss
from papers.lexical_specialization.inputs import Constraint, collate, sequences

Objective = Literal["nt_xent", "sup_con"]
Similarity = Literal["cosine", "csls"]
_NEVER = torch.finfo(torch.float32).min  # unlike -inf, its gradient through logsumexp is defined


def row_weights(rows: Sequence[Constraint], alpha: float) -> list[float]:
    """Equation (1): probability of each row; alpha = 1 draws rows uniformly, 0 unordered pairs of languages."""
    pairs = [frozenset((row.lang1, row.lang2)) for row in rows]
    sizes = Counter(pairs)
    share = probabilities(sizes, alpha=alpha)
    return [share[pair] / sizes[pair] for pair in pairs]


@torch.inference_mode()
def encode_words(
    model: Any, tokenizer: Any, words: Sequence[str], layers: Sequence[int] = (-1,)
) -> list[Float[Tensor, "word width"]]:
    """Equation (2): vectors of words, each read alone, of each layer: 0 = embeddings, n = after block n, -1 = the last.

    Raises:
        UserError: A word without a subword, or a layer that the model does not have.
    """
    options = {"truncation": True, "max_length": longest_input(model, tokenizer), "return_special_tokens_mask": True}
    encoded = tokenizer(list(words), **options)
    rows = encoded["input_ids"]
    own = [[1 - special for special in mask] for mask in encoded["special_tokens_mask"]]
    if empty := [word for word, mask in zip(words, own, strict=True) if not any(mask)]:
        raise UserError(f"the word {empty[0]!r} has no subword: remove it")
    vectors = [torch.empty(len(rows), model.config.hidden_size) for _ in layers]
    for batch in hidden_states(model, rows, layers=layers):
        pooled = torch.zeros_like(batch.mask)
        for line, row in enumerate(batch.rows):
            pooled[line, : len(own[row])] = torch.tensor(own[row])
        for kept, states in zip(vectors, batch.layers, strict=True):
            kept[batch.rows] = pool(states, pooled).cpu()
    return vectors


def similarities(vectors: Float[Tensor, "n width"], kind: Similarity = "cosine") -> Float[Tensor, "n n"]:
    """Cosines; or with csls, less the mean cosine of either side to all others of the batch: equation (5)."""
    unit = F.normalize(vectors, dim=-1)
    cosine = unit @ unit.T
    if kind == "cosine":
        return cosine
    hub = (cosine.sum(1) - cosine.diagonal()) / (len(cosine) - 1)
    return 2 * cosine - hub[:, None] - hub


def nt_xent(similarity: Float[Tensor, "n n"], labels: Int[Tensor, " n"], temperature: float) -> Float[Tensor, " pair"]:
    """Equation (3), of every ordered pair of one label: the pair against all negatives, without other positives."""
    scaled, same = similarity / temperature, labels[:, None] == labels
    anchor, positive = same.float().fill_diagonal_(0).nonzero(as_tuple=True)
    negatives = scaled.masked_fill(same, _NEVER).logsumexp(1)
    return F.softplus(negatives[anchor] - scaled[anchor, positive])


def sup_con(similarity: Float[Tensor, "n n"], labels: Int[Tensor, " n"], temperature: float) -> Float[Tensor, " n"]:
    """Equation (4), of every anchor: the mean over its positives, each against everything but the anchor itself."""
    positives = (labels[:, None] == labels).float().fill_diagonal_(0)
    others = (similarity / temperature).fill_diagonal_(_NEVER)
    log_p = others - others.logsumexp(1, keepdim=True)
    return -(log_p * positives).sum(1) / positives.sum(1)


OBJECTIVES: Mapping[Objective, Callable[..., Tensor]] = {"nt_xent": nt_xent, "sup_con": sup_con}


def contrast(
    model: Any,
    batch: Mapping[str, Tensor],
    *,
    objective: Objective = "nt_xent",
    similarity: Similarity = "cosine",
    temperature: float = 0.07,
) -> Loss:
    """The loss of a batch of :func:`papers.lexical_specialization.inputs.collate`, summed over pairs or anchors."""
    order = batch["attention_mask"].sum(1).argsort()
    parts = []
    for rows in order.chunk(3):  # of like length: most of the batch would be padding
        width = int(batch["attention_mask"][rows].sum(1).max())
        ids, mask, word = (batch[name][rows, :width] for name in ("input_ids", "attention_mask", "word"))
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state
        # Cosines in bf16 are wrong by up to 0.004, which is divided by the temperature.
        with torch.autocast(states.device.type, enabled=False):
            parts.append(pool(states, word))
    with torch.autocast(order.device.type, enabled=False):
        terms = OBJECTIVES[objective](similarities(torch.cat(parts), similarity), batch["labels"][order], temperature)
    return Loss(terms.sum(), len(terms))


def specialize(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Constraint],
    settings: TrainingConfig,
    run: Run,
    *,
    alpha: float = 0.5,
    glosses: bool = False,
    seed: int = 0,
    **loss: Any,
) -> FitResult:
    """Train the parameters that require gradients, in place.

    Args:
        model: An encoder.
        tokenizer: Its tokenizer.
        rows: The constraints.
        settings: Batch size in rows, learning rate, longest input; steps or epochs of rows drawn with replacement.
        run: Its folder receives metrics and checkpoints.
        alpha: Of :func:`row_weights`.
        glosses: Read each word with its gloss.
        seed: What is drawn, and dropout.
        loss: Objective, similarity and temperature of :func:`contrast`.

    Raises:
        UserError: Fewer than two synsets, or a word that cannot be read.
    """
    labels = {synset: number for number, synset in enumerate(dict.fromkeys(row.synset for row in rows))}
    if len(labels) < 2:
        raise UserError("With fewer than two synsets no word has a negative: give more constraints.")
    read = [
        {**sequences(tokenizer, row, settings.max_length, glosses=glosses), "label": labels[row.synset]} for row in rows
    ]
    drawn = torch.multinomial(
        torch.tensor(row_weights(rows, alpha)),
        settings.steps * settings.batch_size or round(settings.epochs * len(rows)),
        replacement=True,
        generator=torch.Generator().manual_seed(seed),
    )
    return fit(
        model,
        [read[row] for row in drawn.tolist()],
        replace(settings, steps=0, epochs=1, shuffle=False),
        run,
        loss_fn=partial(contrast, **loss),
        collate=lambda chosen, _: collate(chosen, tokenizer.pad_token_id),
        seed=seed,
        name="specialize",
    )
