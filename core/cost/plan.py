"""What the real thing costs, before anyone buys a GPU: parameters, FLOPs, memory a GPU, GPU-hours.

The architecture is instantiated on the meta device (shapes, no storage) and counted; everything else is arithmetic, and
each formula stands in the docstring of the function that applies it. It is an estimate to choose hardware by, good to
perhaps a fifth for memory (:mod:`core.cost.simulate` runs a step instead); time is as good as the model FLOPs
utilisation (MFU) that is assumed.

    papers plan bimedix --gpus 8 --gpu a100

    print(render_plan(plan(Workload("meta-llama/Llama-3.1-8B", tokens=1e9), gpus=8)))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from core.cost.accounting import Parameters, activation_bytes, config_of, count_parameters, flops_per_token, state_bytes
from core.cost.workload import Kind, Method, Workload
from core.errors import UserError
from core.experiment.config import Range
from core.printing import console, wrapped

if TYPE_CHECKING:
    from transformers import PretrainedConfig


# Name on the command line -> (name on the data sheet, memory in GB = 1e9 bytes). Peaks: `core.distributed.peak_flops`.
GPUS: dict[str, tuple[str, float]] = {
    "a100": ("A100", 80),
    "a100-40gb": ("A100", 40),
    "a10g": ("A10G", 24),
    "h100": ("H100", 80),
    "h100-pcie": ("H100 PCIe", 80),
    "h200": ("H200", 141),
    "b200": ("B200", 180),
    "gh200": ("GH200", 96),
    "l4": ("L4", 24),
    "l40s": ("L40S", 48),
    "a6000": ("A6000", 48),
    "rtx-3090": ("RTX 3090", 24),
    "rtx-4090": ("RTX 4090", 24),
    "mi250x": ("MI250X", 128),
    "mi300x": ("MI300X", 192),
}

# Context, kernels and fragmentation: what of a GPU's memory a process cannot use for tensors.
RESERVED = 0.08


@dataclass(frozen=True)
class Memory:
    """Bytes on each GPU under one strategy."""

    strategy: str
    weights: float
    gradients: float
    optimizer: float
    activations: float
    fits: bool
    needs: int | None
    """The fewest GPUs (a power of two, at most 4,096) on which it fits; None if more GPUs do not help."""

    @property
    def total(self) -> float:
        """Sum of the four parts."""
        return self.weights + self.gradients + self.optimizer + self.activations


@dataclass(frozen=True)
class Cost:
    """One workload, counted."""

    workload: Workload
    model: str
    parameters: Parameters
    flops_per_token: float
    flops: float
    memory: tuple[Memory, ...]
    gpu_hours: float


@dataclass(frozen=True)
class Plan:
    """All workloads of a paper on one kind of GPU."""

    costs: tuple[Cost, ...]
    gpus: int
    gpu: str
    memory: float
    """Bytes of one GPU."""
    peak: float
    """Dense bf16 FLOP/s of one GPU."""
    mfu: float
    """Share of the peak that the model's FLOPs reach."""
    notes: tuple[str, ...] = field(default=())

    @property
    def gpu_hours(self) -> float:
        """Sum over the workloads."""
        return sum(cost.gpu_hours for cost in self.costs)


def plan(workload: Workload | Sequence[Workload], *, gpus: int = 8, gpu: str = "h100", mfu: float = 0.4) -> Plan:
    """Count a workload (or several).

    Args:
        workload: What to compute.
        gpus: Number of GPUs.
        gpu: A name of `GPUS`, in any case.
        mfu: Model FLOPs utilisation in (0, 1]: 0.4 is what packed training with compilation reaches on dense models;
            mixtures of experts, long generation and short sequences stay well below.

    Raises:
        UserError: Unknown GPU or architecture, or a number out of range.
    """
    if gpu.lower() not in GPUS:
        raise UserError(f"unknown GPU {gpu!r}: choose one of {', '.join(GPUS)}")
    if gpus not in Range(1, 1_000_000) or not 0 < mfu <= 1:
        raise UserError(f"a plan needs 1,000,000 >= gpus >= 1 and 0 < mfu <= 1, not gpus = {gpus} and mfu = {mfu}")
    from core.distributed import peak_flops

    sheet, gigabytes = GPUS[gpu.lower()]
    peak = peak_flops(sheet)
    assert peak is not None  # every name of GPUS is in the table of peaks
    parts = (workload,) if isinstance(workload, Workload) else tuple(workload)
    costs = tuple(_cost(part, gpus, gigabytes * 1e9, peak * mfu) for part in parts)
    return Plan(costs, gpus, gpu.lower(), gigabytes * 1e9, peak, mfu, _notes(costs))


