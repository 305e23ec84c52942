"""Settings of every scale and variant.

Only abstract and introduction of the paper could be read: what they state is marked "abstract", what the inference
script shows "official"; "recalled" could not be checked, and all else is ours. "Development split" means chosen on
numbers that no arm reads and no test asks: `results/settings.jsonl`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload

PIVOT = "en"
"""All pairs are English and another language (abstract)."""
KEEP, LOW = 0.8, 0.3
"""chrF of the round trip from which a line is kept, and below which it is dropped; ours."""
SIZES: dict[str, dict[str, int]] = {
    "tiny": {"width": 96, "layers": 2, "heads": 4, "feed_forward": 256},
    "base": {"width": 512, "layers": 6, "heads": 8, "feed_forward": 2048},
    "big": {"width": 1024, "layers": 6, "heads": 16, "feed_forward": 4096},
    "xl": {"width": 2048, "layers": 24, "heads": 32, "feed_forward": 16384},
}
"""Transformer-Base, -Big and the XL model; the last one recalled; it has the 4.7 billion parameters of the abstract."""
_SCRATCH = TrainingConfig(batch_size=32, beta2=0.98, schedule="linear", precision="fp32", log_every=100)


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Languages, numbers and initial weights of the tiny world; order of the data."""
    split: Literal["test", "dev"] = "test"
    """Which numbers of the tiny world are translated; settings were chosen on dev."""

    # data
    languages: tuple[str, ...] = ()
    """Paired with English. Empty, in the tiny world: five (abstract) that the seed draws."""
    tuned: tuple[str, ...] = ()
    """Those of them that get models of their own; empty: the first one."""
    bitext: str = ""
    """Parallel text: file or hub dataset with {language} in its name; empty: the tiny world."""
    monolingual: str = ""
    """Text of one language, a line a sentence or a row with `text`, with {language} in its name."""
    general: tuple[str, ...] = ()
    """Sets of generalisation tuning, each of another domain: shared tasks of sacrebleu, or files with {language}."""
    test: str = ""
    """Shared task of sacrebleu, or a file with {language}."""
    dev: str = ""
    """The same, to choose checkpoints on."""
    largest: Annotated[int, Range(480, 10_000)] = 2000
    """Numbers of the tiny world are smaller; ours."""
    pairs: Annotated[int, Range(0)] = 60
    """Pairs of a bitext; 0 = all. Ours, development split."""
    equal_pairs: bool = False
    """Shared out among the bitexts: all of them together hold as many as one does otherwise."""
    lines: Annotated[int, Range(0)] = 400
    """Lines of monolingual text a language; 0 = all. Ours."""
    general_pairs: Annotated[int, Range(0)] = 96
    """Pairs of generalisation tuning, of one domain or of all together; 0 = all. Ours, development split."""
    items: Annotated[int, Range(2)] = 100
    """Sentences to measure on."""

    # the recipe
    model: str = ""
    """A model to begin with; empty: a new one."""
    size: Literal["tiny", "base", "big", "xl"] = "tiny"
    """Of a new model."""
    pieces: Annotated[int, Range(0)] = 0
    """Of its vocabulary, one for all languages; 0 = a word an entry."""
    pretrain: Literal["multi", "bi", "uni"] = "multi"
    """Directions of the first phase: all (the paper), both of the pair (BiT), or the wanted one."""
    tune: Literal["bi", "uni"] = "uni"
    """Directions of the second phase."""
    self_training: Literal["none", "genuine", "forward", "backward", "both"] = "none"
    """Third phase, on pseudo pairs of one kind or of both (the paper); genuine: as long, on the genuine pairs alone."""
    noise: Annotated[float, Range(0, 1)] = 0.0
    """Share of the monolingual lines that are damaged on purpose."""
    cycle: bool = False
    """Clean the monolingual text by its round trip first (the paper)."""
    generalise: Literal["none", "single", "multi"] = "none"
    """Last phase, on several domains (the paper), or as much of one."""
    average: Annotated[float, Range(0, 1)] = 1.0
    """Weight of the model after it, against that before, in their average (which is recalled); development split."""
    shuffled: Literal["none", "pretrain", "pseudo", "general"] = "none"
    """Break on purpose what pairs of one phase say: each source gets the translation of another."""

    # how
    temperature: Annotated[float, Range(1)] = 1.0
    """T of the directions of the first phase; bitexts of one size need none."""
    pretraining: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=400, learning_rate=2e-3))
    """First phase; ours, development split."""
    tuning: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=200, learning_rate=1e-3))
    """Second phase; ours, development split."""
    augmenting: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=200, learning_rate=1e-3))
    """Third phase; ours, development split."""
    generalising: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=200, learning_rate=2e-3))
    """Last phase; ours, development split."""
    smoothing: Annotated[float, Range(0, 0.9)] = 0.1
    """Of the labels; ours, the usual value."""
    dropout: Annotated[float, Range(0, 0.9)] = 0.1
    """Ours, the usual value."""
    beams: Annotated[int, Range(1)] = 5
    """Of the search (official)."""
    ensemble: bool = False
    """Decode with those of the checkpoints after each phase that are best together (recalled)."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if PIVOT in self.languages or len(set(self.languages)) < len(self.languages):
            raise UserError("languages: name those that are paired with English, each once.")
        if unknown := [code for code in self.tuned if code not in self.languages]:
            raise UserError(f"tuned: {unknown[0]!r} is not among the languages.")
        if bool(self.bitext) != bool(self.languages and self.test):
            raise UserError("own text needs --bitext, --languages and --test: give all three, or none.")
        if self.bitext and self.split == "dev":
            raise UserError("split = 'dev' belongs to the tiny world: leave it out with own text.")
        if self.bitext and not self.monolingual and self.cycle:
            raise UserError("cycle cleans monolingual text: give it as --monolingual.")
        if self.bitext and not self.general and self.generalise != "none":
            raise UserError("generalise needs sets of several domains: give them as --general.")
        if self.self_training in ("none", "genuine") and (self.cycle or self.noise or self.shuffled == "pseudo"):
            raise UserError(f"self_training = {self.self_training!r} reads no monolingual text: leave cycle and noise.")
        if self.ensemble and self.bitext and not self.dev:
            raise UserError("ensemble chooses checkpoints on a set of its own: give it as --dev.")
        if self.shuffled == "general" and self.generalise == "none":
            raise UserError("shuffled = 'general' needs generalise.")


_LARGE = TrainingConfig(
    batch_size=8192, micro_batch_size=64, learning_rate=3e-4, warmup=0.1, beta2=0.98, schedule="cosine",
    precision="bf16", strategy="fsdp2", gradient_checkpointing=True, save_every=2000, keep_checkpoints=5,
)  # fmt: skip
_TUNED = replace(_LARGE, learning_rate=3e-5, warmup=0.05)
PAPER = Config(
    languages=("zh", "de", "cs", "ru", "ja"), tuned=("zh", "de", "cs", "ru", "ja"),
    bitext="{language}-en.tsv", monolingual="{language}.txt",  # WMT22's constrained data have to be asked for
    general=("wmt20", "general-{language}.tsv"), test="wmt22", dev="wmt21", pairs=0, lines=0, general_pairs=0,
    items=5000,
    size="xl", pieces=120_000, temperature=5.0,
    pretraining=replace(_LARGE, steps=100_000), tuning=replace(_TUNED, steps=20_000),
    augmenting=replace(_TUNED, steps=20_000),
    generalising=replace(_TUNED, steps=500, batch_size=512, learning_rate=1e-5),
)  # fmt: skip
_SMALL = TrainingConfig(
    batch_size=256, learning_rate=5e-4, warmup=0.1, beta2=0.98, schedule="cosine", save_every=1000, log_every=50
)
_SMALL_TUNED = replace(_SMALL, learning_rate=1e-4, steps=2000)
_QUICK = replace(_SCRATCH, steps=2, batch_size=8)
_SMOKE = Config(
    languages=("cs", "de"), largest=480, pairs=8, lines=6, items=2, general_pairs=8, beams=1, tune="bi", noise=0.4,
    self_training="both", cycle=True, generalise="multi", average=0.5,
)  # fmt: skip
PRESETS: dict[str, Config] = {
    "smoke": replace(_SMOKE, pretraining=_QUICK, tuning=_QUICK, augmenting=_QUICK, generalising=_QUICK),
    "tiny": Config(),
    "paper": PAPER,
    # For own bitexts: Transformer-Base (the paper compares with it), as long as small ones need; ours.
    "base": replace(
        PAPER, size="base", pieces=8000, pretraining=replace(_SMALL, steps=6000), tuning=_SMALL_TUNED,
        augmenting=_SMALL_TUNED, generalising=replace(_SMALL_TUNED, steps=200, batch_size=64),
    ),
}  # fmt: skip

# What an arm says nothing of; the smoke preset has every phase, but no ensemble.
_PLAIN: dict[str, Any] = {
    "equal_pairs": False, "pretrain": "multi", "tune": "uni", "self_training": "none", "noise": 0.0, "cycle": False,
    "generalise": "none", "average": 1.0, "shuffled": "none", "ensemble": False,
}  # fmt: skip
_MIXED = {**_PLAIN, "tune": "bi", "self_training": "both"}
_GENERAL = {**_PLAIN, "tune": "bi", "generalise": "multi"}
VARIANTS: dict[str, dict[str, Any]] = {
    "multi": _PLAIN,
    "ensemble": {**_PLAIN, "ensemble": True},
    "bi": {**_PLAIN, "pretrain": "bi"},
    "uni": {**_PLAIN, "pretrain": "uni"},
    "shuffled": {**_PLAIN, "shuffled": "pretrain"},
    "equal_pairs": {**_PLAIN, "equal_pairs": True},
    "both": {**_PLAIN, "tune": "bi"},
    "genuine": {**_MIXED, "self_training": "genuine"},
    "self_training": _MIXED,
    "forward": {**_MIXED, "self_training": "forward"},
    "backward": {**_MIXED, "self_training": "backward"},
    "pseudo_shuffled": {**_MIXED, "shuffled": "pseudo"},
    "noisy": {**_MIXED, "noise": 0.4},
    "cycled": {**_MIXED, "noise": 0.4, "cycle": True},
    "general": _GENERAL,
    "general_averaged": {**_GENERAL, "average": 0.5},
    "general_single": {**_GENERAL, "generalise": "single"},
    "general_shuffled": {**_GENERAL, "shuffled": "general"},
}


def shape(config: Config, vocabulary: int) -> Any:
    """Of a new model."""
    from core.models.scratch import mbart_config

    sizes = SIZES[config.size]
    values: dict[str, Any] = {f"{side}_ffn_dim": sizes["feed_forward"] for side in ("encoder", "decoder")}
    values |= {name: sizes[name] for name in ("width", "layers", "heads")}
    # The longest line of the tiny world has sixteen words.
    values["positions"] = 64 if config.size == "tiny" else 1024
    return mbart_config(vocabulary, **values, dropout=config.dropout, attention_dropout=0.0)


def workload(config: Config) -> list[Workload]:
    """The phases of one model: at the paper's scale with 450 thousand tokens a step (ours), of about 55 a pair."""
    from core.cost.workload import Workload

    phases = {"multidirectional": config.pretraining, "one direction": config.tuning}
    phases |= {"self-training": config.augmenting} if config.self_training != "none" else {}
    phases |= {"generalisation": config.generalising} if config.generalise != "none" else {}
    model, tokens = config.model or shape(config, config.pieces or 300), 55 if config.bitext else 16
    return [
        Workload(
            model, phase.steps * phase.batch_size * tokens, sequence_length=tokens, name=name, chunked_loss=False,
            micro_batch_size=phase.micro_batch_size or phase.batch_size, checkpointing=phase.gradient_checkpointing,
        )
        for name, phase in phases.items()
    ]  # fmt: skip


def simulation(config: Config) -> list[Simulation]:
    """A step with the longest pairs, and translating, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, translate
    from core.training.seq2seq import collate, sequence_loss

    longest = 128 if config.bitext else 24
    row = {"input_ids": [4] * longest, "labels": [4] * longest}
    loss, batches = partial(sequence_loss, smoothing=config.smoothing), partial(collate, pad=1)
    model = pretrained(config.model or shape(config, config.pieces or 300), "seq2seq", always="float32")
    writing = partial(translate, source=longest, new=longest, beams=config.beams)
    return [Simulation("pre-training", model, config.pretraining, loss, row, batches, writing)]
