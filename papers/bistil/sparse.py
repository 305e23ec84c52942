"""The file of a task: places and differences of the encoder, and the head, as safetensors.

save(change, ["LOC", "O"], Path("task.safetensors"))
change, labels = read("task.safetensors")
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError

if TYPE_CHECKING:
    from papers.bistil.method import Change


def save(change: Change, labels: Sequence[str], path: Path) -> None:
    """Write a change with the names of its labels."""
    import torch
    from safetensors.torch import save_file

    tensors = {f"places.{name}": value.to(torch.int32) for name, value in change.places.items()}
    tensors |= {f"differences.{name}": value for name, value in change.differences.items()}
    tensors |= {f"head.{name}": value for name, value in change.head.items()}
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, {"labels": json.dumps([*labels])})


def read(path: str | Path) -> tuple[Change, list[str]]:
    """A change and the names of its labels.

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
        labels = json.loads((file.metadata() or {}).get("labels", "null"))
        for key in list(file.keys()):
            kind, _, name = key.partition(".")
            if kind in Change._fields:
                value = file.get_tensor(key)
                getattr(found, kind)[name] = value.long() if kind == "places" else value
    if not labels or not found.head or found.places.keys() != found.differences.keys():
        raise UserError(f"{path} holds no task of papers.bistil.train: give its task.safetensors.")
    return found, labels
