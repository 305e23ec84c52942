"""Mixtures of experts of transformers 5: where a model keeps its experts and routers, and where its tokens go.

for block in moe_blocks(model): block.experts.gate_up_proj, block.router.weight
load = expert_load(output.router_logits, k)          # assignments and probabilities by layer
usage = expert_usage(model, {"en": rows, "ar": rows})
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn.utils import parametrize

from core.errors import UserError


@dataclass(frozen=True)
class MoEBlock:
    """Where a mixture-of-experts block keeps its fused experts and its router: `parent.experts`, `parent.<router>`."""

    name: str
    parent: Any
    experts: Any
    router: Any
    router_name: str


def moe_blocks(model: nn.Module) -> list[MoEBlock]:
    """The mixture-of-experts blocks of a transformers 5 model, in layer order.

    Experts are the module that owns the stacks `gate_up_proj` (experts, 2 width, dim) and `down_proj` (experts, dim,
    width), or a wrapper with one in `.frozen`; the router is its sibling whose weight has one row an expert.

    Raises:
        UserError: If the model has no such block, or stores its experts transposed, interleaved or with biases.
    """
    found = []
    for name, module in model.named_modules():
        experts = getattr(module, "experts", None)
        stacked = weight_shape(getattr(experts, "frozen", experts), "gate_up_proj")
        if len(stacked) != 3:
            continue
        inner = getattr(experts, "frozen", experts)
        odd = ("is_transposed", "has_bias", "has_post_expert_norm")
        if any(getattr(inner, flag, False) for flag in odd) or not getattr(inner, "is_concatenated", True):
            raise UserError(
                f"{type(inner).__name__} stores transposed, interleaved, normed or biased experts: only plain stacks "
                "are read."
            )
        routers = [
            (child_name, child)
            for child_name, child in module.named_children()
            if child is not experts and weight_shape(child, "weight")[:1] == stacked[:1]
        ]
        if len(routers) != 1:
            raise UserError(f"{name or 'the model'} has {len(routers)} candidates for its router instead of one.")
        found.append(MoEBlock(name, module, experts, routers[0][1], routers[0][0]))
    if not found:
        raise UserError("The model has no fused experts: give a mixture of experts (Mixtral, Qwen-MoE, OLMoE, ...).")
    return found


def weight_shape(module: Any, name: str) -> tuple[int, ...]:
    """Shape of a weight, `()` if there is none; a parametrised one is not computed (or gathered) to look at it."""
    if module is not None and parametrize.is_parametrized(module, name):
        steps = module.parametrizations[name]
        return tuple(getattr(steps[0], "shape", None) or steps.original.shape)
    return tuple(getattr(getattr(module, name, None), "shape", ()))


def attention_layers(model: nn.Module) -> list[tuple[str, nn.Linear]]:
    """Every linear layer of every attention block, with its full name."""
    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[0].endswith(("self_attn", "attention"))
    ]


def expert_load(
    router_logits: Sequence[Float[Tensor, "tokens experts"]], k: int, real_tokens: Num[Tensor, "*shape"] | None = None
) -> tuple[Float[Tensor, "layers experts"], Float[Tensor, "layers experts"]]:
    """What each layer's router does with the real tokens.

    Args:
        router_logits: One matrix a layer; rows are the batch's tokens, flattened.
        k: Experts a token.
        real_tokens: Nonzero where a token counts ([batch, length] or flat); None = all.

    Returns:
        f, the top-k assignments per token (rows sum to k), and P, the mean probability (rows sum to 1).
    """
    fractions, probabilities = [], []
    for logits in router_logits:
        chosen = logits.float() if real_tokens is None else logits.float()[real_tokens.reshape(-1).bool()]
        probability = chosen.softmax(-1)
        assigned = probability.topk(k, dim=-1).indices.flatten().bincount(minlength=chosen.shape[-1])
        fractions.append(assigned / len(chosen))
        probabilities.append(probability.mean(0))
    return torch.stack(fractions), torch.stack(probabilities)


def entropy(share: Float[Tensor, "*shape experts"]) -> Float[Tensor, "*shape"]:
    """Entropy of a distribution over experts in bits: 0 (one expert takes all) to log2 E (balance)."""
    return -torch.special.xlogy(share, share).sum(-1) / math.log(2)


def jensen_shannon(p: Float[Tensor, "*shape experts"], q: Float[Tensor, "*shape experts"]) -> Float[Tensor, "*shape"]:
    """Jensen-Shannon distance (square root of the divergence, base 2): 0 for equal usage, 1 for disjoint experts."""
    divergence = entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2
    return divergence.clamp(min=0).sqrt()


@torch.inference_mode()
def expert_usage(model: Any, groups: Mapping[str, Sequence[Sequence[int]]], batch: int = 32) -> dict[str, Any]:
    """Where the tokens of each group of texts go.

    Args:
        model: A mixture of experts.
        groups: Token ids of texts by group, such as a language.
        batch: Texts a pass.

    Returns:
        For each group `share` (layers x experts, rows sum to 1) and `entropy` in bits by layer; and `distance`, the
        Jensen-Shannon distance by layer between each two groups (`en ar`).
    """
    k = model.config.num_experts_per_tok
    usage: dict[str, Any] = {}
    for name, texts in groups.items():
        logits = [_router_logits(model, texts[i : i + batch]) for i in range(0, len(texts), batch)]
        fraction, _ = expert_load([torch.cat(parts) for parts in zip(*logits, strict=True)], k)
        usage[name] = {"share": (fraction / k).tolist(), "entropy": entropy(fraction / k).tolist()}
    shares = {name: torch.tensor(usage[name]["share"]) for name in groups}
    names = list(groups)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    usage["distance"] = {f"{a} {b}": jensen_shannon(shares[a], shares[b]).tolist() for a, b in pairs}
    return usage


def chance_distance(model: Any, groups: Mapping[str, Sequence[Sequence[int]]], seed: int = 0) -> dict[str, list[float]]:
    """The `distance` of :func:`expert_usage` that no difference between two groups makes: that of random halves.

    Args:
        model: As there.
        groups: As there; the halves of two groups' texts are as many texts as either has.
        seed: Of the draws.
    """
    draw, found = random.Random(seed), {}
    for one, other in itertools.combinations(groups, 2):
        mixed = draw.sample(both := [*groups[one], *groups[other]], len(both))
        halves = {"one": mixed[: len(groups[one])], "other": mixed[len(groups[one]) :]}
        found[f"{one} {other}"] = expert_usage(model, halves)["distance"]["one other"]
    return found


def _router_logits(model: Any, texts: Sequence[Sequence[int]]) -> list[Tensor]:
    """Router logits of the real tokens, one matrix a layer."""
    length = max(map(len, texts))
    ids = torch.tensor([[*text, *[0] * (length - len(text))] for text in texts], device=model.device)
    mask = torch.tensor([[1] * len(text) + [0] * (length - len(text)) for text in texts], device=model.device)
    output = model(input_ids=ids, attention_mask=mask, output_router_logits=True, use_cache=False, logits_to_keep=1)
    return [logits.float()[mask.flatten().bool()].cpu() for logits in output.router_logits]


def sparse_speed(width: int, seed: int, rounds: int = 5, calls: int = 10) -> list[float]:
    """How many times as fast one token passes a sparse block (2 of 8 experts) as a dense one with as many weights.

    Rounds alternate between the two, so that a busy machine slows both; each round gives the ratio of two medians.

    Args:
        width: Of the residual stream; an expert is 3.5 times as wide, as in Mixtral.
        seed: Of the weights and the token.
        rounds: Ratios.
        calls: Timed calls a round and block.
    """
    from transformers import LlamaConfig, MixtralConfig
    from transformers.models.llama.modeling_llama import LlamaMLP
    from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

    inner, experts, k = width * 7 // 2, 8, 2
    config = MixtralConfig(
        hidden_size=width, intermediate_size=inner, num_local_experts=experts, num_experts_per_tok=k,
        num_attention_heads=1, num_key_value_heads=1,
    )  # fmt: skip
    config._experts_implementation = "eager"  # reads the chosen experts' weights and no others
    generator = torch.Generator().manual_seed(seed)
    dense = LlamaMLP(LlamaConfig(hidden_size=width, intermediate_size=experts * inner, num_attention_heads=1))
    blocks = {"sparse": MixtralSparseMoeBlock(config), "dense": dense}
    for block in blocks.values():
        for parameter in block.parameters():
            parameter.data.uniform_(-0.02, 0.02, generator=generator)
    token, ratios = torch.randn(1, 1, width, generator=generator), []
    with torch.inference_mode():
        for number in range(rounds + 1):
            seconds = {
                name: statistics.median(_seconds(block, token) for _ in range(calls)) for name, block in blocks.items()
            }
            if number:  # the first round warms up
                ratios.append(seconds["dense"] / seconds["sparse"])
    return ratios


def _seconds(block: nn.Module, token: Tensor) -> float:
    start = time.perf_counter()
    block(token)
    return time.perf_counter() - start
