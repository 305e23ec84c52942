"""Adapters on disk, in the per-expert layout that the ecosystem reads.

`save_adapter` writes what `peft` would have written when experts and router were still `nn.Linear`: one A and one B for
every expert's matrices and for the router. `PeftModel.from_pretrained(base, folder)` loads it onto the fused experts of
transformers 5, and engines that serve per-expert LoRA read the same names.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.utils import parametrize

from core.distributed import is_main
from core.errors import UserError
from core.files import load_json, replacing, write_json
from core.models.loading import translated
from papers.bimedix.method import LowRankUpdate, MoEBlock, Placement, attach_adapters, moe_blocks

PREFIX = "base_model.model."
# Names of (W1, W3, W2) and of the block, in checkpoints of the original layout.
MIXTRAL = (("w1", "w3", "w2"), "block_sparse_moe")
OTHERS = (("gate_proj", "up_proj", "down_proj"), "mlp")


def save_adapter(model: nn.Module, folder: Path, *, placement: Placement, rank: int, alpha: int, base: str) -> Path:
    """Write `adapter_model.safetensors` and `adapter_config.json`.

    Args:
        model: With adapters attached by :func:`papers.bimedix.method.attach_adapters`.
        folder: Created if missing.
        placement: As attached.
        rank: As attached.
        alpha: As attached.
        base: Hub id or folder of the base model, recorded for whoever loads the adapter.

    Returns:
        The folder.
    """
    from peft import LoraConfig
    from safetensors.torch import save_file

    # Gathering shards is a joint act of all processes; writing is the main one's.
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _named_factors(model)}
    if not is_main():
        return folder
    with replacing(folder / "adapter_model.safetensors") as path:
        save_file(tensors, path, metadata={"format": "pt"})
    targets = sorted({name.split(".lora_")[0].rpartition(".")[2] for name in tensors})
    config = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=targets, task_type="CAUSAL_LM", base_model_name_or_path=base,
        inference_mode=True,
    ).to_dict()  # fmt: skip
    config["target_modules"] = targets
    write_json(folder / "adapter_config.json", {key: value for key, value in config.items() if value is not None})
    write_json(folder / "placement.json", {"placement": placement, "rank": rank, "alpha": alpha})
    return folder


def load_adapter(model: nn.Module, folder: Path) -> nn.Module:
    """Attach the adapters of a folder that :func:`save_adapter` wrote to the base model, in place.

    Raises:
        UserError: If the folder holds no such adapter or the adapter belongs to a model of another shape.
    """
    from safetensors.torch import load_file

    if not all((folder / name).exists() for name in ("placement.json", "adapter_model.safetensors")):
        raise UserError(f"{folder} holds no adapter: give a folder that papers.bimedix.train wrote.")
    with translated(folder):
        attach_adapters(model, **load_json(folder / "placement.json", dict))
        stored = load_file(folder / "adapter_model.safetensors")
    targets = dict(_named_factors(model))
    if mismatch := sorted(name for name in {*stored, *targets} if _shape(stored, name) != _shape(targets, name)):
        raise UserError(f"The adapter in {folder} does not fit this base model: {mismatch[0]} differs.")
    with torch.no_grad():
        for name, target in targets.items():
            target.copy_(stored[name])
    return model


def _shape(tensors: dict[str, Tensor], name: str) -> torch.Size | None:
    return tensors[name].shape if name in tensors else None


def _named_factors(model: nn.Module) -> Iterator[tuple[str, Float[Tensor, "rows columns"]]]:
    """Views of every low-rank factor under its name on disk."""
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and hasattr(module, "base_layer"):
            layer: Any = module
            yield f"{PREFIX}{name}.lora_A.weight", _whole(layer.lora_A["default"].weight)
            yield f"{PREFIX}{name}.lora_B.weight", _whole(layer.lora_B["default"].weight)
    is_mixtral = getattr(getattr(model, "config", None), "model_type", "") in ("mixtral", "minimax")
    for block in moe_blocks(model):
        yield from _block_factors(block, *(MIXTRAL if is_mixtral else OTHERS))


def _block_factors(block: MoEBlock, names: tuple[str, str, str], folder: str) -> Iterator[tuple[str, Tensor]]:
    path = f"{PREFIX}{block.name.rpartition('.')[0]}.{folder}"
    gate, up, down = names
    if fused := _factors(block.experts, "gate_up_proj"):
        a, b = fused
        for branch, matrix in enumerate((gate, up)):
            yield from _expert_factors(f"{path}.experts", matrix, a[branch], b[branch])
    if second := _factors(block.experts, "down_proj"):
        yield from _expert_factors(f"{path}.experts", down, second[0][0], second[1][0])
    if router := _factors(block.router, "weight"):
        yield f"{path}.{block.router_name}.lora_A.weight", router[0][0]
        yield f"{path}.{block.router_name}.lora_B.weight", router[1][0]


def _expert_factors(path: str, matrix: str, a: Tensor, b: Tensor) -> Iterator[tuple[str, Tensor]]:
    for expert in range(len(a)):
        yield f"{path}.{expert}.{matrix}.lora_A.weight", a[expert]
        yield f"{path}.{expert}.{matrix}.lora_B.weight", b[expert]


def _factors(module: nn.Module, name: str) -> tuple[Tensor, Tensor] | None:
    """A and B of an adapted parameter, with a leading axis of branches; None if it is not adapted."""
    if not parametrize.is_parametrized(module, name):
        return None
    steps: Any = module.parametrizations
    update = next((step for step in steps[name] if isinstance(step, LowRankUpdate)), None)
    return (_whole(update.A), _whole(update.B)) if update else None


def _whole(factor: Tensor) -> Tensor:
    """The full tensor of a sharded one (FSDP2); any other as it is."""
    return factor.full_tensor() if isinstance(factor, DTensor) else factor
