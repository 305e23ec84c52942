"""Tune a model on English instructions and translations of them, then on preferences.

    python -m papers.selective_translation.train tiny --variant selective
    python -m papers.selective_translation.train paper --translated hindi.jsonl --translated-pairs hindi-pairs.jsonl

The artifact is a `save_pretrained` folder. In miniature the base is shared by all variants of a seed, and a tuned model
by those with and without preferences.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from papers.selective_translation import data, method, miniature
from papers.selective_translation.config import Config


def train(config: Config, run: Run) -> None:
    """Instruction tuning, and preference training where it is asked for."""
    from core.distributed import seed_everything
    from core.models import loading
    from core.training import sharded
    from core.training.fit import save_pretrained

    seed_everything(config.seed, 0)
    if config.base:
        model, tokenizer = sharded.load(config.base, config.training, revision=config.revision or None)
        english, translated, _ = data.load(config)
        pairs = data.preferences(config) if config.dpo else []
        records = method.mix(english, translated, config.k, config.seed)
        method.tune(model, tokenizer, records, config.training, run, config.seed)
    else:
        model, tokenizer = loading.load(tuned(config, run) / "model", dtype="float32")
        pairs = miniature.preferences(config) if config.dpo else []
    if config.dpo:
        method.prefer(model, tokenizer, pairs, config.preferring, run, config.seed, beta=config.beta)
    save_pretrained(model, run.artifact, tokenizer)


def tuned(config: Config, run: Run) -> Path:
    """The instruction-tuned model of the miniature."""
    shape = {"seed": config.seed, "language": config.language, "reading": to_dict(config.reading)}
    base = run.stage("base", shape, partial(miniature.read, config, run)) / "model"

    def build(folder: Path) -> None:
        from core.models import loading
        from core.training.fit import save_pretrained

        model, tokenizer = loading.load(base, dtype="float32")
        records = method.mix(*miniature.drawn(config), config.k, config.seed)
        method.tune(model, tokenizer, records, config.training, replace(run, path=folder / "training"), config.seed)
        save_pretrained(model, folder / "model", tokenizer)

    names = ("translator", "corruption", "mix_english", "n_translated", "taken", "records", "filter")
    inputs = shape | {name: getattr(config, name) for name in names} | {"training": to_dict(config.training)}
    return run.stage("sft", {**inputs, "base": base}, build)


if __name__ == "__main__":
    entrypoint(train)
