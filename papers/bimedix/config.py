"""Settings of every scale and variant of BiMediX.

Most are not published. "ours, development split": chosen on conditions neither tuned on nor tested on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.cost.steps import Simulation, pretrained, score
from core.cost.workload import Workload, of_training
from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.files import load_json
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from transformers import MixtralConfig

Part = Literal["attention", "experts", "router"]
PARTS: tuple[Part, ...] = ("attention", "experts", "router")
Rounding = Literal["none", "nf4", "nf4-packed"]

_SCRATCH = TrainingConfig(
    steps=400, batch_size=8, max_length=128, learning_rate=3e-3, schedule="linear", warmup=20, precision="fp32"
)
_TUNING = replace(_SCRATCH, steps=500, batch_size=3, learning_rate=1.5e-3)


@dataclass(frozen=True)
class BaseModel:
    """The small Mixtral that stands in for Mixtral-8x7B where no `base` is given; 4 heads, 4 experts, 2 a token."""

    hidden: Annotated[int, Range(8)] = 96
    """Width of the residual stream, of which an expert has 4/3; ours."""
    layers: Annotated[int, Range(1)] = 3
    """Transformer blocks; ours."""
    vocabulary: Annotated[int, Range(300)] = 2000
    """Byte-level BPE entries, trained on what the base reads; ours."""
    training: TrainingConfig = _SCRATCH
    """Pre-training; ours, development split."""

    def __post_init__(self) -> None:
        """Refuse shapes that no transformer has."""
        validate(self)
        if self.hidden % 8:
            raise UserError(f"base_model.hidden = {self.hidden} must be a multiple of 8.")


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Of base model, adapters, data order, and which conditions are tested."""
    split: Literal["test", "dev"] = "test"
    """Which conditions and wordings of the miniature are asked; settings were chosen on dev."""

    base: str = ""
    """Hub id or folder of any mixture of experts with fused experts (Mixtral, Qwen-MoE, OLMoE). Empty: pre-train the
    small Mixtral of `base_model`. The model cards name Mixtral-8x7B-Instruct-v0.1, the README Mixtral-8x7B-v0.1."""
    base_model: BaseModel = BaseModel()
    """Read only when `base` is empty."""
    quantization: Rounding = "nf4"
    """How frozen attention and expert weights are rounded (QLoRA: NF4, block 64): nf4 keeps the rounded values,
    nf4-packed 4-bit codes with double quantisation, dequantised on the fly."""

    adapters: tuple[Part, ...] = PARTS
    """What is adapted: experts and router (README), and attention, with which rank 128 gives the published 4 %."""
    rank: Annotated[int, Range(1)] = 16
    """LoRA rank. Not published; 128 gives the published 4 % at full size."""
    alpha: Annotated[int, Range(0)] = 32
    """The update is scaled by alpha / rank. Not published; 64 (recalled)."""
    dropout: Annotated[float, Range(0, 0.99)] = 0.0
    """LoRA dropout, not on the router. Not published."""

    english: tuple[str, ...] = ()
    """English instructions: JSONL files or hub datasets (`owner/name#subset@split`). Empty: the miniature."""
    second: tuple[str, ...] = ()
    """The same in the second language."""
    second_language: str = "ar"
    """Code of the second language."""
    languages: Literal["both", "english", "second"] = "both"
    """What is tuned on."""
    ratio: tuple[Annotated[float, Range(0)], Annotated[float, Range(0)]] = (2.0, 1.0)
    """English : second in samples (the paper: Arabic is one third)."""
    budget: Literal["tokens", "data"] = "tokens"
    """How long one language alone is tuned: as many tokens as both together, or its own part of the steps, so that it
    goes through its data as often as both together go through theirs (paper)."""
    permuted: bool = False
    """Tune on the answers of other instructions. The miniature's base, too, has then read the answers of other
    conditions: the null arm, which nothing but a leak can lift above chance."""
    training: TrainingConfig = _TUNING
    """Adapter tuning; ours, development split."""

    test_english: tuple[str, ...] = ()
    """Multiple-choice items to evaluate on, in English (files or hub datasets). Empty with own data: routing alone."""
    test_second: tuple[str, ...] = ()
    """The same items in the second language, source by source, with the same ids."""
    limit: Annotated[int, Range(0)] = 0
    """Ask the first so many items of each source and language (in miniature, tune on 20 times as many); 0 = all."""
    speed_width: Annotated[int, Range(0)] = 512
    """Where nothing is tuned, time a sparse block of this width against a dense one of the same size; 0 = not."""

    def __post_init__(self) -> None:
        """Refuse combinations that no single field can refuse."""
        validate(self)
        if bool(self.english) != bool(self.second):
            raise UserError("Give both --english and --second, or neither.")
        if self.base and not self.english:
            raise UserError(f"The base {self.base!r} needs data: give --english and --second.")
        if not self.english and self.second_language != "ar":
            raise UserError(f"The miniature has no {self.second_language!r}: give --english and --second, or leave ar.")
        if self.second_language == "en":
            raise UserError("second_language = 'en' is the first language: give the code of another one.")
        if len(self.test_english) != len(self.test_second):
            raise UserError("Give --test-english and --test-second equally many sources, one for one.")
        if min(self.ratio) <= 0:
            raise UserError(f"ratio = {self.ratio} leaves a language out: give two positive numbers, or --languages.")
        if self.languages == "both" and self.budget == "data":
            raise UserError("budget = 'data' is for one language: both together see all their data anyway.")


