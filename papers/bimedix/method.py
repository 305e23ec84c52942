"""BiMediX: low-rank adapters on the experts and the router of a frozen 4-bit mixture of experts, in two languages.

A mixture-of-experts block sends a token h to the k experts that its router prefers:

    g = W_g h,   w = softmax(g) restricted to the top k and renormalised,                                       (1)
    y = sum_e w_e * W2_e( SiLU(W1_e h) * W3_e h ).                                                              (2)

BiMediX freezes every W, stores it in 4 bits (NF4) and trains an update of low rank for attention, every expert and the
router, on instructions of two languages (English : Arabic = 2 : 1),

    W x + (alpha/r) B A x,   A random, B = 0,                                                                   (3)

with the loss on the answers and a loss that keeps the experts evenly used,

    L = L_LM + 0.02 * L_aux,   L_aux = E * sum_e f_e P_e,                                                       (4)

where f_e is the number of top-k assignments of expert e per token and P_e its mean router probability.

    from papers.bimedix import attach_adapters, quantize_base
    quantize_base(model); attach_adapters(model, rank=128, alpha=64)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from core.models.mixtures import attention_layers, expert_load, moe_blocks
from core.models.nf4 import NF4Stack
from core.training.losses import Loss, causal_lm_loss
from papers.bimedix.config import PARTS, Part

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.training.fit import FitResult


class LowRank(nn.Module):
    """Equation 3: trained updates of a stack of matrices (of one, for a single matrix)."""

    def __init__(self, stack: int, out: int, dim: int, rank: int, alpha: int, dropout: float, device: Any) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.empty(stack, rank, dim, device=device))
        self.B = nn.Parameter(torch.zeros(stack, out, rank, device=device))
        self.scale, self.dropout = alpha / rank, dropout
        nn.init.uniform_(self.A, -1 / math.sqrt(dim), 1 / math.sqrt(dim))  # kaiming_uniform(a=sqrt 5), as peft

    def update(self, x: Float[Tensor, "n dim"], index: int) -> Float[Tensor, "n out"]:
        """(alpha/r) B A x with the factors of one matrix of the stack."""
        dropped = functional.dropout(x.to(self.A.dtype), self.dropout, self.training)
        low = functional.linear(dropped, self.A[index])
        return (self.scale * functional.linear(low, self.B[index])).to(x.dtype)

    def forward(self, weight: Float[Tensor, "out dim"]) -> Float[Tensor, "out dim"]:
        """W + (alpha/r) B A for a single small matrix: the router's."""
        return weight + (self.scale * self.B[0] @ self.A[0]).to(weight.dtype)


class AdaptedExperts(nn.Module):
    """The experts of a block with an update for each of W1, W2 and W3 of each expert."""

    def __init__(self, experts: Any, rank: int, alpha: int, dropout: float, device: Any) -> None:
        super().__init__()
        count, twice_width, dim = experts.gate_up_proj.shape  # W1 above W3
        self.frozen = experts
        self.w1, self.w3 = (LowRank(count, twice_width // 2, dim, rank, alpha, dropout, device) for _ in ("gate", "up"))
        self.w2 = LowRank(count, dim, twice_width // 2, rank, alpha, dropout, device)

    def forward(
        self, h: Float[Tensor, "n dim"], chosen: Int[Tensor, "n k"], weights: Float[Tensor, "n k"]
    ) -> Float[Tensor, "n dim"]:
        """Equation 2 with equation 3 in it, expert by expert; the router has chosen and weighted them (equation 1)."""
        y = torch.zeros_like(h)
        for e in range(self.frozen.gate_up_proj.shape[0]):
            token, place = torch.where(chosen == e)
            # In training they take part with nothing: data parallelism waits for a gradient of every parameter.
            if not (self.training or len(token)):
                continue
            x = h[token]
            gate, up = frozen_product(self.frozen.gate_up_proj, e, x).chunk(2, dim=-1)
            inner = self.frozen.act_fn(gate + self.w1.update(x, e)) * (up + self.w3.update(x, e))
            out = frozen_product(self.frozen.down_proj, e, inner) + self.w2.update(inner, e)
            y.index_add_(0, token, (weights[token, place, None] * out).to(y.dtype))
        return y


def frozen_product(stack: Tensor | NF4Stack, index: int, x: Float[Tensor, "n dim"]) -> Float[Tensor, "n out"]:
    """W_e x, from numbers or from 4-bit codes."""
    return stack.product(index, x) if isinstance(stack, NF4Stack) else functional.linear(x, stack[index])


def attach_adapters(
    model: nn.Module, parts: Iterable[Part] = PARTS, rank: int = 128, alpha: int = 64, dropout: float = 0.0
) -> int:
    """Freeze a mixture of experts and add trainable updates of low rank, in place.

    Attention goes through peft. The experts and the router are not `nn.Linear` in transformers 5. (peft's wrapper for
    such parameters doubles the rank of the fused pair, which trains 1.5 times as many numbers as separate W1 and W3,
    refuses dropout, and cannot sit on a quantised parameter.)

    The model is Mixtral, Qwen-MoE, OLMoE or another one with fused experts; shared experts stay frozen. `dropout`, in
    [0, 1), is of the input of A in attention and experts. Returns how many parameters are trained.

    Raises:
        UserError: The model has no experts that can be found.
    """
    parts, blocks = tuple(parts), moe_blocks(model)
    model.requires_grad_(False)
    if "attention" in parts:
        from peft import LoraConfig, inject_adapter_in_model

        names = [name for name, _ in attention_layers(model)]
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=names), model)
    for block in blocks:
        device = block.router.weight.device
        if "experts" in parts:
            block.parent.experts = AdaptedExperts(block.experts, rank, alpha, dropout, device)
        if "router" in parts:
            count, dim = block.router.weight.shape
            update = LowRank(1, count, dim, rank, alpha, 0.0, device)
            parametrize.register_parametrization(block.router, "weight", update)
    model.train(model.training)  # new modules would train, with dropout, in a model that does not
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def load_balancing_loss(
    router_logits: Sequence[Float[Tensor, "tokens experts"]],
    *,
    top_k: int,
    real_tokens: Num[Tensor, "*shape"] | None = None,
) -> Float[Tensor, ""]:
    """L_aux of equation 4, with f and P averaged over all layers and real tokens.

    Equals k at perfect balance (not 1: every token is assigned k times) and E when k = 1 and one expert takes all.
    Only P carries a gradient.
    """
    fraction, probability = expert_load(router_logits, top_k, real_tokens)
    return fraction.shape[-1] * (fraction.mean(0) * probability.mean(0)).sum()


def bimedix_loss(model: Any, batch: Mapping[str, Any], aux_weight: float = 0.02) -> Loss:
    """Equation 4 as a sum over label tokens, which micro-batches add up; 0.02 is the published model's weight."""
    return causal_lm_loss(model, batch, router_aux_weight=aux_weight, router_loss=load_balancing_loss)


def tune(model: Any, rows: Sequence[Any], settings: TrainingConfig, run: Run, seed: int = 0) -> FitResult:
    """Train the adapters on token rows of both languages, shuffled together, with the loss on the answers."""
    from core.training.fit import fit

    return fit(model, rows, settings, run, loss_fn=bimedix_loss, seed=seed)
