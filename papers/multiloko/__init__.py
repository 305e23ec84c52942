"""MultiLoKo: questions that matter in a place, asked where they matter, in English, and translated from English."""

from __future__ import annotations

from core.experiment.paper import Claim, Paper, public

PAPER = Paper(
    slug="multiloko", title="MultiLoKo: a multilingual local knowledge benchmark for LLMs spanning 31 languages", authors="Dieuwke Hupkes, Nikolay Bogoychev", year=2025,
    venue="arXiv", arxiv="2504.10356", family="evaluation", summary="x",
    claims=(Claim(id="x", statement="x", reported="x", metric="mte", treatment="own", control=0.0, unit="language"),), minutes=5,
)
__getattr__, __dir__, __all__ = public(__name__, method=("diagnose",))
