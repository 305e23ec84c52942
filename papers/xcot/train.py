"""Tune a model on questions of many languages, by the three devices.

    python -m papers.xcot.train tiny --variant xcot
    python -m papers.xcot.train paper --examples mine.jsonl --languages sw ne --base my-model
    accelerate launch -m papers.xcot.train paper

Stage 1 (English problems, miniature alone) is shared by all variants of a seed. The artifact is a `save_pretrained`
folder with `xcot.json`: what a user of the model has to know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import UserError
from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.xcot.config import Config, whole

if TYPE_CHECKING:
    from papers.xcot.method import Draws


def train(config: Config, run: Run) -> None:
    """Stage 1 where the model is ours, then the tuning.

    Raises:
        UserError: Queries are to be rewritten online by several processes.
    """
    from core.distributed import seed_everything, world_size
    from core.models.loading import load
    from core.training.fit import save_pretrained
    from papers.xcot import data, method

    if config.source == "online" and world_size() > 1:
        raise UserError("source = 'online' writes with the whole model in one process: take --source parallel here.")
    seed_everything(config.seed, 0)
    model, tokenizer = load(starting_point(config, run), dtype="float32")
    pool = data.pool(config)
    rows = method.Draws(pool, config, data.samples(config, pool))
    mine = tokens(tokenizer, rows)
    ratio = tokens(tokenizer, method.Draws(pool, whole(config), rows.count)) / mine
    rows = method.Draws(pool, config, round(rows.count * ratio))
    result = method.tune(model, tokenizer, rows, config.training, run)
    save_pretrained(model, run.artifact, tokenizer)
    if is_main_process():
        facts = {"rewrite": config.rewrite, "max_new_tokens": config.max_new_tokens, "steps": result.steps}
        write_json(run.artifact / "xcot.json", {**facts, "tokens_per_sample": mine, "final_loss": result.losses[-1]})


def starting_point(config: Config, run: Run) -> str:
    """The model that is tuned: hub id or folder."""
    if config.base:
        return config.base
    from papers.xcot import miniature

    inputs = {"seed": config.seed, "languages": miniature.targets(config), "english": to_dict(config.english)}
    return str(run.stage("english", inputs, lambda folder: miniature.english_model(config, run, folder)) / "model")


def tokens(tokenizer: object, rows: Draws, drawn: int = 512) -> float:
    """Mean tokens of a sample, examples beside it included, the teacher's not."""
    from papers.xcot.batches import Batches

    batches = Batches(tokenizer, rows.config, rows.config.training.max_length)
    found = [rows[place] for place in range(min(drawn, len(rows)))]
    return float(batches(found)["attention_mask"].sum()) / len(found)


if __name__ == "__main__":
    entrypoint(train)
