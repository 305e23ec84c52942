"""MEXA: how well does a language model map a language onto English?

English-centric models handle other languages by mapping them near English in their middle layers. MEXA (Kargaran et al.
2025) counts how often that mapping is unambiguous. Embed n parallel sentences in English and in a language L at every
layer l, and let

    e        = sum_t w_t h_t,  w_t = t / sum_k k                                  (1)
    C[i, j]  = cos(e_i^en, e_j^L)                                                 (2)
    mu(l)    = 1/n sum_i 1[ C[i, i] > max_{j != i} max(C[i, j], C[j, i]) ]        (3)

the share of translation pairs that are nearest neighbours of each other, strictly. A comparison is immune to what
makes cosines themselves misleading: in these models *all* sentences are similar, and some are similar to everything.
Pooled over the layers (mean or max, 4), mu goes along with the model's accuracy in the language; multiplied by its
English score it estimates the task score of a language without a benchmark (6).

    for language, by_kind in similarities(load("wheel:smollm2"), {"en": [...], "fr": [...]}, "en", [("weighted", 1)]):
        print(language, pool_layers(mexa(by_kind["weighted", 1])))
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from scipy import stats
from torch import Tensor

from core.errors import UserError
from core.models.states import token_states

if TYPE_CHECKING:
    from core.models.states import Embedder

Embedding = Literal["weighted", "last", "mean"]
Pooling = Literal["mean", "max"]
Kind = tuple[Embedding, int]
"""How tokens become a sentence: the embedding, and how many first tokens are left out."""


# --- from tokens to sentences -------------------------------------------------------------------------------------


def token_weights(
    mask: Int[Tensor, "batch seq"], embedding: Embedding = "weighted", drop_first: int = 0
) -> Float[Tensor, "batch seq"]:
    """Weight of every token in its sentence's vector; the weights of a sentence sum to 1.

    `weighted` (the default): w_t = t / sum_k k, with t the position in the sentence, from 1; a causal model's later
    tokens have seen more of it. `last`: the last token alone. `mean` (ours): all alike, as many encoders are trained.
    Positions count attended tokens, special ones among them, so padding on either side changes nothing.

    Args:
        mask: 1 where there is a token.
        embedding: One of the three.
        drop_first: Leave out this many tokens at the beginning and count positions after them. The first position of a
            Llama-like model is an *attention sink*: its state is one huge constant vector that drowns the sentence. A
            sentence that is no longer than `drop_first` is kept whole.
    """
    mask = mask.long()
    kept = mask * (mask.cumsum(1) > drop_first)
    kept = torch.where(kept.any(1, keepdim=True), kept, mask)
    position = kept.cumsum(1) * kept
    if embedding == "last":
        weights = (position == position.amax(1, keepdim=True)) & (kept > 0)
    else:
        weights = position if embedding == "weighted" else kept
    return weights / weights.sum(1, keepdim=True)


def weighted_embeddings(
    states: Float[Tensor, "batch seq width"],
    mask: Int[Tensor, "batch seq"],
    embedding: Embedding = "weighted",
    drop_first: int = 0,
) -> Float[Tensor, "batch width"]:
    """Sentence vectors e = sum_t w_t h_t of one layer, accumulated in float32 whatever the model computes in."""
    weights = token_weights(mask, embedding, drop_first).to(states.device)
    # A token of weight 0 adds nothing, not even the NaN that padding may hold.
    return torch.einsum("btd,bt->bd", states.float().masked_fill(weights[..., None] == 0, 0.0), weights)


def embed(
    source: Embedder,
    sentences: Sequence[str],
    *,
    kinds: Sequence[Kind] = (("weighted", 0),),
    add_bos: bool = False,
    prefix: str = "",
    batch_tokens: int | None = None,
) -> dict[Kind, Float[Tensor, "layers n width"]]:
    """Vectors of sentences at every layer (0 = embedding output, the last = after the final norm), float32, on the CPU.

    Args:
        source: A model with its tokenizer, or a function text -> [layers, tokens, width].
        sentences: In any order and length.
        kinds: Which sentence vectors to make of the tokens': one forward pass serves them all.
        add_bos: Begin every sentence with the begin token, so that it, and not a word, becomes the attention sink.
        prefix: Put before every sentence. MEXA uses none; some encoders are trained with one.
        batch_tokens: As of :func:`core.models.embedding.hidden_states`.

    Raises:
        UserError: a sentence without tokens, or with more than the model reads; states that are not finite.
    """
    texts = [prefix + sentence for sentence in sentences]
    vectors: dict[Kind, Tensor] = {}
    for rows, layers, mask in token_states(source, texts, add_bos=add_bos, batch_tokens=batch_tokens):
        for kind in kinds:
            pooled = torch.stack([weighted_embeddings(states, mask, *kind).cpu() for states in layers])
            if not pooled.isfinite().all():
                raise UserError(f"The states of {sentences[rows[0]]!r} are not finite: load the model in float32.")
            if kind not in vectors:
                vectors[kind] = pooled.new_empty(len(pooled), len(sentences), pooled.shape[-1])
            vectors[kind][:, rows] = pooled
    return vectors


# --- from sentences to scores -------------------------------------------------------------------------------------


def cosines(
    english: Float[Tensor, "layers n width"], language: Float[Tensor, "layers n width"]
) -> Float[Tensor, "layers n n"]:
    """C[l, i, j]: cosine of English sentence i and the language's sentence j; 0 for a vector of length 0.

    In float64, since neighbours can differ in the seventh digit: a sink vector in the average leaves cosines of 0.9999.
    """
    if english.shape != language.shape:
        raise ValueError(f"Sentences must be parallel: shapes {(*english.shape,)} and {(*language.shape,)} differ.")
    p, q = (torch.nn.functional.normalize(side.double(), dim=-1, eps=1e-300) for side in (english, language))
    return p @ q.mT


def mutual_nearest(similarity: Float[Tensor, "*layers n n"]) -> Bool[Tensor, "*layers n"]:
    """Whether C[i, i] exceeds every other entry of row i and of column i. A tie is a failure."""
    own = torch.eye(similarity.shape[-1], dtype=torch.bool, device=similarity.device)
    others = similarity.masked_fill(own, -math.inf)
    return similarity.diagonal(dim1=-2, dim2=-1) > torch.maximum(others.amax(-1), others.amax(-2))


def mexa(similarity: Float[Tensor, "*layers n n"] | Sequence[Sequence[float]]) -> Float[Tensor, "*layers"]:
    """mu: the share of pairs that are strict mutual nearest neighbours, in [0, 1].

    Takes one similarity matrix, as the official `mexa(matrix)` does, or a stack of them.
    """
    return mutual_nearest(torch.as_tensor(similarity, dtype=torch.float64)).double().mean(-1)


def pool_layers(
    curve: Float[Tensor, "layers ..."], pool: Pooling = "mean", layers: Sequence[int] = ()
) -> Float[Tensor, " ..."]:
    """mu_mean (the paper's default) or mu_max over all layers, or over some; IndexError for one that is not there."""
    chosen = curve[list(layers)] if layers else curve
    return chosen.mean(0) if pool == "mean" else chosen.amax(0)


def similarities(
    source: Embedder, parallel: Mapping[str, Sequence[str]], pivot: str, kinds: Sequence[Kind], **options: Any
) -> Iterator[tuple[str, dict[Kind, Float[Tensor, "layers n n"]]]]:
    """Language after language, its cosines with the pivot; its vectors are gone when the next one comes."""
    english = embed(source, parallel[pivot], kinds=kinds, **options)
    for language, sentences in parallel.items():
        if language != pivot:
            vectors = embed(source, sentences, kinds=kinds, **options)
            yield language, {kind: cosines(english[kind], vectors[kind]) for kind in kinds}


# --- chance and estimates -----------------------------------------------------------------------------------------


def chance_tail(hits: int, n: int) -> float:
    """P(score >= hits/n) at one layer for random similarities: 1 - BinomCDF(hits - 1; n, 1/(2n - 1)).

    A diagonal entry is the largest of 2n - 1; as in the paper the n entries are treated as independent.
    """
    return float(stats.binom.sf(hits - 1, n, 1 / (2 * n - 1)))


def ideal_line(score: float, english_score: float) -> float:
    """Score in a task with four choices where none is known: from chance at x = 0 to 1 at x = 1.

    x = mu times the model's English task score orders languages as mu does, and matters between models.
    """
    return 1 / 4 + 3 / 4 * score * english_score
