"""Continue a model on one mixture of the grid.

    python -m papers.cpt_mixing.train tiny --variant bi_code
    python -m papers.cpt_mixing.train --model my-model --sources sources.jsonl --test-corpus held_out.tsv --data bi \
        --code 0.33 --tokens 2e7 --out runs/bi_code
    accelerate launch -m papers.cpt_mixing.train paper --sources selfish

The artifact holds a `save_pretrained` folder for each group of languages; beside it `mixture.json` says what was read.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from core.corpora.budget import Plan, shares_text
from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.cpt_mixing.config import Config
from papers.cpt_mixing.method import continue_pretraining


def train(config: Config, run: Run) -> None:
    """Each group of languages by itself, from the same base."""
    from core.corpora.mixture import Mixture
    from core.cost.accounting import refuse_too_large
    from core.distributed import seed_everything
    from core.training import documents, sharded
    from core.training.fit import save_pretrained
    from papers.cpt_mixing import data, miniature

    seed_everything(config.seed)
    start = config.model or miniature.base(config, run)
    refuse_too_large(start, sharded.parts(config.training))
    report: dict[str, Any] = {}
    for group in data.groups(config) if config.data != "none" else ():
        model, tokenizer = sharded.load(start, config.training)
        categories, texts = documents.tokenise(data.bodies(config, group), tokenizer)
        budgets = data.budgets(config, categories)
        inputs, streamed = {"config": to_dict(config), "group": group}, any(map(callable, texts.values()))
        stream = partial(Mixture, texts, [budgets], seed=config.seed)
        rows, counts = documents.ordered_rows(stream, run, inputs, on_disk=streamed)
        report[group] = counts[1]
        if is_main_process() and not run.quiet:
            print(Plan(categories, [budgets]).table(), f"realised: {shares_text(counts[1])}", sep="\n")
        continue_pretraining(model, rows, config.training, run, seed=config.seed, name=group)
        save_pretrained(model, run.artifact / group, tokenizer)
    if is_main_process():
        run.artifact.mkdir(parents=True, exist_ok=True)
        write_json(run.artifact / "mixture.json", report)


if __name__ == "__main__":
    entrypoint(train)
