"""Settings of every scale and variant. (code) = the official repository."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from transformers import GPT2Config

    from core.cost.steps import Simulation
    from core.cost.workload import Workload


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Which books are held out, initial weights, and which sequence is in which language."""
    split: Literal["test", "dev"] = "test"
    """Which held-out text is measured; settings were chosen on dev."""

    schedule: str = "0.1"
    """Probability that a sequence is in another language than the first: one number, or stages of equal length joined
    by `_` (code). 0 is a monolingual model."""
    clones: Annotated[int, Range(1, 99)] = 1
    """Clones beside the original: 1, or 9 for ten languages (code)."""
    fraction: Annotated[float, Range(0, 1)] = 1.0
    """Share of the tokens that are cloned; the others are anchors (code: frac_clone)."""
    real: Literal["", "disjoint", "anchored"] = ""
    """Another real language in the clone's place: with no token in common, or with pieces of the same string shared
    (code: merge_vocab)."""
    null: bool = False
    """The first language's tokens are shuffled within each of its sequences: the effect, broken on purpose."""
    alone: bool = False
    """The first language's sequences are left out of every step: the others are read alone, at the same steps."""
    length: Annotated[float, Range(0.01, 8)] = 1.0
    """Of the run, in budgets (`training.steps`); a shorter one has a whole schedule of the learning rate too."""
    law: tuple[Annotated[float, Range(0.001, 8)], ...] = ()
    """Shares of the budget that monolingual runs read, off which efficiency is read: at least three, made by evaluation
    and shared by all variants of a seed. Empty: no efficiency (`use efficiency` takes it from a table)."""
    law_second: tuple[Annotated[float, Range(0.001, 8)], ...] = ()
    """The same for a real second language."""
    law_by: Literal["steps", "sequences"] = "steps"
    """What a monolingual run of fewer tokens has fewer of: steps (code), or sequences in each of as many steps."""
    law_form: Literal["power", "curve"] = "power"
    """A power law through them (code), or a monotone curve, which can follow where much is learnt at once."""

    corpus: str = ""
    """Text of the first language: a file or hub dataset with a column `text`. Empty: narrations in English."""
    second: str = ""
    """Text of a real second language, read where `real` is set. Empty: narrations in Arabic."""
    tokenizer: str = ""
    """Hub id or folder, for each language. Empty: trained on its text."""
    vocabulary: Annotated[int, Range(0)] = 0
    """Pieces of the tokenizer that is trained: byte-level BPE; 0 = characters. Code: SentencePiece of 16,384."""
    pairs: str = ""
    """Parallel lines to compare states and gradients of a real pair on."""
    languages: tuple[str, ...] = ()
    """The two columns of `pairs`."""
    layers: Annotated[int, Range(1)] = 12
    """Blocks (code: small 12, mini and tiny 4, medium 24)."""
    width: Annotated[int, Range(8)] = 768
    """Of states; the inner layers are four times as wide (code: small 768, medium 1024)."""
    heads: Annotated[int, Range(1)] = 12
    """Of attention (code: small 12, medium 16)."""
    counted: Annotated[int, Range(1)] = 128
    """Last tokens of each window that a perplexity is the mean of (code)."""
    compared: Annotated[int, Range(2)] = 500
    """Texts on which states and gradients are compared (code)."""
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if self.width % self.heads:
            raise UserError(f"width = {self.width} cannot be shared by {self.heads} heads: give a multiple of them.")
        if self.training.shuffle:
            raise UserError("training.shuffle would mix the stages of the schedule: leave it off.")
        if not self.training.steps:
            raise UserError("training.steps = 0 is no budget: say how many steps a whole run has.")
        if self.counted >= self.training.max_length:
            raise UserError(
                f"counted = {self.counted} leaves no context in a window: training.max_length has to be larger."
            )
        if self.real and (self.clones > 1 or self.fraction < 1):
            raise UserError("A real second language has no clones and no anchors: leave clones and fraction out.")
        if self.real and bool(self.corpus) != bool(self.second):
            raise UserError("A real pair needs both texts: name corpus and second.")
        if bool(self.pairs) != (len(self.languages) == 2):
            raise UserError("pairs and languages belong together: a file and the names of its two columns.")
        if self.monolingual and (self.null or self.alone or self.real):
            raise UserError("schedule 0 is the first language alone: leave real, null and alone out.")
        for lengths in (self.law, self.law_second):
            if lengths and len(set(lengths)) < 3:
                raise UserError("A law needs three lengths of monolingual runs at least.")
        staged(self.schedule, max(1, round(self.training.steps * self.length)))

    @property
    def monolingual(self) -> bool:
        """Whether no sequence is in another language."""
        return not any(stages(self.schedule))


