"""Tune one model on a star mixture: one stage, all blocks shuffled together, loss on the responses.

    python -m papers.bayling2.train tiny --variant full
    python -m papers.bayling2.train tiny --variant no_xling --seed 1
    python -m papers.bayling2.train --model my-chat-model --languages sw --instructions en=en.jsonl zh=zh.jsonl \
        --parallel sw:en=sw-en.tsv --xling-per-language 5000 --knowledge-share 0 --out runs/mine
    accelerate launch -m papers.bayling2.train paper

The artifact is a `save_pretrained` folder whose tokenizer carries the chat template, and the manifest of the mixture.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.bayling2.config import Config, scratch_shape

if TYPE_CHECKING:
    from papers.bayling2.chat import Chat


def train(config: Config, run: Run) -> None:
    """Write `artifact/model` and `artifact/manifest.json`."""
    from core.distributed import seed_everything
    from core.training.fit import fit, save_pretrained
    from papers.bayling2.method import CHAT_TEMPLATES

    seed_everything(config.seed)
    chat = start(config)
    facts: dict[str, Any] = {}
    if any(config.shares.values()):
        rows, facts = prepared(config, run, chat)
        result = fit(chat.model, rows, config.training, run, seed=config.seed)
        facts |= {"steps": result.steps, "losses": result.losses[:: max(1, len(result.losses) // 50)]}
    chat.tokenizer.chat_template = CHAT_TEMPLATES[chat.template]
    chat.model.generation_config.eos_token_id = chat.stop_ids()
    save_pretrained(chat.model, run.artifact / "model", chat.tokenizer)
    if is_main_process():
        write_json(run.artifact / "manifest.json", facts)


def start(config: Config) -> Chat:
    """The model before tuning: the checkpoint, or a scratch model over number words."""
    from core.models import loading
    from papers.bayling2.chat import Chat

    named: Any = None if config.template == "auto" else config.template
    if config.model is not None:
        return Chat.load(config.model, named, dtype="float32")
    from papers.bayling2.numerals import word_tokenizer

    tokenizer = word_tokenizer(config)
    model = loading.from_config(scratch_shape(len(tokenizer), config.scratch), seed=config.seed)
    return Chat(model, tokenizer, named or "plain")


def prepared(config: Config, run: Run, chat: Chat) -> tuple[Any, dict[str, Any]]:
    """Token rows of the mixture, and its manifest. Those of a pretrained model are built once for all processes."""
    from dataclasses import asdict

    from papers.bayling2.data import mixture, training_rows
    from papers.bayling2.method import manifest

    if config.model is None:
        rows = mixture(config)
        return training_rows(chat.tokenizer, rows, chat.template), manifest(rows)

    def build(folder: Path) -> None:
        rows = mixture(config)
        training_rows(chat.tokenizer, rows, chat.template, config.workers).save_to_disk(folder / "rows")
        write_json(folder / "manifest.json", manifest(rows))

    from datasets import load_from_disk

    from core.files import read_json

    folder = run.stage("mixture", {**asdict(config), "template": chat.template}, build)
    return load_from_disk(folder / "rows"), read_json(folder / "manifest.json")


if __name__ == "__main__":
    entrypoint(train)
