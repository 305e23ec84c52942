"""Settings of every scale and variant of BiMediX."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from transformers import MixtralConfig

    from core.cost.workload import Workload


@dataclass(frozen=True)
class BaseModel:
    """The small Mixtral that stands in for Mixtral-8x7B when no `base` is given, and its pre-training."""

    hidden: Annotated[int, Range(8)] = 128
    """Width of the residual stream."""
    layers: Annotated[int, Range(1)] = 3
    """Transformer blocks."""
    heads: Annotated[int, Range(1)] = 4
    """Attention heads; half as many key-value heads."""
    experts: Annotated[int, Range(1)] = 4
    """Experts a block."""
    width: Annotated[int, Range(8)] = 192
    """Width of one expert."""
    top_k: Annotated[int, Range(1)] = 2
    """Experts a token (Mixtral: 2)."""
    vocabulary: Annotated[int, Range(300)] = 2500
    """Byte-level BPE entries, trained on the general text."""
    documents: Annotated[int, Range(0)] = 3000
    """Narrations to pre-train on; 0 leaves out the optional data package."""
    english_share: Annotated[int, Range(1)] = 4
    """English documents for each Arabic one: the base is English-heavy, like Mixtral."""
    known_facts: Annotated[float, Range(0, 1)] = 0.25
    """Share of the English medical facts that the base has already seen."""
    repeats: Annotated[int, Range(1)] = 20
    """How often glossary and known facts are repeated in the pre-training text."""
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            steps=300, batch_size=16, max_length=128, learning_rate=3e-3, schedule="linear", warmup=20, precision="fp32"
        )
    )
    """Pre-training."""

    def __post_init__(self) -> None:
        """Refuse shapes that no transformer has."""
        validate(self)
        if self.hidden % (2 * self.heads) or self.heads % 2:
            raise UserError(f"base_model.hidden = {self.hidden} must be a multiple of twice an even base_model.heads.")
        if self.top_k > self.experts:
            raise UserError(f"base_model.top_k = {self.top_k} exceeds base_model.experts = {self.experts}.")


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Of the base model, the adapters, the data order and the options drawn for each question."""

    base: str = ""
    """Hub id or folder of any mixture of experts with fused experts (Mixtral, Qwen-MoE, OLMoE). Empty: pre-train the
    small Mixtral of `base_model`. The model cards name Mixtral-8x7B-Instruct-v0.1, the README Mixtral-8x7B-v0.1."""
    base_model: BaseModel = field(default_factory=BaseModel)
    """Read only when `base` is empty."""
    quantization: Literal["none", "nf4", "nf4-double"] = "nf4"
    """How the frozen attention and expert weights are rounded (QLoRA: NF4, block 64, double quantisation)."""
    packed: bool = False
    """Keep 4-bit codes in memory and dequantise on the fly; otherwise keep the rounded values."""

    placement: Literal["none", "attention", "experts", "experts+router", "all"] = "all"
    """What gets adapters: the paper adapts experts and router; with attention the count is its 4 %."""
    rank: Annotated[int, Range(1)] = 32
    """LoRA rank. Not stated; 128 gives the published 4 % at full size."""
    alpha: Annotated[int, Range(0)] = 64
    """The update is scaled by alpha / rank. Not stated; 64 as in common Mixtral recipes."""
    dropout: Annotated[float, Range(0, 0.99)] = 0.0
    """LoRA dropout, on attention adapters. Not stated."""
    equal_budget: bool = False
    """Raise the rank until `placement` trains as many parameters as `all` at `rank`."""
    aux_weight: Annotated[float, Range(0)] = 0.02
    """Weight of the load-balancing loss (`router_aux_loss_coef` of the published model)."""

    english: tuple[str, ...] = ()
    """English JSONL files or hub datasets (`owner/name#subset@split`). Empty: the miniature knowledge base."""
    second: tuple[str, ...] = ()
    """The same in the second language."""
    second_language: str = "ar"
    """Code of the second language."""
    ratio: tuple[Annotated[float, Range(0)], Annotated[float, Range(0)]] = (2.0, 1.0)
    """English : second, counted in `ratio_unit` (the paper: Arabic is one third of the samples)."""
    ratio_unit: Literal["samples", "tokens"] = "samples"
    """What the ratio counts."""
    equal_tokens: bool = True
    """Stop every mixture at the same number of tokens, so that variants which mix differently see equally many."""
    permute_answers: bool = False
    """Control: train on answers of other conditions, test on the true ones."""
    second_facts: Annotated[float, Range(0, 1)] = 1.0
    """Share of the miniature facts that exist in the second language; the others test cross-lingual transfer."""
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            steps=1800,
            batch_size=3,
            max_length=128,
            learning_rate=2.5e-3,
            schedule="linear",
            warmup=10,
            precision="fp32",
        )
    )
    """Adapter tuning."""

    test_english: tuple[str, ...] = ()
    """Multiple-choice items to evaluate on, in English (files or hub datasets). Empty with own data: routing only."""
    test_second: tuple[str, ...] = ()
    """The same items in the second language, with the same ids."""
    limit: Annotated[int, Range(0)] = 0
    """Evaluate on the first so many item pairs; 0 = all."""
    phrasing: Literal["test", "development"] = "test"
    """Held-out wording of the miniature questions: `development` is for choosing settings, `test` for the claims."""
    inspect: bool = True
    """Write routing.json: expert usage by language and layer, entropy, distance between the languages."""
    measure_speed: bool = False
    """Time a sparse block against a dense one of the same size."""
    speed_width: Annotated[int, Range(8)] = 1024
    """Width of the timed blocks."""
    measure_translation: bool = False
    """Run the translate-score-refine-review loop on the miniature sentences with injected errors."""

    def __post_init__(self) -> None:
        """Refuse combinations that no single field can refuse."""
        validate(self)
        if bool(self.english) != bool(self.second):
            raise UserError("Give both --english and --second, or neither.")
        if self.base and not self.english:
            raise UserError(f"The base {self.base!r} needs data: give --english and --second.")
        if not self.english and self.second_language != "ar":
            raise UserError(f"The miniature has no {self.second_language!r}: give --english and --second, or leave ar.")
        if bool(self.test_english) != bool(self.test_second):
            raise UserError("Give both --test-english and --test-second, or neither.")
        if min(self.ratio) < 0 or max(self.ratio) == 0:
            raise UserError(f"ratio = {self.ratio} mixes nothing: give two numbers of which one is positive.")
        if self.equal_tokens and not self.training.steps and self.placement != "none":
            raise UserError("equal_tokens needs training.steps: set it, or --no-equal-tokens to use all samples.")


