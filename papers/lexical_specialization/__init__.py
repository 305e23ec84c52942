"""Lexical specialization (BabelBERT): one contrastive pass over multilingual synsets makes an encoder of words."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Languages are drawn, and with them the words that are asked for; a word's value is the mean over the languages that
# are searched.
_BY_LANGUAGE: dict[str, Any] = {"unit": "language", "null": "permuted"}
_GAINS: dict[str, Any] = {**_BY_LANGUAGE, "treatment": "specialized", "control": "vanilla"}

PAPER = Paper(
    slug="lexical_specialization",
    title="Massively Multilingual Lexical Specialization of Multilingual Transformers",
    authors="Tommaso Green, Simone Paolo Ponzetto, Goran Glavaš",
    year=2022,
    venue="ACL 2023",
    arxiv="2208.01018",
    family="fine-tuning",
    summary=(
        "One cheap contrastive pass over synonyms in many languages turns a multilingual encoder into an encoder of "
        "words, in languages without a single synonym too."
    ),
    claims=(
        Claim(
            id="unseen-languages",
            statement="After one short pass over synonyms in six languages, words of eight other languages find their "
            "translations among each other better: mean reciprocal rank rises by more than 0.03.",
            reported="Gains for languages unseen in specialization (abstract); the size is ours.",
            metric="bli_unseen",
            size=0.03,
            premises=("knows-words",),
            **_GAINS,
        ),
        Claim(
            id="seen-languages",
            statement="So do words of the six languages, of concepts that no synonym names: mean reciprocal rank rises "
            "by more than 0.05.",
            reported="Substantial gains in bilingual lexicon induction (abstract); the size is ours.",
            metric="bli_seen",
            size=0.05,
            premises=("knows-words",),
            **_GAINS,
        ),
        Claim(
            id="sentence-retrieval",
            statement="Sentences of the eight other languages are found by their English translations more often.",
            reported="Substantial gains in cross-lingual sentence retrieval as well (abstract).",
            metric="sentences_unseen",
            smallest=0.01,
            **_GAINS,
        ),
        Claim(
            id="quantity",
            statement="Synonyms in two languages alone, English and German, help unseen languages more than an eighth "
            "as many in six languages.",
            reported="The number of constraints plays a much greater role than the languages that they come from "
            "(abstract, controlled experiments).",
            metric="bli_unseen",
            treatment="en_de",
            control="eighth",
            smallest=0.01,
            **_BY_LANGUAGE,
        ),
        Claim(
            id="word-similarity",
            statement="Cosines of words agree better with human ratings of similarity across languages.",
            reported="Substantial gains in cross-lingual word similarity (abstract), Spearman's correlation on 66 pairs "
            "of languages of Multi-SimLex.",
            out_of_scale="No installable package has ratings in several languages; preset `paper` measures it on the "
            "official repository's copy.",
        ),
    ),
    premises=(
        Premise(
            id="knows-words",
            statement="The encoder as it is finds translations of words of unseen languages.",
            metric="bli_unseen",
            variant="vanilla",
            at_least=0.1,
        ),
    ),
    official_code="https://github.com/umanlp/babelbert",
    licence_note="Code MIT; constraints and released encoders under BabelNet's non-commercial licence.",
    seeds=(31, 32, 33),
    minutes=15,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("read_constraints",),
    inputs=("Constraint",),
    method=("encode_words", "nt_xent", "row_weights", "similarities", "specialize", "sup_con"),
    use=("audit", "table", "translate"),
)
