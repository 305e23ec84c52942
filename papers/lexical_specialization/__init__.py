"""Lexical specialization (BabelBERT): one contrastive pass over multilingual synsets makes an encoder of words."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Languages are drawn, with what they ask for; a word's value is the mean over the languages that it asks.
_BOTH: dict[str, Any] = {"unit": "language", "premises": ("knows-words",)}
_GAINS: dict[str, Any] = {**_BOTH, "treatment": "specialized", "control": "vanilla", "null": "permuted"}
_UNSEEN: dict[str, Any] = {**_BOTH, "metric": "bli_unseen", "smallest": 0.01}

PAPER = Paper(
    slug="lexical_specialization",
    title="Massively Multilingual Lexical Specialization of Multilingual Transformers",
    authors="Tommaso Green, Simone Paolo Ponzetto, Goran Glavaš",
    year=2022,
    venue="ACL 2023",
    arxiv="2208.01018",
    family="fine-tuning",
    summary=(
        "One short contrastive run over synonyms of many languages turns a multilingual encoder into an encoder of "
        "words, in languages without a single synonym too."
    ),
    claims=(
        Claim(
            id="unseen-languages",
            statement="After one short run over synonyms of six languages, words of eight other languages find their "
            "translations among each other better: mean reciprocal rank rises by more than 0.03.",
            reported="Gains for languages unseen in specialization (abstract). The size is ours.",
            metric="bli_unseen",
            size=0.03,
            **_GAINS,
        ),
        Claim(
            id="seen-languages",
            statement="Words of the six languages do so too, of concepts that no synonym names: mean reciprocal rank "
            "rises by more than 0.05.",
            reported="Substantial gains in bilingual lexicon induction (abstract). The size is ours.",
            metric="bli_seen",
            size=0.05,
            **_GAINS,
        ),
        Claim(
            id="sentence-retrieval",
            statement="English sentences find their translations into the eight other languages more often.",
            reported="Substantial gains in cross-lingual sentence retrieval (abstract).",
            metric="sentences_unseen",
            smallest=0.01,
            **_GAINS,
        ),
        Claim(
            id="quantity",
            statement="English and German synonyms help unseen languages more than an eighth as many of six languages.",
            reported="The number of constraints matters much more than the set of languages (abstract).",
            treatment="en_de",
            control="eighth",
            null="permuted",
            **_UNSEEN,
        ),
        Claim(
            id="word-similarity",
            statement="Cosines of words of two languages agree better with people's ratings of their similarity.",
            reported="Substantial gains in cross-lingual word similarity (abstract), measured on Multi-SimLex.",
            out_of_scale="No installable package has such ratings; preset `paper` reads the official repository's.",
        ),
    ),
    checks=(
        Check(
            id="diversity",
            statement="As many synonyms of English and German, or of Chinese and Arabic, help the same within 0.02.",
            treatment="specialized",
            control=("en_de", "zh_ar"),
            better="equal",
            size=0.02,
            **{**_UNSEEN, "smallest": 0.0},
        ),
        Check(
            id="data-or-steps",
            statement="An eighth of the synonyms, seen eight times as often, helps less than all of them.",
            treatment="specialized",
            control="eighth_long",
            null="permuted",
            **_UNSEEN,
        ),
        Check(
            id="hubs",
            statement="By CSLS, too, unseen languages gain: it is not only hubs that are mended.",
            metric="csls_unseen",
            smallest=0.01,
            **_GAINS,
        ),
        Check(
            id="other-domain",
            statement="Names of places and languages, another domain, lose at most 0.02 in unseen languages.",
            metric="places_unseen",
            size=0.02,
            keeps=True,
            **{**_GAINS, "null": None},
        ),
        Check(
            id="losses",
            statement="With SupCon the gain is the same within 0.01.",
            treatment="sup_con",
            control="specialized",
            better="equal",
            size=0.01,
            **{**_UNSEEN, "smallest": 0.0},
        ),
        Check(
            id="adapters",
            statement="Adapters gain too.",
            treatment="lora",
            control="vanilla",
            null="permuted",
            **_UNSEEN,
        ),
    ),
    premises=(
        Premise(
            id="knows-words",
            statement="The encoder as it is finds translations of words of unseen languages.",
            metric="bli_unseen",
            variant="vanilla",
            at_least=0.25,
        ),
    ),
    official_code="https://github.com/umanlp/babelbert",
    licence_note="Code MIT; constraints and released encoders under BabelNet's non-commercial licence.",
    extra_variants=("glosses",),
    seeds=(31, 32, 33),
    minutes=12,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("read_constraints",),
    inputs=("Constraint",),
    method=("encode_words", "nt_xent", "row_weights", "similarities", "specialize", "sup_con"),
    use=("audit", "table", "translate"),
)
