"""Measure an encoder of words: lexicons that it induces, ratings that it predicts, sentences that it finds.

    python -m papers.lexical_specialization.eval tiny --variant specialized
    python -m papers.lexical_specialization.eval paper --variant specialized

A lexicon is induced by asking for the nearest word of another language, by cosine as in the paper and by CSLS; the
metric is the mean reciprocal rank of the right word. Languages are apart by whether they had constraints.
"""

from __future__ import annotations

import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.lexical_specialization.config import Config

if TYPE_CHECKING:
    from torch import Tensor

    from core.tasks.retrieval import Pairs

Units = dict[str, dict[str, float]]
Encode = Callable[..., "list[Tensor]"]
"""Words, and layers unless it is the last alone -> vectors of each layer."""


def evaluate(config: Config, run: Run) -> Measurement:
    """Everything that the configuration names data for."""
    from core.corpora.lexicons import read_ratings
    from core.models.loading import load
    from core.tasks.lexicon import agreement
    from papers.lexical_specialization.method import encode_words
    from papers.lexical_specialization.train import start

    loaded = load(run.artifact if config.specialized else start(config, run), task="encoder")
    encode, layers = partial(encode_words, *loaded), range(loaded.model.config.num_hidden_layers + 1)
    constants: dict[str, float] = {}
    if config.tests == "emoji":
        units, by_layer = tiny_lexicons(encode, layers, config)
        constants = {} if config.specialized else trivial(config)
    else:
        units, by_layer = large_lexicons(encode, layers, config)
        units["similarity"] = {}
        for pair, rated in read_ratings(Path(config.tests, "multisimlex")).items():
            left, right = (encode(list(column))[-1] for column in list(zip(*rated, strict=True))[:2])
            units["similarity"][pair] = agreement(left, right, [rating for _, _, rating in rated])
    units |= sentences(encode, config)
    metrics = {name: statistics.fmean(values.values()) for name, values in units.items()}
    return Measurement(metrics | constants, units, {"by_layer": by_layer})


# --- the tiny world -------------------------------------------------------------------------------------------------


def tiny_lexicons(encode: Encode, layers: Sequence[int], config: Config) -> tuple[Units, list[float]]:
    """Reciprocal ranks `language/concept`; and of unseen languages their mean by layer, each asking the next one."""
    from core.tasks.lexicon import induce
    from papers.lexical_specialization.miniature import SEEN, UNSEEN

    words, asked = searched(config)
    states = {code: encode(column, layers if code in UNSEEN else (-1,)) for code, column in words.items()}
    vectors = {code: found[-1] for code, found in states.items()}
    groups = {"seen": (SEEN, SEEN), "unseen": (UNSEEN, UNSEEN), "mixed": (UNSEEN, SEEN)}
    units = {f"bli_{group}": induce(vectors, asked, *languages) for group, languages in groups.items()}
    units["csls_unseen"] = induce(vectors, asked, UNSEEN, UNSEEN, csls=True)
    ring, curve = list(zip(UNSEEN, (*UNSEEN[1:], UNSEEN[0]), strict=True)), []
    for layer in layers:
        found = [induce({code: states[code][layer] for code in pair}, asked, pair[:1], pair[1:]) for pair in ring]
        curve.append(statistics.fmean(value for ranks in found for value in ranks.values()))
    words, asked = searched(config, places=True)
    vectors = {code: encode(words[code])[0] for code in UNSEEN}
    return units | {"places_unseen": induce(vectors, asked, UNSEEN, UNSEEN)}, curve


def searched(config: Config, *, places: bool = False) -> tuple[dict[str, list[str]], dict[str, dict[str, tuple[int]]]]:
    """Names to search by language, one in two of which is asked for; and the places of those that are."""
    from core.worlds.concepts import LANGUAGES, held_out, names
    from papers.lexical_specialization import miniature

    if places:
        table = miniature.places(config.items, config.seed)
        asked = keys = list(table)
    else:
        table, asked = names(), held_out(config.split, config.items, config.seed)
        others = sorted(table.keys() - asked)
        keys = [*asked, *random.Random(config.seed).sample(others, len(asked))]
    words = {code: [table[key][code] for key in keys] for code in LANGUAGES}
    return words, {key: dict.fromkeys(words, (row,)) for row, key in enumerate(asked)}


