"""xLLMs-100: instruction tuning in many languages, then DPO on pairs whose question and answer differ in language."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Directions into one language share its words, so languages of the answer are drawn, whole; seeds draw facts, languages
# with feedback and weights. A difference of less than .05 would be of no use to anyone.
_GAIN: dict[str, Any] = {
    "metric": "right_unseen", "unit": "language", "smallest": 0.05, "treatment": "xllms", "null": "by_lot",
    "premises": ("answers", "names"),
}  # fmt: skip
_PEERS = "xLLMs-100 outperforms its peers on five multilingual benchmarks by considerable margins (abstract)."
_FEEDBACK = "Cross-lingual human feedback, by DPO (title, abstract)."
_SCALE = "Needs models of 7B, their benchmarks and GPUs: preset `paper` trains, `papers.xllms100.eval paper` measures."

PAPER = Paper(
    slug="xllms100",
    title="LLMs Beyond English: Scaling the Multilingual Capability of LLMs with Cross-Lingual Feedback",
    authors="Wen Lai, Mohsen Mesgar, Alexander Fraser",
    year=2024,
    venue="Findings of ACL 2024",
    arxiv="2406.01771",
    family="instruction tuning",
    summary=(
        "Tunes a model on instructions in 100 languages and then, by DPO, on preferences in which the instruction is "
        "in one language and the answer in another: it answers in the language that it is asked for."
    ),
    claims=(
        Claim(
            id="answers-across-languages",
            statement="Preference training on cross-lingual pairs gives more right answers in the language that is "
            "asked for, in directions without any feedback, than instruction tuning alone, and than as many pairs in "
            "one language.",
            reported=_FEEDBACK,
            **_GAIN,
            control=("sft", "mono"),
        ),
        Claim(
            id="fewer-off-target",
            statement="Fewer answers are in another language than the one that is asked for, in directions without "
            "feedback.",
            reported="Off-target answers are reduced (secondary sources; the section was not accessible).",
            **{**_GAIN, "metric": "on_target_unseen"},
            control="sft",
        ),
        Claim(
            id="beyond-its-languages",
            statement="It does so too in directions of which the language of the question, that of the answer, or "
            "both have no feedback at all.",
            reported="Feedback in 30 languages, evaluation in 100 and more (abstract; official repository).",
            **{**_GAIN, "metric": "right_new"},
            control="sft",
        ),
        Claim(
            id="democratizes",
            statement="The languages of the answers become more equal: their mean is a larger share of the best one's.",
            reported="XL-Sum 67.21, Self-Instruct 73.92, FLORES 34.68: best of its table (a leaderboard's index).",
            metric="democratization_unseen",
            treatment="xllms",
            control="sft",
            smallest=2.0,
            null="by_lot",
            premises=("answers", "names"),
        ),
        Claim(
            id="beats-peers",
            statement="xLLaMA-100 and xBLOOM-100 beat other multilingual models of their size.",
            reported=_PEERS,
            out_of_scale=_SCALE,
        ),
        Claim(
            id="hundred-languages",
            statement="Instruction tuning reaches 100 languages, low-resource ones among them.",
            reported="The widest coverage at its time (abstract).",
            out_of_scale="The data set is not released. " + _SCALE,
        ),
    ),
    checks=(
        Check(
            id="keeps-its-own",
            statement="Answers in the language of the question stay right: at most five points are lost.",
            metric="right_own",
            unit="language",
            treatment="xllms",
            control="sft",
            keeps=True,
            size=0.05,
            premises=("answers",),
        ),
        Check(
            id="not-half-of-them",
            statement="With half of the pairs in one language there are fewer right answers across languages.",
            **_GAIN,
            control="both",
        ),
        Check(
            id="beats-imitation",
            statement="DPO gives more right answers in unseen directions than tuning on the preferred answers alone.",
            **_GAIN,
            control="chosen",
        ),
        Check(
            id="more-languages",
            statement="As many pairs in eight languages and 24 directions help more than in four and at most eleven.",
            **_GAIN,
            control="fewer",
        ),
    ),
    premises=(
        Premise(
            id="answers",
            statement="The instruction-tuned model answers questions in their own language.",
            metric="right_own",
            variant="sft",
            at_least=0.85,
        ),
        Premise(
            id="names",
            statement="It knows languages by their names: asked for a number in one without a question, it writes it.",
            metric="named",
            variant="sft",
            at_least=0.85,
        ),
    ),
    official_code="https://github.com/wenlai-lavine/xLLMs-100",
    licence_note=(
        "The official repository has no licence; data and models are not released. LLaMA 2 and BLOOM have licences of "
        "their own; Bactrian-X is CC BY-NC 4.0."
    ),
    seeds=(11, 12, 13, 14, 15, 16, 17, 18),
    minutes=13,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("benchmark", "preferences", "to_official", "to_usual"),
    method=("align", "build_feedback", "cross_lingual", "pair_rows", "prompt"),
)
