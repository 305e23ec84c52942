"""Sentence classification, fine-tuned on English and tested zero-shot: the protocol of SIB-200 and Taxi1500.

    best = classification.finetune("FacebookAI/xlm-roberta-base", train, dev, settings, run)
    score = classification.f1(classification.predict(best, test), test)

After every epoch the model is scored on English development data; the epoch with the best macro-F1 is kept (official
evaluation scripts of Glot500, TransliCo, LangSAMP and TransMI). Macro-F1 is scikit-learn's, over the labels that occur
among predictions and references.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from core.experiment.run import Run
from core.metrics.classification import macro_f1
from core.models.loading import Loaded
from core.tasks.finetuning import Row, load_classifier, predicted
from core.tasks.finetuning import finetune as train_and_choose
from core.tasks.labelled import TOPIC_TRAINING, Labelled, labels_of
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
    frozen_layers: int = 0,
    patience: int = 0,
    name: str = "classification",
) -> Loaded:
    """The epoch with the best macro-F1 on `dev`.

    Args:
        spec: The encoder, as in :func:`core.models.loading.load`.
        train: Texts of the source language with a label each.
        dev: Likewise, to choose the epoch.
        settings: `eval_every` is one epoch, whatever it says here.
        run: See :func:`core.tasks.finetuning.finetune`.
        seed: Head, order and dropout.
        frozen_layers: See :func:`core.tasks.finetuning.load_classifier`.
        patience: See :func:`core.tasks.finetuning.finetune`; of epochs.
        name: Of this fine-tuning.
    """
    labels = labels_of(train)
    classifier = load_classifier(spec, "sequence", labels, seed=seed, frozen_layers=frozen_layers)
    rows = encode(classifier.tokenizer, train, {label: number for number, label in enumerate(labels)}, settings)
    return train_and_choose(
        classifier,
        rows,
        lambda model: f1(predict(Loaded(model, classifier.tokenizer), dev, settings), dev),
        replace(settings, eval_every=math.ceil(len(train) / settings.batch_size)),
        run,
        name=name,
        seed=seed,
        patience=patience,
    )


def encode(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Labelled], ids: Mapping[str, int], settings: TrainingConfig
) -> list[Row]:
    """Tokens and the one label of every text; a label without a number is ignored."""
    encoded = tokenizer(
        [example.words[0] for example in examples], truncation=True, max_length=settings.max_length, verbose=False
    )["input_ids"]
    return [
        Row(tokens, [ids.get(example.labels[0], IGNORED)], [0], [0])
        for tokens, example in zip(encoded, examples, strict=True)
    ]


def predict(classifier: Loaded, examples: Sequence[Labelled], settings: TrainingConfig = TOPIC_TRAINING) -> list[str]:
    """The likeliest label of every text."""
    rows = encode(classifier.tokenizer, examples, {}, settings)
    return [label for (label,) in predicted(classifier, rows)]


def f1(labels: Sequence[str], examples: Sequence[Labelled]) -> float:
    """Macro-F1 in [0, 1] over the labels that occur on either side."""
    return macro_f1(labels, [example.labels[0] for example in examples])


def majority(train: Sequence[Labelled], test: Sequence[Labelled]) -> list[str]:
    """The solver that always says the commonest label."""
    return [Counter(example.labels[0] for example in train).most_common(1)[0][0]] * len(test)
