"""Look at what happens inside a model while it reads, count it without keeping it, and change it.

    paths = feed_forwards(model)                                       # where neurons of feed-forward layers fire
    found = tally(model, batches, paths, lambda x: x > 0)              # how often each did, over millions of tokens
    with silenced(model, {path: [3, 17] for path in paths}):           # the model without some of them
        generate(model, tokenizer, prompts)
    with watching(model, ["model.layers.5"], lambda path, x: x + 0.1): # or with anything else in their place
        ...

A neuron is a coordinate of what an activation function gives, gated (SwiGLU: SiLU of the gate) or not. Where these
functions sit is seen in a forward pass and not told by names, so that any decoder or encoder will do whose feed-forward
layers call one module each; experts of a mixture share theirs, and are refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import UserError

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

    One is a module without weights that is called once with states wider than the model's and gives as many.

    Raises:
        UserError: There are none, or one is called several times (experts of a mixture, a layer that is reused).
    """
    config = model.config.get_text_config()
    leaves = {
        path: module
        for path, module in model.named_modules()
        if path and not isinstance(module, nn.Dropout) and not any(True for _ in module.parameters())
        and not any(True for _ in module.children())
    }  # fmt: skip
    seen: list[str] = []

    def probe(path: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            given = inputs[0] if inputs else None
            wide = isinstance(output, Tensor) and output.ndim in (2, 3) and output.is_floating_point()
            if wide and isinstance(given, Tensor) and given.shape == output.shape:
                seen.extend([path] * (output.shape[-1] > config.hidden_size))

        return hook

    handles = [module.register_forward_hook(probe(path)) for path, module in leaves.items()]
    try:
        model(input_ids=torch.zeros(1, 2, dtype=torch.long, device=model.device))
    finally:
        for handle in handles:
            handle.remove()
    if repeated := [path for path, count in Counter(seen).items() if count > 1]:
        raise UserError(
            f"{repeated[0]} is called several times a pass: experts of a mixture share it, which is not read."
        )
    if not seen:
        raise UserError(f"No feed-forward layer of {type(model).__name__} calls an activation function as a module.")
    return seen


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
        paths: Of modules whose outputs are [rows, length, width].
        of: From an output to what is summed, such as `lambda x: x > 0`.
    """
    found = Tally()
    for batch in batches:
        given = {name: value.to(model.device) for name, value in batch.items()}
        counted = given.pop("counted", given["attention_mask"]).bool()

        def add(path: str, output: Tensor, counted: Tensor = counted) -> None:
            total = of(output)[counted].sum(0, dtype=torch.float64).cpu()
            found.sums[path] = found.sums[path] + total if path in found.sums else total

        with watching(model, paths, add):
            model(**given)
        found.tokens += int(counted.sum())
    return found


@contextmanager
def silenced(model: nn.Module, units: Mapping[str, Sequence[int] | Tensor]) -> Iterator[None]:
    """The model with some coordinates of some outputs at zero, for all tokens, while the block runs.

    Args:
        model: The model.
        units: By path, the coordinates.

    Raises:
        UserError: No such module.
    """
    places = {path: torch.as_tensor(units[path], dtype=torch.long) for path in units}

    def zero(path: str, output: Tensor) -> Tensor:
        return output.index_fill(-1, places[path].to(output.device), 0)

    with watching(model, places, zero):
        yield
