"""Learn the maps between English and other languages, one for each direction.

    python -m papers.sinhala_alignment.train tiny --variant rcsls
    python -m papers.sinhala_alignment.train paper --variant procrustes

The artifact is `maps.safetensors`, a matrix W for each direction (`en-si`: English vectors x become W x in the Sinhala
space), and `maps.json`: how many pairs it was fitted to, and how many of the words held out each step translates.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import build_folder, write_json
from papers.sinhala_alignment.config import Config

if TYPE_CHECKING:
    from torch import Tensor

    from papers.sinhala_alignment.data import Task


def train(config: Config, run: Run) -> None:
    """A map for each task of the configuration."""
    from safetensors.torch import save_file

    from core.training.progress import Display
    from papers.sinhala_alignment import data

    maps: dict[str, Tensor] = {}
    notes: dict[str, Any] = {}
    with Display(2 * len(config.languages), f"maps, {config.method}", run.quiet) as display:
        for done, (source, target, task) in enumerate(data.tasks(config, run), start=1):
            w, scores = fit(task, config)
            maps[f"{source}-{target}"] = w.cpu().contiguous()
            notes[f"{source}-{target}"] = {"pairs": len(task.pairs), "held_out": len(task.held_out), "scores": scores}
            display.step(done)

    def fill(folder: Path) -> None:
        save_file(maps, folder / "maps.safetensors")
        write_json(folder / "maps.json", notes)

    if is_main_process():
        build_folder(run.artifact, fill, replace=True)


def fit(task: Task, config: Config) -> tuple[Tensor, list[float]]:
    """The map of a task, and the share of the words held out that each step translates (nearest word, cosine)."""
    import torch

    from core.tasks.lexicon import Space, precision
    from papers.sinhala_alignment import method

    x, y, k = task.x, task.y, config.neighbours
    gold: dict[int, set[int]] = {}
    for source, target in task.held_out.tolist():
        gold.setdefault(source, set()).add(target)
    space = Space(y)

    def score(w: Tensor) -> float:
        found = precision(space.ranks(x[list(gold)] @ w.T, list(gold.values())))
        return sum(found) / len(found)

    def maps(pairs: Tensor) -> Iterator[Tensor]:
        if config.method == "refinement":
            return method.refinement(x, y, pairs, steps=config.steps, k=k)
        if config.method == "rcsls":
            options: Any = {"rate": config.learning_rate, "k": k, "spectral": config.spectral}
            return method.rcsls(x, y, pairs, steps=config.steps, **options)
        if config.method == "identity":
            return iter([torch.eye(y.shape[1], x.shape[1], dtype=x.dtype, device=x.device)])
        return iter([method.procrustes(x, y, pairs)])

    return method.choose(maps, task.pairs, task.held_out, score)


if __name__ == "__main__":
    entrypoint(train)
