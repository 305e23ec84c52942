"""Processes and devices: one Accelerator for one process, DDP, FSDP2 and DeepSpeed; seeds; gathering; peak rates.

    accelerate launch --config_file configs/accelerate/fsdp2.yaml -m papers.marco_llm.train paper

Training code asks :func:`make_accelerator` and never looks at the environment itself. Tests run the same code on
several gloo processes of one machine:

    losses = launch_cpu(train_a_little, 2, config)      # one result per rank
"""

from __future__ import annotations

import contextlib
import datetime
import os
import random
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from accelerate.utils import DistributedType
from torch import Tensor

from core.errors import UserError

Strategy = Literal["auto", "ddp", "fsdp2", "zero3"]

# Dense bf16 peaks in FLOP/s, from the vendors' data sheets (the larger figures there assume 2:4 sparsity).
# The first name found in the device's name counts, so the longer names come first.
BF16_PEAKS: tuple[tuple[str, float], ...] = (
    ("GB200", 2.5e15),
    ("B200", 2.25e15),
    ("GH200", 989e12),
    ("H200", 989e12),
    ("H100 NVL", 835e12),
    ("H100 PCIe", 756e12),
    ("H100", 989e12),
    ("H800", 989e12),
    ("H20", 148e12),
    ("A100", 312e12),
    ("A800", 312e12),
    ("A6000", 154.8e12),
    ("A40", 149.7e12),
    ("A30", 165e12),
    ("A10G", 70e12),
    ("A10", 125e12),
    ("L40S", 362e12),
    ("L40", 181e12),
    ("L4", 121e12),
    ("RTX 4090", 165.2e12),
    ("RTX 3090", 71e12),
    ("MI300X", 1307e12),
    ("MI325X", 1307e12),
    ("MI250X", 383e12),
)


def peak_flops(device: torch.device | str, dtype: torch.dtype = torch.bfloat16) -> float | None:
    """Dense matrix-product peak of a device in FLOP/s, or None where it is not known.

    Args:
        device: A torch device, or a device name such as "NVIDIA H100 80GB HBM3".
        dtype: bfloat16 or float16 (the same peak); other types are unknown.

    Returns:
        The data sheet's dense peak. CPUs have no useful one: their rate depends on the matrix library.
    """
    if dtype not in (torch.bfloat16, torch.float16):
        return None
    if isinstance(device, torch.device):
        if device.type != "cuda":
            return None
        device = torch.cuda.get_device_name(device)
    words = device.replace("-", " ").split()
    for name, peak in BF16_PEAKS:
        parts = name.split()
        if any(words[i : i + len(parts)] == parts for i in range(len(words))):
            return peak
    return None


def peak_memory(device: torch.device) -> int:
    """Peak bytes so far: allocated on a GPU, resident in this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


_simulating: list[bool] = []


def path_of(device: torch.device) -> str:
    """Which way code goes on a device ("cuda", "cpu", ...): its type, and a GPU's while one is simulated."""
    return "cuda" if _simulating else device.type


def is_simulated() -> bool:
    """Whether tensors have shapes and no values."""
    return bool(_simulating)


@contextlib.contextmanager
def simulated() -> Iterator[None]:
    """CPU tensors without values go a GPU's way for the duration of the block (:mod:`core.cost.simulate`)."""
    _simulating.append(True)
    try:
        yield
    finally:
        _simulating.pop()


def seed_everything(seed: int, rank: int = 0) -> None:
    """Seed Python, numpy and torch (all devices). Ranks get different streams, so that their dropout differs."""
    stream = (seed + 1_000_003 * rank) % 2**32
    random.seed(stream)
    np.random.seed(stream)  # noqa: NPY002 (libraries that we call use it)
    torch.manual_seed(stream)


