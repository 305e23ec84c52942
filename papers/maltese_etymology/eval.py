"""Measure a pipeline: do processed words and sentences find their English, and does a classifier know their topic?

    python -m papers.maltese_etymology.eval tiny --variant conditional
    python -m papers.maltese_etymology.eval paper --variant conditional --annotations annotations.tsv

Words and sentences are embedded by a frozen encoder, each side is centred on its own mean (else script decides what is
near), and the rank of the English is read off. Topics are told by a linear probe that is trained on eight processed
sentences a topic. Labels come from classifiers that were trained without the sentence, and without the word in any
sentence. At the paper's scale an encoder is fine-tuned on the processed task.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json, write_json
from papers.maltese_etymology.config import Config

if TYPE_CHECKING:
    import numpy as np

    from core.tasks.labelled import Labelled
    from papers.maltese_etymology.data import Language
    from papers.maltese_etymology.etymology import Classifier, Features
    from papers.maltese_etymology.method import Action
    from papers.maltese_etymology.miniature import Sentence, Word

Units = dict[str, dict[str, float]]
Labels = list[list[str]]
REPEATS = 10
"""Halvings of the sentences for the probe; in each, every sentence is tested once."""
SCALE = 10.0
"""Length of the vectors that the probe reads."""


def evaluate(config: Config, run: Run) -> Measurement:
    """The tiny world, or one of the paper's tasks."""
    from papers.maltese_etymology import data

    language = data.language(config.language)
    return retrieval(config, run, language) if config.task == "retrieval" else fine_tuning(config, run, language)


def actions_of(config: Config, language: Language) -> dict[str, Action]:
    """What the pipeline does with each label."""
    from papers.maltese_etymology import data

    rankers = language.rankers(config.rankers) if config.transliteration == "ranked" else ()
    return language.actions(config.pipeline, rankers, dict(data.translations(config.translations)))


def features_of(config: Config, language: Language) -> Features:
    """What the classifier sees of the language's tokens."""
    from papers.maltese_etymology import data, etymology

    tables = {name.rpartition("-")[2]: table.words for name, table in data.translations(config.translations).items()}
    return etymology.features_of(language, config.rankers, tables)


# --- labels ---------------------------------------------------------------------------------------------------------


def miniature_labels(
    config: Config, run: Run, language: Language, words: Sequence[Word], sentences: Sequence[Sentence]
) -> dict[str, Any]:
    """By kind of classifier: labels of every word and sentence of the split, and which tokens training had seen."""
    from papers.maltese_etymology import miniature
    from papers.maltese_etymology.etymology import cross_validate

    def build(folder: Path) -> None:
        features = features_of(config, language)
        other = [] if config.split == "dev" else ["dev"]
        more_words = [word.tokens for part in other for word in miniature.words(language, part)]
        more_sentences = [s.tokens for part in other for s in miniature.sentences(language, part)]
        own_words, own_sentences = [word.tokens for word in words], [s.tokens for s in sentences]
        options: dict[str, Any] = {"folds": config.folds, "seed": config.seed, "roles": language.roles}
        by_word = cross_validate(
            own_words, features, more=[*more_words, *more_sentences, *own_sentences], strict=True, **options
        )
        by_sentence = cross_validate(
            own_sentences, features, more=[*more_sentences, *more_words, *own_words], **options
        )
        found = {"words": vars(by_word), "sentences": vars(by_sentence)}
        write_json(folder / "labels.json", found)

    inputs = {name: getattr(config, name) for name in ("seed", "split", "language", "folds", "rankers", "translations")}
    return dict(read_json(run.stage("labels", inputs, build) / "labels.json"))


def chosen_labels(config: Config, found: dict[str, Any], gold: Sequence[Labelled]) -> Labels:
    """The labels that the pipeline goes by."""
    if config.labels in ("none", "gold"):  # a pipeline that asks for none does the same with all
        return [list(tokens.labels) for tokens in gold]
    if config.labels != "permuted":
        return list(found["labels"][config.labels])
    return permuted(found["labels"]["mle+crf"], config.seed)


def permuted(labels: Labels, seed: int) -> Labels:
    """The same labels, dealt out anew among all tokens."""
    deck = [label for found in labels for label in found]
    random.Random(seed).shuffle(deck)
    return [[deck.pop() for _ in found] for found in labels]


# --- the tiny world -------------------------------------------------------------------------------------------------


