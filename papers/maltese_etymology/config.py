"""Settings of every scale and variant."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from core.cost.workload import Workload

# The authors' recommended fine-tuning (MLRS/BERTu, main branch), but for its inverse-sqrt schedule, which is constant
# for 1 / (2 * 0.005) of the run and hardly falls within the patience. 200 epochs, patience 20, seeds 0 to 4.
FINE_TUNING = TrainingConfig(
    epochs=200, batch_size=16, learning_rate=2e-5, schedule="constant", warmup=0.005, weight_decay=0.01, layout="padded"
)


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Folds of the classifier, halves of the probe; at the paper's scale fine-tuning (official: 0 to 4)."""
    split: Literal["test", "dev"] = "test"
    """Which words and sentences of the tiny world are measured; settings were chosen on dev."""
    language: str = "maltese"
    """A bundled language, or a folder with its data files (see data.py)."""
    task: Literal["retrieval", "pos", "ner", "sentiment"] = "retrieval"
    """retrieval: words and sentences of the tiny world find their English, and a probe finds topics; else fine-tuning
    on MUDT (POS accuracy), MAPA level 1 (span F1) or Maltese sentiment (macro F1)."""
    encoder: str = "wheel:e5-small"
    """Hub id, folder or wheel; `toy` is a small untrained one that is made on the spot."""

    pipeline: str = "X_ara/P"
    """A row of the language's pipelines.tsv: what is done with the tokens of each label. Where they are told apart, its
    name has a slash."""
    labels: Literal["none", "gold", "mle", "crf", "mle+crf", "distance", "permuted"] = "mle+crf"
    """Who labels the tokens: nobody (pipelines that treat all alike), the annotation (the paper's tasks have none), a
    classifier that has not seen them, or MLE+CRF with its labels dealt out anew: wrong, at the same rate."""
    transliteration: Literal["ranked", "deterministic"] = "ranked"
    """Whether a token's best reading is chosen by `rankers`, or its plain spelling is taken."""
    rankers: tuple[str, ...] = ()
    """Asked in this order. The paper's are a word 3-gram and a character model of Maghrebi Arabic (kenlm:FILE); empty
    = words:ar letters:ar short, after wordfreq's list of the language in roles.tsv."""

    annotations: str = ""
    """Labelled sentences on which the classifier is trained and cross-validated; empty = those of the tiny world."""
    folds: Annotated[int, Range(2)] = 5
    """Of cross-validation (official: 10, over 439 sentences)."""
    translations: tuple[str, ...] = ()
    """Tables for pipelines that translate and for the classifier, NAME=FILE (official: mt-ar, mt-it, mt-en, en-ar)."""

    words: Annotated[int, Range(3)] = 600
    """Words that are asked, at most, two in three of Arabic origin; the same ones with every seed."""
    share: Annotated[float, Range(0.05, 1)] = 1.0
    """Of the words and sentences of the tiny world (the smoke run does with fewer)."""
    prefix: str = ""
    """Written before every text. e5 was trained with `query: `; without it every arm finds more words (dev)."""
    regularisation: Annotated[float, Range(1e-4, 1e4)] = 100.0
    """C of the probe for topics (logistic regression on vectors of length 1)."""
    data: str = ""
    """Where the task's data lie, with {split} in it; empty = the paper's."""
    training: TrainingConfig = field(default_factory=lambda: FINE_TUNING)
    """Fine-tuning."""
    patience: Annotated[int, Range(0)] = 20
    """Epochs without a better score on development data after which fine-tuning ends."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        alike = "/" not in self.pipeline
        if alike != (self.labels == "none"):
            fix = "treats all tokens alike: set labels to none" if alike else "needs labels"
            raise UserError(f"Pipeline {self.pipeline} {fix}.")
        if self.transliteration == "deterministic" and self.pipeline == "raw":
            raise UserError("Pipeline raw transliterates nothing: leave transliteration as it is.")


_PAPER = Config(
    task="pos",
    encoder="google-bert/bert-base-multilingual-cased",
    # Paths in the authors' repository (`src` of the tag), and of the models that its README names.
    annotations="malti/src/etymology_data/annotations.tsv",
    translations=tuple(f"{name}=malti/src/translations/{name}.tsv" for name in ("mt-ar", "mt-it", "mt-en", "en-ar")),
    rankers=tuple(f"kenlm:malti/models/aggregated_country/lm/{kind}/tn-maghreb.arpa" for kind in ("word", "char")),
    folds=10,
)
PRESETS: dict[str, Config] = {
    "smoke": Config(encoder="toy", words=12, share=0.2, folds=2, rankers=("words:ar", "short")),
    "tiny": Config(),
    "paper": _PAPER,
    "paper-ner": replace(_PAPER, task="ner"),
    "paper-sentiment": replace(_PAPER, task="sentiment"),
}
VARIANTS: dict[str, dict[str, Any]] = {
    "raw": {"pipeline": "raw", "labels": "none"},
    "all": {"pipeline": "X_ara", "labels": "none"},
    "conditional": {"labels": "mle+crf"},
    "gold": {"labels": "gold"},
    "mle": {"labels": "mle"},
    "distance": {"labels": "distance"},
    "deterministic": {"transliteration": "deterministic"},
    "inverse": {"pipeline": "P/X_ara"},
    "permuted": {"labels": "permuted"},
}

# Sentences by split (train, dev, test) and tokens a sentence (a guess from the kind of text).
_SIZES = {"pos": (1123, 433, 518, 32), "ner": (3901, 1093, 2109, 40), "sentiment": (595, 85, 171, 40)}


def workload(config: Config) -> list[Workload]:
    """What a configuration computes: fine-tuning and its looks at development data; in the miniature, reading alone.

    Epochs are the most that are allowed; patience ends fine-tuning earlier.
    """
    from core.cost.plan import Workload
    from core.models.architectures import architecture

    model = architecture("wheel:e5-small" if config.encoder == "toy" else config.encoder)
    if config.task == "retrieval":
        return [Workload(model, 60_000, "inference", "full", 32, 64, name="words and sentences")]
    train, dev, test, length = _SIZES[config.task]
    epochs, batch = config.training.epochs, config.training.batch_size
    read = (dev * epochs + test) * length
    return [
        Workload(
            model, train * epochs * length, "training", "full", length, batch, checkpointing=False, name="training"
        ),
        Workload(model, read, "inference", "full", length, 64, name="development and test sets"),
    ]
