"""cpt_mixing: known values, invariants, parity."""

from __future__ import annotations

import pytest
import torch

from papers.cpt_mixing import correlation


def test_a_vector_correlates_with_itself_and_not_with_another_length() -> None:
    x = torch.tensor([1.0, 2.0, 4.0])
    assert correlation(x, x) == pytest.approx(1.0)
    assert correlation(x, -x) == pytest.approx(-1.0)
    with pytest.raises(ValueError, match="items"):
        correlation(x, x[:2])
