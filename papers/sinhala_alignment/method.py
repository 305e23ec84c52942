"""Two independent embedding spaces and a seed dictionary: the linear map that makes translations nearest neighbours.

X (n_s x d) and Y (n_t x d) hold the vectors of two vocabularies, the most frequent words first, and a dictionary names
pairs (i_k, j_k) of words that translate each other: A = X[i], B = Y[j]. What is learnt is W (d x d), which takes a
source vector x to W x (rows: X Wᵀ). All vectors are scaled to length 1, centred and scaled again (:func:`normalize`).

    Procrustes   W = U Vᵀ where U S Vᵀ = svd(Bᵀ A): the rotation that takes A nearest to B                         (1)
    refinement   map, pair the words that are each other's nearest by CSLS, fit (1) to these pairs; repeat         (2)
    RCSLS        from (1) downhill on the loss that CSLS retrieval has, without a constraint on W (Joulin et al. 2018)

    f(W) = 1/n sum_k [ -2 (W a_k) b_k + 1/K sum_{y in N_Y(W a_k)} (W a_k) y + 1/K sum_{x in N_X(b_k)} (W x) b_k ]  (3)

    where N_Y(q) are the K words of Y nearest to q, and N_X(b) the K words of X that W takes nearest to b. With the
    neighbours held fixed the gradient is

    1/n [ -2 Bᵀ A + sum_k y_k a_kᵀ + sum_k b_k x_kᵀ ],   y_k, x_k: means of these neighbours.                      (4)

    The spectral variant clips the singular values of W to at most 1 after every step, the convex hull of rotations. (5)

Refinement and RCSLS yield their maps step by step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from core.tasks.lexicon import Space, chunks

Center = Literal["columns", "rows", "none"]
Matrix = Float[Tensor, "word width"]
Map = Float[Tensor, "width width"]
Pairs = Int[Tensor, "pair 2"]
"""Places in the source and in the target vocabulary; a source word with several translations has several pairs."""
SMALLEST_RATE = 1e-4
"""RCSLS stops below it (official code)."""


def normalize(vectors: Any, center: Center = "columns") -> Matrix:
    """Scale to length 1, centre, scale again.

    Args:
        vectors: [word, width], an array or a tensor; one of float64 stays so.
        center: `columns` takes off the mean vector of the vocabulary (MUSE and the original RCSLS); `rows` takes off
            each vector the mean of its own components, as the official Sinhala loader does for RCSLS.
    """
    unit = F.normalize(torch.as_tensor(vectors), dim=1)
    if center == "none":
        return unit
    return F.normalize(unit - unit.mean(int(center == "rows"), keepdim=True), dim=1)


def procrustes(x: Matrix, y: Matrix, pairs: Pairs) -> Map:
    """W of (1)."""
    u, _, vt = torch.linalg.svd(y[pairs[:, 1]].T @ x[pairs[:, 0]])
    return u @ vt


def induce(mapped: Matrix, y: Matrix, k: int = 10) -> Pairs:
    """The words of both vocabularies that are each other's best translation by CSLS."""
    forth = Space(y, mapped, k=k).nearest(mapped, 1).places[:, 0]
    back = Space(mapped, y, k=k).nearest(y, 1).places[:, 0]
    source = torch.arange(len(mapped), device=forth.device)
    return torch.stack([source, forth], 1)[back[forth] == source]


def refinement(x: Matrix, y: Matrix, pairs: Pairs, *, steps: int = 5, k: int = 10) -> Iterator[Map]:
    """Maps of (2): Procrustes on the dictionary, then on the pairs that the map before induces."""
    w = procrustes(x, y, pairs)
    yield w
    for _ in range(steps):
        if not len(found := induce(x @ w.T, y, k)):
            return
        w = procrustes(x, y, found)
        yield w


class Loss(NamedTuple):
    """f(W) of (3) and its gradient (4)."""

    value: Float[Tensor, ""]
    gradient: Map


def rcsls_loss(w: Map, x: Matrix, y: Matrix, pairs: Pairs, k: int = 10) -> Loss:
    """How far the pairs are from being nearer to each other than to their K neighbours, and where it falls.

    Nearness is the dot product: W is no rotation once it has been moved, and W x has no length of 1.
    """
    a, b = x[pairs[:, 0]], y[pairs[:, 1]]
    mapped = a @ w.T
    forth, y_mean = _neighbours(mapped, y, y, k)
    back, x_mean = _neighbours(b, x @ w.T, x, k)
    value = (forth + back - 2 * (mapped * b).sum(1)).mean()
    return Loss(value, (y_mean.T @ a + b.T @ x_mean - 2 * b.T @ a) / len(pairs))


def _neighbours(queries: Matrix, keys: Matrix, words: Matrix, k: int) -> tuple[Float[Tensor, " query"], Matrix]:
    """Mean dot product of each query with the k keys nearest to it, and the mean of these words."""
    found = [(part @ keys.T).topk(min(k, len(keys)), dim=1) for part in chunks(queries, len(keys))]
    means = [words[part.indices].mean(1) for part in found]
    return torch.cat([part.values.mean(1) for part in found]), torch.cat(means)


def clip(w: Map) -> Map:
    """(5): singular values above 1 become 1."""
    u, s, vt = torch.linalg.svd(w)
    return u @ torch.diag(s.clamp(max=1)) @ vt


def rcsls(
    x: Matrix, y: Matrix, pairs: Pairs, *, steps: int = 10, rate: float = 1.0, k: int = 10, spectral: bool = False
) -> Iterator[Map]:
    """Maps of descending f(W), Procrustes first; a step after which f is higher is taken back and the rate halved."""
    w = procrustes(x, y, pairs)
    yield w
    loss = rcsls_loss(w, x, y, pairs, k)
    for _ in range(steps):
        if rate < SMALLEST_RATE:
            return
        moved = w - rate * loss.gradient
        moved = clip(moved) if spectral else moved
        after = rcsls_loss(moved, x, y, pairs, k)
        if after.value > loss.value:
            rate /= 2
            continue
        w, loss = moved, after
        yield w
