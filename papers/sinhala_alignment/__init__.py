"""Sinhala-English word-embedding alignment: a linear map from a seed dictionary, and how well it translates words."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public


def _arms(metric: str, treatment: str, control: str | float = 0.0, beside: str | None = None, **more: Any) -> Any:
    """A comparison over words; a difference of less than a point would be of no use."""
    shared = {"unit": "word", "smallest": 0.01, "premises": ("aligns",), "null": "shuffled"}
    return {**shared, "metric": metric, "treatment": treatment, "control": control, "control_metric": beside, **more}


_TABLE = "(Common-Crawl vectors, P@1)"
# Less of a gain, or of a loss, is what the null arm has as well.
_LOWER: dict[str, Any] = {"better": "lower", "null": None}
_BESIDE = ("rcsls", "rcsls", "p1_csls_en_xx_beside")
# fmt: off
_CLAIMS = (
    ("a-map-translates", _arms("p1_csls_en_si_apart", "rcsls", "identity", premises=("aligns", "independent")),
     "A linear map learnt from a few hundred pairs translates English names into Sinhala, between two spaces that have "
     "nothing to do with each other, though no name to learn from shares a stem.",
     "P@1 22.6 % with 200,000 candidates (RCSLS and CSLS, Common-Crawl vectors, en-si)."),
    ("csls-helps-from-english", _arms("gain_en_si", "procrustes"),
     "From English to Sinhala CSLS translates more words than the nearest neighbour: its gain is above zero.",
     f"20.4 against 16.4 with Procrustes, 22.6 against 21.5 with RCSLS {_TABLE}."),
    ("csls-hurts-from-sinhala", _arms("gain_si_en", "procrustes", better="lower"),
     "From Sinhala to English, one-to-one here, CSLS translates fewer words than the nearest neighbour: its gain is "
     "below zero.",
     f"18.0 against 21.3 with Procrustes, 19.4 against 23.3 with RCSLS {_TABLE}; many-to-one there."),
    ("rcsls-beats-procrustes", _arms("p1_csls_en_si", "rcsls", "procrustes"),
     "RCSLS translates more words into Sinhala than Procrustes, both retrieved by CSLS.",
     f"22.6 against 20.4 {_TABLE}."),
    ("refinement-helps", _arms("p1_nn_si_en", "refinement", "procrustes"),
     "Iterative refinement of Procrustes translates more words from Sinhala by nearest neighbour.",
     f"28.9 against 21.3, the best from Sinhala {_TABLE}."),
    ("refinement-helps-at-ten", _arms("p10_nn_si_en", "refinement", "procrustes"),
     "With ten guesses, too, refinement translates more words from Sinhala by nearest neighbour.",
     "51.3 against 47.4 (Common-Crawl vectors, P@10)."),
    ("spectral-constraint-costs", _arms("p1_csls_en_si", "rcsls", "spectral"),
     "RCSLS without the spectral constraint translates more words into Sinhala than with it.",
     f"22.6 against 21.5 {_TABLE}."),
    ("sinhala-lags", _arms("p1_csls_en_xx", *_BESIDE, unit="language"),
     "With the same concepts, pairs and method, English is translated better into other languages than into Sinhala.",
     "en-es 81.1, en-de 79.1, en-ru 57.9 and en-zh 45.9 (Joulin et al. 2018, other dictionaries) against en-si 22.6 "
     "(P@1)."),
)
_EVERYWHERE = (
    # Over so many languages gains of a thousandth can be told from none, with shuffled pairs as well.
    ("csls-helps-into", "CSLS gains more than a point on cosine into", ("gain_en_xx", "procrustes", 0.01)),
    ("csls-helps-from", "CSLS gains more than a point on cosine from", ("gain_xx_en", "procrustes", 0.01)),
    ("rcsls-beats-procrustes", "RCSLS translates more than Procrustes into", ("p1_csls_en_xx", "rcsls", "procrustes")),
    ("refinement-helps", "Refinement helps the nearest neighbour from", ("p1_nn_xx_en", "refinement", "procrustes")),
)
_CHECKS = (
    ("twins-are-easier", _arms("p1_csls_en_si_akin", "rcsls", "rcsls", "p1_csls_en_si_apart", null=None, paired=False),
     "Names that share a five-letter stem with a name to learn from are translated more often than others."),
    ("beats-letters", _arms("p1_csls_en_si", "rcsls", "rcsls", "p1_letters_en_si"),
     "The map translates more names into Sinhala than letters alone, once romanised."),
    ("not-by-letters", _arms("p1_csls_en_si_unlike", "rcsls", "rcsls", "p1_letters_en_si_unlike"),
     "It translates more than letters of the names that share no stem with a name to learn from, and less than half of "
     "their letters with the romanised Sinhala."),
    ("lags-behind-other-scripts", _arms("p1_csls_en_xx_scripts", *_BESIDE, unit="language"),
     "Sinhala lags behind those of the other languages, too, that are not written in Latin letters."),
    *((f"{id}-everywhere", _arms(*arms, unit="language"), f"{statement} the 13 other languages, in the mean.")
      for id, statement, arms in _EVERYWHERE),
    ("refinement-does-csls-work", _arms("gain_en_si", "refinement", "procrustes", **_LOWER),
     "What CSLS gains over the nearest neighbour into Sinhala is less after refinement than before."),
    ("refinement-costs-csls-at-ten", _arms("p10_csls_si_en", "refinement", "procrustes", **_LOWER),
     "With ten guesses by CSLS, refinement translates fewer words from Sinhala."),
    ("forms-turn-csls", _arms("gain_si_en_forms", "forms", **_LOWER),
     "Where case forms make Sinhala-English many-to-one, in learning as in testing, CSLS translates fewer of the forms "
     "than the nearest neighbour: the explanation that one would offer for the paper's asymmetry."),
    ("selection-helps", _arms("p1_csls_en_si", "selected", "rcsls", null=None),
     "RCSLS translates more words into Sinhala where words held out say how many steps to make."),
    ("pairs-matter", _arms("p1_csls_en_si", "procrustes", "pairs_150"),
     "With twice the pairs (150 and 300) Procrustes translates more words into Sinhala."),
    ("columns-beat-rows", _arms("p1_csls_en_si", "rcsls", "rows"),
     "Taking the vocabulary's mean off the vectors translates more than taking off each vector the mean of its own "
     "components, as the official loader does."),
)
# fmt: on

PAPER = Paper(
    slug="sinhala_alignment",
    title="Sinhala-English Word Embedding Alignment: Introducing Datasets and Benchmark for a Low Resource Language",
    authors="Kasun Wickramasinghe, Nisansa de Silva",
    year=2023,
    venue="PACLIC 37",
    arxiv="2311.10436",
    family="encoders",
    summary=(
        "Learns from a seed dictionary the linear map between two independent word-vector spaces, so that Sinhala and "
        "English words that translate each other become nearest neighbours."
    ),
    claims=(
        *(Claim(id=id, statement=statement, reported=reported, **arms) for id, arms, statement, reported in _CLAIMS),
        Claim(
            id="crawled-vectors-align-better",
            statement="Vectors of Common Crawl align better than vectors of Wikipedia.",
            reported="22.6 against 17.5 (RCSLS and CSLS, en-si).",
            out_of_scale="Needs the two sets of fastText vectors: presets `paper` and `paper-wiki`.",
        ),
    ),
    checks=tuple(Check(id=id, statement=statement, **arms) for id, arms, statement in _CHECKS),
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
            statement="The spaces are independent: without a map nearly all words miss their translation.",
            metric="misses",
            variant="identity",
            at_least=0.97,
        ),
    ),
    official_code="https://github.com/kasunw22/sinhala-word-embedding-alignment",
    licence_note=(
        "The official code and dictionaries are MIT (its copy of VecMap GPL-3.0); fastText's vectors are CC-BY-SA-3.0."
    ),
    # Seed dictionaries drawn from the concepts that are not for the test.
    seeds=(51, 52, 53, 54, 55, 56, 57, 58),
    minutes=6,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("induce", "normalize", "procrustes", "rcsls", "rcsls_loss", "refinement"),
    use=("Aligned", "Settings", "align_spaces"),
)
