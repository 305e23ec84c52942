"""Adapters: how many numbers they have, and on disk in the per-expert layout that the ecosystem reads.

`save_adapter` writes what `peft` would have written when experts and router were still `nn.Linear`: one A and one B for
every expert's matrices and for the router. `PeftModel.from_pretrained(base, folder)` loads it onto the fused experts of
transformers 5, and engines that serve per-expert LoRA read the same names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from core.models.mixtures import MoEBlock, attention_layers, moe_blocks, weight_shape
from core.models.nf4 import quantize_base as quantize_base  # part of the paper's public names
from papers.bimedix.config import PARTS, Part
from papers.bimedix.method import AdaptedExperts, LowRank, attach_adapters

PREFIX = "base_model.model."
# Names of (W1, W3, W2) and of the block, in checkpoints of the original layout.
MIXTRAL = (("w1", "w3", "w2"), "block_sparse_moe")
OTHERS = (("gate_proj", "up_proj", "down_proj"), "mlp")


def equal_budget_rank(model: nn.Module, parts: Sequence[Part], rank: int) -> int:
    """The rank at which `parts` train as many parameters as all parts at `rank` (nearest integer, at least 1).

    The comparison of placements is fair only at an equal budget. Counts follow the matrices' shapes.
    """
    unit: dict[Part, int] = dict.fromkeys(PARTS, 0)
    unit["attention"] = sum(sum(weight_shape(layer, "weight")) for _, layer in attention_layers(model))
    for block in moe_blocks(model):
        count, twice_width, dim = weight_shape(getattr(block.experts, "frozen", block.experts), "gate_up_proj")
        unit["experts"] += count * 3 * (dim + twice_width // 2)
        unit["router"] += count + dim
    return max(1, round(rank * sum(unit.values()) / sum(unit[part] for part in parts)))


@torch.no_grad()
def merge_adapters(model: nn.Module) -> nn.Module:
    """Add every update into its weight, in place; the model is then an ordinary one again.

    Raises:
        UserError: The experts are 4-bit codes, into which nothing can be added.
    """
    for block in moe_blocks(model):
        if isinstance(block.experts, AdaptedExperts):
            adapted, frozen = block.experts, block.experts.frozen
            if not isinstance(frozen.gate_up_proj, Tensor):
                raise UserError("Packed 4-bit experts take no update: load the base without `packed` and merge there.")
            frozen.gate_up_proj += torch.cat([adapted.w1.delta(), adapted.w3.delta()], 1).to(frozen.gate_up_proj.dtype)
            frozen.down_proj += adapted.w2.delta().to(frozen.down_proj.dtype)
            block.parent.experts = frozen
        if parametrize.is_parametrized(block.router, "weight"):
            parametrize.remove_parametrizations(block.router, "weight", leave_parametrized=True)
    for name, module in list(model.named_modules()):
        if hasattr(module, "lora_A") and hasattr(module, "base_layer"):
            layer: Any = module
            layer.merge()
            model.set_submodule(name, layer.get_base_layer())
    return model


def save_adapter(model: nn.Module, folder: Path, *, parts: Sequence[Part], rank: int, alpha: int, base: str) -> Path:
    """Write `adapter_model.safetensors` and `adapter_config.json`.

    Args:
        model: With adapters attached by :func:`papers.bimedix.method.attach_adapters`.
        folder: Created if missing.
        parts: As attached.
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
    write_json(folder / "placement.json", {"parts": list(parts), "rank": rank, "alpha": alpha})
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
    if isinstance(block.experts, AdaptedExperts):
        updates = (block.experts.w1, block.experts.w3, block.experts.w2)
        for matrix, update in zip(names, updates, strict=True):
            yield from _expert_factors(f"{path}.experts", matrix, _whole(update.A), _whole(update.B))
    if parametrize.is_parametrized(block.router, "weight"):
        steps: Any = block.router.parametrizations
        update = next(step for step in steps["weight"] if isinstance(step, LowRank))
        yield f"{path}.{block.router_name}.lora_A.weight", _whole(update.A)[0]
        yield f"{path}.{block.router_name}.lora_B.weight", _whole(update.B)[0]


def _expert_factors(path: str, matrix: str, a: Tensor, b: Tensor) -> Iterator[tuple[str, Tensor]]:
    for expert in range(len(a)):
        yield f"{path}.{expert}.{matrix}.lora_A.weight", a[expert]
        yield f"{path}.{expert}.{matrix}.lora_B.weight", b[expert]


def _whole(factor: Tensor) -> Tensor:
    """The full tensor of a sharded one (FSDP2); any other as it is."""
    return factor.full_tensor() if isinstance(factor, DTensor) else factor