def _cost(workload: Workload, gpus: int, capacity: float, speed: float) -> Cost:
    for field_name, allowed in (("kind", Kind), ("method", Method)):
        if getattr(workload, field_name) not in get_args(allowed):
            choices = ", ".join(get_args(allowed))
            raise UserError(f"a workload's {field_name} is one of {choices}, not {getattr(workload, field_name)!r}")
    if workload.tokens < 0 or min(workload.sequence_length, workload.micro_batch_size, workload.lora_rank) < 1:
        raise UserError("a workload needs tokens >= 0 and sequence_length, micro_batch_size, lora_rank >= 1")
    config = config_of(workload.architecture)
    parameters = count_parameters(workload)
    per_token = flops_per_token(config, parameters, workload)
    flops = per_token * workload.tokens
    return Cost(
        workload=workload,
        model=workload.architecture if isinstance(workload.architecture, str) else config.model_type,
        parameters=parameters,
        flops_per_token=per_token,
        flops=flops,
        memory=tuple(_memory(name, config, parameters, workload, gpus, capacity) for name in _strategies(workload)),
        gpu_hours=flops / speed / 3600,
    )


def _notes(costs: Sequence[Cost]) -> tuple[str, ...]:
    notes = []
    if any("experts" in cost.parameters.lora and cost.workload.kind == "training" for cost in costs):
        notes.append(
            "QLoRA rows count routed experts in 4 bit, as the method defines it. bitsandbytes converts nn.Linear "
            "alone: where the experts are fused into one tensor, check models.quantized_share after loading."
        )
    if any(config_of(cost.workload.architecture).is_encoder_decoder for cost in costs):
        notes.append("Encoder-decoder: tokens count source and target in equal parts, each passes half of the model.")
    return tuple(notes)


# --- memory -------------------------------------------------------------------------------------------------------


def _strategies(workload: Workload) -> list[str]:
    if workload.kind == "inference" or workload.method == "frozen":
        return ["replicated", "sharded", "replicated, NF4"]
    return ["full, DDP", "full, FSDP2", "LoRA, DDP", "LoRA, FSDP2", "QLoRA, DDP"]


def chosen_strategies(workload: Workload) -> set[str]:
    """The rows of the memory table that belong to the workload's own method."""
    if workload.kind == "inference" or workload.method == "frozen":
        return {"replicated, NF4"} if workload.method == "qlora" else {"replicated", "sharded"}
    return {
        "full": {"full, DDP", "full, FSDP2"},
        "lora": {"LoRA, DDP", "LoRA, FSDP2"},
        "qlora": {"QLoRA, DDP"},
        "frozen": set(),
    }[workload.method]


def _memory(
    strategy: str, config: PretrainedConfig, parameters: Parameters, workload: Workload, gpus: int, capacity: float
) -> Memory:
    def parts(count: int) -> tuple[float, float, float, float]:
        return (
            *state_bytes(strategy, parameters, workload, count),
            activation_bytes(config, parameters, workload, strategy),
        )

    limit = capacity * (1 - RESERVED)
    counts = [2**power for power in range(13)] if "FSDP2" in strategy or strategy == "sharded" else [1]
    needs = next((count for count in counts if sum(parts(count)) <= limit), None)
    here = parts(gpus)
    return Memory(strategy, *here, fits=sum(here) <= limit, needs=needs)


# --- the table ----------------------------------------------------------------------------------------------------


