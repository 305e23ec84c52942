"""Two languages' words in one space, from texts that are not translations of each other.

    one, other = (word_vectors(lines, width=300) for lines in (english_ids, thai_ids))
    w = self_learning(one.vectors, other.vectors, seed)      # seed: places of a few pairs, such as numerals
    Space(other.vectors).nearest(one.vectors @ w, 3)         # core.tasks.lexicon

As VecMap does with `--orthogonal --self_learning` (Artetxe et al. 2018), two steps alternate:

    W = U V^T, where U S V^T = svd(X_D^T Z_D)        the rotation that lays the pairs D over each other
    D = nearest neighbours of X W and Z, both ways    by CSLS, of which a share is dropped at random

The share that is kept grows from a tenth to all of them, whenever the mean similarity has stopped improving, so that
a search that began with few pairs does not end at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from core.errors import UserError

CUTOFF = 20_000
"""Words that self-learning pairs, the first ones."""


class WordVectors(NamedTuple):
    """Ids of the words that have a vector, increasing, and the vectors [word, width], scaled and centred."""

    ids: list[int]
    vectors: Float[Tensor, "word width"]


def word_vectors(
    sentences: Iterable[Sequence[int]], *, width: int = 512, window: int = 10, min_count: int = 5
) -> WordVectors:
    """Vectors from a text: eigenvectors of the positive pointwise mutual information of neighbours.

    Skip-gram of word2vec factorises the same matrix, less the log of its negative samples (Levy and Goldberg 2014).

    Args:
        sentences: Ids of words or subwords.
        width: Of a vector, at most; the official run has 512.
        window: Neighbours to either side, nearer ones weighing more, as word2vec samples its windows.
        min_count: Rarer words get no vector.

    Raises:
        UserError: Too little text.
    """
    from scipy.sparse import coo_array, csr_array
    from scipy.sparse.linalg import eigsh

    lines = [np.asarray(line, dtype=np.int64) for line in sentences if len(line)]
    ids, counts = np.unique(np.concatenate(lines or [np.zeros(0, np.int64)]), return_counts=True)
    ids = ids[counts >= min_count]
    if len(ids) < 4:
        raise UserError(f"{len(ids)} words occur {min_count} times or more: give more text.")
    size = len(ids)
    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    values: list[np.ndarray] = []
    for line in lines:
        kept = np.searchsorted(ids, line[np.isin(line, ids)])
        for gap in range(1, min(window + 1, len(kept))):
            rows.append(kept[:-gap])
            columns.append(kept[gap:])
            values.append(np.full(len(kept) - gap, (window + 1 - gap) / window))
    if not values:
        raise UserError("No line has two frequent words: give whole sentences.")
    pairs = coo_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(size, size))
    near = csr_array(pairs + pairs.T).tocoo()
    total = np.asarray(near.sum(0)).ravel()
    pmi = np.log(near.data * total.sum() / (total[near.row] * total[near.col]))
    positive = csr_array((np.maximum(pmi, 0), (near.row, near.col)), shape=(size, size))
    # Word and context vectors added up: what has a negative eigenvalue cancels out. So a word is also near to its own
    # neighbours, "four" to "4", and not only to words with like neighbours.
    start = np.random.default_rng(0).random(size)
    strength, axes = (
        eigsh(positive, k=width, which="LA", v0=start)
        if size > 2 * width + 1000
        else np.linalg.eigh(positive.toarray())
    )
    vectors = (axes * np.sqrt(np.maximum(strength, 0)))[:, ::-1][:, :width]
    return WordVectors(ids.tolist(), normalize(torch.from_numpy(vectors.copy())))


def normalize(vectors: Float[Tensor, "word width"]) -> Float[Tensor, "word width"]:
    """Scaled to length 1, then centred: `--normalize unit center` of VecMap."""
    unit = F.normalize(vectors, dim=1)
    return unit - unit.mean(0)


def procrustes(x: Float[Tensor, "pair width"], z: Float[Tensor, "pair width"]) -> Float[Tensor, "width width"]:
    """The rotation W for which X W is nearest to Z."""
    u, _, vt = torch.linalg.svd(x.T @ z)
    return u @ vt


def self_learning(
    x: Float[Tensor, "source width"],
    z: Float[Tensor, "target width"],
    seed: Int[Tensor, "pair 2"],
    generator: torch.Generator,
    *,
    keep: float | None = None,
    patience: int = 50,
    most: int = 1000,
) -> Float[Tensor, "width width"]:
    """The rotation from a seed dictionary and whatever it induces.

    Args:
        x: Source vectors.
        z: Target vectors.
        seed: Places of the first pairs.
        generator: Draws what is dropped.
        keep: Share of the similarities that is kept at first. None = a tenth; all of fewer than a thousand words, among
            which what is left would be no neighbour.
        patience: Rounds without improvement after which it doubles; at 1 the search ends.
        most: Rounds in all.
    """
    # Not all of a large vocabulary: what is frequent decides.
    seed = seed[(seed < CUTOFF).all(1)]
    x, z = x[:CUTOFF], z[:CUTOFF]
    keep = keep or (0.1 if len(z) >= 1000 else 1.0)
    pairs, best, waited = seed, -torch.inf, 0
    w = procrustes(x[seed[:, 0]], z[seed[:, 1]])
    for _ in range(most):
        w = procrustes(x[pairs[:, 0]], z[pairs[:, 1]])
        similarity = F.normalize(x @ w, dim=1) @ F.normalize(z, dim=1).T
        # CSLS: less what a word has in common with the other language as such.
        near = [similarity.topk(min(10, similarity.shape[d]), dim=d).values.mean(d, keepdim=True) for d in (0, 1)]
        scores = 2 * similarity - near[0] - near[1]
        objective = float((similarity.amax(0).mean() + similarity.amax(1).mean()) / 2)
        best, waited = (objective, 0) if objective > best + 1e-6 else (best, waited + 1)
        if waited >= (patience if keep < 1 else 1):
            if keep >= 1:
                break
            keep, waited = min(1.0, 2 * keep), 0
        if keep < 1:
            dropped = torch.rand(scores.shape, generator=generator, dtype=torch.float64) >= keep
            scores = scores.masked_fill(dropped, scores.min() - 1)
        forth, back = scores.argmax(1), scores.argmax(0)
        pairs = torch.cat([torch.stack([torch.arange(len(x)), forth], 1), torch.stack([back, torch.arange(len(z))], 1)])
    return w
