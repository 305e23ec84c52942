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

# The paper's languages besides English (model card).
LANGUAGES = ("as", "bn", "gu", "hi", "kn", "ks", "ml", "mr", "ne", "or", "pa", "sa", "sd", "ta", "te", "ur")


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Languages and words of the miniature, initial weights, masks and order."""
    split: Literal["test", "dev"] = "test"
    """Which combinations of words are measured; settings were chosen on dev."""

    translations: bool = True
    """Read pairs of translations (English with another language)."""
    transliterations: bool = True
    """Read pairs of a text and its romanisation."""
    alpha: Annotated[float, Range(0, 1)] = 0.3
    """Exponent of the shares (model card); mBERT's is 0.7."""
    shuffled: bool = False
    """Every pair gets the second side of another one: the effect, broken on purpose."""

    base: str = ""
    """A masked language model to train further; empty: one from nothing, of BERT's shape."""
    texts: str = ""
    """Folder of monolingual text, a <language>.txt each. Empty: the miniature."""
    translated: str = ""
    """Folder of translations, a <language>.tsv each: English, a tab, the language."""
    romanised: str = ""
    """Folder of transliterations, a <language>.tsv each: native script, a tab, Latin letters."""
    romanizer: str = "uroman"
    """Romanises the miniature: uroman, or table:<file.tsv>. The paper has indic-trans, and Dakshina's people."""
    vocabulary: Annotated[int, Range(100)] = 197_285
    """WordPiece entries, native and romanised (recalled; not divisible by what a GPU likes)."""
    width: Annotated[int, Range(8)] = 768
    layers: Annotated[int, Range(1)] = 12
    heads: Annotated[int, Range(1)] = 12
    spread: Annotated[float, Range(0.001, 1)] = 0.02
    """Of the initial weights. With BERT's .02 attention stays flat for hundreds of steps at the miniature's width."""

    lines: Annotated[int, Range(10)] = 1500
    """English lines of the miniature; each further language has three quarters of the one before."""
    mask_rate: Annotated[float, Range(0.01, 1)] = 0.15
    """Share of the tokens to predict (BERT's); the miniature's short lines take twice as many."""
    layer: Annotated[int, Range(-1)] = 7
    """Layer that is measured: XTREME's for Tatoeba; -1 = the last."""
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if self.shuffled and not (self.translations or self.transliterations):
            raise UserError("There are no pairs to shuffle: leave --shuffled out.")
        if (self.base or self.translated or self.romanised) and not self.texts:
            raise UserError("base, translated and romanised go with own texts: name a folder in texts.")
        if self.texts and self.translations and not self.translated:
            raise UserError("translations need their folder: give --translated, or --no-translations.")
        if self.texts and self.transliterations and not self.romanised:
            raise UserError("transliterations need their folder: give --romanised, or --no-transliterations.")
        if self.width % self.heads:
            raise UserError(f"width = {self.width} is no multiple of heads = {self.heads}.")


TINY = Config(
    vocabulary=600,
    width=96,
    layers=1,
    heads=4,
    spread=0.08,
    mask_rate=0.3,
    layer=-1,
    training=TrainingConfig(
        steps=900, batch_size=64, learning_rate=6e-3, warmup=40, schedule="linear", max_length=64, precision="fp32",
        log_every=100,
    ),
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": replace(TINY, lines=40, vocabulary=300, training=replace(TINY.training, steps=3, batch_size=16)),
    "tiny": TINY,
    # From scratch (model card: a million steps of 4,096 rows of 512; rate and warm-up are recalled).
    "paper": Config(
        texts="corpus/mono",
        translated="corpus/translations",
        romanised="corpus/transliterations",
        training=TrainingConfig(
            steps=1_000_000, batch_size=4096, micro_batch_size=64, learning_rate=5e-4, warmup=50_000, schedule="linear",
            weight_decay=0.01, max_length=512, precision="bf16", save_every=10_000,
        ),
    ),
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "muril": {},
    "mlm": {"translations": False, "transliterations": False, "alpha": 0.7},
    "notlit": {"transliterations": False},
    "notrans": {"translations": False},
    "alpha07": {"alpha": 0.7},
    "shuffled": {"shuffled": True},
}


def shape(config: Config, vocabulary: int) -> Any:
    """BERT of the configuration's size; without dropout in the miniature, whose few words it would blur."""
    from transformers import BertConfig

    dropout = 0.1 if config.texts else 0.0
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=4 * config.width,
        max_position_embeddings=config.training.max_length,
        initializer_range=config.spread,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        pad_token_id=0,
    )


def workload(config: Config) -> Workload:
    """Pre-training, for `papers plan`."""
    from core.cost.workload import Workload
    from core.models.architectures import architecture

    settings = config.training
    model: Any = architecture(config.base) if config.base else shape(config, config.vocabulary)
    return Workload(
        model,
        settings.steps * settings.batch_size * settings.max_length,
        "training",
        "full",
        settings.max_length,
        settings.micro_batch_size or settings.batch_size,
        checkpointing=False,
        head_share=config.mask_rate,
    )


def simulation(config: Config) -> list[Simulation]:
    """A step of pre-training, and sentences read, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, masking, pretrained, read, row
    from core.training.masking import masked_lm_loss

    model: Any = pretrained(config.base or shape(config, config.vocabulary), "masked-lm")
    words = masking(rate=config.mask_rate, whole_words=True, max_predictions=80)
    reading = partial(read, length=128 if config.texts else 16)
    return [Simulation("pre-training", model, config.training, masked_lm_loss, row(config.training), words, reading)]
