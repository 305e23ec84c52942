"""States of tokens at every layer, from a transformers model or from any function of a text.

    for rows, layers, mask in token_states(load("wheel:smollm2"), texts, add_bos=True): ...

    read = WhitenedStates.fit("wheel:e5-small", captions, 256)     # a frozen encoder, as another model's input
    read("a red circle")                                           # [tokens, 256]

Texts are sorted by length and batched with padding on the right, and the hidden states live for one batch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.errors import UserError
from core.models.embedding import States, hidden_states, load_encoder
from core.models.loading import longest_input, translated

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    Embedder = tuple[PreTrainedModel, PreTrainedTokenizerBase] | Callable[[str], Tensor]
    """A causal language model or encoder with its tokenizer, or a function text -> [layers, tokens, width]."""


def token_states(
    source: Embedder, texts: Sequence[str], *, add_bos: bool = False, batch_tokens: int | None = None
) -> Iterator[States]:
    """Batches: the numbers of their texts, the states of each layer [row, token, width], and 1 for all but padding.

    Args:
        source: A model with its tokenizer, or a function text -> [layers, tokens, width].
        texts: In any order and length.
        add_bos: Begin every text with the begin token where the tokenizer does not (with the end-of-text token where it
            has none), so that it, and not a word, becomes the attention sink of a causal model.
        batch_tokens: See :func:`core.models.embedding.hidden_states`.

    Raises:
        UserError: a text without tokens, or with more than the model reads; no token to begin with; a function that
            gives another shape.
    """
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


def _one_by_one(function: Callable[[str], Tensor], texts: Sequence[str]) -> Iterator[States]:
    for row, text in enumerate(texts):
        states = torch.as_tensor(function(text))
        if states.ndim != 3 or not states.shape[1]:
            raise UserError(
                f"The embedder gives shape {tuple(states.shape)} for {text!r}: give [layers, tokens, width]."
            )
        yield States([row], list(states[:, None]), torch.ones(1, states.shape[1], dtype=torch.long))


def whitening(
    states: Float[Tensor, "tokens width"], width: int
) -> tuple[Float[Tensor, " width"], Float[Tensor, "width whitened"]]:
    """Mean and matrix that give states zero mean and, in the `width` largest directions, unit variance (PCA).

    Directions with less than a ten-thousandth of the largest variance are noise, and are not blown up to unit variance.
    """
    mean = states.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov((states - mean).T.double()))
    top = slice(-min(width, len(values)), None)
    return mean, (vectors[:, top] / values[top].clamp_min(1e-4 * float(values[-1])).sqrt()).flip(1).float().contiguous()


load_once = functools.lru_cache(1)(load_encoder)


def last_states(encoder: str, texts: Sequence[str]) -> list[Float[Tensor, "tokens width"]]:
    """Last-layer states of each text in order, the encoder's begin and end token included."""
    loaded, found = load_once(encoder), dict[int, Tensor]()
    for rows, layers, mask in token_states((loaded.model, loaded.tokenizer), texts):
        lengths, states = mask.sum(1).tolist(), layers[-1].float().cpu()
        found |= {row: state[:length].clone() for row, state, length in zip(rows, states, lengths, strict=True)}
    return [found[row] for row in range(len(texts))]


class WhitenedStates:
    """A frozen encoder as another model's input: whitened last-layer states of a text, [tokens, width].

    Args:
        encoder: Hub id, folder or wheel.
        mean: Of the states over the texts that it was fitted to.
        matrix: Whitens them (:func:`whitening`).
        table: States of texts that are known already; others are encoded when they are asked for.
    """

    FILE = "states.safetensors"

    def __init__(self, encoder: str, mean: Tensor, matrix: Tensor, table: Mapping[str, Tensor] | None = None) -> None:
        self.encoder, self.mean, self.matrix, self.table = encoder, mean, matrix, dict(table or {})
        self.width = matrix.shape[1]

    @classmethod
    def fit(cls, encoder: str, texts: Sequence[str], width: int, others: Sequence[str] = ()) -> WhitenedStates:
        """Whitened over `texts`; `others` are encoded along with them."""
        states = last_states(encoder, [*texts, *others])
        mean, matrix = whitening(torch.cat(states[: len(texts)]), width)
        table = {text: (state - mean) @ matrix for text, state in zip([*texts, *others], states, strict=True)}
        return cls(encoder, mean, matrix, table)

    def __call__(self, text: str) -> Float[Tensor, "tokens width"]:
        """The states of one text."""
        if text not in self.table:
            self.table[text] = (last_states(self.encoder, [text])[0] - self.mean) @ self.matrix
        return self.table[text]

    def save(self, folder: Path, *, table: bool = True) -> None:
        """Write the statistics and, unless it is left out, the table; not the encoder."""
        folder.mkdir(parents=True, exist_ok=True)
        known = {f"text {text}": states for text, states in self.table.items()} if table else {}
        save_file({"mean": self.mean, "matrix": self.matrix, **known}, folder / self.FILE)

    @classmethod
    def load(cls, encoder: str, folder: Path) -> WhitenedStates:
        """The inverse of :meth:`save`, for the same encoder."""
        with translated(folder):
            found = load_file(folder / cls.FILE)
        mean, matrix = found.pop("mean"), found.pop("matrix")
        return cls(encoder, mean, matrix, {name.removeprefix("text "): states for name, states in found.items()})