# The nine tasks of the paper's tables, each with its translation.
TESTS: dict[str, str] = load_json(Path(__file__).with_name("tests.json"))

PRESETS: dict[str, Config] = {
    "smoke": Config(
        base_model=BaseModel(16, 1, vocabulary=400, training=replace(_SCRATCH, steps=2, batch_size=2, max_length=64)),
        rank=2, alpha=4, training=replace(_SCRATCH, steps=2, batch_size=2), limit=3, speed_width=16,
    ),
    "tiny": Config(),
    "paper": Config(
        base="mistralai/Mixtral-8x7B-Instruct-v0.1", quantization="nf4-packed", rank=128, alpha=64, dropout=0.05,
        # One set for both languages: each takes its rows of it.
        english=("BiMediX/BiMed1.3M",), second=("BiMediX/BiMed1.3M",),
        # 128 rows of 4,096 tokens a step; one row a device and pass, activations recomputed.
        training=TrainingConfig(
            epochs=2, batch_size=128, micro_batch_size=1, max_length=4096, learning_rate=2e-4, schedule="cosine",
            warmup=0.03, precision="bf16", gradient_checkpointing=True, save_every=200, strategy="ddp",
        ),
        test_english=tuple(TESTS), test_second=tuple(TESTS.values()),
    ),
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "base": {"adapters": ()},
    "base-unrounded": {"adapters": (), "quantization": "none"},
    "bilingual": {},
    "unrounded": {"quantization": "none"},
    "english-only": {"languages": "english"},
    "arabic-only": {"languages": "second"},
    "arabic-part": {"languages": "second", "budget": "data"},
    "experts-router": {"adapters": ("experts", "router")},
    # As many trained parameters as all three parts have at rank 16 (a test counts).
    "attention": {"adapters": ("attention",), "rank": 82, "alpha": 164},
    "permuted": {"permuted": True},
}

# Tokens of BiMed1.3M, once through (README).
CORPUS_TOKENS = 632_300_000


def mixtral_shape(shape: BaseModel, vocabulary: int) -> MixtralConfig:
    """The small base as transformers' own configuration."""
    from transformers import MixtralConfig

    return MixtralConfig(
        vocab_size=vocabulary, hidden_size=shape.hidden, intermediate_size=shape.hidden // 6 * 8,
        num_hidden_layers=shape.layers, num_attention_heads=4, num_key_value_heads=2, num_local_experts=4,
        num_experts_per_tok=2, max_position_embeddings=512, rope_parameters={"rope_type": "default", "rope_theta": 1e4},
        initializer_range=0.05, tie_word_embeddings=True, architectures=["MixtralForCausalLM"],
        pad_token_id=0, bos_token_id=1, eos_token_id=2,  # the ids of `core.models.tokenization`
    )  # fmt: skip


def workload(config: Config) -> Workload:
    """What tuning computes, for `papers plan`."""
    settings, method = config.training, "lora" if config.quantization == "none" else "qlora"
    tokens = settings.steps * settings.batch_size * settings.max_length or int(settings.epochs * CORPUS_TOKENS)
    return of_training(
        settings, config.base or mixtral_shape(config.base_model, config.base_model.vocabulary), tokens,
        kind="training" if config.adapters else "inference", method=method, lora_rank=config.rank,
        lora_targets=config.adapters, name="adapter tuning",
    )  # fmt: skip


def simulation(config: Config) -> list[Simulation]:
    """A step of adapter tuning, and questions whose choices are scored, for `papers plan`."""
    import torch
    from torch.nn.utils import parametrize

    from core.models.nf4 import quantize_base
    from papers.bimedix.method import attach_adapters, bimedix_loss

    def build(_: torch.dtype) -> Any:
        shape = config.base or mixtral_shape(config.base_model, config.base_model.vocabulary)
        model = pretrained(shape)(torch.bfloat16 if config.base else torch.float32)
        packed = config.quantization == "nf4-packed"
        if config.quantization != "none":
            quantize_base(model, double=packed, packed=packed)
        with parametrize.cached():  # PEFT looks at each weight a score of times
            attach_adapters(model, config.adapters, config.rank, config.alpha, config.dropout)
        return model

    training = config.training if config.adapters else None
    asking = partial(score, length=1024 if config.base else 64)
    return [Simulation("adapter tuning", build, training, bimedix_loss, evaluate=asking)]
