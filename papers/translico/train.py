"""Tune an encoder on sentences and their transliterations.

    python -m papers.translico.train tiny --variant full
    accelerate launch -m papers.translico.train paper
    python -m papers.translico.train paper --variant group

The artifact is a `save_pretrained` folder of the same architecture, with the tokenizer that the model had.
"""

from __future__ import annotations

from pathlib import Path

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from papers.translico.config import Config


def base_folder(config: Config, run: Run) -> Path | str:
    """The model that is tuned: a hub id, or the tiny world's own."""
    from papers.translico import miniature

    return config.base or miniature.base(config, run)


def train(config: Config, run: Run) -> None:
    """Both losses on pairs; the untuned model is its base, and leaves nothing."""
    from core.models.loading import load
    from core.training.fit import save_pretrained
    from papers.translico import data, method

    base = base_folder(config, run)
    if not config.tuned:
        return
    model, tokenizer = load(base, task="masked-lm", dtype="float32")
    objective = method.TransliCo(config.layer, config.contrast_weight, config.lm_weight)
    method.tune(model, tokenizer, data.pairs(config, run), config.training, run, objective, seed=config.seed)
    save_pretrained(model, run.artifact, tokenizer)


if __name__ == "__main__":
    entrypoint(train)
