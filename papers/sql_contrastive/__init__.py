"""sql_contrastive: one sentence on the paper."""

from __future__ import annotations

from core.experiment.paper import Claim, Paper, public

PAPER = Paper(
    slug="sql_contrastive",
    title="Title of the paper",
    authors="First Author et al.",
    year=2026,
    venue="arXiv",
    arxiv="0000.00000",
    family="evaluation",
    summary="The idea in one sentence.",
    claims=(
        Claim(
            id="signal-beats-noise",
            statement="The score of related pairs is above zero.",
            reported="What the paper reports, with its table.",
            metric="score",
            treatment="related",
            control=0.0,
            smallest=0.05,
            null="unrelated",
        ),
    ),
    minutes=0.1,
)

__getattr__, __dir__, __all__ = public(__name__, method=("correlation",))
