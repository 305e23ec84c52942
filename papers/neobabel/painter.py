"""NeoBabel as a library: train on your own captions, draw in any of their languages.

train_on(rows, languages=["en", "sw"], folder="mine")      # rows of codes and captions, see data.py
painter = load_painter("mine")
images = painter(["un cœur rouge", "a blue circle"], "fr")  # what benchmark.evaluate takes as generate_fn
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from core.errors import UserError
from core.experiment.config import override
from core.experiment.run import Run
from core.files import load_json, write_text
from core.models import loading
from papers.neobabel import data, model
from papers.neobabel.config import PRESETS, Config
from papers.neobabel.model import TextToImage, generate


@dataclass(frozen=True)
class Painter:
    """A trained model with what it takes to draw.

    Attributes:
        model: The model.
        text: From a prompt to ids or states.
        tokenizer: From codes to images.
        config: Decoding settings and budgets.
    """

    model: TextToImage
    text: data.FrozenText | data.TokenText
    tokenizer: Any
    config: Config

    def codes(self, prompts: Sequence[str], seeds: Sequence[int] | None = None) -> Tensor:
        """Codes of an image for each prompt; equal seeds start from equal noise."""
        config = self.config
        return generate(
            self.model,
            [self.text(prompt) for prompt in prompts],
            self.text(""),
            tokens=config.last.image_tokens,
            max_text=config.last.text_tokens,
            guidance=config.guidance,
            timesteps=config.timesteps,
            temperature=config.temperature,
            schedule=config.schedule,
            exponent=config.exponent,
            seeds=seeds,
        )

    def __call__(self, prompts: Sequence[str], language: str = "") -> Tensor:
        """Images [n, height, width, 3] in [-1, 1]; every prompt has the noise of its place in the list."""
        if self.tokenizer is None:
            raise UserError("There is no image tokenizer to decode with: set image_tokenizer, or ask for .codes().")
        return self.tokenizer.decode(self.codes(prompts, seeds=list(range(len(prompts)))))


def train_on(
    rows: Sequence[data.Row], languages: Sequence[str], folder: str | Path, preset: str = "tiny", **changes: Any
) -> Painter:
    """Train one stage on rows of `codes` and `captions`.

    Args:
        rows: See data.py.
        languages: Caption languages to train on.
        folder: New run directory.
        preset: Where the other settings come from.
        **changes: Settings with dots written as double underscores (`p3__training__steps=200`).

    Raises:
        UserError: A setting that does not exist, or rows that do not fit.
    """
    from papers.neobabel.train import train

    folder = Path(folder).resolve()
    shard = folder / "data"
    shard.mkdir(parents=True, exist_ok=True)
    write_text(shard / "rows.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    settings = {name.replace("__", "."): value for name, value in changes.items()}
    named = {"train.languages": tuple(languages), "languages": tuple(languages), "p3.sources": (str(shard),)}
    config = override(PRESETS[preset], {**named, **settings})
    train(config, Run(folder, "neobabel", config, folder / "stages", quiet=True))
    return load_painter(folder, config)


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A stored configuration as dotted names; JSON's lists are tuples."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, tuple(value) if isinstance(value, list) else value


def load_painter(folder: str | Path, config: Config | None = None) -> Painter:
    """The painter of a run directory of `train` or `train_on`.

    Raises:
        UserError: Nothing was trained there.
    """
    folder = Path(folder)
    artifact = folder / "artifact"
    if not (artifact / "neobabel.json").exists():
        raise UserError(f"{folder} holds no trained model: give the run directory of papers.neobabel.train.")
    if config is None:
        if not (folder / "config.json").exists():
            raise UserError(f"{folder} has no config.json: pass the configuration that it was trained with.")
        settings = load_json(folder / "config.json", dict)
        config = override(PRESETS["tiny"], dict(_flat(settings)))
    text: data.FrozenText | data.TokenText
    if config.backbone.frozen_encoder:
        text = data.FrozenText(config.backbone, artifact / "text")
    else:
        text = data.TokenText(loading.load_tokenizer(artifact))
    painter = model.load(artifact, attention=config.attention.implementation)
    tokenizer = data.image_tokenizer(config.image_tokenizer) if config.image_tokenizer else None
    return Painter(painter, text, tokenizer, config)
