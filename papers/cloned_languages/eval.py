"""Measure what each language of a mixture has gained, and whether it was by the same circuits.

    python -m papers.cloned_languages.eval tiny --variant imbalanced
    python -m papers.cloned_languages.eval tiny --variant imbalanced --split dev

Held-out text is rendered in the first language and in the second (a clone, or a real one), and measured in float32:

* `ppl_1`, `ppl_2`: perplexity of the last tokens of each window (`nats_1`, `nats_2` by book);
* `teff_1`, `teff_2` and their mean: how many times the tokens that were read would have been needed alone (equation 4),
  off the law through monolingual runs, which agree with it by `law_agrees`;
* `hidden`: cosine of the states of a text and its clone, over tokens and blocks; `hidden_apart`: of other texts;
* `gradient`: cosine of the gradients on a text in both languages, over parameters of the blocks;
* `embeddings_in`, `embeddings_out`: cosine of the vectors of clones of a token;
* `elsewhere`: probability of tokens of another language than the text's.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import load_json
from papers.cloned_languages.config import Config

if TYPE_CHECKING:
    from papers.cloned_languages.data import Material
    from papers.cloned_languages.method import Rendering

Points = Sequence[tuple[int, float]]


def evaluate(config: Config, run: Run) -> Measurement:
    """Perplexity and efficiency of both languages, and how alike the model treats them."""
    from core.models.loading import load_model
    from papers.cloned_languages import data, method
    from papers.cloned_languages.train import monolingual

    material = data.material(config, run)
    rendering = material.rendering(config)
    model = load_model(run.artifact, dtype="float32").eval()
    tokens = load_json(run.artifact / "mixture.json", dict)["tokens"]
    metrics: dict[str, float] = {}
    units: dict[str, dict[str, float]] = {}
    details: dict[str, Any] = {"tokens": tokens}
    for language in range(min(2, rendering.languages)):
        own, name = language if config.real else 0, language + 1
        metrics[f"ppl_{name}"], units[f"nats_{name}"] = perplexity(
            config, model, rendering, material.held[own], language
        )
        metrics[f"nats_{name}"] = fmean(units[f"nats_{name}"].values())
        metrics[f"trivial_counts_{name}"] = frequencies(material, own)
        if (config.law, config.law_second)[own]:
            points = monolingual(config, material, run, own)
            law = method.monolingual_law(*zip(*points, strict=True))
            metrics[f"teff_{name}"] = method.token_efficiency(law, metrics[f"ppl_{name}"], tokens[language])
            for metric, value in quality(points, metrics[f"trivial_counts_{name}"]).items():
                metrics[metric] = min(metrics.get(metric, math.inf), value)  # of a real pair, the worse of two laws
            details[f"law_{name}"] = {"points": points, "law": [law.a, law.b, law.c]}
    if config.alone and "teff_2" in metrics:
        metrics["updates_suffice"] = 1 / metrics["teff_2"]
    if {"teff_1", "teff_2"} <= metrics.keys():
        metrics["teff_mean"] = (metrics["teff_1"] + metrics["teff_2"]) / 2
    if rendering.languages > 1:
        found, details["layers"] = alike(config, model, rendering, material)
        metrics |= found
    return Measurement(metrics, units, details)


def perplexity(
    config: Config, model: Any, rendering: Rendering, held: Mapping[str, Sequence[int]], language: int
) -> tuple[float, dict[str, float]]:
    """Of all books together, and nats a token by book."""
    from papers.cloned_languages.method import target_losses

    losses = {
        book: target_losses(model, rendering(np.asarray(ids), language), config.training.max_length, config.counted)
        for book, ids in held.items()
    }
    return math.exp(np.concatenate([*losses.values()]).mean()), {
        book: float(nats.mean()) for book, nats in losses.items()
    }


def frequencies(material: Material, language: int) -> float:
    """Perplexity of one who knows how often each token occurs in what is read, and nothing else."""
    counts = np.bincount(np.asarray(material.read[language]).ravel(), minlength=len(material.pieces[language])) + 1.0
    measured = Counter(token for ids in material.held[language].values() for token in ids)
    return math.exp(
        -sum(n * math.log(counts[token] / counts.sum()) for token, n in measured.items()) / measured.total()
    )


def quality(points: Points, counts: float) -> dict[str, float]:
    """How far the law through the other runs is from what each inner run has read, as a factor; and what was learnt."""
    from papers.cloned_languages.method import monolingual_law, token_efficiency

    wrong = [0.0]
    for out in range(1, len(points) - 1) if len(points) > 3 else ():
        law = monolingual_law(*zip(*(point for number, point in enumerate(points) if number != out), strict=True))
        read, perplexity = points[out]
        wrong.append(abs(math.log(token_efficiency(law, perplexity, read))))
    agrees = math.exp(-max(wrong)) if all(map(math.isfinite, wrong)) else 0.0
    return {"law_agrees": agrees, "over_counts": counts / points[-1][1]}


def alike(
    config: Config, model: Any, rendering: Rendering, material: Material
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """States, gradients, embeddings and stray probability of both languages."""
    from papers.cloned_languages import method

    window = config.training.max_length
    if config.real:
        pairs = [(rendering(np.array(a), 0), rendering(np.array(b), 1)) for a, b in material.pairs]
    else:
        texts = [
            ids[at : at + window] for ids in material.held[0].values() for at in range(0, len(ids) - window + 1, window)
        ]
        step = max(1, len(texts) // config.compared)
        pairs = [
            (rendering(np.array(text), 0), rendering(np.array(text), 1)) for text in texts[::step][: config.compared]
        ]
    if not pairs:
        return {}, {}
    hidden, apart = method.hidden_similarity(model, pairs, "max_matching" if config.real else "one_by_one")
    gradients = method.gradient_similarity(model, pairs)
    # The last block turns to the tokens of one language, in the paper too.
    inner = slice(0, max(1, len(hidden) - 1))
    found = {
        "hidden": float(hidden[inner].mean()), "hidden_apart": float(apart[inner].mean()),
        "hidden_margin": float((hidden - apart)[inner].mean()), "gradient": fmean(gradients.values()),
        "elsewhere": elsewhere(model, rendering, [pair[1] for pair in pairs]),
    }  # fmt: skip
    if not config.real:
        found |= method.embedding_similarity(model, rendering)
    return found, {"hidden": hidden.tolist(), "apart": apart.tolist()}


def elsewhere(model: Any, rendering: Rendering, texts: Sequence[np.ndarray]) -> float:
    """Mean probability, in text of the second language, of tokens that it does not have."""
    import torch

    own = torch.from_numpy(np.unique(rendering.tables[1])).to(model.device)
    with torch.inference_mode():
        shares = [
            float(
                1
                - model(torch.from_numpy(text)[None].to(model.device))
                .logits[0]
                .float()
                .softmax(-1)[:, own]
                .sum(-1)
                .mean()
            )
            for text in texts
        ]
    return fmean(shares)


if __name__ == "__main__":
    entrypoint(evaluate)
