"""The one training loop.

    result = fit(model, dataset, config.training, run, seed=config.seed)

Rows are `{"input_ids": [...], "labels": [...]}` (-100 = no loss; without labels, every token counts), in a list or a
`datasets.Dataset`; or whatever gives rows by index, or one after another (`packing.Stream`). One optimiser step is

    g = (1 / N) sum over ranks and micro-steps of grad(loss sum),   N = label tokens of the whole step
    g <- g min(1, max_grad_norm / |g|),    theta <- AdamW(theta, g)

so the number of processes and micro-steps changes nothing but the speed (averaging the means of micro-batches, a
frequent mistake, weighs tokens by how few neighbours they have). Under `accelerate launch` the same call trains on many
devices.

What makes it fast, in the order of what it brings: packed batches, bf16 products over fp32 weights, attention within
documents, the language-model head on label positions only and in chunks, fused AdamW, one synchronisation a step.

Ctrl-C and SIGTERM finish the step and save; calling `fit` again with the same run continues from the last checkpoint
to the same numbers. A loss that is not finite stops the run with the step and the documents, after saving the weights
from before it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import Tensor, nn

from core import distributed
from core.errors import UserError
from core.experiment.run import Run, check_stage
from core.files import build_folder, writable
from core.models.loading import complete_adapter, unwrapped
from core.training import checkpoint, sharded
from core.training.config import TrainingConfig
from core.training.losses import Loss, causal_lm_loss, shifted_targets
from core.training.optimization import flops_per_token, learning_rate, make_optimizer, scale_gradients, set_precision
from core.training.packed_attention import own_attention, packed_attention, reads_alike, to_device
from core.training.packing import Batch, Collate, Feed, Form, LeftOut, Span, Stream, StreamOrder, make_feed, row_ids
from core.training.progress import Display, Meter
from core.training.sharded import Objective, sharded_objective

LossFunction = Callable[[Any, Batch], Loss]
Evaluate = Callable[[Any], Mapping[str, float]]
Rate = Callable[[int, int], float]
Moments = dict[nn.Parameter, dict[str, Any]]
# Settings that do not change what is learned: a run may continue with others.
FREE_TO_CHANGE = {"log_every", "eval_every", "save_every", "keep_checkpoints", "trackers"} | {
    "micro_batch_size",
    "strategy",
    "compile",
    "gradient_checkpointing",
}


@dataclass(frozen=True)
class FitResult:
    """What a training phase did.

    Attributes:
        steps: Optimiser steps.
        losses: Mean loss of every step; NaN where a step had no items (label tokens), and then changed nothing.
        evaluations: (step, what `evaluate` returned).
        tokens_per_second: Tokens of the batches without padding, over all ranks; warm-up, evaluation and checkpoints
            excluded. NaN when no step was made.
        label_tokens_per_second: The same for counted items (label tokens).
        mfu: Model FLOPs per second over the devices' dense bf16 peak; None where the peak is unknown.
        flops_per_second: Model FLOPs per second, the numerator of `mfu`.
        peak_memory: Bytes: allocated on a GPU, resident in the process on a CPU.
        seconds: Wall time of this call.
        resumed_from: Step of the checkpoint that it continued, or None.
        left_out: What `max_length` and missing labels kept from being trained on.
    """

    steps: int
    losses: tuple[float, ...]
    evaluations: tuple[tuple[int, dict[str, float]], ...]
    tokens_per_second: float
    label_tokens_per_second: float
    mfu: float | None
    flops_per_second: float
    peak_memory: int
    seconds: float
    resumed_from: int | None = None
    left_out: LeftOut = field(default_factory=LeftOut)


@dataclass
class State:
    """How far training is: what a checkpoint holds besides tensors."""

    step: int = 0
    epoch: int = 0
    offset: int = 0
    stream: Any = None
    losses: list[float] = field(default_factory=list)
    evaluations: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)  # since the last line of metrics.jsonl
    unlogged: int = 0


def fit(
    model: nn.Module,
    dataset: Any,
    config: TrainingConfig,
    run: Run,
    *,
    loss_fn: LossFunction = causal_lm_loss,
    collate: Collate | None = None,
    seed: int = 0,
    evaluate: Evaluate | None = None,
    rate: Rate | None = None,
    rates: Mapping[str, float] | None = None,
    moments: Moments | None = None,
    accelerator: Accelerator | None = None,
    name: str = "train",
) -> FitResult:
    """Train the parameters of `model` that require gradients, in place.

    Args:
        model: Any module; freeze what should stay (PEFT does). One that is sharded already, by an earlier phase or by
            :func:`core.training.sharded.load`, keeps its shards.
        dataset: Rows by index: a list of dictionaries, a `datasets.Dataset`, or anything of one's own that knows its
            `lengths`; or a stream of rows (:class:`core.training.packing.Stream`), of which every process reads all.
        config: Length, speed, number format; see its fields.
        run: Receives metrics and checkpoints.
        loss_fn: `loss_fn(model, batch) -> Loss(total, items, logs)`. It runs inside the distributed wrapper, so it may
            call the model, or parts of it, any number of times.
        collate: `collate(rows, rng) -> batch` for rows that are not language-model documents; `rng` depends on seed,
            step, micro-step and rank only, so that a resumed run draws the same. None lays documents out by
            `config.layout`.
        seed: Decides the order of the data, dropout and `rng`.
        evaluate: `evaluate(model) -> metrics`, called on every rank (in evaluation mode, without gradients) every
            `config.eval_every` steps and after the last.
        rate: `rate(step, steps in all)` is the learning rate of a step, counted from 0. None = as the settings say;
            another one serves schedules of several pieces, over which weights and optimiser go on.
        rates: Parts of names, each with the share of the learning rate that parameters of such names get; None = all
            have the same.
        moments: AdamW's state by parameter, read at the start and filled at the end: a second phase that is given the
            first one's dictionary (empty before) goes on with its moments and step counts. None = each phase begins
            with an optimiser of its own.
        accelerator: Made by :func:`core.distributed.make_accelerator` if not given.
        name: Of this phase; a run with several phases gives them different names.

    Returns:
        Loss history and speed. The trained model stays on the training device.

    Raises:
        UserError: For rows, settings or a run directory that cannot be used, for data with nothing to learn from, and
            for a loss that is not finite.
        KeyboardInterrupt: After Ctrl-C or SIGTERM, when the checkpoint is written.
    """
    started = time.monotonic()
    if not isinstance(dataset, Stream) and not len(dataset):
        raise UserError("There is nothing to train on: the data set is empty.")
    if not any(p.requires_grad for p in model.parameters()):
        raise UserError("There is nothing to train: no parameter of the model requires a gradient.")
    check_stage()
    with writable(run.path):
        run.path.mkdir(parents=True, exist_ok=True)
    accelerator = accelerator or _accelerator_for(model, config, run)
    device, world = accelerator.device, accelerator.num_processes
    if config.batch_size % world:
        raise UserError(f"training.batch_size = {config.batch_size} has to be a multiple of the {world} processes.")
    distributed.seed_everything(seed, distributed.rank())

    with contextlib.ExitStack() as stack:
        feed = make_feed(dataset, config, seed, collate, "padded", _pad_token(model))
        objective, optimizer = stack.enter_context(prepared(model, loss_fn, config, accelerator, rates))
        optimizer_state = _continued(optimizer, moments, accelerator)
        feed = dataclasses.replace(feed, form=stack.enter_context(_document_form(objective, model, feed, device)))
        total = config.steps if isinstance(feed.order, StreamOrder) else config.steps or feed.order.steps(config.epochs)
        identity = _identity(dataset, config, seed, total)
        saver = _Saver(run.checkpoints / name, model, optimizer, config, identity)
        state = saver.resume()
        resumed_from = state.step or None
        run.rewind(name, state.step)
        logger = _Logger(run, accelerator, config, name)
        logger.write_left_out(feed.left_out)
        meter = Meter()
        if isinstance(feed.order, StreamOrder):
            feed.order.place = state.stream
        batches = feed.order.batches(state.epoch, state.offset)
        stop = stack.enter_context(_stop_signals())
        display = stack.enter_context(Display(total, name, run.quiet, state.step))

        while state.step < total:
            began = time.perf_counter()
            random_before = checkpoint.random_state()
            now = rate(state.step, total) if rate else learning_rate(state.step, total, config)
            for group in optimizer.param_groups:
                group["lr"] = now * group["rate"]

            if (found := next(batches, None)) is None:
                raise UserError(_ENDED.format(step=state.step, total=total))
            rows, epoch, offset = found
            sums, parts = gradients(accelerator, objective, feed, rows, state.step, stop)
            values = _read(sums)
            if not (math.isfinite(values["loss"]) and math.isfinite(values["grad_norm"])):
                where = saver.save(state, random_before)
                raise UserError(_not_finite(feed.dataset, parts, state.step + 1, where))
            # Without items there is no gradient, but weight decay and momentum would still move the weights.
            if values["labels"]:
                optimizer.step()
            optimizer.zero_grad()

            state.step, state.epoch, state.offset = state.step + 1, epoch, offset
            state.stream = getattr(feed.order, "place", None)
            state.losses.append(values["loss"] / values["labels"] if values["labels"] else math.nan)
            if (epoch or state.step == total) and all(map(math.isnan, state.losses)):
                raise UserError(_NOTHING_LEARNED.format(steps=state.step))
            meter.add(time.perf_counter() - began, values["tokens"], values["labels"], values["squares"])
            display.step(state.step)
            logger.add(state, values)
            if state.step % config.log_every == 0 or state.step == total:
                logger.write(state, now, meter, display)
            if evaluate and (state.step == total or (config.eval_every and state.step % config.eval_every == 0)):
                state.evaluations.append((state.step, _evaluate(evaluate, model, objective)))
                logger.write_evaluation(state)
            stopped = values["stop"] > 0
            if stopped or (config.save_every and (state.step % config.save_every == 0 or state.step == total)):
                saver.save(state)
            if stopped and state.step < total:
                stop.deliver(f"stopped after step {state.step} of {total}; the same command continues from there")
        logger.close()
        saver.finish()
        if moments is not None:
            moments.clear()
            moments.update(optimizer_state)

    tokens, labels, attended = meter.rates()
    head_share = min(1.0, labels / tokens) if tokens else 1.0
    flops = tokens * flops_per_token(model, attended, head_share) if meter.seconds else math.nan
    peak = distributed.peak_flops(device)
    return FitResult(
        steps=state.step,
        losses=tuple(state.losses),
        evaluations=tuple((step, dict(values)) for step, values in state.evaluations),
        tokens_per_second=tokens,
        label_tokens_per_second=labels,
        mfu=flops / (peak * world) if peak else None,
        flops_per_second=flops,
        peak_memory=distributed.peak_memory(device),
        seconds=time.monotonic() - started,
        resumed_from=resumed_from,
        left_out=feed.left_out,
    )


def _accelerator_for(model: nn.Module, config: TrainingConfig, run: Run) -> Accelerator:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    strategy = config.strategy
    if any(hasattr(p, "to_local") for p in model.parameters()):
        if strategy in ("ddp", "zero3"):
            raise UserError(f"The model is sharded by FSDP2: set training.strategy to fsdp2, not {strategy}.")
        strategy = "fsdp2"
    return distributed.make_accelerator(
        mixed_precision=set_precision(model, config, device),
        strategy=strategy,
        trackers=config.trackers,
        logging_dir=run.path,
        max_grad_norm=config.max_grad_norm,
    )


@contextlib.contextmanager
def prepared(
    model: nn.Module,
    loss_fn: LossFunction,
    config: TrainingConfig,
    accelerator: Accelerator,
    rates: Mapping[str, float] | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Model and loss in the distributed wrapper, in training mode, and the optimiser of what that trains."""
    with _training_mode(model, config):
        if not accelerator.is_fsdp2:
            yield accelerator.prepare(Objective(model, loss_fn), make_optimizer(model, config, rates))
            return
        # The optimiser is made of the shards: accelerate, given one of whole parameters, finds its shards by address,
        # and tensors without values have none.
        objective = sharded_objective(model, loss_fn, accelerator)
        accelerator._models.append(objective)
        yield objective, accelerator.prepare_optimizer(make_optimizer(objective, config, rates))


