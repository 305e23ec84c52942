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
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json, write_json
from papers.maltese_etymology.config import PATIENCE, Config

if TYPE_CHECKING:
    import numpy as np

    from core.tasks.labelled import Labelled
    from core.worlds.base import Part
    from papers.maltese_etymology.method import Processed
    from papers.maltese_etymology.miniature import Text

Units = dict[str, dict[str, float]]
Labels = list[list[str]]
SHOTS = 8
"""Sentences of a topic that a probe is trained on; it is tested on all others."""
REPEATS = 4
"""Partitions of the sentences into such trainings."""
REGULARISATION = 100
"""C of the probe, a logistic regression on vectors of length 1 (10 was as good on development sentences)."""


def evaluate(config: Config, run: Run) -> Measurement:
    """The tiny world, or one of the paper's tasks."""
    return retrieval(config, run) if config.task == "retrieval" else fine_tuning(config, run)


def processed(config: Config, texts: Sequence[Sequence[str]], labels: Labels) -> list[list[Processed]]:
    """Every text with its labels through the pipeline."""
    from papers.maltese_etymology import data, method

    language = data.language("maltese", config.closed)
    actions = language.actions(config.pipeline, data.rankers(config.rankers), data.translations(config.translations))
    return [method.process(tokens, given, actions) for tokens, given in zip(texts, labels, strict=True)]


def chosen(config: Config, by_kind: Mapping[str, Labels]) -> Labels:
    """The labels that the pipeline goes by; where it asks for none, and does the same with all, any."""
    if config.labels == "permuted":  # the same labels, dealt out anew among all tokens
        deck = [label for row in by_kind["mle+crf"] for label in row]
        random.Random(config.seed).shuffle(deck)
        return [[deck.pop() for _ in row] for row in by_kind["mle+crf"]]
    if config.labels == "gold" and "gold" not in by_kind:
        raise UserError(f"Nobody has annotated the origins of the words of {config.task}: choose other labels.")
    return by_kind["mle" if config.labels == "none" else config.labels]


# --- the tiny world -------------------------------------------------------------------------------------------------


def retrieval(config: Config, run: Run) -> Measurement:
    """Reciprocal ranks of words and sentences, topics, accuracy of the labels, premises, solvers that know nothing."""
    from papers.maltese_etymology import method, miniature

    all_words = miniature.words(config.split)
    words, sentences = miniature.asked(all_words), miniature.sentences(config.split)
    arabic, meanings = zip(*((item.prompt, item.answer) for item in miniature.arabic_names()), strict=True)
    english, translations = sorted({word.english for word in all_words}), [s.english for s in sentences]
    measured, labels, texts = {"words": words, "sentences": sentences}, {}, {}
    found = classified(config, run, measured)
    for name, items in measured.items():
        labels[name] = chosen(config, found[name]["labels"] | {"gold": [[*item.tokens.labels] for item in items]})
        done = processed(config, [item.tokens.words for item in items], labels[name])
        texts[name] = [method.written(one) for one in done]

    read = embedded(config, run, texts["words"], texts["sentences"])
    targets = embedded(config, run, english, translations, arabic, meanings)
    gold = [english.index(word.english) for word in words]
    units: Units = {"mrr": by_name(words, reciprocal_ranks(read[0], targets[0], gold))}
    for name, related in (("mrr_related", True), ("mrr_other", False)):
        units[name] = {word.name: units["mrr"][word.name] for word in words if word.related == related}
    units["sentences"] = by_name(sentences, reciprocal_ranks(read[1], targets[1]))
    units["topics"] = by_name(sentences, probe(read[1], sentences, config.seed))
    if config.labels != "none":
        units |= right_labels(words, sentences, labels, found["sentences"]["seen"])
    metrics = {name: statistics.fmean(values.values()) for name, values in units.items()}
    metrics["room"] = 1 - metrics["mrr_related"]
    metrics["arabic"] = statistics.fmean(reciprocal_ranks(targets[2], targets[3]))
    metrics |= trivial(words, english, sentences, config.seed)
    rows = zip(words, texts["words"], labels["words"], strict=True)
    samples = [{"english": word.english, "read": text, "labels": given} for word, text, given in rows]
    return Measurement(metrics, units, {"words": samples[:40], "sentences": texts["sentences"][:20]})


