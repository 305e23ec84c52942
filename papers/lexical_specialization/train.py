"""Specialize an encoder with multilingual constraints.

    python -m papers.lexical_specialization.train tiny --variant specialized
    accelerate launch -m papers.lexical_specialization.train paper --constraints mine.csv

The artifact is a `save_pretrained` folder, adapters merged: `AutoModel.from_pretrained(".../artifact")`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from papers.lexical_specialization.config import ALPHA, LORA_RANK, TEMPERATURE, Config


def train(config: Config, run: Run) -> None:
    """One run over the constraints; an encoder that is left as it is has no artifact."""
    from core.distributed import seed_everything
    from core.models.loading import load
    from core.training.fit import save_pretrained
    from papers.lexical_specialization import data, method

    if not config.specialized:
        return
    loaded = load(start(config, run), task="encoder", dtype="float32")
    model: Any = loaded.model
    rows = data.constraints(config)
    seed_everything(config.seed, 0)
    if config.adapter == "lora":
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(r=LORA_RANK, lora_alpha=2 * LORA_RANK, target_modules="all-linear"))
    passes = config.training.epochs / (config.share if config.same_steps else 1)
    settings = replace(config.training, epochs=passes)
    options: dict[str, Any] = {
        "alpha": ALPHA,
        "temperature": TEMPERATURE,
        "glosses": config.glosses,
        "seed": config.seed,
    }
    method.specialize(model, loaded.tokenizer, rows, settings, run, **options)
    save_pretrained(model.merge_and_unload() if config.adapter == "lora" else model, run.artifact, loaded.tokenizer)


def start(config: Config, run: Run) -> str | Path:
    """The encoder that is specialized; at the tiny scale with the part of its vocabulary that is read there."""
    from core.tasks.finetuning import save_trimmed
    from papers.lexical_specialization import miniature

    if config.base == "toy":
        return run.stage("toy", {}, miniature.toy)
    if (config.constraints, config.tests) != ("emoji", "emoji"):
        return config.base
    texts = miniature.texts()
    return run.stage("trimmed", {"base": config.base, "texts": texts}, lambda f: save_trimmed(config.base, texts, f))


if __name__ == "__main__":
    entrypoint(train)
