"""Train one arm through its stages.

    python -m papers.three_stage_mt.train tiny --variant full
    python -m papers.three_stage_mt.train tiny --variant shuffled
    accelerate launch -m papers.three_stage_mt.train paper

The artifact is a `save_pretrained` folder with model and tokenizer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from core.tasks.translation import segments
from papers.three_stage_mt import data, method, miniature
from papers.three_stage_mt.config import LORA_ALPHA, LORA_RANK, Config


def train(config: Config, run: Run) -> None:
    """Stages 1 and 2 as far as the arm has them, then tuning on the small set."""
    from core.distributed import print_main, seed_everything
    from core.models import loading
    from core.models.adapters import with_lora
    from core.training.fit import save_pretrained

    seed_everything(config.seed)
    if config.base is None:
        model, tokenizer = loading.load(str(miniature.started(config, run)), dtype="float32")
        pairs = miniature.pairs(miniature.parts(config)["tuning"], config)
        text = miniature.blocks(tokenizer, config) if config.bitext_as == "instructions" else []
        bitext = miniature.pairs(miniature.parts(config)["text"], config)
        tuning = miniature.tuning(config)
    else:
        start = config.base if config.monolingual else config.raw_base
        model, tokenizer = loading.load(str(start), dtype="auto" if config.adapter == "lora" else "float32")
        if config.adapter == "lora":
            checkpointing = config.aligning.gradient_checkpointing
            model = with_lora(model, LORA_RANK, alpha=LORA_ALPHA, checkpointing=checkpointing)
        pairs, text, bitext, tuning = data.tuning(config), [], [], config.translating
        if config.bitext_as != "nothing":
            documents = data.documents(config)
            units = method.make_interlinear(
                documents, config.order, config.granularity, alignment=config.alignment, seed=config.seed
            )
            text, _, dropped = method.pack(tokenizer, units, config.aligning.max_length)
            if dropped:
                print_main(f"Not read: {dropped} units longer than aligning.max_length = {config.aligning.max_length}.")
            first, second = config.languages
            table = [{first: a, second: b} for document in documents for a, b in document]
            bitext = segments(table, [(first, second), (second, first)])
        if config.bitext_as == "interlinear":
            method.train_stage(model, text, config.aligning, run, config.seed, "stage2")
    if config.bitext_as == "instructions":
        rows = method.translation_rows(tokenizer, bitext, config.instruction_language)
        method.train_stage(model, rows, equal_tokens(config, text, rows), run, config.seed, "instructions")
    rows = method.translation_rows(tokenizer, pairs, config.instruction_language)
    method.train_stage(model, rows, tuning, run, config.seed, "stage3")
    save_pretrained(model, run.artifact, tokenizer)


def equal_tokens(config: Config, text: Any, rows: Any) -> Any:
    """Settings under which instructions are read for as many tokens, in as many updates, as stage 2 would take."""
    tokens = sum(len(block["input_ids"]) for block in text) * (
        config.aligning.epochs if not config.aligning.steps else 1
    )
    steps = config.aligning.steps or max(1, round(len(text) * config.aligning.epochs / config.aligning.batch_size))
    each = config.translating.row_tokens(rows)
    size = max(1, round(tokens / (steps * each)))
    return replace(
        config.aligning, steps=steps, batch_size=size, max_length=config.translating.max_length, shuffle=True
    )


if __name__ == "__main__":
    entrypoint(train)
