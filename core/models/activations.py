"""Look at what happens inside a model while it reads, count it without keeping it, and change it.

    paths = feed_forwards(model)                                       # where neurons of feed-forward layers fire
    found = tally(model, batches, paths, lambda x: x > 0)              # how often each did, over millions of tokens
    with silenced(model, {path: [3, 17] for path in paths}):           # the model without some of them
        generate(model, tokenizer, prompts)
    with watching(model, ["model.layers.5"], lambda path, x: x + 0.1): # or with anything else in their place
        ...

A neuron is a coordinate of what an activation function gives, gated (SwiGLU: SiLU of the gate) or not. Where these
functions sit is seen in a forward pass and not told by names, so that any decoder or encoder will do whose feed-forward
layers call one module each. Experts of a mixture share theirs: the path is that of the experts, their neurons stand one
expert after another, and those of experts to which a token does not go are at 0 for it, however experts are computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import UserError
from core.models.mixtures import moe_blocks, weight_shape

See = Callable[[str, Tensor], Tensor | None]
"""(path, output) -> None, or what the model goes on with in its place."""


@contextmanager
def watching(model: nn.Module, paths: Iterable[str], see: See) -> Iterator[None]:
    """Show every output of some modules to a function while the block runs.

    A module that gives several things, such as a decoder layer of some architectures, shows the first.

    Args:
        model: The model.
        paths: Names of modules, as `named_modules` has them.
        see: Called in the order of the forward pass; what it returns, unless that is None, takes the output's place.

    Raises:
        UserError: The model has no such module.
    """
    modules = dict(model.named_modules())
    handles = []
    for path in paths:
        if path not in modules:
            raise UserError(f"The model has no module {path!r}: `named_modules()` lists them.")
        handles.append(modules[path].register_forward_hook(_hook(path, see)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(path: str, see: See) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
        parts = isinstance(output, tuple)
        instead = see(path, output[0] if parts else output)
        return None if instead is None else (instead, *output[1:]) if parts else instead

    return hook


@torch.no_grad()
def feed_forwards(model: Any) -> list[str]:
    """Paths of the activation functions of the feed-forward layers, in the order in which they are called.

    One is a module without weights that is called once with states wider than the model's and gives as many; or the
    experts of a mixture (:func:`core.models.mixtures.moe_blocks`), each time with all of them.

    Raises:
        UserError: There are none, one is called several times (a layer that is reused), or experts are stored in a way
            that is not read.
    """
    config = model.config.get_text_config()
    experts = _experts(model)
    inside = tuple(f"{path}." for path in experts)
    leaves = {
        path: module
        for path, module in model.named_modules()
        if path and not isinstance(module, nn.Dropout) and not any(True for _ in module.parameters())
        and not any(True for _ in module.children()) and not path.startswith(inside)
    }  # fmt: skip
    seen: list[str] = []

    def probe(path: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            given = inputs[0] if inputs else None
            wide = isinstance(output, Tensor) and output.ndim in (2, 3) and output.is_floating_point()
            if path in experts:
                seen.append(path)
            elif wide and isinstance(given, Tensor) and given.shape == output.shape:
                seen.extend([path] * (output.shape[-1] > config.hidden_size))

        return hook

    handles = [module.register_forward_hook(probe(path)) for path, module in (leaves | experts).items()]
    try:
        model(input_ids=torch.zeros(1, 2, dtype=torch.long, device=model.device))
    finally:
        for handle in handles:
            handle.remove()
    if repeated := [path for path, count in Counter(seen).items() if count > 1]:
        raise UserError(f"{repeated[0]} is called several times a pass, so that its neurons are those of no one layer.")
    if not seen:
        raise UserError(f"No feed-forward layer of {type(model).__name__} calls an activation function as a module.")
    return seen


def _experts(model: nn.Module) -> dict[str, Any]:
    """The modules that hold the experts of a mixture, by path."""
    stacked = any(len(weight_shape(module, "gate_up_proj")) == 3 for module in model.modules())
    found = [block.experts for block in moe_blocks(model)] if stacked else []
    return {path: module for path, module in model.named_modules() if any(module is one for one in found)}


def _fired(experts: Any, inputs: tuple[Any, ...]) -> Tensor:
    """What the activation function gives in all experts, [tokens, experts x width]; 0 where a token does not go."""
    experts = getattr(experts, "frozen", experts)
    states, chosen = inputs[0].flatten(0, -2), inputs[1].flatten(0, -2)
    stack = experts.gate_up_proj
    found = states.new_zeros(len(states), len(stack), stack.shape[1] // 2)
    for expert in chosen.unique().tolist():
        if expert < len(stack):
            rows = (chosen == expert).any(-1)
            found[rows, expert] = experts.act_fn(F.linear(states[rows], stack[expert]).chunk(2, dim=-1)[0])
    return found.flatten(1)


@dataclass
class Tally:
    """Sums over tokens.

    Attributes:
        sums: By path, shape [width], in float64 on the CPU.
        tokens: How many were summed over.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    tokens: int = 0

    @property
    def means(self) -> dict[str, Tensor]:
        """By path, the mean over tokens."""
        return {path: total / max(1, self.tokens) for path, total in self.sums.items()}


