"""Translate the test words with the learnt maps: precision at 1, 5 and 10, by cosine and by CSLS.

    python -m papers.sinhala_alignment.eval tiny --variant rcsls
    python -m papers.sinhala_alignment.eval paper --variant procrustes

Precision counts source words: right is any of a word's translations. All words of the target vocabulary are candidates;
CSLS looks at all words of the source vocabulary. Words that a vocabulary lacks are left out and told as coverage.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json, write_json
from papers.sinhala_alignment.config import Config

if TYPE_CHECKING:
    from torch import Tensor

    from papers.sinhala_alignment.data import Task

K = (1, 5, 10)
Units = dict[str, dict[str, float]]
# Whose letters are not those of English, though Sinhala's neither.
LATIN = frozenset({"es", "de", "fr", "it", "pt", "pl", "tr"})


def evaluate(config: Config, run: Run) -> Measurement:
    """Every direction of the configuration."""
    from safetensors.torch import load_file

    from papers.sinhala_alignment import data

    maps = load_file(run.artifact / "maps.safetensors")
    metrics: dict[str, float] = {}
    units: Units = {}
    hits: dict[tuple[str, str], dict[str, float]] = {}
    chance, coverage = [], {}
    for task in data.tasks(config, run):
        found = ranks(task, maps[task.name], config.neighbours)
        coverage[task.name] = task.coverage
        chance += [len(gold) / len(task.y) for _, gold in task.gold.values()]
        for search, by_word in found.items():
            hits[search, task.name] = {word: float(rank <= 1) for word, rank in by_word.items()}
            if config.languages[0] in (task.source, task.target):
                name = f"{search}_{task.source}_{task.target}"
                units[f"p1_{name}"] = hits[search, task.name]
                metrics |= {f"p{k}_{name}": statistics.fmean(r <= k for r in by_word.values()) for k in K[1:]}
    units |= gains(units) | languages(config, hits)
    metrics = {name: statistics.fmean(by.values()) for name, by in units.items()} | metrics
    metrics["trivial_chance"] = statistics.fmean(chance)
    metrics["apart"] = 1 - statistics.fmean(statistics.fmean(by.values()) for by in hits.values())
    details: dict[str, Any] = {"maps": read_json(run.artifact / "maps.json"), "coverage": coverage}
    if config.dictionary == "names":
        details["letters"] = by_letters = letters(config, run)
        metrics["trivial_letters"] = by_letters[config.languages[0]]
        if others := [value for code, value in by_letters.items() if code != config.languages[0]]:
            metrics["trivial_letters_others"] = statistics.fmean(others)
    return Measurement(metrics, units, details)


def ranks(task: Task, w: Tensor, k: int) -> dict[str, dict[str, int]]:
    """Rank of the best translation of each test word, by cosine (`nn`) and by CSLS (`csls`)."""
    from core.tasks.lexicon import Space

    mapped = task.x @ w.to(task.x).T
    places, gold = [place for place, _ in task.gold.values()], [right for _, right in task.gold.values()]
    spaces = {"nn": Space(task.y), "csls": Space(task.y, mapped, k=k)}
    return {
        name: dict(zip(task.gold, space.ranks(mapped[places], gold), strict=True)) for name, space in spaces.items()
    }


def gains(units: Units) -> Units:
    """What CSLS gains over cosine, word by word."""
    return {
        name.replace("p1_csls", "gain"): {
            word: right - units[name.replace("csls", "nn")][word] for word, right in by.items()
        }
        for name, by in units.items()
        if name.startswith("p1_csls")
    }


def languages(config: Config, hits: Mapping[tuple[str, str], dict[str, float]]) -> Units:
    """Precision by language and group of words, and beside each the first language's on the same words.

    `others` are all but the first language, `scripts` those of them that are not written in Latin letters.
    """
    from papers.sinhala_alignment import miniature

    units: Units = defaultdict(dict)
    first, *_others = config.languages
    for (search, name), by_word in hits.items():
        direction = "en_xx" if name.startswith("en-") else "xx_en"
        code = name.removeprefix("en-").removesuffix("-en")
        if code == first or config.dictionary != "names":
            continue
        beside = hits[search, f"en-{first}" if direction == "en_xx" else f"{first}-en"]
        groups: dict[str, list[str]] = defaultdict(list)
        for word in sorted(by_word.keys() & beside.keys()):
            groups[f"{code}/{miniature.fold(word)}"].append(word)
        for group, words in groups.items():
            value = statistics.fmean(by_word[word] for word in words)
            units[f"p1_{search}_{direction}"][group] = value
            if code not in LATIN:
                units[f"p1_{search}_{direction}_scripts"][group] = value
            units[f"p1_{search}_{direction}_beside"][group] = statistics.fmean(beside[word] for word in words)
    return dict(units)


def letters(config: Config, run: Run) -> dict[str, float]:
    """Precision at 1 by language of a solver that knows letters alone: the name that shares most trigrams, romanised.

    It asks for every English name, since it learns from none.
    """
    from core.tasks.retrieval import Pairs, trivial
    from core.text.romanize import resolve, version
    from papers.sinhala_alignment import miniature

    def build(folder: Path) -> None:
        romanize, names = resolve("uroman"), [concept.names for concept in miniature.concepts()]
        found = {}
        for code in config.languages:
            pairs = Pairs([by["en"] for by in names], [romanize(by[code]) for by in names])
            found[code] = trivial(pairs)["overlap"]
        write_json(folder / "letters.json", found)

    inputs = {"languages": config.languages, "romanizer": version("uroman")}
    return read_json(run.stage("letters", inputs, build) / "letters.json")


if __name__ == "__main__":
    entrypoint(evaluate)
