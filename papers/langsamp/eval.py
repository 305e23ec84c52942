"""Measure how much of the language is left in the states, and what they are good for without it.

    python -m papers.langsamp.eval tiny --variant full
    python -m papers.langsamp.eval tiny --variant none --split dev

The encoder is called without ids, unless it was told at its input (variant `input`), and in float32. A text is the mean
of one layer's states over all its tokens (official code). On held-out numbers, the same in all languages:

* `pair_cosine`: mean cosine of translations, the paper's measure of neutrality (uncentred), and `margin`: how far it
  lies above that of lines that are no translations;
* `language_variance`: share of the variance that lies between languages;
* `acc1`: retrieval of translations;
* `transfer`: the first digit of a three-digit number, learnt in one language and told in another, zero-shot.

All by language, as the mean over the others. `masked_loss` is that of held-out lines, with the tables of training.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
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
SOURCE = "en"
"""From which the paper transfers."""
HUNDRED = 100


def evaluate(config: Config, run: Run) -> Measurement:
    """Neutrality, retrieval and transfer of the encoder; where there are tables, the donors that they choose."""
    from core.models.embedding import Pooling, load_encoder
    from core.worlds.numbers import spelled
    from papers.langsamp import miniature
    from papers.langsamp.method import similarity
    from papers.langsamp.train import load_tables

    if config.base:
        return own_lines(config, run)
    numbers, codes, names = miniature.parts(config)[config.split], miniature.languages(config), miniature.tables(config)
    words = spelled(codes, range(1, miniature.LARGEST + 1))
    tables = load_tables(run.artifact) if config.use_lang or config.use_script else None
    encoder = load_encoder(run.artifact, Pooling("mean", layer=config.layer), dtype="float32")

    def states(code: str, numbers: Sequence[int]) -> Float[np.ndarray, "item width"]:
        with as_trained(encoder.model, tables, names.of[code]):
            return encoder([words[code][number] for number in numbers]).vectors.double().numpy()

    read = {
        code: [number for number in known if number >= HUNDRED] for code, known in miniature.reading(config).items()
    }
    vectors = {code: states(code, numbers) for code in codes}
    matrix = transfer({code: (states(code, known), known) for code, known in read.items()}, vectors, numbers)
    texts = {code: [words[code][number] for number in numbers] for code in codes}
    units = neutrality(vectors) | {"acc1": retrieval(vectors)}
    others = {code: [source for source in codes if source != code] for code in codes}
    units["transfer"] = {code: statistics.fmean(matrix[source][code] for source in others[code]) for code in codes}
    units["from_source"] = {code: matrix[SOURCE][code] for code in others[SOURCE]}
    chosen = {code: donor(tables, code, names) for code in codes} if tables is not None and tables.language else {}
    if chosen:
        units["from_donor"] = {code: matrix[chosen[code]][code] for code in others[SOURCE]}
    units["masked_loss"] = masked_loss(config, run, tables, texts)
    metrics = {name: statistics.fmean(by.values()) for name, by in units.items()}
    metrics |= trivial(texts, numbers) | {"trivial_other_lines": (1 - metrics["acc1"]) / (len(numbers) - 1)}
    metrics["over_letters"] = metrics["acc1"] - metrics["trivial_overlap"]
    details: dict[str, Any] = {}
    if chosen and tables is not None and tables.language is not None:
        cosines = similarity(tables.language.weight).tolist()
        details = {"donors": chosen, "map": dict(zip(tables.languages, cosines, strict=True))}
    return Measurement(metrics, units, details)


def as_trained(model: Any, tables: Tables | None, place: tuple[int, int]) -> AbstractContextManager[None]:
    """While it lasts, an encoder that was told at its input in training is told again; any other knows no ids."""
    import torch

    from papers.langsamp.method import told

    if tables is None or tables.place == "head":
        return nullcontext()
    return told(model, tables(*(torch.tensor([row]) for row in place)), tables.place)


# --- neutrality -----------------------------------------------------------------------------------------------------


def neutrality(vectors: Vectors) -> Units:
    """How much of the language is in sentence vectors; aligned, one set a language."""
    codes, stacked = list(vectors), np.stack(list(vectors.values()))
    mean = stacked.mean((0, 1))
    unit, items = stacked / np.maximum(np.linalg.norm(stacked, axis=2, keepdims=True), 1e-300), stacked.shape[1]
    pairs, every = np.einsum("aid,bid->ab", unit, unit) / items, unit.mean(1) @ unit.mean(1).T
    units = {"pair_cosine": over_others(codes, pairs)}
    units["margin"] = over_others(codes, (pairs - every) * items / (items - 1))  # less those that are no translations
    between = ((stacked.mean(1) - mean) ** 2).sum(1) * stacked.shape[1]
    whole = ((stacked - mean) ** 2).sum()
    units["language_variance"] = dict(zip(codes, (between * len(codes) / whole).tolist(), strict=True))
    return units


def over_others(codes: Sequence[str], values: Float[np.ndarray, "code code"]) -> dict[str, float]:
    """The mean of each row without its diagonal."""
    means = (values.sum(1) - values.diagonal()) / (len(codes) - 1)
    return dict(zip(codes, means.tolist(), strict=True))


def retrieval(vectors: Vectors) -> dict[str, float]:
    """Accuracy@1 of every language as query, as the mean over the languages that are searched."""
    from core.metrics.retrieval import cosine_similarity, hits

    return {
        query: statistics.fmean(
            float(hits(cosine_similarity(own, other)).mean()) for code, other in vectors.items() if code != query
        )
        for query, own in vectors.items()
    }


# --- transfer -------------------------------------------------------------------------------------------------------


def transfer(
    read: Mapping[str, tuple[Float[np.ndarray, "item width"], Sequence[int]]], vectors: Vectors, numbers: Sequence[int]
) -> dict[str, dict[str, float]]:
    """Accuracy by source and target language of telling how many hundreds a number has.

    Args:
        read: Of each language vectors of numbers that it has read, and the numbers: a logistic regression on them,
            standardised, is the classifier.
        vectors: To be told, in the order of `numbers`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels, matrix = [number // HUNDRED for number in numbers], {}
    for source, (known, seen) in read.items():
        solver = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
        solver.fit(known, [number // HUNDRED for number in seen])
        matrix[source] = {code: float(solver.score(own, labels)) for code, own in vectors.items()}
    return matrix


def donor(tables: Tables, code: str, names: Names) -> str:
    """What the tables call most like a language of the miniature: another language, in the same script if it has it."""
    from papers.langsamp.method import donors

    known: dict[str, list[str]] = {}
    for other in names.of:
        known.setdefault(other.partition("-")[0], []).append(other)
    written = known[donors(tables, code.partition("-")[0], list(known))[0]]
    return min(written, key=lambda other: names.of[other][1] != names.of[code][1])


def trivial(texts: Mapping[str, Sequence[str]], numbers: Sequence[int]) -> dict[str, float]:
    """The commonest answer; retrieval by length and by shared letters, over all pairs with the source language."""
    from core.tasks.retrieval import Pairs
    from core.tasks.retrieval import trivial as solvers

    labels = [number // HUNDRED for number in numbers]
    found = [solvers(Pairs(texts[SOURCE], lines)) for code, lines in texts.items() if code != SOURCE]
    return {"trivial_majority": max(map(labels.count, labels)) / len(labels)} | {
        f"trivial_{name}": statistics.fmean(scores[name] for scores in found) for name in found[0]
    }


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

    model, tokenizer = load(run.artifact, task="masked-lm", dtype="float32", device="cpu")
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

    encoder = load_encoder(run.artifact, Pooling("mean", layer=config.layer, max_tokens=512), dtype="float32")
    sets = {
        code: Pairs([row["en"] for row in rows], [row["native"] for row in rows])
        for code, rows in pairs.read("tatoeba")
    }
    found = retrieve(encoder, sets, (1, 5, 10))
    units = {f"acc{k}": {code: result.accuracy(k) for code, result in found.items()} for k in (1, 5, 10)}
    return Measurement({name: statistics.fmean(by.values()) for name, by in units.items()}, units)


if __name__ == "__main__":
    entrypoint(evaluate)
