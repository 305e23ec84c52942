"""Align a model by preferences: make pairs, or read them, and train on them.

    python -m papers.language_neurons.train tiny --variant mapo
    python -m papers.language_neurons.train paper-align --preferences pairs.jsonl

The artifact is a `save_pretrained` folder, or an adapter. Without an alignment nothing is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from core.errors import UserError
from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from papers.language_neurons.config import BETA, CALCULATOR, LORA_RANK, TARGETS, Config

if TYPE_CHECKING:
    from core.models.loading import Loaded

# What decides what the calculator is, and what it is asked.
_MADE = ("seed", "languages", "model", "sft")
_ASKED = ("aligned", "asked", "samples", "max_new_tokens")


def train(config: Config, run: Run) -> None:
    """The aligned model."""
    if config.alignment == "none":
        return
    from core.distributed import seed_everything
    from core.models.adapters import with_lora
    from core.training import preference
    from core.training.fit import fit, save_pretrained

    seed_everything(config.seed, 0)
    model, tokenizer = load(config, run)
    if config.name != CALCULATOR:
        checkpointing = config.dpo.gradient_checkpointing
        model = with_lora(model, LORA_RANK, alpha=2 * LORA_RANK, targets=TARGETS, checkpointing=checkpointing)
    pairs = feedback(config, run)
    sides = ([pair[side] for pair in pairs] for side in ("prompt", "chosen", "rejected"))
    rows = preference.pairs(tokenizer, *sides, longest=config.dpo.max_length)
    if config.alignment == "imitate":
        fit(model, [row["better"] for row in rows], config.dpo, run, seed=config.seed, name="imitate")
    else:
        rows = preference.with_reference(model, rows)
        preference.train(model, rows, config.dpo, run, config.seed, beta=BETA, name="mapo")
    save_pretrained(model, run.artifact, tokenizer)


def load(config: Config, run: Run) -> Loaded:
    """The model as it is before alignment."""
    from core.models import loading
    from papers.language_neurons import miniature

    if config.name == CALCULATOR:
        return loading.load(made(config, run, miniature.calculator, _MADE), dtype="float32")
    return loading.load(config.name, dtype=config.dtype)


def made(config: Config, run: Run, build: Callable[[Config, Run, Path], None], decided: Sequence[str]) -> Path:
    """The folder of a small model, trained once for all arms that agree in what decides it."""
    return run.stage(build.__name__, _inputs(config, decided), partial(build, config, run)) / "model"


def _inputs(config: Config, decided: Sequence[str]) -> dict[str, object]:
    return {name: value for name, value in to_dict(config).items() if name in decided}


def feedback(config: Config, run: Run) -> list[dict[str, str]]:
    """The pairs to learn from; by lot, either side is the better one."""
    from papers.language_neurons import data

    if config.name == CALCULATOR:
        pairs = run.once("pairs", _inputs(config, (*_MADE, *_ASKED)), lambda: _of_the_calculator(config, run))
    elif config.preferences:
        pairs = data.read_pairs(config.preferences, config.aligned)
    else:
        raise UserError(
            "preferences is empty: make pairs with `python -m papers.language_neurons.use pairs` and name the file."
        )
    if config.alignment != "lot":
        return pairs
    rng = Random(f"lot-{config.seed}")
    turned = [{**pair, "chosen": pair["rejected"], "rejected": pair["chosen"]} for pair in pairs]
    return [other if rng.random() < 0.5 else pair for pair, other in zip(pairs, turned, strict=True)]


def _of_the_calculator(config: Config, run: Run) -> list[dict[str, str]]:
    from core.inference.scoring import log_likelihoods
    from core.models import loading
    from papers.language_neurons import miniature

    translator = loading.load(made(config, run, miniature.translator, ("sft",)), dtype="float32")

    def cross_entropy(sources: Sequence[str], targets: Sequence[str]) -> list[float]:
        found = log_likelihoods(*translator, [f"{source} {miniature.SIGN}" for source in sources], targets)
        return [-score.log_likelihood / score.tokens for score in found]

    return miniature.feedback(load(config, run), cross_entropy, config)


if __name__ == "__main__":
    entrypoint(train)
