"""Multi-IF: three turns of instructions that a program can check, in eight languages, with replies that pile up."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# The same instruction with the same arguments is compared with itself. What is forgotten differs by the kind of
# instruction more than by anything else, so kinds are drawn whole there; languages are for claims about them, topics
# where English alone is written. Where the choice is of others than those that are asked for (`decoy`), nothing may
# come out: falls and leads are metrics of their own, so that this arm is compared with itself as well. What is written
# has no null arm: what nobody asks for is next to never followed, and cannot fall.
_DRAWN: dict[str, Any] = {
    "treatment": "multi_turn",
    "unit": "language",
    "null": "decoy",
    "premises": ("english-heeds",),
}
_WRITTEN: dict[str, Any] = {"unit": "language/topic", "smallest": 0.05, "null": None, "premises": ("written-at-all",)}
_FOLLOWED: dict[str, Any] = _DRAWN | _WRITTEN
_HEEDED: dict[str, Any] = _DRAWN | {"smallest": 0.05}
_NATS: dict[str, Any] = _DRAWN | {"smallest": 0.25}
_LARGE = "A model of 135 million parameters has no larger and no reasoning sibling here: preset `paper`."

PAPER = Paper(
    slug="multi_if",
    title="Multi-IF: Benchmarking LLMs on Multi-Turn and Multilingual Instructions Following",
    authors="Yun He and 18 others (Meta GenAI)",
    year=2024,
    venue="arXiv",
    arxiv="2410.15553",
    family="evaluation",
    summary="Adds one verifiable instruction with every turn, keeps the earlier ones in force, and checks by program "
    "in eight languages how many of them a chat model still follows.",
    claims=(
        Claim(
            id="forgets",
            statement="At the third turn an instruction that was given two turns ago changes the model's choice "
            "between a reply that follows it and one that does not less, in nats, than the same one given last.",
            reported="Instructions that were followed are broken at later turns, by every model (forgetting ratio).",
            **_NATS | {"metric": "forgotten", "control": 0.0, "unit": "instruction"},
        ),
        Claim(
            id="falls-with-turns",
            statement="Of the instructions in force, a smaller share is followed at the third turn than at the first.",
            reported="All 14 models: o1-preview .877 at turn 1, .707 at turn 3 (abstract; mean of four accuracies).",
            **_FOLLOWED | {"metric": "lost", "control": 0.0},
        ),
        Claim(
            id="english-ahead",
            statement="More often in English than in the mean of seven other languages an instruction moves the choice "
            "towards the reply that follows it.",
            reported="o1-preview at turn 3: English .773; Hindi .709, Chinese .703, Russian .531.",
            **_HEEDED | {"metric": "english_lead", "control": 0.0, "unit": "topic"},
        ),
        Claim(
            id="other-scripts-behind",
            statement="More often in five languages in Latin letters than in Russian, Hindi and Chinese.",
            reported="Languages with non-Latin scripts have higher error rates (abstract).",
            **_HEEDED
            | {"metric": "heeded_latin", "control": "multi_turn", "control_metric": "heeded_other", "null": None},
            paired=False,
        ),
        Claim(
            id="size-forgets-less",
            statement="A larger model forgets less.",
            reported="Forgetting ratio: Llama-3.1 8B > 70B > 405B (figure).",
            out_of_scale=_LARGE,
        ),
        Claim(
            id="reasoning-corrects",
            statement="Models that reason before they answer mend more of what they broke.",
            reported="o1-preview and o1-mini correct about 25 % (error correction ratio).",
            out_of_scale=_LARGE,
        ),
    ),
    checks=(
        Check(
            id="asking-helps",
            statement="At the third turn more of the instructions are followed than of others, which nobody asked for.",
            **_FOLLOWED | {"metric": "followed_3", "control": "decoy", "premises": ()},
        ),
        Check(
            id="more-turns-than-instructions",
            statement="Asked for in one message, more of the same three instructions are followed than over turns.",
            **_FOLLOWED | {"metric": "followed_3", "treatment": "merged", "control": "multi_turn"},
        ),
        Check(
            id="own-history-hurts",
            statement="With replies that follow everything in the place of the model's own earlier ones, the newest "
            "instruction, which they cannot show, is followed more often.",
            **_FOLLOWED | {"metric": "followed_age_0", "treatment": "oracle_history", "control": "multi_turn"},
        ),
    ),
    premises=(
        Premise(
            id="english-heeds",
            statement="In English an instruction moves the choice towards the reply that follows it (chance: 0.5).",
            metric="heeded_english",
            variant="multi_turn",
            at_least=0.6,
        ),
        Premise(
            id="written-at-all",
            statement="Of the instructions of the first turn one in four is followed in what the model writes.",
            metric="followed_1",
            variant="multi_turn",
            at_least=0.25,
        ),
    ),
    official_code="https://github.com/facebookresearch/Multi-IF",
    licence_note="The official code is Apache-2.0, the table facebook/Multi-IF CC BY-NC 2.0; Llama 3.1: its own terms.",
    seeds=(15, 16, 17, 18, 19),
    minutes=16,
    extras=("checkers",),
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("Constraint", "Conversation", "Turn", "accuracies", "check", "converse", "ratios", "score"),
    use=("evaluate",),
    eval=("Report", "report"),
)
