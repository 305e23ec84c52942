"""BayLing 2: skills taught in two pivot languages reach languages that were only seen in translation tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public
from core.files import load_json

# Premises by kind, checks of skills in tied languages, and claims that need the real thing.
_TABLE: dict[str, list[dict[str, Any]]] = load_json(Path(__file__).with_name("claims.json"))
_STATED = "Stated in the abstract; no number could be verified."
# What an arm has to have learnt before anything is said of it.
_PREMISES = tuple(
    Premise(
        id=f"{arm}-{row['kind']}",
        statement=f"{row['statement']} ({arm}).",
        metric=row["metric"],
        variant=arm,
        at_least=row["at_least"],
    )
    for row in _TABLE["premises"]
    for arm in row["arms"]
)


def _skills(*, treatment: str, control: str | list[str], **others: Any) -> dict[str, Any]:
    """Skills in tied languages, of two arms and more.

    Every seed draws its languages, numbers and weights, and no two seeds share a language, so that a seed's mean is one
    draw of all three. `skills` are the two that instructions in the pivots alone show. A difference of less than .05
    would be of no use to anyone. Where the control gets next to nothing, the null arm is above it: there it is a
    control itself, or left out.
    """
    controls = [control] if isinstance(control, str) else control
    arms = dict.fromkeys((treatment, *controls))
    premises = tuple(premise.id for arm in arms for premise in _PREMISES if premise.variant == arm)
    compared = {"treatment": treatment, "control": tuple(controls) if len(controls) > 1 else controls[0]}
    return {"metric": "skills_x", "unit": "language", "smallest": 0.05, "premises": premises, **compared, **others}


PAPER = Paper(
    slug="bayling2",
    title="BayLing 2: A Multilingual Large Language Model with Efficient Language Alignment",
    authors="Shaolei Zhang et al.; corresponding author Yang Feng",
    year=2024,
    venue="arXiv preprint",
    arxiv="2411.16300",
    family="instruction tuning",
    summary=(
        "Task instructions in English and Chinese alone, plus translation tasks between these pivots and every other "
        "language: one run of instruction tuning carries the skills over."
    ),
    claims=(
        Claim(
            id="skills-transfer",
            statement="With translation tasks around the pivots, two skills that were taught in English and Chinese "
            "alone are right more often in languages of this pool, without one instruction of these two skills, than "
            "when the translation tasks are left out.",
            reported="Efficient language alignment (title): gains in more than 20 low-resource languages (abstract), "
            "and forgetting and conflict between languages without the cross-lingual instructions (second hand). No "
            "number could be checked.",
            **_skills(treatment="full", control="no_xling", null="shuffled"),
        ),
        *(Claim(reported=_STATED, **row) for row in _TABLE["out of scale"]),
    ),
    checks=(
        *(Check(**_skills(**row)) for row in _TABLE["checks"]),
        Check(
            id="english-is-learnt-as-well",
            statement="The two skills in English, learnt in the same run, are at most 2 points worse than without the "
            "translation tasks, at as many instructions and at twice as many.",
            metric="skills_en",
            treatment="full",
            control=("monolingual", "no_xling"),
            keeps=True,
            size=0.02,
            premises=("monolingual-english", "no_xling-english"),
        ),
        Check(
            id="words-do-not-transfer",
            statement="If the answer is to be written in words of the question's language, which a tag names, and no "
            "number's digits are known in it, the two skills are right in less than 5 percent of the cases.",
            metric="skills_x",
            unit="language",
            treatment="words",
            control=0.05,
            better="lower",
            smallest=0.02,
            premises=("words-english", "words-translates"),
        ),
    ),
    premises=_PREMISES,
    minutes=15,
    official_code="https://github.com/ictnlp/BayLing",
    licence_note=(
        "The official client is GPL-3.0 (nothing of it is used here), the released models are tagged gpl-3.0, the "
        "paper is CC BY-NC-ND. Llama 2, Llama 3 and every data set of the paper scale have terms of their own."
    ),
    seeds=(45, 46, 47, 48, 49, 50, 51, 52),
)

__getattr__, __dir__, __all__ = public(
    __name__,
    config=("WORDINGS",),
    method=("Bitext", "cross_lingual_block", "cross_lingual_request", "mix_blocks", "star_edges", "tune"),
    chat=("CHAT_TEMPLATES", "load_chat", "translate"),
    data=("manifest", "mixture", "read_instructions", "star"),
)
