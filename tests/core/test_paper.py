"""Cards of papers and their discovery."""

from __future__ import annotations

import pytest

from core.errors import UserError
from core.experiment.paper import Claim, Paper, discover, find, slugs


def test_claims_name_the_variants_to_run_in_order() -> None:
    claims = (
        Claim("a", "a", "r", metric="m", treatment="both", control=("base", "english")),
        Claim("b", "b", "r", metric="m", treatment="both", control=0.25),
        Claim("c", "c", "r", out_of_scale="needs a 70B model"),
    )
    paper = Paper("x", "X", "A", 2026, "V", "2601.00001", "f", "s", claims, 1.0, extra_variants=("extra", "base"))
    assert paper.variants == ("both", "base", "english", "extra")
    assert claims[2].variants == ()


def test_every_folder_with_a_card_is_found() -> None:
    assert [paper.slug for paper in discover()] == list(slugs())
    assert "mexa" in slugs()


def test_an_unknown_paper_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UserError, match="mexa"):
        find("mexxa")
    with pytest.raises(UserError, match="the papers are"):
        find("zzzzzz")
