"""What the method is fed, at each scale."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def pairs(items: int, *, related: bool, seed: int) -> tuple[Float[Tensor, " items"], Float[Tensor, " items"]]:
    """Two vectors that share a signal, or do not."""
    generator = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(2, items, generator=generator)
    return x, x + noise if related else noise
