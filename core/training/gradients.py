"""Do two texts pull a model the same way? Gradients of a loss on either, compared tensor by tensor.

one, other = (gradient(model, batch, causal_lm_loss) for batch in (english, clone))
cosines(one, other)                          # {"model.layers.0.mlp.up_proj.weight": .53, ...}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from core.training.losses import Loss

LossFunction = Callable[[nn.Module, Mapping[str, Tensor]], Loss]
"""As :func:`core.training.fit.fit` takes it."""


def gradient(
    model: nn.Module, batch: Mapping[str, Tensor], loss: LossFunction, keep: Callable[[str], bool] = lambda name: True
) -> dict[str, Tensor]:
    """Gradients of the summed loss by parameter, on the CPU; the model's own `.grad` are left as they were.

    Args:
        model: In the mode in which it should be looked at; dropout is noise.
        batch: On the model's device.
        loss: See :data:`LossFunction`.
        keep: Which parameters, by name; what the loss does not reach is left out.
    """
    names, parameters = zip(*((n, p) for n, p in model.named_parameters() if p.requires_grad and keep(n)), strict=True)
    found = torch.autograd.grad(loss(model, batch).total, parameters, allow_unused=True)
    return {name: grad.detach().float().cpu() for name, grad in zip(names, found, strict=True) if grad is not None}


def cosines(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> dict[str, float]:
    """Cosine of the two gradients of each parameter that both reach, in [-1, 1]; 0 where one of them is zero."""
    found = {}
    for name in one.keys() & other.keys():
        a, b = one[name].flatten().double(), other[name].flatten().double()
        norm = float(a.norm() * b.norm())
        found[name] = float(a @ b) / norm if norm else 0.0
    return dict(sorted(found.items()))
