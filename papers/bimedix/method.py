"""BiMediX: low-rank adapters on the experts and the router of a frozen 4-bit mixture of experts, in two languages.

A mixture-of-experts block sends a token h to the k experts that its router prefers:

    g = W_g h,   w = softmax(g) restricted to the top k and renormalised,
    y = sum_e w_e * W2_e( SiLU(W1_e h) * W3_e h ).

BiMediX freezes every W, stores it in 4 bits (NF4) and trains W + (alpha/r) B A for attention, every expert and the
router, on instructions of two languages (Arabic : English = 1 : 2), with

    L = L_LM(answer tokens) + 0.02 * L_aux,   L_aux = E * sum_e f_e P_e,

where f_e is the number of top-k assignments of expert e per token and P_e its mean router probability.

    from papers.bimedix import attach_adapters, quantize_base
    quantize_base(model); attach_adapters(model, placement="all", rank=128, alpha=64)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils import parametrize

from core.errors import UserError
from papers.bimedix.nf4 import NF4Storage, dequantize_nf4, quantize_nf4

Placement = Literal["attention", "experts", "experts+router", "all"]
Row = TypeVar("Row", bound=Mapping[str, Any])

# ---------------------------------------------------------------------------------------------------- routing


def top_k_routing(
    logits: Float[Tensor, "tokens experts"], k: int
) -> tuple[Float[Tensor, "tokens k"], Int[Tensor, "tokens k"]]:
    """Softmax over all experts, the k largest kept and renormalised to sum to one (Mixtral).

    Returns:
        Mixing weights in [0, 1] and expert indices, largest first.
    """
    weights, experts = logits.float().softmax(-1).topk(k, dim=-1)
    return weights / weights.sum(-1, keepdim=True), experts


def expert_load(
    router_logits: Sequence[Float[Tensor, "tokens experts"]], k: int, mask: Bool[Tensor, " tokens"] | None = None
) -> tuple[Float[Tensor, "layers experts"], Float[Tensor, "layers experts"]]:
    """What each layer's router does with the unmasked tokens.

    Args:
        router_logits: One matrix a layer; rows are the batch's tokens, flattened.
        k: Experts a token.
        mask: True where a token counts (padding excluded).

    Returns:
        f, the top-k assignments per token (rows sum to k), and P, the mean probability (rows sum to 1).
    """
    fractions, probabilities = [], []
    for logits in router_logits:
        chosen = logits.float() if mask is None else logits.float()[mask.reshape(-1)]
        probability = chosen.softmax(-1)
        assigned = probability.topk(k, dim=-1).indices.flatten().bincount(minlength=chosen.shape[-1])
        fractions.append(assigned / len(chosen))
        probabilities.append(probability.mean(0))
    return torch.stack(fractions), torch.stack(probabilities)


def load_balancing_loss(
    router_logits: Sequence[Float[Tensor, "tokens experts"]], k: int, mask: Bool[Tensor, " tokens"] | None = None
) -> Float[Tensor, ""]:
    """L_aux = E * sum_e f_e P_e, with f and P averaged over all layers and unmasked tokens.

    Equals k at perfect balance (not 1: every token is assigned k times) and E when k = 1 and one expert takes all.
    Only P carries a gradient.
    """
    fraction, probability = expert_load(router_logits, k, mask)
    return fraction.shape[-1] * (fraction.mean(0) * probability.mean(0)).sum()


def entropy(share: Float[Tensor, "*shape experts"]) -> Float[Tensor, "*shape"]:
    """Entropy of a distribution over experts in bits: 0 (one expert takes all) to log2 E (balance)."""
    return -torch.special.xlogy(share, share).sum(-1) / math.log(2)


def jensen_shannon(p: Float[Tensor, "*shape experts"], q: Float[Tensor, "*shape experts"]) -> Float[Tensor, "*shape"]:
    """Jensen-Shannon distance (square root of the divergence, base 2): 0 for equal usage, 1 for disjoint experts."""
    divergence = entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2
    return divergence.clamp(min=0).sqrt()


# ---------------------------------------------------------------------------------------------- 4-bit base (NF4)


@torch.no_grad()
def quantize_base(model: nn.Module, block: int = 64, double: bool = False, packed: bool = False) -> int:
    """Freeze a model and round the weights of its attention and experts to NF4, in place.

    Embeddings, norms, output head and router keep their precision. The experts are fused three-dimensional
    parameters in transformers 5, which bitsandbytes' replacement of `nn.Linear` does not reach.

    Args:
        model: A mixture of experts.
        block: Weights that share a scale.
        double: Quantise the scales too.
        packed: Keep the 4-bit codes and dequantise on the fly (saves memory); otherwise store the rounded values
            (same numbers, faster).

    Returns:
        How many weights were rounded.
    """
    model.requires_grad_(False)
    rounded = 0
    targets: list[tuple[nn.Module, str]] = [(module, "weight") for _, module in attention_layers(model)]
    targets += [(block_.experts, name) for block_ in moe_blocks(model) for name in ("gate_up_proj", "down_proj")]
    for module, name in targets:
        weight = getattr(module, name)
        rounded += weight.numel()
        if packed:
            parametrize.register_parametrization(module, name, NF4Storage(weight, block, double))
        else:
            weight.copy_(dequantize_nf4(quantize_nf4(weight, block, double), weight.shape, weight.dtype, block))
    if packed:
        model.quantization_method = "nf4"  # type: ignore[assignment]  # tells trainers not to cast codes and scales
    return rounded


# ------------------------------------------------------------------------------------------- low-rank adapters


@dataclass(frozen=True)
class MoEBlock:
    """Where a mixture-of-experts block keeps its fused experts and its router."""

    name: str
    experts: Any
    router: Any
    router_name: str


def moe_blocks(model: nn.Module) -> list[MoEBlock]:
    """The mixture-of-experts blocks of a transformers 5 model, in layer order.

    Experts are the module that owns the stacked parameters `gate_up_proj` (experts, 2 width, dim) and `down_proj`
    (experts, dim, width); the router is its sibling whose weight has one row an expert.

    Raises:
        UserError: If the model has no such block, or stores its experts transposed, interleaved or with biases.
    """
    found = []
    for name, module in model.named_modules():
        stacked = weight_shape(getattr(module, "experts", None), "gate_up_proj")
        if len(stacked) != 3:
            continue
        experts = module.experts
        if getattr(experts, "is_transposed", False) or getattr(experts, "has_bias", False):
            raise UserError(
                f"{type(experts).__name__} stores transposed or biased experts: only stacks without are adapted."
            )
        routers = [
            (child_name, child)
            for child_name, child in module.named_children()
            if child is not experts and weight_shape(child, "weight")[:1] == stacked[:1]
        ]
        if len(routers) != 1:
            raise UserError(f"{name or 'the model'} has {len(routers)} candidates for its router instead of one.")
        found.append(MoEBlock(name, experts, routers[0][1], routers[0][0]))
    if not found:
        raise UserError("The model has no fused experts: give a mixture of experts (Mixtral, Qwen-MoE, OLMoE, ...).")
    return found


def weight_shape(module: Any, name: str) -> tuple[int, ...]:
    """Shape of a parameter, `()` if there is none; a parametrised one is not computed (or gathered) to look at it."""
    if module is not None and parametrize.is_parametrized(module, name):
        steps = module.parametrizations[name]
        return steps[0].shape if isinstance(steps[0], NF4Storage) else tuple(steps.original.shape)
    weight = getattr(module, name, None)
    return tuple(weight.shape) if isinstance(weight, Tensor) else ()


def attention_layers(model: nn.Module) -> list[tuple[str, nn.Linear]]:
    """Every linear layer of every attention block, with its full name."""
    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[0].endswith(("self_attn", "attention"))
    ]


class LowRankUpdate(nn.Module):
    """W + (alpha/r) B A for a matrix or a stack of experts; fused projections get one A and B a branch.

    `gate_up_proj` holds W1 above W3: with two branches each has its own rank-r pair, as if they were separate matrices.
    """

    def __init__(self, weight: Float[Tensor, "*experts out dim"], branches: int, rank: int, alpha: int) -> None:
        super().__init__()
        *experts, out, dim = weight.shape
        self.A = nn.Parameter(torch.empty(branches, *experts, rank, dim, device=weight.device))
        self.B = nn.Parameter(torch.zeros(branches, *experts, out // branches, rank, device=weight.device))
        self.scale = alpha / rank
        nn.init.uniform_(self.A, -1 / math.sqrt(dim), 1 / math.sqrt(dim))  # kaiming_uniform(a=sqrt 5), as peft

    def forward(self, weight: Float[Tensor, "*experts out dim"]) -> Float[Tensor, "*experts out dim"]:
        """The adapted weight, in the weight's dtype."""
        update = torch.cat(list(self.B @ self.A), dim=-2)
        return weight + (self.scale * update).to(weight.dtype)


