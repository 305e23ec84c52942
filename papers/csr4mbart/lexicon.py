"""Stage 0: a lexicon of subwords, both ways, from two texts that are not translations of each other.

Each language gets vectors of its own. The seed dictionary is what both write alike and is a numeral; from it the
rotation W of one space into the other is learnt by itself, as VecMap does (core/tasks/vecmap.py):

    W = U V^T, where U S V^T = svd(X_D^T Z_D),    D = nearest neighbours of X W and Z, both ways                     (5)

A subword has as entries the k *most* similar ones of the other language. The released script sorts the wrong way
and takes the least similar, and its reverse table pairs the rows of one language with the words of the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from core.errors import UserError
from core.tasks.lexicon import Space
from core.tasks.vecmap import WordVectors, self_learning

NONE = -1
"""In a table: no entry."""


class Lexicon(NamedTuple):
    """Entries of each subword of one language in the other, best first: `forth` from source to target, `back`.

    Both [vocabulary, k], ids of the tokenizer and NONE.
    """

    forth: Int[np.ndarray, "vocabulary k"]
    back: Int[np.ndarray, "vocabulary k"]

    @property
    def turned(self) -> Lexicon:
        """The same from target to source."""
        return Lexicon(self.back, self.forth)


def induce(
    source: WordVectors, target: WordVectors, numerals: Iterable[int], vocabulary: int, *, k: int = 3, seed: int = 0
) -> Lexicon:
    """The lexicon of two languages.

    Args:
        source: Of one language.
        target: Of the other.
        numerals: Ids that mean the same in both; they are the seed, and get no entries.
        vocabulary: Ids of the tokenizer.
        k: Entries of a subword.
        seed: Draws what self-learning drops.

    Raises:
        UserError: No numeral is in both.
    """
    places = [{token: place for place, token in enumerate(side.ids)} for side in (source, target)]
    pairs = [(places[0][token], places[1][token]) for token in numerals if token in places[0] and token in places[1]]
    if not pairs:
        raise UserError("No numeral is in both texts often enough: give text with digits, or a lexicon of your own.")
    width = min(source.vectors.shape[1], target.vectors.shape[1])
    x, z = (side.vectors[:, :width] for side in (source, target))
    w = self_learning(x, z, torch.tensor(pairs), torch.Generator().manual_seed(seed))
    shared = set(numerals)
    own = [[place for place, token in enumerate(side.ids) if token not in shared] for side in (source, target)]
    here, there = (np.asarray(side.ids)[places] for side, places in zip((source, target), own, strict=True))
    x, z = x[own[0]] @ w, z[own[1]]
    return Lexicon(_spread(vocabulary, here, there, x, z, k), _spread(vocabulary, there, here, z, x, k))


def _spread(vocabulary: int, ids: np.ndarray, others: np.ndarray, x: Tensor, z: Tensor, k: int) -> np.ndarray:
    places = Space(z).nearest(x, k).places.numpy()
    table = np.full((vocabulary, places.shape[1]), NONE)
    table[ids] = others[places]
    return table