def retrieval(config: Config, run: Run, language: Language) -> Measurement:
    """Reciprocal ranks of words and sentences, topics, accuracy of the labels, premises, solvers that know nothing."""
    from core.tasks.lexicon import precision, reciprocal
    from papers.maltese_etymology import method, miniature

    words, sentences = miniature.words(language, config.split), miniature.sentences(language, config.split)
    asked = miniature.sample(words, config.words, config.seed)
    found = miniature_labels(config, run, language, words, sentences)
    actions = actions_of(config, language)

    def texts(items: Sequence[Any], labels: Labels) -> list[str]:
        return [
            method.written(method.process(item.tokens.words, given, actions))
            for item, given in zip(items, labels, strict=True)
        ]

    word_labels = chosen_labels(config, found["words"], [word.tokens for word in words])
    sentence_labels = chosen_labels(config, found["sentences"], [s.tokens for s in sentences])
    word_texts, sentence_texts = texts(words, word_labels), texts(sentences, sentence_labels)
    english = sorted({word.english for word in words})
    vectors = embedder(config, run, shared_texts(config, language, words, sentences))
    places = [words.index(word) for word in asked]
    queries, targets = centred(vectors(word_texts)), centred(vectors(english))
    gold = [{english.index(word.english)} for word in asked]
    ranks = ranked(targets, queries[places], gold)
    units: Units = {"mrr": dict(zip((word.name for word in asked), reciprocal(ranks), strict=True))}
    for name, related in (("mrr_related", True), ("mrr_other", False)):
        kept = {word.name for word in asked if (word.origin == miniature.RELATED) == related}
        units[name] = {word: value for word, value in units["mrr"].items() if word in kept}
    units["p1"] = dict(zip(units["mrr"], precision(ranks), strict=True))

    own = vectors(sentence_texts)
    translations = centred(vectors([s.english for s in sentences]))
    names = [s.name for s in sentences]
    ranks = ranked(translations, centred(own), [{place} for place in range(len(names))])
    units["sentences"] = dict(zip(names, reciprocal(ranks), strict=True))
    topics = [s.topic for s in sentences]
    units["topics"] = dict(zip(names, probe(own, topics, config), strict=True))
    units |= label_accuracy(sentences, sentence_labels, found["sentences"]["seen"])
    units["etymology_words"] = {
        word.name: float(given[-1] == word.origin) for word, given in zip(words, word_labels, strict=True)
    }
    if config.labels == "none":
        units = {name: values for name, values in units.items() if not name.startswith("etymology")}
    metrics = {name: statistics.fmean(values.values()) for name, values in units.items()}
    metrics |= premises(config, vectors) | trivial(asked, english, sentences, found["sentences"]["seen"])
    if config.labels == "none":
        metrics["room"] = 1 - metrics["mrr_related"]
    samples = [
        {
            "word": words[place].name,
            "english": words[place].english,
            "read": word_texts[place],
            "labels": word_labels[place],
        }
        for place in places[:40]
    ]
    return Measurement(metrics, units, {"words": samples, "sentences": sentence_texts[:20]})


def embedder(config: Config, run: Run, shared: Sequence[str]) -> Any:
    """`vectors(texts)` [text, width] of the frozen encoder.

    Args:
        config: Names the encoder.
        run: Keeps the vectors.
        shared: Texts that other arms need as well: they are embedded once for all.
    """
    from papers.maltese_etymology import miniature

    def stage(name: str, texts: Sequence[str]) -> dict[str, np.ndarray]:
        from safetensors.numpy import load_file, save_file

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
        import numpy as np

        if rest := sorted(set(texts) - known.keys()):
            known.update(stage("more", rest))
        return np.stack([known[text] for text in texts])

    return vectors


def shared_texts(config: Config, language: Language, words: Sequence[Word], sentences: Sequence[Sentence]) -> list[str]:
    """What every arm needs: the English side, Arabic names, and the three forms that a word alone can have."""
    from papers.maltese_etymology import method, miniature

    alone = [word.name for word in words if len(word.tokens.words) == 1]
    scheme, rankers = language.scheme, language.rankers(config.rankers)
    spelled = [method.transliterate(word, scheme, given) for word in alone for given in ((), rankers)]
    english = [item.english for item in (*words, *sentences)]
    return [*alone, *spelled, *english, *(text for pair in miniature.arabic_names(config.split) for text in pair)]


def centred(vectors: np.ndarray) -> np.ndarray:
    """Without the mean of all: what a language and a script have in common says nothing about a word."""
    return vectors - vectors.mean(0)


def ranked(targets: np.ndarray, queries: np.ndarray, gold: Sequence[set[int]]) -> list[int]:
    """Rank of the right answer among all, by cosine; a wrong one that is as near stands before it."""
    from core.tasks.lexicon import Space

    return Space(targets).ranks(queries, gold)


