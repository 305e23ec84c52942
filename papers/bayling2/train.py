"""Tune one model on a star mixture: one stage, all blocks shuffled together, loss on the responses.

    python -m papers.bayling2.train tiny --variant full
    python -m papers.bayling2.train tiny --variant no_xling --seed 1
    python -m papers.bayling2.train paper --model my-chat-model --template auto --languages sw \
        --instructions en=en.jsonl zh=zh.jsonl --parallel sw:en=sw-en.tsv --total 0 --training.strategy auto
    accelerate launch -m papers.bayling2.train paper

The artifact is a `save_pretrained` folder whose tokenizer carries the chat template, and the manifest of the mixture.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import corpora
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import read_json, write_json
from core.inference.chat import Chat
from core.models.tokenization import chat_rows
from papers.bayling2 import data, miniature
from papers.bayling2.chat import load_chat
from papers.bayling2.config import Config, scratch_shape
from papers.bayling2.method import tune


def train(config: Config, run: Run) -> None:
    """Write `artifact/model` and `artifact/manifest.json`."""
    from core.distributed import seed_everything
    from core.training.fit import save_pretrained

    seed_everything(config.seed)
    chat = start(config)
    facts: dict[str, Any] = {}
    if config.blocks:
        rows, facts = prepared(config, run, chat)
        facts["steps"] = tune(chat.model, rows, config.training, run, config.seed).steps
    chat.model.generation_config.eos_token_id = chat.stop_ids()
    save_pretrained(chat.model, run.artifact / "model", chat.tokenizer)
    if is_main_process():
        write_json(run.artifact / "manifest.json", facts)


def start(config: Config) -> Chat:
    """The model before tuning: the checkpoint, or a scratch model over number words."""
    from core.models import loading

    if config.model is not None:
        return load_chat(config.model, config.template, dtype="float32")
    tokenizer = miniature.tokenizer_for(config)
    return Chat(loading.from_config(scratch_shape(len(tokenizer), config), seed=config.seed), tokenizer)


def prepared(config: Config, run: Run, chat: Chat) -> tuple[Any, dict[str, Any]]:
    """Token rows of the mixture, and its manifest with, in miniature, what solvers that know nothing reach.

    Those of a pretrained model are built once for all processes, and read from disk.
    """
    from datasets import load_from_disk

    if config.model is None:
        rows = data.mixture(config)
        facts = {**data.manifest(rows), "trivial": miniature.solvers(config, rows)}
        return chat_rows(chat.tokenizer, [row["messages"] for row in rows]), facts

    def build(folder: Path) -> None:
        rows = data.mixture(config)

        def encoded(batch: dict[str, Any]) -> dict[str, Any]:
            found = chat_rows(chat.tokenizer, batch["messages"])
            return {name: [row[name] for row in found] for name in ("input_ids", "labels")}

        table = corpora.to_dataset([{"messages": row["messages"]} for row in rows])
        table.map(encoded, batched=True, remove_columns=["messages"]).save_to_disk(folder / "rows")
        write_json(folder / "manifest.json", data.manifest(rows))

    folder = run.stage("mixture", asdict(config), build)
    return load_from_disk(folder / "rows"), read_json(folder / "manifest.json") or {}


if __name__ == "__main__":
    entrypoint(train)