def _continued(optimizer: Any, moments: Moments | None, accelerator: Accelerator) -> Moments:
    """The optimiser's own state, with what an earlier phase left of the parameters that it trains."""
    plain = getattr(optimizer, "optimizer", optimizer)
    if moments is None:
        return plain.state
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        raise UserError("moments are not handed on with zero3: set training.strategy to fsdp2.")
    trained = {p for group in plain.param_groups for p in group["params"]}
    plain.state.update({p: state for p, state in moments.items() if p in trained})
    return plain.state


def gradients(
    accelerator: Accelerator, objective: nn.Module, feed: Feed, rows: list[list[Span]], step: int, stop: _Stop | bool
) -> tuple[dict[str, Tensor], list[tuple[list[list[Span]], Tensor]]]:
    """Gradient of one step: the mean over the label tokens of all ranks, clipped. This is what a simulation runs too.

    Returns:
        As :func:`_forward_backward`, with the gradient's norm among the sums.
    """
    sums, parts = _forward_backward(accelerator, objective, feed, rows, step, stop)
    parameters = [p for p in objective.parameters() if p.requires_grad]
    norm = _finish_gradients(accelerator, parameters, sums["labels"], feed.config.max_grad_norm)
    return {**sums, "grad_norm": norm}, parts


def _forward_backward(
    accelerator: Accelerator, objective: nn.Module, feed: Feed, rows: list[list[Span]], step: int, stop: _Stop | bool
) -> tuple[dict[str, Tensor], list[tuple[list[list[Span]], Tensor]]]:
    """Accumulate the gradient of the *sum* of losses over this rank's micro-batches.

    Returns:
        Sums over all ranks (loss, labels, tokens, squares, stop, and what the loss function logs), still on the
        device; and each micro-batch's spans with its loss.
    """
    device, world = accelerator.device, accelerator.num_processes
    micro = list(feed.micro_batches(rows, step, distributed.rank(), world))
    deepspeed_scale = _deepspeed_scale(accelerator, [batch for batch, _ in micro])
    sums: dict[str, Tensor] = {}
    tokens = squares = 0
    parts = []
    for number, (batch, spans) in enumerate(micro):
        tokens, squares = tokens + _tokens(batch), squares + _squares(batch, spans)
        last = number == len(micro) - 1
        # Gradients travel between the ranks once a step, with the last micro-batch. Shards get theirs with each: until
        # then every rank would hold the gradient of the whole model.
        accelerator.sync_gradients = last
        with contextlib.nullcontext() if last or accelerator.is_fsdp2 else accelerator.no_sync(objective):
            # As a mapping that torch does not look into: FSDP would round the batch's numbers to bf16.
            loss, count, logs = objective(MappingProxyType(to_device(batch, device)))
            accelerator.backward(loss if deepspeed_scale is None else loss * deepspeed_scale)
        parts.append((spans, loss.detach()))
        for key, value in {"loss": loss.detach().double(), "labels": count, **logs}.items():
            sums[key] = sums.get(key, 0.0) + value
    # A signal may have reached one rank only; all stop together.
    for key, number in {"tokens": tokens, "squares": squares, "stop": bool(stop)}.items():
        sums[key] = torch.full((), float(number), dtype=torch.float64, device=device)
    together = distributed.all_sum(torch.stack([sums[key] for key in sorted(sums)]))
    return dict(zip(sorted(sums), together, strict=True)), parts


