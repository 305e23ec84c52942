"""MEXA: estimate what an English-centric language model can do in a language from parallel sentences alone."""

from __future__ import annotations

import importlib
from typing import Any

from core.experiment.paper import Claim, Paper

PAPER = Paper(
    slug="mexa",
    title="MEXA: Multilingual Evaluation of English-Centric LLMs via Cross-Lingual Alignment",
    authors=("Amir Hossein Kargaran, Ali Modarressi, Nafiseh Nikeghbal, Jana Diesner, François Yvon, Hinrich Schütze"),
    year=2024,
    venue="Findings of ACL 2025",
    arxiv="2410.05873",
    family="evaluation",
    summary=(
        "Counts how many translation pairs are each other's nearest neighbours inside a model, layer by layer: from "
        "100 parallel sentences to an estimate of the model's ability in languages that no benchmark covers."
    ),
    claims=(
        Claim(
            id="predicts-task-scores",
            statement="Across 20 languages, MEXA from interface messages correlates with the model's accuracy in a "
            "word-meaning task (r > 0).",
            reported="Mean r = 0.90 over 9 models, 3 tasks and 2 parallel corpora (abstract).",
            metric="score",
            unit="language",
            treatment="mexa",
            control=0.0,
            correlated_with="task_score",
        ),
        Claim(
            id="estimates-unseen-languages",
            statement="A line fitted to the other languages predicts a language's accuracy with less error than their "
            "mean does (leave one out).",
            reported="Lines are fitted for Llama-3.1-8B and used for languages without a benchmark; no error is given.",
            metric="estimate_error",
            unit="language",
            treatment="mexa",
            control="mexa",
            control_metric="baseline_error",
            better="lower",
        ),
        Claim(
            id="sink-hides-alignment",
            statement="Leaving the first position (the attention sink) out of the sentence vector raises the score.",
            reported="Not examined: the official code includes the first position.",
            metric="score",
            unit="language",
            treatment="mexa",
            control="keep_sink",
        ),
        Claim(
            id="falls-off-at-the-end",
            statement="In the best-aligned quarter of the languages, the last layer has at most half of the peak.",
            reported="Layer curves rise to a peak inside the stack and fall towards the last layer (figures).",
            metric="last_over_peak",
            unit="language",
            treatment="mexa",
            control=0.5,
            better="lower",
        ),
        Claim(
            id="rises-above-the-embeddings",
            statement="In the same languages, the embedding layer has less than the peak.",
            reported="Layer curves rise to a peak inside the stack and fall towards the last layer (figures).",
            metric="first_over_peak",
            unit="language",
            treatment="mexa",
            control=1.0,
            better="lower",
        ),
        Claim(
            id="shuffled-is-chance",
            statement="With shuffled sentence ids the score is below that of random similarities, 1/(2n - 1).",
            reported="P(score >= 0.05) = 0.00016 for 100 random sentences; the control is ours.",
            metric="above_chance",
            unit="language",
            treatment="shuffled",
            control=0.0,
            better="lower",
        ),
        Claim(
            id="more-than-lexical-overlap",
            statement="In the middle third of the layers, an untrained copy of the model, which sees shared words and "
            "digits and nothing else, scores lower.",
            reported="Not examined; the control is ours.",
            metric="middle",
            unit="language",
            treatment="untrained",
            control="mexa",
            better="lower",
        ),
        Claim(
            id="less-than-half-by-overlap",
            statement="In four languages close to English (fr, es, it, nl) it reaches less than half of the score.",
            reported="Not examined; the control and the threshold are ours.",
            metric="middle_related",
            unit="language",
            treatment="untrained",
            control="mexa",
            control_metric="half_middle_related",
            better="lower",
        ),
        Claim(
            id="multilingual-encoder-scores-higher",
            statement="A multilingual sentence encoder (e5-small) scores higher in the same languages.",
            reported="Not examined; the contrast is ours.",
            metric="score",
            unit="language",
            treatment="encoder",
            control="mexa",
        ),
        Claim(
            id="encoder-keeps-it-to-the-end",
            statement="The encoder keeps more of its peak in the last layer than the English-centric model.",
            reported="Not examined; the contrast is ours.",
            metric="last_over_peak",
            unit="language",
            treatment="encoder",
            control="mexa",
            paired=False,
        ),
        Claim(
            id="beats-cosine-five-layers",
            statement="As in the paper's comparison (last token, layers 5, 10, 15, 20, 25), MEXA correlates better "
            "with accuracy than the cosine of parallel pairs.",
            reported="Belebele, 116 languages: Gemma-1-7B .9260 against .7651, Llama-1-7B .8365 against .6473.",
            metric="score",
            unit="language",
            treatment="mexa_five_layers",
            control="abs_cosine_five_layers",
            correlated_with="task_score",
        ),
        Claim(
            id="beats-cosine",
            statement="With the default sentence vectors and all layers, MEXA correlates better with accuracy than the "
            "cosine of parallel pairs.",
            reported="Compared for the last token and five layers only.",
            metric="score",
            unit="language",
            treatment="mexa",
            control="abs_cosine",
            correlated_with="task_score",
        ),
        Claim(
            id="cosine-does-not-discriminate",
            statement="Across languages, the cosine of parallel pairs follows that of non-parallel pairs (r > 0).",
            reported="r = .9232 (Gemma-1-7B) and .9064 (Llama-1-7B).",
            metric="score",
            unit="language",
            treatment="abs_cosine_five_layers",
            control=0.0,
            correlated_with="nonparallel_cosine",
        ),
        Claim(
            id="weighted-beats-last-token",
            statement="The position-weighted average correlates better with accuracy than the last token.",
            reported="Mean pooling: .8779 against .7396 with the Bible, but .9286 against .9303 with FLORES.",
            metric="score",
            unit="language",
            treatment="mexa",
            control="last",
            correlated_with="task_score",
        ),
        Claim(
            id="mean-beats-max",
            statement="Mean pooling over layers correlates better with accuracy than max pooling.",
            reported="Weighted: .9286 against .9047 with FLORES, .8779 against .8458 with the Bible.",
            metric="score",
            unit="language",
            treatment="mexa",
            control="max",
            correlated_with="task_score",
        ),
        Claim(
            id="nine-models",
            statement="r = 0.90 on average over nine models from 7B to 70B, Belebele, m-MMLU and m-ARC.",
            reported="FLORES .9300, Bible .8779 (weighted, mean pooling).",
            out_of_scale="Needs models of 7B and more, and gated corpora from the hub: preset `paper`.",
        ),
    ),
    minutes=4,
    official_code="https://github.com/cisnlp/Mexa",
    licence_note=(
        "The official code is Apache-2.0. FLORES+ is CC-BY-SA-4.0 and gated, sPBC is gated with a licence for each "
        "translation, Belebele is CC-BY-SA-4.0, m-MMLU and m-ARC are CC-BY-NC-4.0; Llama and Gemma have own terms."
    ),
    seeds=(0, 1, 2),
    extra_variants=(
        "last_max",
        "keep_sink_max",
        "plain_mean",
        "plain_mean_max",
        "abs_cosine_last",
        "cosine_gap",
        "retrieval",
        "centered",
        "cka",
        "rsa",
    ),
)

_EXPORTS = {
    "mexa": "method",
    "mutual_nearest": "method",
    "token_weights": "method",
    "weighted_embeddings": "method",
    "Grams": "method",
    "grams": "method",
    "centre": "method",
    "cosines": "method",
    "layer_curve": "method",
    "pool_layers": "method",
    "chance": "method",
    "chance_tail": "method",
    "chance_band": "method",
    "bootstrap_over_sentences": "method",
    "compare_models": "method",
    "adjusted": "method",
    "ideal_line": "method",
    "fit_line": "method",
    "embed": "embedding",
    "Alignment": "scoring",
    "align": "scoring",
    "mexa_score": "scoring",
    "estimate_task_scores": "scoring",
}
__all__ = ["PAPER", *_EXPORTS]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
