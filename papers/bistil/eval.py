"""Measure the student with its task.

python -m papers.bistil.eval tiny --variant bistil
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.bistil.config import Config

if TYPE_CHECKING:
    from core.models.loading import Loaded


def load(config: Config, run: Run) -> Loaded:
    """The student with the task's change, or the teacher."""
    from core.models.loading import Loaded, load
    from papers.bistil import method, sparse
    from papers.bistil.train import teacher

    if config.model == "teacher":
        return load(teacher(config, run), task="seq-cls", dtype="float32")
    change, labels = sparse.read(run.artifact / "task.safetensors")
    model, tokenizer = load(run.artifact / "student", task="seq-cls", labels=labels, dtype="float32")
    method.add(model, change)
    return Loaded(model, tokenizer)


def evaluate(config: Config, run: Run) -> Measurement:
    """Accuracy on held-out concepts."""
    from core.tasks import classification
    from papers.bistil import miniature

    loaded = load(config, run)
    world = miniature.world(config)
    units: dict[str, dict[str, float]] = {}
    for name, items in (("accuracy", world.measured), ("accuracy_source", world.english)):
        found = classification.predict(loaded, miniature.labelled(items))
        units[name] = {item.id: float(label == item.answer) for item, label in zip(items, found, strict=True)}
    metrics = {name: statistics.fmean(by.values()) for name, by in units.items()}
    return Measurement(metrics, units)


if __name__ == "__main__":
    entrypoint(evaluate)
