"""In the law's place, for runs in which much is learnt at once: ours, the paper has the law."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator


class Curve:
    """A smooth curve through monolingual runs: logarithm of tokens over nats, monotone and cubic.

    Where much is learnt at once, a run of twice the tokens may bring little before and much after, which the law's form
    has not. Beyond the first and the last run it goes on along the line through two. A run that is no better than one
    of fewer tokens is left out.
    """

    def __init__(self, tokens: Sequence[float], perplexity: Sequence[float]) -> None:
        kept: list[tuple[float, float]] = []
        for read, value in sorted(zip(tokens, perplexity, strict=True)):
            if not kept or -math.log(value) > kept[-1][0]:
                kept.append((-math.log(value), math.log(read)))
        self.runs = np.array(kept)

    def invert(self, y: float) -> float:
        """Tokens after which 1 / PPL is y; infinite where they cannot be told."""
        if len(self.runs) < 2:
            return math.inf
        (nats, tokens), at = self.runs.T, math.log(y)
        if nats[0] <= at <= nats[-1]:
            return math.exp(PchipInterpolator(nats, tokens)(at))
        one, two = (0, 1) if at < nats[0] else (-1, -2)
        found = tokens[one] + (tokens[two] - tokens[one]) * (at - nats[one]) / (nats[two] - nats[one])
        return math.exp(found) if found < 700 else math.inf
