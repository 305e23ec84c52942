"""MEXA: how well does a language model map a language onto English?

English-centric models handle other languages by mapping them near English in their middle layers. MEXA counts how
often that mapping is unambiguous. Embed n parallel sentences in English and in a language L at every layer l, and let

    C[i, j] = cos(e_i^en, e_j^L),
    mu(l)   = 1/n sum_i 1[ C[i, i] > max_{j != i} max(C[i, j], C[j, i]) ],

the share of translation pairs that are nearest neighbours of each other, strictly. A comparison is immune to what
makes cosines themselves misleading: in these models *all* sentences are similar, and some are similar to everything.
Pooled over the layers (mean or max), mu predicts across languages how well the model does in a task; multiplied by the
model's English score it estimates the task score of a language without a benchmark.

Everything that a score needs to know of n sentences are their dot products, so vectors are pooled, multiplied and
dropped, language by language: :class:`Grams`. The vectors themselves come from `embedding.py`.

    similarity = cosines(grams(english, french))     # [layers, n, n] from two arrays [layers, n, width]
    mexa(similarity)                                 # [layers], each in [0, 1]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import stats
from torch import Tensor

from core.metrics.stats import Interval

Embedding = Literal["weighted", "last", "mean"]
Score = Literal["mexa", "abs_cosine", "cosine_gap", "retrieval_p1_one_way", "cka", "rsa"]
Centering = Literal["none", "per_language_mean"]
Pooling = Literal["mean", "max"]


# --- from tokens to sentences -------------------------------------------------------------------------------------


def token_weights(
    mask: Int[Tensor, "batch seq"], embedding: Embedding = "weighted", drop_first: int = 0
) -> Float[Tensor, "batch seq"]:
    """Weight of every token in its sentence's vector; the weights of a sentence sum to 1.

    `weighted` (the default): w_t = t / sum_k k, with t the position in the sentence, from 1; a causal model's later
    tokens have seen more of it. `last`: the last token alone. `mean` (ours): all tokens alike.

    Positions count attended tokens, so padding on either side changes nothing. The official code counts columns, which
    is the same thing for its unpadded batches of one.

    Args:
        mask: 1 where there is a token. Special tokens count, as in the official code.
        embedding: How tokens are weighted.
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
    return weigh(states, token_weights(mask, embedding, drop_first))


def weigh(
    states: Float[Tensor, "batch seq width"], weights: Float[Tensor, "... batch seq"]
) -> Float[Tensor, "... batch width"]:
    """The weighted sums themselves, for several sets of weights at once.

    A token of weight 0 everywhere adds nothing, not even the NaN that padding may hold.
    """
    weights = weights.to(states.device).float()
    unused = (weights == 0).flatten(0, -3).all(0) if weights.ndim > 2 else weights == 0
    return torch.einsum("btd,...bt->...bd", states.float().masked_fill(unused[..., None], 0.0), weights)


# --- from sentences to dot products -------------------------------------------------------------------------------


class Grams(NamedTuple):
    """Dot products of the n sentence vectors of the pivot (English) and of a language, at every layer, in float64."""

    pivot: Float[Tensor, "layers n n"]
    cross: Float[Tensor, "layers n n"]
    language: Float[Tensor, "layers n n"]

    def select(self, rows: Sequence[int], columns: Sequence[int] | None = None) -> Grams:
        """The sentences `rows`; with `columns`, other sentences of the language take the place of translations."""
        own = rows if columns is None else columns
        return Grams(self.pivot[:, rows][:, :, rows], self.cross[:, rows][:, :, own], self.language[:, own][:, :, own])


def grams(pivot: Float[Tensor, "layers n width"], language: Float[Tensor, "layers n width"]) -> Grams:
    """Dot products of two sets of parallel sentence vectors.

    In float64, since neighbours can differ in the seventh digit: a sink vector in the average leaves cosines of 0.9999.
    """
    if pivot.shape != language.shape:
        raise ValueError(f"Sentences must be parallel: shapes {tuple(pivot.shape)} and {tuple(language.shape)} differ.")
    p, q = pivot.double(), language.double()
    return Grams(p @ p.mT, p @ q.mT, q @ q.mT)


