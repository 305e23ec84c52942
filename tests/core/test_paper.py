"""Cards of papers and their discovery."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from core.errors import UserError
from core.experiment.paper import Claim, Paper, discover, find, public, slugs


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


def test_public_names_are_imported_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("box", {}), ("box.one", {"a": 1}), ("box.two", {"b": 2})):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        vars(sys.modules[name]).update(content)
    load, listing, exported = public("box", one=("a",), two=("b", "gone"))
    assert (load("a"), load("b")) == (1, 2)
    assert exported == ("PAPER", "a", "b", "gone")
    assert listing() == sorted(exported)
    for name in ("one", "gone", "PAPER"):
        with pytest.raises(AttributeError, match=name):
            load(name)
