"""Measure how well a model maps languages onto English, and how well that goes along with its task scores.

    python -m papers.mexa.eval tiny --variant mexa                          # SmolLM2-135M, 20 languages
    python -m papers.mexa.eval paper --model google/gemma-2-9b              # FLORES-200 and Belebele
    python -m papers.mexa.eval paper-bible --model google/gemma-2-9b --task m_arc

For a model and sentences of your own see `use.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.tasks import retrieval, words
from core.tasks.choices import answer
from papers.mexa import data, miniature
from papers.mexa.config import Config

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.loading import Loaded

Curves = dict[str, dict[str, list[float]]]
Units = dict[str, dict[str, float]]

# Kinds of sentence vectors that one forward pass serves; pooling costs next to nothing beside it.
SHARED = (("weighted", 1), ("weighted", 0), ("last", 0))
# The languages nearest to English, in which random weights may have at most half of what training adds.
NEAREST = ("fr", "es", "it", "nl")
# Units for correlations; their means are a trivial solver's, or nothing.
INPUTS = ("overlap", "score_beyond", "task_beyond")


def evaluate(config: Config, run: Run) -> Measurement:
    """Align every language with the pivot, score the task, correlate."""
    texts, dropped = data.parallel(config)
    curves = layer_curves(config, run, texts)
    units = scores(config, curves)
    known, solvers = task_scores(config, run, list(curves))
    english = known.pop(config.pivot, None)  # the yardstick of the others and no point of a correlation
    sides = {code: retrieval.Pairs(texts[config.pivot], texts[code]) for code in curves}
    alike = by_name({code: retrieval.trivial(pairs) for code, pairs in sides.items()})
    units["overlap"] = alike["overlap"]
    values = {f"trivial_retrieval_{name}": fmean(by.values()) for name, by in alike.items()}
    values |= {f"trivial_words_{name}": fmean(by.values()) for name, by in solvers.items()}
    if known:
        more, against = against_task(units["score"], known, alike["overlap"])
        units, values = units | more, values | against
    metrics = {name: fmean(by.values()) for name, by in units.items() if name not in INPUTS}
    curve = "shuffled" if config.shuffle_ids else "mexa"
    details: dict[str, Any] = {name: getattr(config, name) for name in ("model", "corpus", "task")}
    details |= {"n": len(texts[config.pivot]), "english_score": english, "dropped": dropped}
    details["curves"] = {code: [round(value, 4) for value in by[curve]] for code, by in curves.items()}
    return Measurement(metrics | values, units, details)


def layer_curves(config: Config, run: Run, texts: Mapping[str, Sequence[str]]) -> Curves:
    """Everything that the variants ask of the cosines, at every layer of every language; see :func:`summary`."""
    from core.training.progress import tracked
    from papers.mexa import method

    own: Any = (config.embedding, config.drop_first)
    kinds: Any = SHARED if own in SHARED else (own,)
    options = {"add_bos": config.add_bos, "prefix": config.prefix}

    def compute() -> dict[str, Curves]:
        found: dict[str, Curves] = {str(kind): {} for kind in kinds}
        loaded = load(config, run, untrained=config.untrained)
        stream = method.similarities(loaded, texts, config.pivot, kinds, **options)
        for language, by_kind in tracked(stream, len(texts) - 1, f"embedding, {config.model}", run.quiet):
            for kind, similarity in by_kind.items():
                found[str(kind)][language] = summary(similarity, config.seed, language)
        return found

    inputs = {name: getattr(config, name) for name in ("model", "architecture", "dtype", "untrained", "seed")}
    curves: Curves = run.once("curves", {**inputs, **options, "texts": texts, "kinds": kinds}, compute)[str(own)]
    deepest = len(next(iter(curves.values()))["mexa"]) - 1
    if any(layer > deepest for layer in config.layers):
        raise UserError(f"--layers {config.layers}: {config.model} has the layers 0 to {deepest}.")
    return curves


def summary(similarity: Tensor, seed: int, language: str) -> dict[str, list[float]]:
    """What is kept of the cosines [layers, n, n] of one language, each a curve over layers.

    `mexa` and `abs_cosine` are the score and the paper's baseline, `nonparallel` the mean cosine of the pairs that are
    no translations. `shuffled` is the score where a random one of all n! pairings takes the place of the translations.
    `mexa_0` and `mexa_1` are the scores of either half of the sentences alone, since what is chosen on one has to be
    measured on the other; so are `shuffled_0` and `shuffled_1`.
    """
    import numpy as np
    import torch

    from papers.mexa.method import mexa

    n = similarity.shape[-1]
    pairing = np.random.default_rng([seed, *language.encode()]).permutation(n).tolist()
    own = torch.eye(n, dtype=torch.bool)
    curves = {
        "abs_cosine": similarity.diagonal(dim1=1, dim2=2).mean(1),
        "nonparallel": similarity.masked_fill(own, 0).sum((1, 2)) / (n * (n - 1)),
    }
    for name, paired in (("mexa", similarity), ("shuffled", similarity[:, :, pairing])):
        curves |= {name: mexa(paired), f"{name}_0": mexa(paired[:, ::2, ::2]), f"{name}_1": mexa(paired[:, 1::2, 1::2])}
    return {name: curve.tolist() for name, curve in curves.items()}


def load(config: Config, run: Run, *, untrained: bool = False) -> Loaded:
    """The model with its tokenizer, or the same architecture with random weights, other ones for each seed."""
    from core.models import loading

    name = str(run.stage("toy", {}, miniature.toy)) if config.model == "toy" else config.model
    if untrained:
        return loading.untrained(name, seed=config.seed, task=config.architecture)
    return loading.load(name, task=config.architecture, dtype=config.dtype, device_map=config.device_map)


def scores(config: Config, curves: Curves) -> Units:
    """The pooled score and what it is compared with, by language; and what the layers look like."""
    import torch

    from papers.mexa.method import pool_layers

    def pooled(name: str) -> dict[str, float]:
        over = {code: torch.tensor(by[name], dtype=torch.float64) for code, by in curves.items()}
        return {code: float(pool_layers(curve, config.pool, config.layers)) for code, curve in over.items()}

    if config.score == "abs_cosine":
        return {"score": pooled("abs_cosine"), "nonparallel_cosine": pooled("nonparallel")}
    name = "shuffled" if config.shuffle_ids else "mexa"
    units = {"score": pooled(name)}
    half = middle(len(next(iter(curves.values()))[name]))
    units["middle"] = {code: fmean(by[name][half.start : half.stop]) for code, by in curves.items()}
    units["half_middle"] = {code: value / 2 for code, value in units["middle"].items() if code in NEAREST}
    # The layer is chosen on one half of the sentences, for all languages at once, and looked at on the other half.
    peak = max(half, key=lambda layer: sum(by[f"{name}_0"][layer] for by in curves.values()))
    other = {code: by[f"{name}_1"] for code, by in curves.items()}
    units["hump"] = {code: curve[peak] - max(curve[0], curve[-1]) for code, curve in other.items()}
    return {metric: by for metric, by in units.items() if by}


def middle(layers: int) -> range:
    """The middle half of a model's layers, a quarter away from either end: 7 to 23 of 0 to 30."""
    return range(layers // 4, layers - layers // 4)


def task_scores(config: Config, run: Run, languages: Sequence[str]) -> tuple[dict[str, float], Units]:
    """Task score by language from the model's answers, the pivot's too where it means something; and solvers'."""
    from core.training.progress import tracked

    if config.task == "none":
        return {}, {}

    def compute() -> Units:
        asked = data.questions(config, languages)
        model, tokenizer = load(config, run)
        found: Units = {}
        for language, questions in tracked(asked.items(), len(asked), f"{config.task}, {config.model}", run.quiet):
            if config.task == "words":
                # How common a word is in English says nothing about the question; letters are equally common.
                right = answer(model, tokenizer, questions, "prior")
                score = sum(w * right[q.id] for w, q in zip(words.weights(questions), questions, strict=True))
                found[language] = {"model": score, **words.trivial(questions)}
            else:
                found[language] = {"model": fmean(answer(model, tokenizer, questions).values())}
        return found

    names = ("model", "architecture", "dtype", "task", "items", "split", "seed")
    inputs = {name: getattr(config, name) for name in names} | {"languages": languages}
    found = by_name(run.once("answers", inputs, compute))
    return found.pop("model", {}), found


def by_name(rows: Mapping[str, Mapping[str, float]]) -> Units:
    """`{language: {name: value}}` -> `{name: {language: value}}`."""
    return {name: {code: row[name] for code, row in rows.items()} for name in next(iter(rows.values()), {})}


def against_task(
    pooled: Mapping[str, float], known: Mapping[str, float], overlap: Mapping[str, float]
) -> tuple[Units, dict[str, float]]:
    """What the score says about the task: its correlation, and the error of a line through the other languages.

    `score_beyond` and `task_beyond` are what a line through `overlap`, the share of sentences that shared letters pair,
    leaves of the two: their r is the partial correlation.
    """
    from core.metrics.lines import leave_one_out, residuals
    from core.metrics.stats import pearson

    common = [code for code in pooled if code in known]
    units, values = {"task_score": {code: known[code] for code in common}}, {}
    if len(common) > 2:
        truth, x, letters = ([by[code] for code in common] for by in (known, pooled, overlap))
        values["pearson_r"] = pearson(x, truth)
        values["overlap_r"] = pearson(letters, truth)
        values["task_best"] = fmean(sorted(truth)[-max(1, len(truth) // 4) :])
        for name, y in (("score_beyond", x), ("task_beyond", truth)):
            units[name] = dict(zip(common, residuals(letters, y), strict=True))
    if len(common) > 4:
        units["estimate_gain"] = leave_one_out({code: pooled[code] for code in common}, units["task_score"])
    return units, values


if __name__ == "__main__":
    entrypoint(evaluate)
