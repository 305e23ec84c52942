"""Counting a model: its parameters, the FLOPs of a token, the bytes of training or running it.

The real architecture is instantiated on the meta device (shapes, no storage) and its parameters are counted by name;
the rest is arithmetic, and each formula stands in the docstring of the function that applies it. `core.cost.plan` puts
the pieces together.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.models.flops import attention_flops, experts_of, layers_of, multiplied, routed_share

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from core.cost.workload import Target, Workload

# 4-bit NormalFloat: 4 bits a weight, an 8-bit scale for 64 weights, a 32-bit scale for 256 of these (QLoRA, section 3).
NF4_BITS = 4 + 8 / 64 + 32 / (64 * 256)
# Elements of one chunk of fp32 logits in the chunked cross-entropy (`core.training.losses`).
CHUNK = 2**26


@dataclass(frozen=True)
class Parameters:
    """Parameter counts.

    Attributes:
        total: All, tied ones once.
        active: Those that one token passes: of the routed experts only the top k.
        multiplying: Active ones in matrix products: no vectors, and no input embedding unless the output is tied to it.
        quantized: Matrices inside the layers, which QLoRA stores in 4 bit.
        trainable: What the method trains.
        adapter_flops: Trainable adapter parameters that one token passes.
        unit: Those of the largest unit that FSDP gathers at once: a layer, or the embeddings.
        units: Of each unit, how many parameters have how many rows (dimension 0, which is what FSDP2 shards).
        lora: LoRA parameters of rank 1, by target.
    """

    total: int
    active: int
    multiplying: int
    quantized: int
    trainable: int
    adapter_flops: float
    unit: int
    lora: dict[str, int]
    units: tuple[tuple[tuple[int, int], ...], ...] = ()

    def shard(self, gpus: int) -> float:
        """Parameters on the GPU that holds most: of r rows ceil(r / g), so that 8 stacked experts make 8 shards."""
        return sum(_shard(rows, size, gpus) for unit in self.units for rows, size in unit)

    def gathered(self, gpus: int) -> float:
        """Parameters of the largest unit that is gathered at once, with what fills up its shards."""
        return max(sum(gpus * _shard(rows, size, gpus) for rows, size in unit) for unit in self.units)


def _shard(rows: int, size: int, gpus: int) -> float:
    return size / rows * -(-rows // gpus)


# --- parameters ---------------------------------------------------------------------------------------------------


def config_of(architecture: str | PretrainedConfig) -> PretrainedConfig:
    """The configuration itself, or that of a hub id (`core.models.architectures.architecture`)."""
    if not isinstance(architecture, str):
        return architecture
    from core.models.architectures import architecture as known

    return known(architecture)


Shapes = tuple[tuple[str, tuple[int, ...], float], ...]


@cache
def _shapes_of(architecture: str) -> Shapes:
    return _shapes(config_of(architecture))


def _shapes(config: PretrainedConfig) -> Shapes:
    """Names and shapes of the real model's parameters, and with how many elements of each a token is multiplied.

    Tied ones appear once, under the input embedding's name.
    """
    import torch
    import transformers

    names = config.architectures or []
    model_class: Any = getattr(transformers, names[0], None) if names else None
    model_class = model_class or transformers.MODEL_MAPPING[type(config)]
    with torch.device("meta"):
        model = model_class(config)
    products = multiplied(model)
    return tuple((name, tuple(parameter.shape), products[name]) for name, parameter in model.named_parameters())


def target_of(name: str) -> Target:
    """Which group a parameter belongs to, by its name in transformers' models."""
    if re.search(r"\bexperts\b", name):
        return "experts"
    if re.search(r"\brouter\b|\bgate\.(weight|wg)\b", name):
        return "router"
    # BERT has attention.output.dense and output.dense, so attention is looked for first.
    if re.search(r"attn|attention", name, re.IGNORECASE):
        return "attention"
    if re.search(r"mlp|\bfc[12]\b|intermediate|output\.dense|DenseReluDense|ffn|feed_forward", name):
        return "mlp"
    return "embeddings"