def make_accelerator(
    *,
    mixed_precision: Literal["no", "bf16"] = "no",
    strategy: Strategy = "auto",
    trackers: Sequence[str] = (),
    logging_dir: Path | None = None,
    max_grad_norm: float = 0.0,
    find_unused_parameters: bool = False,
) -> Accelerator:
    """An Accelerator for the processes that are there.

    Args:
        mixed_precision: "bf16" runs forward passes under autocast (DDP, one process) or with bf16 parameters gathered
            from fp32 shards (FSDP2, which then sums gradients in fp32 and leaves the losses as they are).
        strategy: "auto" follows `accelerate launch`; the others insist.
        trackers: Experiment trackers that also receive the metrics.
        logging_dir: Where a tracker may put files.
        max_grad_norm: For DeepSpeed, which clips inside its own step.
        find_unused_parameters: For DDP, when a forward pass may skip parameters.

    Raises:
        UserError: If a package that the strategy or a tracker needs is missing.
    """
    from accelerate.utils import DistributedDataParallelKwargs

    # A process may train several models one after another, in different number formats; accelerate keeps the
    # format in a process-wide singleton that has to be dropped in between.
    if AcceleratorState._shared_state:
        AcceleratorState._reset_state()
        GradientState._reset_state()
    # Gradients are views of the buckets in which they travel; otherwise there are two copies of them.
    ddp = DistributedDataParallelKwargs(find_unused_parameters=find_unused_parameters, gradient_as_bucket_view=True)
    options: dict[str, Any] = {"kwargs_handlers": [ddp]}
    if strategy == "fsdp2":
        options["fsdp_plugin"] = _fsdp2_plugin()
    elif strategy == "zero3":
        options["deepspeed_plugin"] = _zero3_plugin(max_grad_norm)
    for tracker in trackers:
        _require(tracker, f"training.trackers names {tracker}", "trackers")
    # Accelerate announces FSDP in the environment, where it would outlive this training phase.
    announced = os.environ.get("ACCELERATE_USE_FSDP")
    accelerator = Accelerator(
        mixed_precision=mixed_precision,
        log_with=list(trackers) or None,
        project_dir=str(logging_dir) if logging_dir else None,
        step_scheduler_with_optimizer=False,
        **options,
    )
    if strategy == "fsdp2":
        if announced is None:
            os.environ.pop("ACCELERATE_USE_FSDP", None)
        _shard_on_cpu(accelerator, options["fsdp_plugin"])
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if mixed_precision == "bf16" and plugin is not None and plugin.fsdp_version == 2:
        from torch.distributed.fsdp import MixedPrecisionPolicy

        # Accelerate's policy rounds what a module returns as well: 4095 label tokens would be 4096.
        plugin.mixed_precision_policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32)
    return accelerator


def _shard_on_cpu(accelerator: Accelerator, plugin: Any) -> None:
    """Accelerate falls back to DDP for FSDP on CPUs, but FSDP2 runs on gloo: tests of the sharded path need it."""
    if accelerator.distributed_type == DistributedType.MULTI_CPU:
        accelerator.state.distributed_type = DistributedType.FSDP
        accelerator.state.fsdp_plugin = plugin


def _fsdp2_plugin() -> Any:
    from accelerate import FullyShardedDataParallelPlugin

    return FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        reshard_after_forward=True,
        # Every rank holds the weights it was given: fit may train a model that no file holds.
        cpu_ram_efficient_loading=False,
    )


def _zero3_plugin(max_grad_norm: float) -> Any:
    _require("deepspeed", "training.strategy is zero3", "deepspeed")
    from accelerate import DeepSpeedPlugin

    plugin = DeepSpeedPlugin(zero_stage=3, gradient_clipping=max_grad_norm or None, gradient_accumulation_steps=1)
    # fit feeds its own batches, so there is no data loader from which accelerate could read this.
    plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = 1
    return plugin


def _require(module: str, why: str, extra: str) -> None:
    import importlib.util

    if importlib.util.find_spec(module) is None:
        raise UserError(f"{why}, which is not installed: run `uv sync --extra {extra}`.")


def rank() -> int:
    """This process's number, 0 when there is only one."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this is rank zero (or the only process)."""
    return rank() == 0


def print_main(*values: Any) -> None:
    """Print on rank zero only."""
    if is_main():
        print(*values, flush=True)


def local(tensor: Tensor) -> Tensor:
    """This rank's part of a sharded tensor; an ordinary tensor is its own part."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def whole(tensor: Tensor) -> Tensor:
    """The full tensor of a sharded one, gathered by all ranks together; an ordinary tensor is its own."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def is_sharded(model: torch.nn.Module) -> bool:
    """Whether ranks hold different parts of the parameters."""
    return any(hasattr(p, "to_local") or hasattr(p, "ds_id") for p in model.parameters())