def attach_adapters(
    model: nn.Module,
    placement: Placement = "all",
    rank: int = 128,
    alpha: int = 64,
    dropout: float = 0.0,
) -> int:
    """Freeze a mixture of experts and add trainable low-rank updates, in place.

    Attention goes through peft. The experts and the router are not `nn.Linear` in transformers 5; they get
    :class:`LowRankUpdate`. (peft's own wrapper for such parameters doubles the rank of the fused pair, which trains
    1.5 times as many numbers as separate W1 and W3, refuses dropout, and cannot sit on a quantised parameter.)

    Args:
        model: Mixtral, Qwen-MoE, OLMoE or another model with fused experts. Shared experts stay frozen.
        placement: What is adapted: attention, experts, experts+router, or all three.
        rank: r.
        alpha: The update is scaled by alpha / rank.
        dropout: Of the input of A in attention layers, in [0, 1).

    Returns:
        Trainable parameters.
    """
    model.requires_grad_(False)
    if placement in ("attention", "all"):
        from peft import LoraConfig, inject_adapter_in_model

        names = [name for name, _ in attention_layers(model)]
        config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=names)
        inject_adapter_in_model(config, model)
    for block in moe_blocks(model) if placement != "attention" else ():
        targets = [(block.experts, "gate_up_proj", 2), (block.experts, "down_proj", 1)]
        if placement != "experts":
            targets.append((block.router, "weight", 1))
        for module, name, branches in targets:
            update = LowRankUpdate(getattr(module, name), branches, rank, alpha)
            parametrize.register_parametrization(module, name, update)
    return trainable_parameters(model)


