"""The tiny world: numbers in words in sixteen languages and three scripts, Serbian in two of them.

The base stands for XLM-R: it has read all languages, and has been told which lines are translations, because what a
large encoder finds without being told no small one finds in minutes. What follows is the paper's: each language reads
other numbers, alone, so that nothing is parallel. Held-out numbers are read in no language, by the base neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from core.text.scripts import dominant_script
from core.worlds.numbers import spelled
from papers.langsamp import data
from papers.langsamp.config import LANGUAGES, LAYERS, Config
from papers.langsamp.data import Names, Row

if TYPE_CHECKING:
    import numpy as np

    from core.experiment.run import Run
    from core.training.losses import Loss

LARGEST = 999
SMALLEST_HELD_OUT = 100
"""The smallest number with as many digits as the largest: of the smaller ones there are too few to keep any back."""
TEMPERATURE = 0.05


def parts(config: Config) -> dict[str, list[int]]:
    """Numbers held out for `test` and `dev`, and `train`, which each language reads a part of."""
    numbers = list(range(1, LARGEST + 1))
    Random(f"numbers-{config.seed}").shuffle(numbers)
    large = [number for number in numbers if number >= SMALLEST_HELD_OUT]
    test, dev = large[: config.held_out], large[config.held_out : 2 * config.held_out]
    kept = {*test, *dev}
    return {"test": sorted(test), "dev": sorted(dev), "train": [number for number in numbers if number not in kept]}


def languages(config: Config) -> tuple[str, ...]:
    """Codes of the languages that are read."""
    return config.languages or LANGUAGES


def tables(config: Config) -> Names:
    """Rows of both tables: `sr` and `sr-Latn` share their language and differ in their script."""
    words = spelled(languages(config), [1])
    found = {code: f"{code.partition('-')[0]}_{dominant_script(words[code][1])}" for code in languages(config)}
    known = data.names(found.values())
    return known._replace(of={code: known.of[part] for code, part in found.items()})


def reading(config: Config) -> dict[str, list[int]]:
    """The numbers that each language reads, drawn by the seed."""
    train = parts(config)["train"]
    return {code: Random(f"{code}-{config.seed}").sample(train, config.lines) for code in languages(config)}


def rows(tokenizer: Any, config: Config) -> list[Row]:
    """Token rows of all languages with the rows of their tables."""
    from core.training.masking import encode

    found: list[Row] = []
    words, places = spelled(languages(config), range(1, LARGEST + 1)), tables(config).of
    for code, read in reading(config).items():
        language, script = places[code]
        encoded = encode(tokenizer, [words[code][number] for number in read])
        found += [{**row, "languages": language, "scripts": script} for row in encoded]
    return found


def base(config: Config, run: Run) -> Path:
    """The encoder before the method, with its tokenizer: masked words, and which of the lines are translations."""
    from core.experiment.config import to_dict
    from core.models import scratch
    from core.training.fit import fit, save_pretrained
    from core.training.masking import Masking, encode

    def build(folder: Path) -> None:
        codes, train, settings = languages(config), parts(config)["train"], config.pretraining
        words = spelled(codes, range(1, LARGEST + 1))
        model, tokenizer = scratch.masked_lm(
            (words[code][number] for code in codes for number in sorted(train)),
            pieces=0, layers=LAYERS, width=96, heads=4, longest=64, seed=config.seed,
        )  # fmt: skip
        rng, pairs = Random(f"pairs-{config.seed}"), list[list[str]]()
        while len(pairs) < settings.steps * settings.batch_size:
            for number in rng.sample(train, settings.batch_size):  # no number twice in a batch
                pairs.append([words[code][number] for code in rng.sample(codes, 2)])
        left, right = (encode(tokenizer, side) for side in zip(*pairs, strict=True))
        masking = Masking(tokenizer, rate=config.mask_rate)

        def collate(sides: Sequence[Mapping[str, Any]], rng: np.random.Generator) -> dict[str, torch.Tensor]:
            return masking([side[name] for name in ("left", "right") for side in sides], rng)

        read = [{"left": one, "right": other} for one, other in zip(left, right, strict=True)]
        fit(
            model, read, settings, replace(run, path=folder / "training"), collate=collate,
            loss_fn=translations_told, seed=config.seed, name="base",
        )  # fmt: skip
        save_pretrained(model, folder / "model", tokenizer)

    asked = to_dict(config)
    names = ("seed", "languages", "held_out", "mask_rate", "pretraining")
    return run.stage("base", {name: asked[name] for name in names}, build) / "model"


def translations_told(model: Any, batch: Mapping[str, Any]) -> Loss:
    """Masked language modelling, and of each line which of the other half of the batch is its translation (InfoNCE)."""
    from core.models.embedding import pool
    from core.training.losses import Loss
    from core.training.masking import masked_lm

    (total, tokens, _), output = masked_lm(model, batch, output_hidden_states=True)
    vectors = F.normalize(pool(output.hidden_states[-1], batch["attention_mask"]), dim=-1)
    pairs = len(vectors) // 2
    alike = vectors[:pairs] @ vectors[pairs:].T / TEMPERATURE
    right = torch.arange(pairs, device=alike.device)
    contrast = (F.cross_entropy(alike, right) + F.cross_entropy(alike.T, right)) / 2
    return Loss((total / max(1, int(tokens)) + contrast) * pairs, pairs, {"contrast": contrast.detach() * pairs})
