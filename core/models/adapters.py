"""LoRA (Hu et al. 2021), and QLoRA on a 4-bit base (Dettmers et al. 2023), as `peft` does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.errors import UserError
from core.files import replacing, write_json


def with_lora(
    model: Any,
    rank: int,
    *,
    alpha: int = 16,
    dropout: float = 0.05,
    targets: Sequence[str] = (),
    whole: Sequence[str] = (),
    checkpointing: bool = False,
) -> Any:
    """Adapters on linear layers of a causal language model, by default all but the head; its own weights are frozen.

    Args:
        model: In any number format; one that is loaded in 4 bit is prepared for training as in QLoRA.
        rank: Of the adapters.
        alpha: Their output is scaled by alpha / rank.
        dropout: On their input.
        targets: Ends of the names of the layers that get one, such as `q_proj`; empty = all but the head.
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
        target_modules=list(targets) or "all-linear",
        modules_to_save=list(whole) or None,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, settings)


def write_adapter(folder: Path, factors: Mapping[str, Tensor], *, rank: int, alpha: int, base: str) -> None:
    """Factors that were trained without `peft`, in the two files from which `PeftModel.from_pretrained` loads them.

    Args:
        folder: Created if missing.
        factors: By name, `base_model.model.<path of the matrix>.lora_A.weight` (rank x in) and `lora_B` (out x rank).
        rank: Of all of them.
        alpha: The update is scaled by alpha / rank.
        base: Hub id or folder of the base model, recorded for whoever loads the adapter.
    """
    from peft import LoraConfig
    from safetensors.torch import save_file

    with replacing(folder / "adapter_model.safetensors") as path:
        save_file(dict(factors), path, metadata={"format": "pt"})
    targets = sorted({name.split(".lora_")[0].rpartition(".")[2] for name in factors})
    config = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=targets, task_type="CAUSAL_LM", base_model_name_or_path=base,
        inference_mode=True,
    ).to_dict()  # fmt: skip
    config["target_modules"] = targets
    write_json(folder / "adapter_config.json", {key: value for key, value in config.items() if value is not None})


def read_adapter(folder: Path, factors: Mapping[str, Tensor]) -> None:
    """Fill factors, by name, with what :func:`write_adapter` wrote of them.

    Raises:
        UserError: The folder holds no adapter, or one with other names or shapes.
    """
    from safetensors.torch import load_file

    from core.models.loading import translated

    if not (folder / "adapter_model.safetensors").exists():
        raise UserError(f"{folder} holds no adapter: give a folder with adapter_model.safetensors.")
    with translated(folder):
        stored = load_file(folder / "adapter_model.safetensors")
    for name in sorted({*stored, *factors}):
        if name not in stored or name not in factors or stored[name].shape != factors[name].shape:
            raise UserError(f"The adapter in {folder} does not fit this base model: {name} differs.")
    with torch.no_grad():
        for name, factor in factors.items():
            factor.copy_(stored[name])
