"""TaCo: a chain of translations as the answer. Think in English, translate twice."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

_JUDGED = "Needs a 33B model, its adapters and a GPT-4 judge; `papers.taco.use benchmark` writes the requests."
# Every seed draws its languages, facts and weights, so that its mean is one draw of all three. A difference in accuracy
# of less than .05 would be of no use to anyone.
_MEASURED: dict[str, Any] = {"metric": "accuracy", "unit": "language", "smallest": 0.05, "treatment": "taco"}
# A control that has not learnt its records proves nothing. The null arm is left out: it has nothing that can be learnt.
_FITS = "has learnt its tuning records."
_PREMISES = {
    "english-skill": ("taco", "english_skill", "The model of stage 1 answers the English questions."),
    "taco-fits": ("taco", "fitted", f"The chain {_FITS}"),
    "direct_tokens-fits": ("direct_tokens", "fitted", f"Instruction tuning with as many tokens {_FITS}"),
    "no_instruction_en-fits": ("no_instruction_en", "fitted", f"The chain without the instruction {_FITS}"),
    "no_curriculum-fits": ("no_curriculum", "fitted", f"The chain from the raw base {_FITS}"),
}

PAPER = Paper(
    slug="taco",
    title=(
        "TaCo: Enhancing Cross-Lingual Transfer for Low-Resource Languages in LLMs through Translation-Assisted "
        "Chain-of-Thought Processes"
    ),
    authors="Bibek Upadhayay, Vahid Behzadan",
    year=2023,
    venue="5th Workshop on Practical ML for Limited/Low Resource Settings, 2024",
    arxiv="2311.10797",
    family="instruction tuning",
    summary=(
        "Tunes a model to answer a low-resource language in a chain: the instruction in English, the response in "
        "English, the response in the language; only the last part is the answer."
    ),
    claims=(
        Claim(
            id="doubles-instruction-tuning",
            statement="Answering in a chain of translations is at least twice as accurate as instruction tuning on the "
            "same records with as many training tokens, in languages drawn by the seed, on facts never shown in them.",
            reported="82 % (GPT-4 grade, Vicuna benchmark, a low-resource language), doubling the performance of "
            "instruction tuning alone (abstract).",
            **_MEASURED,
            control="direct_tokens",
            control_metric="twice_accuracy",
            null="shuffled",
            premises=("english-skill", "taco-fits", "direct_tokens-fits"),
        ),
        Claim(
            id="english-in-between",
            statement="What helps is the English in between: the chain beats one whose English is that of another "
            "record.",
            reported="Translation-assisted chain of thought: the method of the title.",
            **_MEASURED,
            control="shuffled",
            premises=("english-skill", "taco-fits"),
        ),
        Claim(
            id="judge-grades",
            statement="GPT-4 grades the answers 8.24 (Nepali), 8.31 (Sanskrit), 8.52 (Persian), 8.30 (Maithili) of 10.",
            reported="Overall averages over the 80 Vicuna questions (official repository).",
            out_of_scale=f"{_JUDGED} The averages follow from the released ratings, which a test recomputes.",
        ),
        Claim(
            id="coding-is-weak",
            statement="Code is the weak category, because the chain translates it too.",
            reported="3.14 in Nepali on 7 items (official repository); so few items rank no methods.",
            out_of_scale=_JUDGED,
        ),
        Claim(
            id="translation-quality",
            statement="Machine translation of the training data survives a round trip with BLEU 62 to 70.",
            reported="BLEU, chrF++ and TER of 1,000 sentences in four languages (official repository).",
            out_of_scale="Needs the authors' translations and Google Translate; `round_trip_scores` has the metrics.",
        ),
    ),
    checks=(
        Check(
            id="curriculum-matters",
            statement="Starting from a model that follows English instructions beats starting from one that has read "
            "the same facts as statements.",
            **_MEASURED,
            control="no_curriculum",
            null="shuffled",
            premises=("english-skill", "taco-fits", "no_curriculum-fits"),
        ),
        Check(
            id="understanding-matters",
            statement="With the instruction in English the chain is more accurate than without it, at equal tokens.",
            **_MEASURED,
            control="no_instruction_en",
            null="shuffled",
            premises=("english-skill", "taco-fits", "no_instruction_en-fits"),
        ),
    ),
    premises=tuple(
        Premise(id=id, statement=statement, metric=metric, variant=variant, at_least=0.95)
        for id, (variant, metric, statement) in _PREMISES.items()
    ),
    official_code="https://github.com/UNHSAILLab/TaCo",
    licence_note=(
        "The official repository and its adapters carry no licence of their own and point to those of LLaMA, Guanaco, "
        "Alpaca (CC BY-NC 4.0), Dolly (CC BY-SA 3.0) and Google Translate."
    ),
    seeds=(66, 67, 68, 69, 70, 71),
    minutes=15,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("build_taco_records", "instruction_rows"),
    eval=("aggregate", "diagnose", "parse_rating", "round_trip_scores"),
    method=("TacoAnswer", "parse_chain", "render_chain"),
    pipeline=("TacoPipeline", "keep_code"),
)
