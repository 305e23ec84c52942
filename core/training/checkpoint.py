"""Checkpoints from which training goes on exactly: weights, optimiser, position, random state; nothing is pickled.

    checkpoints/train/step-000200/
        model.safetensors       the trained parameters and the buffers (frozen parameters come from the caller)
        optimizer.safetensors   AdamW's moments and step counts, by parameter name
        random-0.json           Python's, numpy's and torch's generators of each rank
        state.json              step, position in the data, loss history, what must be equal to go on; digests of all

With sharded parameters (FSDP2) every rank writes its own shards as `model-<rank>-of-<world>.safetensors`, with the row
at which each begins in the header, so that no process ever holds the whole state. Any number of processes goes on from
it, sharded or not: each reads the rows that it holds. (torch's own distributed checkpoint reshards as well; it pickles
its index, or writes safetensors from a second copy of the state in memory.) Processes that were not there before have
no random state to continue: theirs begins anew, so that dropout differs.

A checkpoint is written to a temporary folder and renamed, so that it exists whole or not at all. One of which any part
has changed since is put aside, and the one before is taken.
"""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from core import distributed
from core.distributed import is_sharded, local
from core.errors import UserError
from core.experiment.config import fingerprint
from core.files import finite_json, read_json, remove, sha256, writable, write_json


def random_state() -> dict[str, Any]:
    """The state of all random generators of this process, as JSON values."""
    version, keys, gauss = random.getstate()
    legacy = np.random.get_state(legacy=False)  # noqa: NPY002
    state: dict[str, Any] = {
        "python": [version, list(keys), gauss],
        "numpy": {**legacy, "state": {"key": legacy["state"]["key"].tolist(), "pos": int(legacy["state"]["pos"])}},
        "torch": _encode(torch.get_rng_state()),
    }
    if torch.cuda.is_available():
        state["cuda"] = _encode(torch.cuda.get_rng_state())
    return state


def set_random_state(state: Mapping[str, Any]) -> None:
    """The inverse of :func:`random_state`."""
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    numpy = dict(state["numpy"])
    numpy["state"] = {**numpy["state"], "key": np.asarray(numpy["state"]["key"], dtype=np.uint32)}
    np.random.set_state(numpy)  # noqa: NPY002
    torch.set_rng_state(_decode(state["torch"]))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(_decode(state["cuda"]))


def _encode(state: Tensor) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode()


def _decode(text: str) -> Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)


def trained_tensors(model: nn.Module) -> dict[str, Tensor]:
    """What training changes: parameters that require gradients, and persistent buffers."""
    kept = set(model.state_dict().keys())
    tensors = {name: p for name, p in model.named_parameters() if p.requires_grad}
    return tensors | {name: b for name, b in model.named_buffers() if name in kept}


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as `<parameter name>/<kind>`."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    return {
        f"{names[parameter]}/{kind}": value
        for parameter, state in optimizer.state.items()
        for kind, value in state.items()
        if isinstance(value, Tensor)
    }


def save(
    folder: Path,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: Mapping[str, Any],
    *,
    random_states: Mapping[str, Any] | None = None,
    keep: int = 2,
) -> Path:
    """Write the checkpoint of a step and delete older ones. Every rank calls this.

    Args:
        folder: Where the checkpoints of this training phase are.
        step: Completed optimiser steps.
        model: Its parameters' names are the keys; the same module has to be given to :func:`load`.
        optimizer: The (unwrapped) optimiser.
        state: JSON values.
        random_states: This rank's random state, if not the present one.
        keep: How many of the newest checkpoints remain.

    Raises:
        UserError: If the disk is full or the folder not writable.
    """
    target, temporary = folder / f"step-{step:06d}", folder / f".step-{step:06d}.part"
    rank, world = distributed.rank(), distributed.world_size()
    suffix = f"-{rank}-of-{world}" if is_sharded(model) else ""
    with writable(folder):
        try:
            temporary.mkdir(parents=True, exist_ok=True)
            mine = [temporary / f"random-{rank}.json"]
            write_json(mine[0], random_states or random_state())
            if suffix or rank == 0:
                mine += [temporary / f"model{suffix}.safetensors", temporary / f"optimizer{suffix}.safetensors"]
                _save_tensors(mine[1], trained_tensors(model))
                _save_tensors(mine[2], optimizer_tensors(model, optimizer))
            digests = distributed.gather_objects({path.name: sha256(path) for path in mine})
            if rank == 0:
                files = {name: value for found in digests for name, value in found.items()}
                content = {**state, "step": step, "shards": world if suffix else 0, "files": files}
                write_json(temporary / "state.json", content | {"digest": _own_digest(content)})
                shutil.rmtree(target, ignore_errors=True)
                temporary.rename(target)
                _sync_folder(folder)
                for old in all_checkpoints(folder)[:-keep]:
                    shutil.rmtree(old, ignore_errors=True)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    distributed.barrier()
    return target


