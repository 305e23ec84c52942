"""What one model of a paper has to compute, as data that `papers plan` counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from core.training.config import TrainingConfig

Kind = Literal["training", "inference"]
Method = Literal["full", "lora", "qlora", "frozen"]
Target = Literal["attention", "mlp", "experts", "router", "embeddings"]


@dataclass(frozen=True)
class Workload:
    """What one model of a paper has to compute. A paper with several models returns several."""

    architecture: str | PretrainedConfig
    """Hub id (see `core.models.architectures`), folder, or a configuration."""
    tokens: float
    """Tokens in all: read in training (over all epochs), or read and written at inference."""
    kind: Kind = "training"
    """Training (forward and backward pass) or inference (forward pass)."""
    method: Method = "full"
    """full: all parameters are trained; lora: adapters on a bf16 base; qlora: on an NF4 base; frozen: none, the model
    is only read (training a head on its features)."""
    sequence_length: int = 2048
    """Tokens of one sequence."""
    micro_batch_size: int = 1
    """Sequences of one forward pass on one GPU."""
    lora_rank: int = 16
    """Rank of every adapter."""
    lora_targets: tuple[Target, ...] = ("attention", "mlp", "experts")
    """Which matrices get one: `experts` are the routed experts of a mixture, `mlp` is dense layers."""
    precision: Literal["bf16-mixed", "bf16", "fp32"] = "bf16-mixed"
    """Trained parameters: bf16-mixed = fp32 with bf16 compute, bf16 = bf16 throughout, fp32. Frozen ones are bf16
    except with fp32."""
    optimizer: Literal["adamw", "adamw-8bit"] = "adamw"
    """adamw: two states in the parameters' format; adamw-8bit: two bytes a parameter."""
    checkpointing: bool = True
    """Recompute each layer's activations in the backward pass (memory for about a third more time)."""
    chunked_loss: bool = True
    """The logits of a chunk of tokens at a time, as `core.training.fit` does; False: of the whole micro-batch."""
    head_share: float = 1.0
    """Share of the tokens on which the output layer runs: of masked language models those that are predicted."""
    name: str = ""
    """What this part does, when a paper has several."""


def of_training(
    settings: TrainingConfig, architecture: str | PretrainedConfig, tokens: float, **others: Any
) -> Workload:
    """Training on so many tokens in all, with the settings' lengths, batches and checkpointing; `others` as above."""
    return Workload(
        architecture,
        tokens,
        sequence_length=settings.max_length,
        micro_batch_size=settings.micro_batch_size or settings.batch_size,
        checkpointing=settings.gradient_checkpointing,
        **others,
    )
