"""Settings of every scale and variant.

"code" is the official evaluator (facebookresearch/Multi-IF, commit 1cdb53e); "ours" is what it does not have.
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
    """Draws the miniature's conversations, and the sampling of replies (42 in the code). Nothing is trained."""
    split: Literal["test", "dev"] = "test"
    """Whose nouns the miniature talks about; settings were chosen on dev."""

    # the model and what it is asked
    model: str = "wheel:smollm2"
    """A chat model: hub id, folder, wheel:<name>, or `toy`, a small untrained one. The paper has 14; the code's default
    is Llama-3.1-8B-Instruct."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format; bfloat16 in the code."""
    benchmark: str = ""
    """A table with the official columns: a file or hub dataset. Empty: the miniature's."""
    languages: tuple[str, ...] = ()
    """Codes; empty = all eight of the miniature, or all of the table."""
    written: tuple[str, ...] = ("en",)
    """Languages of the miniature in which replies are written; the choice is forced in all."""
    topics: Annotated[int, Range(1)] = 2
    """Topics a seed of which replies are written; each gives three conversations in every language."""
    chosen: Annotated[int, Range(1)] = 3
    """Topics a seed of which a choice is forced, those that are written about among them. Three of them ask for all
    eight kinds of instruction, on which what is forgotten depends more than on anything else."""
    mode: Literal["multi_turn", "merged", "oracle_history"] = "multi_turn"
    """multi_turn is the paper's; merged asks for all in one message, oracle_history puts replies that follow everything
    in the place of the model's own (controls, ours)."""
    decoy: bool = False
    """Check other instructions than those that are asked for (null arm, ours): what is followed by chance. In a table
    they are those of the next conversation in the language."""

    # how it answers, and how that is judged
    max_new_tokens: Annotated[int, Range(1)] = 1024
    """Longest reply; 1,024 in the code, 25,000 for models that reason."""
    temperature: Annotated[float, Range(0)] = 0.0
    """0 = greedy; 0.6 in the code."""
    top_p: Annotated[float, Range(0, 1)] = 1.0
    """0.9 in the code."""
    compat: Literal["fixed", "official"] = "fixed"
    """official decides as the code does, fixed without its mistakes in other languages than English."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if self.top_p == 0:
            raise UserError("--top-p 0 leaves no token to choose: take more than 0.")


PRESETS: dict[str, Config] = {
    "smoke": Config(model="toy", languages=("en", "zh"), written=("en", "zh"), topics=1, chosen=1, max_new_tokens=4),
    # As many tokens as a reply that follows all three instructions can take; fewer, and turn 3 cannot be right.
    "tiny": Config(max_new_tokens=80),
    "paper": Config(
        model="meta-llama/Llama-3.1-8B-Instruct", dtype="bfloat16", benchmark="facebook/Multi-IF", temperature=0.6,
        top_p=0.9, compat="official", seed=42,
    ),
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "multi_turn": {},
    "merged": {"mode": "merged"},
    "oracle_history": {"mode": "oracle_history"},
    "decoy": {"decoy": True},
}

# Conversations of the official table, and tokens of a turn's prompt and reply; the latter two are assumed.
_CONVERSATIONS, _PROMPT, _REPLY = 4501, 150, 400


def workload(config: Config) -> list[Workload]:
    """Every turn with what stands before it, for `papers plan`."""
    from core.cost.workload import Workload

    if not config.benchmark:
        model = "wheel:smollm2" if config.model == "toy" else config.model
        talks = config.topics * len(config.written) + config.chosen * len(config.languages or range(8))
        # Three orders of three turns are written, and read with, without the first and without the last instruction.
        return [Workload(model, talks * 9 * 400, "inference", "frozen", 512, 32, name="replies and choices")]
    read = sum(turn * (_PROMPT + _REPLY) for turn in (1, 2, 3))
    return [Workload(config.model, _CONVERSATIONS * read, "inference", "frozen", 4096, 32, name="replies")]


def simulation(config: Config) -> list[Simulation]:
    """The third turn's reply behind the longest dialogue, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, write

    model = pretrained("wheel:smollm2" if config.model == "toy" else config.model)
    prompt = 3072 if config.benchmark else 512
    return [Simulation("replies", model, evaluate=partial(write, prompt=prompt, new=config.max_new_tokens))]
