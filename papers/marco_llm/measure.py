"""Bits per UTF-8 byte on parallel held-out text: comparable across languages and tokenizers, unlike perplexity.

bits(model, tokenizer, {"en": ["Enter a number."], "tr": ["Bir sayı girin."]})      # {"en": 3.1, "tr": 4.6}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.inference.scoring import log_likelihoods
from core.metrics.likelihood import bits_per_byte


def bits(model: Any, tokenizer: Any, texts: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Bits per byte of all texts of a language together; each text is read on its own, after the begin token.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        texts: Held-out text by language.
    """
    flat = [text for lines in texts.values() for text in lines]
    scores = iter(log_likelihoods(model, tokenizer, [""] * len(flat), flat))
    return {
        code: bits_per_byte(sum(next(scores).log_likelihood for _ in lines), "".join(lines))
        for code, lines in texts.items()
    }


def mean(values: Mapping[str, float], codes: Sequence[str]) -> float:
    """Mean over some languages."""
    return sum(values[code] for code in codes) / len(codes)
