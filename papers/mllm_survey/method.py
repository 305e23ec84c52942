"""The idea of the paper, and nothing else: pure functions and modules, shapes in the signatures."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def correlation(x: Float[Tensor, " items"], y: Float[Tensor, " items"]) -> float:
    """Pearson correlation of two vectors (equation 1), in [-1, 1].

    Raises:
        ValueError: If the vectors differ in length.
    """
    if x.shape != y.shape:
        raise ValueError(f"x has {x.numel()} items and y has {y.numel()}")
    return float(torch.corrcoef(torch.stack([x, y]))[0, 1])