def trivial(config: Config) -> dict[str, float]:
    """What is found in unseen languages by chance, and by letter trigrams: of romanised words, of sentences."""
    import numpy as np

    from core.tasks import retrieval
    from core.text.distance import shared_trigrams
    from core.text.romanize import romanize_all
    from papers.lexical_specialization.miniature import UNSEEN

    found: dict[str, list[float]] = defaultdict(list)
    for name, places in (("letters", False), ("places_letters", True)):
        words, asked = searched(config, places=places)
        latin = {code: romanize_all(words[code]) for code in UNSEEN}
        for source, target in permutations(UNSEEN, 2):
            alike = shared_trigrams(latin[source][: len(asked)], latin[target])
            found[name] += (1 / (alike >= alike.diagonal()[:, None]).sum(1)).tolist()
    found["sentences_letters"] = [retrieval.trivial(side)["overlap"] for side in sentence_pairs(config).values()]
    found["chance"] = (1 / np.arange(1, len(searched(config)[0]["en"]) + 1)).tolist()
    return {f"trivial_{name}": statistics.fmean(values) for name, values in found.items()}


# --- the paper's tests ----------------------------------------------------------------------------------------------


def large_lexicons(encode: Encode, layers: Sequence[int], config: Config) -> tuple[Units, list[float]]:
    """Mean reciprocal rank of each direction, `source/target, collection`, in whole vocabularies; their mean by layer.

    A pair counts if both words stand in the vocabularies, as they are or in lower case, whatever a tokenizer makes of
    them, so that all encoders are asked the same.
    """
    from core.corpora.lexicons import lexicons, read_vocabulary
    from core.tasks.lexicon import Space, reciprocal
    from core.text.languages import match
    from papers.lexical_specialization import data

    units: Units = defaultdict(dict)
    curves: list[list[float]] = []
    tests, seen = lexicons(Path(config.tests, "bli_datasets")), data.languages(config)
    files = {code: Path(config.tests, "vocab", f"{code}_vocab.txt") for test in tests for code in test[1:3]}
    for target in sorted({test.target for test in tests}):
        words = read_vocabulary(files[target])
        place = {word: number for number, word in enumerate(words)}
        spaces = [Space(vectors) for vectors in encode(words, layers)]
        for collection, source, _, rows in (test for test in tests if test.target == target):
            mine = set(read_vocabulary(files[source]))
            found = [(left, place.get(right, place.get(right.lower()))) for left, right in rows]
            kept = [(left, [right]) for left, right in found if right is not None and {left, left.lower()} & mine]
            queries, gold = zip(*kept, strict=True)
            asked = zip(spaces, encode(queries, layers), strict=True)
            ranks = [statistics.fmean(reciprocal(space.ranks(vectors, gold))) for space, vectors in asked]
            group = ("unseen", "mixed", "seen")[sum(match(code, seen) is not None for code in (source, target))]
            units[f"bli_{group}"][f"{source}/{target}, {collection}"] = ranks[-1]
            curves.append(ranks)
    return dict(units), [statistics.fmean(column) for column in zip(*curves, strict=True)]


def sentence_pairs(config: Config) -> dict[str, Pairs]:
    """English sentences and their translations, by language."""
    from core.tasks import pairs
    from core.tasks.retrieval import Pairs
    from papers.lexical_specialization import miniature

    if config.tests == "emoji":
        columns = miniature.sentences(config.split, min(config.items, 60), config.seed)
        return {code: Pairs(columns["en"], column) for code, column in columns.items() if code != "en"}
    read = {code: rows[: config.items] for code, rows in pairs.read("tatoeba")}
    return {code: Pairs(*([row[k] for row in rows] for k in ("en", "native"))) for code, rows in read.items()}


def sentences(encode: Encode, config: Config) -> Units:
    """Accuracy@1 of English sentences that ask for their translations, pooled as words are; `language/sentence`."""
    from core.tasks.retrieval import retrieve
    from core.text.languages import match
    from papers.lexical_specialization import data

    found, seen = retrieve(lambda texts: encode(texts)[0], sentence_pairs(config)), data.languages(config)
    units: Units = defaultdict(dict)
    for code, result in found.items():
        group = "seen" if match(code, seen) else "unseen"
        units[f"sentences_{group}"] |= {f"{code}/{n}": value for n, value in enumerate(result.forward[1])}
    return dict(units)


if __name__ == "__main__":
    entrypoint(evaluate)
