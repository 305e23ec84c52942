"""Contrastive rewards for multilingual text-to-SQL: queries that run are rewarded for being near their question."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

_PREMISES = ("some-run", "varied", "reward-works")
# Seeds draw queries, phrasings, carelessness and weights. A difference of less than .02 would be of no use to anyone.
_VALID: dict[str, Any] = {"metric": "valid", "unit": "language", "smallest": 0.02, "premises": _PREMISES}
_SEMANTIC = _VALID | {"metric": "semantic"}
_METHOD = {"treatment": "contrastive", "premises": (*_PREMISES, "encoder-tells"), "null": "mismatched"}

PAPER = Paper(
    slug="sql_contrastive",
    title="Bridging the Semantic Gap: Contrastive Rewards for Multilingual Text-to-SQL with GRPO",
    authors="A. Kattamuri, I. Prasad, M. Malhotra, A. Vats, R. Raja, A. Lie",
    year=2025,
    venue="SMAP 2025",
    arxiv="2510.13827",
    family="reasoning",
    summary="Rewards a policy for SQL that runs and whose vector is near the question's, by an encoder that is trained "
    "contrastively on pairs of questions in seven languages and queries.",
    claims=(
        Claim(
            id="contrastive-semantic",
            statement="Beside execution, the contrastive reward, whose encoder has read 4,000 questions with right "
            "queries, raises semantic accuracy by at least .0685.",
            reported="Semantic accuracy 59.14 % against 52.29 % with GRPO alone, +6.85 points (abstract).",
            **_SEMANTIC | _METHOD,
            control="execution",
            size=0.0685,
        ),
        Claim(
            id="contrastive-executes",
            statement="It costs no execution: at most .02 fewer queries run.",
            reported="88.86 % against 87.4 % with GRPO alone (abstract); the margin is ours.",
            **_VALID | _METHOD | {"null": None},  # nearness to any question costs no execution either
            control="execution",
            keeps=True,
            size=0.02,
        ),
        Claim(
            id="grpo-executes",
            statement="GRPO with rewards for format and execution makes at least .26 more of the queries run.",
            reported="Execution accuracy 87.4 %, +26 points over zero-shot (abstract).",
            **_VALID,
            treatment="execution",
            control="start",
            size=0.26,
        ),
        Claim(
            id="grpo-semantic",
            statement="It raises semantic accuracy by at least .3286.",
            reported="Semantic accuracy 52.29 %, +32.86 points over zero-shot (abstract); its rewards are not said.",
            **_SEMANTIC,
            treatment="execution",
            control="start",
            size=0.3286,
        ),
        Claim(
            id="vietnamese",
            statement="In Vietnamese the contrastive reward raises semantic accuracy by at least .10.",
            reported="Up to +10 points, for Vietnamese (abstract).",
            **_SEMANTIC | _METHOD | {"metric": "semantic_vi", "unit": "seed"},
            control="execution",
            size=0.10,
        ),
        Claim(
            id="smaller-than-8b",
            statement="A model of 3B with it runs more queries than one of 8B without tuning.",
            reported="88.86 % against 81.43 %; in semantic accuracy still behind, 59.14 % against 68.57 % (abstract).",
            out_of_scale="Needs models of the paper's size: preset `paper`, `papers plan sql_contrastive`.",
        ),
        Claim(
            id="language-gap",
            statement="Outside English models execute 6 points worse.",
            reported="An average decline of 6 percentage points across non-English languages (abstract).",
            out_of_scale="The gap of the small policy is that of its tuning questions, which we chose.",
        ),
    ),
    checks=(
        Check(
            id="reranks",
            statement="Without gold, the encoder's choice among eight answers of the policy before any reward is right "
            "more often than the first that runs.",
            **_SEMANTIC | _METHOD | {"metric": "reranked"},
            control="contrastive",
            control_metric="first_that_runs",
        ),
        Check(
            id="hard-negatives",
            statement="An encoder trained without hard negatives chooses worse.",
            **_SEMANTIC | _METHOD | {"metric": "reranked"},
            control="in_batch",
        ),
        Check(
            id="better-than-tuning",
            statement="It does better than tuning the policy on the questions and gold queries that the encoder reads.",
            **_SEMANTIC | _METHOD,
            control="tuned",
        ),
        Check(
            id="near-the-bound",
            statement="It falls behind a reward for the gold result by at most .10.",
            **_SEMANTIC | _METHOD,
            control="result",
            keeps=True,
            size=0.10,
        ),
    ),
    premises=(
        Premise(
            id="some-run",
            statement="Before any reward some queries run and some do not: the smaller share is .1 at least.",
            metric="start_either",
            variant="contrastive",
            at_least=0.1,
        ),
        Premise(
            id="reward-works",
            statement="A reward for the gold result raises semantic accuracy: where it does not, no reward can.",
            metric="gain",
            variant="result",
            at_least=0.1,
        ),
        Premise(
            id="varied",
            statement="Of eight answers before any reward one at least is right, for many questions: rewards vary.",
            metric="any_of_group",
            variant="contrastive",
            at_least=0.3,
        ),
        Premise(
            id="encoder-tells",
            statement="In each language the encoder puts gold before its edits that run, what a careless writer could "
            "have written and gold of other questions, on questions whose queries it never read as right ones.",
            metric="audit_worst",
            variant="contrastive",
            at_least=0.85,
        ),
    ),
    licence_note="There is no official code and no released model. Llama 3.2 has a licence of its own, XLM-R is MIT; "
    "the code of MultiSpider is CC BY-NC 4.0, Spider's data CC BY-SA 4.0.",
    seeds=(10, 11, 12, 13),
    minutes=21,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("Item", "Scorer", "contrastive_loss", "learn", "rerank", "rewards", "total"),
    sandbox=("Database", "extract"),
    use=("load_scorer",),
)
