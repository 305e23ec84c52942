"""Settings of every scale and variant.

There is no official code and the body of the paper was not at hand: every value says where it comes from. "Abstract" is
the paper's; "summary" is from a third party's summary of it; "ours, development split" was chosen on questions that are
neither trained on nor tested, `results/settings.jsonl`.
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

LANGUAGES = ("en", "de", "es", "fr", "ja", "zh", "vi")
"""Of MultiSpider (abstract)."""
_SCRATCH = TrainingConfig(
    batch_size=32, learning_rate=2e-3, beta2=0.99, warmup=20, max_length=128, layout="padded", precision="fp32",
)  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """Of the named rewards (equation 3); the paper's are not known."""

    format: Annotated[float, Range(0)] = 0.1
    """Exactly one query can be read from the answer; ours."""
    execution: Annotated[float, Range(0)] = 1.0
    """It runs; ours."""
    result: Annotated[float, Range(0)] = 0.0
    """Its rows are those of the gold query: an upper bound, since it needs gold queries; ours."""
    contrastive: Annotated[float, Range(0)] = 1.0
    """It runs and is near the question; ours."""


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Queries, parts, phrasings and initial weights of the tiny world; all draws in training."""
    split: Literal["test", "dev"] = "test"
    """Measure on test questions, or on those on which settings are chosen."""

    # the rewards
    weights: Weights = field(default_factory=Weights)
    """Of the named rewards."""
    reinforce: bool = True
    """Learn from rewards; False leaves the policy as it begins."""
    supervised: bool = False
    """Tune the policy on the encoder's questions and gold queries, as many as the encoder reads."""
    temperature: Annotated[float, Range(0.001, 10)] = 0.07
    """tau of equation 1; ours: 0.07 in miniature, 0.05 at the paper's scale."""
    negatives: Annotated[int, Range(0, 32)] = 2
    """Hard negatives of a pair in each batch; ours, the abstract has none."""
    mismatched: bool = False
    """Ask the encoder how near answers are to other questions than their own: the effect, broken on purpose."""

    # the policy
    group: Annotated[int, Range(2, 64)] = 8
    """G: answers to a question; ours."""
    beta: Annotated[float, Range(0)] = 0.02
    """Weight of the divergence from the start (summary)."""
    max_new_tokens: Annotated[int, Range(1)] = 16
    """Room for an answer; ours."""
    base: str = ""
    """Policy to start from: hub id or folder of a chat model; empty: a small decoder, tuned here on a few questions."""
    lora_rank: Annotated[int, Range(0)] = 0
    """Rank of the policy's adapters, with a `base`; 0 trains all weights. The abstract says parameter-efficient."""
    encoder: str = ""
    """Encoder to train: hub id, folder or wheel (summary: XLM-R); empty: a small one that has learnt nothing."""

    # data
    questions: str = ""
    """Rows with `db_id`, `question` and `query`, `{code}` for the language: train and development files of MultiSpider
    as `{split}`; empty: the tiny world."""
    databases: str = ""
    """Folder with `<db>.sqlite` or `<db>/<db>.sqlite`."""
    pairs: Annotated[int, Range(1)] = 4000
    """Questions with gold queries for the encoder; ours, development split."""
    tuning: Annotated[int, Range(1)] = 6000
    """Questions with gold queries that the small policy is tuned on, before any reward; ours, development split."""
    careless: Annotated[float, Range(0, 1)] = 0.6
    """Share of the answers among them that are wrong where their writer is careless, half of it in English: a sign is
    taken for another, a column for another, and tables get names that do not exist. So the policy could do better and
    prefers not to; ours, development split."""
    prompts: Annotated[int, Range(1)] = 4000
    """Questions that are answered for rewards; the paper's are 3,000 (abstract)."""
    items: Annotated[int, Range(0)] = 20
    """Queries that are measured on, each in all languages; 0 = all that there are."""
    answers: Annotated[int, Range(0, 64)] = 8
    """Sampled answers to each question that are measured; 0 = a greedy one (the paper's percentages are of 350)."""

    sft: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=900, learning_rate=4e-3))
    """Tuning of the small policy, and of the arm `tuned`; ours, development split."""
    contrast: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=1000, learning_rate=3e-3))
    """Training of the encoder, in pairs; ours, development split."""
    policy: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=60, warmup=5))
    """Learning from rewards, in questions; ours, development split."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if bool(self.questions) != bool(self.databases):
            raise UserError("questions and databases belong together: give both, or neither for the tiny world.")
        if bool(self.questions) != bool(self.base):
            raise UserError("A base needs questions, and questions a base: give --base, --questions and --databases.")
        if self.mismatched and not self.weights.contrastive:
            raise UserError("--mismatched asks the encoder, and weights.contrastive is 0: leave one out.")


TINY = Config()
# Learning rate: summary; the rest is ours.
_LARGE = TrainingConfig(
    epochs=1, batch_size=32, micro_batch_size=2, max_length=1280, learning_rate=5e-6, warmup=0.05, layout="padded",
    precision="bf16", gradient_checkpointing=True,
)  # fmt: skip
PAPER_SCALE = Config(
    base="meta-llama/Llama-3.2-3B-Instruct", lora_rank=16, encoder="FacebookAI/xlm-roberta-base", temperature=0.05,
    questions="multispider/dataset/multispider/with_english_value/{split}_{code}.json",
    databases="multispider/dataset/spider/database", pairs=20_000, prompts=3_000, items=50, answers=0,
    max_new_tokens=256,
    contrast=TrainingConfig(
        epochs=3, batch_size=128, micro_batch_size=128, max_length=128, learning_rate=2e-5, warmup=0.1,
        layout="padded", precision="bf16",
    ),
    policy=_LARGE, sft=replace(_LARGE, learning_rate=1e-4),  # the arm `tuned` alone; ours, as is usual for adapters
)  # fmt: skip

_FEW: dict[str, Any] = {"steps": 2, "batch_size": 4}
PRESETS: dict[str, Config] = {
    "smoke": replace(
        TINY, pairs=24, tuning=24, prompts=8, items=4, group=4, answers=4, max_new_tokens=8,
        sft=replace(TINY.sft, **_FEW), contrast=replace(TINY.contrast, **_FEW), policy=replace(TINY.policy, **_FEW),
    ),
    "tiny": TINY,
    "paper": PAPER_SCALE,
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "contrastive": {},
    "execution": {"weights.contrastive": 0.0},
    "start": {"weights.contrastive": 0.0, "reinforce": False},
    "mismatched": {"mismatched": True},
    "tuned": {"weights.contrastive": 0.0, "reinforce": False, "supervised": True},
    "in_batch": {"negatives": 0, "reinforce": False},
    "result": {"weights.contrastive": 0.0, "weights.result": 1.0},
}

VOCABULARY = 2000
"""Tokens of the small policy and the small encoder."""


def policy_shape(vocabulary: int = VOCABULARY) -> Any:
    """Shape of the policy that is trained here."""
    from core.models.architectures import miniature

    sizes = {"width": 64, "layers": 2, "heads": 4, "feed_forward": 170, "positions": 160}
    return miniature(vocabulary, **sizes, initializer_range=64**-0.5)


def encoder_shape(vocabulary: int = VOCABULARY) -> Any:
    """Shape of the encoder that is trained here: XLM-R's architecture."""
    from transformers import XLMRobertaConfig

    return XLMRobertaConfig(
        vocab_size=vocabulary, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=170,
        max_position_embeddings=160, type_vocab_size=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        initializer_range=64**-0.5, pad_token_id=0, bos_token_id=1, eos_token_id=2, architectures=["XLMRobertaModel"],
    )  # fmt: skip