def _finish_gradients(
    accelerator: Accelerator, parameters: list[nn.Parameter], labels: Tensor, max_norm: float
) -> Tensor:
    """Turn the accumulated sum into the mean over the step's label tokens, and clip it; returns the norm."""
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        engine: Any = accelerator.deepspeed_engine_wrapped
        return torch.as_tensor(engine.get_global_grad_norm() or 0.0, device=accelerator.device)
    # DDP and FSDP average over the ranks; the loss is a sum over all of them.
    return scale_gradients(parameters, (accelerator.num_processes / labels.clamp(min=1)).float(), max_norm)


def _deepspeed_scale(accelerator: Accelerator, batches: list[Batch]) -> float | None:
    """DeepSpeed updates inside its backward pass, so the number of labels has to be known before it."""
    if accelerator.distributed_type != DistributedType.DEEPSPEED:
        return None
    count = sum(len(shifted_targets(batch)[1]) for batch in batches)
    labels = torch.tensor(float(count), dtype=torch.float64, device=accelerator.device)
    return accelerator.num_processes / max(distributed.all_sum(labels).item(), 1)


def _read(values: dict[str, Tensor]) -> dict[str, float]:
    """All of a step's numbers at once: the one moment at which the processor waits for the device."""
    return dict(zip(values, torch.stack([value.double() for value in values.values()]).tolist(), strict=True))