def count_parameters(workload: Workload) -> Parameters:
    """Count the real architecture.

    With E experts of which k are used, an expert parameter is active with k/E. A LoRA adapter of rank r on a matrix of
    n x m has r (n + m) parameters; an expert tensor `[E, 2f, d]` holds two matrices f x d for each of E experts, and
    `[E, d, f]` one.
    """
    config = config_of(workload.architecture)
    shapes = _shapes_of(workload.architecture) if isinstance(workload.architecture, str) else _shapes(config)
    text = config.get_text_config()
    total, active, multiplying, quantized, per_token = 0.0, 0.0, 0.0, 0.0, 0.0
    lora: dict[str, int] = {}
    units: dict[str, dict[int, int]] = {}
    for name, shape, product in shapes:
        size, group, share = math.prod(shape), target_of(name), routed_share(text, name, shape)
        total, active, multiplying = total + size, active + size * share, multiplying + product
        layer = re.search(r"\b(layers?|h|block)\.\d+\.", name)
        unit = name[: layer.end()] if layer else "outside"
        held = units.setdefault(unit, {})
        held[shape[0]] = held.get(shape[0], 0) + size
        if len(shape) < 2 or "norm" in name.lower() or "vision_tower" in name:  # image encoders get no adapters
            continue
        quantized += size if layer and group != "embeddings" else 0
        lora[group] = lora.get(group, 0) + _rank_one(name, shape)
        per_token += _rank_one(name, shape) * share if group in workload.lora_targets else 0
    per_rank = sum(lora.get(target, 0) for target in workload.lora_targets)
    adapted = workload.method in {"lora", "qlora"} and workload.kind == "training"
    return Parameters(
        total=int(total),
        active=round(active),
        multiplying=round(multiplying),
        quantized=int(quantized),
        trainable=_trainable(workload, int(total), per_rank),
        adapter_flops=per_token * workload.lora_rank if adapted else 0.0,
        unit=int(max(sum(held.values()) for held in units.values())),
        lora=lora,
        units=tuple(tuple(held.items()) for held in units.values()),
    )


def _trainable(workload: Workload, total: int, per_rank: int) -> int:
    if workload.kind == "inference" or workload.method == "frozen":
        return 0
    return total if workload.method == "full" else per_rank * workload.lora_rank