def answering(config: Config) -> TrainingConfig:
    """The policy's training with answers for rows, of which each question has a group."""
    settings = config.policy
    micro = (settings.micro_batch_size or settings.batch_size) * config.group
    return replace(settings, micro_batch_size=micro, batch_size=settings.batch_size * config.group)


def workload(config: Config) -> list[Workload]:
    """The encoder, the sampled answers and what is learnt from them, for `papers plan`.

    At the paper's scale a question has 30 tokens, a query 40, a prompt with its schema 600, and half of an answer's
    room is written.
    """
    from core.cost.workload import Workload, of_training

    settings, contrast = answering(config), config.contrast
    question, query, prompt = (30, 40, 600 + config.max_new_tokens / 2) if config.base else (25, 25, 40)
    architecture, encoder = config.base or policy_shape(), config.encoder or encoder_shape()
    rows = contrast.steps * contrast.batch_size or config.pairs * contrast.epochs
    tokens = (settings.steps * settings.batch_size or config.prompts * settings.epochs * config.group) * prompt
    method: Any = {"method": "lora", "lora_rank": config.lora_rank} if config.lora_rank else {}
    start = of_training(config.sft, architecture, config.sft.steps * config.sft.batch_size * 36, name="start")
    return [
        *([] if config.base else [start]),
        of_training(contrast, encoder, rows * (question + query * (1 + config.negatives)), name="encoder"),
        Workload(architecture, tokens, kind="inference", sequence_length=settings.max_length, name="answers"),
        of_training(settings, architecture, tokens, name="policy", **method),
    ]


def simulation(config: Config) -> list[Simulation]:
    """A step of the encoder at its greatest length, and of the policy, whose answers are written before."""
    from functools import partial

    import torch

    from core.cost.steps import Simulation, adapted, pretrained, write
    from core.training.policy import policy_loss
    from core.training.seq2seq import collate
    from papers.sql_contrastive.method import objective

    def answered(rows: Any, rng: Any = None) -> Any:
        return collate(rows, pad=0) | {"advantages": torch.ones(len(rows))}

    def paired(rows: Any, rng: Any = None) -> Any:
        ids = torch.zeros(len(rows) * (2 + config.negatives), config.contrast.max_length, dtype=torch.long)
        alike = torch.eye(len(rows), len(ids) - len(rows), dtype=torch.bool)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "alike": alike}

    new, settings = config.max_new_tokens, answering(config)
    row = {"input_ids": [0] * settings.max_length, "labels": [-100] * (settings.max_length - new) + [0] * new}
    encoder = pretrained(config.encoder or encoder_shape(), "encoder")
    policy = adapted(config.base, config.lora_rank) if config.lora_rank else pretrained(config.base or policy_shape())
    writing = partial(write, prompt=settings.max_length - new, new=new, rows=settings.micro_batch_size)
    loss = objective(config.temperature)
    return [
        Simulation("encoder", encoder, config.contrast, loss=loss, row={"input_ids": [0]}, collate=paired),
        Simulation("policy", policy, settings, loss=policy_loss, row=row, collate=answered, evaluate=writing),
    ]
