"""Tune an English instruction model for a language, one model or adapter per language.

    python -m papers.taco.train tiny --variant taco
    python -m papers.taco.train tiny --variant direct --seed 1
    python -m papers.taco.train paper_small --records taco-Nepali.jsonl --languages Nepali
    accelerate launch -m papers.taco.train paper

Stage 1 (English) is shared by all variants of a seed. The artifact holds one `save_pretrained` folder per language with
a `taco.json` that names language, chain, layout and template: what a user of the model has to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.taco.config import LORA_RANK, Chain, Config

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from core.models.loading import Loaded
    from papers.taco.method import Record, Row


def train(config: Config, run: Run) -> None:
    """Stage 1 where the model is ours, then stage 2 for every language."""
    from core.distributed import seed_everything
    from papers.taco import miniature

    seed_everything(config.seed, 0)
    base = starting_point(config, run)
    for language in miniature.targets(config):
        tune_language(base, language, config, run)


def starting_point(config: Config, run: Run) -> str:
    """The model that stage 2 starts from: hub id or folder."""
    from papers.taco import miniature

    if config.base:
        return config.base if config.curriculum else config.raw_base
    fields = ("seed", "largest", "template")
    inputs: dict[str, Any] = {name: getattr(config, name) for name in fields} | {"told": to_dict(config.english)}
    inputs["languages"] = miniature.targets(config)  # whose words are in the vocabulary
    raw = run.stage("raw-base", inputs, lambda folder: miniature.english_model(None, config, run, folder)) / "model"
    if not config.curriculum:
        return str(raw)
    inputs["asked"] = to_dict(config.instructions)
    return str(run.stage("english", inputs, lambda f: miniature.english_model(raw, config, run, f)) / "model")


def _start(config: Config) -> dict[str, Any]:
    """How the weights that stage 2 starts from are loaded."""
    revision = (config.revision or None) if config.curriculum else None
    return {"revision": revision, "quantization": "nf4" if config.adapter == "qlora" else None}


def load(spec: str | Path, config: Config) -> Loaded:
    """A base or a tuned model, in the number format in which it is trained."""
    from core.models import loading

    # Weights that are trained stay in float32; a frozen base takes what the device multiplies fast.
    return loading.load(spec, **_start(config), dtype="float32" if config.adapter == "full" else "auto")


def tune_language(base: str, language: str, config: Config, run: Run) -> None:
    """Stage 2 for one language.

    Raises:
        UserError: There are too few records, or none of them fits.
    """
    from core.models.adapters import with_lora
    from core.training.fit import save_pretrained
    from papers.taco import data, method

    model, tokenizer = load(base, config)
    records = data.load_records(config, language)["tuning"]
    rows, tokens = stage_rows(tokenizer, records, config, config.chain)
    longer = stage_rows(tokenizer, records, config, "taco")[1] / tokens
    steps, epochs = round(config.training.steps * longer), config.training.epochs * longer
    settings = replace(config.training, steps=steps, epochs=epochs)
    if config.adapter != "full":
        model = with_lora(model, LORA_RANK, checkpointing=config.training.gradient_checkpointing)
    result = method.tune(model, rows, settings, run, config.seed, f"tune-{language}")
    save_pretrained(model, run.artifact / language, tokenizer)
    if is_main_process():
        facts = {"language": language, "base": base, **_start(config)}
        facts |= {name: getattr(config, name) for name in ("chain", "layout", "template", "max_new_tokens")}
        facts |= {"rows": len(rows), "dropped_too_long": result.left_out.long_documents, "tokens_per_row": tokens}
        facts |= {"steps": result.steps, "final_loss": result.losses[-1] if result.losses else None}
        write_json(run.artifact / language / "taco.json", facts)


def stage_rows(
    tokenizer: PreTrainedTokenizerBase, records: Sequence[Record], config: Config, chain: Chain
) -> tuple[list[Row], float]:
    """Records as token rows of a chain, and the mean tokens of those that are trained on.

    Raises:
        UserError: None of them fits.
    """
    from papers.taco.method import chain_row

    rows = [chain_row(tokenizer, record, chain, config.layout, config.template) for record in records]
    lengths = [length for row in rows if (length := len(row["input_ids"])) <= config.training.max_length]
    if not lengths:
        raise UserError(
            f"No record fits into training.max_length = {config.training.max_length}: raise it, or shorten the records."
        )
    return rows, sum(lengths) / len(lengths)


if __name__ == "__main__":
    entrypoint(train)
