"""xCoT: English chains of thought for questions of many languages, and three devices that pull these to English."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Every seed draws its languages, problems and weights, so that its mean is one draw of all three. A difference in
# accuracy of less than .05 would be of no use to anyone.
_MEASURED: dict[str, Any] = {"metric": "accuracy", "unit": "language", "smallest": 0.05, "treatment": "xcot"}
_SCALE = "Needs Llama-2 with 7 or 13 billion parameters, eight GPUs and the hub: preset `paper`, `papers plan xcot`."
_BASE = "english-skill"
_NULL: dict[str, Any] = {"null": "mismatched", "premises": (_BASE, "gap")}
_DEVICES = {
    "xicl": (
        "no_xicl",
        "Code-switched demonstrations, and the lexicon behind them, raise accuracy beside the other devices.",
        "Cross-lingual in-context learning accelerates multilingual agreement",
    ),
    "random-cot": (
        "no_random_cot",
        "Rewriting queries in English raises accuracy, beside the other devices.",
        "Random-CoT enhances multilingual reasoning",
    ),
    "distillation": (
        "no_distillation",
        "Distillation from the English question raises accuracy, beside the other devices.",
        "Cross-lingual distillation further facilitates the transfer",
    ),
}
# On development data bases solve 95 to 98 of 100 problems: a gate of .95 in every seed would be one of luck.
# A control that has not learnt its questions proves nothing, nor do devices where there is no gap to close.
_PREMISES = {
    _BASE: ("xcot", "english_skill", 0.9, "The base solves English problems."),
    "gap": ("sft", "gap", 0.1, "Tuning with English chains alone leaves the other languages behind English."),
    "sft-fits": ("sft", "fitted", 0.95, "Tuning with English chains has learnt its questions."),
    "native-fits": ("native", "fitted", 0.95, "Tuning with native chains has learnt its questions."),
}

PAPER = Paper(
    slug="xcot",
    title="xCoT: Cross-lingual Instruction Tuning for Cross-lingual Chain-of-Thought Reasoning",
    authors="Linzheng Chai, Jian Yang, Tao Sun, Hongcheng Guo, Jiaheng Liu, et al.",
    year=2024,
    venue="AAAI 2025",
    arxiv="2401.07037",
    family="reasoning",
    summary=(
        "Tunes a model on questions of many languages with English chains of thought: code-switched examples before "
        "the query, the query rewritten in another language first, distillation from the English question."
    ),
    claims=(
        Claim(
            id="low-resource-accuracy",
            statement="With all three devices a model answers questions in languages drawn by the seed at least .10 "
            "more often than after tuning with chains of thought in their languages, and than with English chains "
            "alone, both on as many tokens and without the lexicon.",
            reported="MGSM, 7B: 46.0 against 36.0 of MathOctopus, mean of sw, bn, th; a baseline with English chains "
            "is ours.",
            **_MEASURED,
            control=("native", "sft"),
            size=0.10,
            null="mismatched",
            premises=(_BASE, "gap", "sft-fits", "native-fits"),
        ),
        Claim(
            id="gap-between-languages",
            statement="The mean over languages comes nearer to the best language, by at least .19 of it, than after "
            "tuning with chains of thought in their languages.",
            reported="MGSM, 7B: mean/best 95.4 % against 76.4 % of MathOctopus.",
            metric="mean_to_best",
            treatment="xcot",
            control="native",
            size=0.19,
            smallest=0.05,
            null="mismatched",
            premises=(_BASE, "native-fits"),
        ),
        *(
            Claim(
                id=id,
                statement=statement,
                reported=f"{said} (abstract).",
                **_MEASURED,
                control=control,
                **_NULL,
            )
            for id, (control, statement, said) in _DEVICES.items()
        ),
        Claim(
            id="english-is-kept",
            statement="English loses at most .064 to tuning with native chains of thought.",
            reported="MGSM, 7B: English 48.4 against 54.8 of MathOctopus; what is gained lies in the other languages.",
            metric="english",
            treatment="xcot",
            control="native",
            keeps=True,
            size=0.064,
            smallest=0.05,
            premises=(_BASE,),
        ),
        Claim(
            id="mgsm",
            statement="On MGSM xCoT-7B reaches 47.7, the mean of eleven languages, and xCoT-13B 51.6.",
            reported="Means of the table by language; MathOctopus 41.9 and 47.6 over ten languages.",
            out_of_scale=f"{_SCALE} A test recomputes the means.",
        ),
        Claim(
            id="msvamp",
            statement="It is better on MSVAMP too.",
            reported="Superior on both benchmarks (abstract); the numbers are not known to us.",
            out_of_scale=_SCALE,
        ),
    ),
    checks=(
        Check(
            id="context-matters",
            statement="Code-switched examples do more as demonstrations before the query than as rows of their own, "
            "the same examples and as many tokens.",
            **_MEASURED,
            control="cs_flat",
            **_NULL,
        ),
        Check(
            id="english-chains",
            statement="English chains of thought lose no more than .05 to chains in the question's language.",
            metric="accuracy",
            unit="language",
            smallest=0.05,
            treatment="sft",
            control="native",
            keeps=True,
            size=0.05,
            premises=(_BASE, "sft-fits", "native-fits"),
        ),
    ),
    premises=tuple(
        Premise(id=id, statement=statement, metric=metric, variant=variant, at_least=least)
        for id, (variant, metric, least, statement) in _PREMISES.items()
    ),
    licence_note=(
        "There is no official code and no released data. Llama-2 has a licence of its own; MathOctopus' data are "
        "Apache-2.0, GSM8K MIT, MGSM CC BY-SA 4.0."
    ),
    seeds=(24, 25, 26, 27, 28, 29),
    minutes=12,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("build_xcot", "read_examples"),
    method=("Example", "ask", "distillation_loss"),
    use=("finetune",),
)
