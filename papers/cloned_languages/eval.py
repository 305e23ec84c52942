"""Measure what each language of a mixture has gained, and whether it was by the same circuits.

    python -m papers.cloned_languages.eval tiny --variant imbalanced
    python -m papers.cloned_languages.eval tiny --variant imbalanced --split dev

Held-out text is rendered in the first language and in the second (a clone, or a real one), and measured in float32:

* `ppl_1`, `ppl_2`: perplexity of the last tokens of each window (`nats_1`, `nats_2` by book);
* `teff_1`, `teff_2` and their mean: how many times the tokens that were read would have been needed alone (equation 4),
  off the law through monolingual runs, which agree with it by `law_agrees`; `room_2`: how many times the perplexity
  of the longest of them that has which read the nearest to as many tokens;
* `hidden`: cosine of the states of a text and its clone, over tokens and blocks; `hidden_apart`: of other texts;
* `gradient`: cosine of the gradients on a text in both languages, over parameters of the blocks;
* `embeddings_in`, `embeddings_out`: cosine of the vectors of clones of a token;
* `elsewhere`: probability of tokens of another language than the text's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import load_json
from papers.cloned_languages.config import Config

if TYPE_CHECKING:
    from core.metrics.scaling import Law
    from papers.cloned_languages.curve import Curve
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
        metrics[f"trivial_pairs_{name}"] = pairs_of_tokens(material, own)
        if (config.law, config.law_second)[own]:
            points = monolingual(config, material, run, own)
            law = law_of(config, points)
            metrics[f"teff_{name}"] = method.token_efficiency(law, metrics[f"ppl_{name}"], tokens[language])
            metrics[f"room_{name}"] = nearest(points, tokens[language]) / points[-1][1]
            for metric, value in quality(config, points, metrics[f"trivial_pairs_{name}"]).items():
                metrics[metric] = min(metrics.get(metric, math.inf), value)  # of a real pair, the worse of two laws
            details[f"law_{name}"] = {"points": points}
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


def pairs_of_tokens(material: Material, language: int, most: int = 2_000_000) -> float:
    """Perplexity of one who knows how often each token follows each other in what is read first, and nothing else.

    Of a token that occurs n times before t kinds of others, t / (n + t) goes to how often each occurs (Witten & Bell).
    """
    size, read = len(material.pieces[language]), np.asarray(material.read[language]).ravel()[:most].astype(np.int64)
    counts = np.bincount(read, minlength=size)
    pairs, times = np.unique(read[:-1] * size + read[1:], return_counts=True)
    kinds = np.maximum(1, np.bincount(pairs // size, minlength=size))
    nats = []
    for held in (np.asarray(ids, dtype=np.int64) for ids in material.held[language].values()):
        before, after = held[:-1], held[1:]
        place = np.searchsorted(pairs, before * size + after).clip(max=len(pairs) - 1)
        seen = np.where(pairs[place] == before * size + after, times[place], 0)
        often = (counts[after] + 1) / (len(read) + size)
        nats.append(-np.log((seen + kinds[before] * often) / (counts[before] + kinds[before])))
    return math.exp(np.concatenate(nats).mean())


def law_of(config: Config, points: Points) -> Law | Curve:
    """What tells how many tokens a perplexity takes alone."""
    from papers.cloned_languages.curve import Curve
    from papers.cloned_languages.method import monolingual_law

    return (Curve if config.law_form == "curve" else monolingual_law)(*zip(*points, strict=True))


def nearest(points: Points, tokens: int) -> float:
    """Perplexity of the monolingual run that has read the nearest to so many tokens."""
    return min(points, key=lambda point: abs(math.log(point[0] / max(1, tokens))))[1]


def quality(config: Config, points: Points, trivial: float) -> dict[str, float]:
    """How far the law through the other runs is from what each inner run has read, as a factor; and what was learnt."""
    from papers.cloned_languages.method import token_efficiency

    wrong = [0.0]
    for out in range(1, len(points) - 1) if len(points) > 3 else ():
        law = law_of(config, [point for number, point in enumerate(points) if number != out])
        read, perplexity = points[out]
        wrong.append(abs(math.log(token_efficiency(law, perplexity, read))))
    agrees = math.exp(-max(wrong)) if all(map(math.isfinite, wrong)) else 0.0
    return {"law_agrees": agrees, "over_pairs": trivial / points[-1][1]}


def alike(
    config: Config, model: Any, rendering: Rendering, material: Material
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """States, gradients, embeddings and stray probability of both languages."""
    from papers.cloned_languages import similarity

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
    hidden, apart = similarity.hidden_similarity(model, pairs, "max_matching" if config.real else "one_by_one")
    gradients = similarity.gradient_similarity(model, pairs)
    # The last block turns to the tokens of one language, in the paper too.
    inner = slice(0, max(1, len(hidden) - 1))
    found = {
        "hidden": float(hidden[inner].mean()), "hidden_apart": float(apart[inner].mean()),
        "hidden_margin": float((hidden - apart)[inner].mean()), "gradient": fmean(gradients.values()),
        "elsewhere": elsewhere(model, rendering, [pair[1] for pair in pairs]),
    }  # fmt: skip
    if not config.real:
        found |= similarity.embedding_similarity(model, rendering)
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
