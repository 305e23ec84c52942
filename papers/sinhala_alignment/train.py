"""Learn the maps between English and other languages, one for each direction.

    python -m papers.sinhala_alignment.train tiny --variant rcsls
    python -m papers.sinhala_alignment.train paper --variant procrustes

The artifact is `maps.safetensors`, a matrix W for each direction (`en-si`: English vectors x become W x in the Sinhala
space), and `maps.json`: pairs that it was fitted to, steps made, and the scores by which they were chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
    with Display(2 * len(config.languages) * most_maps(config), f"maps, {config.method}", run.quiet) as display:
        for source, target, task in data.tasks(config, run):
            found = fit(task, config, lambda: display.step(display.done + 1))
            maps[f"{source}-{target}"] = found.w.cpu().contiguous()
            pairs = len(task.pairs) + len(task.held_out)
            notes[f"{source}-{target}"] = {"pairs": pairs, "steps": found.steps, "scores": found.scores}

    def fill(folder: Path) -> None:
        save_file(maps, folder / "maps.safetensors")
        write_json(folder / "maps.json", notes)

    if is_main_process():
        build_folder(run.artifact, fill, replace=True)


class Fitted(NamedTuple):
    """A map, the steps it took, and the scores of the steps on the words held out."""

    w: Tensor
    steps: int
    scores: list[float]


def most_maps(config: Config) -> int:
    """How many maps a fit makes at most."""
    return (config.steps + 1) * (1 + bool(config.held_out))


def fit(task: Task, config: Config, step: Callable[[], object] = lambda: None) -> Fitted:
    """The map of a task; `step` is called at each map on the way.

    Steps are scored by precision at 1 on the words held out: by cosine, and those of refinement by CSLS, as the
    official code does on the test words.
    """
    import torch

    from core.tasks.lexicon import Space, precision
    from papers.sinhala_alignment import method

    x, y, k = task.x, task.y, config.neighbours
    gold: dict[int, set[int]] = {}
    for source, target in task.held_out.tolist():
        gold.setdefault(source, set()).add(target)

    def score(w: Tensor) -> float:
        space = Space(y, x @ w.T if config.method == "refinement" else None, k=k)
        found = precision(space.ranks(x[list(gold)] @ w.T, list(gold.values())))
        return sum(found) / len(found)

    def maps(pairs: Tensor) -> Iterator[Tensor]:
        found = iter([method.procrustes(x, y, pairs)])
        if config.method == "identity":
            found = iter([torch.eye(y.shape[1], x.shape[1], dtype=x.dtype, device=x.device)])
        if config.method == "refinement":
            found = method.refinement(x, y, pairs, steps=config.steps, k=k)
        if config.method == "rcsls":
            options: Any = {"rate": config.learning_rate, "k": k, "spectral": config.spectral}
            found = method.rcsls(x, y, pairs, steps=config.steps, **options)
        for w in found:
            step()
            yield w

    return choose(maps, task.pairs, task.held_out, score)


def choose(
    maps: Callable[[Tensor], Iterator[Tensor]], pairs: Tensor, held_out: Tensor, score: Callable[[Tensor], float]
) -> Fitted:
    """The map after as many steps as serve words best that it was not fitted to, fitted again to all of the dictionary.

    Args:
        maps: Yields the maps of a method, one a step, the first after none.
        pairs: The dictionary, places [pair, 2].
        held_out: Pairs of other source words; with none of them all steps are made.
        score: Of a map, on the words held out; of equal ones the first is taken.
    """
    import torch

    scores = [score(w) for w in maps(pairs)] if len(held_out) else []
    made = scores.index(max(scores)) + 1 if scores else None
    steps, w = list(enumerate(islice(maps(torch.cat([pairs, held_out])), made)))[-1]
    return Fitted(w, steps, scores)


if __name__ == "__main__":
    entrypoint(train)
