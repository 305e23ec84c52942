"""TUCAN: teach an existing chat model to call tools in its own language, and when not to."""

from __future__ import annotations

from core.experiment.paper import Claim, Paper, public

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
            id="learns-to-call",
            statement="Tuning on Bulgarian and English items raises accuracy where a call is wanted by more than 30 "
            "points.",
            reported="+28.75 points over all scenarios for BgGPT-2.6B (50.00 to 78.75 recalled); abstract",
            metric="accuracy_call",
            unit="split/item",
            treatment="bg+en",
            control="base",
            size=0.30,
        ),
        Claim(
            id="beats-a-mute-model",
            statement="Over all scenarios the tuned model beats one that never calls.",
            reported="78.75 against 50.00, which a mute model gets if scenarios are balanced; not compared in the "
            "paper",
            metric="accuracy",
            unit="split/item",
            treatment="bg+en",
            control="bg+en",
            control_metric="never_call",
        ),
        Claim(
            id="negatives-teach-restraint",
            statement="Without the items where nothing is to be called, unexpected calls rise by more than 30 points.",
            reported="such items are a design principle of the training set; no ablation reported",
            metric="unexpected_call",
            unit="split/item",
            treatment="no-negatives",
            control="bg+en",
            size=0.30,
        ),
        Claim(
            id="bulgarian-data-help-bulgarian",
            statement="On Bulgarian items that want a call, bilingual tuning beats as many English items.",
            reported="the set is bilingual; no ablation reported",
            metric="accuracy_call_bg",
            unit="split/item",
            treatment="bg+en",
            control="en",
        ),
        Claim(
            id="little-is-forgotten",
            statement="The loss on interface messages in both languages rises by less than 0.15 nats a token.",
            reported="no forgetting on Bulgarian HellaSwag, Winogrande, ARC; model cards",
            metric="loss_increase",
            unit="language/text",
            treatment="bg+en",
            control=0.15,
            better="lower",
        ),
        Claim(
            id="unseen-functions",
            statement="Functions that were never trained are called correctly, 30 points more often than by the base.",
            reported="not reported; without it the model has learned a list of functions and not to read a schema",
            metric="accuracy_unseen_tools",
            unit="split/item",
            treatment="bg+en",
            control="base",
            size=0.30,
        ),
        Claim(
            id="gain-vanishes-with-size",
            statement="The gain falls with size: large at 2.6 B, small at 9 B, none at 27 B.",
            reported="+28.75, +8.34, +0.83 points (the last two quoted by a third party)",
            out_of_scale="needs BgGPT at three sizes; presets paper, paper_9b and paper_27b",
        ),
    ),
    minutes=20,
    official_code="https://github.com/llm-bg/Tucan-Eval",
    licence_note="Official scorer: Apache-2.0 plus Gemma terms; it is not used here. BgGPT and Tucan models: Gemma "
    "terms. SmolLM2: Apache-2.0.",
)

_METHOD = (
    "Call", "Prompt", "Report", "Tags", "Verdict", "conversation", "equivalent", "evaluate", "examine", "grade",
    "normalize", "parse_call", "render_call", "render_result", "same_arguments", "shown_function", "summarize",
)  # fmt: skip

__getattr__, __dir__, __all__ = public(
    __name__,
    method=(
        "Call",
        "Prompt",
        "Report",
        "Tags",
        "Verdict",
        "conversation",
        "equivalent",
        "evaluate",
        "examine",
        "grade",
        "normalize",
        "parse_call",
        "render_call",
        "render_result",
        "same_arguments",
        "shown_function",
        "summarize",
    ),
    data=("build_dataset", "load_catalogue", "load_prompt", "plain_function"),
    files=("read_conversations", "read_items"),
    schema=("violations",),
)
