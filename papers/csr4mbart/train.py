"""Restore, then fine-tune: a model for each direction, or one for all of them.

    python -m papers.csr4mbart.train tiny --variant csr
    python -m papers.csr4mbart.train tiny --variant plain_equal
    accelerate launch -m papers.csr4mbart.train paper --variant csr

The artifact has a `save_pretrained` folder for each fine-tuned model and one, `<language>/restored`, for each stage 1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from papers.csr4mbart.config import Config


def train(config: Config, run: Run) -> None:
    """Both stages of every task."""
    from core.models.loading import load
    from core.training import seq2seq
    from core.training.fit import save_pretrained
    from papers.csr4mbart import data, method

    def started(spec: str) -> tuple[Any, Any, dict[str, Any]]:
        model, tokenizer = load(spec, task="seq2seq", dtype="float32")
        seq2seq.set_dropout(model, config.dropout, config.attention_dropout)
        return model, tokenizer, {"pad": tokenizer.pad_token_id, "smoothing": config.smoothing}

    # Sentences of real text differ in length: batches of like ones are a fraction of the work.
    found, bucket = data.world(config, run), bool(config.model)
    more = config.restoring.steps if config.equal_steps else 0
    for task in data.tasks(config, found.languages):
        start = found.start
        if config.objective != "none":
            model, tokenizer, common = started(start)
            lexicons = {pair: data.lexicon_of(config, found, tokenizer, pair[1]) for pair in task.restored}
            rows, noisers = data.pairs(tokenizer, found.tuning, task.restored), data.noisers(tokenizer, lexicons)
            restoring, name = config.restoring, f"restore-{task.name}"
            if bucket:
                rows, restoring = data.like_lengths(rows, restoring, config.seed)
            method.restore(model, rows, noisers, restoring, run, config.seed, name=name, **common)
            start = str(run.artifact / task.name / "restored")
            save_pretrained(model, run.artifact / task.name / "restored", tokenizer)
        for name, directions in task.tuned.items():
            model, tokenizer, common = started(start)
            pairs = data.translations(data.pairs(tokenizer, found.tuning, directions))
            # In miniature a model of several directions is tuned as long as models of each would be together.
            steps = config.training.steps * (1 if config.model else len(directions))
            settings = replace(config.training, steps=steps + more)
            seq2seq.train(model, pairs, settings, run, config.seed, bucket=bucket, name=f"tune-{name}", **common)
            save_pretrained(model, run.artifact / task.name / name, tokenizer)


if __name__ == "__main__":
    entrypoint(train)
