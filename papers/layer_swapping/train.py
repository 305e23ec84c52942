"""Make what is measured: experts of both kinds from one base, and their merges.

    python -m papers.layer_swapping.train tiny
    python -m papers.layer_swapping.train tiny --variant soup
    python -m papers.layer_swapping.train paper --language te --task-experts maths-1 maths-2 --language-experts telugu

The artifact is a `layer_swapping.json`, which names the models by target language, and a folder for each merge. In the
tiny world base and experts are shared by all variants of a seed; with a base they are tuned in the run, or given.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.layer_swapping import data, method, miniature
from papers.layer_swapping.config import Config

FACTS = "layer_swapping.json"


def train(config: Config, run: Run) -> None:
    """Experts as far as the system needs them, then a merge of every pair."""
    from core.distributed import barrier, seed_everything

    seed_everything(config.seed, 0)
    base = starting_point(config, run)
    models = {code: systems(config, run, base, code) for code in languages(config)}
    if is_main_process():
        write_json(run.artifact / FACTS, {"base": str(base.resolve()), "models": models})
    barrier()


def languages(config: Config) -> Sequence[str]:
    """Target languages: those of the seed, or the one that is named."""
    return (config.language,) if config.base else miniature.targets(config)


def systems(config: Config, run: Run, base: Path, code: str) -> list[str]:
    """The models of a system for a target language: whole paths, or names of folders in the artifact."""
    if config.system == "base":
        return [str(base.resolve())]
    if config.system in ("task", "language", "joint"):
        return [str(path.resolve()) for path in experts(config, run, base, config.system, code)]
    owner = code
    if config.stranger:
        owner = config.other if config.base else miniature.stranger(config, code)
    tasks, speakers = (experts(config, run, base, kind, owner) for kind in ("task", "language"))
    found = []
    for (i, task), (j, language) in product(enumerate(tasks), enumerate(speakers)):
        found.append(f"{code}-{i}-{j}")
        if is_main_process() and not (run.artifact / found[-1]).exists():
            merge(config, base, task, language, run.artifact / found[-1])
    return found


def merge(config: Config, base: Path, task: Path, language: Path, out: Path) -> None:
    """One pair of experts, as the system has it."""
    from core.models import merging

    scales = list(config.scales)
    if config.system == "soup":
        merging.merge([task, language], out, merging.average([1 - config.soup, config.soup]))
    elif config.system == "ties":
        merging.merge([base, task, language], out, merging.ties(scales, config.density))
    elif config.system == "arithmetic":
        merging.merge([base, task, language], out, merging.task_arithmetic(scales))
    else:
        method.swapped(task, language, config.recipe, out, base=base, place=config.place, seed=config.seed)


# --- base and experts -------------------------------------------------------------------------------------------------


def starting_point(config: Config, run: Run) -> Path:
    """The folder of the base: trained here, or as it is given."""
    from core.models.loading import materialize

    if config.base:
        return materialize(config.base)
    inputs = {"seed": config.seed, "training": to_dict(config.pretraining)}
    inputs |= {"target_share": config.target_share, "add_share": config.add_share}
    build = partial(miniature.tuned, config, run, start=None, kind="base", code="", copy=0)
    return run.stage("base", inputs, build) / "model"


def experts(config: Config, run: Run, base: Path, kind: str, code: str) -> list[Path]:
    """Experts of a kind (`task`, `language` or, of both data, `joint`); those of the task serve all languages."""
    from core.models.loading import materialize

    code = "" if kind == "task" else code
    given = {"task": config.task_experts, "language": config.language_experts}.get(kind, ())
    if given:
        return [materialize(spec) for spec in given]
    copies = 1 if kind == "joint" else config.copies
    return [expert(config, run, base, kind, code, copy) for copy in range(copies)]


def expert(config: Config, run: Run, base: Path, kind: str, code: str, copy: int) -> Path:
    """An expert: in the tiny world a stage, otherwise in the run, where a finished one is not made again."""
    if config.base:
        folder = run.path / "experts" / f"{kind}-{code}-{copy}"
        if not (folder / "model" / "config.json").exists():
            data.tuned(config, run, folder, base, kind, code, copy)
        return folder / "model"
    settings = {name: to_dict(getattr(config, name)) for name in data.SETTINGS[kind]}
    settings |= {"frozen": to_dict(config.recipe)} if config.frozen else {}
    inputs = {"kind": kind, "code": code, "copy": copy, "seed": config.seed, "base": base.parent.name, **settings}
    build = partial(miniature.tuned, config, run, start=base, kind=kind, code=code, copy=copy)
    return run.stage(f"{kind}-{code}" if code else kind, inputs, build) / "model"


if __name__ == "__main__":
    entrypoint(train)
