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
Hits = Mapping[tuple[str, str, str], Mapping[str, float]]
"""By search, source and target: 1.0 for each word whose best translation is right."""
# The languages of the tiny world that share their letters with English.
LATIN = frozenset({"es", "de", "fr", "it", "pt", "pl", "tr"})


def evaluate(config: Config, run: Run) -> Measurement:
    """Every direction of the configuration."""
    from safetensors.torch import load_file

    from papers.sinhala_alignment import data

    maps, notes = load_file(run.artifact / "maps.safetensors"), read_json(run.artifact / "maps.json")
    first = config.languages[0]
    units: Units = defaultdict(dict)
    hits: dict[tuple[str, str, str], dict[str, float]] = {}
    coverage: dict[str, float] = {}
    details: dict[str, Any] = {"maps": notes, "coverage": coverage}
    for source, target, task in data.tasks(config, run):
        coverage[f"{source}-{target}"] = task.coverage
        for search, by_word in ranks(task, maps[f"{source}-{target}"], config.neighbours).items():
            hits[search, source, target] = {word: float(rank <= 1) for word, rank in by_word.items()}
            for word, rank in by_word.items() if first in (source, target) else ():
                for k in K:
                    units[f"p{k}_{search}_{source}_{target}{'_forms' * ('/' in word)}"][word] = float(rank <= k)
        chance = statistics.fmean(len(gold) / len(task.y) for _, gold in task.gold.values())
    metrics = {"trivial_chance": chance, "zero_steps": statistics.fmean(not note["steps"] for note in notes.values())}
    if config.dictionary == "names":
        known = letters(config, run)
        asked = hits["csls", "en", first].keys()
        details["letters"] = {
            code: statistics.fmean(right[word] for word in asked) for code, right in known["right"].items()
        }
        metrics["trivial_letters"] = details["letters"][first]
        units |= languages(config, hits) | groups(config, hits["csls", "en", first], known)
    for name in (f"en_{first}", f"{first}_en", f"{first}_en_forms", "en_xx", "xx_en"):
        nn = units.get(f"p1_nn_{name}", {})
        if gain := {word: units[f"p1_csls_{name}"][word] - right for word, right in nn.items()}:
            units[f"gain_{name}"] = gain
    metrics |= {name: statistics.fmean(by.values()) for name, by in units.items()}
    metrics["misses"] = 1 - statistics.fmean(value for by in hits.values() for value in by.values())
    return Measurement(metrics, dict(units), details)


def ranks(task: Task, w: Tensor, k: int) -> dict[str, dict[str, int]]:
    """Rank of the best translation of each test word, by cosine (`nn`) and by CSLS (`csls`)."""
    from core.tasks.lexicon import Space

    mapped = task.x @ w.to(task.x).T
    places, gold = [place for place, _ in task.gold.values()], [right for _, right in task.gold.values()]
    spaces = {"nn": Space(task.y), "csls": Space(task.y, mapped, k=k)}
    return {
        name: dict(zip(task.gold, space.ranks(mapped[places], gold), strict=True)) for name, space in spaces.items()
    }


def groups(config: Config, csls: Mapping[str, float], known: Mapping[str, Any]) -> Units:
    """Into the first language, by CSLS and by letters alone: names that share no stem with any to learn from, names
    that do, and those of the former that do not look alike.
    """
    from papers.sinhala_alignment import miniature

    first, apart = config.languages[0], miniature.apart(config.split)
    parts = {"": csls.keys(), "_apart": apart, "_akin": csls.keys() - apart, "_unlike": apart & set(known["unlike"])}
    return {
        f"p1_{search}_en_{first}{part}": {word: right[word] for word in sorted(words)}
        for search, right in (("csls", csls), ("letters", known["right"][first]))
        for part, words in parts.items()
    }


def languages(config: Config, hits: Hits) -> Units:
    """Precision of all languages but the first, by language and group of words; in other scripts than Latin alone.

    `beside` is the first language's on the same words.
    """
    from papers.sinhala_alignment import miniature

    units: Units = defaultdict(dict)
    first, *others = config.languages
    for (search, source, target), right in hits.items():
        code = target if source == "en" else source
        name = f"p1_{search}_{'en_xx' if source == 'en' else 'xx_en'}"
        folds: dict[str, list[str]] = defaultdict(list)
        for word in right if code in others else ():
            folds[f"{code}/{miniature.fold(word)}"].append(word)
        for fold, words in sorted(folds.items()):
            units[name][fold] = statistics.fmean(right[word] for word in words)
            if name == "p1_csls_en_xx":
                units[f"{name}_beside"][fold] = statistics.fmean(hits[search, "en", first][word] for word in words)
                if code not in LATIN:
                    units[f"{name}_scripts"][fold] = units[name][fold]
    return dict(units)


def letters(config: Config, run: Run) -> dict[str, Any]:
    """What letters alone translate, by language and test name, and the names unlike the first language's."""
    from core.tasks.lexicon import by_letters
    from core.text.romanize import version
    from papers.sinhala_alignment import miniature

    # Loading uroman takes seconds, and a space made on the spot knows no names.
    romanizer = "none" if config.other == "toy" else "uroman"

    def build(folder: Path) -> None:
        keys = [miniature.unit(concept) for concept in miniature.known()]
        names = {code: list(miniature.words(code)) for code in ("en", *config.languages)}
        found = {code: by_letters(names["en"], names[code], romanizer) for code in config.languages}
        right = {code: dict(zip(keys, by.right, strict=True)) for code, by in found.items()}
        unlike = [key for key, other in zip(keys, found[config.languages[0]].unlike, strict=True) if other]
        write_json(folder / "letters.json", {"right": right, "unlike": unlike})

    inputs = {"languages": config.languages, "romanizer": version(romanizer)}
    return read_json(run.stage("by-letters", inputs, build) / "letters.json")


if __name__ == "__main__":
    entrypoint(evaluate)
