"""TUCAN: teach an existing chat model to call tools in its own language, and when not to."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# What is drawn is a tool, that is a function: its items share wordings and schema. Less than five points would be of no
# use to anyone.
_MEASURED: dict[str, Any] = {
    "unit": "tool",
    "smallest": 0.05,
    "control": "base",
    "treatment": "bg+en",
    "null": "shuffled",
    "premises": ("speaks-bg", "bg+en-fits"),
}

PAPER = Paper(
    slug="tucan",
    title="Teaching a Language Model to Speak the Language of Tools",
    authors="Simeon Emanuilov",
    year=2025,
    venue="arXiv",
    arxiv="2506.23394",
    family="adaptation",
    summary="LoRA on a small bilingual set of calls and non-calls in one strict format gives a chat model reliable "
    "tool use in its language.",
    claims=(
        Claim(
            id="speaks-tools",
            statement="Tuning on calls and non-calls raises the accuracy on Bulgarian requests, over six scenarios of "
            "which three want no call, by more than 28.75 points, in wordings and with values that it never showed.",
            reported="+28.75 points for BgGPT-2.6B, on Tucan-BG-Eval (abstract; 50.00 to 78.75 recalled).",
            **_MEASURED,
            metric="accuracy_bg",
            size=0.2875,
        ),
        Claim(
            id="clean-calls",
            statement="Where a call is wanted, Bulgarian requests get one that parses, names an offered function and "
            "satisfies its schema more often than from the base, and than after tuning on other items' calls.",
            reported="Clean, parsable calls instead of verbose replies (abstract; qualitative).",
            # Another item's call parses as well: the null arm breaks what is called, not the format, and is a control.
            **_MEASURED | {"null": None, "control": ("base", "shuffled")},
            metric="valid_call_bg",
        ),
        Claim(
            id="little-is-forgotten",
            statement="Of Bulgarian questions about currencies of countries, answered by choice among four, at most 5 "
            "points are lost to tuning, which mentions none of these countries.",
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
            id="unseen-functions",
            statement="Functions that tuning never showed are called rightly in Bulgarian more often than by the base.",
            **_MEASURED,
            metric="accuracy_unseen_bg",
        ),
    ),
    premises=(
        Premise(
            id="speaks-bg",
            statement="The base speaks Bulgarian: it says in its own words what it is asked for, with the right "
            "values, in the wordings of the test.",
            metric="understood_bg",
            variant="base",
            at_least=0.6,
        ),
        Premise(
            id="knows-bg",
            statement="The base knows what is asked about countries in Bulgarian.",
            metric="knowledge_bg",
            variant="base",
            at_least=0.6,
        ),
        Premise(
            id="bg+en-fits",
            statement="The tuned model has learnt its items.",
            metric="fitted",
            variant="bg+en",
            at_least=0.7,
        ),
    ),
    official_code="https://github.com/llm-bg/Tucan-Eval",
    licence_note="Official scorer: Apache-2.0 plus Gemma terms; it is not used here. BgGPT and Tucan models: Gemma "
    "terms.",
    seeds=(31, 32, 33, 34, 35),
    minutes=10,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    catalogue=("Catalogue", "load_catalogue", "plain_function"),
    data=("build_dataset", "load_prompt", "read_conversations", "read_items"),
    grader=("Call", "Report", "Verdict", "equivalent", "evaluate", "examine", "grade", "normalize", "parse_call"),
    method=("Draw", "Prompt", "Tags", "conversation", "render_call", "tune"),
)