MMLU = (
    "clinical_knowledge",
    "college_biology",
    "college_medicine",
    "medical_genetics",
    "professional_medicine",
    "anatomy",
)

PAPER_SCALE = Config(
    base="mistralai/Mixtral-8x7B-Instruct-v0.1",
    quantization="nf4-double",
    packed=True,
    rank=128,
    alpha=64,
    dropout=0.05,
    english=(
        "openlifescienceai/medmcqa",
        "GBaker/MedQA-USMLE-4-options",
        "qiaojin/PubMedQA#pqa_artificial",
        "lavita/ChatDoctor-HealthCareMagic-100k",
        "lavita/ChatDoctor-iCliniq",
        "medalpaca/medical_meadow_wikidoc",
    ),
    second=("BiMediX/BiMed1.3M",),
    equal_tokens=False,
    # 128 rows of 4,096 tokens a step; one row a device and pass, activations recomputed.
    training=TrainingConfig(
        epochs=2, batch_size=128, micro_batch_size=1, max_length=4096, learning_rate=2e-4, schedule="cosine",
        warmup=0.03, precision="bf16", gradient_checkpointing=True, save_every=200, strategy="ddp",
    ),
    test_english=(
        *(f"cais/mmlu#{subject}@test" for subject in MMLU),
        "openlifescienceai/medmcqa@validation",
        "GBaker/MedQA-USMLE-4-options@test",
        "qiaojin/PubMedQA#pqa_labeled@train",
    ),
    test_second=(
        *(f"BiMediX/mmlu-{subject}-arabic" for subject in MMLU),
        "BiMediX/medmcqa-arabic",
        "BiMediX/medqa-test_arabic",
        "BiMediX/pubmedqa-test_arabic",
    ),
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": Config(
        base_model=BaseModel(
            hidden=16, layers=1, heads=2, width=16, vocabulary=400, documents=0, repeats=1,
            training=TrainingConfig(steps=2, batch_size=2, max_length=64, precision="fp32"),
        ),
        rank=2,
        alpha=4,
        training=TrainingConfig(steps=2, batch_size=2, max_length=128, learning_rate=5e-3, precision="fp32"),
        limit=3,
        measure_speed=True,
        speed_width=16,
        measure_translation=True,
    ),
    "tiny": Config(),
    "paper": PAPER_SCALE,
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "base": {"placement": "none", "quantization": "none"},
    "base-nf4": {"placement": "none"},
    "bilingual": {"measure_speed": True, "measure_translation": True},
    "english-only": {"ratio": (1.0, 0.0)},
    "arabic-only": {"ratio": (0.0, 1.0)},
    "one-to-one": {"ratio": (1.0, 1.0)},
    "attention": {"placement": "attention", "equal_budget": True},
    "experts": {"placement": "experts", "equal_budget": True},
    "experts+router": {"placement": "experts+router", "equal_budget": True},
    "no-aux": {"aux_weight": 0.0},
    "full-precision": {"quantization": "none"},
    "half-arabic": {"second_facts": 0.5},
    "permuted": {"permute_answers": True},
    # The same weights in one expert that every token uses; the rank makes up for the fewer matrices.
    "dense": {"base_model.experts": 1, "base_model.top_k": 1, "base_model.width": 768, "rank": 42, "alpha": 84},
}