def by_name(items: Sequence[Text], values: Sequence[float]) -> dict[str, float]:
    """Values by the name of what they belong to."""
    return {item.name: float(value) for item, value in zip(items, values, strict=True)}


def classified(config: Config, run: Run, measured: Mapping[str, Sequence[Text]]) -> dict[str, Any]:
    """Labels of words and sentences by kind of classifier, and which tokens training had; for all arms.

    Words are labelled by classifiers that never saw them; sentences by such that saw the others and all words. What
    is measured on dev knows nothing of the test part.
    """
    from papers.maltese_etymology import data, miniature
    from papers.maltese_etymology.etymology import Features, cross_validate

    def build(folder: Path) -> None:
        parts = ("test", "dev") if config.split == "test" else (config.split,)
        known = [item for part in parts for item in miniature.words(part) + miniature.sentences(part)]
        features = Features(miniature.MALTESE, config.rankers, data.translations(config.translations))
        found = {}
        for name, items in measured.items():
            own, others = [item.tokens for item in items], [item.tokens for item in known if item not in items]
            folds: Any = {"folds": config.folds, "seed": config.seed, "strict": name == "words"}
            found[name] = cross_validate(own, features, more=others, **folds)._asdict()
        write_json(folder / "labels.json", found)

    fields = ("seed", "split", "folds", "rankers", "translations")
    stage = run.stage("labels", {name: getattr(config, name) for name in fields}, build)
    return dict(read_json(stage / "labels.json"))


def embedded(config: Config, run: Run, *sides: Sequence[str]) -> list[np.ndarray]:
    """Vectors [text, width] of each side by the frozen encoder, less their mean, which says what script it is."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    from papers.maltese_etymology import miniature

    texts = sorted({text for side in sides for text in side})

    def build(folder: Path) -> None:
        from core.models.embedding import Pooling, load_encoder

        spec = str(run.stage("toy", {}, miniature.build_toy)) if config.encoder == "toy" else config.encoder
        # Without e5's prefix, for every arm: more words are found so (dev).
        vectors = load_encoder(spec, Pooling("mean", max_tokens=512))(texts).vectors
        save_file({"vectors": vectors.numpy()}, folder / "vectors.safetensors")

    stage = run.stage("vectors", {"encoder": config.encoder, "texts": texts}, build)
    vectors = dict(zip(texts, load_file(stage / "vectors.safetensors")["vectors"], strict=True))
    found = [np.stack([vectors[text] for text in side]) for side in sides]
    return [side - side.mean(0) for side in found]


def reciprocal_ranks(queries: np.ndarray, targets: np.ndarray, gold: Sequence[int] | None = None) -> list[float]:
    """1 / rank of each query's target (its own place, or that of `gold`) by cosine; ties count against it."""
    from core.tasks.lexicon import Space, reciprocal

    places = range(len(queries)) if gold is None else gold
    return reciprocal(Space(targets).ranks(queries, [{place} for place in places]))


