"""Settings of every scale and variant.

"code" is the official repository, "ours, development split" what was chosen on facts that are not tested on
(`results/settings.jsonl`).
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

# Of all that is trained here.
_SCRATCH = TrainingConfig(
    layout="padded", max_length=64, long_documents="drop", precision="fp32", warmup=20, beta2=0.99, log_every=100
)
# Of both stages (code): rank 8, scale 16, dropout .05.
LORA_RANK = 8
# Which matrices get one (code); the other names of the official list for preferences exist in no LLaMA.
TARGETS = {"sft": ("q_proj", "v_proj"), "dpo": ("q_proj", "k_proj", "v_proj")}
# BLOOM has the three in one.
FUSED = ("query_key_value",)
# Of Bactrian-X, the largest translation of Alpaca whose rows have ids; the authors' set of 100 is not published.
_LANGUAGES = (
    "af ar az bn cs de en es et fa fi fr gl gu he hi hr id it ja ka kk km ko lt lv mk ml mn mr my ne nl pl ps pt ro ru "
    "si sl sv sw ta te th tl tr uk ur vi xh zh"
)
LANGUAGES = tuple(_LANGUAGES.split())


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Which facts are tested, which languages have feedback, initial weights, order of the data."""
    split: Literal["test", "dev"] = "test"
    """Measure on test facts, or on those on which settings are chosen."""

    feedback: Literal["cross", "mono", "both", "none"] = "cross"
    """Pairs that are learnt from: cross (question and answer in different languages, abstract), mono (in one), half of
    each (ours), or none, which is stage 1 alone."""
    objective: Literal["dpo", "sft"] = "dpo"
    """dpo (code), or tuning on the preferred answers of the same pairs."""
    by_lot: bool = False
    """Which answer of a pair is preferred is drawn by lot: the effect, broken on purpose."""
    feedback_languages: Annotated[int, Range(0)] = 8
    """How many languages have feedback, drawn by the seed (the paper: 30 of 100); 0 = all."""
    pairs: Annotated[int, Range(2)] = 300
    """Pairs of the miniature."""
    asked: Annotated[int, Range(1)] = 4
    """Questions of a direction that the miniature asks."""
    recipe: Literal["official", "consistent"] = "consistent"
    """official: another prompt layout in each stage, instruction tuning with a loss on prompts too, pairs left out by
    their characters (code); consistent: one layout, loss on answers, pairs left out by their tokens (ours)."""
    beta: Annotated[float, Range(0, 100)] = 0.1
    """How much DPO holds the policy to its reference (code)."""

    base: str = ""
    """Hub id, folder or wheel of the model to tune; empty: a small decoder that is pre-trained here."""
    revision: str = ""
    """Commit of `base`."""
    instructions: tuple[str, ...] = ()
    """Instruction sets for stage 1 on `base`, as code=source: a JSONL with instruction and output, or hub:bactrian/sw.
    None: `base` is tuned already."""
    preferences: str = ""
    """JSONL of `python -m papers.xllms100.use feedback` or `convert`, for stage 2 on `base`."""
    benchmarks: str = ""
    """Folder with the files of the five benchmarks, for the evaluation of `base`."""
    adapter: Literal["full", "lora", "qlora"] = "full"
    """What is trained: LoRA on a base in 4 bit (code) or 16, or all weights."""
    targets: tuple[str, ...] = ()
    """Ends of the names of the layers with adapters in both stages; none: all linear layers."""
    max_new_tokens: Annotated[int, Range(1)] = 8
    """Longest answer."""

    sft: TrainingConfig = field(
        default_factory=lambda: replace(_SCRATCH, steps=900, batch_size=48, learning_rate=2e-3, weight_decay=0.1)
    )
    """Stage 1; without a base, pre-training too. Ours, development split."""
    dpo: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=150, batch_size=32, learning_rate=5e-5))
    """Stage 2, of either objective; ours, development split."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if self.by_lot and (self.objective, self.feedback) != ("dpo", "cross"):
            raise UserError(
                "--by-lot breaks the preferences of DPO on cross-lingual pairs: leave the others as they are."
            )
        if self.feedback == "none" and self.objective == "sft":
            raise UserError("feedback = 'none' ends with stage 1: --objective is about stage 2.")
        if self.feedback_languages == 1:
            raise UserError("feedback_languages = 1 leaves no cross-lingual pair: give at least 2, or 0 for all.")
        if not self.base and self.recipe == "official":
            raise UserError("The miniature has no words for the official layouts: leave --recipe consistent.")
        if not self.base and (self.instructions or self.preferences or self.benchmarks):
            raise UserError("instructions, preferences and benchmarks need a model: name one in --base.")


TINY = Config()
PAPER_SCALE = Config(
    feedback="cross", feedback_languages=0, recipe="official", adapter="qlora", max_new_tokens=512,
    base="meta-llama/Llama-2-7b-chat-hf", instructions=tuple(f"{code}=hub:bactrian/{code}" for code in LANGUAGES),
    sft=TrainingConfig(
        steps=68_400, batch_size=256, micro_batch_size=8, max_length=1024, learning_rate=1e-4, warmup=100,
        weight_decay=0.05, precision="bf16",
    ),
    dpo=TrainingConfig(
        steps=60_000, batch_size=256, micro_batch_size=8, max_length=1024, learning_rate=5e-4, warmup=100,
        long_documents="drop", layout="padded", precision="bf16", gradient_checkpointing=True,
    ),
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": replace(
        TINY, feedback_languages=6, pairs=16, asked=1, sft=replace(TINY.sft, steps=3, batch_size=8),
        dpo=replace(TINY.dpo, steps=2, batch_size=4),
    ),
    "tiny": TINY,
    "paper": PAPER_SCALE,
    "paper_bloom": replace(PAPER_SCALE, base="bigscience/bloom-7b1", targets=FUSED),
    "paper_small": replace(
        PAPER_SCALE, base="Qwen/Qwen3-0.6B-Base", recipe="consistent", adapter="lora",
        sft=replace(PAPER_SCALE.sft, steps=2_000), dpo=replace(PAPER_SCALE.dpo, steps=1_000, learning_rate=5e-5),
    ),
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "xllms": {"feedback": "cross"},
    "sft": {"feedback": "none"},
    "mono": {"feedback": "mono"},
    "both": {"feedback": "both"},
    # With a speed of its own (development split).
    "chosen": {"feedback": "cross", "objective": "sft", "dpo.learning_rate": 2e-4},
    "fewer": {"feedback": "cross", "feedback_languages": 4},
    "by_lot": {"feedback": "cross", "by_lot": True},
}


def scratch_shape(vocabulary: int) -> Any:
    """Shape of the model that is trained here."""
    from core.models.architectures import miniature

    # Initial weights that keep the size of what passes through them; 0.02 is for wide models.
    return miniature(
        vocabulary, width=96, layers=3, heads=4, feed_forward=256, positions=64, initializer_range=96**-0.5
    )


def workload(config: Config) -> list[Workload]:
    """What both stages compute, for `papers plan`.

    A row of the official stage 1 is full; of a pair's two answers each is taken for a third of the longest.
    """
    from core.cost.workload import of_training

    architecture, lora = config.base or scratch_shape(600), {"method": config.adapter, "lora_rank": LORA_RANK}
    lengths = (config.sft.max_length, config.dpo.max_length / 3) if config.base else (12.0, 13.0)
    stages = (("instruction tuning", config.sft, lengths[0]), ("preferences", config.dpo, 2 * lengths[1]))
    return [
        of_training(settings, architecture, settings.steps * settings.batch_size * length, name=name, **lora)
        for name, settings, length in stages
    ]


def simulation(config: Config) -> list[Simulation]:
    """A step of both stages, with pairs of the greatest length, and answers to prompts of 512 tokens."""
    from functools import partial

    from core.cost.steps import Simulation, adapted, pretrained, write
    from core.training import preference

    length = config.dpo.max_length
    side = {"input_ids": [0] * length, "labels": [-100] * (length // 2) + [0] * (length - length // 2)}
    pair = {"better": side, "worse": side, "reference": [0.0, 0.0]}
    writing = partial(write, prompt=512 if config.base else 16, new=config.max_new_tokens)

    def model(stage: str, settings: TrainingConfig) -> Any:
        if not config.base:
            return pretrained(scratch_shape(600))
        targets = config.targets or (TARGETS[stage] if config.recipe == "official" else ())
        options: dict[str, Any] = {"nf4": config.adapter == "qlora", "checkpointing": settings.gradient_checkpointing}
        return adapted(config.base, LORA_RANK, targets=targets, **options)

    loss = partial(preference.preference_loss, beta=config.beta)
    return [
        Simulation("instruction tuning", model("sft", config.sft), config.sft),
        Simulation(
            "preferences", model("dpo", config.dpo), config.dpo, loss=loss, row=pair, collate=preference.collate,
            evaluate=writing,
        ),
    ]  # fmt: skip