def centre(g: Grams) -> Grams:
    """Dot products after each language's mean vector is subtracted from its sentences (`per_language_mean`; ours).

    (p_i - p̄)·(q_j - q̄) = p_i·q_j - row mean - column mean + mean of all.
    """

    def centred(m: Float[Tensor, "layers n n"]) -> Float[Tensor, "layers n n"]:
        return m - m.mean(1, keepdim=True) - m.mean(2, keepdim=True) + m.mean((1, 2), keepdim=True)

    return Grams(centred(g.pivot), centred(g.cross), centred(g.language))


def cosines(g: Grams) -> Float[Tensor, "layers n n"]:
    """C[l, i, j]: cosine of the pivot's sentence i and the language's sentence j; 0 for a vector of length 0."""
    return _normalised(g.cross, g.pivot, g.language)


def _normalised(products: Tensor, left: Tensor, right: Tensor) -> Tensor:
    norms = [m.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt() for m in (left, right)]
    return products / (norms[0][:, :, None] * norms[1][:, None, :]).clamp_min(torch.finfo(torch.float64).tiny)


# --- from dot products to scores ----------------------------------------------------------------------------------


def mutual_nearest(similarity: Float[Tensor, "*layers n n"]) -> Bool[Tensor, "*layers n"]:
    """Whether C[i, i] exceeds every other entry of row i and of column i. A tie is a failure."""
    best = torch.maximum(_off_diagonal(similarity).amax(-1), _off_diagonal(similarity).amax(-2))
    return similarity.diagonal(dim1=-2, dim2=-1) > best


def mexa(similarity: Float[Tensor, "*layers n n"] | Sequence[Sequence[float]]) -> Float[Tensor, "*layers"]:
    """mu: the share of pairs that are strict mutual nearest neighbours, in [0, 1].

    Takes one similarity matrix, as the official `mexa(matrix)` does, or a stack of them.
    """
    return mutual_nearest(torch.as_tensor(similarity, dtype=torch.float64)).double().mean(-1)


def _off_diagonal(similarity: Tensor) -> Tensor:
    """The matrix with -inf on its diagonal."""
    return similarity.masked_fill(
        torch.eye(similarity.shape[-1], dtype=torch.bool, device=similarity.device), -math.inf
    )


def _nearest_in_pivot(c: Tensor) -> Tensor:
    """1 where a sentence of the language finds its English translation (the usual one-way retrieval)."""
    return (c.diagonal(dim1=-2, dim2=-1) > _off_diagonal(c).amax(-2)).double()


def _gap(c: Tensor) -> Tensor:
    """Cosine of a pair minus the mean cosine of the non-parallel pairs that share a sentence with it."""
    n, pair = c.shape[-1], c.diagonal(dim1=-2, dim2=-1)
    return pair - (c.sum(-1) + c.sum(-2) - 2 * pair) / (2 * n - 2)


# What each sentence contributes; a score is the mean over sentences.
_BY_SENTENCE: dict[str, Callable[[Tensor], Tensor]] = {
    "mexa": lambda c: mutual_nearest(c).double(),
    "abs_cosine": lambda c: c.diagonal(dim1=-2, dim2=-1),
    "cosine_gap": _gap,
    "retrieval_p1_one_way": _nearest_in_pivot,
}


def linear_cka(g: Grams) -> Float[Tensor, " layers"]:
    """Linear centred kernel alignment of the two sets of vectors, in [0, 1] (Kornblith et al. 2019, equation 6).

    |Y'X|_F^2 / (|X'X|_F |Y'Y|_F) with centred X and Y, written with Gram matrices: <K, L> / (|K| |L|).
    """
    k, _, m = centre(g)
    return _cosine_of_matrices(k, m)


