"""Measure the script barrier of an encoder: retrieval across scripts, vectors of both spellings, zero-shot transfer.

    python -m papers.translico.eval tiny --variant full
    python -m papers.translico.eval paper --variant source

Retrieval as the official code does it: a sentence is the mean of one layer's states over all its tokens, `<s>` and
`</s>` included, the contrast layer; cosine, exact search. Transfer: the encoder is fine-tuned as a whole on labelled
text in one script, the best epoch on held-out text of that script is kept, and the other script is tested.
"""

from __future__ import annotations

import shutil
import statistics
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.translico.config import Config

if TYPE_CHECKING:
    from core.tasks.labelled import Labelled

Units = dict[str, dict[str, float]]


def evaluate(config: Config, run: Run) -> Measurement:
    """Everything that the configuration names data for."""
    from papers.translico.train import base_folder

    folder = run.artifact if config.tuned else base_folder(config, run)
    units: Units = {}
    constants: dict[str, float] = {}
    details: dict[str, Any] = {}
    if config.corpus:
        units |= from_english(folder, config)
    else:
        units |= across(folder, config)
        constants |= trivial_retrieval(config)
        found, details["layers"] = spellings(folder, config)
        units |= found
    found, constant = transfer(folder, config, run)
    units, constants = units | found, constants | constant
    metrics = {name: statistics.fmean(values.values()) for name, values in units.items() if values}
    return Measurement(metrics | constants, units, details)


# --- retrieval -----------------------------------------------------------------------------------------------------


def across(folder: Path | str, config: Config) -> Units:
    """Accuracy@1 of held-out messages between any two languages, both directions, by language and the other one."""
    from itertools import combinations

    from core.models.embedding import Pooling, load_encoder
    from core.tasks.retrieval import Pairs, retrieve
    from papers.translico import miniature

    lines = miniature.world(config).messages
    sets = {f"{one}/{other}": Pairs(lines[one], lines[other]) for one, other in combinations(config.languages, 2)}
    encoder = load_encoder(folder, Pooling("mean", layer=config.layer))
    units: Units = defaultdict(dict)
    for name, found in retrieve(encoder, sets).items():
        accuracy = (found.accuracy() + found.accuracy(direction="backward")) / 2
        one, other = name.split("/")
        scripts = {miniature.is_latin(code) for code in (one, other)}
        if len(scripts) == 2:
            one, other = (other, one) if miniature.is_latin(one) else (one, other)
            units["acc1_cross"][f"{one}/{other}"] = accuracy
            if miniature.in_group(one) and miniature.in_group(other):
                units["acc1_group"][f"{one}/{other}"] = accuracy
        else:
            side = "acc1_latin" if scripts == {True} else "acc1_cyrillic"
            units[side] |= {f"{one}/{other}": accuracy, f"{other}/{one}": accuracy}
    return dict(units)


def _scripts(config: Config) -> tuple[list[str], list[str]]:
    """The miniature's languages in Latin script, and those in Cyrillic."""
    from papers.translico.miniature import is_latin

    latin = [code for code in config.languages if is_latin(code)]
    return latin, [code for code in config.languages if code not in latin]


def trivial_retrieval(config: Config) -> dict[str, float]:
    """Accuracy@1 across scripts of what looks at lengths, at letters, and at letters after romanising both sides."""
    from core.tasks.retrieval import Pairs, trivial
    from core.text.romanize import romanize_all
    from papers.translico import miniature

    lines = miniature.world(config).messages
    read = {code: romanize_all(found) for code, found in lines.items()}
    scores = defaultdict(list)
    latin, cyrillic = _scripts(config)
    for one in cyrillic:
        for other in latin:
            for name, score in trivial(Pairs(lines[one], lines[other])).items():
                scores[name].append(score)
            scores["romanised_overlap"].append(trivial(Pairs(read[one], read[other]))["overlap"])
    return {f"trivial_{name}": statistics.fmean(found) for name, found in scores.items()}


