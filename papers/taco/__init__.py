"""TaCo: a chain of translations as the answer. Think in English, translate twice."""

from __future__ import annotations

import importlib
from typing import Any

from core.experiment.paper import Claim, Paper

_JUDGED = "Needs a 33B model, its adapters and a GPT-4 judge; preset `paper` with `--questions` writes the requests."

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
    family="fine-tuning",
    summary=(
        "Tunes a model to answer a low-resource language in a chain: the instruction in English, the response in "
        "English, the response in the language; only the last part is the answer."
    ),
    claims=(
        Claim(
            id="doubles-instruction-tuning",
            statement="On unseen items, the chain is at least twice as accurate as instruction tuning with the same "
            "records, at equal steps and at equal tokens.",
            reported="82 % (GPT-4 grade, Vicuna benchmark, a low-resource language), doubling the performance of "
            "instruction tuning alone (abstract).",
            metric="accuracy",
            unit="language/fact",
            treatment="taco",
            control=("direct", "direct_tokens"),
            control_metric="twice_accuracy",
        ),
        Claim(
            id="understanding-matters",
            statement="Without the instruction in English the chain loses accuracy.",
            reported="The method's first step (abstract); this ablation is ours.",
            metric="accuracy",
            unit="language/fact",
            treatment="taco",
            control="no_instruction_en",
        ),
        Claim(
            id="curriculum-matters",
            statement="Starting from a model that follows English instructions gains more than 20 points over "
            "starting from the raw base.",
            reported="Curriculum from an instruction-tuned model is part of the method (abstract); no ablation is "
            "known to us, the margin is ours.",
            metric="accuracy",
            unit="language/fact",
            treatment="taco",
            control="no_curriculum",
            size=0.2,
        ),
        Claim(
            id="right-for-the-right-reason",
            statement="Right answers come from chains whose every step is right: accuracy exceeds the rate of wholly "
            "right chains by no more than 3 points.",
            reported="The premise of the method (abstract); this measurement is ours.",
            metric="accuracy",
            unit="language/fact",
            treatment="taco",
            control="taco",
            control_metric="all_steps",
            better="equal",
            size=0.03,
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
    official_code="https://github.com/UNHSAILLab/TaCo",
    licence_note=(
        "The official repository and its adapters carry no licence of their own and point to those of LLaMA, Guanaco, "
        "Alpaca (CC BY-NC 4.0), Dolly (CC BY-SA 3.0) and Google Translate."
    ),
    seeds=(0, 1, 2),
    extra_variants=("taco_mixed",),
    minutes=12,
)

_EXPORTS = {
    "TacoAnswer": "method",
    "TacoPipeline": "pipeline",
    "aggregate": "judging",
    "build_taco_records": "method",
    "diagnose": "method",
    "instruction_rows": "data",
    "keep_code": "pipeline",
    "parse_chain": "method",
    "parse_rating": "judging",
    "render_chain": "method",
    "round_trip_scores": "judging",
    "translate_rows": "data",
}
__all__ = ["PAPER", *_EXPORTS]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
