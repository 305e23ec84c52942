"""Train the models of one arm: one for each direction, or one for both.

    python -m papers.vega_mt.train tiny --variant multi
    python -m papers.vega_mt.train tiny --variant cycled
    accelerate launch -m papers.vega_mt.train paper --variant multi

The artifact has a `save_pretrained` folder for each model: `en-cs` and `cs-en`, or `cs` for both.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from papers.vega_mt.config import Config


def train(config: Config, run: Run) -> None:
    """All phases of the configuration, for each tuned language."""
    from papers.vega_mt import data, pipeline

    world = data.world(config, run)
    for code in world.tuned:
        forth, back = data.both(code)
        names = {code: forth} if config.tune == "bi" else {"-".join(wanted): wanted for wanted in (forth, back)}
        for name, wanted in names.items():
            _keep(pipeline.finished(pipeline.Task(config, run, world, code), wanted), run.artifact / name)


def _keep(folder: Path, target: Path) -> None:
    from core.files import build_folder

    if is_main_process():
        build_folder(target, lambda temporary: _copy(folder, temporary), replace=True)


def _copy(folder: Path, target: Path) -> None:
    shutil.copytree(folder, target, dirs_exist_ok=True)


if __name__ == "__main__":
    entrypoint(train)