def _tokens(batch: Batch) -> int:
    """Tokens of a batch without padding."""
    for key in ("real_tokens", "attention_mask"):
        if key in batch:
            return int(batch[key].sum())
    return batch["input_ids"].numel() if "input_ids" in batch else 0


def _squares(batch: Batch, spans: list[list[Span]]) -> int:
    """Sum of squared document lengths: what attention costs."""
    if "label_positions" in batch:
        return sum((span.end - span.start) ** 2 for row in spans for span in row)
    return batch["input_ids"].shape[0] * batch["input_ids"].shape[-1] ** 2 if "input_ids" in batch else 0


@contextlib.contextmanager
def _document_form(objective: Any, model: nn.Module, feed: Feed, device: torch.device) -> Iterator[Form]:
    """The form in which this model takes several documents of one row, tried out on the model."""
    lm = unwrapped(model)
    if feed.collate is not None or feed.config.layout == "padded":
        yield "padded"
        return
    if not hasattr(lm, "set_attn_implementation"):
        raise UserError(f"{type(lm).__name__} is not a transformers model: set training.layout to padded.")
    longest = feed.order.longest
    # On a CPU, compiled blocks want one shape; grids of documents change with every batch.
    for allowed in (False,) if feed.config.compile and device.type == "cpu" else (True, False):
        with packed_attention(lm, allowed=allowed) as flat:
            if flat != allowed:
                continue
            with torch.no_grad(), torch.compiler.set_stance("force_eager"):
                alike = objective(functools.partial(reads_alike, flat=flat, longest=longest))
            if hasattr(objective, "reshard"):  # FSDP leaves the outermost parameters gathered
                objective.reshard()
            if alike:
                yield "flat" if flat else "rows"
                return
    distributed.print_main(
        f"{type(lm).__name__} does not read packed documents as it reads each alone, so each gets a row of its own, "
        f"padded: for {feed.config.layout} rows this needs more memory (training.micro_batch_size) and time."
    )
    yield "padded"