def probe(vectors: np.ndarray, topics: Sequence[str], config: Config) -> list[float]:
    """How often each sentence's topic is told by a linear probe that was trained on the other half."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    own = centred(vectors)
    own = SCALE * own / np.linalg.norm(own, axis=1, keepdims=True)
    right, gold = np.zeros(len(topics)), np.array(topics)
    for repeat in range(REPEATS):
        halves = StratifiedKFold(2, shuffle=True, random_state=config.seed * REPEATS + repeat)
        for train, test in halves.split(own, gold):
            fitted = LogisticRegression(C=config.regularisation, max_iter=1000).fit(own[train], gold[train])
            right[test] += fitted.predict(own[test]) == gold[test]
    return [float(value) / REPEATS for value in right]


def label_accuracy(sentences: Sequence[Sentence], labels: Labels, seen: Sequence[Sequence[bool]]) -> Units:
    """Share of the labels of each sentence that are right: of all tokens, and of those that training had not seen."""
    units: Units = {"etymology": {}, "etymology_unseen": {}}
    for sentence, given, known in zip(sentences, labels, seen, strict=True):
        right = [float(a == b) for a, b in zip(sentence.tokens.labels, given, strict=True)]
        new = [value for value, was in zip(right, known, strict=True) if not was]
        units["etymology"][sentence.name] = statistics.fmean(right)
        if new:
            units["etymology_unseen"][sentence.name] = statistics.fmean(new)
    return units


def premises(config: Config, vectors: Any) -> dict[str, float]:
    """Does the encoder know the language of the other script? Arabic names and their English."""
    from core.tasks.lexicon import reciprocal
    from papers.maltese_etymology import miniature

    pairs = miniature.arabic_names(config.split)
    queries, targets = (centred(vectors(side)) for side in zip(*pairs, strict=True))
    ranks = ranked(targets, queries, [{place} for place in range(len(pairs))])
    return {"arabic": statistics.fmean(reciprocal(ranks))}


def trivial(
    asked: Sequence[Word], english: Sequence[str], sentences: Sequence[Sentence], seen: Sequence[Sequence[bool]]
) -> dict[str, float]:
    """Solvers without understanding: chance, shared letters of the word as it is written, the commonest label."""
    import numpy as np

    from core.tasks.retrieval import shared_trigrams
    from papers.maltese_etymology import miniature

    gold = [english.index(word.english) for word in asked]
    alike = shared_trigrams([word.name for word in asked], english)
    ranks = [int((row >= row[place]).sum()) for row, place in zip(alike, gold, strict=True)]
    labels = [label for s in sentences for label in s.tokens.labels]
    unseen = [
        label
        for s, known in zip(sentences, seen, strict=True)
        for label, was in zip(s.tokens.labels, known, strict=True)
        if not was
    ]
    return {
        "trivial_chance": float(np.mean(1 / np.arange(1, len(english) + 1))),
        "trivial_letters": float(np.mean([1 / rank for rank in ranks])),
        "trivial_majority": labels.count(miniature.RELATED) / len(labels),
        "trivial_majority_unseen": unseen.count(miniature.RELATED) / max(1, len(unseen)),
        "trivial_topics": 1 / len({s.topic for s in sentences}),
    }


# --- the paper's tasks ----------------------------------------------------------------------------------------------


def fine_tuning(config: Config, run: Run, language: Language) -> Measurement:
    """Process all three splits alike, fine-tune, and score the test set; and cross-validate the classifier."""
    from core.metrics.classification import accuracy
    from core.tasks import classification, tagging
    from core.tasks.labelled import Labelled
    from papers.maltese_etymology import data, method
    from papers.maltese_etymology.etymology import Classifier, cross_validate, report

    sentences = data.labelled(language, config.annotations)
    features = features_of(config, language)
    classifier = Classifier.fit(sentences, features, language.roles)
    actions = actions_of(config, language)
    sets = {}
    for split in ("train", "dev", "test"):
        rows = data.task_data(config, split, language.scheme)
        labels = predicted(config, language, classifier, [row.words for row in rows])
        done = [method.process(row.words, given, actions) for row, given in zip(rows, labels, strict=True)]
        sets[split] = [
            Labelled(
                (method.written(found),) if config.task == "sentiment" else tuple(t.text for t in found), row.labels
            )
            for found, row in zip(done, rows, strict=True)
        ]
    task: Any = classification if config.task == "sentiment" else tagging
    options = {} if config.task == "sentiment" else {"patience": config.patience}
    model = task.finetune(config.encoder, sets["train"], sets["dev"], config.training, run, seed=config.seed, **options)
    guesses = task.predict(model, sets["test"], config.training)
    metrics = {config.task: task.f1(guesses, sets["test"])}
    if config.task == "pos":
        pairs = [
            (g, w)
            for found, row in zip(guesses, sets["test"], strict=True)
            for g, w in zip(found, row.labels, strict=True)
        ]
        metrics["pos"] = accuracy(*zip(*pairs, strict=True))
    tested = cross_validate(sentences, features, folds=config.folds, seed=42, roles=language.roles)
    reports = {kind: report(sentences, tested, kind) for kind in tested.labels}
    metrics |= {f"etymology_{kind}": found["all"]["accuracy"] for kind, found in reports.items()}
    return Measurement(metrics, {}, {"reports": reports})


def predicted(config: Config, language: Language, classifier: Classifier, sentences: Sequence[Sequence[str]]) -> Labels:
    """Labels of sentences that nobody has annotated."""
    if config.labels == "none":
        label = next(iter(language.pipelines[config.pipeline]))
        return [[label] * len(tokens) for tokens in sentences]
    kind = "mle+crf" if config.labels == "permuted" else config.labels
    if kind not in classifier.kinds():
        raise UserError(f"There are no {kind} labels here: choose one of {', '.join(classifier.kinds())}.")
    found = classifier.predict(sentences, kind)  # type: ignore[arg-type]
    return permuted(found, config.seed) if config.labels == "permuted" else found


if __name__ == "__main__":
    entrypoint(evaluate)
