"""vega_mt."""

from __future__ import annotations

from core.experiment.paper import Claim, Paper, public

PAPER = Paper(
    slug="vega_mt",
    title="Vega-MT: The JD Explore Academy Translation System for WMT22",
    authors="Changtong Zan et al.",
    year=2022, venue="WMT 2022", arxiv="2209.09444", family="pre-training", summary="x",
    claims=(
        Claim(id="a", statement="x", reported="y", metric="bleu", treatment="multi", control="uni", unit="language"),
    ),
    minutes=12,
)

__getattr__, __dir__, __all__ = public(__name__, method=("cycle_translate",))
