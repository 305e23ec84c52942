"""Settings of every scale and variant.

"official" marks the released script and its README; what neither says is ours. The miniature's own values were chosen
on facts that are not tested on (`results/settings.jsonl`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig
from papers.multiloko.answers import Metric, Scorer

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload

Reads = Literal["own", "half", "both", "english", "nothing"]


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Draws the facts that are asked, which of them the reader has read, and its weights."""
    split: Literal["test", "dev"] = "test"
    """Whose facts the miniature asks for; settings were chosen on dev."""

    # who is asked
    model: str = "reader"
    """`reader`, a small model that is trained here on known facts; or a causal model: hub id, folder, wheel."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the forward pass; not stated by the paper."""
    device_map: str | None = None
    """`auto` spreads a model over all GPUs."""
    reads: Reads = "own"
    """What the reader has read. own: local facts in their language alone, English ones in English alone. both: all in
    both. half: half of them in both. english: local facts in English alone, English ones in both. nothing: as both,
    with another answer each time (null arm)."""

    # what is asked
    source: str = ""
    """Folder of the unpacked release, or its hub id; empty: the miniature's sets, in the same layout."""
    subset: str = "dev"
    """Files of this name; the release has dev alone, test is secret (official)."""
    languages: tuple[str, ...] = ()
    """Keys of the benchmark; empty = all that there are."""
    facts: Annotated[int, Range(2)] = 10
    """Questions of each language in the miniature; 250 in the benchmark."""
    mode: Literal["base", "chat"] = "base"
    """How it is asked; base models with demonstrations, chat models without (official)."""
    shots: Annotated[int, Range(0)] = 0
    """Demonstrations before the question of a base model; 5 (official). The reader has read the form."""
    max_new_tokens: Annotated[int, Range(1)] = 12
    """Room for an answer. Not stated; 64 for base models and 256 for chat models at the paper's scale."""

    # how it is scored
    scorer: Scorer = "current"
    """Which official version; `initial` is that of the paper's numbers. All three are recorded."""
    metric: Metric = "em"
    """What the diagnostics are made of; em (official)."""

    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            steps=200, batch_size=64, learning_rate=4e-3, schedule="linear", warmup=30, max_length=128,
            layout="flattened", precision="fp32", log_every=100,
        )
    )  # fmt: skip
    """Of the reader."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        validate(self)
        if self.metric == "edit_distance":
            raise UserError("metric = 'edit_distance' is better when lower: compare languages by edit_similarity.")


TINY = Config()
_PAPER = Config(
    model="meta-llama/Llama-3.1-8B", dtype="bfloat16", device_map="auto", source="facebook/multiloko", shots=5,
    max_new_tokens=64,
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": Config(
        languages=("turkish", "japanese"), facts=3, training=replace(TINY.training, steps=8, batch_size=16)
    ),
    "tiny": TINY,
    "paper": _PAPER,
    "paper-chat": replace(_PAPER, model="meta-llama/Llama-3.1-8B-Instruct", mode="chat", shots=0, max_new_tokens=256),
}

VARIANTS: dict[str, dict[str, Any]] = {
    "own": {"reads": "own"},
    "half": {"reads": "half"},
    "both": {"reads": "both"},
    "english": {"reads": "english"},
    "nothing": {"reads": "nothing"},
    # a model that nobody here has taught, in fewer languages: it spells some of the others byte by byte
    "smollm2": {
        "model": "wheel:smollm2",
        "shots": 3,
        "max_new_tokens": 6,
        "languages": ("spanish", "turkish", "japanese"),
    },
}


def reader_shape(vocabulary: int) -> Any:
    """Shape of the reader."""
    from core.models.architectures import miniature

    return miniature(vocabulary, width=96, layers=3, heads=4, feed_forward=256, positions=512)


# Of the release: 250 questions of 31 languages, 30 of them in English and the English ones in 30, by people and by
# machine; a question with five demonstrations takes about 450 tokens in a vocabulary of many languages (assumed), an
# answer ten.
_QUESTIONS, _TOKENS = 250 * (31 + 4 * 30), 460


def workload(config: Config) -> list[Workload]:
    """What is asked of one model, for `papers plan`."""
    from core.cost.workload import Workload

    if config.model == "reader":
        tokens = config.training.steps * config.training.batch_size * 40
        return [Workload(reader_shape(1500), tokens, sequence_length=128, micro_batch_size=64, name="reader")]
    asked = _QUESTIONS if config.source else config.facts * 56
    return [Workload(config.model, asked * _TOKENS, "inference", "frozen", 512, 16, name="answers")]


def simulation(config: Config) -> list[Simulation]:
    """Answers written behind the longest prompts; and a step of the reader's training, where it is one."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, write

    if config.model == "reader":
        writing = partial(write, prompt=64, new=config.max_new_tokens)
        return [Simulation("reader", pretrained(reader_shape(1500)), config.training, evaluate=writing)]
    return [
        Simulation("answers", pretrained(config.model), evaluate=partial(write, prompt=768, new=config.max_new_tokens))
    ]
