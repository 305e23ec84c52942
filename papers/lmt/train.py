"""Train one arm: the base model where it is ours, then fine-tuning on the downsampled multi-way set.

    python -m papers.lmt.train tiny --variant symmetric
    python -m papers.lmt.train tiny --retention-p 0.1 --pmp-fraction 0.5
    accelerate launch -m papers.lmt.train paper --sft-data my_set/sft.jsonl --model Qwen/Qwen3-0.6B-Base

The artifact is a `save_pretrained` folder with model and tokenizer; beside it is the fine-tuning set.
"""

from __future__ import annotations

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.inference.chat import Chat
from papers.lmt import data, method, miniature
from papers.lmt.config import Config


def train(config: Config, run: Run) -> None:
    """Fine-tune from the checkpoint, or from the miniature's base model, which all variants of a seed share."""
    from core.distributed import seed_everything
    from core.training import sharded
    from core.training.fit import save_pretrained

    seed_everything(config.seed)
    start = config.model or str(miniature.base(config, run))
    model, tokenizer = sharded.load(start, config.sft)
    if config.use_sft:
        if config.model:
            # Base checkpoints do not know the end token of their chat template.
            model.generation_config.eos_token_id = Chat(model, tokenizer).stop_ids()
        examples = data.sft_examples(config)
        if is_main_process():
            data.write_sft(run.path / "sft", examples)
        rows = method.training_rows(tokenizer, examples)
        settings = config.sft if config.model else miniature.equal_updates(config.sft, len(rows))
        method.tune(model, rows, settings, run, config.seed)
    save_pretrained(model, run.artifact, tokenizer)


if __name__ == "__main__":
    entrypoint(train)
