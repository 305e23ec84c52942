"""Adapters on disk, in the per-expert layout that the ecosystem reads.

`save_adapter` writes what `peft` would have written when experts and router were still `nn.Linear`: one A and one B for
every expert's matrices and for the router. `PeftModel.from_pretrained(base, folder)` loads it onto the fused experts of
transformers 5, and engines that serve per-expert LoRA read the same names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize

from core.distributed import is_main, whole
from core.errors import UserError
from core.files import load_json, write_json
from core.models.adapters import read_adapter, write_adapter
from core.models.loading import translated
from core.models.mixtures import moe_blocks
from core.models.nf4 import quantize_base as quantize_base  # one of the paper's public names
from papers.bimedix.config import Part
from papers.bimedix.method import AdaptedExperts, attach_adapters

# Names of (W1, W3, W2) and of the block, in checkpoints of the original layout.
MIXTRAL = (("w1", "w3", "w2"), "block_sparse_moe")
OTHERS = (("gate_proj", "up_proj", "down_proj"), "mlp")


def save_adapter(model: nn.Module, folder: Path, *, parts: Sequence[Part], rank: int, alpha: int, base: str) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json`, and what :func:`load_adapter` has to know.

    `parts`, `rank` and `alpha` are those of :func:`papers.bimedix.method.attach_adapters`; `base` (hub id or folder) is
    recorded for whoever loads the adapter.
    """
    # Gathering shards is a joint act of all processes; writing is the main one's.
    factors = {name: factor.detach().cpu().contiguous() for name, factor in _factors(model).items()}
    if is_main():
        write_adapter(folder, factors, rank=rank, alpha=alpha, base=base)
        write_json(folder / "placement.json", {"parts": list(parts), "rank": rank, "alpha": alpha})


def load_adapter(model: nn.Module, folder: Path) -> nn.Module:
    """Attach the adapters of a folder that :func:`save_adapter` wrote to the base model, in place.

    Raises:
        UserError: If the folder holds no such adapter or the adapter belongs to a model of another shape.
    """
    if not (folder / "placement.json").exists():
        raise UserError(f"{folder} holds no adapter: give a folder that papers.bimedix.train wrote.")
    with translated(folder):
        attach_adapters(model, **load_json(folder / "placement.json", dict))
    read_adapter(folder, _factors(model))
    return model


def _factors(model: nn.Module) -> dict[str, Tensor]:
    """Views of every factor under its name on disk."""
    factors = ((f"{path}.lora_{name}", factor) for path, a, b in _pairs(model) for name, factor in (("A", a), ("B", b)))
    return {f"base_model.model.{name}.weight": factor for name, factor in factors}


def _pairs(model: nn.Module) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Path of each adapted matrix in a checkpoint of the original layout, with its A and B."""
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and hasattr(module, "base_layer"):
            layer: Any = module
            yield name, whole(layer.lora_A["default"].weight), whole(layer.lora_B["default"].weight)
    kind = getattr(getattr(model, "config", None), "model_type", "")
    matrices, folder = MIXTRAL if kind in ("mixtral", "minimax") else OTHERS
    for block in moe_blocks(model):
        path = f"{block.name.rpartition('.')[0]}.{folder}"
        if isinstance(block.experts, AdaptedExperts):
            updates = (block.experts.w1, block.experts.w3, block.experts.w2)
            for matrix, update in zip(matrices, updates, strict=True):
                for expert, (a, b) in enumerate(zip(whole(update.A), whole(update.B), strict=True)):
                    yield f"{path}.experts.{expert}.{matrix}", a, b
        if parametrize.is_parametrized(block.router, "weight"):
            router: Any = block.router.parametrizations["weight"][-1]
            yield f"{path}.{block.router_name}", whole(router.A)[0], whole(router.B)[0]
