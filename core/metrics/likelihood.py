"""Likelihood per token, character and byte.

Perplexity per token depends on the tokenizer, so models with different vocabularies, and languages under one
vocabulary, are compared per character or byte: bits = -log2 p(text) / length.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence


def perplexity(log_likelihood: float, tokens: int) -> float:
    """exp of the mean negative log-likelihood (nats) per token; infinite where that overflows."""
    mean = -log_likelihood / _positive(tokens, "tokens")
    return math.exp(mean) if mean < 709 else math.inf


def bits_per_byte(log_likelihood: float, text: str) -> float:
    """Bits per UTF-8 byte of a text whose log-likelihood (nats) is given."""
    return -log_likelihood / math.log(2) / _positive(len(text.encode()), "bytes")


def _positive(count: int, unit: str) -> int:
    if count <= 0:
        raise ValueError(f"A likelihood per {unit} needs at least one.")
    return count


def letter_bits(train: Sequence[str], test: Sequence[str]) -> float:
    """Bits per UTF-8 byte of a solver that knows nothing but how often each byte occurs in training.

    One is added to every count. A language model that costs as much has learnt the letters of a language alone.
    """
    counts = Counter("".join(train).encode())
    whole = sum(counts.values()) + 256
    content = "".join(test).encode()
    return -sum(math.log2((counts[byte] + 1) / whole) for byte in content) / _positive(len(content), "bytes")
