"""From sentences to one line per language: the library calls, and what the command line prints.

from core.models.loading import load
from papers.mexa import mexa_score

alignments = mexa_score(load("wheel:smollm2"), {"en": [...], "fr": [...], "sw": [...]}, drop_first=1, add_bos=True)
alignments["fr"].score, alignments["fr"].best_layer
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from papers.mexa.embedding import stored_kind, stream_grams
from papers.mexa.method import (
    Centering,
    Embedding,
    Grams,
    LinearFit,
    Pooling,
    Score,
    adjusted,
    bootstrap_over_sentences,
    chance_tail,
    fit_line,
    ideal_line,
    layer_curve,
    nonparallel_cosine,
    pool_layers,
)

if TYPE_CHECKING:
    from papers.mexa.embedding import Embedder


@dataclass(frozen=True)
class Alignment:
    """How well a model maps one language onto the pivot.

    Attributes:
        score: The pooled score.
        low: Lower end of its 95 % interval over sentences; None for CKA and RSA.
        high: Upper end.
        mean: Mean over the pooled layers (the paper's ARC style).
        max: Maximum over them (its Belebele style).
        best_layer: Layer of the largest score; 0 is the embedding output.
        tail: Probability that one layer reaches the largest score by chance; None for other scores than MEXA.
        curve: The score of every layer.
        nonparallel: Mean cosine of the pairs that are no translations, pooled as the score is.
        n: Number of sentences.
        contributions: Per layer and sentence what it adds to the score; for comparisons, not for reports.
    """

    score: float
    low: float | None
    high: float | None
    mean: float
    max: float
    best_layer: int
    tail: float | None
    curve: list[float]
    nonparallel: float
    n: int
    contributions: Float[Tensor, "layers n"] | None = field(default=None, repr=False, compare=False)

    def row(self) -> dict[str, Any]:
        """The numbers as JSON values."""
        return {name: value for name, value in asdict(self).items() if name != "contributions"}


def align(
    g: Grams,
    *,
    score: Score = "mexa",
    center: Centering = "none",
    pool: Pooling = "mean",
    layers: Sequence[int] = (),
    include_embedding_layer: bool = True,
    resamples: int = 2000,
) -> Alignment:
    """Score one language from its dot products with the pivot; the arguments are those of `method.py`."""
    curve = layer_curve(g, score, center)
    over = partial(pool_layers, layers=layers, include_embedding_layer=include_embedding_layer)
    pooled: Callable[[Tensor], Tensor] = partial(over, pool=pool)
    low = high = None
    if curve.contributions is not None:
        interval = bootstrap_over_sentences(curve.contributions, pooled, resamples)
        low, high = interval.low, interval.high
    n, values = g.cross.shape[-1], curve.values.tolist()
    best = max(layers or range(0 if include_embedding_layer else 1, len(values)), key=lambda layer: values[layer])
    return Alignment(
        score=float(pooled(curve.values)),
        low=low,
        high=high,
        mean=float(over(curve.values, pool="mean")),
        max=values[best],
        best_layer=best,
        tail=chance_tail(round(values[best] * n), n) if score == "mexa" else None,
        curve=values,
        nonparallel=float(pooled(nonparallel_cosine(g))),
        n=n,
        contributions=curve.contributions,
    )


def mexa_score(
    source: Embedder,
    parallel: Mapping[str, Sequence[str]],
    *,
    pivot: str = "en",
    embedding: Embedding = "weighted",
    drop_first: int = 0,
    add_bos: bool = False,
    prefix: str = "",
    batch_tokens: int | None = None,
    **scoring: Any,
) -> dict[str, Alignment]:
    """MEXA of every language of a parallel corpus.

    Args:
        source: `core.models.loading.load(...)`, any (model, tokenizer), or a function text -> [layers, tokens, width].
        parallel: `{language: sentences}`, aligned by position and without repetitions.
        pivot: The language that the others are compared with.
        embedding: `weighted` (default), `last` or `mean`.
        drop_first: 1 leaves the attention sink out; 0 is the official code's choice.
        add_bos: Begin every sentence with a begin token, for tokenizers that add none.
        prefix: Put before every sentence.
        batch_tokens: Tokens of a forward pass.
        scoring: `score`, `center`, `pool`, `layers`, `include_embedding_layer`, `resamples` of :func:`align`.

    Raises:
        ValueError: languages with unequal numbers of sentences.
    """
    counts = {language: len(sentences) for language, sentences in parallel.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"Sentences must be aligned, but their numbers differ: {counts}.")
    kind = stored_kind(embedding, drop_first)
    stream = stream_grams(
        source, parallel, pivot, kinds=(kind,), add_bos=add_bos, prefix=prefix, batch_tokens=batch_tokens
    )
    return {language: align(by_kind[kind], **scoring) for language, by_kind in stream}


@dataclass(frozen=True)
class Estimate:
    """A predicted task score.

    Attributes:
        score: The prediction.
        low: Lower end of the 95 % prediction interval; None on the ideal line, which has no error model.
        high: Upper end.
    """

    score: float
    low: float | None = None
    high: float | None = None


def estimate_task_scores(
    scores: Mapping[str, float], known: Mapping[str, float], english_score: float | None = None, choices: int = 4
) -> tuple[dict[str, Estimate], LinearFit | None]:
    """Task scores of the languages that have none.

    With three or more known languages (English is none of them) a line is fitted to them; otherwise, given the English
    score, the ideal line answers.

    Args:
        scores: Pooled MEXA scores by language.
        known: Task scores by language.
        english_score: The model's task score in English; the scores are multiplied by it (1 when unknown, which
            changes no fitted prediction).
        choices: Answers to choose from, for the ideal line.

    Returns:
        Predictions of the languages in `scores` that are not in `known`, and the fitted line, if there is one.
    """
    x = {
        language: adjusted(score, 1.0 if english_score is None else english_score) for language, score in scores.items()
    }
    common = [language for language in x if language in known]
    unknown = [language for language in x if language not in known]
    if len(common) >= 3 and len({x[language] for language in common}) > 1:
        fit = fit_line([x[language] for language in common], [known[language] for language in common])
        predicted = {language: fit.predict(x[language]) for language in unknown}
        return {language: Estimate(p.estimate, p.low, p.high) for language, p in predicted.items()}, fit
    if english_score is None:
        return {}, None
    return {language: Estimate(ideal_line(x[language], choices)) for language in unknown}, None
