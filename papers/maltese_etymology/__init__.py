"""Maltese as code-switching: transliterate the words of Arabic origin into Arabic script and leave the others alone."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

_UNDERSTANDS = ("knows-arabic", "knows-the-rest", "does-not-know-maltese")
_WORDS: dict[str, Any] = {"metric": "mrr", "smallest": 0.02, "unit": "word"}
_BOTH: dict[str, Any] = {"treatment": "conditional", "control": ("raw", "all"), "null": "permuted"}
_ORIGIN: dict[str, Any] = {"treatment": "conditional", "control": ("mle", "distance"), "null": "permuted"}
_VALIDATED = (
    "in ten-fold cross-validation over 439 sentences (official code, which compares the three so; the tables were not "
    "available to us)."
)

PAPER = Paper(
    slug="maltese_etymology",
    title="Cross-Lingual Transfer from Related Languages: Treating Low-Resource Maltese as Multilingual Code-Switching",
    authors="Kurt Micallef, Nizar Habash, Claudia Borg, Fadhl Eryani, Houda Bouamor",
    year=2024,
    venue="EACL 2024",
    arxiv="2401.16895",
    family="encoders",
    summary=(
        "Labels every Maltese word with its origin and transliterates only those of Arabic origin: an encoder that "
        "knows Arabic, Italian and English understands more of its words than in either script."
    ),
    claims=(
        Claim(
            id="words-are-understood",
            statement="With Arabic-origin words alone in Arabic script, by predicted origin, an encoder that "
            "hardly knows Maltese words finds the English of a word alone better than with raw Maltese, and better "
            "than with all words transliterated.",
            reported='"Conditional transliteration based on word etymology yields the best results, surpassing '
            'fine-tuning with raw Maltese or Maltese processed with non-selective pipelines" (abstract). Here '
            "the mean reciprocal rank of a frozen encoder.",
            premises=_UNDERSTANDS,
            **_WORDS,
            **_BOTH,
        ),
        Claim(
            id="topics-are-learnt",
            statement="A classifier that is trained on eight processed sentences a topic tells the topics of others "
            "better than with raw Maltese, and better than with all words transliterated.",
            reported="Best on four downstream tasks, sentiment among them (abstract; the tables were not available to "
            "us). Here a linear probe over four topics.",
            metric="topics",
            smallest=0.03,
            unit="sentence",
            premises=("knows-arabic",),
            **_BOTH,
        ),
        Claim(
            id="origin-is-classified",
            statement="Memory with a CRF labels more tokens with their origin than memory alone, and than distances to "
            "words of Arabic, Italian and English.",
            reported=f"Evaluated {_VALIDATED}",
            metric="etymology",
            smallest=0.01,
            unit="sentence",
            **_ORIGIN,
        ),
        Claim(
            id="unseen-words-are-classified",
            statement="Of tokens that training had not seen, it labels more than memory does, and than distances.",
            reported=f"Evaluated apart from tokens seen in training, {_VALIDATED}",
            metric="etymology_unseen",
            smallest=0.02,
            unit="sentence",
            **_ORIGIN,
        ),
        Claim(
            id="fine-tuning",
            statement="Best in tagging, dependency parsing, named entities and sentiment after fine-tuning.",
            reported="Best results on four tasks (abstract).",
            out_of_scale="Annotated Maltese is on the hub alone and fine-tuning takes GPU hours; the paper presets do "
            "it for tagging and entities.",
        ),
        Claim(
            id="beats-translation",
            statement="Better than translating every word into Arabic, Italian or English.",
            reported="Surpasses non-selective pipelines (abstract).",
            out_of_scale="The paper's word translations come from a machine; where the task is to find a translation, "
            "a dictionary by hand would be the answer itself.",
        ),
    ),
    checks=(
        Check(
            id="gold-labels",
            statement="With the annotated origin instead of the predicted one, words are found better than with raw "
            "Maltese and with all words transliterated.",
            premises=_UNDERSTANDS,
            **_WORDS,
            **(_BOTH | {"treatment": "gold"}),
        ),
        Check(
            id="ranking-pays",
            statement="Choosing among readings by frequency finds more words than the deterministic spelling.",
            treatment="conditional",
            control="deterministic",
            **_WORDS,
        ),
        Check(
            id="inverse-is-worse",
            statement="Transliterating the other words and leaving those of Arabic origin finds fewer than raw text, "
            "than all words transliterated, and than labels dealt out anew.",
            treatment="inverse",
            control=("raw", "all", "permuted"),
            better="lower",
            **_WORDS,
        ),
        Check(
            id="unseen-words-alone",
            statement="Of words alone, which its training had in no spelling, it labels more than memory does, and "
            "than distances.",
            metric="etymology_words",
            smallest=0.02,
            unit="word",
            **_ORIGIN,
        ),
        Check(
            id="sentences-are-understood",
            statement="Sentences, too, find their English better than raw, and than with all words transliterated.",
            metric="sentences",
            smallest=0.02,
            unit="sentence",
            **_BOTH,
        ),
    ),
    premises=tuple(
        Premise(id=id, statement=statement, metric=metric, variant="raw", at_least=at_least)
        for id, metric, at_least, statement in (
            ("knows-arabic", "arabic", 0.7, "The encoder knows Arabic: Arabic names find their English."),
            ("knows-the-rest", "mrr_other", 0.5, "It reads Maltese words of other origin as they are."),
            (
                "does-not-know-maltese",
                "room",
                0.5,
                "It does not know Maltese: words of Arabic origin, as they are written, miss this share of the "
                "reciprocal rank.",
            ),
        )
    ),
    official_code="https://github.com/MLRS/malti/tree/2024.eacl",
    licence_note="The official code and its annotations are MIT, MAPA is CC BY 4.0; the terms of MUDT, BERTu "
    "and mBERTu have to be looked up.",
    # Folds of the classifiers and what the probe is trained on; the encoder is frozen, and the words are the same.
    seeds=(52, 53, 54, 55, 56, 57, 58, 59),
    minutes=6,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("Memory", "Processed", "Rule", "Scheme", "choose", "combine", "process", "transliterate", "written"),
    data=("labelled", "labelled_tokens", "language", "rankers", "tokenize"),
    etymology=("Classifier", "Features", "cross_validate", "nearness", "report"),
)
