"""Tune an encoder on sentences and their transliterations.

    python -m papers.translico.train tiny --variant full
    accelerate launch -m papers.translico.train paper
    python -m papers.translico.train paper --variant group

The artifact is a `save_pretrained` folder of the same architecture, with the tokenizer that the model had.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.translico.config import Config


def base_folder(config: Config, run: Run) -> Path | str:
    """The model that is tuned: a hub id, or the tiny world's own."""
    from papers.translico import miniature

    return config.base or miniature.base(config, run)


def train(config: Config, run: Run) -> None:
    """Both losses on pairs; the untuned model leaves a note that says which one it is."""
    from core.models.loading import load
    from core.training.fit import save_pretrained
    from papers.translico import data, method

    base = base_folder(config, run)
    if not config.tuned:
        if is_main_process():
            run.artifact.mkdir(parents=True, exist_ok=True)
            write_json(run.artifact / "translico.json", {"base": str(config.base)})
        return
    model, tokenizer = load(base, task="masked-lm", dtype="float32")
    objective = method.TransliCo(config.layer, config.contrast_weight, config.lm_weight)
    pairs = data.pairs(config, run)
    result = method.tune(model, tokenizer, pairs, config.training, run, objective, seed=config.seed)
    save_pretrained(model, run.artifact, tokenizer)
    if is_main_process():
        facts = {"base": str(config.base), "pairs": len(pairs), "steps": result.steps, "loss": result.losses[-1]}
        write_json(run.artifact / "translico.json", facts | asdict(objective))


if __name__ == "__main__":
    entrypoint(train)
