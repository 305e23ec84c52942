"""TransMI: transliterate, merge, initialise. Strong baselines for romanised text without training."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Adapted by the paper's best mode, compared with the unmodified model, over languages.
_MAX: dict[str, Any] = {"treatment": "max", "control": "original", "unit": "language"}
_GAINS: dict[str, Any] = {**_MAX, "size": 0.03, "null": "random"}
_KEEPS: dict[str, Any] = {**_MAX, "keeps": True}

PAPER = Paper(
    slug="transmi",
    title=(
        "TransMI: A Framework to Create Strong Baselines from Multilingual Pretrained Language Models for "
        "Transliterated Data"
    ),
    authors="Yihong Liu, Chunlan Ma, Haotian Ye, Hinrich Schütze",
    year=2024,
    venue="COLING 2025",
    arxiv="2405.09913",
    family="encoders",
    deeds=("adapt", "merge"),
    summary=(
        "Adds the romanised form of every vocabulary piece to a multilingual encoder, with score and embedding copied "
        "from the piece: the model reads romanised text, and nothing is trained."
    ),
    claims=(
        Claim(
            id="reads-romanised-text",
            statement="On romanised text the adapted encoder finds translations that the unmodified one misses: "
            "accuracy@1 rises by more than 3 points, the least gain that the paper reports.",
            reported="Consistent improvement of 3 % to 34 % over models and tasks (abstract), here as points.",
            metric="acc1_romanised",
            premises=("retrieves",),
            **_GAINS,
        ),
        Claim(
            id="topics-of-romanised-text",
            statement="Fine-tuned on English, the adapted encoder tells the topics of romanised text better: macro-F1 "
            "rises by more than 3 points.",
            reported="3 % to 34 % over models and tasks (abstract); Taxi1500 and SIB200 are its classification tasks.",
            metric="topics_romanised",
            premises=("classifies",),
            **_GAINS,
        ),
        Claim(
            id="tags-of-romanised-text",
            statement="Fine-tuned on English, the adapted encoder tags romanised words better: F1 over entities rises "
            "by more than 3 points.",
            reported="3 % to 34 % over models and tasks (abstract); NER and POS are its tagging tasks.",
            metric="tags_romanised",
            premises=("tags",),
            **_GAINS,
        ),
        Claim(
            id="keeps-latin-script",
            statement="Languages in Latin script, whose text new pieces can cut differently, lose at most one point of "
            "accuracy@1.",
            reported='"Preserves their ability to handle non-transliterated data" (abstract). The size is ours: a '
            "third of the least gain.",
            metric="acc1_latin",
            size=0.01,
            premises=("retrieves",),
            null="random",
            **_KEEPS,
        ),
        Claim(
            id="max-merge-is-best",
            statement="Max-Merge retrieves more translations of romanised text than Average-Merge and Min-Merge.",
            reported="Max-Merge generally performs best over tasks and models (as summarised by others; the tables "
            "were not available to us).",
            metric="acc1_romanised",
            treatment="max",
            control=("average", "min"),
            smallest=0.01,
            unit="language",
            premises=("retrieves",),
            null="random",
        ),
    ),
    checks=(
        Check(
            id="segmentation-alone",
            statement="With the same new pieces and random vectors, fewer translations are found than by the "
            "unmodified model: what helps is the copied vectors, not the segmentation.",
            metric="acc1_romanised",
            treatment="random",
            control="original",
            better="lower",
            smallest=0.01,
            unit="language",
        ),
        Check(
            id="fewer-pieces",
            statement="Romanised messages are cut into fewer pieces than by the original tokenizer.",
            metric="length_romanised",
            better="lower",
            smallest=0.1,
            **_MAX,
        ),
        # No claim: where new pieces hardly apply, random vectors keep as much.
        Check(
            id="keeps-native-script",
            statement="Languages in other scripts lose at most one point of accuracy@1 as they are written.",
            metric="acc1_native",
            size=0.01,
            premises=("retrieves",),
            **_KEEPS,
        ),
        Check(
            id="keeps-latin-topics",
            statement="Topics of languages in Latin script: at most three points of macro-F1 are lost.",
            metric="topics_latin",
            size=0.03,
            **_KEEPS,
        ),
        Check(
            id="keeps-latin-tags",
            statement="Tags of languages in Latin script: at most three points of F1 are lost.",
            metric="tags_latin",
            size=0.03,
            **_KEEPS,
        ),
    ),
    premises=(
        Premise(
            id="retrieves",
            statement="The unmodified encoder finds translations of text as it is written.",
            metric="acc1_native",
            variant="original",
            at_least=0.7,
        ),
        Premise(
            id="classifies",
            statement="The unmodified encoder, fine-tuned on English, tells topics of text as it is written.",
            metric="topics_native",
            variant="original",
            at_least=0.3,
        ),
        Premise(
            id="tags",
            statement="The unmodified encoder, fine-tuned on English, finds names in text as it is written.",
            metric="tags_native",
            variant="original",
            at_least=0.2,
        ),
    ),
    official_code="https://github.com/cisnlp/TransMI",
    licence_note="XLM-R is MIT, Glot500 Apache-2.0; the official code and the data of Taxi1500 carry no open licence.",
    # Samples of messages, drawn together without replacement (`data.DISJOINT`).
    seeds=(21, 22, 23),
    minutes=14,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("adapt", "transliterate", "merge", "initialize", "random_rows", "NewPiece", "Adapted"),
)