def trainable_parameters(model: nn.Module) -> int:
    """How many numbers the optimiser changes."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def equal_budget_rank(model: nn.Module, placement: Placement, like: Placement, rank: int) -> int:
    """The rank at which `placement` trains as many parameters as `like` at `rank` (nearest integer, at least 1).

    The comparison of placements is fair only at an equal budget. Counts follow the matrices' shapes.
    """
    attention = sum(sum(weight_shape(layer, "weight")) for _, layer in attention_layers(model))
    experts = router = 0
    for block in moe_blocks(model):
        count, twice_width, dim = weight_shape(block.experts, "gate_up_proj")
        experts += count * 3 * (dim + twice_width // 2)
        router += count + dim
    unit = {
        "attention": attention,
        "experts": experts,
        "experts+router": experts + router,
        "all": attention + experts + router,
    }
    return max(1, round(rank * unit[like] / unit[placement]))


def merge_adapters(model: nn.Module) -> nn.Module:
    """Add every low-rank update into its weight, in place; the model is then an ordinary one again."""
    for block in moe_blocks(model):
        for module, name in ((block.experts, "gate_up_proj"), (block.experts, "down_proj"), (block.router, "weight")):
            if parametrize.is_parametrized(module, name):
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    for name, module in list(model.named_modules()):
        if hasattr(module, "lora_A") and hasattr(module, "base_layer"):
            layer: Any = module
            layer.merge()
            model.set_submodule(name, layer.get_base_layer())
    return model


# ------------------------------------------------------------------------------------------- mixing of languages


@dataclass(frozen=True)
class Mixture:
    """An ordered stream of rows of two languages and what it holds of each."""

    rows: list[Any]
    samples: tuple[int, int]
    tokens: tuple[int, int]


def mix_languages(
    english: Sequence[Row],
    second: Sequence[Row],
    ratio: tuple[float, float] = (2, 1),
    *,
    unit: Literal["samples", "tokens"] = "samples",
    token_budget: int | None = None,
    seed: int = 0,
) -> Mixture:
    """Interleave two languages so that every prefix of the stream is as near to the ratio as it can be.

    Each language is visited in shuffled epochs. Arabic costs more tokens a sentence than English, so a ratio of
    samples and one of tokens differ: both counts are returned.

    Args:
        english: Rows with `input_ids`.
        second: Rows of the other language.
        ratio: English : second (the paper: 2 : 1).
        unit: What the ratio counts.
        token_budget: Stop at the last row that fits, so that runs which mix differently see equally many tokens.
            None: stop when no row of either language is left out; the scarcer one is repeated to hold the ratio.
        seed: Of the shuffling.

    Raises:
        UserError: If a language with a positive share has no rows, or no share is positive.
    """
    sides = (english, second)
    active = [side for side in (0, 1) if ratio[side] > 0]
    if not active or min(ratio) < 0:
        raise UserError(f"ratio = {ratio} mixes nothing: give two numbers of which one is positive and none negative.")
    for side in active:
        if not sides[side]:
            raise UserError(f"The {('English', 'second')[side]} side has no samples but a share of {ratio[side]:g}.")
    generator = torch.Generator().manual_seed(seed)
    streams = [_epochs(sides[side], generator) if side in active else None for side in (0, 1)]
    rows: list[Row] = []
    samples, tokens = [0, 0], [0, 0]
    while True:
        count = samples if unit == "samples" else tokens
        if token_budget is None and all(samples[side] >= len(sides[side]) for side in active):
            break
        side = min(active, key=lambda side: (count[side] / ratio[side], side))
        stream = streams[side]
        assert stream is not None
        row = next(stream)
        if token_budget is not None and sum(tokens) + len(row["input_ids"]) > token_budget:
            break
        rows.append(row)
        samples[side] += 1
        tokens[side] += len(row["input_ids"])
    return Mixture(rows, (samples[0], samples[1]), (tokens[0], tokens[1]))


def _epochs(rows: Sequence[Row], generator: torch.Generator) -> Iterator[Row]:
    while True:
        for index in torch.randperm(len(rows), generator=generator).tolist():
            yield rows[index]


def expected_accuracy(scores: Sequence[float], answer: int, options: int = 4) -> float:
    """How often the right candidate wins a question with `options` options whose wrong ones are drawn at random.

    With w wrong candidates of which m score lower, that is C(m, options - 1) / C(w, options - 1): the average over
    all draws instead of one of them. With exactly `options` candidates it is 1 or 0; ties count as lost.

    Raises:
        UserError: If there are fewer candidates than options.
    """
    if len(scores) < options:
        raise UserError(f"{len(scores)} candidates cannot fill {options} options.")
    lower = sum(score < scores[answer] for score in scores)
    return math.comb(lower, options - 1) / math.comb(len(scores) - 1, options - 1)


def averages(english: Iterable[float], second: Iterable[float]) -> dict[str, float]:
    """Plain means of two paired score lists, their mean (the bilingual score) and the gap (English minus second)."""
    left, right = list(english), list(second)
    if len(left) != len(right) or not left:
        raise UserError(f"{len(left)} English and {len(right)} scores of the second language cannot be paired.")
    first, other = math.fsum(left) / len(left), math.fsum(right) / len(right)
    return {"english": first, "second": other, "bilingual": (first + other) / 2, "gap": first - other}
