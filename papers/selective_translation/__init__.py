"""Selective translation: alignment data for another language in which code, keys and paths stay as they are."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Every seed draws its language, requests, translations and weights, so that its mean is one draw of all of them.
# A difference in accuracy of less than .05 would be of no use to anyone.
_MEASURED: dict[str, Any] = {"metric": "accuracy", "unit": "language", "smallest": 0.05, "treatment": "selective"}
_SKILLS = ("english-skill", "selective-fits")
_WITHIN: dict[str, Any] = {"better": "equal", "size": 0.05}
_KEPT: dict[str, Any] = {"keeps": True, "size": 0.05}
_TABLE_1 = "Table 1, k = 20K to 100K filtered samples of either translator beside 200K English ones"


def _claim(id: str, control: str, statement: str, reported: str, **others: Any) -> Claim:
    found = _MEASURED | {"premises": _SKILLS} | others
    return Claim(id=id, control=control, statement=statement, reported=reported, **found)


def _check(id: str, control: str, statement: str, **others: Any) -> Check:
    return Check(id=id, control=control, statement=statement, **_MEASURED | {"premises": _SKILLS} | others)


def _premise(id: str, variant: str, metric: str, at_least: float, statement: str) -> Premise:
    return Premise(id=id, statement=statement, metric=metric, variant=variant, at_least=at_least)


PAPER = Paper(
    slug="selective_translation",
    title="Aligning Large Language Models to Low-Resource Languages through LLM-Based Selective Translation: A "
    "Systematic Study",
    authors="Rakesh Paul et al.",
    year=2025,
    venue="arXiv preprint",
    arxiv="2507.14304",
    family="instruction tuning",
    summary="Translates alignment data whole, but for what must not be translated (code, keys, paths, formulas, "
    "markup), filters it by a judge and tunes on it beside the English data, then on preferences.",
    claims=(
        _claim("selective-beats-vanilla", "vanilla", "A model tuned on selective translations answers more requests "
               "for code, records, tool calls and formulas rightly, in a language that the seed draws, than one tuned "
               "on as many plain translations, both filtered by the same judge.",
               f"{_TABLE_1}: ahead in 20 of 20 cells, by 2.1 points on GSM8K-Hi (40.5 against 38.5) on average.",
               null="misplaced"),
        _claim("english-helps-target", "target_only", "With all of the English data beside the same translations, more "
               "requests in the target language are answered rightly than with the translations alone.",
               "Table 2, k = 20K to 100K: GSM8K-Hi 35.00 on average with Hindi alone, 40.55 with English; IFEval-Hi "
               "42.49 and 45.69.", premises=(*_SKILLS, "target_only-fits")),
        _claim("english-keeps-english", "target_only", "With the English data, more requests in English are answered "
               "rightly.", "Table 2, k = 20K to 100K: IFEval-En 42.25 on average with Hindi alone, 50.72 with English.",
               metric="english", premises=("english-skill", "target_only-fits")),
        _claim("translations-help", "english", "Translations beside the English data help in the target language.",
               f"{_TABLE_1}: GSM8K-Hi 30.10 without translations, 40.55 on average with selective ones.",
               null="misplaced"),
        _claim("gains-saturate", "selective", "Two and a half times as many filtered translations gain nothing more "
               "(within .05).", "Table 1, selective: GSM8K-Hi 40.79 at 40K and 40.86 at 100K, IFEval-Hi 45.92 and "
               "46.39, SubjectiveEval 4.29 and 4.15.", treatment="more", **_WITHIN),
        _claim("filter-costs-nothing", "unfiltered", "Selective translations that the judge has kept are as good as "
               "twice as many unfiltered ones (less than .05 worse).", "Table 1, 100K filtered and 200K unfiltered: "
               "GSM8K-Hi 40.86 and 43.44, IFEval-Hi 46.39 and 43.77, SubjectiveEval 4.15 and 4.18, MTBench-Hi 4.62 and "
               "4.43.", treatment="more", null="misplaced", **_KEPT),
        _claim("preferences-help", "selective", "Preference training in both languages after instruction tuning "
               "answers more requests rightly.", "Tables 1 and 3, selective, filtered: IFEval-Hi 46.39 before and "
               "55.51 after DPO, GSM8K-Hi 40.86 and 43.44.", treatment="dpo"),
        _claim("equal-after-preferences", "vanilla_dpo", "After preference training the two translators are equal "
               "(within .05).", "Table 3, filtered: GSM8K-Hi 43.44 both, IFEval-Hi 55.51 and 55.67, SubjectiveEval "
               "4.37 both.", treatment="dpo", **_WITHIN),
        Claim(
            id="judged-better",
            statement="Open questions and dialogues are answered better after tuning on selective translations, and a "
            "judge prefers the translations themselves.",
            reported=f"{_TABLE_1}: SubjectiveEval 4.22 and 4.06 on average, MTBench-Hi (40 samples) 4.51 and 4.19; "
            "unfiltered, 4.18 and 4.05, 4.43 and 4.55. Preferences in a figure.",
            out_of_scale="Needs a 4B model, its judges and GPT-4o.",
        ),
    ),
    checks=(
        _check("nearer-to-humans", "vanilla", "On interface messages with placeholders, tags and links, in twelve "
               "languages, a translation is nearer to the human one (chrF) where these are protected, and not where as "
               "many other words are.", metric="chrf", smallest=0.01, null="misplaced", premises=("humans-keep",)),
        _check("unfiltered-too", "vanilla_unfiltered", "Selective is ahead of plain translation without a filter too.",
               treatment="unfiltered", null="misplaced", premises=("english-skill",)),
        _check("few-spans-harm", "vanilla_low", "Selective is ahead where the plain translator translates 3 of 10 "
               "spans and not 7.", null="misplaced"),
        _check("an-audit-repairs", "selective", "Plain translations of which only those with all spans are kept are as "
               "good as selective ones (less than .05 worse).", treatment="audited", null="misplaced", **_KEPT),
        _check("greetings-are-spared", "vanilla", "Where there is nothing to protect the two translators are equal "
               "(within .1).", metric="plain", **_WITHIN | {"size": 0.1}),
    ),
    premises=(
        _premise("english-skill", "english", "english", 0.8, "Tuned on the English data alone, the model answers "
                 "English requests."),
        _premise("selective-fits", "selective", "fitted", 0.9, "The model has learnt the selective translations that "
                 "it was tuned on."),
        _premise("target_only-fits", "target_only", "fitted", 0.9, "The model without English data has learnt its "
                 "translations."),
        _premise("humans-keep", "selective", "human", 0.9, "Human translators keep what the rules protect."),
    ),
    licence_note="The base and its judges are under NVIDIA's and Meta's licences. The authors' translations and models "
    "are not released.",
    seeds=(8, 9, 10, 11, 12),
    minutes=15,
)  # fmt: skip

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("each", "resumed"),
    method=("SelectiveTranslator", "alignment_prompt", "faith_filter", "faith_prompt", "keeps", "mix", "parse_grades",
            "rules"),
    spans=("audit", "preserved", "protect", "restore"),
)  # fmt: skip
