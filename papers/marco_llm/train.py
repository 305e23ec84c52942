"""Continue a model on a staged multilingual mixture.

    python -m papers.marco_llm.train tiny --variant two_stage
    accelerate launch -m papers.marco_llm.train paper

With --model and --sources it continues your own (the page has the command). The artifact is a `save_pretrained` folder;
beside it `mixture.json` says what was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
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
    from core.training import documents, sharded
    from core.training.fit import save_pretrained
    from papers.marco_llm import data, miniature

    seed_everything(config.seed)
    start = config.model or miniature.base(config, run)
    refuse_too_large(start, sharded.parts(config.training))
    model, tokenizer = sharded.load(start, config.training)
    report: dict[str, Any] = {"rejected": {}, "stages": []}
    if config.mixture != "none":
        bodies, report["rejected"] = data.material(config)
        categories, texts = documents.tokenise(bodies, tokenizer)
        stages = data.mixture_of(config, categories)
        one = stages.in_one_stage()
        mixture = one if config.mixture == "average" else stages
        inputs, streamed = {"config": to_dict(config), "budgets": mixture.budgets}, any(map(callable, texts.values()))
        stream = partial(sample, mixture, texts, seed=config.seed)
        rows, counts = documents.ordered_rows(stream, run, inputs, on_disk=streamed)
        report["stages"] = describe(mixture, counts)
        if is_main_process() and not run.quiet:
            print(mixture.plan().table())
            for number, stage in enumerate(report["stages"], start=1):
                print(f"stage {number} realises {shares_text(stage['realised'])}")
            print(data.rejections(report["rejected"]), end="")
        continue_pretraining(model, rows, one if config.rate == "one" else stages, config.training, run, config.seed)
    save_pretrained(model, run.artifact, tokenizer)
    if is_main_process():
        write_json(run.artifact / "mixture.json", report)


def describe(mixture: StagedMixture, counts: Mapping[int, Mapping[str, int]]) -> list[dict[str, Any]]:
    """What each stage asked for, and what it read: tokens of the sources, shares of the categories."""
    found: list[dict[str, Any]] = []
    for number, shares in enumerate(mixture.shares_per_stage, start=1):
        read = counts.get(number, {})
        whole = max(1, sum(read.values()))
        amounts = {name: sum(read.get(code, 0) for code in codes) for name, codes in mixture.categories.items()}
        realised = {name: amount / whole for name, amount in amounts.items()}
        found.append({"asked": dict(shares), "realised": realised, "sources": dict(read)})
    return found


if __name__ == "__main__":
    entrypoint(train)
