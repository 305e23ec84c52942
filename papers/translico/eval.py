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
from typing import TYPE_CHECKING

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
    units, constants = transfer(folder, config, run)
    if config.corpus:
        units |= from_english(folder, config)
    else:
        found, solved = across(folder, config)
        own, solved_own = spellings(folder, config)
        units, constants = units | found | own, constants | solved | solved_own
    metrics = {name: statistics.fmean(values.values()) for name, values in units.items()}
    return Measurement(metrics | constants, units)


# --- retrieval -----------------------------------------------------------------------------------------------------


def across(folder: Path | str, config: Config) -> tuple[Units, dict[str, float]]:
    """Accuracy@1 of held-out messages, both directions, by pair of languages, and of trivial solvers.

    Across scripts (`acc1_cross`, and `acc1_group` within the group) the language in Cyrillic stands first; within Latin
    script (`acc1_latin`) a pair stands twice, so that either language may be drawn. The solvers see lengths, letters,
    and letters after romanising both sides.
    """
    from core.models.embedding import Pooling, load_encoder
    from core.tasks.retrieval import Pairs, retrieve, trivial
    from core.text.romanize import romanize_all
    from papers.translico.miniature import in_group, world

    lines, (latin, cyrillic) = world(config).messages, _scripts(config)
    sets = {f"{one}/{other}": Pairs(lines[one], lines[other]) for one in lines for other in latin if one != other}
    encoder = load_encoder(folder, Pooling("mean", layer=config.layer))
    units: Units = defaultdict(dict)
    solved = defaultdict(list)
    for name, found in retrieve(encoder, sets).items():
        one, other = name.split("/")
        accuracy = (found.accuracy() + found.accuracy(direction="backward")) / 2
        units["acc1_cross" if one in cyrillic else "acc1_latin"][name] = accuracy
        if one in cyrillic:
            if in_group(one) and in_group(other):
                units["acc1_group"][name] = accuracy
            romanised = trivial(Pairs(*map(romanize_all, sets[name])))
            for solver, score in {**trivial(sets[name]), "romanised_overlap": romanised["overlap"]}.items():
                solved[f"trivial_{solver}"].append(score)
    # How much easier a language in Latin script is found from the others in its own script.
    within = {other: statistics.fmean(units["acc1_latin"][f"{other}/{one}"] for one in latin if one != other)
              for other in latin}  # fmt: skip
    units["gap"] = {name: within[name.split("/")[1]] - value for name, value in units["acc1_cross"].items()}
    return dict(units), {solver: statistics.fmean(scores) for solver, scores in solved.items()}


def _scripts(config: Config) -> tuple[list[str], list[str]]:
    """The miniature's languages in Latin script, and those in Cyrillic."""
    from papers.translico.miniature import is_latin

    latin = [code for code in config.languages if is_latin(code)]
    return latin, [code for code in config.languages if code not in latin]


def spellings(folder: Path | str, config: Config) -> tuple[Units, dict[str, float]]:
    """The barrier between held-out Cyrillic messages and their romanisations, by language, at the contrast layer.

    And what solvers find that see lengths or letters.
    """
    from core.models.loading import load
    from core.tasks.retrieval import Pairs, trivial
    from papers.translico.barrier import script_barrier
    from papers.translico.method import pair
    from papers.translico.miniature import world

    model, tokenizer = load(folder, task="encoder", dtype="float32")
    lines = world(config).messages
    spelled = {code: pair(lines[code]) for code in _scripts(config)[1]}
    found = {code: script_barrier(model, tokenizer, rows, [config.layer])[0] for code, rows in spelled.items()}
    sides = [Pairs([r["text"] for r in rows], [r["transliteration"] for r in rows]) for rows in spelled.values()]
    solved = [trivial(Pairs(*way)) for side in sides for way in (side, side[::-1])]
    return {
        "acc1_own": {code: layer.found for code, layer in found.items()},
        "margin_own": {code: layer.own - layer.others for code, layer in found.items()},
        "script_share": {code: layer.script for code, layer in found.items()},
    }, {f"trivial_own_{name}": statistics.fmean(one[name] for one in solved) for name in solved[0]}


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
        units[f"f1_{side}"][code] = classification.f1(classification.predict(model, found, config.transfer), found)
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
    from papers.translico.miniature import world

    if not config.corpus:
        names, sides = world(config).names, dict(zip(("latin", "cross"), _scripts(config), strict=True))
        train, dev = ([one for code in sides["latin"] for one in names[part][code]] for part in ("train", "choice"))
        return train, dev, {(side, code): names["test"][code] for side, codes in sides.items() for code in codes}
    if not config.classification:
        return [], [], {}
    corpus = config.classification
    train, dev = (labelled.read(corpus, labelled.english_of(corpus), part) for part in ("train", "dev"))
    tests = {
        ("latin" if language(code).script == "Latn" else "cross", code): labelled.read(corpus, code, config.split)
        for code in labelled.languages_of(corpus)
    }
    return train, dev, tests


if __name__ == "__main__":
    entrypoint(evaluate)