def _own_digest(state: Mapping[str, Any]) -> str:
    return fingerprint(finite_json({name: value for name, value in state.items() if name != "digest"}))


def _first_row(tensor: Tensor) -> int:
    """At which of its rows this rank's part of a sharded tensor begins; 0 for an ordinary one."""
    placements: Any = getattr(tensor, "placements", ())
    if not placements:
        return 0
    mesh: Any = tensor.device_mesh  # type: ignore[attr-defined]
    if len(placements) > 1 or not placements[0].is_shard(0):
        raise UserError(f"Checkpoints are written of shards along the first dimension alone, not {placements}.")
    return int(placements[0].local_shard_size_and_offset(tensor.shape[0], mesh.size(), mesh.get_local_rank())[1])


def _save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    # What every rank holds as a whole, the main one writes.
    mine = {name: t for name, t in tensors.items() if hasattr(t, "to_local") or distributed.is_main()}
    first = {name: row for name, t in mine.items() if (row := _first_row(t))}
    # safetensors refuses tensors that share memory, and wants them contiguous.
    content = {name: local(tensor.detach()).contiguous().cpu() for name, tensor in mine.items()}
    try:
        save_file(content, path, metadata={"first_rows": json.dumps(first)})
    except Exception as error:
        # The library reports I/O failures as its own error type, with the system's error number in the text only.
        for number in (28, 122, 13, 30):
            if f"os error {number}" in str(error):
                raise OSError(number, os.strerror(number)) from error
        raise
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def all_checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return [path for path in _by_step(folder) if (path / "state.json").exists()]


