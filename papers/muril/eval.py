"""Measure what is alike: translations, spellings, and languages that never met.

    python -m papers.muril.eval tiny --variant muril
    python -m papers.muril.eval paper

Retrieval as XTREME does it for BERT-like models: a text is the mean of one layer's states over all its tokens, the
nearest by cosine is taken; here the vectors of each language and script are first centred, since those of small
models share one large direction. Both directions, mean. In the tiny world, on combinations of names that no
line showed:

* `native`: English with a language as it is written; `romanised`: English with its romanised form, which never met;
  `unlike`: those of the latter whose letters do not give them away (neither shared trigrams nor edit distance);
* `scripts`: a language with its romanised form; `across`: two languages of India, which never met either;
* `native_unpaired`, `scripts_unpaired`: names that stand in no pair, among all names; `..._paired`: the others;
* `topics_native`, `topics_romanised`: zero-shot classification, of what a line tells (places, languages,
  weekdays, months), by a logistic regression learnt on other lines, in English (`topics_english`).

At the scale of one's own files the encoder is measured by `use measure`, at the paper's by Tatoeba.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.metrics.retrieval import cosine_similarity, hits
from core.tasks.retrieval import Pairs, retrieve
from core.tasks.retrieval import trivial as solvers
from core.text.distance import edit_distance, shared_trigrams
from papers.muril.config import Config

if TYPE_CHECKING:
    from papers.muril.miniature import World

Units = dict[str, dict[str, float]]
Texts = Mapping[str, Sequence[str]]


def evaluate(config: Config, run: Run) -> Measurement:
    """Retrieval and zero-shot classification; Tatoeba where texts are not the miniature's."""
    from core.models.embedding import Pooling, load_encoder

    encoder = load_encoder(run.artifact, Pooling("mean", layer=config.layer, max_tokens=config.training.max_length))
    if config.texts:
        return tatoeba(encoder)
    units, without, details = in_miniature(encoder, config)
    metrics = {name: statistics.fmean(by.values()) for name, by in units.items()}
    return Measurement(metrics | without, units, details)


def in_miniature(encoder: Any, config: Config) -> tuple[Units, dict[str, float], dict[str, Any]]:
    """Everything about the tiny world by language, what solvers reach that know nothing, and how many are unlike."""
    from papers.muril import miniature

    world = miniature.world(config)
    latin = {code: miniature.romanised(code) for code in world.languages}
    measured = {
        code: [miniature.text(names, pair) for pair in world.measured[config.split]]
        for code, names in world.names.items()
    }
    names = {code: list(by_key.values()) for code, by_key in world.names.items()}
    lines, single = (centred(encoder, texts) for texts in (measured, names))
    unlike = {code: no_letters(Pairs(measured["en"], measured[own])) for code, own in latin.items()}
    places = {
        "paired": [place for place, key in enumerate(world.kinds) if key not in world.unpaired],
        "unpaired": [place for place, key in enumerate(world.kinds) if key in world.unpaired],
    }
    units: Units = {name: {} for name in ("native", "romanised", "unlike", "scripts", "across")}
    for code in world.languages:
        others = [other for other in world.languages if other != code]
        units["native"][code] = accuracy(lines["en"], lines[code])
        units["romanised"][code] = accuracy(lines["en"], lines[latin[code]])
        if unlike[code]:
            units["unlike"][code] = accuracy(lines["en"], lines[latin[code]], unlike[code])
        units["scripts"][code] = accuracy(lines[code], lines[latin[code]])
        units["across"][code] = statistics.fmean(accuracy(lines[code], lines[other]) for other in others)
        for name, left, right in (("native", "en", code), ("scripts", code, latin[code])):
            for which, asked in places.items():
                units.setdefault(f"{name}_{which}", {})[code] = accuracy(single[left], single[right], asked)
    told, letters = topics(encoder, world, config.split)
    units["topics_english"] = {"en": told["en"]}
    units["topics_native"] = {code: told[code] for code in world.languages}
    units["topics_romanised"] = {code: told[latin[code]] for code in world.languages}
    without = {
        "trivial_majority": 1 / len(miniature.KINDS),
        "trivial_unpaired": 1 / len(world.unpaired),
        "trivial_letters": statistics.fmean(letters[own] for own in latin.values()),
    }
    return units, without | trivial(measured, latin), {"unlike": {code: len(asked) for code, asked in unlike.items()}}


def centred(encoder: Any, texts: Texts) -> dict[str, np.ndarray]:
    """Vectors by language and script, less their mean."""
    found = {code: encoder(list(lines)).vectors.double().numpy() for code, lines in texts.items()}
    return {code: vectors - vectors.mean(0) for code, vectors in found.items()}


def accuracy(left: np.ndarray, right: np.ndarray, asked: Sequence[int] | None = None) -> float:
    """Accuracy@1 over both directions, of those that are asked, among all."""
    similarity = cosine_similarity(left, right)
    places = slice(None) if asked is None else list(asked)
    return float((hits(similarity)[places].mean() + hits(similarity.T)[places].mean()) / 2)


def no_letters(pairs: Pairs) -> list[int]:
    """The places whose counterpart is surely found neither by shared trigrams nor by edit distance, in no direction."""
    far = [
        [edit_distance(a.casefold(), b.casefold()) / max(len(a), len(b)) for b in pairs.candidates] for a in pairs[0]
    ]
    found = [hits(near, ties="expected") for one in (shared_trigrams(*pairs), -np.array(far)) for near in (one, one.T)]
    return np.flatnonzero(np.max(found, axis=0) < 1).tolist()


def topics(encoder: Any, world: World, split: str) -> tuple[dict[str, float], dict[str, float]]:
    """Accuracy of topics by language and script, by classifiers learnt in English: on vectors, and on letters alone."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import StandardScaler

    from papers.muril import miniature

    taught, asked = miniature.topic_lines(world), world.topics[split]
    lines = {code: [miniature.text(names, pair) for pair in asked] for code, names in world.names.items()}
    english = [miniature.text(world.names["en"], pair) for pair in taught]
    labels, right = ([world.kinds[pair[0]] for pair in pairs] for pairs in (taught, asked))
    vectors = centred(encoder, lines)
    known = encoder(english).vectors.double().numpy()
    # There are fewer lines of weekdays than of places, but as many in what is asked.
    middle = np.mean([known[np.array(labels) == kind].mean(0) for kind in miniature.KINDS], axis=0)
    by_vector = told(StandardScaler(), known - middle, labels, vectors, right)
    by_letter = told(TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3)), english, labels, lines, right)
    return by_vector, by_letter


def told(
    scaler: Any, known: Any, labels: Sequence[str], asked: Mapping[str, Any], right: Sequence[str]
) -> dict[str, float]:
    """Accuracy by language of a logistic regression, whose classes weigh alike."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    solver = make_pipeline(scaler, LogisticRegression(max_iter=1000, class_weight="balanced")).fit(known, labels)
    return {code: float(solver.score(texts, right)) for code, texts in asked.items()}


def trivial(texts: Texts, latin: Mapping[str, str]) -> dict[str, float]:
    """Retrieval of romanised text by length and by the letters it shares with English."""
    found = [solvers(Pairs(texts["en"], texts[code])) for code in latin.values()]
    return {f"trivial_{name}": statistics.fmean(scores[name] for scores in found) for name in found[0]}


def tatoeba(encoder: Any) -> Measurement:
    """XTREME's Tatoeba in the paper's languages, as written and romanised; not centred, as XTREME has it."""
    from core.tasks import pairs
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
