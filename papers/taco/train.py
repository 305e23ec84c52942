"""Tune an English instruction model for a language, one model or adapter per language.

    python -m papers.taco.train tiny --variant taco
    python -m papers.taco.train tiny --variant direct --seed 1
    python -m papers.taco.train paper_small --source files --records taco-Nepali.jsonl --languages Nepali
    accelerate launch -m papers.taco.train paper

Stage 1 (English) is shared by all variants of a seed. The artifact holds one `save_pretrained` folder per language
(or `joint`), with a `taco.json` that names languages, chain, layout and template: what a user of the model has to know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.taco.config import Config, scratch_shape

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from core.models.loading import Loaded
    from core.training.losses import Loss
    from papers.taco.data import Row
    from papers.taco.method import Record


def train(config: Config, run: Run) -> None:
    """Stage 1 where the model is ours, then stage 2 for every language (or all at once)."""
    from core.distributed import seed_everything

    seed_everything(config.seed, 0)
    base = starting_point(config, run)
    for group in [config.languages] if config.joint else [(language,) for language in config.languages]:
        tune(base, group, config, run)


def folder_name(config: Config, language: str) -> str:
    """Folder of a language's model inside the artifact."""
    return "joint" if config.joint else language


def starting_point(config: Config, run: Run) -> str:
    """The model that stage 2 starts from: hub id or folder."""
    if config.base:
        return config.base if config.curriculum else config.raw_base
    fields = ("seed", "largest", "width", "layers", "heads", "packed_questions", "template")
    inputs: dict[str, Any] = {name: getattr(config, name) for name in fields}
    inputs["english"] = to_dict(config.english) if config.curriculum else None
    name = "english" if config.curriculum else "untrained"
    return str(run.stage(name, inputs, lambda folder: scratch_model(config, run, folder)) / "model")


def scratch_model(config: Config, run: Run, folder: Path) -> None:
    """Stage 1: a small decoder, and unless the curriculum is off, trained to follow English instructions."""
    from core.models import loading
    from core.training.fit import fit, save_pretrained
    from papers.taco import data

    tokenizer = data.number_tokenizer(config.largest)
    shape = scratch_shape(len(tokenizer), config)
    model = loading.from_config(shape, seed=config.seed)
    if config.curriculum:
        records = data.load_records(config, config.languages[0])  # of which only the English parts are used
        rows = data.english_rows(tokenizer, records, config, 4096, f"stage1-{config.seed}")
        fit(model, rows, config.english, replace(run, path=folder / "training"), seed=config.seed, name="english")
    save_pretrained(model, folder / "model", tokenizer)


def english_accuracy(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, records: Sequence[Record], config: Config
) -> float:
    """Share of the English instructions that the model answers right."""
    from core.inference.generation import generate
    from papers.taco import data, method

    prompts = [data.begin(tokenizer, data.render_prompt(config.template, r["instruction_en"])) for r in records]
    outputs = generate(model, tokenizer, prompts, max_new_tokens=8)
    return sum(method.exact(o, r["response_en"]) for o, r in zip(outputs, records, strict=True)) / len(records)


def tune(base: str, languages: Sequence[str], config: Config, run: Run) -> None:
    """Stage 2 for one language, or for several in one model."""
    from core.training.fit import fit, save_pretrained
    from papers.taco import data

    model, tokenizer = load(base, config)
    english = None
    if config.source == "numbers":
        english = english_accuracy(model, tokenizer, data.load_records(config, languages[0]), config)
    stage = stage_rows(tokenizer, languages, config)
    longer = stage.chain_tokens / stage.tokens if config.budget == "tokens" else 1.0
    settings = replace(
        config.training,
        steps=round(config.training.steps * len(languages) * longer),
        epochs=config.training.epochs * longer,
    )
    if config.adapter == "lora":
        model = with_adapter(model, config)
    weighted = len(set(config.segment_weights)) > 1
    options: dict[str, Any] = {"collate": padded(tokenizer), "loss_fn": weighted_loss} if weighted else {}
    name = folder_name(config, languages[0])
    result = fit(model, stage.rows, settings, run, seed=config.seed, name=f"tune-{name}", **options)
    save_pretrained(model, run.artifact / name, tokenizer)
    if is_main_process():
        facts: dict[str, Any] = {"languages": list(languages), "base": base, "revision": revision(config)}
        facts |= {"quantization": quantization(config), "english_accuracy": english}
        facts |= {"chain": config.chain, "layout": config.layout, "template": config.template}
        facts |= {"rows": len(stage.rows), "dropped_too_long": stage.dropped, "tokens_per_row": stage.tokens}
        facts |= {"steps": result.steps, "final_loss": result.losses[-1] if result.losses else None}
        write_json(run.artifact / name / "taco.json", facts)


