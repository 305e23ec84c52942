"""Train one start in k languages, for every k of the study.

    python -m papers.parallel_scaling.train tiny --variant grpo
    python -m papers.parallel_scaling.train tiny --variant grpo --ks 1 2
    accelerate launch -m papers.parallel_scaling.train paper --problems mine.jsonl --ks 2

The artifact has a `save_pretrained` folder for each k (`k1`, `k2`, ...), and `study.json`: the languages of each.
"""

from __future__ import annotations

from typing import Any

from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.parallel_scaling import miniature
from papers.parallel_scaling.config import Config, examples


def train(config: Config, run: Run) -> None:
    """All trainings of a study, each from the same weights."""
    from core.distributed import seed_everything
    from core.models.loading import load
    from core.training.fit import save_pretrained
    from papers.parallel_scaling import data, method, reasoning

    order, start = languages(config)[0], starting_point(config, run)
    notes = {}
    for k in config.ks:
        seed_everything(config.seed, 0)
        model, tokenizer = load(start, dtype="float32")
        problems: Any = data.aligned(config, order) if config.base else miniature.parts(config.seed)["train"]
        learnt = method.schedule(
            len(problems), order[:k], examples(config, len(problems)), budget=config.budget, parallel=config.parallel,
            seed=config.seed,
        )  # fmt: skip
        if config.base:
            asked = [(problems[number], code) for number, code in learnt]
            model = reasoning.train(model, tokenizer, asked, config, run, name=f"k{k}")
        else:
            known = {code: miniature.sums(tokenizer, problems, code) for code in order[:k]}
            method.train(
                model, [known[code][number] for number, code in learnt], config.training, run, seed=config.seed,
                paradigm=config.paradigm, group=config.group, permuted=config.permuted, name=f"k{k}",
            )  # fmt: skip
        save_pretrained(model, run.artifact / f"k{k}", tokenizer)
        notes[f"k{k}"] = {"languages": order[:k], "examples": len(learnt)}
    if is_main_process():
        write_json(run.artifact / "study.json", notes)


def languages(config: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """In the order in which they join; and those that are never trained on."""
    return (config.languages, config.unseen) if config.base else (miniature.order(config), miniature.unseen(config))


def starting_point(config: Config, run: Run) -> str:
    """The model that every training starts from: hub id or folder."""
    if config.base:
        return config.base
    names = ("seed", "shown", "english_centric", "sums", "adds", "temperature", "unseen")
    inputs = {name: getattr(config, name) for name in names} | {"reading": to_dict(config.reading)}
    return str(run.stage("reader", inputs, lambda folder: miniature.reader(config, run, folder)) / "model")


if __name__ == "__main__":
    entrypoint(train)
