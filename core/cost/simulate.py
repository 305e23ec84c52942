"""A real training step and a real evaluation step at the true shapes, on fake tensors: does it fit, and if not, why?

    papers plan marco_llm --simulate --gpus 8 --gpu h100

What runs is `core.training.fit`'s own step over the paper's own loss, model and batch, sharded as configured: FSDP2
over a process group that does not communicate; DDP as one process whose gradients, its buckets, never go. Tensors have
shapes and no values (:mod:`core.cost.memory`), so that a model of 70 billion parameters takes seconds and about a
gigabyte.

Not modelled: the allocator's fragmentation, NCCL's buffers, kernels' workspaces (hence the reserve in the verdict), and
DeepSpeed, which is counted as FSDP2. Tensors are on the CPU and go a GPU's way where the code has two.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from core.cost.plan import GPUS, RESERVED, gigabytes
from core.cost.steps import Simulation
from core.errors import UserError

if TYPE_CHECKING:
    from core.cost.memory import Memory

# In the order of printing.
KINDS = ("weights", "copies of weights", "gradients", "optimiser", "activations", "temporary")
# Fields of configurations that put more than a product between hidden states and logits.
_OWN_HEAD = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier")


@dataclass(frozen=True)
class Step:
    """What one simulated step needs of each GPU.

    Attributes:
        name: Of the phase.
        how: Strategy and sizes, in words.
        kinds: Bytes by kind, at the peak.
        peak: Bytes.
        where: The module at work then.
        largest: The largest tensors then, in words.
        flops: Counted in this step on one GPU, recomputation included.
        formula: Model FLOPs of as many tokens, without recomputation; None where it does not apply.
    """

    name: str
    how: str
    kinds: dict[str, float]
    peak: float
    where: str
    largest: tuple[str, ...]
    flops: float
    formula: float | None = None

    def fits(self, gpu: str) -> bool:
        """Whether a card holds it, with the usual reserve."""
        return self.peak <= GPUS[gpu.lower()][1] * 1e9 * (1 - RESERVED)


def simulate_paper(slug: str, preset: str, variant: str | None, gpus: int) -> list[Step]:
    """The steps of a paper, in a process of its own: what is simulated leaves nothing behind.

    Raises:
        UserError: The paper has no `simulation`, or the preset or variant is unknown.
    """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(steps_of, slug, preset, variant, gpus).result()


def steps_of(slug: str, preset: str, variant: str | None, gpus: int) -> list[Step]:
    """The same in this process."""
    from core.experiment.config import preset_named, with_variant

    settings = importlib.import_module(f"papers.{slug}.config")
    config = preset_named(settings.PRESETS, preset)
    if variant:
        config = with_variant(config, settings.VARIANTS, variant)
    if not hasattr(settings, "simulation"):
        raise UserError(f"{slug} has no simulation: leave --simulate out.")
    return [step for part in settings.simulation(config) for step in simulate(part, gpus)]


def simulate(simulation: Simulation, gpus: int = 1) -> list[Step]:
    """The training step and the evaluation step, as far as there are any."""
    steps = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if simulation.training is not None:
            steps.append(_train(simulation, simulation.training, gpus))
        if simulation.evaluate is not None:
            steps.append(_evaluate(simulation, simulation.evaluate))
    return steps


def _train(simulation: Simulation, settings: Any, gpus: int) -> Step:
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
    from torch.utils._pytree import tree_map_only

    from core.cost.memory import Memory
    from core.distributed import make_accelerator
    from core.models.loading import unwrapped
    from core.training.fit import gradients, prepared
    from core.training.losses import assume_head, causal_lm_loss
    from core.training.optimization import flops_per_token, set_precision
    from core.training.packed_attention import packed_attention

    if settings.precision == "auto":  # as on every GPU of the table
        settings = replace(settings, precision="bf16")
    sharded = gpus > 1 and settings.strategy in ("fsdp2", "zero3")
    micro = settings.micro_batch_size or max(1, settings.batch_size // gpus)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_processes(gpus if sharded else 1))
        stack.enter_context(_as_on_a_gpu())
        fake = stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        memory = stack.enter_context(Memory())
        model = simulation.model(torch.float32)
        precision = set_precision(model, settings, torch.device("cpu"))
        accelerator = make_accelerator(mixed_precision=precision, strategy="fsdp2" if sharded else "auto")
        accelerator.device_placement = False
        flat = False
        if simulation.collate is None and settings.layout != "padded":
            flat = stack.enter_context(packed_attention(unwrapped(model)))
        with unset_fake_temporarily():  # the mesh is a real tensor, and so is what collate makes
            loss = simulation.loss or causal_lm_loss
            objective, optimizer = stack.enter_context(prepared(model, loss, settings, accelerator))
            batch = _batch(simulation, settings, micro, "flat" if flat else "rows")
        if head := _head(model):
            assume_head(model, head)
        labels = _labels(batch)
        batch = tree_map_only(torch.Tensor, fake.from_tensor, batch)
        feed: Any = SimpleNamespace(micro_batches=lambda *_: [(batch, [])], config=settings)

        memory.routed, memory.labels, memory.number = _routed(model), labels, simulation.number
        memory.watch(objective)
        for parameter in memory.trained:
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        tree_map_only(torch.Tensor, lambda state: memory.note(state, "optimiser"), list(optimizer.state.values()))
        # The gradients of earlier micro-batches are there, and DDP's always: they are views of its buckets.
        if settings.batch_size <= micro * gpus and (sharded or gpus == 1):
            optimizer.zero_grad()
        memory.forget()
        gradients(accelerator, objective, feed, [], 0, False)
        memory.new = "temporary"
        optimizer.step()
        both = ("input_ids", "labels") if getattr(model.config, "is_encoder_decoder", False) else ("input_ids",)
        # The formula takes matrices for what is multiplied, and 4-bit ones are vectors of bytes.
        whole = getattr(unwrapped(model), "quantization_method", None) is None
        tokens = sum(batch[side].numel() for side in both if side in batch and whole)
        formula = tokens * flops_per_token(model, min(tokens, settings.max_length)) if tokens else None
    strategy = f"{'FSDP2' if sharded else 'DDP'} over {gpus}" if gpus > 1 else "one GPU"
    shape = "x".join(map(str, batch["input_ids"].shape)) if "input_ids" in batch else f"{micro} rows"
    how = f"training, {strategy}, {shape} tokens{', checkpointing' if settings.gradient_checkpointing else ''}"
    return _step(simulation.name, how, memory, formula)


def _evaluate(simulation: Simulation, evaluate: Callable[[Any], object]) -> Step:
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    from core.cost.memory import Memory

    with _as_on_a_gpu(), FakeTensorMode(allow_non_fake_inputs=True), Memory() as memory, torch.no_grad():
        model = simulation.model(torch.bfloat16).eval()
        memory.routed = _routed(model)
        memory.watch(model)
        memory.forget()
        evaluate(model)
    return _step(simulation.name, "evaluation, one GPU", memory)


def _step(name: str, how: str, memory: Memory, formula: float | None = None) -> Step:
    peak = memory.peak
    largest = tuple(
        f"{gigabytes(t.nbytes)} GB {t.shape} {t.dtype}, {t.made_by}{f' at {t.line}' if t.line else ''}"
        for t in peak.largest
    )
    kinds = {kind: peak.kinds.get(kind, 0.0) for kind in KINDS}
    return Step(name, how, kinds, peak.total, peak.where, largest, float(memory.flops), formula)


def _batch(simulation: Simulation, settings: Any, micro: int, form: Any) -> Any:
    from core.training.packing import make_feed

    row = simulation.row if simulation.row is not None else {"input_ids": [0] * settings.max_length}
    one = replace(settings, batch_size=micro, micro_batch_size=0, steps=1)
    if settings.layout == "padded":
        form = "padded"
    feed = make_feed([row] * micro, one, 0, simulation.collate, form, 0)
    rows, _, _ = next(feed.order.batches(0, 0))
    return next(iter(feed.micro_batches(rows, 0, 0, 1)))[0]


def _head(model: Any) -> Any:
    """What `core.training.losses` would find behind the decoder by trying out."""
    from torch import nn

    from core.models.loading import unwrapped

    lm = unwrapped(model)
    head = lm.get_output_embeddings() if hasattr(lm, "get_output_embeddings") else None
    if head is None:
        return None
    config = lm.config.get_text_config()
    plain = type(head) is nn.Linear and head.bias is None
    return "linear" if plain and not any(getattr(config, name, None) for name in _OWN_HEAD) else "own"


def _routed(model: Any) -> tuple[int, int]:
    from core.models.flops import experts_of
    from core.models.loading import unwrapped

    config: Any = getattr(unwrapped(model), "config", None)
    experts, chosen = experts_of(config.get_text_config()) if hasattr(config, "get_text_config") else (1, 1)
    return chosen, experts


def _labels(batch: Any) -> dict[tuple[int, ...], int]:
    """How many labels a batch has, by the shape in which it has them."""
    found: dict[tuple[int, ...], int] = {}
    for name, value in batch.items():
        if isinstance(value, dict):
            found |= _labels(value)
        elif name == "labels":
            found[tuple(value.shape)] = int((value != -100).sum())
    return found


@contextlib.contextmanager
def _as_on_a_gpu() -> Iterator[None]:
    """A GPU's way through our code, and through torch where its CPU kernels keep what those of GPUs do not."""
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torch.overrides import TorchFunctionMode

    from core.distributed import simulated

    class AsOnGPU(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if func is F.scaled_dot_product_attention:  # with dropout, CPUs write the whole matrix
                args, kwargs = args[:4], {**kwargs, "dropout_p": 0.0}
            elif func is F.layer_norm and torch.is_autocast_enabled("cpu"):  # GPUs compute it in fp32
                args = (args[0].float(), *args[1:])
            return func(*args, **kwargs)

    def apply(self: nn.Module, change: Callable[[Any], Any], recurse: bool = True) -> nn.Module:
        for tensor in [*self.parameters(), *self.buffers()]:
            tensor.data = change(tensor.data)
        return self

    before = nn.Module._apply
    nn.Module._apply = apply  # type: ignore[method-assign] # torch's exchanges tensors, not those without values
    try:
        with simulated(), AsOnGPU():
            yield
    finally:
        nn.Module._apply = before  # type: ignore[method-assign]


@contextlib.contextmanager
def _processes(world: int) -> Iterator[None]:
    """The first of `world` processes that do not communicate, as accelerate sees it."""
    import torch.distributed as dist
    from accelerate.state import AcceleratorState, GradientState

    wanted = {"ACCELERATE_USE_CPU": "true", "ACCELERATE_TORCH_DEVICE": "cpu"}
    if world > 1:
        wanted |= dict.fromkeys(("RANK", "LOCAL_RANK"), "0") | dict.fromkeys(
            ("WORLD_SIZE", "LOCAL_WORLD_SIZE"), str(world)
        )
    before = {name: os.environ.get(name) for name in wanted}
    started = world > 1 and not dist.is_initialized()
    AcceleratorState._reset_state(reset_partial_state=True)
    os.environ.update(wanted)
    if started:
        from torch.testing._internal.distributed.fake_pg import FakeStore

        dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=world)
    try:
        yield
    finally:
        if started:
            dist.destroy_process_group()
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def render(steps: Sequence[Step], gpu: str) -> str:
    """The steps as plain text for a terminal."""
    room = GPUS[gpu.lower()][1] * 1e9 * (1 - RESERVED)
    lines = [f"Simulated on fake tensors; a {gpu.upper()} has room for {gigabytes(room)} GB."]
    for step in steps:
        parts = [f"{kind} {gigabytes(size)}" for kind, size in step.kinds.items() if size >= 5e6]
        counted = "" if step.formula is None else f" ({step.formula:.3e} by the formula, without recomputation)"
        lines += [
            "",
            f"{step.name}: {step.how}",
            f"  GB on each GPU  {gigabytes(step.peak)}: {'fits' if step.fits(gpu) else 'DOES NOT FIT'} "
            f"({', '.join(parts)})",
            f"  peak in         {step.where}",
            f"  FLOPs           {step.flops:.3e}{counted}",
            *(f"  {'largest then    ' if not number else ' ' * 16}{text}" for number, text in enumerate(step.largest)),
        ]
    return "\n".join(lines)
