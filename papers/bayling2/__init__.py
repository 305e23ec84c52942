"""BayLing 2: skills taught in two pivot languages reach languages that were only seen in translation tasks."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Every seed draws its languages, numbers and weights, so that its mean is one draw of all three. `skills` are the two
# that instructions in the pivots alone show. A difference of less than .05 would be of no use to anyone.
_SKILLS: dict[str, Any] = {"metric": "skills_x", "unit": "language", "smallest": 0.05}
_LEARNT = ("full-english", "full-translates")

PAPER = Paper(
    slug="bayling2",
    title="BayLing 2: A Multilingual Large Language Model with Efficient Language Alignment",
    authors="Shaolei Zhang et al.; corresponding author Yang Feng",
    year=2024,
    venue="arXiv preprint",
    arxiv="2411.16300",
    family="fine-tuning",
    summary=(
        "Task instructions in English and Chinese alone, plus translation tasks between these pivots and every other "
        "language: one run of instruction tuning carries the skills over."
    ),
    claims=(
        Claim(
            id="skills-transfer",
            statement="With translation tasks around the pivots, skills that were taught in English and Chinese alone "
            "are right more often in languages drawn by the seed, without one task instruction, than when the "
            "translation tasks are left out.",
            reported="Efficient language alignment (title): gains in more than 20 low-resource languages (abstract), "
            "and forgetting and conflict between languages without the cross-lingual instructions (second hand). No "
            "number could be checked.",
            **_SKILLS,
            treatment="full",
            control="no_xling",
            null="shuffled",
            premises=(*_LEARNT, "no_xling-english"),
        ),
        Claim(
            id="english-is-kept",
            statement="The skills in English are at most 3 points worse than without the translation tasks, at as many "
            "instructions and at twice as many.",
            reported="English benchmark scores are maintained (abstract), against the backbone. The size is ours.",
            metric="skills_en",
            treatment="full",
            control=("monolingual", "no_xling"),
            keeps=True,
            size=0.03,
            null="xling_only",
            premises=("monolingual-english", "no_xling-english"),
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
    # Where the control gets next to nothing, the null arm is above it: there it is a control itself, or left out.
    checks=(
        Check(
            id="tie-not-exposure",
            statement="They are also right more often than with monolingual text of the same languages, or with pairs "
            "that do not belong together, in the place of the translation tasks: what counts is the tie, not to have "
            "seen the words.",
            **_SKILLS,
            treatment="full",
            control=("monolingual", "shuffled"),
            premises=(*_LEARNT, "monolingual-english", "shuffled-english"),
        ),
        Check(
            id="two-hubs",
            statement="With instructions in English alone, translations around English and Chinese transfer more than "
            "translations around English alone.",
            **_SKILLS,
            treatment="en_xling",
            control="one_pivot",
            premises=("en_xling-english", "one_pivot-english", "one_pivot-translates"),
        ),
        Check(
            id="two-hubs-of-two-taught",
            statement="So they do with instructions in both.",
            **_SKILLS,
            treatment="full",
            control="one_hub",
            null="shuffled",
            premises=(*_LEARNT, "one_hub-english", "one_hub-translates"),
        ),
        Check(
            id="two-taught-languages",
            statement="With translations around both, instructions in both transfer more than in English alone or in "
            "Chinese alone.",
            **_SKILLS,
            treatment="full",
            control=("en_xling", "zh_xling"),
            null="shuffled",
            premises=(*_LEARNT, "en_xling-english", "zh_xling-chinese"),
        ),
        Check(
            id="skills-come-from-the-pivots",
            statement="Translation tasks alone, without instructions in the pivots, do not give the skills.",
            **_SKILLS,
            treatment="full",
            control="xling_only",
            premises=(*_LEARNT, "xling_only-translates"),
        ),
        Check(
            id="only-tied-languages-profit",
            statement="In the same model, languages that are not tied by translation tasks stay behind those that are.",
            **_SKILLS,
            treatment="full",
            control="full",
            control_metric="skills_untied",
            paired=False,
            null="shuffled",
            premises=_LEARNT,
        ),
        Check(
            id="more-translations-help",
            statement="All translation examples transfer the skills better than 64 a language, at equal updates.",
            **_SKILLS,
            treatment="full",
            control="budget_64",
            null="shuffled",
            premises=_LEARNT,
        ),
        Check(
            id="oracle-is-the-bound",
            statement="Task instructions in the languages themselves, the costly way, are better still.",
            **_SKILLS,
            treatment="oracle",
            control="full",
            null="shuffled",
            premises=_LEARNT,
        ),
        Check(
            id="words-do-not-transfer",
            statement="If the answer is to be written in the words of the language, the skills are right in less than "
            "5 percent of the cases: generation does not transfer.",
            metric="skills_x",
            unit="language",
            treatment="words",
            control=0.05,
            better="lower",
            smallest=0.02,
            premises=("words-english", "words-translates"),
        ),
    ),
    premises=(
        Premise(
            id="zh_xling-chinese",
            statement="Chinese skills are learnt (zh_xling).",
            metric="skills_zh",
            variant="zh_xling",
            at_least=0.85,
        ),
        *(
            Premise(
                id=f"{variant}-english",
                statement=f"English skills are learnt ({variant}).",
                metric="skills_en",
                variant=variant,
                at_least=0.85,
            )
            for variant in ("full", "no_xling", "monolingual", "shuffled", "en_xling", "one_hub", "one_pivot", "words")
        ),
        *(
            Premise(
                id=f"{variant}-translates",
                statement=f"Translation into English is learnt ({variant}).",
                metric="x_to_en",
                variant=variant,
                at_least=0.75,
            )
            for variant in ("full", "one_hub", "one_pivot", "xling_only", "words")
        ),
    ),
    minutes=14,
    official_code="https://github.com/ictnlp/BayLing",
    licence_note=(
        "The official client is GPL-3.0 (nothing of it is used here), the released models are tagged gpl-3.0, the "
        "paper is CC BY-NC-ND. Llama 2, Llama 3 and every data set of the paper scale have terms of their own."
    ),
    seeds=(36, 37, 38, 39, 40, 41, 42, 43),
)

__getattr__, __dir__, __all__ = public(
    __name__,
    config=("WORDINGS",),
    method=("Bitext", "cross_lingual_block", "cross_lingual_request", "mix_blocks", "star_edges", "tune"),
    chat=("CHAT_TEMPLATES", "Chat", "format_prompt"),
    data=("Item", "build_star_mixture", "manifest", "read_instructions", "read_tasks"),
    eval=("Transfer", "transfer_matrix"),
)
