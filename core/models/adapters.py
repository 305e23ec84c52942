"""LoRA (Hu et al. 2021), and QLoRA on a 4-bit base (Dettmers et al. 2023), as `peft` does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def with_lora(
    model: Any,
    rank: int,
    *,
    alpha: int = 16,
    dropout: float = 0.05,
    whole: Sequence[str] = (),
    checkpointing: bool = False,
) -> Any:
    """Adapters on all linear layers but the head of a causal language model, whose own weights are frozen.

    Args:
        model: In any number format; one that is loaded in 4 bit is prepared for training as in QLoRA.
        rank: Of the adapters.
        alpha: Their output is scaled by alpha / rank.
        dropout: On their input.
        whole: Modules whose weights are trained and saved as a whole, such as the embeddings for words that the model
            has never seen.
        checkpointing: Recompute activations in the backward pass.
    """
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if getattr(model, "quantization_method", None) is not None:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=checkpointing)
    settings = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules="all-linear",
        modules_to_save=list(whole) or None,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, settings)
