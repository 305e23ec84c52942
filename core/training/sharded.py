"""Models that no process holds: each reads its part of the weights, trains it, and writes complete tensors of some.

    model, tokenizer = sharded.load("Qwen/Qwen2-72B", config.training)     # instead of loading.load
    fit(model, rows, config.training, run)                                 # FSDP2 as ever, in as many phases as needed
    save_pretrained(model, run.artifact, tokenizer)                        # core.training.fit: an ordinary folder

The model is made without values and cut along the first dimension of every parameter, one unit a transformer block and
one for all the rest. Then each process reads its rows of every tensor from the safetensors files, through the
conversions that transformers has for the architecture (experts that are stored one by one and computed as one, say).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from core import distributed
from core.errors import UserError
from core.files import build_folder, writable, write_json
from core.models import loading
from core.training.config import TrainingConfig
from core.training.optimization import set_precision

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Of one file of weights. A process holds one at a time in main memory, twice while it writes.
FILE_BYTES = 5_000_000_000


class Objective(nn.Module):
    """Model and loss as one module, so that everything a loss function does happens inside the distributed wrapper."""

    def __init__(self, model: nn.Module, loss_fn: Callable[..., Any] | None):
        super().__init__()
        self.model = model
        self.loss_fn = loss_fn
        self._no_split_modules = _units(model)

    def forward(self, batch: Mapping[str, Any] | Callable[[nn.Module], Any]) -> Any:
        """Loss sum (with a graph), number of items and logs of a micro-batch; or what a function says of the model."""
        if callable(batch):
            return batch(self.model)
        assert self.loss_fn is not None
        total, items, *more = self.loss_fn(self.model, dict(batch))
        logs: Mapping[str, Any] = more[0] if more else {}
        device = total.device
        return total, _scalar(items, device), {key: _scalar(value, device) for key, value in logs.items()}


def _units(model: nn.Module) -> list[str]:
    """Classes of the modules that are gathered each for itself: blocks, but none that share a tensor with the rest.

    XLM-R's embeddings are named as a block, and its head has their matrix. Some names are of parts that are left out.
    """
    held: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        held.setdefault(id(parameter), []).append(name)
    shared = [names for names in held.values() if len(names) > 1]
    found = {type(module).__name__ for module in model.modules()} & {*(getattr(model, "_no_split_modules", None) or ())}
    for place, module in model.named_modules():
        for names in shared if type(module).__name__ in found else ():
            inside = [name.startswith(f"{place}.") for name in names]
            if any(inside) and not all(inside):
                found.discard(type(module).__name__)
    return sorted(found)


def _scalar(value: Tensor | float, device: torch.device) -> Tensor:
    # fp32 counts to 2^24 only. Filling on the device, unlike copying a number to it, does not wait for the device.
    if isinstance(value, Tensor):
        return value.detach().double()
    return torch.full((), float(value), dtype=torch.float64, device=device)


def sharded_objective(model: nn.Module, loss_fn: Callable[..., Any] | None, accelerator: Accelerator) -> Objective:
    """Model and loss under FSDP2. A model that has been sharded before keeps its shards and gets the new loss.

    Raises:
        UserError: The model is sharded already, in another number format or only in part.
    """
    policy = accelerator.state.fsdp_plugin.mixed_precision_policy
    objective: Any = vars(model).get("_objective")
    if objective is None:
        if distributed.is_sharded(model):
            raise UserError(
                f"A part of {type(model).__name__} is sharded already: train what was sharded, or load it anew."
            )
        objective = fsdp2_prepare_model(accelerator, Objective(model, loss_fn))
        # Not as a submodule: it is the model's own parent.
        vars(model).update(_objective=objective, _shard_policy=policy)
    elif vars(model)["_shard_policy"] != policy:
        raise UserError("The model is sharded in another number format: keep training.precision in all its phases.")
    elif alone := [name for name, p in model.named_parameters() if p.requires_grad and not hasattr(p, "to_local")]:
        raise UserError(
            f"{alone[0]} was added after the model had been sharded, so that no process would hear of the others' "
            "gradients: add it before, to a model from core.models.loading.load."
        )
    objective.loss_fn = loss_fn
    return objective


def load(spec: str | Path, config: TrainingConfig, **options: Any) -> loading.Loaded:
    """A pretrained model to be trained, and its tokenizer; under FSDP2 on several processes each reads its part.

    Args:
        spec: As in :func:`core.models.loading.load`.
        config: Of the training: `strategy` says whether it is sharded, `precision` in which number format it is held.
        options: Of :func:`core.models.loading.load`. `dtype` is float32 unless the precision is pure-bf16.

    Raises:
        UserError: As :func:`core.models.loading.load`; or options that a sharded model cannot have.
    """
    options.setdefault("dtype", "bfloat16" if config.precision == "pure-bf16" else "float32")
    if parts(config) == 1:
        return loading.load(spec, **options)

    def shard(model: nn.Module) -> None:
        precision = set_precision(model, config, loading.default_device())
        sharded_objective(model, None, distributed.make_accelerator(mixed_precision=precision, strategy="fsdp2"))

    return loading.load(spec, shard=shard, **options)


def parts(config: TrainingConfig) -> int:
    """Over how many processes `config` has a model sharded; 1 where each holds all of it, or DeepSpeed shards it."""
    launched = config.strategy == "auto" and os.environ.get("ACCELERATE_USE_FSDP") == "true"
    if not launched and config.strategy != "fsdp2":
        return 1
    accelerator = distributed.make_accelerator(strategy=config.strategy)
    return accelerator.num_processes if accelerator.is_fsdp2 else 1


def save(model: PreTrainedModel, folder: Path, tokenizer: Any = None) -> None:
    """Write a sharded model as a `from_pretrained` folder: each process writes complete tensors of some files.

    Every rank calls this, and sees every tensor once; it keeps those of one file at a time.

    Args:
        model: Of transformers.
        folder: Replaced as a whole; all processes have to see it.
        tokenizer: Saved beside it.
    """

    def build(temporary: Path) -> None:
        model.save_pretrained(temporary, state_dict={})  # configurations, and code of its own
        if tokenizer is not None:
            tokenizer.save_pretrained(temporary)
        _write_weights(model, temporary)

    if distributed.is_main():
        build_folder(folder, build, replace=True)
    else:
        with writable(folder.parent):
            _write_weights(model, None)
    distributed.barrier()


def _write_weights(model: PreTrainedModel, folder: Path | None) -> None:
    from transformers.core_model_loading import revert_weight_conversion

    folder = next(place for place in distributed.gather_objects(folder) if place)
    rank, world = distributed.rank(), distributed.world_size()
    tensors = _saved_tensors(model)
    files = _files(model, tensors)
    written: dict[str, str] = {}
    size = 0
    for first in range(0, len(files), world):
        mine: Any = {}
        for number, names in enumerate(files[first : first + world]):
            for name in names:
                value: Any = tensors[name].detach()
                whole = distributed.whole(value)
                if number == rank:
                    mine[name] = whole.cpu()
                del whole
        if mine:
            mine = {name: value.contiguous() for name, value in revert_weight_conversion(model, mine).items()}
            name = "model.safetensors"
            if len(files) > 1:
                name = f"model-{first + rank + 1:05d}-of-{len(files):05d}.safetensors"
            save_file(mine, folder / name, metadata={"format": "pt"})
            written |= dict.fromkeys(mine, name)
            size += sum(value.nbytes for value in mine.values())
    everything = distributed.gather_objects((written, size))
    if rank == 0 and len(files) > 1:
        (folder / "model.safetensors").unlink(missing_ok=True)
        places = {name: file for found, _ in everything for name, file in found.items()}
        index = {"metadata": {"total_size": sum(size for _, size in everything)}, "weight_map": places}
        write_json(folder / "model.safetensors.index.json", index)


def _saved_tensors(model: nn.Module) -> dict[str, Tensor]:
    """What a folder of weights holds: the state, of tied tensors the one by which the others are found."""
    every = dict(model.named_parameters(remove_duplicate=False))
    tied: Mapping[str, str] = getattr(model, "all_tied_weights_keys", None) or {}
    ignored = set(getattr(model, "_keys_to_ignore_on_save", None) or ())
    ignored |= {name for name, source in tied.items() if name in every and every[name] is every.get(source)}
    return {name: value for name, value in model.state_dict().items() if name not in ignored}


def _files(model: PreTrainedModel, tensors: Mapping[str, Tensor]) -> list[list[str]]:
    """Names by file. Where tensors are stored in other pieces than they are held in, a block's stay together."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter

    converted = any(isinstance(entry, WeightConverter) for entry in get_model_conversion_mapping(model))
    blocks = [f"{name}." for name, module in model.named_modules() if name and isinstance(module, FSDPModule)]
    units: dict[str, list[str]] = {}
    for name in tensors:
        unit = next((b for b in reversed(blocks) if name.startswith(b)), "") if converted else name
        units.setdefault(unit, []).append(name)
    files: list[list[str]] = []
    room = 0
    for names in units.values():
        size = sum(tensors[name].numel() * tensors[name].element_size() for name in names)
        if not files or size > room:
            files.append([])
            room = FILE_BYTES
        files[-1] += names
        room -= size
    return files
