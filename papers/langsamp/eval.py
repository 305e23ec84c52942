"""Measure how much of the language is left in the states, and what they are good for without it.

    python -m papers.langsamp.eval tiny --variant full
    python -m papers.langsamp.eval tiny --variant none --split dev

The encoder is called without ids. A text is the mean of one layer's states over all its tokens (official code). On
held-out numbers, the same in all languages, words alone:

* `pair_cosine`: mean cosine of translations, the paper's measure of neutrality (uncentred; `centred` takes the mean of
  all languages off first);
* `language_variance`: share of the variance that lies between languages; `language_id`: how often the nearest mean of
  a language is the right one;
* `acc1`: retrieval of translations, and `acc1_cross` across scripts;
* `transfer`: the first digit of a four-digit number, learnt in one language and told in another, zero-shot.

All by language, as the mean over the others. `masked_loss` is that of held-out lines, with the tables of training.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.langsamp.config import Config

if TYPE_CHECKING:
    from jaxtyping import Float

    from papers.langsamp.data import Names
    from papers.langsamp.method import Tables

    Vectors = Mapping[str, Float[np.ndarray, "item width"]]

Units = dict[str, dict[str, float]]
# The language that stands for English, from which the paper transfers.
SOURCE = "es"


def evaluate(config: Config, run: Run) -> Measurement:
    """Neutrality, retrieval and transfer of the encoder; where there are tables, the donors that they choose."""
    from core.models.embedding import Pooling, load_encoder
    from core.worlds.numbers import spelled
    from papers.langsamp import miniature
    from papers.langsamp.train import load_tables

    if config.base:
        return own_lines(config, run)
    numbers, codes = miniature.parts(config)[config.split], miniature.languages(config)
    words = spelled(codes, numbers)
    encoder = load_encoder(run.artifact, Pooling("mean", layer=config.layer))
    texts = {code: [words[code][number] for number in numbers] for code in codes}
    vectors = {code: encoder(lines).vectors.double().numpy() for code, lines in texts.items()}
    units = neutrality(vectors) | retrieval(vectors, miniature.tables(config))
    matrix, majority = transfer(config, encoder, vectors, numbers)
    others = {code: [source for source in codes if source != code] for code in codes}
    units["transfer"] = {code: statistics.fmean(matrix[source][code] for source in others[code]) for code in codes}
    units["from_source"] = {code: matrix[SOURCE][code] for code in codes if code != SOURCE}
    tables = load_tables(run.artifact) if config.use_lang else None
    if tables is not None:
        units["from_donor"] = by_donor(matrix, tables, codes)
    units["masked_loss"] = masked_loss(config, run, tables, texts)
    metrics = {name: statistics.fmean(by.values()) for name, by in units.items()}
    metrics |= {"trivial_majority": majority, **trivial(texts)}
    metrics["over_letters"] = metrics["acc1"] - metrics["trivial_overlap"]
    metrics["masked_gain"] = math.log(len(encoder.tokenizer)) - metrics["masked_loss"]
    details = {"donors": {code: donor(tables, code, codes) for code in codes}} if tables is not None else {}
    return Measurement(metrics, units, details)


# --- neutrality -----------------------------------------------------------------------------------------------------


def neutrality(vectors: Vectors) -> Units:
    """How much of the language is in sentence vectors; aligned, one set a language."""
    codes, stacked = list(vectors), np.stack(list(vectors.values()))
    mean = stacked.mean((0, 1))
    units: Units = {"language_id": identified(vectors)}
    for name, shifted in (("pair_cosine", stacked), ("centred", stacked - mean)):
        unit = shifted / np.maximum(np.linalg.norm(shifted, axis=2, keepdims=True), 1e-300)
        pairs = np.einsum("aid,bid->ab", unit, unit) / unit.shape[1]
        others = (pairs.sum(1) - pairs.diagonal()) / (len(codes) - 1)
        units[name] = dict(zip(codes, others.tolist(), strict=True))
    between = ((stacked.mean(1) - mean) ** 2).sum(1) * stacked.shape[1]
    whole = ((stacked - mean) ** 2).sum()
    units["language_variance"] = dict(zip(codes, (between * len(codes) / whole).tolist(), strict=True))
    return units


def identified(vectors: Vectors) -> dict[str, float]:
    """Share of the even items whose nearest language mean, over the odd items, is that of their own language."""
    means = np.stack([own[1::2].mean(0) for own in vectors.values()])
    found = {}
    for place, (code, own) in enumerate(vectors.items()):
        nearest = ((own[::2, None] - means) ** 2).sum(2).argmin(1)
        found[code] = float((nearest == place).mean())
    return found


def retrieval(vectors: Vectors, tables: Names) -> Units:
    """Accuracy@1 of every language as query, as the mean over the languages that are searched."""
    from core.metrics.retrieval import cosine_similarity, hits

    units: Units = {"acc1": {}, "acc1_cross": {}}
    for query, own in vectors.items():
        found = {
            code: float(hits(cosine_similarity(own, other)).mean()) for code, other in vectors.items() if code != query
        }
        across = [score for code, score in found.items() if tables.of[code][1] != tables.of[query][1]]
        units["acc1"][query] = statistics.fmean(found.values())
        if across:
            units["acc1_cross"][query] = statistics.fmean(across)
    return units


# --- transfer -------------------------------------------------------------------------------------------------------


def transfer(
    config: Config, encoder: Any, vectors: Vectors, numbers: Sequence[int]
) -> tuple[dict[str, dict[str, float]], float]:
    """Accuracy by source and target language of telling the first digit of the longest numbers, and of the majority.

    The classifier is a logistic regression on standardised vectors of numbers that the source language has read.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from core.worlds.numbers import spelled
    from papers.langsamp import miniature

    top = miniature.TOP
    asked = [place for place, number in enumerate(numbers) if number >= top]
    labels = [numbers[place] // top for place in asked]
    matrix: dict[str, dict[str, float]] = {}
    for source, read in miniature.reading(config).items():
        seen = [number for number in read if number >= top]
        words = spelled((source,), seen)[source]
        known = encoder([words[number] for number in seen]).vectors.double().numpy()
        solver = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
        solver.fit(known, [number // top for number in seen])
        matrix[source] = {code: float(solver.score(own[asked], labels)) for code, own in vectors.items()}
    return matrix, max(map(labels.count, labels)) / len(labels)


def donor(tables: Tables, code: str, codes: Sequence[str]) -> str:
    """The language of the miniature that the tables call most like another one; scripts of one language share a row."""
    from papers.langsamp.method import donors

    language = code.partition("-")[0]
    others = {other.partition("-")[0]: other for other in codes if other.partition("-")[0] != language}
    return others[donors(tables, language, list(others))[0]]


def by_donor(matrix: Mapping[str, Mapping[str, float]], tables: Tables, codes: Sequence[str]) -> dict[str, float]:
    """Accuracy in every language but the fixed source when the tables choose where to learn."""
    return {code: matrix[donor(tables, code, codes)][code] for code in codes if code != SOURCE}


def trivial(texts: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Retrieval by length and by shared letters, over all pairs with the source language."""
    from core.tasks.retrieval import Pairs
    from core.tasks.retrieval import trivial as solvers

    found = [solvers(Pairs(texts[SOURCE], lines)) for code, lines in texts.items() if code != SOURCE]
    return {f"trivial_{name}": statistics.fmean(scores[name] for scores in found) for name in found[0]}


# --- the objective --------------------------------------------------------------------------------------------------


def masked_loss(
    config: Config, run: Run, tables: Tables | None, texts: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Equation (3) by language on held-out lines, with the tables of training; the masks are the same in all arms."""
    import torch

    from core.models.loading import load
    from core.training.masking import Masking, encode
    from papers.langsamp import method, miniature
    from papers.langsamp.data import Chunks
    from papers.langsamp.train import load_tables

    model, tokenizer = load(run.artifact, task="masked-lm", dtype="float32", device="cpu")
    if config.use_script and tables is None:
        tables = load_tables(run.artifact)
    if tables is not None:
        method.attach(model, tables)
    collate, places, found = Chunks(Masking(tokenizer, rate=config.mask_rate)), miniature.tables(config).of, {}
    for code, lines in texts.items():
        language, script = places[code]
        rows = [{**row, "languages": language, "scripts": script} for row in encode(tokenizer, lines)]
        batch = collate(rows, np.random.default_rng(0))
        with torch.inference_mode():
            loss = method.langsamp_loss(model.eval(), batch)
        found[code] = float(loss.total / loss.items)
    return found


def own_lines(config: Config, run: Run) -> Measurement:
    """Neutrality and retrieval of the encoder at its own scale: SR-T, Tatoeba in 98 languages."""
    from core.models.embedding import Pooling, load_encoder
    from core.tasks import pairs
    from core.tasks.retrieval import Pairs, retrieve

    encoder = load_encoder(run.artifact, Pooling("mean", layer=config.layer, max_tokens=512))
    sets = {
        code: Pairs([row["en"] for row in rows], [row["native"] for row in rows])
        for code, rows in pairs.read("tatoeba")
    }
    found = retrieve(encoder, sets, (1, 5, 10))
    units = {f"acc{k}": {code: result.accuracy(k) for code, result in found.items()} for k in (1, 5, 10)}
    return Measurement({name: statistics.fmean(by.values()) for name, by in units.items()}, units)


if __name__ == "__main__":
    entrypoint(evaluate)