@torch.no_grad()
def tally(
    model: Any, batches: Iterable[Mapping[str, Tensor]], paths: Sequence[str], of: Callable[[Tensor], Tensor]
) -> Tally:
    """Sum something over the tokens of any amount of text, one batch in memory at a time.

    Args:
        model: In evaluation mode.
        batches: With `input_ids` and `attention_mask`, [rows, length], and perhaps `counted`, a mask of the tokens that
            are summed over; without it those that are no padding.
        paths: Of modules below the head, whose outputs are [rows, length, width], and of experts.
        of: From an output to what is summed, such as `lambda x: x > 0`.
    """
    found, mixtures = Tally(), {path: experts for path, experts in _experts(model).items() if path in paths}
    for batch in batches:
        given = {name: value.to(model.device) for name, value in batch.items()}
        counted = given.pop("counted", given["attention_mask"]).bool()

        def add(path: str, output: Tensor, counted: Tensor = counted) -> None:
            # Some architectures flatten rows and positions before these layers.
            total = of(output).reshape(*counted.shape, -1)[counted].sum(0, dtype=torch.float64).cpu()
            found.sums[path] = found.sums[path] + total if path in found.sums else total

        def hook(path: str, add: Any = add) -> Any:
            return lambda module, inputs: add(path, _fired(module, inputs))

        handles = [experts.register_forward_pre_hook(hook(path)) for path, experts in mixtures.items()]
        try:
            with watching(model, [path for path in paths if path not in mixtures], add):
                getattr(model, "base_model", model)(**given)  # a head of many words has no part in it
        finally:
            for handle in handles:
                handle.remove()
        found.tokens += int(counted.sum())
    return found


@contextmanager
def silenced(model: nn.Module, units: Mapping[str, Sequence[int] | Tensor]) -> Iterator[None]:
    """The model with some coordinates of some outputs at zero, for all tokens, while the block runs.

    Args:
        model: The model. The weights of experts are changed meanwhile.
        units: By path, the coordinates.

    Raises:
        UserError: No such module.
    """
    places = {path: torch.as_tensor(units[path], dtype=torch.long) for path in units}
    mixtures = {path: experts for path, experts in _experts(model).items() if path in places}

    def zero(path: str, output: Tensor) -> Tensor:
        return output.index_fill(-1, places[path].to(output.device), 0)

    kept: list[tuple[Tensor, tuple[Any, ...], Tensor]] = []
    try:
        for path, experts in mixtures.items():
            # A neuron at zero is one that nothing reads: the column of the second matrix that does.
            weight = getattr(experts, "frozen", experts).down_proj.data
            where = places[path].to(weight.device)
            columns = (where // weight.shape[-1], slice(None), where % weight.shape[-1])
            kept.append((weight, columns, weight[columns].clone()))
            weight[columns] = 0
        with watching(model, [path for path in places if path not in mixtures], zero):
            yield
    finally:
        for weight, columns, before in kept:
            weight[columns] = before