@contextlib.contextmanager
def _training_mode(model: nn.Module, config: TrainingConfig) -> Iterator[None]:
    """Training mode, gradient checkpointing and compiled blocks, for the duration of the block."""
    lm: Any = model
    was_training = model.training
    model.train()
    names = getattr(model, "_no_split_modules", None) or ()
    blocks = [m for m in model.modules() if type(m).__name__.removeprefix("FSDP") in names]  # sharded before
    if config.gradient_checkpointing:
        lm.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if config.compile:
        for block in blocks:
            block.compile()
    try:
        yield
    finally:
        model.train(was_training)
        if config.gradient_checkpointing:
            lm.gradient_checkpointing_disable()
        for block in blocks if config.compile else ():
            block._compiled_call_impl = None


def _pad_token(model: nn.Module) -> int:
    config = getattr(model, "config", None)
    return getattr(config, "pad_token_id", None) or 0


def _evaluate(evaluate: Evaluate, model: nn.Module, objective: Any) -> dict[str, float]:
    """Call the user's evaluation; training goes on as if it had not happened."""
    random_state = checkpoint.random_state()
    model.eval()
    # Outside the wrapper's forward pass, FSDP does not gather what belongs to no block (embedding, final norm, head).
    sharded = hasattr(objective, "unshard")
    if sharded:
        objective.unshard()
    try:
        with torch.no_grad(), own_attention(unwrapped(model)):
            return {key: float(value) for key, value in evaluate(model).items()}
    finally:
        if sharded:
            objective.reshard()
        model.train()
        checkpoint.set_random_state(random_state)


