"""Settings of every scale and variant. Values of the paper's scale are those of the official launch script."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.tasks.labelled import TOPIC_TRAINING
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload

# The miniature's encoder; its vocabulary is cut from text as it is written, as in the paper.
LAYERS, WIDTH, HEADS, PIECES = 3, 128, 4, 3000
# Of all that is trained here from nothing, and after it; `by_length` lays the rows out.
_SCRATCH = TrainingConfig(
    batch_size=64, schedule="linear", warmup=0.1, layout="padded", max_length=48, precision="fp32", log_every=100,
    shuffle=False,
)  # fmt: skip
_CLASSIFIER = replace(_SCRATCH, learning_rate=1e-3, shuffle=True)


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Held-out messages and names of the miniature, initial weights, order, masks. Official: transformers' 42."""
    split: Literal["test", "dev"] = "test"
    """Which items are measured; settings were chosen on dev."""
    base: str = ""
    """The model to tune: hub id or folder with a masked-language-model head; none = a small one from nothing."""
    corpus: str = ""
    """Sentences at the paper's scale: `glot500`, or a folder of <language>_<Script>.txt; none = the tiny world."""
    fraction: Annotated[float, Range(0, 1)] = 1.0
    """Share of the lines of every language that is read (paper: 5 %)."""

    tuned: bool = True
    """False measures the base as it is, the paper's baseline."""
    contrast_weight: Annotated[float, Range(0)] = 0.5
    """lambda (official script; the class's default is 1); 0 leaves masked language modelling on both sides."""
    lm_weight: Annotated[float, Range(0)] = 1.0
    """Of masked language modelling; 0 leaves the contrast (official: use_lm)."""
    layer: Annotated[int, Range(0)] = 8
    """Layer that is contrasted, and read in retrieval: 8 of 12 (official script); 2 of 3 at the tiny scale."""
    partner: Literal["own", "shuffled"] = "own"
    """Whose transliteration a sentence is paired with: another one's of its language breaks the effect on purpose."""
    latin: bool = True
    """Tune on sentences in Latin script as well (official: with_latn)."""
    group: Literal["all", "one"] = "all"
    """Tune on one group of relatives alone: South Slavic in miniature, the scripts of India at the paper's scale."""
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            epochs=2, batch_size=768, micro_batch_size=24, learning_rate=2e-5, schedule="linear", layout="padded",
            precision="bf16", max_length=512, save_every=2000,
        )
    )  # fmt: skip
    """4 GPUs x 24 pairs x 8 steps of accumulation; AdamW without decay or warm-up (official; there in fp16)."""

    languages: tuple[str, ...] = ("hr", "sr-Latn", "sl", "cs", "sk", "pl", "sr", "mk", "bg", "ru", "uk", "be")
    """Of the miniature: six in Latin script and six in Cyrillic, Serbian in both. Bosnian has too few messages."""
    lines: Annotated[int, Range(0)] = 0
    """Most lines, and most names of a part, of a language in the miniature; 0 = all."""
    pretraining: TrainingConfig = _SCRATCH
    """Of the miniature's base."""
    messages: Annotated[int, Range(2)] = 60
    """Held-out messages that are retrieved, the same in all languages."""
    retrieval: str = "tatoeba"
    """At the paper's scale: tatoeba (SR-T), or a folder of aligned <language>.txt (SR-B is given out by hand)."""
    classification: str = ""
    """Zero-shot transfer at the paper's scale: sib200, taxi1500 or a labelled folder; in miniature kinds of names."""
    transfer: TrainingConfig = field(default_factory=lambda: replace(TOPIC_TRAINING, max_length=100))
    """Fine-tuning of the classifier (official evaluation script of Taxi1500)."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if self.tuned and not (self.contrast_weight or self.lm_weight):
            raise UserError("contrast_weight and lm_weight are both 0: nothing would be learnt.")
        if bool(self.base) != bool(self.corpus):
            raise UserError("base and corpus belong together: name both, or neither for the tiny world.")


TINY = Config(
    layer=2,
    training=replace(_SCRATCH, steps=120, learning_rate=5e-4),
    pretraining=replace(_SCRATCH, steps=600, learning_rate=1e-3),
    transfer=replace(_CLASSIFIER, epochs=3),
)
_PAPER = Config(base="cis-lmu/glot500-base", corpus="glot500", fraction=0.05)

PRESETS: dict[str, Config] = {
    "smoke": replace(
        TINY,
        languages=("hr", "sr-Latn", "sr", "mk"),
        lines=40,
        messages=20,
        training=replace(_SCRATCH, steps=3, batch_size=16),
        pretraining=replace(_SCRATCH, steps=5, batch_size=16),
        transfer=replace(_CLASSIFIER, epochs=1),
    ),
    "tiny": TINY,
    "paper": _PAPER,
    "paper-taxi1500": replace(_PAPER, retrieval="", classification="taxi1500"),
}

VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "source": {"tuned": False},
    "mlm_both": {"contrast_weight": 0.0},
    "tcm_only": {"lm_weight": 0.0},
    "group": {"group": "one"},
    "shuffled": {"partner": "shuffled"},
}

# Glot500-c: 1.5 billion sentences (Imani et al. 2023); 40 tokens a sentence is a guess.
_SENTENCES, _TOKENS = 1.5e9, 40
# Verses to be retrieved (SR-T: 98 languages, up to 1,000 sentences), labelled verses of Taxi1500 in English.
_RETRIEVED, _LABELLED = 98 * 2000, 860


def workload(config: Config) -> list[Workload]:
    """Tuning on pairs, if any; then retrieval, or fine-tuning a classifier."""
    from core.cost.plan import Workload
    from core.models.architectures import architecture

    training, transfer = config.training, config.transfer
    model: Any = architecture(config.base or "cis-lmu/glot500-base")
    pairs = int(config.fraction * _SENTENCES * training.epochs)
    if not config.base:
        sizes = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "vocab_size": PIECES}
        model.update({**sizes, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS})
        pairs = training.steps * training.batch_size
    tuned = [("tuning on pairs", 2 * pairs, 2 * (training.micro_batch_size or training.batch_size))]
    classifier = [("classifier", int(_LABELLED * transfer.epochs), transfer.batch_size)]
    parts = [
        Workload(model, texts * _TOKENS, "training", "full", _TOKENS, batch, checkpointing=False, name=name)
        for name, texts, batch in tuned * config.tuned + classifier * bool(config.classification)
    ]
    read = Workload(model, _RETRIEVED * 20, "inference", "full", 20, 256, name="retrieval")
    return [*parts, read] if config.retrieval else parts


def simulation(config: Config) -> list[Simulation]:
    """A step on the longest pairs, and sentences read, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, read, tokenizer
    from papers.translico.method import TransliCo, TwoSides

    settings = config.training
    collate: Any = TwoSides(tokenizer(), settings.max_length)

    def batch(rows: list[Any], rng: Any) -> Any:  # no two alike: one of them would be left out
        texts = [f"{number} {'a ' * settings.max_length}" for number in range(len(rows))]
        return collate([{"text": text, "transliteration": text} for text in texts], rng)

    model = pretrained(config.base or "cis-lmu/glot500-base", "masked-lm")
    training = settings if config.tuned else None
    return [Simulation("tuning on pairs", model, training, TransliCo(8), {}, batch, partial(read, length=128))]