def rsa(g: Grams) -> Float[Tensor, " layers"]:
    """Representational similarity: Pearson's r between the languages' own cosine matrices, above the diagonal."""
    n = g.pivot.shape[1]
    rows, columns = torch.triu_indices(n, n, offset=1)
    own = [_normalised(m, m, m)[:, rows, columns] for m in (g.pivot, g.language)]
    return _cosine_of_matrices(*(values - values.mean(1, keepdim=True) for values in own))


def _cosine_of_matrices(a: Tensor, b: Tensor) -> Tensor:
    a, b = a.flatten(1), b.flatten(1)
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(torch.finfo(torch.float64).tiny)


class Curve(NamedTuple):
    """A score at every layer.

    Attributes:
        values: The score of each layer; layer 0 is the embedding output, the last one comes after the final norm.
        contributions: What each sentence contributes, whose mean is the score; None for CKA and RSA.
    """

    values: Float[Tensor, " layers"]
    contributions: Float[Tensor, "layers n"] | None


def layer_curve(g: Grams, score: Score = "mexa", center: Centering = "none") -> Curve:
    """The chosen score at every layer.

    `mexa` and `abs_cosine` (the paper's baseline, AC-P: the mean cosine of the parallel pairs) are the paper's; CKA and
    RSA are the alternatives that its appendix names; `cosine_gap` and `retrieval_p1_one_way` are ours.
    """
    if center == "per_language_mean":
        g = centre(g)
    if score in _BY_SENTENCE:
        contributions = _BY_SENTENCE[score](cosines(g))
        return Curve(contributions.mean(-1), contributions)
    return Curve(linear_cka(g) if score == "cka" else rsa(g), None)


def nonparallel_cosine(g: Grams) -> Float[Tensor, " layers"]:
    """Mean cosine of the pairs that are *not* translations: the paper's evidence that cosine does not discriminate."""
    c = cosines(g)
    n = c.shape[-1]
    return (c.sum((1, 2)) - c.diagonal(dim1=1, dim2=2).sum(1)) / (n * (n - 1))


def pool_layers(
    curve: Float[Tensor, "layers ..."],
    pool: Pooling = "mean",
    layers: Sequence[int] = (),
    include_embedding_layer: bool = True,
) -> Float[Tensor, " ..."]:
    """One number from the scores of all layers: mu_mean (the default) or mu_max.

    Args:
        curve: Scores by layer; further dimensions are pooled each for itself.
        pool: Mean or maximum.
        layers: Only these layers; empty = all.
        include_embedding_layer: Whether layer 0, which no transformer block has touched, counts among all.

    Raises:
        IndexError: a layer that the model does not have.
    """
    chosen = curve[list(layers)] if layers else curve[0 if include_embedding_layer else 1 :]
    return chosen.mean(0) if pool == "mean" else chosen.amax(0)


# --- chance and uncertainty ---------------------------------------------------------------------------------------


def chance(n: int) -> float:
    """Expected score of random similarities: a diagonal entry is the largest of 2n - 1."""
    return 1 / (2 * n - 1)


def chance_tail(hits: int, n: int) -> float:
    """P(score >= hits/n) at one layer by chance: 1 - BinomCDF(hits - 1; n, 1/(2n - 1)).

    As in the paper the n entries are treated as independent.
    """
    return float(stats.binom.sf(hits - 1, n, chance(n)))


def chance_band(n: int, level: float = 0.95) -> float:
    """The score that a layer exceeds by chance with probability at most 1 - level."""
    return float(stats.binom.ppf(level, n, chance(n))) / n


def bootstrap_over_sentences(
    contributions: Float[Tensor, "layers n"], pool: Callable[[Tensor], Tensor], resamples: int = 2000, seed: int = 0
) -> Interval:
    """95 % interval of a pooled score when the sentences are drawn again (ours).

    Sentences are resampled as *queries*; the candidates that each was compared with stay. Resampling both would put
    duplicates among the candidates, and of two equal sentences neither can be found strictly first.
    """
    observed = float(pool(contributions.mean(1)))
    return _percentiles(observed, pool(_resampled(contributions, resamples, seed)))


