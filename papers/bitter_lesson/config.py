"""Settings of every scale and variant.

Of the paper its abstract, its tables 1 to 3 and the captions of its figures could be read; neither code nor annotations
nor scores of models are public. "not recovered" marks what none of these says; "ours, development split" was chosen on
texts that are not tested on, by a script outside the runner, so that no ledger has it (the page says what was tried).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Draws the miniature's models, passages, items and votes. Tables of people and records are the same in all."""
    split: Literal["test", "dev"] = "test"
    """Which messages and books the miniature is made of; settings were chosen on dev."""

    # what is measured
    benchmark: Literal["localized", "translated", "foreign", "floor"] = "localized"
    """localized: written in the language (Chinese: CMMLU, by our recollection of the paper). translated: into it
    (MMLU). foreign: the localized one of another language (at the paper's scale, where no other has one, MMLU in
    French). floor: no benchmark, but the characters that a model has read, or its parameters."""
    score: Literal["official", "accuracy"] = "official"
    """The benchmark's own: in the miniature the margin of the right continuation in nats, of tasks what the harness
    reports first. accuracy is the share of right answers."""
    ratings: Literal["bradley-terry", "elo", "arena"] = "bradley-terry"
    """bradley-terry and elo are fitted to votes; arena is the paper's table of 30 December 2024."""
    shuffled: bool = False
    """Null arm: ratings belong to other models, and names of languages and kinds of task to other records."""

    # the miniature
    population: Annotated[int, Range(6, 500)] = 30
    """Models; the paper has 30."""
    votes: Annotated[int, Range(100, 10**6)] = 4000
    """In each language. Ours, development split."""
    items: Annotated[int, Range(8, 10_000)] = 250
    """Of each benchmark at most. Ours, development split."""
    low: Annotated[int, Range(500, 10**7)] = 8_000
    """Fewest characters that a model reads. Ours, development split."""
    high: Annotated[int, Range(501, 10**7)] = 60_000
    """Most characters. Ours, development split."""
    simulations: Annotated[int, Range(4, 10_000)] = 150
    """Drawn tables of 30 models whose true correlations are known, to see what a comparison makes of them."""

    # the paper's scale
    models: tuple[str, ...] = ()
    """Models that the harness runs; empty is the miniature's population. The paper's 30 are in arena.csv (table 3)."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the forward pass; not recovered."""
    scores: str = ""
    """Scores that were measured elsewhere: a table, or a folder of lm-eval's results. Empty: they are measured."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if self.high <= self.low:
            raise UserError(f"--high {self.high} is not above --low {self.low}.")


# Hub ids as the paper's table 3 prints them; CohereForAI has since become CohereLabs.
MODELS = (
    "google/gemma-1.1-7b-it", "CohereForAI/aya-expanse-32b", "google/gemma-7b-it", "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Llama-2-7b-chat-hf", "microsoft/Phi-3-small-8k-instruct", "Qwen/Qwen2.5-Coder-32B-Instruct",
    "meta-llama/Meta-Llama-3-8B-Instruct", "ibm-granite/granite-3.0-8b-instruct", "microsoft/Phi-3-medium-4k-instruct",
    "google/gemma-2-27b-it", "google/gemma-1.1-2b-it", "microsoft/Phi-3-mini-128k-instruct",
    "meta-llama/Llama-3.2-1B-Instruct", "CohereForAI/aya-expanse-8b", "meta-llama/Llama-2-13b-chat-hf",
    "meta-llama/Llama-3.2-3B-Instruct", "google/gemma-2-2b-it", "HuggingFaceH4/zephyr-7b-beta",
    "microsoft/Phi-3-mini-4k-instruct", "google/gemma-2b-it", "mistralai/Mistral-7B-Instruct-v0.2",
    "HuggingFaceTB/SmolLM2-1.7B-Instruct", "Qwen/Qwen1.5-14B-Chat", "google/gemma-2-9b-it", "Qwen/Qwen1.5-4B-Chat",
    "mistralai/Ministral-8B-Instruct-2410", "ibm-granite/granite-3.0-2b-instruct", "Qwen/Qwen1.5-7B-Chat",
    "allenai/OLMo-7B-Instruct",
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": Config(population=8, votes=400, items=12, low=2_000, high=8_000, simulations=4),
    "tiny": Config(),
    "paper": Config(models=MODELS, ratings="arena", dtype="bfloat16"),
}

VARIANTS: dict[str, dict[str, Any]] = {
    "localized": {},
    "translated": {"benchmark": "translated"},
    # controls
    "shuffled": {"shuffled": True},
    "floor": {"benchmark": "floor"},
    "foreign": {"benchmark": "foreign"},
    # ablations
    "localized_accuracy": {"score": "accuracy"},
    "translated_accuracy": {"benchmark": "translated", "score": "accuracy"},
    "elo": {"ratings": "elo"},
}

# Shapes that stand for the paper's models of about their size, and how many of the thirty are nearest to each.
_SHAPES = {
    "google/gemma-2-2b": 8,
    "meta-llama/Llama-3.1-8B": 16,
    "meta-llama/Llama-2-13b-hf": 3,
    "google/gemma-2-27b": 3,
}
# Examples of a language times tokens of one, roughly, over the nine sets; MMLU has five examples in front.
_TOKENS = (
    5 * (2 * 14_000 * 700 + 10_000 * 100 + 5_010 * 3 * 60 + 1_190 * 300 + 250 * 900 + 1_200 * 4 * 80) + 11_500 * 700
)


def workload(config: Config) -> list[Workload]:
    """Inference of every model on every benchmark, for `papers plan`; the miniature needs no network."""
    from core.cost.workload import Workload

    if not config.models or config.scores:
        return []
    return [
        Workload(shape, number * _TOKENS, "inference", "frozen", 2048, 8, name=f"{number} models like {shape}")
        for shape, number in _SHAPES.items()
    ]


def simulation(config: Config) -> list[Simulation]:
    """Choices scored behind five examples, and solutions of MGSM written, by the largest, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, score, write

    model = pretrained([*_SHAPES][-1])
    return [
        Simulation("choices", model, evaluate=partial(score, length=2048)),
        Simulation("solutions", model, evaluate=partial(write, prompt=1024, new=256, rows=8)),
    ]
