"""MEXA: estimate what an English-centric language model can do in a language from parallel sentences alone."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# How well a score goes along with accuracy: r over languages, whose null arm pairs the sentences at random.
_R: dict[str, Any] = {
    "metric": "score",
    "correlated_with": "task_score",
    "unit": "language",
    "smallest": 0.1,
    "premises": ("answers",),
}

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
            statement="The better a language's sentences align with English inside the model, the better the model "
            "answers in it: over 20 languages, MEXA correlates with accuracy in an unrelated task (r > 0).",
            reported="Mean r = 0.90 over 9 models, 3 tasks and 2 parallel corpora (abstract).",
            treatment="mexa",
            null="shuffled",
            **_R,
        ),
        Claim(
            id="official-vectors-predict",
            statement="So does MEXA from sentence vectors that include the first position, as in the official code.",
            reported="Mean r = 0.90; the official code includes the first position.",
            treatment="keep_sink",
            null="shuffled",
            **_R,
        ),
        Claim(
            id="peaks-inside",
            statement="The layer that aligns most of one half of the sentences also aligns more of the other half than "
            "the embeddings and the last layer do, whichever of the two aligns more.",
            reported="Layer curves rise to a peak inside the stack and fall towards the last layer (figures).",
            metric="hump",
            unit="language",
            treatment="mexa",
            smallest=0.02,
            null="untrained",
        ),
        Claim(
            id="beats-cosine-five-layers",
            statement="As in the paper's comparison (last token, layers 5, 10, 15, 20, 25), MEXA correlates better "
            "with accuracy than the cosine of parallel pairs.",
            reported="Belebele, 116 languages: Gemma-1-7B .9260 against .7651, Llama-1-7B .8365 against .6473.",
            treatment="mexa_five_layers",
            control="abs_cosine_five_layers",
            null="shuffled",
            **_R,
        ),
        Claim(
            id="cosine-does-not-discriminate",
            statement="Over languages, the cosine of parallel pairs follows that of pairs that are no translations "
            "(r > 0).",
            reported="r = .9232 (Gemma-1-7B) and .9064 (Llama-1-7B).",
            metric="score",
            unit="language",
            treatment="abs_cosine_five_layers",
            correlated_with="nonparallel_cosine",
            smallest=0.1,
        ),
        Claim(
            id="weighted-beats-last-token",
            statement="The position-weighted average correlates better with accuracy than the last token.",
            reported="Mean pooling: .8779 against .7396 with the Bible, but .9286 against .9303 with FLORES.",
            treatment="mexa",
            control="last",
            null="shuffled",
            **_R,
        ),
        Claim(
            id="mean-beats-max",
            statement="Mean pooling over layers correlates better with accuracy than max pooling.",
            reported="Weighted: .9286 against .9047 with FLORES, .8779 against .8458 with the Bible.",
            treatment="mexa",
            control="max",
            null="shuffled",
            **_R,
        ),
        Claim(
            id="nine-models",
            statement="r = 0.90 on average over nine models from 7B to 70B, Belebele, m-MMLU and m-ARC.",
            reported="FLORES .9300, Bible .8779 (weighted, mean pooling).",
            out_of_scale="Needs models of 7B and more, and gated corpora: presets `paper` and `paper-bible`, averaged "
            "by `use average`.",
        ),
    ),
    checks=(
        Check(
            id="more-than-shared-letters",
            statement="MEXA correlates better with accuracy than the same score of an untrained copy of the model, "
            "which sees shared words and digits and nothing else.",
            treatment="mexa",
            control="untrained",
            null="shuffled",
            **_R,
        ),
        Check(
            id="aligns-more-than-untrained",
            statement="At the layer that each does best on one half of the sentences, the model aligns more of the "
            "other half than its untrained copy.",
            metric="peak",
            unit="language",
            treatment="mexa",
            control="untrained",
            smallest=0.02,
            null="shuffled",
        ),
        Check(
            id="beats-cosine",
            statement="With the default sentence vectors and all layers, MEXA correlates better with accuracy than the "
            "cosine of parallel pairs: with mean pooling, with max pooling, and with the first position kept.",
            treatment="mexa",
            control=("abs_cosine", "abs_cosine_max", "abs_cosine_sink"),
            null="shuffled",
            **_R,
        ),
        Check(
            id="estimates-unseen-languages",
            statement="A line fitted to the other languages is nearer to a language's accuracy than their mean is "
            "(leave one out).",
            metric="estimate_gain",
            unit="language",
            treatment="mexa",
            smallest=0.01,
            premises=("answers",),
            null="shuffled",
        ),
        Check(
            id="sink-hides-alignment",
            statement="Leaving the first position (the attention sink) out of the sentence vector raises the score.",
            metric="score",
            unit="language",
            treatment="mexa",
            control="keep_sink",
            smallest=0.005,
            null="shuffled",
        ),
        Check(
            id="more-than-chance",
            statement="More pairs are mutual neighbours than a random pairing of the same sentences would have.",
            metric="above_chance",
            unit="language",
            treatment="mexa",
            smallest=0.005,
            null="shuffled",
        ),
        Check(
            id="shuffled-is-chance",
            statement="The null arm is at chance: a random pairing has M/n² within half a point.",
            metric="above_chance",
            unit="language",
            treatment="shuffled",
            better="equal",
            size=0.005,
        ),
        Check(
            id="multilingual-encoder-scores-higher",
            statement="A multilingual sentence encoder (e5-small) scores higher in the same languages.",
            metric="score",
            unit="language",
            treatment="encoder",
            control="mexa",
            smallest=0.02,
        ),
    ),
    premises=(
        Premise(
            id="answers",
            statement="In the quarter of the languages that it knows best, the model can do the task.",
            metric="task_best",
            variant="mexa",
            at_least=0.5,
        ),
    ),
    minutes=4,
    official_code="https://github.com/cisnlp/Mexa",
    licence_note=(
        "The official code is Apache-2.0. FLORES+ is CC-BY-SA-4.0 and gated, sPBC is gated with a licence for each "
        "translation, Belebele is CC-BY-SA-4.0, m-MMLU and m-ARC are CC-BY-NC-4.0; Llama and Gemma have own terms."
    ),
    # Samples of messages and words, drawn together without replacement (`miniature.DISJOINT`).
    seeds=(36, 37, 38),
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=(
        "adjusted",
        "chance_tail",
        "cosines",
        "embed",
        "ideal_line",
        "mexa",
        "mutual_nearest",
        "pool_layers",
        "token_weights",
        "weighted_embeddings",
    ),
    use=("Alignment", "estimate_task_scores", "mexa_score"),
)
