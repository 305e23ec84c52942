"""States of tokens at every layer, from a transformers model or from any function of a text.

The official extractor runs one sentence at a time. Here sentences are sorted by length and batched with padding on the
right, and the hidden states live for one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from core.errors import UserError
from core.models.embedding import States, hidden_states
from core.models.loading import longest_input

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    Embedder = tuple[PreTrainedModel, PreTrainedTokenizerBase] | Callable[[str], Tensor]
    """A causal language model or encoder with its tokenizer, or a function text -> [layers, tokens, width]."""


def token_states(
    source: Embedder, sentences: Sequence[str], add_bos: bool, prefix: str, batch_tokens: int | None
) -> Iterator[States]:
    """Batches: the numbers of their sentences, the states of each layer [row, token, width], and the mask.

    Raises:
        UserError: a sentence without tokens, or with more than the model reads.
    """
    texts = [prefix + sentence for sentence in sentences]
    if not isinstance(source, tuple):
        yield from _one_by_one(source, texts)
        return
    model, tokenizer = source
    encoded = [tokens(tokenizer, text, add_bos) for text in texts]
    limit = longest_input(model, tokenizer)
    for text, ids in zip(texts, encoded, strict=True):
        if len(ids) > limit:
            raise UserError(
                f"The sentence {text[:40]!r}... has {len(ids)} tokens and the model reads {limit}: shorten it or leave "
                "its line out, in all languages."
            )
    yield from hidden_states(model, encoded, batch_tokens=batch_tokens)


def tokens(tokenizer: PreTrainedTokenizerBase, text: str, add_bos: bool) -> list[int]:
    """Ids of a sentence, with a begin token where it is asked for and not there.

    Raises:
        UserError: no token at all, or no token to begin with.
    """
    ids = list(tokenizer(text, verbose=False)["input_ids"])
    if add_bos:
        begins = (tokenizer.bos_token_id, tokenizer.cls_token_id, tokenizer.eos_token_id)
        begin = next((token for token in begins if token is not None), None)
        if begin is None:
            raise UserError("The tokenizer has no begin or end token: leave add_bos out, and drop_first at 0.")
        if ids[:1] != [begin]:
            ids = [begin, *ids]
    if not ids:
        raise UserError(f"The tokenizer gives no token for the sentence {text!r}: remove the line from the corpus.")
    return ids


def _one_by_one(function: Callable[[str], Tensor], texts: list[str]) -> Iterator[States]:
    for row, text in enumerate(texts):
        states = torch.as_tensor(function(text))
        if states.ndim != 3 or not states.shape[1]:
            raise UserError(
                f"The embedder gives shape {tuple(states.shape)} for {text!r}: give [layers, tokens, width]."
            )
        yield States([row], list(states[:, None]), torch.ones(1, states.shape[1], dtype=torch.long))