def _by_step(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-[0-9]*"), key=lambda path: int(path.name.removeprefix("step-")))


def latest(folder: Path) -> Path | None:
    """The newest checkpoint of which every part is as it was written, or None. Every rank calls this.

    Damaged ones are put aside, with a line that says so.
    """
    distributed.barrier()
    if distributed.is_main():
        for left_by_a_killed_process in folder.glob(".step-*.part"):
            remove(left_by_a_killed_process)
    for path in reversed(_by_step(folder)):
        # A rank reads parts that no other one does, and all have to come to the same conclusion.
        damaged = [part for found in distributed.gather_objects(_damaged(path)) for part in found]
        if not damaged:
            return path
        if distributed.is_main():
            remove(aside := path.with_name(f"damaged-{path.name}"))
            path.rename(aside)
        distributed.barrier()
        parts = ", ".join(dict.fromkeys(damaged))
        distributed.print_main(f"{path} is damaged ({parts}): not used, and kept as damaged-{path.name}.")
    return None


def _damaged(path: Path) -> list[str]:
    """The parts of a checkpoint that this rank reads and that are not as they were written."""
    state = _state(path)
    if state is None or state.get("digest") != _own_digest(state):
        return ["state.json"]
    # Of the tensors, other ranks than those that wrote them may read: each looks at some of the files.
    rank, world, files = distributed.rank(), distributed.world_size(), state["files"]
    mine = {f"random-{rank}.json", *sorted(name for name in files if name.endswith(".safetensors"))[rank::world]}
    return [name for name in sorted(mine) if name in files and not _is(path / name, files[name])]


def _state(path: Path) -> dict[str, Any] | None:
    try:
        state = read_json(path / "state.json")
    except OSError:
        return None
    return state if isinstance(state, dict) else None


def _is(path: Path, digest: str) -> bool:
    try:
        return sha256(path) == digest
    except OSError:
        return False


def load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, same: Mapping[str, Any]) -> dict[str, Any]:
    """Put a checkpoint's weights, optimiser state and random state back. Every rank calls this.

    Args:
        path: A checkpoint that :func:`latest` has found whole.
        model: The module that was saved, already in its final (sharded or wrapped) form.
        optimizer: Its optimiser.
        same: JSON values that must equal those of the checkpoint's state.

    Returns:
        The saved state.

    Raises:
        UserError: If the checkpoint belongs to another training.
    """
    state = _state(path) or {}
    different = [key for key, value in same.items() if state.get(key) != json.loads(json.dumps(value))]
    if different:
        raise UserError(
            f"{path} is a checkpoint of another training ({', '.join(different)} differ): "
            f"remove {path.parent}, or choose another --out."
        )
    _read_into(path, "model", state["shards"], trained_tensors(model))
    _create_optimizer_state(optimizer)
    _read_into(path, "optimizer", state["shards"], optimizer_tensors(model, optimizer))
    rank = distributed.rank()
    if f"random-{rank}.json" in state["files"]:
        set_random_state(read_json(path / f"random-{rank}.json"))
    else:
        # More processes than before: the new ones have no stream to continue.
        distributed.seed_everything(state["seed"] + state["step"], rank)
    return state


@torch.no_grad()
def _read_into(path: Path, kind: str, shards: int, tensors: Mapping[str, Tensor]) -> None:
    """Fill each tensor from the files that hold its rows, of which this rank reads those that it holds."""
    suffixes = [f"-{number}-of-{shards}" for number in range(shards)] or [""]
    missing = {name: local(tensor).shape[0] if tensor.ndim else 1 for name, tensor in tensors.items()}
    for suffix in suffixes:
        file = path / f"{kind}{suffix}.safetensors"
        try:
            with safe_open(file, framework="pt") as saved:
                first = json.loads((saved.metadata() or {}).get("first_rows", "{}"))
                for name in saved.keys():  # noqa: SIM118
                    if name not in missing:
                        raise UserError(
                            f"{file} holds other tensors than the model has: remove {path.parent} to start anew."
                        )
                    missing[name] -= _copy_rows(saved.get_slice(name), first.get(name, 0), tensors[name])
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{file} cannot be read ({error}): remove {path} to go on from an older one.") from error
    if any(missing.values()):
        raise UserError(f"{path} holds other tensors than the model has: remove {path.parent} to start anew.")


def _copy_rows(saved: Any, first: int, tensor: Tensor) -> int:
    """Copy what a saved part, from row `first` on, has of this rank's rows of a tensor; returns how many rows."""
    mine = local(tensor)
    if not tensor.ndim:
        mine.copy_(saved[...])
        return 1
    if saved.get_shape()[1:] != list(tensor.shape[1:]):
        raise ValueError(f"shape {saved.get_shape()} instead of {list(tensor.shape)}")
    own = _first_row(tensor)
    begin, end = max(first, own), min(first + saved.get_shape()[0], own + mine.shape[0])
    if begin >= end:
        return 0
    mine[begin - own : end - own].copy_(saved[begin - first : end - first])
    return end - begin


@torch.no_grad()
def _create_optimizer_state(optimizer: torch.optim.Optimizer) -> None:
    """Allocate the optimiser's state, by a step that changes nothing: no gradient, no learning rate, no decay."""
    settings = [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"], group["weight_decay"] = 0.0, 0.0
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    for group, (rate, decay) in zip(optimizer.param_groups, settings, strict=True):
        group["lr"], group["weight_decay"] = rate, decay
