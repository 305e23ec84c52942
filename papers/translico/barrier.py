"""The script barrier of an encoder, layer by layer: how far a sentence lies from its own transliteration.

    for layer in script_barrier(model, tokenizer, pairs): ...     # any encoder (or decoder) of transformers

Both sides say the same in the same words, so that what tells them apart is script alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.errors import UserError
from core.metrics.representation import variance_share
from core.metrics.retrieval import cosine_similarity
from core.models.embedding import hidden_states, pool
from core.models.loading import longest_input
from core.tasks.retrieval import ranked
from papers.translico.method import Pair


class Layer(NamedTuple):
    """One layer's barrier.

    Attributes:
        own: Mean cosine of a sentence and its transliteration.
        others: Mean cosine of a sentence and the transliterations of other sentences.
        found: Share of the sentences whose transliteration is the nearest of all (and the reverse), in [0, 1].
        script: Share of the variance of all vectors that script explains, in [0, 1]; 0 = no barrier.
    """

    own: float
    others: float
    found: float
    script: float


def script_barrier(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair]) -> list[Layer]:
    """The barrier after the embeddings (0) and after every layer; states are averaged over all tokens.

    Raises:
        UserError: Fewer than two pairs.
    """
    if len(pairs) < 2:
        raise UserError("A pair alone is found by itself: give at least two.")
    sides = [layers_of(model, tokenizer, [row[side] for row in pairs]) for side in ("text", "transliteration")]
    scripts = [side for side in range(2) for _ in pairs]
    found = []
    for text, other in zip(*sides, strict=True):
        cosines = cosine_similarity(text.numpy(), other.numpy())
        own, hit = float(cosines.diagonal().mean()), ranked(cosines)
        others = float((cosines.sum() - cosines.trace()) / (cosines.size - len(pairs)))
        both = (hit.accuracy() + hit.accuracy(direction="backward")) / 2
        found.append(Layer(own, others, both, variance_share(torch.cat([text, other]), scripts)))
    return found


def layers_of(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]
) -> Float[Tensor, "layer text width"]:
    """Vectors of texts after the embeddings and after every layer; longer texts than the model reads are cut."""
    longest = longest_input(model, tokenizer)
    ids = tokenizer(list(texts), truncation=True, max_length=longest, verbose=False)["input_ids"]
    rows: list[int] = []
    vectors = []
    for batch in hidden_states(model, ids):
        rows += batch.rows
        vectors.append(torch.stack([pool(layer, batch.mask).cpu() for layer in batch.layers]))
    return torch.cat(vectors, 1)[:, torch.tensor(rows).argsort()]
