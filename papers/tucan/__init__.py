"""TUCAN: teach an existing chat model to call tools in its own language, and when not to."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# What is drawn is a tool, that is a function: its items share wordings and schema. Less than five points would be of no
# use to anyone.
_DRAWN: dict[str, Any] = {"unit": "tool", "smallest": 0.05, "null": "shuffled"}
_MEASURED: dict[str, Any] = _DRAWN | {"control": "base", "treatment": "bg+en", "premises": ("speaks-bg", "bg+en-fits")}
_AGAINST_NULL: dict[str, Any] = {"null": None, "control": ("base", "shuffled")}
_LEARNT = "has learnt its items that want a call; never calling fits all others."
# A control that has not learnt its items proves nothing. The null arm is left out: it has nothing that can be learnt.
_PREMISES = {
    "speaks-bg": ("base", "understood_bg", 0.7, "The base speaks Bulgarian: it says in its own words what it is asked "
                  "for, with the right values, in the wordings of the test."),
    "knows-bg": ("base", "knowledge_bg", 0.6, "The base knows what is asked about countries in Bulgarian."),
    "bg+en-fits": ("bg+en", "fitted", 0.7, f"The model that is tuned on both languages {_LEARNT}"),
    "no_negatives-fits": ("no_negatives", "fitted", 0.7, f"The model that is tuned on calls alone {_LEARNT}"),
    "en-fits": ("en", "fitted", 0.7, f"The model that is tuned on English alone {_LEARNT}"),
}  # fmt: skip

PAPER = Paper(
    slug="tucan",
    title="Teaching a Language Model to Speak the Language of Tools",
    authors="Simeon Emanuilov",
    year=2025,
    venue="arXiv",
    arxiv="2506.23394",
    family="instruction tuning",
    summary="LoRA on a small bilingual set of calls and non-calls in one strict format gives a chat model reliable "
    "tool use in its language.",
    claims=(
        Claim(
            id="speaks-tools",
            statement="Tuning on calls and non-calls raises the accuracy on Bulgarian requests, over six scenarios of "
            "which three want no call, in wordings and with values that it never showed (the paper: by 28.75 points).",
            reported="+28.75 points for BgGPT-2.6B, on Tucan-BG-Eval (abstract; 50.00 to 78.75 recalled).",
            **_MEASURED,
            metric="accuracy_bg",
            size=0.2875,
        ),
        Claim(
            id="clean-calls",
            statement="Where a call is wanted, Bulgarian requests get one that parses, names an offered function and "
            "satisfies its schema more often than from the base, and than after tuning on other items' answers.",
            reported="Clean, parsable calls instead of verbose replies (abstract; qualitative).",
            # Another item's call parses as well: the null arm breaks what is called, not the format, and is a control.
            **_MEASURED | _AGAINST_NULL,
            metric="valid_call_bg",
        ),
        Claim(
            id="little-is-forgotten",
            statement="Of Bulgarian questions about currencies of countries, answered by choice among four, at most 5 "
            "points are lost to tuning, which asks the same about other countries.",
            reported="No forgetting on Bulgarian HellaSwag, Winogrande and ARC (cards). The allowed loss is ours.",
            metric="knowledge_bg",
            unit="territory",
            treatment="bg+en",
            control="base",
            keeps=True,
            size=0.05,
            premises=("knows-bg", "bg+en-fits"),
        ),
        Claim(
            id="gain-vanishes-with-size",
            statement="The gain falls with size: large at 2.6 B, small at 9 B, none at 27 B.",
            reported="+28.75, +8.34, +0.83 points (the last two quoted by a third party).",
            out_of_scale="Needs BgGPT at three sizes; presets `paper`, `paper_9b` and `paper_27b`.",
        ),
    ),
    checks=(
        Check(
            id="above-neighbour",
            statement="The accuracy on Bulgarian requests is above that of a look-up, which does what was right for "
            "the training request with the most words in common and copies the words that no wording has.",
            **_MEASURED,
            metric="accuracy_bg",
            control_metric="neighbour_accuracy_bg",
        ),
        Check(
            id="negatives-teach-when",
            statement="Whether a Bulgarian request wants a call is decided rightly more often than after tuning on as "
            "many items that all want one.",
            **_MEASURED | {"control": "no_negatives", "premises": ("speaks-bg", "bg+en-fits", "no_negatives-fits")},
            metric="decision_bg",
        ),
        Check(
            id="english-transfers",
            statement="After tuning on English items alone, Bulgarian requests are called rightly more often than by "
            "the base, and than after tuning on other items' answers.",
            # The base has 0 by construction; that the other control is not passed is the test.
            **_DRAWN | _AGAINST_NULL,
            treatment="en",
            premises=("speaks-bg", "en-fits"),
            metric="accuracy_call_bg",
        ),
        Check(
            id="both-beat-english",
            statement="Tuning on both languages raises the accuracy on Bulgarian requests over tuning on as many "
            "English items.",
            **_MEASURED | {"control": "en", "premises": ("speaks-bg", "bg+en-fits", "en-fits")},
            metric="accuracy_bg",
        ),
        Check(
            id="unseen-functions",
            statement="Two functions that tuning never showed are called rightly in Bulgarian more often than by the "
            "base, and than after tuning on other items' answers.",
            **_MEASURED | _AGAINST_NULL,
            metric="accuracy_unseen_bg",
        ),
    ),
    premises=tuple(
        Premise(id=id, variant=variant, metric=metric, at_least=at_least, statement=statement)
        for id, (variant, metric, at_least, statement) in _PREMISES.items()
    ),
    official_code="https://github.com/llm-bg/Tucan-Eval",
    licence_note="Official scorer: Apache-2.0 plus Gemma terms; it is not used here. BgGPT and Tucan models: Gemma "
    "terms.",
    seeds=(61, 62, 63, 64, 65),
    minutes=15,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    config=("PromptConfig",),
    data=("build_dataset", "load_catalogue", "load_prompt", "read_items"),
    grader=("evaluate", "examine", "grade", "parse_call"),
    method=("Prompt", "Tags", "conversation", "render_call", "tune"),
)