def _rank_one(name: str, shape: tuple[int, ...]) -> int:
    """Parameters of a rank-1 adapter."""
    if len(shape) == 2:
        return sum(shape)
    if len(shape) == 3 and "gate_up" in name:
        count, wide, narrow = shape
        return count * 2 * (wide // 2 + narrow)
    return shape[0] * sum(shape[1:])


# --- FLOPs --------------------------------------------------------------------------------------------------------


def _entries(text: Any) -> int:
    """Entries of the vocabulary; encoders of images have none."""
    return getattr(text, "vocab_size", 0)


def flops_per_token(config: PretrainedConfig, parameters: Parameters, workload: Workload) -> float:
    """Model FLOPs of one token; what gradient checkpointing recomputes is not counted, as is usual for MFU.

    With N the multiplying parameters and A = 4 L H D S the attention's two products over S tokens (of L layers with H
    heads of D; sliding-window layers see at most their window; causality is not subtracted, as is usual):

        inference, frozen    2 N + A
        full training        6 N + 3 A        (forward 2 N + A, both gradients twice that; 3 A = 12 L H D S)
        LoRA training        4 N + 3 A + 6 R  (no gradients of frozen weights; R adapter parameters of the token)

    Of the output layer the share of tokens counts on which it runs (`head_share`).
    """
    n, attention = float(parameters.multiplying), attention_flops(config, workload.sequence_length)
    text = config.get_text_config()
    n -= (1 - workload.head_share) * _entries(text) * text.hidden_size
    if config.is_encoder_decoder:
        n, attention = n / 2, attention / 2  # a token is in the source or in the target
    if workload.kind == "inference" or workload.method == "frozen":
        return 2 * n + attention
    if workload.method == "full":
        return 6 * n + 3 * attention
    return 4 * n + 3 * attention + 6 * parameters.adapter_flops


def _heads(text: PretrainedConfig) -> tuple[int, int, int]:
    """(query heads, key-value heads, width of a head)."""
    heads = text.num_attention_heads
    return (
        heads,
        getattr(text, "num_key_value_heads", None) or heads,
        getattr(text, "head_dim", None) or text.hidden_size // heads,
    )


# --- memory -------------------------------------------------------------------------------------------------------


def state_bytes(strategy: str, parameters: Parameters, workload: Workload, gpus: int) -> tuple[float, float, float]:
    """Bytes a GPU for weights, gradients and optimiser states, over g GPUs.

    With P parameters, T of them trained, m master bytes (4; 2 in pure bf16), U the largest unit that FSDP gathers:

        DDP, full        weights (m + c) T      gradients m T        AdamW 2 m T, 8-bit 2 T
        FSDP2, full      weights m T / g + 2 c' U    gradients m T / g + c' U    states / g
        LoRA             the same for the adapters' T, plus the frozen base: 2 P (fp32: 4 P), sharded 2 P / g + 2 c' U
        QLoRA            base: 4.127 bits for each weight of a layer's matrices, 16 for the rest
        inference        base only, split over the GPUs by layers or tensors (no gathering) when sharded

    c = 2 bytes in mixed precision is the bf16 copy that autocast keeps for the step; c' the bytes of a gathered weight,
    two units being there at once because the next is fetched ahead. FSDP2 shards rows: / g is `Parameters.shard`, which
    is more where a tensor has fewer rows than there are GPUs. Copies and gradients are there together from a step's
    second micro-batch on; :mod:`core.cost.simulate` tells the cases apart.
    """
    master = 2 if workload.precision == "bf16" else 4
    frozen = 4 if workload.precision == "fp32" else 2
    copy = 2 if workload.precision == "bf16-mixed" else 0
    shards = gpus if "FSDP2" in strategy or strategy == "sharded" else 1
    total = parameters.total
    if strategy.startswith("full"):
        trained, base = total, 0.0
    else:
        adapters = sum(parameters.lora.get(target, 0) for target in workload.lora_targets) * workload.lora_rank
        trained = adapters if "LoRA" in strategy else 0
        in_4_bit = parameters.quantized if "QLoRA" in strategy or "NF4" in strategy else 0
        base = in_4_bit * NF4_BITS / 8 + (total - in_4_bit) * frozen
    states = 2 * trained if workload.optimizer == "adamw-8bit" else 2 * master * trained
    if shards == 1:
        return base + (master + copy) * trained, master * trained, states
    if strategy == "sharded":
        return base / shards, 0.0, 0.0
    gathered = frozen * parameters.gathered(shards)
    share = parameters.shard(shards) / total
    weights = (base + master * trained) * share + 2 * gathered
    # Unsharded gradients exist for one unit, of what is trained in it.
    gradients = master * trained * share + gathered * trained / (trained + total * (base > 0))
    return weights, gradients, states * share


def activation_bytes(config: PretrainedConfig, parameters: Parameters, workload: Workload, strategy: str = "") -> float:
    """Bytes of activations (inference: of the key-value cache) of a micro-batch.

    For each of B S tokens a layer of width d keeps, in elements of 2 bytes (fp32: 4), with fused attention:

        a = 9 d + 2 H D + 2 K D + 4 f k

    residuals and two norms, which work in fp32 (9 d; 13 d under autocast over whole fp32 weights, where residuals are
    fp32 too: by simulated steps of Llama and Qwen), queries and attention output (H heads of D), keys and values (K
    heads), and the gated MLP's four inner arrays of width f in each of k experts (two without gate: 2 f). Checkpointing
    keeps a residual a layer and one layer's a. Logits take 10 bytes each (bf16, fp32 and fp32 gradient), all of B S V
    or a chunk at a time. Inference keeps 2 K D a layer and token, and the logits of the last token.
    """
    text = config.get_text_config()
    tokens = workload.sequence_length * workload.micro_batch_size
    element = 4 if workload.precision == "fp32" else 2
    heads, kv_heads, head_dim = _heads(text)
    layers, width = layers_of(text), text.hidden_size
    if workload.kind == "inference":
        cache_bytes = 0.0 if not _is_decoder(config) else tokens * layers * 2 * kv_heads * head_dim * element
        return cache_bytes + 2 * tokens * width * element + workload.micro_batch_size * _entries(text) * 4
    # In elements: autocast leaves the residuals of fp32 weights in fp32.
    residual, norms = (2, 13) if workload.precision == "bf16-mixed" and strategy == "full, DDP" else (1, 9)
    layer = norms * width + 2 * heads * head_dim + 2 * kv_heads * head_dim + _inner_elements(text)
    kept = layers * width * residual + layer if workload.checkpointing else layers * layer
    if workload.method == "frozen":
        kept = layer
    logits = 10.0 * tokens * _entries(text)
    return tokens * kept * element + (min(logits, 10.0 * CHUNK) if workload.chunked_loss else logits)


def _is_decoder(config: PretrainedConfig) -> bool:
    name = (config.architectures or [""])[0]
    return "CausalLM" in name or "LMHead" in name or "ConditionalGeneration" in name


def _inner_elements(text: PretrainedConfig) -> int:
    """Inner activations of the feed-forward layers for one token."""
    names = ("moe_intermediate_size", "intermediate_size", "encoder_ffn_dim", "ffn_dim", "n_inner")
    inner = next((getattr(text, name) for name in names if getattr(text, name, None)), 4 * text.hidden_size)
    gated = hasattr(text, "rms_norm_eps") or text.model_type in {"olmo", "cohere"}
    return inner * (4 if gated else 2) * experts_of(text)[1]


def refuse_too_large(model: str, parts: int = 1) -> None:
    """Refuse to train a model of which no process could hold its part in fp32.

    Args:
        model: Hub id, wheel or folder.
        parts: Over how many processes it is sharded (:func:`core.training.sharded.parts`).

    Raises:
        UserError: It has more bytes than the GPU. Without a GPU nothing is refused.
    """
    import torch

    from core.cost.workload import Workload

    if not torch.cuda.is_available():
        return
    need, room = 4 * count_parameters(Workload(model, 1.0)).total, torch.cuda.get_device_properties(0).total_memory
    if need > parts * room:
        raise UserError(
            f"{model} has {need / 1e9:.0f} GB in float32, of which each process holds one part of {parts}, and the GPU "
            f"{room / 1e9:.0f}: shard it over more GPUs (configs/accelerate/fsdp2.yaml), or choose a smaller one."
        )
