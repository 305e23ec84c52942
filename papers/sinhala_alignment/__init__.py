"""Sinhala-English word-embedding alignment: a linear map from a seed dictionary, and how well it translates words."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# A difference of less than a point would be of no use. Sinhala words are drawn, or languages.
_WORDS: dict[str, Any] = {"unit": "word", "smallest": 0.01, "premises": ("aligns",)}
_EN_SI: dict[str, Any] = {**_WORDS, "metric": "p1_csls_en_si", "null": "shuffled"}
_SI_EN: dict[str, Any] = {**_WORDS, "metric": "p1_csls_si_en", "control_metric": "p1_nn_si_en", "better": "lower"}
_LANGUAGES: dict[str, Any] = {
    "unit": "language", "smallest": 0.01, "premises": ("aligns",), "null": "shuffled", "metric": "p1_csls_en_xx",
}  # fmt: skip
_PROCRUSTES: dict[str, Any] = {"treatment": "procrustes", "control": "procrustes"}
_RCSLS: dict[str, Any] = {"treatment": "rcsls", "control": "procrustes"}
_LAG: dict[str, Any] = {**_RCSLS, "control": "rcsls", "control_metric": "p1_csls_en_xx_beside"}
_REFINEMENT: dict[str, Any] = {"treatment": "refinement", "control": "procrustes"}
_NN_EN_XX: dict[str, Any] = {**_PROCRUSTES, "control_metric": "p1_nn_en_xx"}
_NN_XX_EN: dict[str, Any] = {**_PROCRUSTES, "metric": "p1_csls_xx_en", "control_metric": "p1_nn_xx_en"}
_REFINEMENT_XX_EN: dict[str, Any] = {**_REFINEMENT, "metric": "p1_nn_xx_en"}
_TABLE = "(Common-Crawl vectors, P@1)"

PAPER = Paper(
    slug="sinhala_alignment",
    title="Sinhala-English Word Embedding Alignment: Introducing Datasets and Benchmark for a Low Resource Language",
    authors="Kasun Wickramasinghe, Nisansa de Silva",
    year=2023,
    venue="PACLIC 37",
    arxiv="2311.10436",
    family="alignment",
    summary=(
        "Learns from a seed dictionary the linear map between two independent word-vector spaces, so that Sinhala and "
        "English words that translate each other become nearest neighbours."
    ),
    claims=(
        Claim(
            id="a-map-translates",
            statement="A linear map learnt from a few hundred pairs translates English words that it has not seen into "
            "Sinhala, between two spaces that have nothing to do with each other.",
            reported="P@1 22.6 % with 200,000 candidates (RCSLS and CSLS, Common-Crawl vectors, en-si).",
            treatment="rcsls",
            control="identity",
            **_EN_SI,
        ),
        Claim(
            id="csls-helps-from-english",
            statement="From English to Sinhala, retrieval by CSLS translates more words than the nearest neighbour.",
            reported=f"20.4 against 16.4 with Procrustes, 22.6 against 21.5 with RCSLS {_TABLE}.",
            control_metric="p1_nn_en_si",
            **_PROCRUSTES,
            **_EN_SI,
        ),
        Claim(
            id="csls-hurts-from-sinhala",
            statement="From Sinhala to English, CSLS translates fewer words than the nearest neighbour.",
            reported=f"18.0 against 21.3 with Procrustes, 19.4 against 23.3 with RCSLS {_TABLE}.",
            **_PROCRUSTES,
            **_SI_EN,
        ),
        Claim(
            id="rcsls-beats-procrustes",
            statement="RCSLS translates more words into Sinhala than Procrustes, both retrieved by CSLS.",
            reported=f"22.6 against 20.4 {_TABLE}.",
            **_RCSLS,
            **_EN_SI,
        ),
        Claim(
            id="refinement-helps",
            statement="Iterative refinement of Procrustes translates more words from Sinhala by nearest neighbour.",
            reported=f"28.9 against 21.3, the best from Sinhala {_TABLE}.",
            metric="p1_nn_si_en",
            null="shuffled",
            **_REFINEMENT,
            **_WORDS,
        ),
        Claim(
            id="spectral-constraint-costs",
            statement="RCSLS without the spectral constraint translates more words into Sinhala than with it.",
            reported=f"22.6 against 21.5 {_TABLE}.",
            treatment="rcsls",
            control="spectral",
            **_EN_SI,
        ),
        Claim(
            id="sinhala-lags",
            statement="With the same concepts, pairs and method, English is translated better into other languages "
            "than into Sinhala.",
            reported="en-es 81.1, en-de 79.1, en-ru 57.9 and en-zh 45.9 (Joulin et al. 2018, other dictionaries) "
            "against en-si 22.6 (P@1).",
            **_LANGUAGES,
            **_LAG,
        ),
        Claim(
            id="crawled-vectors-align-better",
            statement="Vectors of Common Crawl align better than vectors of Wikipedia.",
            reported="22.6 against 17.5 (RCSLS and CSLS, en-si).",
            out_of_scale="Needs the two sets of fastText vectors: presets `paper` and `paper-wiki`.",
        ),
    ),
    checks=(
        Check(
            id="not-by-letters",
            statement="The map translates names that do not look alike, too: those whose romanised Sinhala shares less "
            "than half of its letters with the English name.",
            treatment="rcsls",
            control="identity",
            **{**_EN_SI, "metric": "p1_csls_en_si_unlike"},
        ),
        Check(
            id="lags-behind-other-scripts",
            statement="Sinhala lags behind those of the other languages, too, that are not written in Latin letters.",
            **{**_LANGUAGES, "metric": "p1_csls_en_xx_scripts"},
            **_LAG,
        ),
        *(
            Check(
                id=f"{id}-everywhere",
                statement=f"{statement} the 13 other languages, in the mean.",
                **{**_LANGUAGES, **arms},
            )
            for id, statement, arms in (
                ("csls-helps-into", "CSLS translates more than the nearest neighbour into", _NN_EN_XX),
                ("csls-helps-from", "CSLS translates more than the nearest neighbour from", _NN_XX_EN),
                ("rcsls-beats-procrustes", "RCSLS translates more than Procrustes into", _RCSLS),
                ("refinement-helps", "Refinement helps the nearest neighbour from", _REFINEMENT_XX_EN),
            )
        ),
        Check(
            id="refinement-does-csls-work",
            statement="What CSLS gains over the nearest neighbour into Sinhala is less after refinement than before.",
            metric="gain_en_si",
            better="lower",
            **_REFINEMENT,
            **_WORDS,
        ),
        Check(
            id="forms-turn-csls",
            statement="Where case forms make Sinhala-English many-to-one, CSLS translates fewer Sinhala words than the "
            "nearest neighbour: the explanation that one would offer for the paper's asymmetry.",
            treatment="forms",
            control="forms",
            **_SI_EN,
        ),
        Check(
            id="pairs-matter",
            statement="With twice the pairs (150 and 300) Procrustes translates more words into Sinhala.",
            **{**_PROCRUSTES, "control": "pairs_150"},
            **_EN_SI,
        ),
        Check(
            id="columns-beat-rows",
            statement="Taking the vocabulary's mean off the vectors translates more than taking off each vector the "
            "mean of its own components, as the official loader does.",
            **{**_RCSLS, "control": "rows"},
            **_EN_SI,
        ),
    ),
    premises=(
        Premise(
            id="aligns",
            statement="The spaces are similar: Procrustes translates English words into the other languages.",
            metric="p1_csls_en_xx",
            variant="procrustes",
            at_least=0.1,
        ),
        Premise(
            id="independent",
            statement="The spaces are independent: without a map nearly no word finds its translation.",
            metric="apart",
            variant="identity",
            at_least=0.97,
        ),
    ),
    extra_variants=("pairs_40", "pairs_75"),
    official_code="https://github.com/kasunw22/sinhala-word-embedding-alignment",
    licence_note=(
        "The official code and dictionaries are MIT (its copy of VecMap GPL-3.0); fastText's vectors are CC-BY-SA-3.0."
    ),
    # Seed dictionaries drawn from the concepts that are not for the test.
    seeds=(31, 32, 33, 34, 35, 36, 37, 38),
    minutes=6,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("choose", "induce", "normalize", "procrustes", "rcsls", "rcsls_loss", "refinement"),
    use=("Aligned", "Settings", "align_spaces"),
)
