"""Language neurons: specific, related, general; what is lost without them, and how alignment moves them."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Six languages are drawn, with what is switched off for them. A tenth of a nat is a tenth more perplexity.
_OFF: dict[str, Any] = {
    "treatment": "related", "unit": "language", "smallest": 0.1, "null": "random", "premises": ("speaks",),
}  # fmt: skip
# One number of SmolLM2 against another; texts that are given to languages by lot have no neurons of a language.
_WITHIN: dict[str, Any] = {
    "treatment": "related", "control": "related", "null": "shuffled", "premises": ("speaks",),
}  # fmt: skip
# Languages of the calculator are drawn, with the sums that are asked in them.
_ALIGNED: dict[str, Any] = {"treatment": "mapo", "control": "base", "unit": "language", "null": "lot"}
_COUNTED: dict[str, Any] = {**_ALIGNED, "smallest": 1.0, "premises": ("calculates", "owns", "harmless")}
_GAINED: dict[str, Any] = {
    **_ALIGNED, "metric": "right_untrained", "smallest": 0.02, "premises": ("calculates", "imperfect", "harmless"),
}  # fmt: skip
# By id: who measures what, how much of it is needed, and what it means.
_PREMISES = {
    "speaks": (
        "related", "least_spoken", 0.1,
        "SmolLM2 knows every language better than the frequencies of its letters do (bits a byte saved).",
    ),
    "calculates": ("base", "right_english", 0.6, "The calculator is right in English."),
    "owns": (
        "base", "fewest_neurons", 5, "Every language of the calculator has neurons that are specific or related to it.",
    ),
    "imperfect": ("base", "wrong_untrained", 0.1, "There is something to gain in the other languages."),
    "harmless": (
        "mapo", "learnt", -0.02,
        "Preferences do not cost the languages that they are in more than two points of right answers.",
    ),
}  # fmt: skip

PAPER = Paper(
    slug="language_neurons",
    title="How does Alignment Enhance LLMs' Multilingual Capabilities? A Language Neurons Perspective",
    authors="Shimao Zhang et al.",
    year=2025,
    venue="AAAI 2026",
    arxiv="2505.21505",
    family="merging",
    summary="Sorts neurons by how many languages they are active in, one, some or all, sees what a language loses "
    "without its own, and what alignment by preferences changes.",
    claims=(
        Claim(
            id="selective",
            statement="Without the neurons that are specific or related to a language, SmolLM2 loses more nats a "
            "token in it than in the other languages.",
            reported="Fig. 2b, accuracy on MGSM: own language ru -.42, zh -.38, de -.18, fr -.15, en -.01, others "
            "mostly within .05.",
            metric="selective",
            **_OFF,
        ),
        Claim(
            id="related-matter",
            statement="Without both it loses more in the language than without its specific neurons alone.",
            reported="Fig. 2a against 2b: ru -.03 against -.42, zh .00 against -.38.",
            metric="own",
            control="specific",
            **_OFF,
        ),
        Claim(
            id="general-are-everyones",
            statement="Without the general neurons too, other languages lose more.",
            reported="Fig. 2c: every cell about -.12 to -.5.",
            metric="others",
            control="related",
            **{**_OFF, "treatment": "general"},
        ),
        Claim(
            id="english-apart",
            statement="English loses least by its own neurons: less than any other language by its own.",
            reported="Fig. 2b: -.01 in English, -.15 to -.42 in French, German, Chinese and Russian.",
            metric="english",
            control_metric="least_of_others",
            better="lower",
            smallest=0.1,
            **_WITHIN,
        ),
        Claim(
            id="english-owns-few",
            statement="Half as many neurons or fewer are specific or related to English as to the other languages on "
            "average.",
            reported="English 46 specific and 603 related neurons, others 613 and 2,006 on average: a quarter.",
            metric="owned_english",
            better="lower",
            size=0.5,
            smallest=0.1,
            **{**_WITHIN, "control": 1.0},
        ),
        Claim(
            id="stages",
            statement="Layers with many specific and related neurons have few general ones, the last layer aside.",
            reported="Understanding and output layers have the former, shared reasoning between them the latter "
            "(Fig. 3).",
            metric="language_layers",
            correlated_with="general_layers",
            better="lower",
            smallest=0.1,
            unit="layer",
            **{**_WITHIN, "control": 0.0},
        ),
        Claim(
            id="understanding-stage",
            statement="Of a thousand neurons in the first eighth of the layers, two more are specific or related than "
            "in those from there to the middle.",
            reported="First stage, 4 of 32 layers; shipped mask: 17 to 63 specific neurons there, 0 to 2 in layers "
            "6 to 17.",
            metric="language_first",
            control_metric="language_middle",
            size=2.0,
            smallest=1.0,
            **_WITHIN,
        ),
        Claim(
            id="last-layer",
            statement="Of the neurons that are active in some language, more are general in the last layer than in the "
            "others on average.",
            reported="Most of all in the last layer; shipped counts: 745 of 14,336, 48 in layer 23.",
            metric="general_last",
            control_metric="general_others",
            smallest=0.02,
            **_WITHIN,
        ),
        Claim(
            id="same-in-another-domain",
            statement="Half of a language's neurons more are found again in another domain, names of emoji, than of as "
            "many others of the same layers.",
            reported="Overlap of MSVAMP with MGSM: 80.7 % of specific, 92.3 % of related neurons.",
            metric="overlap",
            control_metric="chance",
            unit="language",
            size=0.5,
            smallest=0.05,
            **{**_WITHIN, "null": "random"},
        ),
        Claim(
            id="spontaneous",
            statement="Preferences in two languages give more right answers in four others, of which there are none.",
            reported="Table 1, MGSM: zh/de => en lifts the mean of ten languages from 57.8 to 63.6, sw/th => en to "
            "64.7.",
            **_GAINED,
        ),
        Claim(
            id="fewer-specific",
            statement="After alignment fewer neurons are specific to a language.",
            reported="-37 in trained, -36 in other languages (Fig. 5).",
            metric="specific",
            better="lower",
            **_COUNTED,
        ),
        Claim(
            id="more-related",
            statement="After alignment more neurons are related to a language and others.",
            reported="+232 in trained, +205 in other languages (Fig. 5).",
            metric="shared",
            **_COUNTED,
        ),
        Claim(
            id="same-after-alignment",
            statement="Half of a language's neurons more are found again after alignment than of as many others of the "
            "same layers.",
            reported="95.6 % of specific and 92.1 % of related neurons.",
            metric="stayed",
            treatment="mapo",
            control="mapo",
            control_metric="by_chance",
            unit="language",
            size=0.5,
            smallest=0.05,
            premises=("calculates", "owns", "harmless"),
        ),
        Claim(
            id="mgsm",
            statement="Alignment lifts MistralMathOctopus on MGSM from 57.8 to 63.6 and more.",
            reported="Table 1.",
            out_of_scale="Needs models of 7 billion parameters: preset `paper`.",
        ),
    ),
    checks=(
        Check(
            id="more-than-lape",
            statement="Without the neurons of both kinds it loses more in the language than without LAPE's, which are "
            "chosen at the same rate.",
            metric="own",
            control="lape",
            **_OFF,
        ),
        Check(
            id="more-than-random",
            statement="It loses more in the language than without as many random neurons of the same layers.",
            metric="own",
            **{**_OFF, "control": "random", "null": "shuffled"},
        ),
        Check(
            id="general-more-than-padded",
            statement="Without the general neurons too, other languages lose more than without as many random ones of "
            "the same layers in their place.",
            metric="others",
            **{**_OFF, "treatment": "general", "control": "padded"},
        ),
        Check(
            id="selective-nearby",
            statement="It loses more in the language than in those of the same kind of script, Latin or not.",
            metric="nearby",
            **_OFF,
        ),
        Check(
            id="more-than-imitation",
            statement="Preferences give more right answers in the four languages than tuning on the better answers.",
            **{**_GAINED, "control": "imitate"},
        ),
        Check(
            id="keeps-english",
            statement="English, of which there are no preferences, keeps its right answers within five points.",
            metric="right_english",
            treatment="mapo",
            control="base",
            keeps=True,
            size=0.05,
            unit="language/sum",
            premises=("calculates",),
        ),
    ),
    premises=tuple(
        Premise(id=name, variant=variant, metric=metric, at_least=least, statement=statement)
        for name, (variant, metric, least, statement) in _PREMISES.items()
    ),
    official_code="https://github.com/NJUNLP/Language-Neurons-Alignment",
    licence_note="Neither the official repository nor MAPO's has a licence: nothing of them is here. The models "
    "stand on Mistral-7B (Apache-2.0) and Llama 2 (its own licence); NLLB is CC BY-NC 4.0.",
    seeds=(41, 42, 43, 44),
    minutes=18,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("read_activity", "write_activity"),
    measures=("matched",),
    method=("Activity", "Neurons", "activity", "identify", "preferences", "rewards", "switched_off"),
    use=("compare",),
)
