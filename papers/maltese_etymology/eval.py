"""Measure a pipeline: do processed words and sentences find their English, and can topics be learnt from them?

    python -m papers.maltese_etymology.eval tiny --variant conditional
    python -m papers.maltese_etymology.eval paper --variant conditional --annotations annotations.tsv

Words and sentences are embedded by a frozen encoder, each side is centred on its own mean (else script decides what is
near), and the rank of the English is read off. Topics are told by a linear probe that is trained on eight processed
sentences a topic. Labels come from classifiers that were trained without the sentence, and without the word in any
sentence. At the paper's scale an encoder is fine-tuned on the processed task.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json, write_json
from papers.maltese_etymology.config import Config

if TYPE_CHECKING:
    import numpy as np

    from core.tasks.labelled import Labelled
    from papers.maltese_etymology.data import Language
    from papers.maltese_etymology.etymology import Features
    from papers.maltese_etymology.miniature import Text

Units = dict[str, dict[str, float]]
Labels = list[list[str]]
Vectors = Callable[[Sequence[str]], "np.ndarray"]
REPEATS = 10
"""Halvings of the sentences for the probe; in each, every sentence is tested once."""


def evaluate(config: Config, run: Run) -> Measurement:
    """The tiny world, or one of the paper's tasks."""
    from papers.maltese_etymology import data

    language = data.language(config.language)
    return retrieval(config, run, language) if config.task == "retrieval" else fine_tuning(config, run, language)


def processed(config: Config, language: Language, texts: Sequence[Sequence[str]], labels: Labels) -> list[Any]:
    """Every text with its labels through the pipeline."""
    from papers.maltese_etymology import data, method

    rankers = language.rankers(config.rankers) if config.transliteration == "ranked" else ()
    actions = language.actions(config.pipeline, rankers, data.translations(config.translations))
    return [method.process(tokens, given, actions) for tokens, given in zip(texts, labels, strict=True)]


def features_of(config: Config, language: Language) -> Features:
    """What the classifier sees of the language's tokens."""
    from papers.maltese_etymology import data, etymology

    tables: dict[str, Any] = {}
    for name, table in data.translations(config.translations).items():
        tables.setdefault(name.partition("-")[2], table.words)  # the first into a language: mt-ar before en-ar
    return etymology.features_of(language, config.rankers, tables)


# --- labels ---------------------------------------------------------------------------------------------------------


def classified(config: Config, run: Run, language: Language) -> dict[str, Any]:
    """Labels of every word and sentence of the split by kind of classifier, and which tokens training had.

    Words are labelled by classifiers that never saw them; sentences by such that saw the others and all words.
    """
    from papers.maltese_etymology import miniature
    from papers.maltese_etymology.etymology import cross_validate

    def build(folder: Path) -> None:
        words = {part: [w.tokens for w in miniature.words(language, part, config.share)] for part in ("dev", "test")}
        sentences = {
            part: [s.tokens for s in miniature.sentences(language, part, config.share)] for part in ("dev", "test")
        }
        # What is measured on dev knows nothing of the test words.
        more = [] if config.split == "dev" else words["dev"] + sentences["dev"]
        own, spoken = words[config.split], sentences[config.split]
        options: Any = {"features": features_of(config, language), "folds": config.folds, "seed": config.seed}
        found = {
            "words": vars(cross_validate(own, more=more + spoken, strict=True, **options)),
            "sentences": vars(cross_validate(spoken, more=more + own, **options)),
        }
        write_json(folder / "labels.json", found)

    fields = ("seed", "split", "language", "folds", "rankers", "translations", "share")
    stage = run.stage("labels", {name: getattr(config, name) for name in fields}, build)
    return dict(read_json(stage / "labels.json"))


def chosen(config: Config, found: dict[str, Any], gold: Sequence[Labelled]) -> Labels:
    """The labels that the pipeline goes by; one that asks for none does the same with all."""
    if config.labels in ("none", "gold"):
        return [list(tokens.labels) for tokens in gold]
    if config.labels == "permuted":
        return permuted(found["labels"]["mle+crf"], config.seed)
    return list(found["labels"][config.labels])


def permuted(labels: Labels, seed: int) -> Labels:
    """The same labels, dealt out anew among all tokens."""
    deck = [label for row in labels for label in row]
    random.Random(seed).shuffle(deck)
    return [[deck.pop() for _ in row] for row in labels]


def label_accuracy(sentences: Sequence[Text], labels: Labels, seen: Sequence[Sequence[bool]]) -> Units:
    """Share of the labels of each sentence that are right: of all tokens, and of those that training had not seen."""
    units: Units = {"etymology": {}, "etymology_unseen": {}}
    for sentence, given, known in zip(sentences, labels, seen, strict=True):
        right = [float(a == b) for a, b in zip(sentence.tokens.labels, given, strict=True)]
        units["etymology"][sentence.name] = statistics.fmean(right)
        if new := [value for value, was in zip(right, known, strict=True) if not was]:
            units["etymology_unseen"][sentence.name] = statistics.fmean(new)
    return units


