"""Settings of every scale and variant."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload

PATIENCE = 20
"""Epochs without a better score on development data after which fine-tuning ends."""


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Folds of the classifier, parts of the probe; at the paper's scale fine-tuning (official: 0 to 4)."""
    split: Literal["test", "dev", "smoke"] = "test"
    """Which words and sentences of the tiny world are measured; settings were chosen on dev, smoke is a part of it."""
    task: Literal["retrieval", "pos", "ner"] = "retrieval"
    """retrieval: words and sentences of the tiny world find their English, and a probe finds topics; else fine-tuning
    on MUDT (POS accuracy) or MAPA level 1 (span F1)."""
    encoder: str = "wheel:e5-small"
    """Hub id, folder or wheel; `toy` is a small untrained one that is made on the spot."""

    pipeline: str = "X_ara/P"
    """A row of maltese/pipelines.tsv: what is done with the tokens of each label. Where they are told apart, its name
    has a slash."""
    labels: Literal["none", "gold", "mle", "mle+crf", "distance", "permuted"] = "mle+crf"
    """Who labels the tokens: nobody (pipelines that treat all alike), the annotation (the paper's tasks have none), a
    classifier that has not seen them, or MLE+CRF with its labels dealt out anew: wrong, at the same rate."""
    rankers: tuple[str, ...] = ("words:ar", "short")
    """Choose among a token's readings, in this order; none = its plain spelling. The paper's are a word 3-gram
    (kenlm:FILE) and a character model (letters:FILE) of Maghrebi Arabic."""
    closed: tuple[str, ...] = ()
    """Tables of the closed class, the first that has a word decides (official: small, then additional); empty = that of
    the language's folder."""

    annotations: str = ""
    """Labelled sentences from which the classifier of the paper's tasks learns; empty = those of the tiny world."""
    folds: Annotated[int, Range(2)] = 5
    """Of cross-validation in the tiny world (official: 10, over 439 sentences)."""
    translations: tuple[str, ...] = ()
    """Tables for pipelines that translate and for the classifier, NAME=FILE (official: mt-ar, mt-it, mt-en, en-ar)."""

    data: str = ""
    """Where the task's data lie, with {split} in it; empty = the paper's."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """Fine-tuning."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        alike = "/" not in self.pipeline
        if alike != (self.labels == "none"):
            fix = "treats all tokens alike: set labels to none" if alike else "needs labels"
            raise UserError(f"Pipeline {self.pipeline} {fix}.")
        if self.pipeline == "raw" and not self.rankers:
            raise UserError("Pipeline raw transliterates nothing: leave rankers as they are.")


_PAPER = Config(
    task="pos",
    encoder="google-bert/bert-base-multilingual-cased",
    # Paths in the authors' repository (`src` of the tag), and of the models that its README names.
    annotations="malti/src/etymology_data/annotations.tsv",
    translations=tuple(f"{name}=malti/src/translations/{name}.tsv" for name in ("mt-ar", "mt-it", "mt-en", "en-ar")),
    rankers=tuple(
        f"{ranker}:malti/models/aggregated_country/lm/{kind}/tn-maghreb.arpa"
        for ranker, kind in (("kenlm", "word"), ("letters", "char"))
    ),
    closed=tuple(f"malti/src/token_mappings/{name}_closed_class.map" for name in ("small", "additional")),
    # The authors' recommended fine-tuning (MLRS/BERTu, main branch), but for its inverse-sqrt schedule, which falls
    # slowly within the patience.
    training=TrainingConfig(
        epochs=200, batch_size=16, learning_rate=2e-5, schedule="constant", warmup=0.005, weight_decay=0.01,
        layout="padded",
    ),
)  # fmt: skip
PRESETS: dict[str, Config] = {
    "smoke": Config(encoder="toy", split="smoke", folds=2),
    "tiny": Config(),
    "paper": _PAPER,
    "paper-ner": replace(_PAPER, task="ner"),
}
VARIANTS: dict[str, dict[str, Any]] = {
    "raw": {"pipeline": "raw", "labels": "none"},
    "all": {"pipeline": "X_ara", "labels": "none"},
    "conditional": {"labels": "mle+crf"},
    "gold": {"labels": "gold"},
    "mle": {"labels": "mle"},
    "distance": {"labels": "distance"},
    "deterministic": {"rankers": ()},
    "inverse": {"pipeline": "P/X_ara"},
    "permuted": {"labels": "permuted"},
}

# Sentences by split (train, dev, test) and tokens a sentence (a guess from the kind of text).
_SIZES = {"pos": (1123, 433, 518, 32), "ner": (3901, 1093, 2109, 40)}


def workload(config: Config) -> list[Workload]:
    """What a configuration computes: fine-tuning and its looks at development data; in the miniature, reading alone.

    Epochs are the most that are allowed; patience ends fine-tuning earlier.
    """
    from core.cost.plan import Workload
    from core.models.architectures import architecture

    model = architecture("wheel:e5-small" if config.encoder == "toy" else config.encoder)
    if config.task == "retrieval":
        return [Workload(model, 60_000, "inference", "full", 32, 64)]
    train, dev, test, length = _SIZES[config.task]
    epochs, batch = config.training.epochs, config.training.batch_size
    fit = Workload(model, train * epochs * length, "training", "full", length, batch, checkpointing=False)
    return [fit, Workload(model, (dev * epochs + test) * length, "inference", "full", length, 64, name="evaluation")]


def simulation(config: Config) -> list[Simulation]:
    """A step of fine-tuning on the longest sentences, and sentences read, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, read
    from core.tasks.finetuning import collate, label_loss

    encoder = "wheel:e5-small" if config.encoder == "toy" else config.encoder
    sentence = {name: [0] * config.training.max_length for name in ("input_ids", "labels")}
    tagger = Simulation(
        "tagging", pretrained(encoder, "token-cls"), config.training, label_loss, sentence,
        lambda rows, _: collate(rows, 0), partial(read, length=128),
    )  # fmt: skip
    return [tagger]
