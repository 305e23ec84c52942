"""BiMediX: one sparse model, tuned with 4-bit adapters on experts and router, serves two languages."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Claim, Paper

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
            id="bilingual-beats-all",
            statement="Bilingual tuning beats the base and both monolingual tunings on the bilingual average, by more "
            "than 10 points.",
            reported="bilingual average 65.4 against 55.0 (Mixtral) and 50.6 (Jais-30B); README table",
            metric="accuracy_bilingual",
            unit="disease",
            treatment="bilingual",
            control=("base", "english-only", "arabic-only"),
            size=0.10,
        ),
        Claim(
            id="english-only-lacks-arabic",
            statement="English-only tuning leaves Arabic within 10 points of the base.",
            reported="not reported; follows from the paper's case for bilingual data",
            metric="accuracy_ar",
            unit="disease",
            treatment="english-only",
            control="base",
            better="equal",
            size=0.10,
        ),
        Claim(
            id="arabic-only-lacks-english",
            statement="Arabic-only tuning leaves English within 10 points of the base.",
            reported="not reported; follows from the paper's case for bilingual data",
            metric="accuracy_en",
            unit="disease",
            treatment="arabic-only",
            control="base",
            better="equal",
            size=0.10,
        ),
        Claim(
            id="bilingual-keeps-arabic",
            statement="At equal tokens, bilingual tuning is at most 5 points behind Arabic-only tuning in Arabic.",
            reported="bilingual 57.3 (mean of the row; the table says 56.5) against Arabic-only 55.4; README table",
            metric="accuracy_ar",
            unit="disease",
            treatment="bilingual",
            control="arabic-only",
            keeps=True,
            size=0.05,
        ),
        Claim(
            id="bilingual-keeps-english",
            statement="At equal tokens, bilingual tuning is at most 5 points behind English-only tuning in English.",
            reported="73.4 (the bilingual model's English, 2 x bilingual - Arabic) against 75.4; README tables",
            metric="accuracy_en",
            unit="disease",
            treatment="bilingual",
            control="english-only",
            keeps=True,
            size=0.05,
        ),
        Claim(
            id="sparse-is-faster",
            statement="A sparse block (2 of 8 experts) runs at least 1.8 times as fast as a dense block of equal size.",
            reported="8 times faster than dense 70B models (180.6 against 20.9 tokens/s); abstract",
            metric="speed_ratio",
            unit="seed",
            treatment="bilingual",
            control=1.8,
        ),
        Claim(
            id="nf4-is-harmless",
            statement="Rounding the base to NF4 changes its bilingual average by less than 3 points.",
            reported="not reported; QLoRA's premise, a control here",
            metric="accuracy_bilingual",
            unit="disease",
            treatment="base-nf4",
            control="base",
            better="equal",
            size=0.03,
        ),
        Claim(
            id="permuted-is-chance",
            statement="Tuning on permuted answers leaves the true ones at chance (25 % of four options).",
            reported="not reported; a control here",
            metric="accuracy_bilingual",
            unit="disease",
            treatment="permuted",
            control=0.25,
            better="equal",
            size=0.07,
        ),
        Claim(
            id="experts-beat-attention",
            statement="At equal trained parameters, adapters on experts and router beat adapters on attention.",
            reported="no ablation reported; the paper adapts experts and routing network",
            metric="accuracy_bilingual",
            unit="disease",
            treatment="experts+router",
            control="attention",
        ),
        Claim(
            id="aux-balances",
            statement="The auxiliary loss keeps the experts more evenly used (lower L_aux after tuning).",
            reported="not reported; the published configuration sets its weight to 0.02",
            metric="aux_tuned",
            unit="disease",
            treatment="bilingual",
            control="no-aux",
            better="lower",
        ),
        Claim(
            id="beats-dense-70b",
            statement="The English model beats dense medical models of 70 B parameters.",
            reported="75.4 against Med42-70B 72.9, Meditron-70B 71.3 (average of 9 tasks); README table",
            out_of_scale="needs Mixtral-8x7B and 70 B baselines; the paper preset evaluates on the same nine tasks",
        ),
        Claim(
            id="uphill-factuality",
            statement="Open answers are more factual than GPT-4's on UPHILL.",
            reported="+4.4 points; abstract",
            out_of_scale="needs the full model and a judged open question set",
        ),
    ),
    minutes=40,
    official_code="https://github.com/mbzuai-oryx/BiMediX",
    licence_note="BiMediX weights and data: CC BY-NC-SA 4.0. Mixtral-8x7B: Apache-2.0. Narrations package: AGPL-3.0 "
    "(data read, code never imported).",
    disclaimer="Research code. It gives no medical advice and must not be used for diagnosis or treatment.",
    extra_variants=("half-arabic",),
    extras=("narrations",),
)

_METHOD = (
    "attach_adapters",
    "averages",
    "entropy",
    "equal_budget_rank",
    "expert_load",
    "jensen_shannon",
    "load_balancing_loss",
    "merge_adapters",
    "mix_languages",
    "moe_blocks",
    "quantize_base",
    "top_k_routing",
    "trainable_parameters",
)
_HOME = {
    **dict.fromkeys(_METHOD, "method"),
    **dict.fromkeys(("dequantize_nf4", "quantize_nf4"), "nf4"),
    **dict.fromkeys(("load_adapter", "save_adapter"), "adapters"),
    **dict.fromkeys(("PromptedModel", "translate_corpus", "translate_samples"), "translation"),
    **dict.fromkeys(("read_samples",), "data"),
}
__all__ = ["PAPER", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        import importlib

        return getattr(importlib.import_module(f"papers.bimedix.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
