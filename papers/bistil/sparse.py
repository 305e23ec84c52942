"""The file of a task: places and differences of the encoder, and the head, as safetensors.

save(change, "token", ["LOC", "O"], Path("task.safetensors"))
change, head, labels = read("task.safetensors")
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from core.errors import UserError

if TYPE_CHECKING:
    from core.models.loading import Loaded
    from core.tasks.finetuning import Head
    from papers.bistil.method import Change


class Task(NamedTuple):
    """A change, one label a text (`sequence`) or a word (`token`), and their names."""

    change: Change
    head: Head
    labels: list[str]


def save(change: Change, head: Head, labels: Sequence[str], path: Path) -> None:
    """Write a change with what it labels, and the names of the labels."""
    import torch
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
    from papers.bistil.method import Change

    if not Path(path).is_file():
        raise UserError(f"{path} is not there: give the task.safetensors of a run of papers.bistil.train.")
    found = Change({}, {}, {})
    with translated(path), safe_open(path, "pt") as file:
        facts = file.metadata() or {}
        head, labels = facts.get("head"), json.loads(facts.get("labels", "null"))
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
    from papers.bistil import method

    change, head, labels = read(task)
    kind: Any = "token-cls" if head == "token" else "seq-cls"
    model = load_model(student, task=kind, labels=labels, dtype="float32")
    shapes = {name: value.shape for name, value in model.named_parameters()}
    heads = {name: value.shape for name, value in change.head.items()}
    if {*change.places, *heads} != {*shapes} or any(shapes[name] != shape for name, shape in heads.items()):
        raise UserError(f"{task} is no task of {student}: give the student that it was trained with.")
    method.add(model, change)
    return Loaded(model, load_tokenizer(student))
