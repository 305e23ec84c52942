"""Settings of every scale and variant of TUCAN.

"not recovered": neither the abstract, the model cards nor the released evaluation code say it. "ours, development
split": chosen on wordings and values that are neither tuned on nor tested on; `results/settings.jsonl`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload

_READING = TrainingConfig(
    steps=700, batch_size=32, micro_batch_size=16, max_length=512, learning_rate=4e-3, schedule="cosine", warmup=50,
    beta2=0.99, layout="padded", long_documents="drop", precision="fp32", log_every=100,
)  # fmt: skip
_TUNING = replace(_READING, steps=0, epochs=1, batch_size=16, micro_batch_size=8, learning_rate=3e-3, warmup=0.05)


@dataclass(frozen=True)
class PromptConfig:
    """How functions and request are put into the one user turn; the tags are the official ones."""

    wording: Literal["short", "long"] = "short"
    """Ours, with schemas without blanks and descriptions, or one laid out like the official one, thrice as long."""
    file: str = ""
    """YAML file with other wordings (keys as in prompts.yaml), such as the exact official text. Empty: ours."""
    start: str = "```tool_call"
    """Opens a call."""
    end: str = "```"
    """Closes a call."""


@dataclass(frozen=True)
class BaseModel:
    """The small bilingual chat model that stands in for BgGPT where no `base` is given; 4 heads."""

    hidden: Annotated[int, Range(8)] = 128
    """Width; ours."""
    layers: Annotated[int, Range(1)] = 2
    """Transformer blocks; ours."""
    vocabulary: Annotated[int, Range(300)] = 2000
    """Byte-level BPE entries, trained on what the base reads; ours."""
    training: TrainingConfig = _READING
    """Pre-training; ours, development split."""


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Of base model, training and scored items, adapters, data order and sampling."""
    split: Literal["test", "dev"] = "test"
    """Which wordings, values and questions of the miniature are asked; settings are chosen on dev."""

    base: str = ""
    """Chat model to adapt: hub id, folder or wheel. Empty: the small one of `base_model` is pre-trained here."""
    base_model: BaseModel = BaseModel()
    """Read only when `base` is empty."""
    adapter: Literal["none", "lora"] = "lora"
    """none measures the base as it is. The paper releases LoRA adapters (model cards)."""
    lora_rank: Annotated[int, Range(1)] = 64
    """LoRA rank; ours, development split. Not recovered; 16 at 2.6 B, 32 above. Larger ranks were unstable at 2.6 B (a
    third party's note)."""
    lora_dropout: Annotated[float, Range(0, 1)] = 0.0
    """On what the adapters read. Not recovered; none in miniature, where it is a fifth of the time."""
    quantization: Literal["none", "nf4"] = "none"
    """4-bit base (inferred: 9 B was trained on one L4, 27 B on one L40S)."""
    attention: str = "auto"
    """Attention implementation; eager for Gemma-2's soft-capping (official)."""

    train_file: str = ""
    """Training conversations: JSONL or hub dataset, see the page. Empty: the miniature's."""
    eval_file: str = ""
    """Evaluation items: JSON, JSONL or hub dataset. Empty: the miniature's."""
    languages: Literal["all", "en"] = "all"
    """Train on English requests alone; others take the place of what is left out, so that steps are equal."""
    negatives: bool = True
    """Train on items where nothing is to be called. Off: as many calls instead."""
    answers: Literal["own", "shuffled"] = "own"
    """shuffled: every request gets what is right for another one, a call or none. The null arm."""
    examples: Annotated[int, Range(1)] = 4800
    """Training items of the miniature, over all languages."""
    prompt: PromptConfig = PromptConfig()
    """Wording and format."""
    training: TrainingConfig = _TUNING
    """Adapter tuning; ours, development split."""

    limit: Annotated[int, Range(0)] = 0
    """Score only so many items: the first of a file, every n-th of each kind of the miniature; 0 = all."""
    max_new_tokens: Annotated[int, Range(1)] = 72
    """Room for an answer. Official: 2,048 by its README, 512 in effect."""
    temperature: Annotated[float, Range(0, 2)] = 0.0
    """0 = greedy. Official: 0.1 with sampling (the model cards average several runs: take several seeds)."""
    repetition_penalty: Annotated[float, Range(0.5, 2)] = 1.0
    """Official: 1.1, which makes it harder to copy long values."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if self.quantization == "nf4" and not self.base:
            raise UserError("The miniature's base is not quantised: name a --base, or leave --quantization out.")
        if not self.prompt.start or not self.prompt.end:
            raise UserError("prompt.start and prompt.end must not be empty: a call could not be found.")


PAPER_SCALE = Config(
    base="INSAIT-Institute/BgGPT-Gemma-2-2.6B-IT-v1.0",
    lora_rank=16, lora_dropout=0.05, quantization="nf4", attention="eager",
    train_file="llm-bg/Tucan-BG-v1.0",
    eval_file="llm-bg/Tucan-BG-Eval-v1.0",
    prompt=PromptConfig(wording="long"),
    training=TrainingConfig(
        epochs=2, batch_size=16, micro_batch_size=2, max_length=2048, learning_rate=2e-4, schedule="cosine",
        warmup=0.03, layout="padded", long_documents="drop", precision="bf16", gradient_checkpointing=True,
    ),
    max_new_tokens=512, temperature=0.1, repetition_penalty=1.1,
)  # fmt: skip
PRESETS: dict[str, Config] = {
    "smoke": Config(
        base_model=BaseModel(16, 2, vocabulary=500, training=replace(_READING, steps=2, batch_size=2, warmup=0)),
        lora_rank=2, examples=16, limit=14, max_new_tokens=6, training=replace(_TUNING, max_length=1024),
    ),
    "tiny": Config(),
    "paper": PAPER_SCALE,
    "paper_9b": replace(PAPER_SCALE, base="INSAIT-Institute/BgGPT-Gemma-2-9B-IT-v1.0", lora_rank=32),
    "paper_27b": replace(
        PAPER_SCALE, base="INSAIT-Institute/BgGPT-Gemma-2-27B-IT-v1.0", lora_rank=32,
        training=replace(PAPER_SCALE.training, learning_rate=1e-4),
    ),
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "base": {"adapter": "none"},
    "bg+en": {},
    "shuffled": {"answers": "shuffled"},
    "no_negatives": {"negatives": False},
    "en": {"languages": "en"},
}


def _architecture(config: Config) -> Any:
    """Of the model that is tuned: BgGPT keeps that of the Gemma-2 that it was trained from."""
    name = re.sub(r"^INSAIT-Institute/BgGPT-Gemma-2-(\d+)(\.6)?B-.*", r"google/gemma-2-\1b", config.base)
    if name:
        return name
    from core.models.scratch import hybrid_config

    shape = config.base_model
    return hybrid_config(shape.vocabulary, width=shape.hidden, layers=shape.layers)


def workload(config: Config) -> list[Workload]:
    """What tuning costs, for `papers plan`: 10,035 conversations of about 600 tokens of Gemma's tokenizer (assumed:
    two or three indented schemas are most of them); in miniature also the base, whose rows have about 40."""
    from core.cost.workload import Workload, of_training

    tuning = of_training(
        config.training,
        _architecture(config),
        (600 * 10_035 if config.train_file else 80 * config.examples) * config.training.epochs,
        kind="inference" if config.adapter == "none" else "training",
        method="lora" if config.quantization == "none" else "qlora",
        lora_rank=config.lora_rank,
        name="LoRA on function-calling conversations",
    )
    if config.base:
        return [tuning]
    read = 40 * config.base_model.training.steps * config.base_model.training.batch_size
    return [Workload(_architecture(config), read, sequence_length=256, precision="fp32", name="base"), tuning]


def simulation(config: Config) -> list[Simulation]:
    """A step of tuning, and calls written behind prompts of 1,500 tokens, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, adapted, write

    attention = None if config.attention == "auto" else config.attention
    model = adapted(
        _architecture(config), config.lora_rank, nf4=config.quantization == "nf4", attention=attention,
        alpha=2 * config.lora_rank, dropout=config.lora_dropout, checkpointing=config.training.gradient_checkpointing,
    )  # fmt: skip
    training = config.training if config.adapter == "lora" else None
    writing = partial(write, prompt=1500 if config.base else 64, new=config.max_new_tokens)
    return [Simulation("tuning", model, training, evaluate=writing)]