# Tokens of BiMed1.3M, once through (README).
CORPUS_TOKENS = 632_300_000


def mixtral_shape(shape: BaseModel, vocabulary: int) -> MixtralConfig:
    """The small base as transformers' own configuration."""
    from transformers import MixtralConfig

    return MixtralConfig(
        vocab_size=vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads // 2,
        num_local_experts=shape.experts,
        num_experts_per_tok=shape.top_k,
        max_position_embeddings=512,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4},
        initializer_range=0.05,
        tie_word_embeddings=True,
        architectures=["MixtralForCausalLM"],
        pad_token_id=0,  # the ids of `core.models.tokenization`
        bos_token_id=1,
        eos_token_id=2,
    )


def workload(config: Config) -> Workload:
    """What tuning computes, for `papers plan`."""
    from core.cost.workload import Target, Workload

    parts: dict[str, tuple[Target, ...]] = {
        "attention": ("attention",),
        "experts": ("experts",),
        "experts+router": ("experts", "router"),
        "all": ("attention", "experts", "router"),
        "none": (),
    }
    settings = config.training
    in_steps = settings.steps * settings.batch_size * settings.max_length
    return Workload(
        architecture=config.base or mixtral_shape(config.base_model, config.base_model.vocabulary),
        tokens=in_steps or settings.epochs * CORPUS_TOKENS,
        kind="inference" if config.placement == "none" else "training",
        method="lora" if config.quantization == "none" else "qlora",
        sequence_length=settings.max_length,
        micro_batch_size=settings.micro_batch_size or settings.batch_size,
        lora_rank=config.rank,
        lora_targets=parts[config.placement],
        checkpointing=settings.gradient_checkpointing,
        name="adapter tuning",
    )
