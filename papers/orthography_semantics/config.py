"""Settings of every scale and variant.

The body of the paper and its tables could not be read: (code) is the authors' repository; "ours" says that a value is
our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload

Task = Literal["label", "word", "english", "sentence"]
TASKS: tuple[Task, ...] = ("label", "word", "english", "sentence")


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Draws the words that are asked and the demonstrations, and takes the wording. Nothing is trained."""
    split: Literal["test", "dev"] = "test"
    """Whose words the miniature asks about; settings were chosen on dev."""
    model: str = "wheel:e5-small"
    """An encoder of sentences where cosines answer, else a language model: hub id, folder, wheel:<name>, or `toy`."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the forward pass; float16 (code)."""
    tasks: tuple[Task, ...] = TASKS
    """What is asked: label is task 1, word and english are task 2 of either word, sentence is task 3. An
    arm that is compared in one task asks that one alone."""
    items: tuple[str, ...] = ()
    """Tables of items, one a language, in our columns or the authors'. Empty: the miniature's."""
    size: Annotated[int, Range(1)] = 30
    """Items of each kind and language in the miniature; ours. The paper has 140."""
    whole: bool = True
    """In the miniature wrong definitions are chosen among all words of the part, and of the test all are asked what is
    correlated or put into sentences; else those that the seed draws alone."""
    answer: Literal["cosine", "likelihood", "written"] = "cosine"
    """cosine asks an encoder how alike words and meanings are, likelihood a decoder what may be said (both ours, for
    models that do not follow instructions); written asks for a reply, True or False, 1 or 2, and reads it (code)."""

    k: Annotated[int, Range(0)] = 4
    """Demonstrations of each kind in task 1 (code: 4)."""
    prior: bool = True
    """Take off how well a definition fits without the word (equation 2); ours."""
    word_off: bool = False
    """Task 3: take off how well a sense fits the word alone, so that what the sentence adds is left; ours."""
    named: bool = True
    """Name the language of the word in task 2 (code)."""
    by_definition: bool = False
    """Task 1 is answered by task 2, two words being the same that are given one definition; ours, see `PAPER`."""
    exchanged: bool = False
    """Words and glosses of every pair come from four other pairs of its language: the links, broken on purpose."""
    negatives: str = "wheel:minilm"
    """Encoder that chooses wrong definitions; sentence-transformers/all-MiniLM-L6-v2 (code)."""
    max_new_tokens: Annotated[int, Range(1)] = 512
    """Room for a written reply (code)."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if not self.tasks:
            raise UserError("Nothing is asked: name at least one of --tasks label word english sentence.")
        if self.by_definition and not {"label", "word", "english"} <= {*self.tasks}:
            raise UserError("--by-definition answers task 1 by task 2: ask --tasks label word english.")
        if self.answer == "likelihood" and "sentence" in self.tasks:
            raise UserError("Sentences are for encoders: with --answer likelihood ask --tasks label word english.")


_PAPER = Config(
    model="meta-llama/Llama-3.1-8B-Instruct", dtype="float16", answer="written",
    items=tuple(f"data/en_{code}_dataset.csv" for code in ("de", "es", "fr")),
    negatives="sentence-transformers/all-MiniLM-L6-v2",
)  # fmt: skip
PRESETS: dict[str, Config] = {
    "smoke": Config(model="toy", size=2, k=1, whole=False),
    "tiny": Config(),
    "paper": _PAPER,
}

VARIANTS: dict[str, dict[str, Any]] = {
    "e5": {},
    "exchanged": {"exchanged": True},
    "no_language": {"named": False, "tasks": ("word",)},
    "no_prior": {"prior": False, "tasks": ("word",)},
    "by_definition": {"by_definition": True, "tasks": ("label", "word", "english")},
    "sentence_alone": {"word_off": True, "tasks": ("sentence",)},
    "smollm2": {"model": "wheel:smollm2", "answer": "likelihood", "tasks": ("word", "english")},
}


def workload(config: Config) -> list[Workload]:
    """Prompts of the tasks with their replies, for `papers plan`."""
    from core.cost.workload import Workload

    model = "wheel:smollm2" if config.model == "toy" else config.model
    if not config.items:
        return [Workload(model, 12 * config.size * 250, "inference", "frozen", 256, 8, name="items")]
    # A table has 399 pairs for task 1, asked twice in task 2.
    prompts = len(config.items) * 3 * 399
    return [Workload(model, prompts * (250 + config.max_new_tokens), "inference", "frozen", 768, 4, name="replies")]


def simulation(config: Config) -> list[Simulation]:
    """Replies to the longest prompts, or words and definitions read or scored (miniature), for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, read, score, write

    name = "wheel:smollm2" if config.model == "toy" else config.model
    model = pretrained(name, "encoder" if config.answer == "cosine" else "causal-lm")
    if config.answer != "written":
        step = partial(read, length=64) if config.answer == "cosine" else partial(score, length=256)
        return [Simulation("items", model, evaluate=step)]
    return [Simulation("replies", model, evaluate=partial(write, prompt=512, new=config.max_new_tokens))]