def barrier() -> None:
    """Wait for all ranks."""
    if world_size() > 1:
        dist.barrier()


def all_sum(values: Tensor) -> Tensor:
    """Sum of a tensor over ranks, in place; one process leaves it as it is."""
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def gather_objects(value: Any) -> list[Any]:
    """Every rank's value, on every rank, in rank order. Values travel between the processes of one run only."""
    if world_size() == 1:
        return [value]
    gathered: list[Any] = [None] * world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def launch_cpu(fn: Callable[..., Any], nprocs: int, *args: Any, timeout: float = 120.0) -> list[Any]:
    """Run `fn(*args)` in several fresh CPU processes that form one gloo group.

    Args:
        fn: A function of an importable module (it is sent by name).
        nprocs: Number of processes.
        args: Its arguments.
        timeout: Seconds until all processes are ended.

    Returns:
        What each rank returned, in rank order.

    Raises:
        RuntimeError: If a rank fails, with that rank's traceback, or when the time is over.
    """
    context = _fresh_processes()
    # This process hosts the rendezvous store, so that the port is taken from the first moment on: choosing a free
    # port and letting rank 0 bind it later would race with other programs.
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    channels = [context.Pipe(duplex=False) for _ in range(nprocs)]
    processes = [
        context.Process(
            target=_cpu_worker,
            args=(fn, rank, nprocs, store.port, channels[rank][1], timeout, args, dict(os.environ)),
            daemon=True,
        )
        for rank in range(nprocs)
    ]
    for process, (_, sender) in zip(processes, channels, strict=True):
        process.start()
        sender.close()
    try:
        return _collect([receiver for receiver, _ in channels], time.monotonic() + timeout)
    except BaseException:
        for process in processes:  # they may wait for the rank that failed
            process.kill()
        raise
    finally:
        for process in processes:
            process.join(timeout=5)
            if process.is_alive():
                process.kill()
                process.join()


def _fresh_processes() -> Any:
    """Processes that have run nothing yet: forks of a server that only imports, the slow part of starting."""
    if "forkserver" not in mp.get_all_start_methods():
        return mp.get_context("spawn")
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["accelerate", "peft", "torch.distributed.fsdp", "transformers.modeling_utils"])
    return context


def _collect(receivers: Sequence[Any], deadline: float) -> list[Any]:
    from multiprocessing.connection import wait

    results: dict[int, Any] = {}
    while len(results) < len(receivers):
        pending = [receiver for rank, receiver in enumerate(receivers) if rank not in results]
        ready = wait(pending, timeout=max(0.0, deadline - time.monotonic()))
        if not ready:
            waiting = [rank for rank in range(len(receivers)) if rank not in results]
            raise RuntimeError(f"Ranks {waiting} did not finish in time.")
        for number, receiver in enumerate(receivers):
            if receiver not in ready:
                continue
            try:
                succeeded, value = receiver.recv()
            except EOFError:
                raise RuntimeError(f"Rank {number} died without a word (killed, or out of memory).") from None
            if not succeeded:
                raise RuntimeError(f"Rank {number} failed:\n{value}")
            results[number] = value
    return [results[number] for number in range(len(receivers))]


def _cpu_worker(
    fn: Callable[..., Any],
    number: int,
    nprocs: int,
    port: int,
    sender: Any,
    timeout: float,
    args: tuple,
    environment: dict[str, str],
) -> None:
    os.environ.update(
        environment,
        RANK=str(number),
        LOCAL_RANK=str(number),
        WORLD_SIZE=str(nprocs),
        LOCAL_WORLD_SIZE=str(nprocs),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        TORCHELASTIC_USE_AGENT_STORE="True",
        ACCELERATE_USE_CPU="true",
        CUDA_VISIBLE_DEVICES="",
    )
    torch.set_num_threads(1)
    try:
        PartialState(cpu=True, backend="gloo", timeout=datetime.timedelta(seconds=timeout))
        sender.send((True, fn(*args)))
    except BaseException:
        sender.send((False, traceback.format_exc()))
    finally:
        sender.close()
        if dist.is_initialized():
            with contextlib.suppress(Exception):
                dist.destroy_process_group()