def stages(schedule: str) -> tuple[float, ...]:
    """The probabilities of a schedule such as `0.1_0.9`.

    Raises:
        UserError: It is none.
    """
    try:
        values = tuple(float(part) for part in schedule.split("_"))
    except ValueError:
        values = (math.nan,)
    if not all(0 <= value <= 1 for value in values):
        raise UserError(f"schedule {schedule!r} is none: give probabilities joined by _, such as 0.1 or 0.1_0.9.")
    return values


def staged(schedule: str, total: int) -> list[float]:
    """The probability at every step: stages of equal length, of which the last takes what remains.

    Raises:
        UserError: No schedule, or one of more stages than there are steps.
    """
    values = stages(schedule)
    if len(values) > total:
        raise UserError(f"schedule {schedule!r} has {len(values)} stages in {total} steps: train longer.")
    return [values[min(step // (total // len(values)), len(values) - 1)] for step in range(total)]


_SCRATCH = TrainingConfig(
    learning_rate=3e-3, final_learning_rate=0.01, warmup=0.05, beta2=0.95, max_grad_norm=0.0, shuffle=False,
    precision="fp32", log_every=200,
)  # fmt: skip
TINY = Config(
    law=(0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.65, 1.0), law_second=(0.1, 0.2, 0.3, 0.45), law_by="sequences",
    law_form="curve", layers=2, width=64, heads=4, counted=16, compared=64,
    training=replace(_SCRATCH, learning_rate=4e-3, steps=2000, batch_size=16, max_length=32),
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": replace(
        TINY, law=(0.2, 0.5, 1.0), law_second=(0.2, 0.5, 1.0), law_form="power", layers=1, width=16, heads=2,
        compared=2, training=replace(TINY.training, steps=10, batch_size=4),
    ),
    "tiny": TINY,
    # GPT small of the official code: 18,265 steps of 128 x 512 tokens, Adam without decay or clipping, 6e-4 to 6e-6.
    # Monolingual runs are runs of this preset with `--schedule 0 --length 0.1`, read off by `use efficiency`. Books3
    # cannot be had any more: FineWeb-Edu and FineWeb-2 stand in. Europarl is the official code's.
    "paper": Config(
        corpus="HuggingFaceFW/fineweb-edu#sample-10BT",
        second="HuggingFaceFW/fineweb-2#fra_Latn",
        pairs="Helsinki-NLP/europarl#en-fr",
        languages=("en", "fr"),
        vocabulary=16_384,
        training=TrainingConfig(
            steps=18_265, batch_size=128, micro_batch_size=16, max_length=512, learning_rate=6e-4,
            final_learning_rate=0.01, warmup=200, beta2=0.95, max_grad_norm=0.0, shuffle=False, precision="bf16",
            save_every=1000, log_every=50,
        ),
    ),
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "imbalanced": {},
    "balanced": {"schedule": "0.5"},
    "late": {"schedule": "0.1_0.9"},
    "shuffled": {"null": True},
    "alone": {"alone": True},
    "real": {"real": "disjoint"},
}


def architecture(config: Config, vocabulary: int) -> GPT2Config:
    """The official block: before the normalisation, tanh-GELU, learned positions, no dropout, an output layer of its
    own, so that clones share nothing but layers."""
    from transformers import GPT2Config

    return GPT2Config(
        vocab_size=vocabulary, n_positions=config.training.max_length, n_embd=config.width, n_layer=config.layers,
        n_head=config.heads, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, tie_word_embeddings=False,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip


def workload(config: Config) -> Workload:
    """One run of the grid, for `papers plan`."""
    from core.cost.workload import of_training

    settings = config.training
    tokens = round(settings.steps * config.length) * settings.batch_size * settings.max_length
    return of_training(settings, architecture(config, (1 + config.clones) * config.vocabulary), tokens, name="one run")


def simulation(config: Config) -> list[Simulation]:
    """A step of training, and windows that are measured."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, score

    model = pretrained(architecture(config, (1 + config.clones) * (config.vocabulary or 64)))
    reading = partial(score, length=config.training.max_length, targets=config.counted)
    return [Simulation("one run", model, config.training, evaluate=reading)]
