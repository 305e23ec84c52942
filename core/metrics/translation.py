"""BLEU, chrF and TER through sacrebleu, with the signature that makes a score comparable.

Both sides are composed first (NFC): sacrebleu compares code points, and é written as one is not é written as two.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sacrebleu.metrics import BLEU, CHRF, TER

from core.metrics.classification import check_lengths
from core.text.languages import language as lookup
from core.text.segment import is_unspaced


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
    if known.script in ("Hans", "Hant", "Hani"):
        return "zh"
    return "char" if is_unspaced(language) else "13a"


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
    score = metric.corpus_score(_composed(predictions), _streams(predictions, references)).score
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
    score = metric.corpus_score(_composed(predictions), _streams(predictions, references)).score
    return Score(score, str(metric.get_signature()))


def sentence_bleu(prediction: str, references: str | Sequence[str], language: str | None = None) -> float:
    """BLEU of one sentence in [0, 100], with effective order (no penalty for being shorter than four words)."""
    metric = BLEU(tokenize=bleu_tokenizer(language), effective_order=True)
    return metric.sentence_score(_nfc(prediction), _composed(references)).score


def sentence_chrf(prediction: str, references: str | Sequence[str], word_order: int = 0) -> float:
    """chrF of one sentence in [0, 100]."""
    return CHRF(word_order=word_order).sentence_score(_nfc(prediction), _composed(references)).score


def rare_word_recall(prediction: str, reference: str, known: Mapping[str, int], fewer_than: int = 3) -> float | None:
    """Share of the rare words of a reference that a translation has, each as often; None where it has no rare word.

    Args:
        prediction: A translation.
        reference: The right one.
        known: How often each word was seen in training.
        fewer_than: A word is rare where it was seen fewer times.
    """
    wanted = Counter(word for word in reference.split() if known.get(word, 0) < fewer_than)
    found = wanted & Counter(prediction.split())
    return found.total() / wanted.total() if wanted else None


def round_trip_scores(originals: Sequence[str], returned: Sequence[str]) -> dict[str, float]:
    """How much of a text survives translation into another language and back: `bleu`, `chrf++` and `ter` in per cent.

    Texts are compared as they are, with sacrebleu's defaults, to be comparable with published numbers (TaCo's 1,000
    sentences, arXiv 2311.10797).

    Raises:
        ValueError: unequal numbers, or none.
    """
    check_lengths(returned, originals)
    metrics = {"bleu": BLEU(), "chrf++": CHRF(word_order=2), "ter": TER()}
    return {name: metric.corpus_score(returned, [originals]).score for name, metric in metrics.items()}


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _composed(texts: str | Sequence[str]) -> list[str]:
    return [_nfc(text) for text in ([texts] if isinstance(texts, str) else texts)]


def _streams(predictions: Sequence[str], references: Sequence[str | Sequence[str]]) -> list[list[str]]:
    """References per item -> sacrebleu's references per stream."""
    check_lengths(predictions, references)
    listed = list(map(_composed, references))
    counts = {len(reference) for reference in listed}
    if counts == {0} or len(counts) > 1:
        raise ValueError(f"Every item needs equally many references, at least one; found {sorted(counts)}.")
    return [list(stream) for stream in zip(*listed, strict=True)]
