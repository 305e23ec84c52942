"""What a task costs: the places of the encoder that it changed, by how much, and its head.

change = method.sparse_tuning(model, train)
save(change, "token", ["LOC", "O"], Path("task.safetensors"))
change, head, labels = read("task.safetensors")
with applied(model, change): ...
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.errors import UserError
from core.files import parse_json

if TYPE_CHECKING:
    from core.models.loading import Loaded
    from core.tasks.finetuning import Head

Weights = dict[str, Tensor]
Masks = dict[str, Bool[Tensor, "..."]]
SMALLEST = 1e-7  # changes below it are not stored (official code)


class Change(NamedTuple):
    """What a task costs: flat places of encoder parameters with their differences, and the head's new values."""

    places: dict[str, Int[Tensor, " place"]]
    differences: dict[str, Float[Tensor, " place"]]
    head: dict[str, Tensor]


def weights(model: Any) -> Weights:
    """A copy of all parameters, on the CPU."""
    return {name: value.detach().to("cpu", copy=True) for name, value in model.named_parameters()}


def encoder_names(model: Any) -> set[str]:
    """Names of the parameters that are not the head's, to which a pooler belongs."""
    body = {id(value) for name, value in model.base_model.named_parameters() if not name.startswith("pooler.")}
    return {name for name, value in model.named_parameters() if id(value) in body}


@contextmanager
def only(model: Any, masks: Masks) -> Iterator[None]:
    """While it lasts, gradients reach the masked places alone, and parameters without a mask (the head)."""
    parameters = dict(model.named_parameters())
    hooks = [
        parameters[name].register_hook(lambda grad, mask=mask: grad * mask.to(grad.device))
        for name, mask in masks.items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def put(model: Any, values: Mapping[str, Tensor]) -> None:
    """Set parameters."""
    for name, parameter in model.named_parameters():
        if name in values:
            parameter.copy_(values[name])


@torch.no_grad()
def change(model: Any, start: Weights) -> Change:
    """The sparse difference from `start`, and the head."""
    found, inside = Change({}, {}, {}), encoder_names(model)
    for name, value in weights(model).items():
        if name in inside:
            moved = (value - start[name]).flatten()
            found.places[name] = (moved.abs() >= SMALLEST).nonzero()[:, 0]
            found.differences[name] = moved[found.places[name]]
        else:
            found.head[name] = value
    return found


@torch.no_grad()
def add(model: Any, task: Change) -> None:
    """Give the student a task for good."""
    for name, parameter in model.named_parameters():
        if name in task.places:
            places, moved = (part[name].to(parameter.device) for part in task[:2])
            parameter.view(-1).index_add_(0, places, moved)
    put(model, task.head)


@contextmanager
def applied(model: Any, task: Change) -> Iterator[None]:
    """The student with a task's change; afterwards it is bit for bit what it was, from a kept copy."""
    kept = weights(model)
    add(model, task)
    try:
        yield
    finally:
        put(model, kept)


# --- files -----------------------------------------------------------------------------------------------------------


class Task(NamedTuple):
    """A change, one label a text (`sequence`) or a word (`token`), and their names."""

    change: Change
    head: Head
    labels: list[str]


def save(change: Change, head: Head, labels: Sequence[str], path: Path) -> None:
    """Write a change with what it labels, and the names of the labels."""
    from safetensors.torch import save_file

    tensors = {f"places.{name}": value.to(torch.int32) for name, value in change.places.items()}
    tensors |= {f"differences.{name}": value for name, value in change.differences.items()}
    tensors |= {f"head.{name}": value for name, value in change.head.items()}
    facts = {"head": head, "labels": json.dumps([*labels])}
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, facts)


def read(path: str | Path) -> Task:
    """What :func:`save` wrote.

    Raises:
        UserError: The file is not one of these.
    """
    from safetensors import safe_open

    from core.models.loading import translated

    if not Path(path).is_file():
        raise UserError(f"{path} is not there: give the task.safetensors of a run of papers.bistil.train.")
    found = Change({}, {}, {})
    with translated(path), safe_open(path, "pt") as file:
        facts = file.metadata() or {}
        head, labels = facts.get("head"), parse_json(facts.get("labels", "null"), str(path))
        for key in list(file.keys()):
            kind, _, name = key.partition(".")
            if kind in Change._fields:
                value = file.get_tensor(key)
                getattr(found, kind)[name] = value.long() if kind == "places" else value
    whole = labels and found.head and found.places.keys() == found.differences.keys()
    if head not in ("sequence", "token") or not whole:
        raise UserError(f"{path} holds no task of papers.bistil.train: give its task.safetensors.")
    return Task(found, head, labels)


def classifier(student: str | Path, task: str | Path) -> Loaded:
    """The student with a task, as an ordinary classifier of texts or of words.

    Raises:
        UserError: Neither a student nor a task of it.
    """
    from core.models.loading import Loaded, load_model, load_tokenizer

    change, head, labels = read(task)
    kind: Any = "token-cls" if head == "token" else "seq-cls"
    model = load_model(student, task=kind, labels=labels, dtype="float32")
    shapes = {name: value.shape for name, value in model.named_parameters()}
    heads = {name: value.shape for name, value in change.head.items()}
    if {*change.places, *heads} != {*shapes} or any(shapes[name] != shape for name, shape in heads.items()):
        raise UserError(f"{task} is no task of {student}: give the student that it was trained with.")
    add(model, change)
    return Loaded(model, load_tokenizer(student))
