"""TransMI: transliterate, merge, initialise. Strong baselines for romanised text without training."""

from __future__ import annotations

import importlib
from typing import Any

from core.experiment.paper import Claim, Paper

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
    family="adaptation",
    summary=(
        "Adds the romanised form of every vocabulary piece to a multilingual encoder, with score and embedding copied "
        "from the piece: the model reads romanised text, and nothing is trained."
    ),
    claims=(
        Claim(
            id="reads-romanised-text",
            statement="On romanised text, TransMI retrieves translations better than the unmodified model, by more "
            "than 20 points of accuracy@1.",
            reported="Consistent improvement of 3 % to 34 % over models and tasks (abstract). The margin of 20 points "
            "is ours, set for this model and task.",
            metric="acc1_romanised",
            unit="language",
            treatment="max",
            control="original",
            size=0.20,
        ),
        Claim(
            id="every-language-gains",
            statement="The gain on romanised text is there in every language and sample (share of languages that "
            "gain accuracy@1: all of them, within 2 %).",
            reported="The improvement is called consistent (abstract).",
            metric="gains",
            unit="language",
            treatment="max",
            control=1.0,
            better="equal",
            size=0.02,
        ),
        Claim(
            id="segmentation-alone-does-not-help",
            statement="With the same new pieces but random vectors, accuracy@1 on romanised text is not above the "
            "unmodified model's by more than 3 points.",
            reported="The initialise step is one of the three stages (abstract); this control is ours.",
            metric="acc1_romanised",
            unit="language",
            treatment="random",
            control="original",
            better="lower",
            keeps=True,
            size=0.03,
        ),
        Claim(
            id="copied-vectors-do-it",
            statement="Copied vectors beat random vectors in the same vocabulary.",
            reported="The initialise step is one of the three stages (abstract); this control is ours.",
            metric="acc1_romanised",
            unit="language",
            treatment="max",
            control="random",
        ),
        Claim(
            id="keeps-native-script",
            statement="On text in its own script nothing changes: accuracy@1 within one point of the unmodified model.",
            reported='"Preserves their ability to handle non-transliterated data" (abstract).',
            metric="acc1_native",
            unit="language",
            treatment="max",
            control="original",
            better="equal",
            size=0.01,
        ),
        Claim(
            id="fewer-pieces",
            statement="Romanised messages are cut into fewer pieces than by the original tokenizer.",
            reported="Follows from the merge stage; no number known to us.",
            metric="length_romanised",
            unit="language",
            treatment="max",
            control="original",
            better="lower",
        ),
        Claim(
            id="vocabulary-growth",
            statement="The XLM-R vocabulary grows by as many pieces as in the released models, within 0.2 %.",
            reported="106,790 (vocabulary size 356,792 in the configurations of the released XLM-R models).",
            metric="new_pieces",
            unit="language",
            treatment="max",
            control=106_790.0,
            better="equal",
            size=213.0,
        ),
        Claim(
            id="max-merge-is-best",
            statement="Max-Merge beats Average-Merge and Min-Merge on romanised text.",
            reported="Max-Merge generally performs best over tasks and models (as summarised by others; the tables "
            "were not available to us).",
            metric="acc1_romanised",
            unit="language",
            treatment="max",
            control=("average", "min"),
        ),
        Claim(
            id="downstream-tasks",
            statement="Fine-tuned on English, TransMI models beat the unmodified ones on romanised Taxi1500, SIB200, "
            "WikiANN and UD test sets.",
            reported="3 % to 34 % over models and tasks (abstract).",
            out_of_scale="Needs XLM-R, Glot500 or Furina, and the labelled data from the hub; presets `paper-sib200`, "
            "`paper-taxi1500`, `paper-ner` and `paper-pos`.",
        ),
    ),
    official_code="https://github.com/cisnlp/TransMI",
    licence_note="XLM-R is MIT, Glot500 Apache-2.0; the official code and the data of Taxi1500 carry no open licence.",
    seeds=(0, 1, 2),
    extra_variants=("official",),
    minutes=12,
)

_EXPORTS = {
    "adapt": "method",
    "transliterate_merge_initialize": "method",
    "transliterate": "method",
    "merge": "method",
    "initialize": "method",
    "random_rows": "method",
    "NewPiece": "method",
    "Report": "method",
    "Adapted": "method",
}
__all__ = ["PAPER", *_EXPORTS]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
