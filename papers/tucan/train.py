"""Adapt a chat model to calling functions in a language.

python -m papers.tucan.train tiny --variant bg+en
python -m papers.tucan.train tiny --base my-chat-model --train-file conversations.jsonl --out runs/mine
python -m papers.tucan.train paper
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from papers.tucan import data, method, miniature
from papers.tucan.config import Config

if TYPE_CHECKING:
    from core.models.loading import Loaded


def train(config: Config, run: Run) -> None:
    """Write `artifact/adapter`; nothing where the base is measured as it is."""
    from core.distributed import seed_everything
    from core.training.fit import save_pretrained

    if config.adapter == "none":
        return
    seed_everything(config.seed)
    model, tokenizer = load_base(config, run)
    lora = (config.lora_rank, config.lora_dropout)
    adapted = method.tune(model, tokenizer, data.training_chats(config), *lora, config.training, run, config.seed)
    if config.base:
        # What the adapter is to be put on again: the name that was asked for, not the folder where it was found.
        adapted.peft_config["default"].base_model_name_or_path = config.base
    save_pretrained(adapted, run.artifact / "adapter", tokenizer)


def load_base(config: Config, run: Run) -> Loaded:
    """The model before tuning, in evaluation mode, and its tokenizer; the small one is pre-trained once a seed."""
    from core.models import loading

    if not config.base:
        inputs = {name: to_dict(config)[name] for name in ("seed", "base_model", "prompt")}
        folder = run.stage("base", inputs, lambda folder: miniature.pretrain(config, run, folder))
        return loading.load(folder, dtype="float32")
    quantization = None if config.quantization == "none" else config.quantization
    return loading.load(config.base, quantization=quantization, attention=config.attention)


if __name__ == "__main__":
    entrypoint(train)
