"""BayLing 2: skills taught in two pivot languages reach languages that were only seen in translation tasks."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# What an arm has to have learnt before anything is said of it: the metric, the least, and the arms that are asked.
_LEARNT: dict[str, tuple[str, str, float, tuple[str, ...]]] = {
    "english": (
        "English skills are learnt", "skills_en", 0.85,
        ("full", "no_xling", "monolingual", "shuffled", "no_knowledge", "en_xling", "one_hub", "half", "one_pivot",
         "words"),
    ),
    "chinese": ("Chinese skills are learnt", "skills_zh", 0.85, ("zh_xling",)),
    "translates": (
        "Translation into English is learnt", "x_to_en", 0.75,
        ("full", "no_knowledge", "half", "one_hub", "one_pivot", "words"),
    ),
}  # fmt: skip


def _skills(treatment: str, *controls: str, null: str | None = None) -> dict[str, Any]:
    """Skills in tied languages, of two arms and more.

    Every seed draws its languages, numbers and weights, and no two seeds share a language, so that a seed's mean is one
    draw of all three. `skills` are the two that instructions in the pivots alone show. A difference of less than .05
    would be of no use to anyone. Where the control gets next to nothing, the null arm is above it: there it is a
    control itself, or left out.
    """
    arms = (treatment, *controls)
    premises = [f"{arm}-{kind}" for arm in dict.fromkeys(arms) for kind in _LEARNT if arm in _LEARNT[kind][3]]
    return {
        "metric": "skills_x", "unit": "language", "smallest": 0.05, "treatment": treatment,
        "control": controls if len(controls) > 1 else controls[0], "null": null, "premises": tuple(premises),
    }  # fmt: skip


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
            **_skills("full", "no_xling", null="shuffled"),
        ),
        Claim(
            id="english-is-kept",
            statement="English benchmark scores are those of the backbone.",
            reported="Stated in the abstract; no number could be verified.",
            out_of_scale="Needs a backbone that has something to lose; the miniature learns English in the same run.",
        ),
        Claim(
            id="translation-benchmarks",
            statement="Better translation in over 100 languages than open models of similar size (Flores-101, WMT22).",
            reported="Stated in the abstract; no number could be verified.",
            out_of_scale="Needs models of 7B and more and their 3.2 million instructions: preset `paper`.",
        ),
        Claim(
            id="low-resource-benchmarks",
            statement="Better knowledge and understanding in over 20 low-resource languages than the backbone.",
            reported="Stated in the abstract; no number could be verified.",
            out_of_scale="Needs models of 7B and more, and benchmarks from the hub: preset `paper`.",
        ),
    ),
    checks=(
        Check(
            id="also-where-all-words-were-read",
            statement="They are also right more often in questions whose words all stand in the base knowledge, "
            "which the control could read as well.",
            **(_skills("full", "no_xling", null="shuffled") | {"metric": "skills_x_seen"}),
        ),
        Check(
            id="tie-not-exposure",
            statement="They are also right more often than with monolingual text of the same languages, or with pairs "
            "that do not belong together, in the place of the translation tasks.",
            **_skills("full", "monolingual", "shuffled"),
        ),
        Check(
            id="base-knowledge-counts",
            statement="They are also right more often than with the same translation tasks and no number in digits in "
            "any language but the pivots.",
            **_skills("full", "no_knowledge", null="shuffled"),
        ),
        Check(
            id="two-hubs",
            statement="With instructions in English alone, translations around English and Chinese transfer more than "
            "half as many different ones around English alone.",
            **_skills("en_xling", "one_pivot"),
        ),
        Check(
            id="two-hubs-of-two-taught",
            statement="With instructions in both, translations around both transfer more than as many different ones "
            "around English alone.",
            **_skills("half", "one_hub", null="shuffled"),
        ),
        Check(
            id="two-taught-languages",
            statement="With translations around both, instructions in both transfer more than in English alone or in "
            "Chinese alone.",
            **_skills("full", "en_xling", "zh_xling", null="shuffled"),
        ),
        Check(
            id="only-tied-languages-profit",
            statement="In the same model, languages that are not tied by translation tasks stay behind those that are.",
            **_skills("full", "full", null="shuffled"),
            control_metric="skills_untied",
            paired=False,
        ),
        Check(
            id="more-translations-help",
            statement="All translation examples transfer the skills better than half of them, at equal updates.",
            **_skills("full", "half", null="shuffled"),
        ),
        Check(
            id="oracle-is-the-bound",
            statement="Task instructions in the languages themselves, the costly way, are better still.",
            **_skills("oracle", "full", null="shuffled"),
        ),
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
    premises=tuple(
        Premise(id=f"{arm}-{kind}", statement=f"{said} ({arm}).", metric=metric, variant=arm, at_least=least)
        for kind, (said, metric, least, arms) in _LEARNT.items()
        for arm in arms
    ),
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
