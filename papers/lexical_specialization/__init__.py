"""Lexical specialization (BabelBERT): one contrastive pass over multilingual synsets makes an encoder of words."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Languages are drawn, with what they ask for; a word's value is the mean over the languages that it asks. The contrast
# spreads vectors apart, whatever is called a synonym: a gain has to be one over the null arm as well.
_BOTH: dict[str, Any] = {"unit": "language", "premises": ("knows-words",), "smallest": 0.01}
_NULL: dict[str, Any] = {**_BOTH, "control": ("vanilla", "permuted"), "null": "permuted"}
_GAINS: dict[str, Any] = {**_NULL, "treatment": "specialized"}
_UNSEEN: dict[str, Any] = {**_BOTH, "metric": "bli_unseen"}
_KEEPS: dict[str, Any] = {**_BOTH, "metric": "places_unseen", "control": "vanilla", "size": 0.02, "keeps": True}

PAPER = Paper(
    slug="lexical_specialization",
    title="Massively Multilingual Lexical Specialization of Multilingual Transformers",
    authors="Tommaso Green, Simone Paolo Ponzetto, Goran Glavaš",
    year=2022,
    venue="ACL 2023",
    arxiv="2208.01018",
    family="encoders",
    summary=(
        "One short contrastive run over synonyms of many languages turns a multilingual encoder into an encoder of "
        "words, in languages without a single synonym too."
    ),
    claims=(
        Claim(
            id="unseen-languages",
            statement="After one short run over synonyms of six languages, words of eight other languages find their "
            "translations among each other better than before, and than after a run over permuted synonyms.",
            reported="Gains for languages unseen in specialization (abstract).",
            metric="bli_unseen",
            **_GAINS,
        ),
        Claim(
            id="seen-languages",
            statement="Words of the six languages find them better in the same way, of concepts that no synonym names.",
            reported="Substantial gains in bilingual lexicon induction (abstract).",
            metric="bli_seen",
            **_GAINS,
        ),
        Claim(
            id="sentence-retrieval",
            statement="English sentences find their translations into 20 languages without synonyms better, likewise.",
            reported="Substantial gains in cross-lingual sentence retrieval (abstract).",
            metric="sentences_unseen",
            **_GAINS,
        ),
        Claim(
            id="quantity",
            statement="English and German synonyms help unseen languages more than an eighth as many of six languages, "
            "at as many epochs (30 steps against 4).",
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
            **_UNSEEN,
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
            **_GAINS,
        ),
        Check(
            id="other-domain",
            statement="Names of places and languages, another domain, lose at most 0.02 in unseen languages.",
            treatment="specialized",
            **_KEEPS,
        ),
        Check(
            id="other-domain-en-de",
            statement="After English and German synonyms they lose at most 0.02, against permuted ones as well.",
            treatment="en_de",
            **{**_KEEPS, "control": ("vanilla", "permuted")},
        ),
        Check(id="adapters", statement="Adapters gain too.", metric="bli_unseen", treatment="lora", **_NULL),
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
    seeds=(31, 32, 33, 34),
    minutes=8,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("read_constraints",),
    inputs=("Constraint",),
    method=("encode_words", "nt_xent", "row_weights", "similarities", "specialize", "sup_con"),
    use=("audit", "table", "translate"),
)
