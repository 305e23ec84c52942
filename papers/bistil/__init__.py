"""BiStil: a small bilingual model is distilled out of a multilingual one, then tuned sparsely to a task."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

_SCALE = "Needs UD, MasakhaNER, AmericasNLI or XQuAD and the real encoders: preset `paper` has the entity task."
# On held-out concepts in the target; a seed holds out others, so seeds with all their concepts are what is drawn.
_TARGET: dict[str, Any] = {
    "metric": "accuracy",
    "treatment": "bistil",
    "unit": "kind/concept",
    "null": "shuffled",
    "smallest": 0.02,
    "premises": ("transfers",),
}

PAPER = Paper(
    slug="bistil",
    title="Distilling Efficient Language-Specific Models for Cross-Lingual Transfer",
    authors="Alan Ansell, Edoardo Maria Ponti, Anna Korhonen, Ivan Vulić",
    year=2023,
    venue="Findings of ACL 2023",
    arxiv="2306.01709",
    family="encoders",
    deeds=("adapt", "train"),
    summary=(
        "Trims a multilingual encoder to two languages, drops every second layer, lets the rest imitate the whole on "
        "plain text and then on the task, tuned sparsely: a small model that transfers to one language."
    ),
    claims=(
        Claim(
            id="bilingual-beats-multilingual",
            statement="A student that imitated its teacher in English and Georgian transfers better to Georgian names "
            "than one that spent the same steps on thirteen languages.",
            reported="Outperforms multilingually distilled models with a much smaller training budget (abstract).",
            control="multi",
            **_TARGET,
        ),
        Claim(
            id="beats-from-scratch",
            statement="It transfers better than a student of the same size that was trained from nothing on the same "
            "bilingual text, for as many steps; that one does not learn the task in English either.",
            reported="Significantly outperforms bilingual models trained from scratch (abstract: greatly).",
            control="scratch",
            **{**_TARGET, "premises": ("transfers", "scratch-learns")},
        ),
        Claim(
            id="near-the-teacher",
            statement="Of the accuracy of the whole multilingual model in the target at most 5 points are lost.",
            reported="Minimal loss against the base model while significantly smaller and faster (abstract). The size "
            "is ours.",
            control="teacher",
            keeps=True,
            size=0.05,
            **{**_TARGET, "smallest": 0.0},
        ),
        Claim(
            id="four-tasks",
            statement="The same on parsing, entities, inference and questions in many low-resource languages.",
            reported="UD, MasakhaNER, AmericasNLI, XQuAD (abstract; the tables were not readable to us).",
            out_of_scale=_SCALE,
        ),
    ),
    checks=(
        Check(
            id="general-phase",
            statement="Without phase one the student transfers worse.",
            control="none",
            **_TARGET,
        ),
        Check(
            id="task-teacher",
            statement="Imitating the task's teacher transfers better than the labels do, on the same student.",
            control="plain",
            **_TARGET,
        ),
        Check(
            id="sparse-is-enough",
            statement="Tuning 8 % of the encoder loses at most 3 points against tuning all of it.",
            control="full",
            keeps=True,
            size=0.03,
            **{**_TARGET, "smallest": 0.0},
        ),
        Check(
            id="places-that-moved",
            statement="The places that moved most are better than as many random ones.",
            control="random_places",
            **_TARGET,
        ),
        Check(
            id="imitates-the-target",
            statement="On names of the target the student after phase one is nearer to its teacher than the "
            "multilingual student (hidden and attention loss).",
            metric="general_loss",
            treatment="bistil",
            better="lower",
            smallest=0.001,
            null="none",
            control="multi",
        ),
    ),
    premises=(
        Premise(
            id="transfers",
            statement="The multilingual model, tuned in English, tells more of the target's names than the length of a "
            "name or the commonest kind does.",
            metric="over_trivial",
            variant="teacher",
            at_least=0.05,
        ),
        Premise(
            id="scratch-learns",
            statement="The student from nothing learns the task in English (the null arm is at 0.54 at most).",
            metric="accuracy_source",
            variant="scratch",
            at_least=0.6,
        ),
    ),
    official_code="https://github.com/AlanAnsell/bistil",
    licence_note="mBERT is Apache-2.0, XLM-R and mDeBERTa MIT; CoNLL-2003 and MasakhaNER have terms of their own.",
    seeds=(36, 37, 38, 39, 40),
    minutes=15,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("kept_tokens", "student", "frozen", "general_loss", "task_loss", "sparse_tuning", "Seen"),
    sparse=("Change", "applied", "save", "read"),
)
