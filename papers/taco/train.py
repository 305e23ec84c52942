"""Tune an English instruction model for a language, one model or adapter per language.

    python -m papers.taco.train tiny --variant taco
    python -m papers.taco.train paper_small --records taco-Nepali.jsonl --languages Nepali
    accelerate launch -m papers.taco.train paper

Stage 1 (English) is shared by all variants of a seed. The artifact holds one `save_pretrained` folder per language with
a `taco.json` that names language, chain, layout and template: what a user of the model has to know.
"""

from __future__ import annotations

from typing import Any

from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.taco import data, method, miniature
from papers.taco.config import LORA_RANK, Config


def train(config: Config, run: Run) -> None:
    """Stage 1 where the model is ours, then stage 2 for every language."""
    from core.distributed import seed_everything

    seed_everything(config.seed, 0)
    base = starting_point(config, run)
    for language in miniature.targets(config):
        tune_language(base, language, config, run)


def starting_point(config: Config, run: Run) -> str:
    """The model that stage 2 starts from: hub id or folder."""
    if config.base:
        return config.base if config.curriculum else config.raw_base
    inputs: dict[str, Any] = {name: getattr(config, name) for name in ("seed", "largest", "template")}
    inputs |= {"languages": miniature.targets(config), "told": to_dict(config.english)}
    raw = run.stage("raw-base", inputs, lambda folder: miniature.english_model(None, config, run, folder)) / "model"
    if not config.curriculum:
        return str(raw)
    inputs["asked"] = to_dict(config.instructions)
    return str(run.stage("english", inputs, lambda f: miniature.english_model(raw, config, run, f)) / "model")


def dtype(config: Config) -> str:
    """Number format of a model: weights that are trained stay in float32, a frozen base takes what is fast."""
    return "float32" if config.adapter == "full" else "auto"


def tune_language(base: str, language: str, config: Config, run: Run) -> None:
    """Stage 2 for one language.

    Raises:
        UserError: There are too few records, or none of them fits.
    """
    from core.models import loading
    from core.models.adapters import with_lora
    from core.training.fit import save_pretrained

    start: dict[str, Any] = {
        "revision": (config.revision or None) if config.curriculum else None,
        "quantization": "nf4" if config.adapter == "qlora" else None,
    }
    model, tokenizer = loading.load(base, dtype=dtype(config), **start)
    records = data.load_records(config, language)["tuning"]
    rows, chains = (
        [method.chain_row(tokenizer, record, chain, config.layout, config.template) for record in records]
        for chain in (config.chain, "taco")
    )
    tokens = config.training.row_tokens(rows)
    settings = config.training.longer(config.training.row_tokens(chains) / tokens)
    if config.adapter != "full":
        model = with_lora(model, LORA_RANK, checkpointing=config.training.gradient_checkpointing)
    result = method.tune(model, rows, settings, run, config.seed, f"tune-{language}")
    save_pretrained(model, run.artifact / language, tokenizer)
    if is_main_process():
        facts = {"language": language, "base": base, **start}
        facts |= {name: getattr(config, name) for name in ("chain", "layout", "template", "max_new_tokens")}
        facts |= {"rows": len(rows), "dropped_too_long": result.left_out.long_documents, "tokens_per_row": tokens}
        facts |= {"steps": result.steps, "final_loss": result.losses[-1] if result.losses else None}
        write_json(run.artifact / language / "taco.json", facts)


if __name__ == "__main__":
    entrypoint(train)
