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
# The languages of the tiny world that share their letters with English.
LATIN = frozenset({"es", "de", "fr", "it", "pt", "pl", "tr"})


def evaluate(config: Config, run: Run) -> Measurement:
    """Every direction of the configuration."""
    from safetensors.torch import load_file

    from papers.sinhala_alignment import data

    maps, first = load_file(run.artifact / "maps.safetensors"), config.languages[0]
    units: Units = {}
    hits: dict[tuple[str, str, str], dict[str, float]] = {}
    metrics: dict[str, float] = {}
    coverage: dict[str, float] = {}
    details: dict[str, Any] = {"maps": read_json(run.artifact / "maps.json"), "coverage": coverage}
    for source, target, task in data.tasks(config, run):
        coverage[f"{source}-{target}"] = task.coverage
        for search, by_word in ranks(task, maps[f"{source}-{target}"], config.neighbours).items():
            hits[search, source, target] = {word: float(rank <= 1) for word, rank in by_word.items()}
            if first in (source, target):
                units[f"p1_{search}_{source}_{target}"] = hits[search, source, target]
                for k in K[1:]:
                    metrics[f"p{k}_{search}_{source}_{target}"] = statistics.fmean(r <= k for r in by_word.values())
        metrics["trivial_chance"] = statistics.fmean(len(gold) / len(task.y) for _, gold in task.gold.values())
    for direction in (f"en_{first}", f"{first}_en"):
        csls, nn = units[f"p1_csls_{direction}"], units[f"p1_nn_{direction}"]
        units[f"gain_{direction}"] = {word: csls[word] - nn[word] for word in csls}
    if config.dictionary == "names":
        units |= languages(config, hits)
        known = letters(config, run)
        details["letters"], metrics["trivial_letters"] = known["precision"], known["precision"][first]
        unlike = {key.replace("/", "-") for key in known["unlike"]}
        for search in ("nn", "csls"):
            right = hits[search, "en", first]
            units[f"p1_{search}_en_{first}_unlike"] = {word: right[word] for word in unlike & right.keys()}
    metrics |= {name: statistics.fmean(by.values()) for name, by in units.items()}
    metrics["apart"] = 1 - statistics.fmean(value for by in hits.values() for value in by.values())
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


def languages(config: Config, hits: Mapping[tuple[str, str, str], dict[str, float]]) -> Units:
    """Precision of all languages but the first, by language and group of words; in other scripts than Latin alone.

    `beside` is the first language's on the same words.
    """
    from papers.sinhala_alignment import miniature

    units: Units = defaultdict(dict)
    first, *others = config.languages
    for search, source, target in hits:
        code = target if source == "en" else source
        if code not in others:
            continue
        name = f"p1_{search}_{'en_xx' if source == 'en' else 'xx_en'}"
        beside = hits[search, "en", first] if source == "en" else hits[search, first, "en"]
        groups: dict[str, list[str]] = defaultdict(list)
        for word in hits[search, source, target].keys() & beside.keys():
            groups[f"{code}/{miniature.fold(word)}"].append(word)
        for group, words in sorted(groups.items()):
            units[name][group] = statistics.fmean(hits[search, source, target][word] for word in words)
            units[f"{name}_beside"][group] = statistics.fmean(beside[word] for word in words)
            if code not in LATIN:
                units[f"{name}_scripts"][group] = units[name][group]
    return dict(units)


def letters(config: Config, run: Run) -> dict[str, Any]:
    """What letters alone say of all names: precision at 1 by language, and the names unlike the first language's."""
    from core.tasks.lexicon import by_letters
    from core.text.romanize import version
    from papers.sinhala_alignment import miniature

    # Loading uroman takes seconds, and a space made on the spot knows no names.
    romanizer = "none" if config.other == "toy" else "uroman"

    def build(folder: Path) -> None:
        names = {code: list(miniature.words(code)) for code in ("en", *config.languages)}
        found = {code: by_letters(names["en"], names[code], romanizer) for code in config.languages}
        keys = [concept.key for concept in miniature.known()]
        unlike = [key for key, other in zip(keys, found[config.languages[0]].unlike, strict=True) if other]
        write_json(folder / "letters.json", {"precision": {c: f.precision for c, f in found.items()}, "unlike": unlike})

    inputs = {"languages": config.languages, "romanizer": version(romanizer)}
    return read_json(run.stage("letters", inputs, build) / "letters.json")


if __name__ == "__main__":
    entrypoint(evaluate)
