"""Measure an encoder of words: lexicons that it induces, ratings that it predicts, sentences that it finds.

    python -m papers.lexical_specialization.eval tiny --variant specialized
    python -m papers.lexical_specialization.eval paper --variant specialized

A lexicon is induced by asking for the nearest word of the other language, by cosine as the paper does and by CSLS; the
metric is the mean reciprocal rank of the right word. Directions are apart by whether their languages had constraints.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.lexical_specialization.config import Config

if TYPE_CHECKING:
    from torch import Tensor

Units = dict[str, dict[str, float]]
Encode = Callable[..., "list[Tensor]"]
"""Words, and layers unless it is the configuration's -> vectors of each layer."""


def evaluate(config: Config, run: Run) -> Measurement:
    """Everything that the configuration names data for."""
    from core.models import loading
    from papers.lexical_specialization import data
    from papers.lexical_specialization.method import encode_words
    from papers.lexical_specialization.train import start

    folder = run.artifact if config.specialized else start(config, run)
    model, tokenizer = loading.load(folder, task="encoder")

    def encode(words: Sequence[str], layers: Sequence[int] = (config.layer,)) -> list[Tensor]:
        return encode_words(model, tokenizer, words, layers)

    units: Units = {}
    details: dict[str, Any] = {"layer": config.layer}
    constants: dict[str, float] = {}
    layers = (config.layer, *range(model.config.num_hidden_layers + 1))
    if config.lexicons == "emoji":
        units, details["by_layer"] = tiny_lexicons(encode, layers, config)
        constants = trivial(config, run)
    elif config.lexicons:
        units, details["by_layer"] = large_lexicons(encode, layers, config)
    if config.names:
        units |= second_lexicon(encode, config)
    if config.ratings:
        units["similarity"] = similarity(encode, data.ratings(Path(config.ratings)))
    if config.sentences:
        units |= sentences(encode, config)
    metrics = {name: statistics.fmean(values.values()) for name, values in units.items()}
    return Measurement(metrics | constants, units, details)


# --- lexicons -------------------------------------------------------------------------------------------------------


def tiny_lexicons(encode: Encode, layers: Sequence[int], config: Config) -> tuple[Units, list[float]]:
    """Reciprocal ranks `language/concept`; and of unseen languages their mean by layer, each asking the next one."""
    from papers.lexical_specialization.miniature import SEEN, UNSEEN

    words, asked = vocabularies(config)
    vectors = {code: encode(words[code])[0] for code in SEEN}
    by_layer: dict[str, list[Tensor]] = {}
    for code in UNSEEN:
        vectors[code], *by_layer[code] = encode(words[code], layers)
    groups = {"seen": (SEEN, SEEN), "unseen": (UNSEEN, UNSEEN), "mixed": (UNSEEN, SEEN)}
    units = {
        f"{name}_{group}": induce(vectors, asked, *languages, csls=name == "csls")
        for name in ("bli", "csls")
        for group, languages in groups.items()
    }
    curve = []
    for layer in range(len(layers) - 1):
        there = {code: states[layer] for code, states in by_layer.items()}
        ranks = [induce(there, asked, (a,), (b,)) for a, b in zip(UNSEEN, (*UNSEEN[1:], UNSEEN[0]), strict=True)]
        curve.append(statistics.fmean(value for found in ranks for value in found.values()))
    return units, curve


def vocabularies(config: Config) -> tuple[dict[str, list[str]], dict[str, dict[str, tuple[int]]]]:
    """All names by language, and the concepts that are asked for with their places in them."""
    from papers.lexical_specialization import miniature

    table = miniature.names()
    place = {key: number for number, key in enumerate(table)}
    asked = miniature.held_out(config.split, config.items, config.seed)
    words = {code: [name[code] for name in table.values()] for code in miniature.LANGUAGES}
    return words, {key: dict.fromkeys(words, (place[key],)) for key in asked}


def trivial(config: Config, run: Run) -> dict[str, float]:
    """What is found in unseen languages by chance, and by the letter trigrams of romanised words."""
    from core.files import read_json, write_json
    from core.text.distance import trigrams
    from papers.lexical_specialization.miniature import UNSEEN

    words, asked = vocabularies(config)

    def build(folder: Path) -> None:
        letters = trigrams(*(words[code] for code in UNSEEN))
        found = induce(dict(zip(UNSEEN, letters, strict=True)), asked, UNSEEN, UNSEEN)
        write_json(folder / "letters.json", statistics.fmean(found.values()))

    inputs = {"split": config.split, "seed": config.seed, "items": config.items}
    letters = read_json(run.stage("letters", inputs, build) / "letters.json")
    ranks = range(1, len(words["en"]) + 1)
    return {"trivial_letters": letters, "trivial_chance": statistics.fmean(1 / rank for rank in ranks)}


