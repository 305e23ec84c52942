"""Cards of papers and their discovery."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from core.errors import UserError
from core.experiment.paper import Check, Claim, Paper, Premise, discover, find, public, slugs


def test_claims_name_the_variants_to_run_in_order() -> None:
    claims = (
        Claim(id="a", statement="a", reported="r", metric="m", treatment="both", control=("base", "english")),
        Claim(id="b", statement="b", reported="r", metric="m", treatment="both", control=0.25, null="broken"),
        Claim(id="c", statement="c", reported="r", out_of_scale="needs a 70B model"),
    )
    check = Check(id="d", statement="d", metric="m", treatment="both", control="ours")
    premise = Premise(id="p", statement="p", metric="m", variant="raw", at_least=0.5)
    texts = dict.fromkeys(("slug", "title", "authors", "venue", "arxiv", "family", "summary"), "x")
    paper = Paper(
        **texts, year=2026, claims=claims, checks=(check,), premises=(premise,), minutes=1.0,
        extra_variants=("extra", "base"),
    )  # fmt: skip
    assert paper.variants == ("both", "base", "english", "broken", "ours", "raw", "extra")
    assert [judged.id for judged in paper.judged] == ["a", "b", "c", "d"]
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