def probe(vectors: np.ndarray, sentences: Sequence[Text], seed: int) -> list[float]:
    """How often each sentence's topic is told by linear probes that were trained on eight others of each topic."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.preprocessing import normalize

    own, gold = normalize(vectors), np.array([s.topic for s in sentences])
    right = np.zeros(len(gold))
    parts = max(2, len(gold) // len(set(gold)) // SHOTS)
    for repeat in range(REPEATS):
        for test, train in StratifiedKFold(parts, shuffle=True, random_state=seed * REPEATS + repeat).split(own, gold):
            fitted = LogisticRegression(C=REGULARISATION, max_iter=1000).fit(own[train], gold[train])
            right[test] += fitted.predict(own[test]) == gold[test]
    return list(right / REPEATS / (parts - 1))


def right_labels(
    words: Sequence[Text], sentences: Sequence[Text], labels: dict[str, Labels], seen: Sequence[Sequence[bool]]
) -> Units:
    """Share of the labels that are right: of each sentence, of its tokens that training had not seen, of each word."""
    units: Units = {"etymology": {}, "etymology_unseen": {}}
    for sentence, given, known in zip(sentences, labels["sentences"], seen, strict=True):
        right = [float(a == b) for a, b in zip(sentence.tokens.labels, given, strict=True)]
        units["etymology"][sentence.name] = statistics.fmean(right)
        if new := [value for value, was in zip(right, known, strict=True) if not was]:
            units["etymology_unseen"][sentence.name] = statistics.fmean(new)
    own = [given[-1] == word.tokens.labels[-1] for word, given in zip(words, labels["words"], strict=True)]
    return units | {"etymology_words": by_name(words, own)}


def trivial(words: Sequence[Text], english: Sequence[str], sentences: Sequence[Text], seed: int) -> dict[str, float]:
    """Solvers without understanding: chance, shared letters, the commonest label or topic, letters of a topic."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    from core.text.distance import shared_trigrams
    from papers.maltese_etymology.miniature import RELATED

    alike = shared_trigrams([word.name for word in words], english)
    right = [1 / (row >= row[english.index(word.english)]).sum() for row, word in zip(alike, words, strict=True)]
    by_origin = [[one for one, word in zip(right, words, strict=True) if word.related == side] for side in (0, 1)]
    written = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3)).fit_transform(
        " ".join(s.tokens.words) for s in sentences
    )
    return {
        "trivial_chance": statistics.fmean(1 / rank for rank in range(1, len(english) + 1)),
        "trivial_letters": statistics.fmean(right),
        "trivial_letters_related": statistics.fmean(by_origin[1]),
        "trivial_letters_other": statistics.fmean(by_origin[0]),
        "trivial_majority": statistics.fmean(label == RELATED for s in sentences for label in s.tokens.labels),
        "trivial_topics": 1 / len({s.topic for s in sentences}),
        "trivial_topics_letters": statistics.fmean(probe(written, sentences, seed)),
    }


# --- the paper's tasks ----------------------------------------------------------------------------------------------


def fine_tuning(config: Config, run: Run) -> Measurement:
    """Process all three splits alike, fine-tune, score the test set."""
    from core.tasks import tagging
    from core.tasks.labelled import Labelled
    from papers.maltese_etymology import data
    from papers.maltese_etymology.etymology import Classifier, Features

    language = data.language("maltese", config.closed)
    features = Features(language, config.rankers, data.translations(config.translations))
    classifier = Classifier.fit(data.labelled(language, config.annotations), features)
    splits: tuple[Part, ...] = ("train", "dev", "test")
    sets: dict[str, list[Labelled]] = {}
    for split in splits:
        rows = data.task_data(config, split)
        tokens = [row.words for row in rows]
        texts = processed(config, tokens, chosen(config, classifier.predict(tokens)))
        sets[split] = [
            Labelled(tuple(one.text for one in text), row.labels) for text, row in zip(texts, rows, strict=True)
        ]
    settings = replace(config.training, eval_every=math.ceil(len(sets["train"]) / config.training.batch_size))
    score = tagging.f1 if config.task == "ner" else tagging.accuracy
    model = tagging.finetune(
        config.encoder, sets["train"], sets["dev"], settings, run, seed=config.seed, patience=PATIENCE, score=score
    )
    return Measurement({config.task: score(tagging.predict(model, sets["test"], config.training), sets["test"])})


if __name__ == "__main__":
    entrypoint(evaluate)