_NOTHING_LEARNED = (
    "There is nothing to learn from: the loss function counted no item in any of {steps} steps; look at the labels "
    "(-100 = no loss) and at training.max_length, which may cut them off."
)


_ENDED = "The stream ended after step {step} of {total}: give it more text, or lower training.steps."


def _not_finite(dataset: Any, parts: list[tuple[list[list[Span]], Tensor]], step: int, where: Path) -> str:
    """One sentence: the step, the documents of the micro-batches whose loss is not finite, and what to do."""
    bad = [span for spans, loss in parts if not torch.isfinite(loss) for span in spans]
    ids = [row for found in distributed.gather_objects(row_ids(dataset, bad)) for row in found]
    named = f"documents {', '.join(map(str, ids[:8]))}{' ...' if len(ids) > 8 else ''}" if ids else "gradient"
    return (
        f"The loss of step {step} is not finite ({named}): look at these documents or lower training.learning_rate; "
        f"the weights before this step are in {where}."
    )


def _identity(dataset: Any, config: TrainingConfig, seed: int, total: int) -> dict[str, Any]:
    """What has to be equal for a checkpoint to be continued."""
    settings = {key: value for key, value in dataclasses.asdict(config).items() if key not in FREE_TO_CHANGE}
    rows = None if isinstance(dataset, Stream) else len(dataset)
    return {"seed": seed, "rows": rows, "total": total, "config": settings}


@dataclass(frozen=True)
class _Saver:
    """Where checkpoints of this phase go, and what they are made of."""

    folder: Path
    model: nn.Module
    optimizer: Any
    config: TrainingConfig
    identity: dict[str, Any]

    def _plain(self) -> torch.optim.Optimizer:
        return getattr(self.optimizer, "optimizer", self.optimizer)

    def resume(self) -> State:
        """Put the newest checkpoint back, if there is one."""
        if any(hasattr(p, "ds_id") for p in self.model.parameters()):
            if self.config.save_every:
                raise UserError("Checkpoints are not written with zero3: set training.save_every to 0, or use fsdp2.")
            return State()
        path = checkpoint.latest(self.folder)
        if path is None:
            return State()
        saved = checkpoint.load(path, self.model, self._plain(), same=self.identity)
        distributed.print_main(f"Continuing from {path}.")
        fields = {f.name: saved[f.name] for f in dataclasses.fields(State) if f.name in saved}
        fields["losses"] = [math.nan if loss is None else loss for loss in fields["losses"]]  # JSON has no NaN
        fields["sums"] = {key: math.nan if value is None else value for key, value in fields["sums"].items()}
        return State(**fields)

    def save(self, state: State, random_states: Mapping[str, Any] | None = None) -> Path:
        """Write a checkpoint of the present weights."""
        content = dataclasses.asdict(state) | self.identity
        return checkpoint.save(
            self.folder,
            state.step,
            self.model,
            self._plain(),
            content,
            random_states=random_states,
            keep=self.config.keep_checkpoints,
        )

    def finish(self) -> None:
        """Nobody continues a finished phase that was not to be saved."""
        if not self.config.save_every and distributed.is_main():
            shutil.rmtree(self.folder, ignore_errors=True)


