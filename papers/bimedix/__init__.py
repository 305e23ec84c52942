"""BiMediX: one sparse model, tuned with 4-bit adapters on experts and router, serves two languages."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Six seeds in a row test every condition once: each is a draw of weights and conditions, and asks in all 16 wordings,
# each an English and an Arabic one. Less than 3 points is nothing.
_MEASURED: dict[str, Any] = {
    "metric": "accuracy_bilingual",
    "unit": "wording",
    "smallest": 0.03,
    "treatment": "bilingual",
    "null": "permuted",
}
_ARABIC, _ENGLISH = _MEASURED | {"metric": "accuracy_ar"}, _MEASURED | {"metric": "accuracy_en"}
_KEEPS_3: dict[str, Any] = {"keeps": True, "size": 0.03}
_READS, _ASKED = ("reads-en", "reads-ar"), ("base-fits-en", "base-fits-ar")
# What has to reach 90 % in every seed: id, arm, metric, statement.
_PREMISES = (
    ("reads-en", "base", "read_en", "The base knows the tested conditions in English, read as statements."),
    ("reads-ar", "base", "read_ar", "The base knows the tested conditions in Arabic, read as statements."),
    ("base-fits-en", "base", "fitted_en", "The base answers the questions that it has read in English."),
    ("base-fits-ar", "base", "fitted_ar", "The base answers the questions that it has read in Arabic."),
    ("english-fits", "english-only", "fitted_en", "English-only tuning has learnt its instructions."),
    ("arabic-fits", "arabic-only", "fitted_ar", "Arabic-only tuning has learnt its instructions."),
    ("part-fits", "arabic-part", "fitted_ar", "Tuning on the Arabic part has learnt its instructions."),
)

PAPER = Paper(
    slug="bimedix",
    title="BiMediX: Bilingual Medical Mixture of Experts LLM",
    authors="Sara Pieri, Sahal Shaji Mullappilly, Fahad Shahbaz Khan, Rao Muhammad Anwer, Salman Khan, "
    "Timothy Baldwin, Hisham Cholakkal",
    year=2024,
    venue="Findings of EMNLP 2024",
    arxiv="2402.13253",
    family="instruction tuning",
    deeds=("adapt", "train"),
    summary="QLoRA on the experts and the router of a mixture of experts, with a bilingual instruction set, gives one "
    "medical model that is good in both languages.",
    claims=(
        Claim(
            id="one-model-two-languages",
            statement="Averaged over English and Arabic, one model tuned on both languages answers more questions than "
            "one that spent as many tokens on English alone, or on Arabic alone.",
            reported="One model for both: bilingual average 65.4, Arabic 57.3 against 55.4 when tuned on Arabic alone "
            "(README tables; the average of English-only tuning is not reported).",
            **_MEASURED,
            control=("english-only", "arabic-only"),
            premises=(*_READS, "english-fits", "arabic-fits"),
        ),
        Claim(
            id="beats-its-base",
            statement="It answers more questions than its base, rounded to 4 bits as well, by more than 10 points.",
            reported="Bilingual average 65.4 against 55.0 (Mixtral-8x7B); README table.",
            **_MEASURED,
            size=0.10,
            control="base",
            premises=(*_READS, *_ASKED),
        ),
        Claim(
            id="english-helps-arabic",
            statement="In Arabic it beats a model tuned on its Arabic instructions alone.",
            reported="57.3 (mean of the row; the table says 56.5) against 55.4; README table.",
            **_ARABIC,
            control="arabic-part",
            premises=(*_READS, "part-fits"),
        ),
        Claim(
            id="keeps-english",
            statement="In English it loses at most 5 points to English-only tuning with as many tokens.",
            reported="73.4 (the bilingual model's English, 2 x bilingual - Arabic) against 75.4; README tables. The "
            "allowed loss is ours.",
            **_ENGLISH,
            keeps=True,
            size=0.05,
            control="english-only",
            premises=(*_READS, "english-fits"),
        ),
        Claim(
            id="eight-times-faster",
            statement="The sparse model generates eight times as many tokens a second as dense ones of 70 B.",
            reported="180.6 against 20.9 tokens/s; abstract.",
            out_of_scale="Needs both models on GPUs; a block alone is timed in a check.",
        ),
        Claim(
            id="beats-dense-70b",
            statement="The English model beats dense medical models of 70 B parameters.",
            reported="75.4 against Med42-70B 72.9, Meditron-70B 71.3 (average of 9 tasks); README table.",
            out_of_scale="Needs Mixtral-8x7B and 70 B baselines; the paper preset evaluates on the same nine tasks.",
        ),
        Claim(
            id="uphill-factuality",
            statement="Open answers are more factual than GPT-4's on UPHILL.",
            reported="+4.4 points; abstract.",
            out_of_scale="Needs the full model and a judged open question set.",
        ),
    ),
    checks=(
        Check(
            id="four-bits",
            statement="It loses at most 3 points to the same tuning of a base that is not rounded to 4 bits.",
            **_MEASURED,
            **_KEEPS_3,
            control="unrounded",
            premises=_READS,
        ),
        Check(
            id="base-in-four-bits",
            statement="Rounding to 4 bits costs the base at most 3 points.",
            **_MEASURED | {"treatment": "base", "null": None},
            **_KEEPS_3,
            control="base-unrounded",
            premises=_READS,
        ),
        Check(
            id="attention-too",
            statement="Adapters on attention, beside the experts and router that the README names, give more right "
            "answers.",
            **_MEASURED,
            control="experts-router",
            premises=_READS,
        ),
        Check(
            id="attention-alone",
            statement="It answers more than adapters on attention alone with as many trained parameters.",
            **_MEASURED,
            control="attention",
            premises=_READS,
        ),
        Check(
            id="arabic-at-equal-tokens",
            statement="In Arabic it loses at most 5 points to Arabic-only tuning with as many tokens.",
            **_ARABIC,
            keeps=True,
            size=0.05,
            control="arabic-only",
            premises=(*_READS, "arabic-fits"),
        ),
        Check(
            id="sparse-is-faster",
            statement="One token at a time, a sparse block (2 of 8 experts) runs at least 1.8 times as fast as a dense "
            "one of equal size.",
            metric="speed_ratio",
            treatment="base",
            control=1.0,
            size=0.8,
        ),
    ),
    premises=tuple(
        Premise(id=name, variant=arm, metric=metric, statement=statement, at_least=0.9)
        for name, arm, metric, statement in _PREMISES
    ),
    official_code="https://github.com/mbzuai-oryx/BiMediX",
    licence_note="BiMediX weights and data: CC BY-NC-SA 4.0. Mixtral-8x7B: Apache-2.0.",
    disclaimer="Research code. It gives no medical advice and must not be used for diagnosis or treatment.",
    # 6n to 6n + 5: between them they test every condition once.
    seeds=(42, 43, 44, 45, 46, 47),
    minutes=14,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    adapters=("load_adapter", "quantize_base", "save_adapter"),
    data=("PromptedModel", "mix_languages", "read_samples", "translate_samples", "translate_text"),
    method=("AdaptedExperts", "LowRank", "attach_adapters", "bimedix_loss", "load_balancing_loss", "tune"),
)
