"""Measure the student with its task.

    python -m papers.bistil.eval tiny --variant bistil
    python -m papers.bistil.eval tiny --variant multi --split dev

* `accuracy`: share of the held-out concepts whose kind is told from their name in the target, which no task data are
  in; `accuracy_source`: of the same concepts by their English names;
* `general_loss`: equation (3) on these target names, of the student as phase one left it;
* `trivial_*`: solvers that know English names alone: the commonest kind, the length of a name.

At the paper's scale entity F1 (seqeval) in the target, or macro-F1 of topics, stands in the place of accuracy.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.bistil.config import Config

if TYPE_CHECKING:
    from core.models.loading import Loaded
    from core.worlds.base import Item


def evaluate(config: Config, run: Run) -> Measurement:
    """Accuracy on held-out concepts; at the paper's scale F1."""
    from core.tasks import tagging
    from papers.bistil import miniature

    loaded = tuned(config, run)
    if config.task:
        return own_data(config, loaded)
    world = miniature.world(config)
    units: dict[str, dict[str, float]] = {}
    for name, items in (("accuracy", world.measured), ("accuracy_source", world.english)):
        found = miniature.told(tagging.predict(loaded, miniature.labelled(items)))
        units[name] = {
            item.id.partition("/")[2]: float(label == item.answer) for item, label in zip(items, found, strict=True)
        }
    solved = trivial(world.train, world.measured)
    metrics = {name: statistics.fmean(by.values()) for name, by in units.items()}
    metrics |= {f"trivial_{name}": score for name, score in solved.items()}
    metrics["over_trivial"] = metrics["accuracy"] - max(solved.values())
    if config.model == "student":
        metrics["general_loss"] = general_loss(config, run, [item.prompt for item in world.measured])
    return Measurement(metrics, units, {"size": size(loaded.model)})


def tuned(config: Config, run: Run) -> Loaded:
    """The student with the task's change, or the task's teacher."""
    from core.models.loading import load
    from papers.bistil import sparse
    from papers.bistil.train import teacher

    if config.model == "teacher":
        from papers.bistil import data

        head = data.head(data.labelled(config, config.source, "train"))
        return load(teacher(config, run), task="seq-cls" if head == "sequence" else "token-cls", dtype="float32")
    return sparse.classifier(run.artifact / "student", run.artifact / "task.safetensors")


def trivial(train: Sequence[Item], measured: Sequence[Item]) -> dict[str, float]:
    """Accuracy of solvers that know English names and their kinds, and no other language."""
    from core.worlds.base import SOLVERS

    solvers = {name: SOLVERS[name](train) for name in ("majority", "length")}
    return {
        name: statistics.fmean(solve(replace(item, language=train[0].language)) == item.answer for item in measured)
        for name, solve in solvers.items()
    }


def general_loss(config: Config, run: Run, texts: Sequence[str]) -> float:
    """How far the student is from its teacher on texts, after phase one and before the task."""
    import torch

    from core.models.loading import load
    from core.tasks.finetuning import pad_id
    from papers.bistil import data, method
    from papers.bistil.train import trimmed

    whole, _ = load(
        trimmed(replace(config, general="bilingual"), run), task="encoder", dtype="float32", attention="eager"
    )
    small, tokenizer = load(run.artifact / "student", task="encoder", dtype="float32", attention="eager")
    teacher, total, items = method.frozen(whole, head=False), 0.0, 0
    rows = [{"input_ids": ids} for ids in tokenizer(list(texts))["input_ids"]]
    with torch.inference_mode():
        for start in range(0, len(rows), 32):
            batch = data.collate(rows[start : start + 32], pad_id(tokenizer))
            loss = method.general_loss(small, {k: v.to(small.device) for k, v in batch.items()}, teacher, config.factor)
            total, items = total + float(loss.total), items + int(loss.items)
    return total / items


def size(model: Any) -> dict[str, int]:
    """Parameters of the whole model, and those that are not word embeddings."""
    words = model.get_input_embeddings().weight.numel()
    every = sum(parameter.numel() for parameter in model.parameters())
    return {"parameters": every, "without_embeddings": every - words}


def own_data(config: Config, loaded: Loaded) -> Measurement:
    """F1 in both languages at the paper's scale and on own data."""
    from papers.bistil import data

    metrics = {}
    for name, code in (("accuracy", config.target), ("accuracy_source", config.source)):
        metrics[name] = data.score(loaded, data.labelled(config, code, config.split))
    return Measurement(metrics, details={"size": size(loaded.model)})


if __name__ == "__main__":
    entrypoint(evaluate)