def compare_models(
    a: Float[Tensor, "layers_a n"],
    b: Float[Tensor, "layers_b n"],
    pool: Callable[[Tensor], Tensor],
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Difference (a minus b) of the pooled scores of two models on identical sentences, with its paired interval."""
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"The models saw {a.shape[1]} and {b.shape[1]} sentences: compare them on the same ones.")
    difference = pool(_resampled(a, resamples, seed)) - pool(_resampled(b, resamples, seed))
    return _percentiles(float(pool(a.mean(1)) - pool(b.mean(1))), difference)


def _resampled(contributions: Tensor, resamples: int, seed: int) -> Float[Tensor, "layers resamples"]:
    n = contributions.shape[1]
    counts = np.random.default_rng(seed).multinomial(n, [1 / n] * n, size=resamples)
    return contributions.double() @ torch.from_numpy(counts).double().T / n


def _percentiles(estimate: float, replicates: Tensor) -> Interval:
    low, high = np.quantile(replicates.numpy(), (0.025, 0.975))
    return Interval(estimate, float(low), float(high), "bootstrap over sentences", float(replicates.std()))


# --- from scores to task scores -----------------------------------------------------------------------------------


def adjusted(score: float, english_score: float) -> float:
    """The score on the task's scale: mu times the model's English task score.

    It orders languages as mu does; the factor matters when models are compared.
    """
    return score * english_score


def ideal_line(adjusted_score: float, choices: int = 4) -> float:
    """Task score without any known one: 1/c + (1 - 1/c) x, from chance at x = 0 to 1 at x = 1.

    The paper gives 1/4 + 3/4 x for tasks with four choices; other numbers of choices are ours.
    """
    return 1 / choices + (1 - 1 / choices) * adjusted_score


@dataclass(frozen=True)
class LinearFit:
    """Task score = slope x + intercept over the languages whose task score is known.

    Attributes:
        slope: Of the least-squares line.
        intercept: Of the least-squares line.
        residual: Standard deviation of the residuals, n - 2 degrees of freedom.
        n: Number of languages.
        centre: Mean of x.
        spread: Sum of squared deviations of x.
    """

    slope: float
    intercept: float
    residual: float
    n: int
    centre: float
    spread: float

    def predict(self, x: float, level: float = 0.95) -> Interval:
        """Where the task score of one more language is expected: Student's prediction interval.

        Unbounded with two known languages, since any line fits two.
        """
        estimate = self.slope * x + self.intercept
        method = f"prediction from {self.n} languages"
        if self.n < 3:
            return Interval(estimate, -math.inf, math.inf, method, math.inf, level)
        error = self.residual * math.sqrt(1 + 1 / self.n + (x - self.centre) ** 2 / self.spread)
        half = error * float(stats.t.isf((1 - level) / 2, self.n - 2))
        return Interval(estimate, estimate - half, estimate + half, method, error, level)


def fit_line(x: Sequence[float], y: Sequence[float]) -> LinearFit:
    """Least-squares line through (adjusted score, task score) of the known languages.

    Raises:
        ValueError: fewer than two languages, or all with the same score.
    """
    n, centre_x = len(x), sum(x) / max(len(x), 1)
    spread = sum((value - centre_x) ** 2 for value in x)
    if n != len(y) or n < 2 or spread == 0:
        raise ValueError(f"A line needs at least two languages with different scores, got {n}.")
    line = stats.linregress(x, y)
    rest = sum((v - line.slope * u - line.intercept) ** 2 for u, v in zip(x, y, strict=True))
    residual = math.sqrt(rest / (n - 2)) if n > 2 else math.inf
    return LinearFit(float(line.slope), float(line.intercept), residual, n, centre_x, spread)
