"""Whether two languages are alike inside a model: states, gradients and vectors of parallel texts (equation 5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from core.errors import UserError
from core.models.activations import watching
from core.training.gradients import cosines, gradient
from core.training.losses import causal_lm_loss
from papers.cloned_languages.method import collate

if TYPE_CHECKING:
    from papers.cloned_languages.method import Rendering

Matching = Literal["one_by_one", "max_matching"]
Pairs = Iterable[Sequence[Sequence[int] | np.ndarray]]


def blocks(model: nn.Module) -> list[str]:
    """Paths of the transformer's blocks: the list of modules that has as many as the model has layers."""
    config: Any = model.config
    count = config.get_text_config().num_hidden_layers
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return [f"{path}.{number}" for number in range(count)]
    raise UserError(f"{type(model).__name__} has no list of {count} blocks whose states could be compared.")


@torch.no_grad()
def hidden_similarity(
    model: Any, pairs: Pairs, matching: Matching = "one_by_one"
) -> tuple[Float[np.ndarray, " block"], Float[np.ndarray, " block"]]:
    """Mean cosine of the states of parallel texts after each block, before the last normalisation (equation 5).

    Args:
        model: A causal language model, in evaluation mode.
        pairs: Token ids of a text in both languages.
        matching: Which tokens are compared: those at the same place, or those of the matching with the largest sum of
            cosines, averaged over blocks.

    Returns:
        Of the pairs, and of texts that do not belong together (the first of a pair with the second of the one before),
        because states of anything may be alike. NaN where there is one pair alone.

    Raises:
        ValueError: Texts of different length that are to be compared place by place.
    """
    paths, before = blocks(model), None
    found: list[np.ndarray] = []
    apart: list[np.ndarray] = []
    for pair in pairs:
        one, other = (_unit_states(model, ids, paths) for ids in pair)
        if matching == "one_by_one" and one.shape != other.shape:
            raise ValueError("Texts that are compared place by place need the same number of tokens.")
        found.append(_matched(one, other, matching))
        apart += [] if before is None else [_matched(one, before, matching)]
        before = other
    nothing = np.full(len(paths), np.nan)
    return np.mean(found, axis=0), np.mean(apart, axis=0) if apart else nothing


def _unit_states(
    model: Any, ids: Sequence[int] | np.ndarray, paths: Sequence[str]
) -> Float[Tensor, "block token width"]:
    states: list[Tensor] = []
    with watching(model, paths, lambda _, output: states.append(output[0].float().cpu())):
        model(input_ids=torch.as_tensor(np.asarray(ids), device=model.device)[None], use_cache=False)
    return nn.functional.normalize(torch.stack(states), dim=-1)


def _matched(
    one: Float[Tensor, "block token width"], other: Float[Tensor, "block other width"], matching: Matching
) -> Float[np.ndarray, " block"]:
    """Mean cosine of the tokens that are matched; of texts of different length, matched by place, the common part."""
    alike = (one @ other.transpose(1, 2)).double().numpy()
    if matching == "max_matching":
        rows, columns = linear_sum_assignment(alike.mean(0), maximize=True)
    else:
        rows = columns = np.arange(min(alike.shape[1:]))
    return alike[:, rows, columns].mean(1)


def gradient_similarity(model: Any, pairs: Pairs) -> dict[str, float]:
    """Mean cosine of the gradients of the loss on a text in both languages, by parameter of the blocks (equation 5)."""
    inside, found = tuple(f"{path}." for path in blocks(model)), dict[str, list[float]]()
    for pair in pairs:
        one, other = (
            gradient(model, {name: value.to(model.device) for name, value in batch.items()}, causal_lm_loss,
                     lambda name: name.startswith(inside))
            for batch in (collate([{"input_ids": np.asarray(ids)}], np.random.default_rng(0)) for ids in pair)
        )  # fmt: skip
        for name, value in cosines(one, other).items():
            found.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def embedding_similarity(model: Any, rendering: Rendering) -> dict[str, float]:
    """Mean cosine of the vectors of a token and its clone, in the input and in the output table."""
    one, other = (torch.from_numpy(table) for table in rendering.tables[:2])
    moved = (one != other).nonzero().squeeze(1)
    tables = {"embeddings_in": model.get_input_embeddings(), "embeddings_out": model.get_output_embeddings()}
    found = {}
    for name, table in tables.items():
        weight = table.weight.detach()
        found[name] = float(nn.functional.cosine_similarity(weight[one[moved]], weight[other[moved]], dim=-1).mean())
    return found
