"""Settings of every scale and variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from core.experiment.config import Range, Seed

if TYPE_CHECKING:
    from core.cost.workload import Workload


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Random seed."""
    items: Annotated[int, Range(3)] = 100
    """Number of items. The paper does not say; chosen so that the interval is narrow."""
    related: bool = True
    """Whether the pairs share a signal."""


PRESETS: dict[str, Config] = {
    "smoke": Config(items=10),
    "tiny": Config(),
    "paper": Config(items=10_000),
}

VARIANTS: dict[str, dict[str, Any]] = {
    "related": {"related": True},
    "unrelated": {"related": False},
}


def workload(config: Config) -> Workload:
    """What the paper scale computes, for `papers plan`."""
    from core.cost.workload import Workload

    return Workload(architecture="HuggingFaceTB/SmolLM2-135M", kind="inference", tokens=config.items)


def simulation(config: Config) -> list[Any]:
    """The largest steps of training and evaluation (`core.cost.steps.Simulation`), for `papers plan --simulate`.

    There is no model yet.
    """
    return []
