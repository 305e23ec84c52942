"""MuRIL: tie languages and scripts together by masking words of pairs: translations, and transliterations.

A BERT for India's languages and English. Three kinds of input, the second and third with two segments,

    [CLS] text [SEP]        [CLS] text [SEP] translation [SEP]        [CLS] text [SEP] the same in Latin letters [SEP]

have one loss: whole words are masked and predicted from what is left, in the other segment too,

    L = - mean over masked t of log p(x_t | text and its counterpart without the masked words).                 (1)

Where the own context says little (a name, a short message) the counterpart is the only evidence, so that words learn to
look for their translation, and both spellings of a word get neighbouring states. Nothing else ties them: there are no
negatives and no further loss.

Small languages are repeated. With n_l lines of language l the duplication factor and the share are

    m_l = (max_j n_j / n_l)^(1 - alpha),      share of l ∝ n_l m_l ∝ n_l^alpha,                                 (2)

alpha = 0.3 here and 0.7 in mBERT. Languages are drawn with these shares instead of being copied, the same in
expectation, and each line is masked anew whenever it comes.

    rows = stream(pools, alpha=0.3, count=64_000, seed=0)
    pretrain(model, rows, masking(tokenizer), settings, run, seed=0)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core.text.sampling import probabilities
from core.training.masking import Masking, masked_lm_loss

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.training.fit import FitResult

Row = dict[str, list[int]]


class Line(NamedTuple):
    """One input: a text alone, or with its counterpart."""

    text: str
    pair: str | None = None


class Share(NamedTuple):
    """A language of a pool: its lines, how often each comes (equation 2), and its share of what is read."""

    lines: int
    factor: float
    share: float


def upsampling(sizes: Mapping[str, int], alpha: float = 0.3) -> dict[str, Share]:
    """Equation (2) for a pool.

    Args:
        sizes: Lines by language, at least one each.
        alpha: Exponent of the shares, in [0, 1]; 1 keeps the sizes, 0 makes all equal. Others call 1/alpha temperature.
    """
    largest = max(sizes.values())
    shares = probabilities(sizes, alpha=alpha)
    return {code: Share(size, (largest / size) ** (1 - alpha), shares[code]) for code, size in sizes.items()}


def stream(
    pools: Mapping[str, Mapping[str, Sequence[Line]]],
    weights: Mapping[str, float],
    alpha: float,
    count: int,
    seed: int,
) -> Iterator[Line]:
    """`count` lines: a pool by its weight, a language of it by equation (2), its lines in turn.

    Args:
        pools: Kind -> language -> lines.
        weights: Shares of the pools; need not sum to 1.
        alpha: See :func:`upsampling`.
        count: How many.
        seed: Of all draws.
    """
    rng = np.random.default_rng(seed)
    places = [(kind, code) for kind, lines in pools.items() for code in lines]
    whole = sum(weights[kind] for kind in pools)
    chances = [
        weights[kind] / whole * share.share
        for kind, lines in pools.items()
        for share in upsampling({code: len(own) for code, own in lines.items()}, alpha).values()
    ]
    orders = [_endless(pools[kind][code], rng) for kind, code in places]
    for place in rng.choice(len(places), size=count, p=chances):
        yield next(orders[place])


def _endless(lines: Sequence[Line], rng: np.random.Generator) -> Iterator[Line]:
    """The lines again and again, each time in another order, a pair with either side first."""
    while True:
        for place in rng.permutation(len(lines)):
            text, pair = lines[place]
            yield Line(text, pair) if pair is None or rng.random() < 0.5 else Line(pair, text)


def encoded(tokenizer: PreTrainedTokenizerBase, lines: Sequence[Line], max_length: int) -> list[Row]:
    """Token rows of lines, of whatever kind; words of the two segments are never one word."""
    from core.training.masking import encode

    rows: dict[Line, Row] = {}
    for alone in (True, False):
        own = [line for line in dict.fromkeys(lines) if (line.pair is None) == alone]
        texts, pairs = [line.text for line in own], None if alone else [str(line.pair) for line in own]
        if own:
            rows |= zip(own, encode(tokenizer, texts, pairs, max_length=max_length), strict=True)
    return [rows[line] for line in lines]


def masking(tokenizer: PreTrainedTokenizerBase, rate: float = 0.15, most: int = 80) -> Masking:
    """Whole words of both segments, at most `most` tokens an input (official: 80 of 512), 80/10/10."""
    return Masking(tokenizer, rate=rate, whole_words=True, max_predictions=most)


def pretrain(
    model: Any, rows: Sequence[Row], masked: Masking, settings: TrainingConfig, run: Run, seed: int, name: str
) -> FitResult:
    """Equation (1), over texts and pairs alike."""
    from core.training.fit import fit

    return fit(model, rows, settings, run, collate=masked, loss_fn=masked_lm_loss, seed=seed, name=name)
