"""The settings of one training phase, importable without torch.

A paper nests a `TrainingConfig` in its own configuration, so that every field below is a command-line
option (`--training.steps 200`). What the fields mean for the update is one line:

    gradient of step s = (1 / N_s) * sum over the label tokens of step s of d loss_token,

where N_s counts the label tokens of the whole optimiser step, over all ranks and micro-steps. `batch_size`
is therefore *global*: splitting the same step over more processes or more micro-steps changes nothing but
the speed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from core.errors import UserError
from core.experiment.config import Range

Schedule = Literal["cosine", "linear", "constant", "wsd"]
Precision = Literal["auto", "fp32", "bf16", "pure-bf16"]
Layout = Literal["packed", "flattened", "padded"]


@dataclass(frozen=True)
class TrainingConfig:
    """How long, how fast and in which number format one model is trained."""

    steps: Annotated[int, Range(0)] = 0
    """Optimiser steps; 0 = as many as `epochs` needs."""
    epochs: Annotated[float, Range(0)] = 1.0
    """Passes over the data; read only when steps is 0."""

    batch_size: Annotated[int, Range(1)] = 8
    """Rows of one optimiser step, over all processes and micro-steps (packed rows, or documents)."""
    micro_batch_size: Annotated[int, Range(0)] = 0
    """Rows of one forward pass on one device; 0 = its whole share of the step. Lower it to save memory."""
    max_length: Annotated[int, Range(1)] = 512
    """Tokens of a packed row, and the longest document."""
    layout: Layout = "packed"
    """packed: rows of max_length hold several documents that do not see each other; flattened: a batch is
    batch_size documents one after another, without padding; padded: documents padded to the longest."""
    long_documents: Literal["truncate", "split", "drop"] = "truncate"
    """What happens to a document longer than max_length."""
    shuffle: bool = True
    """A new order every epoch, from the seed; False keeps the order of the data."""

    learning_rate: Annotated[float, Range(0, 10)] = 1e-3
    """Peak learning rate of AdamW."""
    schedule: Schedule = "cosine"
    """Shape after the warm-up: cosine, linear, constant, or wsd (constant, then a linear decay)."""
    warmup: Annotated[float, Range(0)] = 0.0
    """Linear warm-up: steps if >= 1, a fraction of all steps if below 1."""
    decay: Annotated[float, Range(0)] = 0.1
    """Length of the decay of the wsd schedule: steps if >= 1, a fraction if below 1."""
    final_learning_rate: Annotated[float, Range(0, 1)] = 0.0
    """Learning rate at the end of the schedule, as a fraction of the peak."""
    weight_decay: Annotated[float, Range(0, 1)] = 0.0
    """Decoupled weight decay, on matrices only (never on norms and biases)."""
    beta1: Annotated[float, Range(0, 1)] = 0.9
    """AdamW's decay rate of the first moment."""
    beta2: Annotated[float, Range(0, 1)] = 0.999
    """AdamW's decay rate of the second moment."""
    epsilon: Annotated[float, Range(0, 1)] = 1e-8
    """AdamW's constant in the denominator."""
    max_grad_norm: Annotated[float, Range(0)] = 1.0
    """The gradient's L2 norm is clipped to this; 0 = no clipping."""

    precision: Precision = "auto"
    """bf16: bf16 matrix products over fp32 master weights; pure-bf16: weights and optimiser state in bf16 too;
    auto: bf16 where the hardware multiplies it fast (on CPUs, for models at least 256 wide), otherwise fp32."""
    strategy: Literal["auto", "ddp", "fsdp2", "zero3"] = "auto"
    """How several processes share the model; auto = what `accelerate launch` says, otherwise ddp."""
    compile: bool = False
    """torch.compile of every transformer block; rows are then padded to one static shape."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""

    log_every: Annotated[int, Range(1)] = 10
    """Steps between two metric records."""
    eval_every: Annotated[int, Range(0)] = 0
    """Steps between two calls of the evaluation callback; 0 = only after the last step."""
    save_every: Annotated[int, Range(0)] = 0
    """Steps between two checkpoints; 0 = only when interrupted."""
    keep_checkpoints: Annotated[int, Range(1)] = 2
    """How many of the newest checkpoints stay on disk."""
    trackers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    """Experiment trackers that also get the metrics; metrics.jsonl is always written."""

    def __post_init__(self) -> None:
        """Refuse what no single field's range can refuse."""
        if self.steps == 0 and self.epochs == 0:
            raise UserError("training.steps and training.epochs are both 0: set one of them.")

    def longer(self, factor: float) -> TrainingConfig:
        """The same for `factor` times as long: arms with shorter rows see as many tokens."""
        return replace(self, steps=round(self.steps * factor), epochs=self.epochs * factor)

    def row_tokens(self, rows: Sequence[Mapping[str, Sequence[int]]]) -> float:
        """Mean tokens of the rows that fit into `max_length`.

        Raises:
            UserError: None of them fits.
        """
        lengths = [length for row in rows if (length := len(row["input_ids"])) <= self.max_length]
        if not lengths:
            raise UserError(f"No row fits into training.max_length = {self.max_length}: raise it, or shorten the rows.")
        return sum(lengths) / len(lengths)
