"""Continue a model on a staged multilingual mixture.

    python -m papers.marco_llm.train tiny --variant two_stage
    python -m papers.marco_llm.train --model my-model --sources sources.jsonl --stage1 english=0.8 low=0.2 \
        --stage2 english=0.6 low=0.4 --tokens 2e7 1e7 --lr-stage1 1e-5 --lr-stage2 6e-6 --out runs/mine
    accelerate launch -m papers.marco_llm.train paper

The artifact is a `save_pretrained` folder with model and tokenizer; beside it `mixture.json` says what was read.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.corpora.mixture import Documents
from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.marco_llm.config import Config
from papers.marco_llm.method import Plan, shares_text, tokens_by_category
from papers.marco_llm.recipe import staged_mixture
from papers.marco_llm.sampler import sample


def train(config: Config, run: Run) -> None:
    """All stages of the mixture, each from where the one before ended, then the post-training that has data."""
    from core.distributed import seed_everything
    from core.models import loading
    from core.training.fit import fit, save_pretrained
    from papers.marco_llm import base, data, post
    from papers.marco_llm.bodies import tokenise

    seed_everything(config.seed)
    model, tokenizer = loading.load(base.start(config, run), dtype="float32")
    material = data.material(config)
    categories, documents = tokenise(material.bodies, tokenizer)
    plan = staged_mixture(config, categories).plan(temperature=config.temperature, max_epochs=config.max_epochs)
    talks = is_main_process() and not run.quiet
    if talks:
        print(plan.table())
    report: dict[str, Any] = {"rejected": material.rejected, "stages": [], "curve": []}
    for number, (rows, counts) in enumerate(stage_rows(config, plan, documents, run), start=1):
        read = describe(plan, number, counts)
        if talks:
            print(f"stage {number} realises {shares_text(read['realised'])}")
        settings = replace(
            config.training,
            learning_rate=read["learning_rate"],
            steps=0,
            epochs=1,
            eval_every=_steps_between(config, read["tokens"]),
        )
        watch = curve(config, tokenizer) if config.curve_points else None
        model = base.in_one_piece(model, tokenizer, run)
        result = fit(model, rows, settings, run, seed=config.seed + number, name=f"stage{number}", evaluate=watch)
        report["stages"].append(read | {"tokens_per_second": result.tokens_per_second})
        report["curve"].append({"steps": result.steps, "points": result.evaluations})
    model = post.align(model, tokenizer, config, run)
    save_pretrained(model, run.artifact, tokenizer)
    if is_main_process():
        write_json(run.artifact / "mixture.json", report)


def stage_rows(
    config: Config, plan: Plan, documents: Mapping[str, Documents[list[int]]], run: Run
) -> list[tuple[Any, dict[str, int]]]:
    """Token rows of each stage in order, and how many tokens of each source they hold.

    Sources that are read as a stream go to disk first, by one process for all, so that rows can be read by index.
    """

    def rows() -> Iterator[dict[str, Any]]:
        for number, name, ids in sample(plan, documents, seed=config.seed, accounting=config.accounting):
            yield {"stage": number, "source": name, "tokens": len(ids), "input_ids": ids}

    numbers = range(1, len(plan.stages) + 1)
    if not any(callable(found) for found in documents.values()):
        together = list(rows())
        parts: list[Any] = [[row for row in together if row["stage"] == number] for number in numbers]
        return [(part, _tokens_by_source((row["source"], row["tokens"]) for row in part)) for part in parts]
    import datasets
    import numpy as np

    kinds = {"stage": "int8", "source": "string", "tokens": "int32"}
    features = {name: datasets.Value(kind) for name, kind in kinds.items()}
    features["input_ids"] = datasets.List(datasets.Value("int32"))

    def build(folder: Path) -> None:
        table: Any = datasets.Dataset.from_generator(
            rows, features=datasets.Features(features), cache_dir=str(folder / "cache")
        )
        table.save_to_disk(folder / "rows")
        shutil.rmtree(folder / "cache")

    inputs = {"config": to_dict(config), "plan": [[use.tokens for use in stage.uses] for stage in plan.stages]}
    table: Any = datasets.load_from_disk(run.stage("mixture", inputs, build) / "rows")
    ends = np.searchsorted(np.asarray(table["stage"]), numbers, side="right").tolist()
    parts = [table.select(range(begin, end)) for begin, end in zip([0, *ends], ends, strict=False)]
    return [(part, _tokens_by_source(zip(part["source"], part["tokens"], strict=True))) for part in parts]


def _tokens_by_source(lengths: Iterable[tuple[str, int]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for name, length in lengths:
        counts[name] += length
    return dict(counts)


def describe(plan: Plan, number: int, counts: Mapping[str, int]) -> dict[str, Any]:
    """What a stage asked for and what it read: tokens, shares of the categories, epochs of the sources."""
    stage = plan.stages[number - 1]
    read = [replace(use, tokens=counts.get(use.source.name, 0)) for use in stage.uses]
    whole = max(1, sum(counts.values()))
    return {
        "budget": stage.budget,
        "tokens": sum(counts.values()),
        "learning_rate": stage.learning_rate,
        "asked": dict(stage.shares),
        "realised": {category: tokens / whole for category, tokens in tokens_by_category(read).items()},
        "sources": dict(counts),
        "epochs": {use.source.name: use.epochs for use in read if use.tokens},
    }


def curve(config: Config, tokenizer: Any) -> Callable[[Any], dict[str, float]]:
    """A measurement to make along a stage: bits per byte of old and new languages on a part of the development text."""
    from papers.marco_llm import data, measure

    texts = {code: lines[:24] for code, lines in data.held_out_text(replace(config, split="dev")).items()}
    old = data.old_languages(config, texts)
    new = [code for code in texts if code not in old]

    def watch(model: Any) -> dict[str, float]:
        found = measure.bits(model, tokenizer, texts)
        return {"old": measure.mean(found, old), "new": measure.mean(found, new)}

    return watch


def _steps_between(config: Config, tokens: int) -> int:
    """Steps between two points of the curve; 0 = none."""
    if not config.curve_points:
        return 0
    steps = tokens / (config.training.batch_size * config.training.max_length)
    return max(1, round(steps / config.curve_points))


if __name__ == "__main__":
    entrypoint(train)
