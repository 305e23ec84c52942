"""Measure what is alike: translations, spellings, and languages that never met.

    python -m papers.muril.eval tiny --variant muril
    python -m papers.muril.eval paper

Retrieval as XTREME does it for BERT-like models: a text is the mean of one layer's states over all its tokens, the
nearest by cosine is taken; here the vectors of each language and script are first centred, since those of small
models share one large direction. Both directions, mean. In the tiny world, on combinations of names that no
line showed:

* `native`: English with a language as it is written; `romanised`: English with its romanised form, which never met;
* `scripts`: a language with its romanised form; `across`: two languages of India, which never met either;
* `native_unpaired`, `scripts_unpaired`: names that stand in no pair, among all names;
* `kinds_native`, `kinds_romanised`: zero-shot classification, the kind of a name (place, currency, language, month,
  weekday) told by a logistic regression on English names of other concepts.

At the scale of one's own files the encoder is measured by `use measure`, at the paper's by Tatoeba.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.muril.config import Config

Units = dict[str, dict[str, float]]
Texts = Mapping[str, Sequence[str]]
FOLDS = 4


def evaluate(config: Config, run: Run) -> Measurement:
    """Retrieval and zero-shot classification; Tatoeba where texts are not the miniature's."""
    from core.models.embedding import Pooling, load_encoder

    encoder = load_encoder(run.artifact, Pooling("mean", layer=config.layer, max_tokens=config.training.max_length))
    if config.texts:
        return tatoeba(encoder)
    units, solvers = in_miniature(encoder, config)
    metrics = {name: statistics.fmean(by.values()) for name, by in units.items()}
    return Measurement(metrics | solvers, units)


def in_miniature(encoder: Any, config: Config) -> tuple[Units, dict[str, float]]:
    """Everything about the tiny world, by language, and what solvers reach that know nothing."""
    from papers.muril import miniature

    world = miniature.world(config)
    latin = {code: miniature.romanised(code) for code in world.languages}
    measured = {
        code: [miniature.text(names, pair) for pair in world.measured[config.split]]
        for code, names in world.names.items()
    }
    names = {code: list(by_key.values()) for code, by_key in world.names.items()}
    lines, single = (centred(encoder, texts) for texts in (measured, names))
    unpaired = [place for place, key in enumerate(world.kinds) if key in world.unpaired]
    units: Units = {name: {} for name in ("native", "romanised", "scripts", "across")}
    for code in world.languages:
        others = [other for other in world.languages if other != code]
        units["native"][code] = accuracy(lines["en"], lines[code])
        units["romanised"][code] = accuracy(lines["en"], lines[latin[code]])
        units["scripts"][code] = accuracy(lines[code], lines[latin[code]])
        units["across"][code] = statistics.fmean(accuracy(lines[code], lines[other]) for other in others)
        for name, left, right in (("native", "en", code), ("scripts", code, latin[code])):
            found = accuracy(single[left], single[right], unpaired)
            units.setdefault(f"{name}_unpaired", {})[code] = found
    kinds, majority = told_kinds(single, list(world.kinds.values()))
    units["kinds_native"] = {code: kinds[code] for code in world.languages}
    units["kinds_romanised"] = {code: kinds[latin[code]] for code in world.languages}
    return units, {"trivial_majority": majority, **trivial(measured, latin)}


def centred(encoder: Any, texts: Texts) -> dict[str, np.ndarray]:
    """Vectors by language and script, less their mean."""
    found = {code: encoder(list(lines)).vectors.double().numpy() for code, lines in texts.items()}
    return {code: vectors - vectors.mean(0) for code, vectors in found.items()}


def accuracy(left: np.ndarray, right: np.ndarray, asked: Sequence[int] | None = None) -> float:
    """Accuracy@1 over both directions, of those that are asked, among all."""
    from core.metrics.retrieval import cosine_similarity, hits

    similarity = cosine_similarity(left, right)
    places = slice(None) if asked is None else list(asked)
    return float((hits(similarity)[places].mean() + hits(similarity.T)[places].mean()) / 2)


def told_kinds(vectors: Mapping[str, np.ndarray], kinds: Sequence[str]) -> tuple[dict[str, float], float]:
    """Accuracy of kinds by language and script, learnt on English names of other concepts; and of the majority."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels, right = np.array(kinds), {code: np.zeros(len(kinds)) for code in vectors}
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    for train, test in folds.split(vectors["en"], labels):
        solver = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
        solver.fit(vectors["en"][train], labels[train])
        for code, own in vectors.items():
            right[code][test] = solver.predict(own[test]) == labels[test]
    majority = max(map(list(kinds).count, kinds)) / len(kinds)
    return {code: float(found.mean()) for code, found in right.items()}, majority


def trivial(texts: Texts, latin: Mapping[str, str]) -> dict[str, float]:
    """Retrieval of romanised text by length and by the letters it shares with English."""
    from core.tasks.retrieval import Pairs
    from core.tasks.retrieval import trivial as solvers

    found = [solvers(Pairs(texts["en"], texts[code])) for code in latin.values()]
    return {f"trivial_{name}": statistics.fmean(scores[name] for scores in found) for name in found[0]}


def tatoeba(encoder: Any) -> Measurement:
    """XTREME's Tatoeba in the paper's languages, as written and romanised; not centred, as XTREME has it."""
    from core.tasks import pairs
    from core.tasks.retrieval import Pairs, retrieve
    from core.text.romanize import resolve

    latin, sets = resolve("uroman"), {}
    for code, rows in pairs.read("tatoeba", ("mal", "tam", "tel", "ben", "hin", "mar", "urd")):
        english, native = [row["en"] for row in rows], [row["native"] for row in rows]
        sets[f"native/{code}"] = Pairs(native, english)
        sets[f"romanised/{code}"] = Pairs([latin(line) for line in native], english)
    units: Units = {}
    for name, found in retrieve(encoder, sets).items():
        script, code = name.split("/")
        units.setdefault(f"tatoeba_{script}", {})[code] = found.accuracy()
    return Measurement({name: statistics.fmean(by.values()) for name, by in units.items()}, units)


if __name__ == "__main__":
    entrypoint(evaluate)
