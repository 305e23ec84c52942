"""Settings of every scale and variant.

There is no official code and we had the paper's abstract, its reviews and third parties' summaries, not its text.
"secondary" is such a summary, "survey" a survey of reproducibility that quotes the paper, "recalled" our memory, "ours,
development split" what was chosen on sums that are not tested (`results/settings.jsonl`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.text.languages import same_language
from core.training.config import TrainingConfig
from papers.layer_swapping.method import Recipe

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload

System = Literal["swap", "base", "task", "language", "soup", "ties", "arithmetic", "joint"]
_SCRATCH = TrainingConfig(
    layout="padded", max_length=32, precision="fp32", batch_size=64, beta2=0.99, warmup=0.05, final_learning_rate=0.1,
    log_every=200,
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Target languages and sums of the tiny world, initial weights, order of the data."""
    split: Literal["test", "dev"] = "test"
    """Measure on test sums, or on those on which settings are chosen."""

    system: System = "swap"
    """What is measured: layers of both experts (the paper), an expert or the base alone, another way to merge them
    (soup: weighted average; ties; arithmetic: both differences added to the base), or one model tuned on both data."""
    recipe: Recipe = field(default_factory=lambda: Recipe(bottom=1, top=1, bottom_transition=1, top_transition=1))
    """Which layers come from whom."""
    place: Literal["recipe", "reverse", "random"] = "recipe"
    """Our controls: the language expert in the middle, or the recipe's shares in random order."""
    stranger: bool = False
    """The language expert is that of another language: the effect, broken on purpose."""
    other: str = "ja"
    """Code of the stranger's language, with a `base`; in the tiny world it is the seed's other target language."""
    frozen: bool = False
    """Experts are tuned in nothing but what the recipe takes from them (a follow-up's way; the paper tunes all)."""
    soup: Annotated[float, Range(0, 1)] = 0.5
    """Share of the language expert in a soup."""
    scales: tuple[float, float] = (1.0, 1.0)
    """Of the task expert's and the language expert's difference from the base, in ties and arithmetic."""
    density: Annotated[float, Range(0.01, 1)] = 0.2
    """Share of the differences that ties keeps (TIES' own paper)."""

    copies: Annotated[int, Range(1, 9)] = 2
    """Experts of each kind; every pair of them is merged, and results are means over pairs (recalled: two)."""
    target_share: Annotated[float, Range(0, 0.2)] = 0.006
    """Share of each target language in the base's data; ours, development split."""
    add_share: Annotated[float, Range(0, 1)] = 0.15
    """Share of sums in the other languages of the base's data; ours, development split."""

    base: str = ""
    """Hub id or folder of the base; empty: a small decoder that is trained here."""
    language: str = "sw"
    """Code of the target language, with a `base`."""
    task_data: str = "microsoft/orca-math-word-problems-200k"
    """Rows with `question` and `answer`, or `instruction` and `output`, for the task experts (survey)."""
    language_data: str = "CohereLabs/aya_dataset"
    """Rows in the target language for the language experts (survey; the other sets of the paper's table were not read).
    Of a set in many languages those whose `language_code` is the target's are taken."""
    samples: Annotated[int, Range(1)] = 35_000
    """Rows for an expert, with a `base`: 30 to 40 thousand (survey)."""
    task_experts: tuple[str, ...] = ()
    """Folders of task experts that are there already."""
    language_experts: tuple[str, ...] = ()
    """Folders of language experts that are there already."""
    test: str = "mgsm"
    """Questions to measure on, with a `base`; as of `core.tasks.mathematics.questions`."""
    exemplars: str = ""
    """JSONL with `lang`, `question` and `answer` (a chain of thought), the first two of which stand before each
    question of their language: 2-shot (recalled). None: without."""
    max_new_tokens: Annotated[int, Range(1)] = 8
    """Longest answer."""

    pretraining: TrainingConfig = field(
        default_factory=lambda: replace(_SCRATCH, steps=1800, learning_rate=5e-3, weight_decay=0.3)
    )
    """Of the base, without a `base`; ours, development split."""
    task: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=200, learning_rate=3e-4))
    """Of task experts; ours, development split."""
    language_training: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=250, learning_rate=3e-4))
    """Of language experts; ours, development split. Joint tuning is as long as both."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if self.system != "swap" and (self.place != "recipe" or self.stranger or self.frozen):
            raise UserError("--place, --stranger and --frozen are about the layers of a swap: leave --system swap.")
        if self.frozen and (self.task_experts or self.language_experts):
            raise UserError("--frozen is about how experts are tuned: leave --task-experts and --language-experts out.")
        if self.stranger and self.base and (self.language_experts or same_language(self.other, self.language)):
            raise UserError(
                "--stranger tunes the language expert on another language: name it by --other, and leave "
                "--language-experts out."
            )
        if not self.base and (self.task_experts or self.language_experts):
            raise UserError("task_experts and language_experts need the model that they were tuned from: name --base.")


TINY = Config()
_LARGE = TrainingConfig(
    epochs=1, batch_size=64, micro_batch_size=2, max_length=2048, warmup=0.03, final_learning_rate=0.1,
    weight_decay=0.01, beta2=0.95, precision="bf16", strategy="fsdp2", gradient_checkpointing=True, layout="padded",
)  # fmt: skip
# Length, batch and rates of the experts are in an appendix that was not read: ours.
PAPER_SCALE = Config(
    base="meta-llama/Llama-3.1-8B", recipe=Recipe(), max_new_tokens=512,
    task=replace(_LARGE, learning_rate=1e-5), language_training=replace(_LARGE, learning_rate=5e-6),
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": replace(
        TINY, copies=1, pretraining=replace(TINY.pretraining, steps=3, batch_size=8),
        task=replace(TINY.task, steps=2, batch_size=8),
        language_training=replace(TINY.language_training, steps=2, batch_size=8),
    ),
    "tiny": TINY,
    "paper": PAPER_SCALE,
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "swap": {},
    "base": {"system": "base"},
    "task": {"system": "task"},
    "language": {"system": "language"},
    "soup": {"system": "soup"},
    "ties": {"system": "ties"},
    "arithmetic": {"system": "arithmetic"},
    "joint": {"system": "joint"},
    "reverse": {"place": "reverse"},
    "random": {"place": "random"},
    "frozen": {"frozen": True},
    "bottom_two": {"recipe.bottom": 2},
    "no_transition": {"recipe.bottom_transition": 0, "recipe.top_transition": 0},
    "bottom_only": {"recipe.top": 0, "recipe.top_transition": 0},
    "top_only": {"recipe.bottom": 0, "recipe.bottom_transition": 0},
    "stranger": {"stranger": True},
}


def scratch_shape(vocabulary: int) -> Any:
    """Shape of the model that is trained here: a quarter of a million parameters.

    On a development seed the base added .36 of the English sums that it had not been shown from first weights of .125,
    .75 from .03.
    """
    from core.models.architectures import miniature

    return miniature(
        vocabulary, width=64, layers=6, heads=4, feed_forward=128, positions=32, tie_word_embeddings=False,
        initializer_range=0.06,
    )  # fmt: skip


def workload(config: Config) -> list[Workload]:
    """What the experts compute, for `papers plan`; merges read and write every weight once.

    A row of Orca-Math has about 250 tokens, one of Aya in an Indic script as many.
    """
    from core.cost.workload import of_training

    kinds = (("task experts", config.task), ("language experts", config.language_training))
    if config.base:
        tokens = config.copies * config.samples * 250.0
        return [of_training(one, config.base, tokens * one.epochs, name=name) for name, one in kinds]
    phases = (("base", config.pretraining), *kinds)
    return [of_training(one, scratch_shape(160), 9.0 * one.steps * one.batch_size, name=name) for name, one in phases]


def simulation(config: Config) -> list[Simulation]:
    """A step of an expert, and answers to prompts with two examples."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, write

    writing = partial(write, prompt=1024 if config.base else 16, new=config.max_new_tokens)
    model = pretrained(config.base or scratch_shape(160))
    return [Simulation("expert", model, config.task, evaluate=writing)]
