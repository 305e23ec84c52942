"""Spaces of two texts: vectors of words in like places, the rotation, and what a few numerals lead to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes

from core.errors import UserError
from core.tasks.vecmap import normalize, procrustes, self_learning, word_vectors


def test_procrustes_is_the_rotation() -> None:
    x, z = torch.eye(2), torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    assert torch.allclose(procrustes(x, z), z)
    one, other = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0)).double()
    assert torch.allclose(procrustes(one, other), torch.tensor(orthogonal_procrustes(one, other)[0]))


def test_a_rotation_is_found_from_a_few_pairs_and_the_same_for_a_seed() -> None:
    generator = torch.Generator().manual_seed(0)
    x = normalize(torch.randn(60, 8, generator=generator).double())
    rotation, _ = torch.linalg.qr(torch.randn(8, 8, generator=generator).double())
    seed = torch.arange(9)[:, None].expand(9, 2)
    found = [self_learning(x, x @ rotation, seed, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.allclose(found[0], rotation, atol=1e-6)
    assert torch.equal(*found)


def test_vectors_of_words_in_like_places_are_alike() -> None:
    rng = np.random.default_rng(0)
    lines = [
        [int(rng.integers(2)), 10 + 2 * kind + int(rng.integers(2)), 20 + kind] for kind in range(3) for _ in range(60)
    ]
    found = word_vectors([*lines, [77]], width=6, window=2)
    unit = torch.nn.functional.normalize(found.vectors, dim=1)
    place = {token: row for row, token in enumerate(found.ids)}
    assert 77 not in place
    cosine = lambda a, b: float(unit[place[a]] @ unit[place[b]])  # noqa: E731
    assert cosine(10, 11) > 0.9 > cosine(10, 12)
    with pytest.raises(UserError, match="give more text"):
        word_vectors([[1, 2, 3]])
