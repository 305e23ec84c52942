"""Layer swapping: the outer layers of a language expert around the middle of a task expert, without any training.

Two light fine-tunes of one base, a *task expert* T (maths in English) and a *language expert* L (anything in the target
language), change different layers, and their hidden states stay interchangeable. With l layers, the b lowest and the
u highest are taken from L and the others from T; at each seam t layers may be mixed:

    s_i = 1 for i < b or i >= l - u,   w for i < b + t_b or i >= l - u - t_u,   0 otherwise                        (1)
    theta_i = s_i theta_i^L + (1 - s_i) theta_i^T,      for all tensors of layer i                                 (2)

What lies outside of the layers (embeddings, last norm, head) has a share of its own. Where to cut is read from how much
fine-tuning has changed each layer,

    d_i = mean |theta_i^expert - theta_i^base|.                                                                    (3)

    made = swapped("maths", "swahili", Recipe(bottom=5, top=2), "merged")     # folders; made["layers"] are the s_i
    found = change("base", "swahili")                                          # d_i, and of each module
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from core.errors import UserError
from core.experiment.config import Range, validate

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.merging import Rule

Outer = Literal["language", "task", "average", "base"]
Place = Literal["recipe", "reverse", "random"]
MANIFEST = "layers.json"


@dataclass(frozen=True)
class Recipe:
    """Which layers come from whom: b, u, t_b, t_u and w of equation 1."""

    bottom: Annotated[int, Range(0)] = 5
    """Lowest layers from the language expert."""
    top: Annotated[int, Range(0)] = 2
    """Highest layers from it."""
    bottom_transition: Annotated[int, Range(0)] = 1
    """Layers above the lowest that are mixed."""
    top_transition: Annotated[int, Range(0)] = 1
    """Layers below the highest that are mixed."""
    weight: Annotated[float, Range(0, 1)] = 0.5
    """Share of the language expert in mixed layers."""
    outer: Outer = "language"
    """Whose embeddings, last norm and head: the paper's choice is not known; average mixes both by `weight`."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        validate(self)


def shares(recipe: Recipe, layers: int) -> list[float]:
    """The language expert's share in each layer (equation 1).

    Raises:
        UserError: The parts overlap.
    """
    low, high = recipe.bottom + recipe.bottom_transition, recipe.top + recipe.top_transition
    if low + high > layers:
        raise UserError(
            f"bottom {recipe.bottom} + {recipe.bottom_transition} and top {recipe.top} + {recipe.top_transition} "
            f"overlap: the model has {layers} layers."
        )
    outside = [1.0 if i < recipe.bottom or i >= layers - recipe.top else 0.0 for i in range(layers)]
    return [recipe.weight if not s and (i < low or i >= layers - high) else s for i, s in enumerate(outside)]


def placed(recipe: Recipe, layers: int, place: Place = "recipe", seed: int = 0) -> tuple[list[float], Outer]:
    """Shares of the layers, and whose the outer tensors are; or those of a control with as much of the experts.

    reverse: the language expert in the middle. random: the recipe's shares in an order that the seed draws, never the
    recipe's own, with the same outer tensors, so that only the place of the layers differs.
    """
    found, outer = shares(recipe, layers), recipe.outer
    if place == "reverse":
        turned: Mapping[Outer, Outer] = {"language": "task", "task": "language"}
        return [1 - share for share in found], turned.get(outer, outer)
    if place == "random":
        rng, own = Random(f"layers-{seed}"), list(found)
        while len(set(own)) > 1 and found == own:
            found = rng.sample(own, layers)
    return found, outer


# --- merging ----------------------------------------------------------------------------------------------------------


def share_of(name: str, layer_shares: Sequence[float], outer: Outer = "language", weight: float = 0.5) -> float:
    """The language expert's share in a tensor: that of its layer, or of what lies outside of all."""
    from core.models.merging import part

    layer = part(name).layer
    return {"language": 1.0, "average": weight}.get(outer, 0.0) if layer is None else layer_shares[layer]


def swap(layer_shares: Sequence[float], outer: Outer = "language", weight: float = 0.5) -> Rule:
    """Equation 2 as a rule for `core.models.merging` over (base if there is one,) task and language expert."""
    from core.models.merging import part

    def rule(name: str, tensors: Sequence[Tensor]) -> Tensor | int:
        if outer == "base" and part(name).layer is None:
            return 0
        share, task, language = share_of(name, layer_shares, outer, weight), len(tensors) - 2, len(tensors) - 1
        if share in (0, 1):  # what is taken whole stays as it is, to the last bit, and the other's is not even read
            return language if share else task
        return share * tensors[language] + (1 - share) * tensors[task]

    return rule


def swapped(
    task: str | Path,
    language: str | Path,
    recipe: Recipe,
    out: str | Path,
    *,
    base: str | Path | None = None,
    place: Place = "recipe",
    seed: int = 0,
) -> dict[str, Any]:
    """Write the merged checkpoint, in shards and number format of the language expert, and what came from where.

    Args:
        task: `save_pretrained` folder of the task expert.
        language: Of the language expert.
        recipe: Which layers come from whom.
        out: New folder.
        base: Of the base, for `outer="base"` alone.
        place: As in :func:`placed`.
        seed: Of random places.

    Returns:
        The manifest, which is written beside the weights: `recipe`, `place`, `layers` (the share of the language expert
        in each), `outer` and the tensors that it decides.

    Raises:
        UserError: Checkpoints that do not fit each other, overlapping parts, an outer base that is missing.
    """
    from core.files import write_json
    from core.models import merging

    if recipe.outer == "base" and base is None:
        raise UserError("outer = 'base' takes embeddings and head from the base: name it.")
    sources = [*([base] if base is not None and recipe.outer == "base" else []), task, language]
    names = merging.names(language)
    found, outer = placed(recipe, merging.depth(names), place, seed)
    merging.merge(sources, out, swap(found, outer, recipe.weight))
    outside = [name for name in names if merging.part(name).layer is None]
    manifest: dict[str, Any] = {"task": str(task), "language": str(language), "recipe": asdict(recipe), "place": place}
    manifest |= {"layers": found, "outer": outer, "outer_tensors": outside}
    write_json(Path(out) / MANIFEST, manifest)
    return manifest


# --- what fine-tuning has changed -------------------------------------------------------------------------------------


class Change(NamedTuple):
    """How far the weights of one module of one layer (None: outside of all) have moved."""

    layer: int | None
    module: str
    change: float
    relative: float


def change(base: str | Path, expert: str | Path) -> list[Change]:
    """Equation 3 by layer and module, and relative to the mean |theta^base|, a tensor in memory at a time."""
    from core.models.merging import aligned, depth, names, part

    sums: dict[tuple[int | None, str], list[float]] = {}
    depth(names(expert))
    for name, (before, after) in aligned([base, expert]):
        where, values = part(name), (float((after - before).abs().sum()), float(before.abs().sum()), before.numel())
        for module in {where.module, "all" if where.layer is not None else where.module}:
            sums[where.layer, module] = [
                a + b for a, b in zip(sums.get((where.layer, module), [0, 0, 0]), values, strict=True)
            ]
    ordered = sorted(sums.items(), key=lambda entry: (entry[0][0] is None, entry[0]))
    return [Change(*key, moved / count, moved / max(size, 1e-12)) for key, (moved, size, count) in ordered]


def profile(found: Sequence[Change], module: str = "all") -> list[float]:
    """The d_i of a module, from the lowest layer to the highest."""
    return [one.change for one in found if one.layer is not None and one.module == module]