def induce(
    vectors: Mapping[str, Tensor],
    synsets: Mapping[str, Mapping[str, Sequence[int]]],
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    csls: bool = False,
) -> dict[str, float]:
    """Reciprocal rank of the right word, `source/synset`: the mean over the other languages, and the synset's words.

    Args:
        vectors: Of the whole vocabulary of each language.
        synsets: What is asked for: by language, the rows of its words.
        sources: Languages that ask.
        targets: Languages that are searched.
        csls: By CSLS instead of cosine.
    """
    from core.tasks.lexicon import Space, reciprocal

    found: dict[str, list[float]] = defaultdict(list)
    for source in sources:
        for target in targets:
            asked = [
                (key, row, rows[target])
                for key, rows in synsets.items()
                if rows.get(target)
                for row in rows.get(source, ())
            ]
            if source != target and asked:
                space = Space(vectors[target], vectors[source] if csls else None)
                ranks = space.ranks(vectors[source][[row for _, row, _ in asked]], [gold for _, _, gold in asked])
                for (key, _, _), value in zip(asked, reciprocal(ranks), strict=True):
                    found[f"{source}/{key}"].append(value)
    return {path: statistics.fmean(values) for path, values in found.items()}


def second_lexicon(encode: Encode, config: Config) -> Units:
    """The same for names of territories and languages, another domain, in further languages too."""
    from papers.lexical_specialization.miniature import FURTHER, SEEN, UNSEEN, places

    table, unseen = places(config.names, config.seed), (*UNSEEN, *FURTHER)
    vectors = {code: encode([name[code] for name in table.values()])[0] for code in (*SEEN, *unseen)}
    asked = {key: dict.fromkeys(vectors, (number,)) for number, key in enumerate(table)}
    return {
        "names_seen": induce(vectors, asked, SEEN, SEEN),
        "names_unseen": induce(vectors, asked, unseen, unseen),
    }


def large_lexicons(encode: Encode, layers: Sequence[int], config: Config) -> tuple[Units, list[float]]:
    """Mean reciprocal rank of every direction, `source/target`, in whole vocabularies; and the mean of all by layer.

    A pair counts if both words stand in the vocabularies, as they are or in lower case, whatever a tokenizer makes of
    them, so that all encoders are asked the same.
    """
    from core.tasks.lexicon import Space, reciprocal
    from papers.lexical_specialization import data

    folder, seen = Path(config.vocabularies), data.languages(config)
    units: Units = defaultdict(dict)
    curves: list[list[float]] = []
    lexicons = data.lexicons(Path(config.lexicons))
    for target in sorted({pairs.target for pairs in lexicons}):
        words = data.vocabulary(folder, target)
        place = {word: number for number, word in enumerate(words)}
        spaces = [Space(vectors) for vectors in encode(words, layers)]
        for source, _, rows in (pairs for pairs in lexicons if pairs.target == target):
            mine = set(data.vocabulary(folder, source))
            found = [(left, place.get(right, place.get(right.lower()))) for left, right in rows]
            kept = [(left, [right]) for left, right in found if right is not None and {left, left.lower()} & mine]
            queries, gold = [left for left, _ in kept], [right for _, right in kept]
            asked = zip(spaces, encode(queries, layers), strict=True)
            ranks = [statistics.fmean(reciprocal(space.ranks(vectors, gold))) for space, vectors in asked]
            group = ("unseen", "mixed", "seen")[data.is_among(source, seen) + data.is_among(target, seen)]
            units[f"bli_{group}"][f"{source}/{target}"] = ranks[0]
            curves.append(ranks[1:])
    return dict(units), [statistics.fmean(column) for column in zip(*curves, strict=True)]


# --- ratings and sentences ------------------------------------------------------------------------------------------


def similarity(encode: Encode, rated: Mapping[str, Sequence[tuple[str, str, float]]]) -> dict[str, float]:
    """Spearman's correlation between cosine and mean rating, by pair of languages."""
    import torch

    from core.metrics.correlations import spearman

    found = {}
    for pair, rows in rated.items():
        left, right = (encode([row[side] for row in rows])[0] for side in (0, 1))
        cosine = torch.cosine_similarity(left, right)
        found[pair] = spearman(cosine.tolist(), [row[2] for row in rows])
    return found


def sentences(encode: Encode, config: Config) -> Units:
    """Accuracy@1 of English sentences that ask for their translations, pooled as words are; `language/sentence`."""
    from core.tasks import pairs
    from core.tasks.retrieval import Pairs, retrieve
    from papers.lexical_specialization import data, miniature

    if config.sentences == "messages":
        seen: Sequence[str] = miniature.SEEN
        sets = {
            code: miniature.sentences(code, config.split, config.items, config.seed) for code in miniature.LANGUAGES[1:]
        }
    else:
        seen = data.languages(config)
        sets = {
            code: {f"{code}/{n}": (row["en"], row["native"]) for n, row in enumerate(rows[: config.items])}
            for code, rows in pairs.read(config.sentences)
        }
    found = retrieve(
        lambda texts: encode(texts)[0],
        {code: Pairs(*zip(*rows.values(), strict=True)) for code, rows in sets.items()},
    )
    units: Units = {"sentences_seen": {}, "sentences_unseen": {}}
    for code, rows in sets.items():
        group = "seen" if data.is_among(code, seen) else "unseen"
        units[f"sentences_{group}"] |= dict(zip(rows, found[code].forward[1], strict=True))
    return {name: values for name, values in units.items() if values}


if __name__ == "__main__":
    entrypoint(evaluate)
