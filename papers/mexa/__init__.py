"""MEXA: estimate what an English-centric language model can do in a language from parallel sentences alone."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public


def _compared(metric: str, treatment: str, control: str | float, smallest: float, **others: Any) -> dict[str, Any]:
    """The mean of a metric over languages; the null arm pairs the sentences at random."""
    named = {"metric": metric, "treatment": treatment, "control": control, "smallest": smallest}
    return {"unit": "language", "null": "shuffled", **named, **others}


def _correlated(treatment: str, control: str | float = 0.0, metric: str = "score", **others: Any) -> dict[str, Any]:
    """How well a score goes along with accuracy: r over languages, with the same null arm."""
    usual = {"correlated_with": "task_score", "premises": ("answers",)}
    return _compared(metric, treatment, control, 0.1, **{**usual, **others})


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
            statement="The better a language's interface messages align with English inside the model, the better the "
            "model knows the language's words: over 20 languages, MEXA with the official sentence vectors correlates "
            "with accuracy in word meaning (r > 0, which shared letters alone have, too).",
            reported="Mean r = 0.90 over 9 models, 3 tasks and 2 parallel corpora (abstract).",
            **_correlated("mexa"),
        ),
        Claim(
            id="peaks-inside",
            statement="Of the middle half of the layers, the one that aligns most of one half of the sentences aligns "
            "more of the other half than the embeddings and the last layer do, whichever of the two aligns more.",
            reported="Layer curves rise to a peak inside the stack and fall towards the last layer (figures).",
            **_compared("hump", "mexa", 0.0, 0.02, null="untrained"),
        ),
        Claim(
            id="beats-cosine-five-layers",
            statement="As in the paper's comparison (last token, layers 5, 10, 15, 20, 25), MEXA correlates better "
            "with accuracy than the cosine of parallel pairs.",
            reported="Belebele, 116 languages: Gemma-1-7B .9260 against .7651, Llama-1-7B .8365 against .6473.",
            **_correlated("mexa_five_layers", "abs_cosine_five_layers"),
        ),
        Claim(
            id="cosine-does-not-discriminate",
            statement="Over languages, the cosine of parallel pairs follows that of pairs that are no translations "
            "(r > 0).",
            reported="r = .9232 (Gemma-1-7B) and .9064 (Llama-1-7B).",
            **_correlated("abs_cosine_five_layers", correlated_with="nonparallel_cosine", null=None, premises=()),
        ),
        Claim(
            id="weighted-beats-last-token",
            statement="The position-weighted average correlates better with accuracy than the last token.",
            reported="Mean pooling: .8779 against .7729 with the Bible, but .9300 against .9303 with FLORES.",
            **_correlated("mexa", "last"),
        ),
        Claim(
            id="mean-beats-max",
            statement="Mean pooling over layers correlates better with accuracy than max pooling.",
            reported="Weighted: .9300 against .9047 with FLORES, .8779 against .8458 with the Bible.",
            **_correlated("mexa", "max"),
        ),
        Claim(
            id="nine-models",
            statement="r = 0.90 on average over nine models from 7B to 70B, Belebele, m-MMLU and m-ARC.",
            reported="FLORES .9300, Bible .8779 (weighted, mean pooling).",
            out_of_scale="Needs models of 7B and more, and gated corpora: presets `paper` and `paper-bible`.",
        ),
    ),
    checks=(
        Check(
            id="more-than-shared-letters",
            statement="MEXA correlates better with accuracy than the share of sentences that shared letters pair.",
            **_correlated("mexa", "mexa", control_metric="overlap"),
        ),
        Check(
            id="beyond-shared-letters",
            statement="What shared letters leave unexplained of MEXA goes along with what they leave of accuracy "
            "(partial r > 0).",
            **_correlated("mexa", metric="score_beyond", correlated_with="task_beyond"),
        ),
        Check(
            id="correlates-more-than-untrained",
            statement="MEXA correlates better with accuracy than the same score of an untrained copy of the model "
            "(first position left out of both).",
            **_correlated("drop_first", "untrained"),
        ),
        Check(
            id="beats-cosine",
            statement="With the default sentence vectors and all layers, too, MEXA correlates better with accuracy "
            "than the cosine of parallel pairs.",
            **_correlated("mexa", "abs_cosine"),
        ),
        Check(
            id="first-position-hides-correlation",
            statement="Leaving the first position (the attention sink) out of the sentence vector raises the "
            "correlation with accuracy.",
            **_correlated("drop_first", "mexa"),
        ),
        Check(
            id="first-position-hides-alignment",
            statement="Leaving it out raises the score itself.",
            **_compared("score", "drop_first", "mexa", 0.005),
        ),
        Check(
            id="last-token-peaks-inside",
            statement="The vectors of the last token have their peak inside the stack, judged like those of the claim.",
            **_compared("hump", "last", 0.0, 0.02),
        ),
        Check(
            id="middle-aligns-more-than-untrained",
            statement="In the mean over the middle half of the layers, the model aligns more than its untrained copy "
            "(first position left out of both).",
            **_compared("middle", "drop_first", "untrained", 0.01),
        ),
        Check(
            id="twice-the-untrained-copy",
            statement="In French, Spanish, Italian and Dutch, half of what the model's middle layers align is still "
            "more than what those of the untrained copy do.",
            **_compared("half_middle", "drop_first", "untrained", 0.01, control_metric="middle"),
        ),
        Check(
            id="estimates-unseen-languages",
            statement="A line fitted to the other languages is nearer to a language's accuracy than their mean is "
            "(leave one out).",
            **_compared("estimate_gain", "mexa", 0.0, 0.01, premises=("answers",)),
        ),
        Check(
            id="multilingual-encoder-scores-higher",
            statement="A multilingual sentence encoder (e5-small) scores higher in the same languages.",
            **_compared("score", "encoder", "mexa", 0.02, null=None),
        ),
    ),
    premises=(
        Premise(
            id="answers",
            statement="In the quarter of the languages that it knows best, the model can do the task (guessing: 0.25).",
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
    seeds=(39, 40, 41),
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("chance_tail", "cosines", "embed", "ideal_line", "mexa", "mutual_nearest", "pool_layers", "token_weights",
            "weighted_embeddings"),
    use=("Alignment", "estimate_task_scores", "mexa_score"),
)  # fmt: skip
