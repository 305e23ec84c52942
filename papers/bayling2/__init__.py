"""BayLing 2: skills taught in two pivot languages reach languages that were only seen in translation tasks."""

from __future__ import annotations

from core.experiment.paper import Claim, Paper, public

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
            id="next-number-transfers",
            statement="With translation tasks around the pivots, the next number of one written in a language without "
            "task instructions is right more often, by more than 10 points, than without them, be it with monolingual "
            "text of the language or with more pivot instructions in their place.",
            reported="Gains in more than 20 low-resource languages, without numbers that could be checked (abstract); "
            "the margin is ours.",
            metric="next_x",
            unit="language",
            treatment="full",
            control=("no_xling", "pivots_only"),
            size=0.10,
        ),
        Claim(
            id="digits-transfer",
            statement="The same for writing the number in digits, by more than 20 points.",
            reported="As above.",
            metric="digits_x",
            unit="language",
            treatment="full",
            control=("no_xling", "pivots_only"),
            size=0.20,
        ),
        Claim(
            id="reversal-transfers",
            statement="The same for writing its digits in reverse, by any margin.",
            reported="As above.",
            metric="reversed_x",
            unit="language",
            treatment="full",
            control=("no_xling", "pivots_only"),
        ),
        Claim(
            id="pivots-keep-their-skills",
            statement="The skills in the pivots are at most 3 points worse than without the translation tasks, at as "
            "many pivot instructions.",
            reported="English benchmark scores are maintained (abstract); the margin is ours.",
            metric="skills_pivots",
            unit="skill/language",
            treatment="full",
            control="no_xling",
            keeps=True,
            size=0.03,
        ),
        Claim(
            id="languages-are-learnt",
            statement="Translations from these languages into English are right in more than half of the cases.",
            reported="Better than open models of similar size in more than 100 languages (abstract).",
            metric="x_to_en",
            unit="language",
            treatment="full",
            control=0.5,
        ),
        Claim(
            id="skills-come-from-the-pivots",
            statement="Translation tasks alone, without instructions in the pivots, do not give the skill.",
            reported="Not reported; follows from the argument (the pivots carry the skills).",
            metric="next_x",
            unit="language",
            treatment="full",
            control="xling_only",
        ),
        Claim(
            id="only-tied-languages-profit",
            statement="In the same model, languages without translation tasks (known from a few number names alone) "
            "stay behind those with.",
            reported="Not reported; follows from the argument (translation ties the languages to the pivots).",
            metric="next_x",
            unit="language",
            treatment="full",
            control="full",
            control_metric="next_untied",
            paired=False,
        ),
        Claim(
            id="more-translations-help",
            statement="All translation examples transfer the skills better than 64 a language, at equal updates.",
            reported="Not reported; the budget per language is not stated.",
            metric="skills_x",
            unit="skill/language",
            treatment="full",
            control="budget_64",
        ),
        Claim(
            id="oracle-is-the-bound",
            statement="Task instructions in the languages themselves, the costly way, are better still.",
            reported="Not reported; the paper's case is the cost of such instructions.",
            metric="skills_x",
            unit="skill/language",
            treatment="oracle",
            control="full",
        ),
        Claim(
            id="two-pivots-beat-one",
            statement="Two pivots transfer the skills better than English alone, at equal examples.",
            reported="Not reported; the paper uses two.",
            metric="skills_x",
            unit="skill/language",
            treatment="full",
            control="one_pivot",
        ),
        Claim(
            id="words-do-not-transfer",
            statement="If the answer is to be written in the words of the language, the next number is right in less "
            "than 5 percent of the cases: generation does not transfer.",
            reported="Not examined; a limit of the miniature, and ours.",
            metric="next_x",
            unit="language",
            treatment="words",
            control=0.05,
            better="lower",
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
    minutes=12,
    official_code="https://github.com/ictnlp/BayLing",
    licence_note=(
        "The official client is GPL-3.0 (nothing of it is used here), the released models are tagged gpl-3.0, the "
        "paper is CC BY-NC-ND. Llama 2, Llama 3 and every data set of the paper scale have terms of their own."
    ),
    seeds=(0, 1, 2),
    extra_variants=("budget_256",),
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=(
        "Bitext",
        "CHAT_TEMPLATES",
        "WORDINGS",
        "choose_template",
        "cross_lingual_block",
        "cross_lingual_request",
        "format_prompt",
        "manifest",
        "mix_blocks",
        "star_edges",
        "star_mixture",
    ),
    transfer=("Item", "Transfer", "transfer_matrix"),
    chat=("Chat",),
    data=("build_star_mixture", "read_instructions", "read_tasks"),
)
