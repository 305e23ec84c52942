"""BiMediX: one sparse model, tuned with 4-bit adapters on experts and router, serves two languages."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Six seeds in a row test every condition once, so that a seed is a draw of weights and of conditions.
_MEASURED: dict[str, Any] = {"metric": "accuracy_bilingual", "unit": "condition", "smallest": 0.03}
_SPEAKS = ("reads-english", "reads-arabic")
# A control that has not learnt its instructions proves nothing.
_FITTED = {
    "bilingual": ("Bilingual tuning", ("en", "ar")),
    "english-only": ("English-only tuning", ("en",)),
    "arabic-only": ("Arabic-only tuning", ("ar",)),
    "without-router": ("Tuning without adapters on the router", ("en", "ar")),
    "attention": ("Tuning of attention alone", ("en", "ar")),
}

PAPER = Paper(
    slug="bimedix",
    title="BiMediX: Bilingual Medical Mixture of Experts LLM",
    authors="Sara Pieri, Sahal Shaji Mullappilly et al.",
    year=2024,
    venue="Findings of EMNLP 2024",
    arxiv="2402.13253",
    family="adaptation",
    summary="QLoRA on the experts and the router of a mixture of experts, with a bilingual instruction set, gives one "
    "medical model that is good in both languages.",
    claims=(
        Claim(
            id="one-model-two-languages",
            statement="Averaged over English and Arabic, one model tuned on both languages answers more questions "
            "than one that spent as many tokens on English alone, or on Arabic alone.",
            reported="One model for both: bilingual average 65.4, Arabic 57.3 against 55.4 when tuned on Arabic alone "
            "(README tables; the average of English-only tuning is not reported).",
            **_MEASURED,
            treatment="bilingual",
            control=("english-only", "arabic-only"),
            null="permuted",
            premises=(
                *_SPEAKS,
                "bilingual-en-fits",
                "bilingual-ar-fits",
                "english-only-en-fits",
                "arabic-only-ar-fits",
            ),
        ),
        Claim(
            id="beats-its-base",
            statement="It answers more questions than its base, by more than 10 points.",
            reported="Bilingual average 65.4 against 55.0 (Mixtral-8x7B); README table.",
            **_MEASURED,
            size=0.10,
            treatment="bilingual",
            control="base",
            null="permuted",
            premises=(*_SPEAKS, "bilingual-en-fits", "bilingual-ar-fits"),
        ),
        Claim(
            id="english-helps-arabic",
            statement="In Arabic it beats a model tuned on its Arabic instructions alone.",
            reported="57.3 (mean of the row; the table says 56.5) against 55.4; README table.",
            **_MEASURED | {"metric": "accuracy_ar"},
            treatment="bilingual",
            control="arabic-part",
            null="permuted",
            premises=(*_SPEAKS, "bilingual-ar-fits"),
        ),
        Claim(
            id="keeps-english",
            statement="In English it loses at most 5 points to English-only tuning with as many tokens.",
            reported="73.4 (the bilingual model's English, 2 x bilingual - Arabic) against 75.4; README tables. The "
            "allowed loss is ours.",
            **_MEASURED | {"metric": "accuracy_en"},
            keeps=True,
            size=0.05,
            treatment="bilingual",
            control="english-only",
            null="permuted",
            premises=(*_SPEAKS, "bilingual-en-fits", "english-only-en-fits"),
        ),
        Claim(
            id="router-matters",
            statement="Adapters on the router, beside those on attention and experts, give more right answers.",
            reported="Adapts the experts and the routing network (README); no ablation is reported.",
            **_MEASURED,
            treatment="bilingual",
            control="without-router",
            null="permuted",
            premises=(*_SPEAKS, "bilingual-en-fits", "bilingual-ar-fits", "without-router-en-fits"),
        ),
        Claim(
            id="sparse-is-faster",
            statement="A sparse block (2 of 8 experts) runs at least 1.8 times as fast as a dense one of equal size.",
            reported="8 times faster than dense 70B models (180.6 against 20.9 tokens/s); abstract.",
            metric="speed_ratio",
            treatment="bilingual",
            control=1.0,
            size=0.8,
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
            id="arabic-at-equal-tokens",
            statement="In Arabic it loses at most 5 points to Arabic-only tuning with as many tokens.",
            **_MEASURED | {"metric": "accuracy_ar"},
            keeps=True,
            size=0.05,
            treatment="bilingual",
            control="arabic-only",
            null="permuted",
            premises=(*_SPEAKS, "bilingual-ar-fits", "arabic-only-ar-fits"),
        ),
        Check(
            id="attention-alone",
            statement="It answers more than adapters on attention alone with as many trained parameters.",
            **_MEASURED,
            treatment="bilingual",
            control="attention",
            null="permuted",
            premises=(*_SPEAKS, "bilingual-en-fits", "bilingual-ar-fits", "attention-en-fits", "attention-ar-fits"),
        ),
        Check(
            id="nf4-is-harmless",
            statement="Rounding the base to NF4 changes what it knows, read as statements, by less than 3 points.",
            metric="read_bilingual",
            unit="condition",
            treatment="base-nf4",
            control="base",
            better="equal",
            size=0.03,
        ),
    ),
    premises=(
        Premise(
            id="reads-english",
            statement="The base knows the tested conditions in English, read as statements.",
            metric="read_en",
            variant="base",
            at_least=0.8,
        ),
        Premise(
            id="reads-arabic",
            statement="The base knows the tested conditions in Arabic, read as statements.",
            metric="read_ar",
            variant="base",
            at_least=0.8,
        ),
        *(
            Premise(
                id=f"{variant}-{lang}-fits",
                statement=f"{name} has learnt its instructions ({lang}).",
                metric=f"fitted_{lang}",
                variant=variant,
                at_least=0.9,
            )
            for variant, (name, languages) in _FITTED.items()
            for lang in languages
        ),
    ),
    official_code="https://github.com/mbzuai-oryx/BiMediX",
    licence_note="BiMediX weights and data: CC BY-NC-SA 4.0. Mixtral-8x7B: Apache-2.0.",
    disclaimer="Research code. It gives no medical advice and must not be used for diagnosis or treatment.",
    # 6n to 6n + 5: between them they test every condition once.
    seeds=(36, 37, 38, 39, 40, 41),
    minutes=14,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    adapters=("equal_budget_rank", "load_adapter", "merge_adapters", "quantize_base", "save_adapter"),
    data=("PromptedModel", "mix_languages", "read_samples", "translate_samples", "translate_text"),
    method=("AdaptedExperts", "LowRank", "attach_adapters", "bimedix_loss", "load_balancing_loss", "tune"),
)
