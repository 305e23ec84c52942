"""Tags of words, fine-tuned on English and tested zero-shot: the protocol of WikiANN and UD in XTREME and Glot500.

    best = tagging.finetune("FacebookAI/xlm-roberta-base", train, dev, settings, run)
    score = tagging.f1(tagging.predict(best, test), test)

A word's tag is learned and read at its first sub-word. Accuracy is that of words. F1 is seqeval's, micro-averaged over
entities, for entities and parts of speech alike, since the official scripts of those suites call it for both. Tags
without B- and I- make one entity of every run of equal tags, so that N N V against N N N scores 0: that is the number
which these papers report for UD.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from core.experiment.run import Run
from core.models.loading import Loaded
from core.tasks.finetuning import Row, load_classifier, predicted
from core.tasks.finetuning import finetune as train_and_choose
from core.tasks.labelled import TAG_TRAINING, Labelled, labels_of
from core.training.config import TrainingConfig
from core.training.losses import IGNORED


def finetune(
    spec: str | Path,
    train: Sequence[Labelled],
    dev: Sequence[Labelled],
    settings: TrainingConfig,
    run: Run,
    *,
    seed: int = 0,
    patience: int = 0,
    frozen_layers: int = 0,
    name: str = "tagging",
    score: Callable[[list[list[str | None]], Sequence[Labelled]], float] | None = None,
) -> Loaded:
    """The checkpoint with the best score on `dev`, of those looked at every `settings.eval_every` steps.

    Args:
        spec: The encoder, as in :func:`core.models.loading.load`.
        train: Sentences of the source language with a tag for every word.
        dev: Likewise, to choose the checkpoint.
        settings: Length and speed.
        run: See :func:`core.tasks.finetuning.finetune`.
        seed: Head, order and dropout.
        patience: See :func:`core.tasks.finetuning.finetune`.
        frozen_layers: See :func:`core.tasks.finetuning.load_classifier`.
        name: Of this fine-tuning.
        score: Of predictions and what is right, such as :func:`accuracy`; None = :func:`f1`.
    """
    labels = labels_of(train)
    classifier = load_classifier(spec, "token", labels, seed=seed, frozen_layers=frozen_layers)
    rows = encode(classifier.tokenizer, train, {label: number for number, label in enumerate(labels)}, settings)
    return train_and_choose(
        classifier,
        rows,
        lambda model: (score or f1)(predict(Loaded(model, classifier.tokenizer), dev, settings), dev),
        settings,
        run,
        name=name,
        seed=seed,
        patience=patience,
    )


def encode(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Labelled], ids: Mapping[str, int], settings: TrainingConfig
) -> list[Row]:
    """Tokens, each word's label on its first token, and where each word that fits begins.

    Words that the tokenizer leaves nothing of, or that lie beyond the longest input, have no place.
    """
    rows = []
    for example in examples:
        encoded = tokenizer(
            list(example.words), is_split_into_words=True, truncation=True, max_length=settings.max_length
        )
        owner = encoded.word_ids()
        places = [p for p, word in enumerate(owner) if word is not None and (p == 0 or word != owner[p - 1])]
        labels = [IGNORED] * len(owner)
        for place in places:
            labels[place] = ids.get(example.labels[owner[place]], IGNORED)
        rows.append(Row(encoded["input_ids"], labels, places, [owner[place] for place in places]))
    return rows


def predict(
    classifier: Loaded, examples: Sequence[Labelled], settings: TrainingConfig = TAG_TRAINING
) -> list[list[str | None]]:
    """The likeliest tag of every word; None for words without a place (see :func:`encode`)."""
    rows = encode(classifier.tokenizer, examples, {}, settings)
    tags: list[list[str | None]] = [[None] * len(example.words) for example in examples]
    for found, row, labels in zip(tags, rows, predicted(classifier, rows), strict=True):
        for word, label in zip(row.words, labels, strict=True):
            found[word] = label
    return tags


def f1(tags: Sequence[Sequence[str | None]], examples: Sequence[Labelled]) -> float:
    """seqeval's F1 in [0, 1]; words without a prediction count on neither side, as in the official scripts.

    Raises:
        ValueError: Another number of sentences or words.
    """
    from seqeval.metrics import f1_score

    pairs = [list(zip(found, example.labels, strict=True)) for found, example in zip(tags, examples, strict=True)]
    gold = [[wanted for found, wanted in sentence if found is not None] for sentence in pairs]
    guess = [[found for found, _ in sentence if found is not None] for sentence in pairs]
    with warnings.catch_warnings():  # it says of every part of speech that it is no entity
        warnings.filterwarnings("ignore", message=".*seems not to be NE tag")
        return float(f1_score(gold, guess, zero_division=0))


def accuracy(tags: Sequence[Sequence[str | None]], examples: Sequence[Labelled]) -> float:
    """Share of words with the right tag, in [0, 1]; words without a prediction do not count, as in :func:`f1`.

    Raises:
        ValueError: Another number of sentences or words.
    """
    pairs = [
        pair
        for found, example in zip(tags, examples, strict=True)
        for pair in zip(found, example.labels, strict=True)
        if pair[0] is not None
    ]
    return sum(found == wanted for found, wanted in pairs) / max(len(pairs), 1)


def lexicon(train: Sequence[Labelled], test: Sequence[Labelled]) -> list[list[str | None]]:
    """The solver that gives every word its most frequent tag of the training data, unknown words the commonest tag."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for example in train:
        for word, label in zip(example.words, example.labels, strict=True):
            counts[word.casefold()][label] += 1
    commonest = Counter(label for example in train for label in example.labels).most_common(1)[0][0]
    best = {word: count.most_common(1)[0][0] for word, count in counts.items()}
    return [[best.get(word.casefold(), commonest) for word in example.words] for example in test]


def capitals(train: Sequence[Labelled], test: Sequence[Labelled]) -> list[list[str | None]]:
    """The solver that takes words with a capital, but for a sentence's first, for names of the commonest kind."""
    kinds = Counter(label[2:] for example in train for label in example.labels if label.startswith("B-"))
    kind = kinds.most_common(1)[0][0] if kinds else ""
    found: list[list[str | None]] = []
    for example in test:
        named = [place > 0 and word[:1].isupper() and bool(kind) for place, word in enumerate(example.words)]
        before = [False, *named[:-1]]
        found.append([f"{'I' if b else 'B'}-{kind}" if n else "O" for n, b in zip(named, before, strict=True)])
    return found
