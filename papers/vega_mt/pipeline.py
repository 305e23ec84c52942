"""The recipe as folders: each phase makes a model of the one before, and arms that agree so far share it.

    first = pretrained(task, direction)                      # all directions, or fewer
    start = tuned(task, "bi", direction)                     # both of the pair, or one
    more = self_trained(task, start)                         # on pseudo pairs of cleaned text
    last = generalised(task, more)                           # on several domains, and averaged

In the tiny world a phase is a stage that is built once; with own text all processes of a launch train it, in the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from core.experiment.config import to_dict
from core.experiment.run import Run
from core.inference.seq2seq import positions, translate
from core.models.loading import from_config, load
from core.models.merging import average, merge
from core.models.scratch import mbart50_tokenizer
from core.tasks.translation import Segment
from core.training.config import TrainingConfig
from core.training.fit import save_pretrained
from papers.vega_mt import data, method
from papers.vega_mt.config import KEEP, LOW, Config, shape
from papers.vega_mt.data import World
from papers.vega_mt.method import Cleaned, Direction, Scope

# What decides each phase, beside the phase before it.
_FIRST = (
    "seed", "languages", "tuned", "largest", "pairs", "equal_pairs", "model", "size", "pieces", "temperature",
    "pretraining", "smoothing", "dropout",
)  # fmt: skip
_PSEUDO = ("self_training", "noise", "cycle", "lines", "shuffled")
_LAST = ("generalise", "general_pairs", "shuffled")


class Task(NamedTuple):
    """What the phases of one model have in common."""

    config: Config
    run: Run
    world: World
    code: str

    def inputs(self, *names: str) -> dict[str, Any]:
        """Settings by name; with own text all of them, as phases are not shared."""
        values = to_dict(self.config)
        return values if self.config.bitext else {name: values[name] for name in names}


def trained(
    task: Task, name: str, parts: Sequence[Segment], settings: TrainingConfig, start: str | Path, **inputs: Any
) -> Path:
    """The folder of a model after one phase, from a folder or hub id; empty: a new model."""
    config, run = task.config, task.run

    def build(folder: Path) -> None:
        if start:
            model, tokenizer = load(start, task="seq2seq", dtype="float32")
        else:
            tokenizer = mbart50_tokenizer(task.world.lines, config.pieces)
            model = from_config(shape(config, len(tokenizer)), seed=config.seed, task="seq2seq")
        options: Any = {"smoothing": config.smoothing, "bucket": bool(config.bitext)}
        method.train(model, tokenizer, parts, settings, run, config.seed, name, **options)
        save_pretrained(model, folder, tokenizer)

    if config.bitext:
        folder = run.path / "phases" / name
        if not folder.exists():
            build(folder)
        return folder
    return run.stage(name, {**inputs, "settings": to_dict(settings), "start": Path(start).name}, build)


def pretrained(task: Task, wanted: Direction) -> Path:
    """Phase 1: on all directions from and into English, on both of the pair, or on the wanted one."""
    config = task.config
    wanted = data.both(task.code)[0] if config.pretrain == "bi" else wanted
    asked = method.directions(config.pretrain, wanted, task.world.languages)
    parts = data.genuine(task.world, asked)
    if broken := config.shuffled == "pretrain":
        parts = data.mistranslated(parts)
    parts = method.sample(parts, config.temperature)
    name = "multi" if config.pretrain == "multi" else f"first-{'-'.join(asked[0])}-{config.pretrain}"
    return trained(
        task, name, parts, config.pretraining, config.model, **task.inputs(*_FIRST), asked=asked, broken=broken
    )


def tuned(task: Task, scope: Scope, wanted: Direction) -> Path:
    """Phase 2: on both directions of the pair, or on the wanted one."""
    wanted = data.both(task.code)[0] if scope == "bi" else wanted
    asked = method.directions(scope, wanted, ())
    name = f"{scope}-{'-'.join(wanted)}"
    parts, start = data.genuine(task.world, asked), pretrained(task, wanted)
    return trained(task, name, parts, task.config.tuning, start, asked=asked)


def pseudo(task: Task, start: Path) -> tuple[list[Segment], dict[str, list[Cleaned]]]:
    """Pseudo pairs of both directions, and what became of each monolingual line where the text is cleaned."""
    config, world = task.config, task.world

    def compute() -> dict[str, Any]:
        model, tokenizer = load(start, task="seq2seq", dtype="float32")
        longest = min(256, positions(model) // 2)

        def write(texts: Sequence[str], source: str, target: str) -> list[str]:
            return translate(model, tokenizer, texts, source, target, longest=longest)

        (a, b), lines = data.both(task.code)[0], world.monolingual
        cleaned: dict[str, list[Cleaned]] = {}
        if config.cycle:
            for here, there in ((a, b), (b, a)):
                forward, backward = partial(write, source=here, target=there), partial(write, source=there, target=here)
                cleaned[here] = method.cycle_translate(lines[here], forward, backward, KEEP, LOW)
            lines = {code: [line.text for line in found if line.text] for code, found in cleaned.items()}
        kinds: Any = ("forward", "backward") if config.self_training == "both" else (config.self_training,)
        made = method.bidirectional_pseudo(data.genuine(world, data.both(task.code)), lines, write, kinds)
        return {"pairs": [asdict(part) for part in made], "cleaned": cleaned}

    found = task.run.once("pseudo", {**task.inputs(*_PSEUDO), "code": task.code, "start": start.name}, compute)
    pairs = [Segment(**part) for part in found["pairs"]]
    cleaned = {code: [Cleaned(*line) for line in lines] for code, lines in found["cleaned"].items()}
    return data.mistranslated(pairs) if config.shuffled == "pseudo" else pairs, cleaned


def self_trained(task: Task, start: Path) -> Path:
    """Phase 3: on pseudo pairs and genuine ones; or as long on the genuine ones alone."""
    config, parts = task.config, data.genuine(task.world, data.both(task.code))
    if config.self_training != "genuine":
        parts = method.mixed(parts, pseudo(task, start)[0])
    return trained(task, f"self-{task.code}", parts, config.augmenting, start, **task.inputs(*_PSEUDO))


def generalised(task: Task, start: Path) -> Path:
    """Phase 4: on a few pairs of several domains, or as many of one; then averaged with the model before."""
    config, sets = task.config, list(task.world.general[task.code].values())
    sets = sets[:1] if config.generalise == "single" else sets
    each = config.general_pairs // len(sets) or None
    parts = [part for found in sets for way in data.both(task.code) for part in data.directed(found, way)[:each]]
    if config.shuffled == "general":
        parts = data.mistranslated(parts)
    after = trained(task, f"general-{task.code}", parts, config.generalising, start, **task.inputs(*_LAST))
    if config.average == 1:
        return after
    inputs = {**task.inputs("average"), "start": start.name, "after": after.name}

    def build(folder: Path) -> None:
        merge([start, after], folder / "model", average([1 - config.average, config.average]))

    return task.run.stage("averaged", inputs, build) / "model"


def earlier(task: Task, wanted: Direction) -> list[Path]:
    """Models after earlier phases: of both directions, and of all."""
    return [tuned(task, "bi", wanted), pretrained(task, wanted)]


def finished(task: Task, wanted: Direction) -> Path:
    """The model after all phases of a configuration."""
    start = tuned(task, task.config.tune, wanted)
    if task.config.self_training != "none":
        start = self_trained(task, start)
    return generalised(task, start) if task.config.generalise != "none" else start
