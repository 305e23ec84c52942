"""Train one model on one mixture of languages.

    python -m papers.cloned_languages.train tiny --variant balanced
    python -m papers.cloned_languages.train --corpus mine.txt --tokenizer Qwen/Qwen3-0.6B-Base --schedule 0.1_0.9
    accelerate launch -m papers.cloned_languages.train paper --schedule 0.5

The artifact is a `save_pretrained` folder with the first language's tokenizer, whose ids are the first of the model's;
`mixture.json` says how many tokens were read in each language.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.cloned_languages.config import Config, architecture

if TYPE_CHECKING:
    from papers.cloned_languages.data import Material

MIXTURE = ("schedule", "clones", "fraction", "real", "null", "alone")
"""What a monolingual run has none of."""


class Trained(NamedTuple):
    """A model in evaluation mode, and the tokens that it has read in each language."""

    model: Any
    tokens: list[int]


def train(config: Config, run: Run) -> None:
    """Train the mixture and save the model."""
    from core.models.loading import load_tokenizer
    from core.training.fit import save_pretrained
    from papers.cloned_languages import data

    material = data.material(config, run)
    model, tokens = fitted(config, material, run)
    save_pretrained(model, run.artifact, load_tokenizer(material.tokenizer))
    if is_main_process():
        write_json(run.artifact / "mixture.json", {"tokens": tokens})


def fitted(config: Config, material: Material, run: Run, name: str = "train") -> Trained:
    """A model from nothing on the mixture that the configuration asks for."""
    from papers.cloned_languages import method

    settings = replace(config.training, steps=max(1, round(config.training.steps * config.length)))
    rendering = material.rendering(config)
    spoken = method.draw(config.schedule, settings.steps, settings.batch_size, rendering.languages, config.seed)
    mixed = method.Mixed(material.read, rendering, spoken)
    rows = method.Shuffled(mixed, config.seed) if config.null else mixed
    model = fresh(config, rendering.size)
    method.train(model, rows, settings, run, config.seed, name, alone=config.alone)
    tokens = mixed.tokens
    return Trained(model.eval(), [0, *tokens[1:]] if config.alone else tokens)


def fresh(config: Config, vocabulary: int) -> Any:
    """Random weights of the official code: N(0, .02), and .02 / sqrt(2 layers) where the inner layer writes back.

    transformers shrinks what attention writes back as well; input embeddings are multiplied by the root of the width
    (:func:`papers.cloned_languages.method.train`).
    """
    from core.models.loading import from_config

    model: Any = from_config(architecture(config, vocabulary), seed=config.seed)
    model.transformer.wte.weight.data *= math.sqrt(config.width)
    for block in model.transformer.h:
        block.attn.c_proj.weight.data *= math.sqrt(2 * config.layers)
    return model


def monolingual(config: Config, material: Material, run: Run, language: int = 0) -> list[tuple[int, float]]:
    """Tokens and perplexity of runs in one language alone, shared by all variants.

    Each has fewer steps, with its own whole schedule of the learning rate, or as many steps as the mixture and fewer
    sequences in each: those that the mixture has of a language with this share.
    """
    from papers.cloned_languages.eval import perplexity

    others = {name: value for name, value in to_dict(config).items() if name not in {*MIXTURE, "compared"}}
    others = {name: value for name, value in others.items() if name not in {"length", "law", "law_second", "law_form"}}
    shorter = config.law_by == "steps"
    found = []
    for share in (config.law, config.law_second)[language]:
        plain = replace(
            config, schedule="0" if shorter else f"{share:g}", clones=1, fraction=1.0, real="", second="", pairs="",
            languages=(), null=False, alone=not shorter, length=share if shorter else config.length,
        )  # fmt: skip

        def compute(plain: Config = plain, share: float = share) -> dict[str, Any]:
            own = material.only(language)
            model, tokens = fitted(plain, own, run, f"alone-{language}-{share:g}")
            value = perplexity(plain, model, own.rendering(plain), own.held[0], int(not shorter))[0]
            return {"tokens": tokens[-1], "perplexity": value}

        key = {**others, "language": language, "share": share, "length": plain.length}
        point = run.once("alone", key, compute)
        found.append((point["tokens"], point["perplexity"]))
    return found


if __name__ == "__main__":
    entrypoint(train)
