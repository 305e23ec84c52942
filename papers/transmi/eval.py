"""Measure a model on text in two scripts, its own and Latin, and on languages that are Latin anyway.

    python -m papers.transmi.eval tiny --variant max
    python -m papers.transmi.eval paper-sib200 --variant max --seed 42

Retrieval, as the official code does it: English sentences are the queries, the sentences of the language the
candidates; a sentence is the mean of one layer's states over all its tokens, `<s>` and `</s>` included; accuracy@k
counts the queries whose translation is among the k nearest.

Topics and tags: the model is fine-tuned on English, the best checkpoint on English development data is kept and tested
on every language, as it is written and romanised. Nothing else of another language is seen.
"""

from __future__ import annotations

import shutil
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.transmi.config import Config

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from core.tasks.retrieval import Found
    from papers.transmi.data import Parallel

K = (1, 5, 10)  # official code, as the longest input of 512
Units = dict[str, dict[str, float]]


def evaluate(config: Config, run: Run) -> Measurement:
    """Every task that the configuration names data for."""
    from core.models import loading
    from papers.transmi import data

    base = data.base_folder(config, run)
    folder = base if config.merge_mode == "none" else run.artifact
    units: Units = {}
    constants: dict[str, float] = {}
    if config.retrieval:
        before, after = loading.load_tokenizer(base), loading.load_tokenizer(folder)
        sets = data.parallel(config)
        units |= retrieval(folder, sets, config) | segmentation(before, after, sets)
        constants |= trivial_retrieval(sets)
    if config.classification or config.tagging:
        found, constant = downstream(folder, config, run)
        units, constants = units | found, constants | constant
    metrics = {name: statistics.fmean(values.values()) for name, values in units.items()}
    return Measurement(metrics | constants, units)


# --- retrieval -----------------------------------------------------------------------------------------------------


def retrieval(folder: Path, sets: Sequence[Parallel], config: Config) -> Units:
    """Accuracy@k by language, accuracy@1 by sentence, each as written, romanised, and for Latin-script languages."""
    from core.models.embedding import Pooling, load_encoder
    from core.tasks.retrieval import Pairs, retrieve

    pooling = Pooling("mean", layer=config.layer, prefix=config.prefix, max_tokens=512)
    sides = {
        (side, s.language): (s, Pairs(s.english, s.romanized if side == "romanised" else s.native))
        for s in sets
        for side in (("native", "romanised") if s.romanized else ("latin",))
    }
    found = retrieve(load_encoder(str(folder), pooling), {"/".join(k): pairs for k, (_, pairs) in sides.items()}, K)
    units: Units = {}
    for (side, language), (s, _) in sides.items():
        result: Found = found[f"{side}/{language}"]
        for k in K:
            name = f"acc{k}_{side}"
            if k == 1:  # by sentence, so that a claim can draw languages with what is in them
                units.setdefault(name, {}).update(zip(s.keys, result.forward[1], strict=True))
            else:
                units.setdefault(name, {})[language] = result.accuracy(k)
    return units


def trivial_retrieval(sets: Sequence[Parallel]) -> dict[str, float]:
    """Accuracy@1 on romanised text of solvers that look at lengths and at shared letters."""
    from core.tasks.retrieval import Pairs, trivial

    scores = [trivial(Pairs(s.english, s.romanized)) for s in sets if s.romanized]
    return {f"trivial_{name}": statistics.fmean(score[name] for score in scores) for name in ("length", "overlap")}


def segmentation(before: PreTrainedTokenizerBase, after: PreTrainedTokenizerBase, sets: Sequence[Parallel]) -> Units:
    """Pieces a romanised message, and the share of texts that are cut differently than before, by language."""
    units: Units = defaultdict(dict)
    for s in sets:
        if s.romanized:
            units["length_romanised"][s.language] = pieces(after, s.romanized)
        else:
            units["changed_latin"][s.language] = changed(before, after, s.native)
        units["changed_english"][s.language] = changed(before, after, s.english)
    return units


def pieces(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> float:
    """Mean number of pieces of a text."""
    return statistics.fmean(len(tokenizer.tokenize(text, verbose=False)) for text in texts)


def changed(before: PreTrainedTokenizerBase, after: PreTrainedTokenizerBase, texts: Sequence[str]) -> float:
    """Share of texts that the two tokenizers cut differently."""
    return sum(before.tokenize(text) != after.tokenize(text) for text in texts) / len(texts)


# --- downstream ----------------------------------------------------------------------------------------------------


def downstream(folder: Path, config: Config, run: Run) -> tuple[Units, dict[str, float]]:
    """F1 of topics (macro) and tags (seqeval) by language, zero-shot from English, and of trivial solvers."""
    from core import distributed
    from core.tasks import classification, finetuning, tagging
    from papers.transmi import data

    read = {
        "topics": data.labelled_sets(config, config.classification),
        "tags": data.labelled_sets(config, config.tagging),
    }
    texts = (word for sets in read.values() for found in sets.values() for example in found for word in example.words)
    small = run.path / f"trimmed-{distributed.rank()}"
    finetuning.save_trimmed(folder, texts, small)
    units: Units = {}
    constants: dict[str, float] = {}
    for name, sets in read.items():
        if not sets:
            continue
        task: Any = classification if name == "topics" else tagging
        settings = config.topic_training if name == "topics" else config.tag_training
        train, dev = sets.pop(("train", "en")), sets.pop(("dev", "en"))
        model = task.finetune(
            small, train, dev, settings, run, seed=config.seed, frozen_layers=config.frozen_layers, name=name
        )
        for (side, language), found in sets.items():
            units.setdefault(f"{name}_{side}", {})[language] = task.f1(task.predict(model, found, settings), found)
        for solver in ("majority",) if name == "topics" else ("lexicon", "capitals"):
            known = getattr(task, solver)
            scores = [task.f1(known(train, found), found) for (side, _), found in sets.items() if side == "romanised"]
            constants[f"trivial_{solver}"] = statistics.fmean(scores)
    shutil.rmtree(small)
    distributed.barrier()
    if distributed.is_main():  # what is measured is the encoder, not the fine-tuned models
        for name in read:
            shutil.rmtree(run.path / name, ignore_errors=True)
    return units, constants


if __name__ == "__main__":
    entrypoint(evaluate)
