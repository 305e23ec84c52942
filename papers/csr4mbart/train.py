"""Restore, then fine-tune: a model for each direction, or one for all of them.

    python -m papers.csr4mbart.train tiny --variant csr
    python -m papers.csr4mbart.train tiny --variant plain_equal
    accelerate launch -m papers.csr4mbart.train paper --variant csr

The artifact has a `save_pretrained` folder for each fine-tuned model and one, `<language>/restored`, for each stage 1;
`lexicons.json` says how the lexicons compare with those of parallel text, where these are known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.csr4mbart.config import Config


def train(config: Config, run: Run) -> None:
    """Both stages of every task."""
    from core.models.loading import load
    from core.training.fit import save_pretrained
    from papers.csr4mbart import data, method

    found, precision = data.world(config, run), {}
    more = config.restoring.steps if config.equal_steps else 0
    settings = replace(config.training, steps=config.training.steps + more)
    for task in data.tasks(config, found.languages):
        start = found.start
        if config.objective != "none":
            model, tokenizer = load(start, task="seq2seq", dtype="float32")
            with_dropout(model, config)
            lexicons = {pair: data.lexicon_of(config, found, tokenizer, pair[1]) for pair in task.restored}
            for (_, code), lexicon in lexicons.items():
                if lexicon and code in found.gold:
                    precision[code] = data.precision(lexicon, found.gold[code])
            rows = data.pairs(tokenizer, found.tuning, task.restored)
            common: dict[str, Any] = {"pad": tokenizer.pad_token_id, "smoothing": config.smoothing}
            noisers = data.noisers(tokenizer, lexicons)
            name = f"restore-{task.name}"
            method.restore(model, rows, noisers, config.restoring, run, config.seed, name=name, **common)
            start = str(run.artifact / task.name / "restored")
            save_pretrained(model, run.artifact / task.name / "restored", tokenizer)
        for name, directions in task.tuned.items():
            model, tokenizer = load(start, task="seq2seq", dtype="float32")
            with_dropout(model, config)
            rows = data.pairs(tokenizer, found.tuning, directions)
            common = {"pad": tokenizer.pad_token_id, "smoothing": config.smoothing}
            method.fine_tune(model, rows, settings, run, config.seed, name=f"tune-{name}", **common)
            save_pretrained(model, run.artifact / task.name / name, tokenizer)
    if is_main_process():
        write_json(run.artifact / "lexicons.json", precision)


def with_dropout(model: Any, config: Config) -> None:
    """Set the rates of a model whose configuration has others."""
    for part in model.modules():
        if isinstance(getattr(part, "dropout", None), float):
            part.dropout = config.attention_dropout if "Attention" in type(part).__name__ else config.dropout


if __name__ == "__main__":
    entrypoint(train)