def plan_data(result: Plan) -> dict[str, Any]:
    """The plan for a program; sizes in bytes of each GPU."""
    return {
        "gpus": result.gpus,
        "gpu": result.gpu,
        "memory": result.memory,
        "peak_flops": result.peak,
        "mfu": result.mfu,
        "gpu_hours": result.gpu_hours,
        "workloads": [
            {
                "name": cost.workload.name,
                "model": cost.model,
                "kind": cost.workload.kind,
                "method": cost.workload.method,
                "tokens": cost.workload.tokens,
                "parameters": {name: getattr(cost.parameters, name) for name in ("total", "active", "trainable")},
                "flops": cost.flops,
                "gpu_hours": cost.gpu_hours,
                "memory": [
                    {
                        **asdict(memory),
                        "total": memory.total,
                        "own": memory.strategy in chosen_strategies(cost.workload),
                    }
                    for memory in cost.memory
                ],
            }
            for cost in result.costs
        ],
        "notes": result.notes,
    }


def render_plan(result: Plan, width: int = 110) -> str:
    """The plan as plain text for a terminal of so many columns."""
    from rich.table import Table

    terminal = console(width=10_000, color_system=None)  # broken between words below
    with terminal.capture() as capture:
        terminal.print(
            f"{result.gpus} x {result.gpu.upper()} ({result.memory / 1e9:.0f} GB, {result.peak / 1e12:.0f} TFLOP/s "
            f"dense bf16) at {result.mfu:.0%} model FLOPs utilisation"
        )
        for cost in result.costs:
            terminal.print()
            _print_counts(terminal, cost, result)
            table = Table("GB on each GPU", box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="")
            for column in ("weights", "gradients", "optimiser", "activations", "total", "fits", "needs"):
                table.add_column(column, justify="right")
            marked = chosen_strategies(cost.workload)
            for memory in cost.memory:
                sizes = (memory.weights, memory.gradients, memory.optimizer, memory.activations, memory.total)
                table.add_row(
                    f"{'*' if memory.strategy in marked else ' '} {memory.strategy}",
                    *(gigabytes(size) for size in sizes),
                    "yes" if memory.fits else "no",
                    f"{memory.needs:,} GPU{'s' if memory.needs > 1 else ''}" if memory.needs else "-",
                )
            terminal.print(table)
        terminal.print(f"\n{_hours(result.gpu_hours, result.gpus)} in all, without what checkpointing recomputes.")
        terminal.print("* = this workload's method; needs = fewest GPUs on which it fits, - if more do not help.")
        for note in result.notes:
            terminal.print(note)
    return wrapped(capture.get().rstrip(), width)


def _print_counts(terminal: Any, cost: Cost, result: Plan) -> None:
    workload, parameters = cost.workload, cost.parameters
    title = f"{workload.name}: " if workload.name else ""
    terminal.print(f"{title}{cost.model}, {workload.kind}, {workload.method}")
    share = parameters.trainable / parameters.total
    terminal.print(
        f"  parameters  {parameters.total:,} total, {parameters.active:,} active, "
        f"{parameters.trainable:,} trainable ({share:.3%})"
    )
    terminal.print(
        f"  compute     {workload.tokens:,.0f} tokens x {cost.flops_per_token:.3e} FLOPs = {cost.flops:.3e} FLOPs, "
        f"{_hours(cost.gpu_hours, result.gpus)}"
    )
    details = [
        f"{workload.micro_batch_size} x {workload.sequence_length:,} tokens on each GPU",
        workload.precision,
        *([workload.optimizer] if workload.kind == "training" else []),
        *(["checkpointing"] if workload.checkpointing and workload.kind == "training" else []),
        *(
            [f"LoRA rank {workload.lora_rank} on {' '.join(workload.lora_targets)}"]
            if "lora" in workload.method
            else []
        ),
    ]
    terminal.print(f"  micro-batch {', '.join(details)}")


def gigabytes(size: float) -> str:
    """Bytes as `2.35` or `1,234.5` gigabytes."""
    return f"{size / 1e9:,.1f}" if size >= 1e10 else f"{size / 1e9:.2f}"


def _hours(gpu_hours: float, gpus: int) -> str:
    return f"{gpu_hours:,.1f} GPU-hours ({gpu_hours / gpus:,.1f} h on {gpus})"
