"""Continue a model on a staged multilingual mixture.

    python -m papers.marco_llm.train tiny --variant two_stage
    python -m papers.marco_llm.train --model my-model --sources sources.jsonl --stage1 english=0.8 low=0.2 \
        --stage2 english=0.6 low=0.4 --tokens 2e7 1e7 --lr-stage1 1e-5 --lr-stage2 6e-6 \
        --test-corpus held_out.tsv --out runs/mine
    accelerate launch -m papers.marco_llm.train paper

The artifact is a `save_pretrained` folder with model and tokenizer; beside it `mixture.json` says what was read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from core.corpora.budget import shares_text
from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.marco_llm.config import Config
from papers.marco_llm.method import StagedMixture, continue_pretraining, sample


def train(config: Config, run: Run) -> None:
    """All stages of the mixture, each from where the one before ended."""
    from core.cost.accounting import refuse_too_large
    from core.distributed import seed_everything
    from core.models import loading
    from core.training import documents
    from core.training.fit import save_pretrained
    from papers.marco_llm import data, miniature

    seed_everything(config.seed)
    start = config.model or miniature.base(config, run)
    refuse_too_large(start)
    model, tokenizer = loading.load(start, dtype="float32")
    report: dict[str, Any] = {"rejected": {}, "stages": [], "curve": []}
    if config.stages != "none":
        bodies, report["rejected"] = data.material(config)
        categories, texts = documents.tokenise(bodies, tokenizer)
        mixture = data.mixture_of(config, categories)
        rows, counts = documents.ordered_rows(
            lambda: sample(mixture, texts, seed=config.seed),
            run,
            {"config": to_dict(config), "budgets": mixture.budgets},
            on_disk=any(map(callable, texts.values())),
        )
        report["stages"] = describe(mixture, counts)
        if is_main_process() and not run.quiet:
            print(mixture.plan().table())
            for number, stage in enumerate(report["stages"], start=1):
                print(f"stage {number} realises {shares_text(stage['realised'])}")
        tokens = sum(stage["tokens"] for stage in report["stages"])
        steps = tokens / (config.training.batch_size * config.training.max_length)
        points, watch = config.curve_points, curve(config, tokenizer)
        settings = replace(config.training, eval_every=math.ceil(steps / points) if points else 0)
        before = [(0, watch(model))] if points else []
        result = continue_pretraining(
            model, rows, mixture, settings, run, seed=config.seed, evaluate=watch if points else None
        )
        report["curve"] = [
            {"tokens": tokens * step / result.steps, **values} for step, values in (*before, *result.evaluations)
        ]
    save_pretrained(model, run.artifact, tokenizer)
    if is_main_process():
        write_json(run.artifact / "mixture.json", report)


def describe(mixture: StagedMixture, counts: Mapping[int, dict[str, int]]) -> list[dict[str, Any]]:
    """What each stage asked for and what it read: tokens, rate, shares of the categories, tokens of the sources."""
    category = {name: category for category, sources in mixture.categories.items() for name in sources}
    found: list[dict[str, Any]] = []
    for number, (shares, rate) in enumerate(zip(mixture.shares_per_stage, mixture.lr_per_stage, strict=True), 1):
        read = counts.get(number, {})
        whole, realised = sum(read.values()), dict.fromkeys(shares, 0.0)
        for name, tokens in read.items():
            realised[category[name]] += tokens / max(1, whole)
        stage = {"tokens": whole, "learning_rate": rate, "asked": dict(shares), "realised": realised, "sources": read}
        found.append(stage)
    return found


def curve(config: Config, tokenizer: Any) -> Callable[[Any], dict[str, float]]:
    """A measurement to make along the stages: bits per byte of old and new languages on a part of development text."""
    from core.inference.scoring import text_bits
    from papers.marco_llm import data

    def watch(model: Any) -> dict[str, float]:
        texts = {code: lines[:16] for code, lines in data.held_out_text(replace(config, split="dev")).items()}
        old, bits = data.old_languages(config, texts), text_bits(model, tokenizer, texts)
        groups = {"old": old, "new": [code for code in texts if code not in old]}
        return {name: sum(bits[code] for code in codes) / len(codes) for name, codes in groups.items() if codes}

    return watch


if __name__ == "__main__":
    entrypoint(train)
