"""Selective translation: alignment data for another language in which code, keys and paths stay as they are."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

_JUDGED = "Needs a 4B model, its judges and GPT-4o."
# Every seed draws its language, requests, translations and weights, so that its mean is one draw of all of them.
# A difference in accuracy of less than .05 would be of no use to anyone.
_MEASURED: dict[str, Any] = {"metric": "accuracy", "unit": "language", "smallest": 0.05, "treatment": "selective"}
_TABLE_1 = "Table 1, k = 20K to 100K filtered samples of either translator beside 200K English ones"

PAPER = Paper(
    slug="selective_translation",
    title=(
        "Aligning Large Language Models to Low-Resource Languages through LLM-Based Selective Translation: A "
        "Systematic Study"
    ),
    authors="Rakesh Paul et al.",
    year=2025,
    venue="arXiv preprint",
    arxiv="2507.14304",
    family="instruction tuning",
    summary=(
        "Translates alignment data whole, but for what must not be translated (code, keys, paths, formulas, markup), "
        "filters it by a judge and tunes on it beside the English data, then on preferences."
    ),
    claims=(
        Claim(
            id="selective-beats-vanilla",
            statement="A model tuned on selective translations answers more requests for code, records, tool calls and "
            "formulas rightly, in a language that the seed draws, than one tuned on as many plain translations, both "
            "filtered by the same judge.",
            reported=f"{_TABLE_1}: ahead in 20 of 20 cells, by 2.1 points on GSM8K-Hi (40.5 against 38.5) on average.",
            **_MEASURED,
            control="vanilla",
            null="misplaced",
            premises=("english-skill", "selective-fits"),
        ),
        Claim(
            id="nearer-to-humans",
            statement="On interface messages with placeholders, tags and links, in twelve languages, a translation is "
            "nearer to the human one (chrF) where these are protected.",
            reported="A judge prefers selective translations to plain ones (figure on translation preference).",
            metric="chrf",
            unit="language",
            smallest=0.01,
            treatment="selective",
            control="vanilla",
            null="misplaced",
            premises=("humans-keep",),
        ),
        Claim(
            id="english-helps-target",
            statement="With all of the English data beside the same translations, more requests in the target language "
            "are answered rightly than with the translations alone.",
            reported="Table 2, k = 20K to 100K: GSM8K-Hi 35.00 on average with Hindi alone, 40.55 with English; "
            "IFEval-Hi 42.49 and 45.69.",
            **_MEASURED,
            control="target_only",
            premises=("english-skill", "selective-fits", "target_only-fits"),
        ),
        Claim(
            id="english-keeps-english",
            statement="With the English data, more requests in English are answered rightly.",
            reported="Table 2, k = 20K to 100K: IFEval-En 42.25 on average with Hindi alone, 50.72 with English.",
            **{**_MEASURED, "metric": "english"},
            control="target_only",
            premises=("english-skill", "target_only-fits"),
        ),
        Claim(
            id="translations-help",
            statement="Translations beside the English data help in the target language.",
            reported=f"{_TABLE_1}: GSM8K-Hi 30.10 without translations, 40.55 on average with selective ones.",
            **_MEASURED,
            control="english",
            premises=("english-skill", "selective-fits"),
        ),
        Claim(
            id="gains-saturate",
            statement="Two and a half times as many filtered translations gain nothing more (within .05).",
            reported="Table 1, selective: GSM8K-Hi 40.79 at 40K and 40.86 at 100K, IFEval-Hi 45.92 and 46.39, "
            "SubjectiveEval 4.29 and 4.15.",
            **{**_MEASURED, "treatment": "more", "better": "equal", "size": 0.05},
            control="selective",
            premises=("english-skill", "selective-fits"),
        ),
        Claim(
            id="filter-costs-nothing",
            statement="Selective translations that the judge has kept are as good as twice as many unfiltered ones "
            "(less than .05 worse).",
            reported="Table 1, 100K filtered and 200K unfiltered: GSM8K-Hi 40.86 and 43.44, IFEval-Hi 46.39 and 43.77, "
            "SubjectiveEval 4.15 and 4.18, MTBench-Hi 4.62 and 4.43.",
            **{**_MEASURED, "treatment": "more", "size": 0.05, "keeps": True},
            control="unfiltered",
            null="misplaced",
            premises=("english-skill", "selective-fits"),
        ),
        Claim(
            id="preferences-help",
            statement="Preference training in both languages after instruction tuning answers more requests rightly.",
            reported="Tables 1 and 3, selective, filtered: IFEval-Hi 46.39 before and 55.51 after DPO, GSM8K-Hi 40.86 "
            "and 43.44.",
            **{**_MEASURED, "treatment": "dpo"},
            control="selective",
            premises=("english-skill", "selective-fits"),
        ),
        Claim(
            id="equal-after-preferences",
            statement="After preference training the two translators are equal (within .05).",
            reported="Table 3, filtered: GSM8K-Hi 43.44 both, IFEval-Hi 55.51 and 55.67, SubjectiveEval 4.37 both.",
            **{**_MEASURED, "treatment": "dpo", "better": "equal", "size": 0.05},
            control="vanilla_dpo",
            premises=("english-skill", "selective-fits"),
        ),
        Claim(
            id="judged-better",
            statement="Open questions and dialogues are answered better after tuning on selective translations.",
            reported=f"{_TABLE_1}: SubjectiveEval 4.22 and 4.06 on average, MTBench-Hi (40 samples) 4.51 and 4.19; "
            "unfiltered, 4.18 and 4.05, 4.43 and 4.55.",
            out_of_scale=_JUDGED,
        ),
    ),
    checks=(
        Check(
            id="unfiltered-too",
            statement="Selective is ahead of plain translation without a filter too.",
            **{**_MEASURED, "treatment": "unfiltered"},
            control="vanilla_unfiltered",
            premises=("english-skill",),
        ),
        Check(
            id="few-spans-harm",
            statement="Selective is ahead where the plain translator translates 3 of 10 spans and not 7.",
            **_MEASURED,
            control="vanilla_low",
            null="misplaced",
            premises=("english-skill", "selective-fits"),
        ),
        Check(
            id="an-audit-repairs",
            statement="Plain translations of which only those with all spans are kept are as good as selective ones "
            "(less than .05 worse).",
            **{**_MEASURED, "treatment": "audited", "size": 0.05, "keeps": True},
            control="selective",
            null="misplaced",
            premises=("english-skill", "selective-fits"),
        ),
        Check(
            id="greetings-are-spared",
            statement="Where there is nothing to protect the two translators are equal (within .1).",
            **{**_MEASURED, "metric": "plain", "better": "equal", "size": 0.1},
            control="vanilla",
            premises=("english-skill", "selective-fits"),
        ),
    ),
    premises=(
        Premise(
            id="english-skill",
            statement="Tuned on the English data alone, the model answers English requests.",
            metric="english",
            variant="english",
            at_least=0.8,
        ),
        Premise(
            id="selective-fits",
            statement="The model has learnt the selective translations that it was tuned on.",
            metric="fitted",
            variant="selective",
            at_least=0.9,
        ),
        Premise(
            id="target_only-fits",
            statement="The model without English data has learnt its translations.",
            metric="fitted",
            variant="target_only",
            at_least=0.9,
        ),
        Premise(
            id="humans-keep",
            statement="Human translators keep what the rules protect.",
            metric="human",
            variant="selective",
            at_least=0.9,
        ),
    ),
    licence_note=(
        "The base and its judges are under NVIDIA's and Meta's licences. The authors' translations and models are not "
        "released."
    ),
    seeds=(8, 9, 10, 11, 12),
    minutes=12,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("resumed",),
    method=(
        "SelectiveTranslator",
        "alignment_prompt",
        "each",
        "faith_filter",
        "faith_prompt",
        "keeps",
        "mix",
        "parse_grades",
        "rules",
    ),
    spans=("audit", "preserved", "protect", "restore"),
)