def revision(config: Config) -> str | None:
    """The commit of the model that stage 2 starts from."""
    return (config.revision or None) if config.curriculum else None


def quantization(config: Config) -> Literal["nf4"] | None:
    """The 4-bit format of the frozen base, as :func:`core.models.loading.load` takes it."""
    return None if config.quantization == "none" else config.quantization


def load(spec: str | Path, config: Config) -> Loaded:
    """A base or a tuned model, in the number format in which it is trained."""
    from core.models import loading

    return loading.load(
        spec,
        revision=revision(config),
        quantization=quantization(config),
        # Weights that are trained stay in float32; a frozen base takes what the device multiplies fast.
        dtype="float32" if config.adapter == "full" else "auto",
    )


class StageRows(NamedTuple):
    """What stage 2 trains on.

    Attributes:
        rows: Token rows.
        dropped: Share of the records that is too long.
        tokens: Mean tokens of a record as it is trained.
        chain_tokens: Mean tokens of a record with the whole chain.
    """

    rows: list[Row]
    dropped: float
    tokens: float
    chain_tokens: float


def stage_rows(tokenizer: PreTrainedTokenizerBase, languages: Sequence[str], config: Config) -> StageRows:
    """The tuning records of the languages as token rows, with English dialogues where they are asked for."""
    from papers.taco import data

    records = {language: data.load_records(config, language) for language in languages}
    tuning = [record for language in languages for record in data.split_records(records[language], config).tuning]
    chains, _ = data.fitting([data.chain_row(tokenizer, r, config, "taco") for r in tuning], config.training.max_length)
    rows, dropped = data.fitting(
        [data.chain_row(tokenizer, r, config, config.chain) for r in tuning], config.training.max_length
    )
    tokens, chain_tokens = (sum(len(row["input_ids"]) for row in some) / len(some) for some in (rows, chains))
    if config.english_share:
        # Several rounds of the records for one of English dialogues, so that these do not repeat every epoch.
        rounds = 4 if config.source == "numbers" else 1
        count = round(rounds * len(rows) * config.english_share / (1 - config.english_share))
        # Of spelled-out arithmetic, stage 1 saw every fact in English; otherwise only the tuning records may be used.
        source = records[languages[0]] if config.source == "numbers" else tuning
        rows = rows * rounds + data.english_rows(tokenizer, source, config, count, f"mixed-{config.seed}")
    return StageRows(rows, dropped, tokens, chain_tokens)


def with_adapter(model: PreTrainedModel, config: Config) -> Any:
    """LoRA on all linear layers but the head; on a quantised base prepared as in QLoRA."""
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if config.quantization != "none":
        model = prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=config.training.gradient_checkpointing
        )
    return get_peft_model(
        model,
        LoraConfig(
            r=config.lora_rank,
            lora_alpha=config.lora_alpha,
            lora_dropout=config.lora_dropout,
            target_modules="all-linear",
            # A model that is trained here has never seen a word of the target language.
            modules_to_save=None if config.base else ["embed_tokens", "lm_head"],
            task_type="CAUSAL_LM",
        ),
    )


def padded(tokenizer: PreTrainedTokenizerBase) -> Any:
    """Collate rows with loss weights into padded tensors: ids, mask, and targets and weights of the next token."""
    import torch

    def collate(rows: list[Row], rng: Any) -> dict[str, Any]:
        width = max(len(row["input_ids"]) for row in rows)
        filled = lambda values, fill: values + [fill] * (width - len(values))  # noqa: E731
        return {
            "input_ids": torch.tensor([filled(row["input_ids"], tokenizer.pad_token_id) for row in rows]),
            "attention_mask": torch.tensor([filled([1] * len(row["input_ids"]), 0) for row in rows]),
            "next_labels": torch.tensor([filled(row["labels"][1:], -100) for row in rows]),
            "next_weights": torch.tensor([filled(row["weights"][1:], 0.0) for row in rows]),
        }

    return collate


def weighted_loss(model: nn.Module, batch: Mapping[str, Any]) -> Loss:
    """The loss of :func:`papers.taco.method.weighted_loss`, for :func:`core.training.fit`."""
    from core.training.losses import Loss
    from papers.taco import method

    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits
    total, count = method.weighted_loss(logits, batch["next_labels"], batch["next_weights"])
    return Loss(total, count)


if __name__ == "__main__":
    entrypoint(train)
