"""BLEU and chrF through sacrebleu, with the signature that makes a score comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.metrics import BLEU, CHRF

from core.metrics.classification import check_lengths
from core.text.languages import language as lookup
from core.text.segment import UNSPACED


@dataclass(frozen=True)
class Score:
    """A corpus score.

    Attributes:
        score: In [0, 100], as sacrebleu reports it.
        signature: sacrebleu's description of every setting and its version.
    """

    score: float
    signature: str


def bleu_tokenizer(language: str | None) -> str:
    """sacrebleu's tokenizer for a target language: `zh` for Chinese, characters for other unspaced scripts, else `13a`.

    sacrebleu's own choice for Japanese and Korean needs MeCab, and its SentencePiece ones a download.
    """
    if language is None:
        return "13a"
    known = lookup(language)
    if known.script in ("Hans", "Hant"):
        return "zh"
    return "char" if known.script in UNSPACED else "13a"


def bleu(predictions: Sequence[str], references: Sequence[str | Sequence[str]], language: str | None = None) -> Score:
    """Corpus BLEU (Papineni et al. 2002; Post 2018).

    Args:
        predictions: One translation per item.
        references: One reference, or several (every item as many), per item.
        language: Target language, which chooses the tokenizer.

    Raises:
        ValueError: unequal numbers, or none.
    """
    metric = BLEU(tokenize=bleu_tokenizer(language))
    score = metric.corpus_score(list(predictions), _streams(predictions, references)).score
    return Score(score, str(metric.get_signature()))


def chrf(predictions: Sequence[str], references: Sequence[str | Sequence[str]], word_order: int = 0) -> Score:
    """Corpus chrF (Popović 2015): F2 of character n-grams up to 6.

    Args:
        predictions: One translation per item.
        references: One reference, or several, per item.
        word_order: 0 is chrF, 2 is chrF++.

    Raises:
        ValueError: unequal numbers, or none.
    """
    metric = CHRF(word_order=word_order)
    score = metric.corpus_score(list(predictions), _streams(predictions, references)).score
    return Score(score, str(metric.get_signature()))


def sentence_bleu(prediction: str, references: str | Sequence[str], language: str | None = None) -> float:
    """BLEU of one sentence in [0, 100], with effective order (no penalty for being shorter than four words)."""
    metric = BLEU(tokenize=bleu_tokenizer(language), effective_order=True)
    return metric.sentence_score(prediction, [references] if isinstance(references, str) else list(references)).score


def sentence_chrf(prediction: str, references: str | Sequence[str], word_order: int = 0) -> float:
    """chrF of one sentence in [0, 100]."""
    listed = [references] if isinstance(references, str) else list(references)
    return CHRF(word_order=word_order).sentence_score(prediction, listed).score


def _streams(predictions: Sequence[str], references: Sequence[str | Sequence[str]]) -> list[list[str]]:
    """References per item -> sacrebleu's references per stream."""
    check_lengths(predictions, references)
    listed = [[reference] if isinstance(reference, str) else list(reference) for reference in references]
    counts = {len(reference) for reference in listed}
    if counts == {0} or len(counts) > 1:
        raise ValueError(f"Every item needs equally many references, at least one; found {sorted(counts)}.")
    return [list(stream) for stream in zip(*listed, strict=True)]