def spellings(folder: Path | str, config: Config) -> tuple[Units, list[dict[str, float]]]:
    """The barrier between held-out Cyrillic messages and their romanisations by language; its mean by layer."""
    from core.models.loading import load
    from papers.translico import miniature
    from papers.translico.barrier import script_barrier
    from papers.translico.method import pair

    model, tokenizer = load(folder, task="encoder", dtype="float32")
    lines = miniature.world(config).messages
    reports = {code: script_barrier(model, tokenizer, pair(lines[code])) for code in _scripts(config)[1]}
    at = {code: report[config.layer] for code, report in reports.items()}
    units = {
        "acc1_own": {code: layer.found for code, layer in at.items()},
        "margin_own": {code: layer.own - layer.others for code, layer in at.items()},
        "script_share": {code: layer.script for code, layer in at.items()},
    }
    layers = zip(*reports.values(), strict=True)
    fields = [
        {name: statistics.fmean(getattr(one, name) for one in layer) for name in layer[0]._fields} for layer in layers
    ]
    return units, fields


def from_english(folder: Path | str, config: Config) -> Units:
    """Accuracy@1 and @10 with English queries, by language, in Latin script and in others (SR-T, SR-B)."""
    from core.models.embedding import Pooling, load_encoder
    from core.tasks import pairs
    from core.tasks.retrieval import Pairs, retrieve
    from core.text.languages import language

    if not config.retrieval:
        return {}
    sets = {
        code: Pairs([row["en"] for row in rows], [row["native"] for row in rows])
        for code, rows in pairs.read(config.retrieval)
    }
    found = retrieve(load_encoder(folder, Pooling("mean", layer=config.layer, max_tokens=512)), sets, k=(1, 10))
    units: Units = defaultdict(dict)
    for code, hits in found.items():
        side = "latin" if language(code).script == "Latn" else "cross"
        for k in (1, 10):
            units[f"acc{k}_{side}"][code] = hits.accuracy(k)
    return dict(units)


# --- transfer ------------------------------------------------------------------------------------------------------


def transfer(folder: Path | str, config: Config, run: Run) -> tuple[Units, dict[str, float]]:
    """Macro-F1 by language of a classifier that was fine-tuned on one script (or on English), and of the majority."""
    from core import distributed
    from core.tasks import classification

    train, dev, tests = labelled_sets(config)
    if not train:
        return {}, {}
    model = classification.finetune(folder, train, dev, config.transfer, run, seed=config.seed, name="transfer")
    units: Units = defaultdict(dict)
    majority = []
    for (side, code), found in tests.items():
        predicted = classification.predict(model, found, config.transfer)
        units[f"f1_{side}"][code] = classification.f1(predicted, found)
        majority.append(classification.f1(classification.majority(train, found), found))
    distributed.barrier()
    if distributed.is_main():  # what is measured is the encoder, not the classifier
        shutil.rmtree(run.path / "transfer", ignore_errors=True)
    return dict(units), {"trivial_majority": statistics.fmean(majority)}


def labelled_sets(
    config: Config,
) -> tuple[list[Labelled], list[Labelled], dict[tuple[str, str], list[Labelled]]]:
    """Training and development text of the source script, and tests by script and language."""
    from core.tasks import labelled
    from core.text.languages import language
    from papers.translico import miniature

    if not config.corpus:
        names, (latin, cyrillic) = miniature.world(config).names, _scripts(config)
        train, dev = ([one for code in latin for one in names[part][code]] for part in ("train", "choice"))
        sides = {"latin": latin, "cross": cyrillic}
        return train, dev, {(side, code): names["test"][code] for side, codes in sides.items() for code in codes}
    if not config.classification:
        return [], [], {}
    corpus = config.classification
    english = labelled.english_of(corpus)
    train, dev = (labelled.read(corpus, english, part) for part in ("train", "dev"))
    tests = {
        ("latin" if language(code).script == "Latn" else "cross", code): labelled.read(corpus, code, config.split)
        for code in labelled.languages_of(corpus)
    }
    return train, dev, tests


if __name__ == "__main__":
    entrypoint(evaluate)