class _Logger:
    """Metrics of the steps since the last record, to metrics.jsonl, the trackers and the display."""

    def __init__(self, run: Run, accelerator: Accelerator, config: TrainingConfig, name: str):
        self.run, self.accelerator, self.name = run, accelerator, name
        if config.trackers:
            accelerator.init_trackers(run.slug, config={k: str(v) for k, v in dataclasses.asdict(config).items()})

    def write_left_out(self, left_out: LeftOut) -> None:
        """Say and record what is not trained on, if anything."""
        numbers = dataclasses.asdict(left_out)
        if any(numbers.values()):
            self.run.log(phase=self.name, **{f"left_out/{key}": value for key, value in numbers.items()})
            said = ", ".join(f"{number} {key.replace('_', ' ')}" for key, number in numbers.items() if number)
            distributed.print_main(f"Not trained on: {said}.")

    def add(self, state: State, values: Mapping[str, float]) -> None:
        """Note one step."""
        state.unlogged += 1
        for key, value in values.items():
            state.sums[key] = state.sums.get(key, 0.0) + value

    def write(self, state: State, rate: float, meter: Meter, display: Display) -> None:
        """Write means over the steps since the last record; token-wise ones are weighted by tokens."""
        labels = state.sums["labels"] or math.nan
        apart = ("labels", "tokens", "squares", "stop", "grad_norm")
        means = {key: value / labels for key, value in state.sums.items() if key not in apart}
        tokens_per_second, _, _ = meter.rates(last=state.unlogged)
        record = {
            "epoch": state.epoch,
            **means,
            "learning_rate": rate,
            "grad_norm": state.sums["grad_norm"] / state.unlogged,
            "tokens_per_second": tokens_per_second,
        }
        self.run.log(phase=self.name, step=state.step, **record)
        self.accelerator.log(record, step=state.step)
        display.note(state.step, means, tokens_per_second)
        state.sums, state.unlogged = {}, 0

    def write_evaluation(self, state: State) -> None:
        """Write the last evaluation."""
        step, values = state.evaluations[-1]
        self.run.log(phase=self.name, step=step, **{f"eval/{key}": value for key, value in values.items()})
        self.accelerator.log({f"eval/{key}": value for key, value in values.items()}, step=step)

    def close(self) -> None:
        """Close the trackers (but not the process group, which accelerate's `end_training` would end too)."""
        for tracker in self.accelerator.trackers:
            tracker.finish()


class _Stop:
    """The signals that asked for an end, and who would have handled them."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.previous: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return bool(self.received)

    def note(self, number: int, frame: Any) -> None:
        """Remember the signal; a second one is handled as it would be without us."""
        self.received.append(number)
        self.restore()

    def restore(self) -> None:
        """Put the previous handlers back."""
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def deliver(self, message: str) -> None:
        """Hand the signal on, now that everything is saved.

        Raises:
            KeyboardInterrupt: Unless the previous handler raises something else.
        """
        distributed.print_main(message)
        self.restore()
        if self.received and callable(handler := self.previous.get(self.received[0])):
            handler(self.received[0], None)
        raise KeyboardInterrupt(message)


@contextlib.contextmanager
def _stop_signals() -> Iterator[_Stop]:
    """Collect Ctrl-C and SIGTERM instead of being torn out of a step."""
    stop = _Stop()
    if threading.current_thread() is threading.main_thread():
        stop.previous = {n: signal.signal(n, stop.note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        if threading.current_thread() is threading.main_thread():
            stop.restore()


def save_pretrained(model: Any, folder: Path, tokenizer: Any = None) -> None:
    """Write a trained model as a `from_pretrained` folder. Every rank calls this.

    No process holds the whole of a sharded model (:func:`core.training.sharded.save`) but for adapters, and for
    DeepSpeed's shards, which rank zero gathers.

    Args:
        model: A transformers or PEFT model.
        folder: Replaced as a whole.
        tokenizer: Saved beside it.
    """
    state = None
    if any(hasattr(p, "ds_id") for p in model.parameters()):
        import deepspeed

        with deepspeed.zero.GatheredParameters(list(model.parameters())):
            state = {key: value.detach().cpu().clone() for key, value in model.state_dict().items()}
    elif distributed.is_sharded(model):
        if unwrapped(model) is model:
            sharded.save(model, folder, tokenizer)
            return
        state = {}
        for key, value in model.state_dict().items():
            value = distributed.whole(value)
            if distributed.is_main():
                state[key] = value.cpu()

    def build(temporary: Path) -> None:
        model.save_pretrained(temporary, **({} if state is None else {"state_dict": state}))
        complete_adapter(model, temporary, state)
        if tokenizer is not None:
            tokenizer.save_pretrained(temporary)

    if distributed.is_main():
        build_folder(folder, build, replace=True)
    distributed.barrier()
