"""The pieces of an optimiser step: number format, parameter groups, learning rate, gradient scale, FLOPs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from core.distributed import all_sum, local
from core.errors import UserError
from core.models.flops import attention_flops, multiplied
from core.training.config import TrainingConfig


def learning_rate(step: int, total: int, config: TrainingConfig) -> float:
    """Learning rate of an optimiser step.

    With w warm-up steps the rate is `peak (step + 1) / w` before step w (no step is wasted at zero, and step w - 1 has
    the peak). After it, with x = (step - w) / (total - w) and f = `final_learning_rate`:

    * cosine: f + (1 - f) (1 + cos(pi x)) / 2 times the peak;
    * linear: 1 - (1 - f) x;   constant: 1;
    * wsd: 1 until d steps before the end, then linearly to f (Hu et al. 2024, "MiniCPM").

    Args:
        step: Number of the step, from 0.
        total: Steps in all.
        config: Shape; `warmup` and `decay` are steps if >= 1, fractions of `total` if below 1.
    """
    warmup = _length(config.warmup, total)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    final = config.final_learning_rate
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    if config.schedule == "cosine":
        factor = final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2
    elif config.schedule == "linear":
        factor = 1 - (1 - final) * progress
    elif config.schedule == "wsd":
        decay = max(1, _length(config.decay, total))
        factor = 1 - (1 - final) * min(1.0, max(0.0, (step - (total - decay)) / decay))
    else:
        factor = 1.0
    return config.learning_rate * factor


def _length(value: float, total: int) -> int:
    return round(value * total) if value < 1 else round(value)


def set_precision(model: nn.Module, config: TrainingConfig, device: torch.device) -> Literal["no", "bf16"]:
    """Give the parameters their type and say whether forward passes run under bf16 autocast.

    Trained parameters are fp32 (the master weights) except with "pure-bf16". Frozen parameters keep bf16 under
    autocast, which would cast them anyway; quantised ones are never touched.

    Raises:
        UserError: The type of a shard would have to change.
    """
    precision = config.precision
    if precision == "auto":
        from core.models.loading import default_dtype

        # In narrow models casting the weights costs a CPU more than the faster products bring.
        narrow = device.type == "cpu" and getattr(getattr(model, "config", None), "hidden_size", 0) < 256
        precision = "bf16" if default_dtype(device) == torch.bfloat16 and not narrow else "fp32"
    quantized = getattr(model, "quantization_method", None) is not None
    wanted = torch.bfloat16 if precision == "pure-bf16" else torch.float32
    for tensor in [*model.parameters(), *model.buffers()]:
        if not tensor.is_floating_point() or tensor.dtype == wanted:
            continue
        if tensor.requires_grad or (precision != "bf16" and not quantized):
            if hasattr(tensor, "to_local"):
                raise UserError(
                    f"The model is sharded in {tensor.dtype}, which training.precision = {config.precision!r} would "
                    "change: load it with core.training.sharded.load and these settings, and keep them in all phases."
                )
            tensor.data = tensor.data.to(wanted)
    return "bf16" if precision == "bf16" else "no"


def make_optimizer(
    model: nn.Module, config: TrainingConfig, rates: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """Fused AdamW over the parameters that require gradients; vectors (norms, biases) do not decay.

    Args:
        model: What is trained.
        config: Learning rate, moments, decay.
        rates: Parts of names, each with the share of the learning rate that parameters of such names get.
    """
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = next((share for part, share in (rates or {}).items() if part in name), 1.0)
            decays = parameter.ndim >= 2
            group = {"params": [], "weight_decay": config.weight_decay if decays else 0.0, "rate": rate}
            groups.setdefault((-rate, not decays), group)["params"].append(parameter)
    return torch.optim.AdamW(
        [group for _, group in sorted(groups.items(), key=lambda found: found[0])],
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        fused=True,
    )


@torch.no_grad()
def scale_gradients(parameters: Sequence[nn.Parameter], scale: Tensor, max_norm: float) -> Tensor:
    """Multiply all gradients by `scale`, and further if their L2 norm then exceeds `max_norm`. One pass, no sync.

    Args:
        parameters: Sharded ones count with all their shards.
        scale: Scalar tensor.
        max_norm: 0 = no limit.

    Returns:
        The norm after scaling, before clipping: a scalar tensor.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = _total_norm(gradients).to(scale.device) * scale
    if max_norm:
        scale = scale * (max_norm / (norm + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_([local(gradient) for gradient in gradients], scale)
    return norm


def _total_norm(gradients: Sequence[Tensor]) -> Tensor:
    """L2 norm of all; of shards by their squares, added over the ranks: torch's own gathers every one of them."""
    shards = [local(gradient) for gradient in gradients if hasattr(gradient, "to_local")]
    whole = torch.nn.utils.get_total_norm([g for g in gradients if not hasattr(g, "to_local")], foreach=True)
    if not shards:
        return whole
    squares = all_sum(torch.nn.utils.get_total_norm(shards, foreach=True).square())
    return (squares + whole.to(squares.device).square()).sqrt()


def flops_per_token(model: nn.Module, attended: float, head_share: float | None = None) -> float:
    """FLOPs of training on one token: 6 N + 3 A.

    Args:
        model: N counts what multiplies a token (:func:`core.models.flops.multiplied`), A is the forward attention.
        attended: Tokens that a token may attend to (the length of its document).
        head_share: Share of the tokens on which the output layer runs: the losses of `core.training` skip it where
            there is no label. By default on all, and in an encoder-decoder on half.

    Returns:
        FLOPs of forward and backward pass. Frozen matrices need no weight gradient: they count 4 instead of 6. Of an
        encoder-decoder a token passes one half.
    """
    config: Any = getattr(model, "config", None)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    head = getattr(model, "get_output_embeddings", lambda: None)()
    outputs = set() if head is None else {id(parameter) for parameter in head.parameters()}
    half = 0.5 if getattr(config, "is_encoder_decoder", False) else 1.0
    at_head = half if head_share is None else head_share
    shares = {name: at_head if id(p) in outputs else half for name, p in model.named_parameters()}
    total = sum(shares[name] * size * (6 if name in trained else 4) for name, size in multiplied(model).items())
    if hasattr(config, "get_text_config"):
        total += half * 3 * attention_flops(config, attended)
    return total
