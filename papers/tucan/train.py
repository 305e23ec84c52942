"""Adapt a chat model to calling functions in a language.

python -m papers.tucan.train tiny --variant bg+en
python -m papers.tucan.train tiny --base my-chat-model --train-file conversations.jsonl --out runs/mine
python -m papers.tucan.train paper
"""

from __future__ import annotations

from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from core.files import write_json
from papers.tucan.config import Config


def train(config: Config, run: Run) -> None:
    """Write `artifact/adapter` (or `artifact/model`), `artifact/tucan.json`, and on request `artifact/merged`."""
    from core.distributed import is_main, seed_everything
    from core.training.fit import fit, save_pretrained
    from papers.tucan import base, data

    seed_everything(config.seed)
    prompt, digest = data.prompt_of(config.prompt)
    facts: dict[str, Any] = {"base": config.base or "scratch", "prompt": digest, "adapter": config.adapter}
    if config.adapter != "none":
        model, tokenizer = base.load_base(config, run)
        chats = base.training_conversations(config, prompt)
        rows = [base.training_row(tokenizer, chat, config.loss_on) for chat in chats]
        tokens = sum(len(row["input_ids"]) for row in rows)
        too_long = sum(len(row["input_ids"]) > config.training.max_length for row in rows)
        if too_long and is_main():
            limit, fate = config.training.max_length, config.training.long_documents
            print(f"{too_long} of {len(rows)} conversations exceed {limit} tokens (training.long_documents: {fate}).")
        adapted: Any = with_adapter(model, config) if config.adapter == "lora" else model
        result = fit(adapted, rows, config.training, run, seed=config.seed)
        facts |= {
            "conversations": len(rows),
            "tokens": tokens,
            "too_long": too_long,
            "trained_parameters": sum(p.numel() for p in adapted.parameters() if p.requires_grad),
            "steps": result.steps,
            "losses": result.losses,
            "tokens_per_second": result.tokens_per_second,
        }
        save_pretrained(adapted, run.artifact / ("adapter" if config.adapter == "lora" else "model"), tokenizer)
        if config.save_merged and config.adapter == "lora":
            save_pretrained(adapted.merge_and_unload(), run.artifact / "merged", tokenizer)
    if is_main():
        write_json(run.artifact / "tucan.json", facts)


def with_adapter(model: Any, config: Config) -> Any:
    """LoRA on all linear layers but the head; a 4-bit base is prepared as in QLoRA."""
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if config.quantization != "none":
        checkpointing = config.training.gradient_checkpointing
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=checkpointing)
    settings = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    adapted = get_peft_model(model, settings)
    # What an adapter is to be put on again: the name that was asked for, not the folder where it was found.
    adapted.peft_config["default"].base_model_name_or_path = config.base
    return adapted


if __name__ == "__main__":
    entrypoint(train)
