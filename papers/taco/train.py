"""Tune an English instruction model for a language, one model or adapter per language.

    python -m papers.taco.train tiny --variant taco
    python -m papers.taco.train tiny --variant direct --seed 1
    python -m papers.taco.train paper_small --source files --records taco-Nepali.jsonl --languages Nepali
    accelerate launch -m papers.taco.train paper

Stage 1 (English) is shared by all variants of a seed. The artifact holds one `save_pretrained` folder per language with
a `taco.json` that names language, chain, layout and template: what a user of the model has to know.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from core.errors import UserError
from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.taco.config import Config

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from core.models.loading import Loaded
    from papers.taco.method import Row


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
    fields = ("seed", "largest", "width", "layers", "template")
    inputs: dict[str, Any] = {name: getattr(config, name) for name in fields} | {"told": to_dict(config.english)}
    inputs["languages"] = miniature.targets(config)  # whose words are in the vocabulary
    raw = run.stage("raw-base", inputs, lambda folder: miniature.raw_base(config, run, folder)) / "model"
    if not config.curriculum:
        return str(raw)
    inputs["asked"] = to_dict(config.instructions)
    return str(run.stage("english", inputs, lambda f: miniature.english_model(raw, config, run, f)) / "model")


def load(spec: str | Path, config: Config) -> Loaded:
    """A base or a tuned model, in the number format in which it is trained."""
    from core.models import loading

    return loading.load(
        spec,
        revision=(config.revision or None) if config.curriculum else None,
        quantization=None if config.quantization == "none" else config.quantization,
        # Weights that are trained stay in float32; a frozen base takes what the device multiplies fast.
        dtype="float32" if config.adapter == "full" else "auto",
    )


def tune_language(base: str, language: str, config: Config, run: Run) -> None:
    """Stage 2 for one language."""
    from core.models.adapters import with_lora
    from core.training.fit import save_pretrained
    from papers.taco import method

    model, tokenizer = load(base, config)
    stage = stage_rows(tokenizer, language, config)
    longer = stage.chain_tokens / stage.tokens if config.budget == "tokens" else 1.0
    steps, epochs = round(config.training.steps * longer), config.training.epochs * longer
    settings = replace(config.training, steps=steps, epochs=epochs)
    if config.adapter == "lora":
        # A model that is trained here has never seen a word of the target language.
        whole = () if config.base else ("embed_tokens", "lm_head")
        model = with_lora(model, config.lora_rank, whole=whole, checkpointing=config.training.gradient_checkpointing)
    result = method.tune(model, stage.rows, settings, run, config.seed, f"tune-{language}")
    save_pretrained(model, run.artifact / language, tokenizer)
    if is_main_process():
        facts = {
            "language": language,
            "base": base,
            "revision": (config.revision or None) if config.curriculum else None,
            "quantization": None if config.quantization == "none" else config.quantization,
            **{name: getattr(config, name) for name in ("chain", "layout", "template")},
            "rows": len(stage.rows),
            "dropped_too_long": stage.dropped,
            "tokens_per_row": stage.tokens,
            "steps": result.steps,
            "final_loss": result.losses[-1] if result.losses else None,
        }
        write_json(run.artifact / language / "taco.json", facts)


class StageRows(NamedTuple):
    """What stage 2 trains on: token rows, the share of records that is too long, and mean tokens of a record as it is
    trained and with the whole chain."""

    rows: list[Row]
    dropped: float
    tokens: float
    chain_tokens: float


def stage_rows(tokenizer: PreTrainedTokenizerBase, language: str, config: Config) -> StageRows:
    """The tuning records of a language as token rows.

    Raises:
        UserError: None of them fits.
    """
    from papers.taco import data, method

    tuning = data.load_records(config, language)["tuning"]

    def rendered(chain: Any) -> tuple[list[Row], float]:
        rows = (method.chain_row(tokenizer, record, chain, config.layout, config.template) for record in tuning)
        return method.fitting(rows, config.training.max_length)

    rows, dropped = rendered(config.chain)
    chains = rows if config.chain == "taco" else rendered("taco")[0]
    if not rows or not chains:
        raise UserError(
            f"No record of {language} fits into training.max_length = {config.training.max_length}: raise it, or "
            "shorten the records."
        )
    tokens, chain_tokens = (sum(len(row["input_ids"]) for row in some) / len(some) for some in (rows, chains))
    return StageRows(rows, dropped, tokens, chain_tokens)


if __name__ == "__main__":
    entrypoint(train)
