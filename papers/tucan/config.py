"""Settings of every scale and variant of TUCAN."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from transformers import LlamaConfig

    from core.cost.workload import Workload


@dataclass(frozen=True)
class PromptConfig:
    """How functions and request are put into the one user turn."""

    lang: Literal["bg", "en"] = "bg"
    """Language of the instructions around the request. The official ones are Bulgarian, which costs SmolLM2 twice the
    tokens, so the miniature's are English; requests and replies are Bulgarian all the same."""
    wording: Literal["short", "long"] = "short"
    """Our short wording, or the long one that is laid out like the official one."""
    file: str = ""
    """YAML file with other wordings (keys as in prompts.yaml), such as the exact official text. Empty: ours."""
    json_indent: Annotated[int, Range(-1)] = -1
    """Indentation of the schemas; -1 = none and no blanks. Official: 2, which triples the length."""
    descriptions: bool = False
    """Keep the descriptions of functions and parameters."""
    start: str = "```tool_call"
    """Opens a call (official)."""
    end: str = "```"
    """Closes a call (official)."""


@dataclass(frozen=True)
class Scratch:
    """The small model that is trained from nothing when `base` is empty."""

    hidden: Annotated[int, Range(8)] = 192
    """Width."""
    layers: Annotated[int, Range(1)] = 4
    """Transformer blocks."""
    heads: Annotated[int, Range(1)] = 4
    """Attention heads."""
    vocabulary: Annotated[int, Range(300)] = 1200
    """Byte-level BPE entries, trained on the training conversations."""


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Of training items, adapters, data order and sampling. Test items are the same for all seeds."""

    base: str = "wheel:smollm2"
    """Chat model to adapt: hub id, folder or wheel. Empty: a model of `scratch`, trained in full."""
    scratch: Scratch = field(default_factory=Scratch)
    """Read only when `base` is empty."""
    adapter: Literal["none", "lora", "full"] = "lora"
    """none measures the base as it is. The paper releases LoRA adapters (model cards)."""
    lora_rank: Annotated[int, Range(1)] = 16
    """LoRA rank. Not recovered; 16 at 2.6 B, 32 above. Larger ranks were unstable at 2.6 B (a third party's note)."""
    lora_alpha: Annotated[int, Range(1)] = 32
    """The update is scaled by alpha / rank. Not recovered."""
    lora_dropout: Annotated[float, Range(0, 0.9)] = 0.0
    """LoRA dropout. Not recovered; 0.05 at paper scale."""
    quantization: Literal["none", "nf4"] = "none"
    """4-bit base (inferred: 9 B was trained on one L4, 27 B on one L40S)."""
    attention: str = "auto"
    """Attention implementation; eager for Gemma-2's soft-capping (official)."""
    plain_chat: bool = True
    """Use a ChatML template without a default system message, which SmolLM2's own template adds to every prompt."""

    train_file: str = ""
    """Training conversations: JSONL or hub dataset, see the page. Empty: generated."""
    eval_file: str = ""
    """Evaluation items: JSON, JSONL or hub dataset. Empty: generated."""
    tools: str = ""
    """Functions for the generator (JSON: plain, OpenAI or MCP). Empty: the ten of the miniature."""
    templates: tuple[str, ...] = ()
    """Request templates for the generator, one YAML a language."""
    languages: tuple[str, ...] = ("bg", "en")
    """Languages of the training items (the paper: Bulgarian and English)."""
    negatives: bool = True
    """Train on items where nothing is to be called. Off: call scenarios only."""
    examples: Annotated[int, Range(1)] = 220
    """Training items that are generated, over all languages."""
    distractors: Annotated[int, Range(0)] = 1
    """At most so many further functions an item."""
    unseen_tools: tuple[str, ...] = ("get_time", "check_visa")
    """Functions of the test that training never shows."""
    multi_turn: Annotated[float, Range(0, 1)] = 0.0
    """Share of training calls that go on with the function's result and the final answer."""
    loss_on: Literal["assistant", "all"] = "assistant"
    """Tokens with a loss. The paper's masking was not recovered."""

    prompt: PromptConfig = field(default_factory=lambda: PromptConfig(lang="en"))
    """Wording and format."""
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            epochs=1,
            batch_size=4,
            max_length=512,
            learning_rate=1e-3,
            schedule="linear",
            warmup=0.05,
            layout="flattened",
            long_documents="drop",
            log_every=20,
        )
    )
    """Adapter tuning."""

    evaluate_on: Literal["test", "development"] = "test"
    """Which generated items are scored: development for choosing settings, test for the claims."""
    test_items: tuple[Annotated[int, Range(0)], Annotated[int, Range(0)]] = (36, 18)
    """Generated items to score, Bulgarian and English (the English ones mirror the first Bulgarian ones)."""
    limit: Annotated[int, Range(0)] = 0
    """Score only the first so many items of a file; 0 = all."""
    retention_messages: Annotated[int, Range(0)] = 15
    """Interface messages in each language whose loss shows what tuning made the model forget; 0 = none."""
    max_new_tokens: Annotated[int, Range(1)] = 64
    """Room for an answer. Official: 2,048 by its README, 512 in effect."""
    temperature: Annotated[float, Range(0, 2)] = 0.0
    """0 = greedy. Official: 0.1 with sampling."""
    top_p: Annotated[float, Range(0, 1)] = 1.0
    """Nucleus of the sampling (official: 1.0)."""
    repetition_penalty: Annotated[float, Range(0.5, 2)] = 1.0
    """Official: 1.1, which makes it harder to copy long values."""
    repeats: Annotated[int, Range(1)] = 1
    """Sampled answers of every item, averaged (the model cards average several runs)."""
    translit: Literal["official", "bg_standard"] = "official"
    """How Cyrillic is compared with Latin spellings: the scorer's table, or the Bulgarian standard."""
    save_merged: bool = False
    """Also write the model with the adapter merged into it."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if not self.languages:
            raise UserError("languages is empty: name at least one language, such as bg.")
        if not self.base and self.adapter == "lora":
            raise UserError("A model from scratch has nothing to adapt: use --adapter full, or name a --base.")
        if self.quantization == "nf4" and self.adapter == "full":
            raise UserError("A 4-bit base cannot be trained in full: use --adapter lora.")
        if self.repeats > 1 and not self.temperature:
            raise UserError("Greedy answers do not differ: set --temperature, or --repeats 1.")
        if self.scratch.hidden % (2 * self.scratch.heads):
            raise UserError(f"scratch.hidden = {self.scratch.hidden} must be a multiple of twice scratch.heads.")
        if not self.prompt.start or not self.prompt.end:
            raise UserError("prompt.start and prompt.end must not be empty: a call could not be found.")


TINY = Config()
FROM_SCRATCH = replace(
    TINY,
    base="",
    adapter="full",
    examples=6000,
    training=replace(TINY.training, batch_size=16, learning_rate=2e-3, max_length=1024, precision="fp32"),
)
PAPER_SCALE = Config(
    base="INSAIT-Institute/BgGPT-Gemma-2-2.6B-IT-v1.0",
    lora_dropout=0.05,
    quantization="nf4",
    attention="eager",
    plain_chat=False,
    train_file="llm-bg/Tucan-BG-v1.0",
    eval_file="llm-bg/Tucan-BG-Eval-v1.0",
    prompt=PromptConfig(wording="long", json_indent=2, descriptions=True),
    training=TrainingConfig(
        epochs=2, batch_size=16, micro_batch_size=2, max_length=2048, learning_rate=2e-4, schedule="cosine",
        warmup=0.03, layout="padded", long_documents="drop", precision="bf16", gradient_checkpointing=True,
    ),
    retention_messages=200,
    max_new_tokens=512,
    temperature=0.1,
    repetition_penalty=1.1,
    repeats=2,
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": replace(
        FROM_SCRATCH,
        scratch=Scratch(hidden=32, layers=1, heads=2, vocabulary=400),
        examples=24,
        training=replace(FROM_SCRATCH.training, batch_size=4),
        test_items=(24, 8),
        retention_messages=3,
        max_new_tokens=8,
    ),
    "tiny": TINY,
    "tiny_scratch": FROM_SCRATCH,
    "paper": PAPER_SCALE,
    "paper_9b": replace(PAPER_SCALE, base="INSAIT-Institute/BgGPT-Gemma-2-9B-IT-v1.0", lora_rank=32, lora_alpha=64),
    "paper_27b": replace(
        PAPER_SCALE,
        base="INSAIT-Institute/BgGPT-Gemma-2-27B-IT-v1.0",
        lora_rank=32,
        lora_alpha=64,
        training=replace(PAPER_SCALE.training, learning_rate=1e-4),
    ),
}

VARIANTS: dict[str, dict[str, Any]] = {
    "base": {"adapter": "none"},
    "bg+en": {},
    "bg": {"languages": ("bg",)},
    "en": {"languages": ("en",)},
    "no-negatives": {"negatives": False},
    "half": {"examples": 110},
    "double": {"examples": 440},
    "rank-4": {"lora_rank": 4, "lora_alpha": 8},
    "rank-64": {"lora_rank": 64, "lora_alpha": 128},
    "prompt-bg": {"prompt.lang": "bg"},
    "xml-tags": {"prompt.start": "<tool_call>", "prompt.end": "</tool_call>"},
    "descriptions": {"prompt.descriptions": True},
    "indented": {"prompt.json_indent": 2},
    "loss-all": {"loss_on": "all"},
    "multi-turn": {"multi_turn": 0.3},
}

# BgGPT keeps the architecture of the Gemma-2 that it was trained from.
SHAPES = {"2.6B": "google/gemma-2-2b", "9B": "google/gemma-2-9b", "27B": "google/gemma-2-27b"}
CONVERSATIONS = 10_035


def scratch_shape(scratch: Scratch, vocabulary: int) -> LlamaConfig:
    """The small model as transformers' own configuration."""
    from core.models.architectures import miniature

    return miniature(
        vocabulary, width=scratch.hidden, layers=scratch.layers, heads=scratch.heads,
        feed_forward=3 * scratch.hidden, positions=2048, initializer_range=scratch.hidden**-0.5,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4},
    )  # fmt: skip


def workload(config: Config) -> Workload:
    """What tuning costs, for `papers plan`: 10,035 conversations of about 600 tokens of Gemma's tokenizer (assumed:
    two or three indented schemas are most of them)."""
    from core.cost.workload import Workload

    name = next((shape for size, shape in SHAPES.items() if f"-{size}-" in config.base), config.base)
    scale = 600 * CONVERSATIONS if config.train_file else 150 * config.examples
    method: Any = {"none": "full", "full": "full", "lora": "lora" if config.quantization == "none" else "qlora"}
    return Workload(
        architecture=name or scratch_shape(config.scratch, config.scratch.vocabulary),
        tokens=scale * config.training.epochs,
        kind="inference" if config.adapter == "none" else "training",
        method=method[config.adapter],
        sequence_length=config.training.max_length,
        micro_batch_size=config.training.micro_batch_size or config.training.batch_size,
        lora_rank=config.lora_rank,
        checkpointing=config.training.gradient_checkpointing,
        name="LoRA on function-calling conversations",
    )