# --- the tiny world -------------------------------------------------------------------------------------------------


def retrieval(config: Config, run: Run, language: Language) -> Measurement:
    """Reciprocal ranks of words and sentences, topics, accuracy of the labels, premises, solvers that know nothing."""
    from core.tasks.lexicon import reciprocal
    from papers.maltese_etymology import method, miniature

    words = miniature.words(language, config.split, config.share)
    sentences = miniature.sentences(language, config.split, config.share)
    asked = miniature.asked(words, config.words)
    found, labels, texts = classified(config, run, language), {}, {}
    for name, items in (("words", words), ("sentences", sentences)):
        labels[name] = chosen(config, found[name], [item.tokens for item in items])
        done = processed(config, language, [item.tokens.words for item in items], labels[name])
        texts[name] = [method.written(one) for one in done]
    english = sorted({word.english for word in words})
    vectors = embedder(config, run, shared_texts(config, language, words, sentences))
    places = [words.index(word) for word in asked]
    names = [s.name for s in sentences]

    ranks = ranked(vectors(texts["words"])[places], vectors(english), [english.index(word.english) for word in asked])
    units: Units = {"mrr": dict(zip((word.name for word in asked), reciprocal(ranks), strict=True))}
    for name, related in (("mrr_related", True), ("mrr_other", False)):
        kept = [word.name for word in asked if (word.tokens.labels[-1] == miniature.RELATED) == related]
        units[name] = {word: units["mrr"][word] for word in kept}
    ranks = ranked(vectors(texts["sentences"]), vectors([s.english for s in sentences]))
    units["sentences"] = dict(zip(names, reciprocal(ranks), strict=True))
    right = probe(vectors(texts["sentences"]), [s.topic for s in sentences], config)
    units["topics"] = dict(zip(names, right, strict=True))
    if config.labels != "none":
        units |= label_accuracy(sentences, labels["sentences"], found["sentences"]["seen"])
        pairs = zip(words, labels["words"], strict=True)
        units["etymology_words"] = {word.name: float(given[-1] == word.tokens.labels[-1]) for word, given in pairs}
    metrics = {name: statistics.fmean(values.values()) for name, values in units.items()}
    metrics["room"] = 1 - metrics["mrr_related"]
    arabic, meanings = zip(*miniature.arabic_names(config.split), strict=True)
    metrics["arabic"] = statistics.fmean(reciprocal(ranked(vectors(arabic), vectors(meanings))))
    metrics |= trivial(asked, english, sentences, found["sentences"]["seen"])
    samples = [{"english": words[p].english, "read": texts["words"][p], "labels": labels["words"][p]} for p in places]
    return Measurement(metrics, units, {"words": samples[:40], "sentences": texts["sentences"][:20]})


def embedder(config: Config, run: Run, shared: Sequence[str]) -> Vectors:
    """Texts -> vectors [text, width] of the frozen encoder, less their mean, which says what script and language it is.

    Args:
        config: Names the encoder.
        run: Keeps the vectors.
        shared: Texts that other arms need as well: they are embedded once for all.
    """
    import numpy as np
    from safetensors.numpy import load_file, save_file

    from papers.maltese_etymology import miniature

    def stage(name: str, texts: Sequence[str]) -> dict[str, np.ndarray]:
        def build(folder: Path) -> None:
            from core.models.embedding import Pooling, load_encoder

            spec = str(run.stage("toy", {}, miniature.build_toy)) if config.encoder == "toy" else config.encoder
            encoder = load_encoder(spec, Pooling("mean", prefix=config.prefix, max_tokens=512))
            save_file({"vectors": encoder(texts).vectors.numpy()}, folder / "vectors.safetensors")

        inputs = {"encoder": config.encoder, "prefix": config.prefix, "texts": texts}
        found = load_file(run.stage(name, inputs, build) / "vectors.safetensors")["vectors"]
        return dict(zip(texts, found, strict=True))

    known = stage("vectors", sorted(set(shared)))

    def vectors(texts: Sequence[str]) -> np.ndarray:
        if rest := sorted(set(texts) - known.keys()):
            known.update(stage("more", rest))
        found = np.stack([known[text] for text in texts])
        return found - found.mean(0)

    return vectors


def shared_texts(config: Config, language: Language, words: Sequence[Text], sentences: Sequence[Text]) -> list[str]:
    """What every arm needs: the English side, Arabic names, and the three forms that a word alone can have."""
    from papers.maltese_etymology import method, miniature

    alone = [word.name for word in words if len(word.tokens.words) == 1]
    rankers = language.rankers(config.rankers)
    spelled = [method.transliterate(word, language.scheme, given) for word in alone for given in ((), rankers)]
    english = [text.english for text in (*words, *sentences)]
    return [*alone, *spelled, *english, *(text for pair in miniature.arabic_names(config.split) for text in pair)]


def ranked(queries: np.ndarray, targets: np.ndarray, gold: Sequence[int] | None = None) -> list[int]:
    """Rank of each query's target (its own place, or that of `gold`) among all, by cosine; ties count against it."""
    from core.tasks.lexicon import Space

    places = range(len(queries)) if gold is None else gold
    return Space(targets).ranks(queries, [{place} for place in places])


def probe(vectors: np.ndarray, topics: Sequence[str], config: Config) -> list[float]:
    """How often each sentence's topic is told by a linear probe that was trained on the other half of the sentences."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    own = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    right, gold = np.zeros(len(topics)), np.array(topics)
    for repeat in range(REPEATS):
        halves = StratifiedKFold(2, shuffle=True, random_state=config.seed * REPEATS + repeat)
        for train, test in halves.split(own, gold):
            fitted = LogisticRegression(C=config.regularisation, max_iter=1000).fit(own[train], gold[train])
            right[test] += fitted.predict(own[test]) == gold[test]
    return [float(value) / REPEATS for value in right]


def trivial(
    asked: Sequence[Text], english: Sequence[str], sentences: Sequence[Text], seen: Sequence[Sequence[bool]]
) -> dict[str, float]:
    """Solvers without understanding: chance, letters that the word shares with the English, the commonest label."""
    from core.text.distance import shared_trigrams
    from papers.maltese_etymology import miniature

    gold = [english.index(word.english) for word in asked]
    alike = shared_trigrams([word.name for word in asked], english)
    related = [[label == miniature.RELATED for label in s.tokens.labels] for s in sentences]
    unseen = [
        is_it
        for row, known in zip(related, seen, strict=True)
        for is_it, was in zip(row, known, strict=True)
        if not was
    ]
    return {
        "trivial_chance": statistics.fmean(1 / rank for rank in range(1, len(english) + 1)),
        "trivial_letters": statistics.fmean(1 / (row >= row[p]).sum() for row, p in zip(alike, gold, strict=True)),
        "trivial_majority": statistics.fmean(map(statistics.fmean, related)),
        "trivial_majority_unseen": statistics.fmean(unseen or [0]),
        "trivial_topics": 1 / len({s.topic for s in sentences}),
    }


# --- the paper's tasks ----------------------------------------------------------------------------------------------


def fine_tuning(config: Config, run: Run, language: Language) -> Measurement:
    """Process all three splits alike, fine-tune, score the test set; and cross-validate the classifier."""
    from core.metrics.classification import accuracy
    from core.tasks import classification, tagging
    from core.tasks.labelled import Labelled, Split
    from papers.maltese_etymology import data, method
    from papers.maltese_etymology.etymology import Classifier, cross_validate, report

    known, features = data.labelled(language, config.annotations), features_of(config, language)
    classifier = Classifier.fit(known, features)
    splits: tuple[Split, ...] = ("train", "dev", "test")
    sets: dict[str, list[Labelled]] = {}
    for split in splits:
        rows = data.task_data(config, split, language.scheme)
        tokens = [row.words for row in rows]
        if config.labels == "none":
            labels = [[next(iter(language.pipelines[config.pipeline]))] * len(text) for text in tokens]
        elif config.labels == "permuted":
            labels = permuted(classifier.predict(tokens), config.seed)
        else:
            labels = classifier.predict(tokens, config.labels)  # type: ignore[arg-type]  # gold is refused
        texts = processed(config, language, tokens, labels)
        whole = config.task == "sentiment"
        read = [(method.written(text),) if whole else tuple(one.text for one in text) for text in texts]
        sets[split] = [Labelled(text, row.labels) for text, row in zip(read, rows, strict=True)]
    task: Any = classification if config.task == "sentiment" else tagging
    epoch = math.ceil(len(sets["train"]) / config.training.batch_size)
    model = task.finetune(
        config.encoder, sets["train"], sets["dev"], replace(config.training, eval_every=epoch), run, seed=config.seed,
        patience=config.patience,
    )  # fmt: skip
    guesses = task.predict(model, sets["test"], config.training)
    score = task.f1(guesses, sets["test"])
    if config.task == "pos":
        gold = [label for row in sets["test"] for label in row.labels]
        score = accuracy([label for row in guesses for label in row], gold)
    tested = cross_validate(known, features, folds=config.folds)
    reports = {kind: report(known, tested, kind) for kind in tested.labels}
    accuracies = {f"etymology_{kind}": found["all"]["accuracy"] for kind, found in reports.items()}
    return Measurement({str(config.task): score} | accuracies, {}, {"reports": reports})


if __name__ == "__main__":
    entrypoint(evaluate)
