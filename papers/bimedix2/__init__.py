"""BiMediX2: a projector, then low-rank adapters, let a bilingual medical language model see."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Five manners of pictures are drawn, with all that is asked about them in a language; every seed has pictures, weights
# and tested findings of its own. Less than 3 points is nothing.
_PICTURES: dict[str, Any] = {
    "unit": "modality", "smallest": 0.03, "treatment": "bimedix2", "null": "shuffled",
    "premises": ("sees", "english-sees", "english-speaks-arabic"),
}  # fmt: skip
# Sixteen wordings of questions without pictures are drawn, each in both languages. Exchanged pictures take nothing from
# them: what breaks them is tuning without text.
_TEXT: dict[str, Any] = {
    "metric": "text", "unit": "wording", "smallest": 0.03, "treatment": "bimedix2",
    "premises": ("reads-en", "reads-ar"),
}  # fmt: skip
_LARGE = "Needs the 8B or 70B model, its 1.6 million samples"

PAPER = Paper(
    slug="bimedix2",
    title="BiMediX2: Bio-Medical EXpert LMM for Diverse Medical Modalities",
    authors="Sahal Shaji Mullappilly, Mohammed Irfan Kurpath, Sara Pieri, Saeed Yahya Alseiari, Shanavas Cholakkal, "
    "Khaled Aldahmani, Fahad Khan, Rao Muhammad Anwer, Salman Khan, Timothy Baldwin, Hisham Cholakkal",
    year=2024,
    venue="Findings of EMNLP 2025",
    arxiv="2412.07769",
    family="images",
    summary="A projector trained on captions, then adapters trained on conversations with and without pictures in two "
    "languages, give one medical model that sees, reads and answers in English and Arabic.",
    claims=(
        Claim(
            id="arabic-pictures",
            statement="In Arabic, questions about pictures are answered better, by more than 20 points of the relative "
            "score, when a fifth of the conversations about pictures is Arabic than when all of them are English; and "
            "than by a model that answers in Arabic and whose pictures were exchanged.",
            reported="More than 20 points in Arabic on BiMed-MBench (abstract): 50.5 against 29.5 for Dragonfly-Med, "
            "26.2 for LLaVA-Med, which saw English alone (table).",
            # Whoever answers in Arabic is ahead of one that answers in English, blind or not: hence both controls.
            **_PICTURES | {"metric": "relative_ar", "control": ("english-pictures", "shuffled"), "size": 0.20},
        ),
        Claim(
            id="five-manners",
            statement="In both languages, pictures of five manners are described better than by a model whose pictures "
            "were exchanged in training.",
            reported="Diverse medical modalities (title); X-ray 71.7, MRI 56.8, histology 62.5, gross 61.4, CT 58.9 in "
            "English and 61.4, 44.6, 51.5, 43.5, 50.8 in Arabic (table).",
            **_PICTURES | {"metric": "relative", "control": "shuffled", "null": None},
        ),
        Claim(
            id="text-as-well",
            statement="The same model answers more questions without pictures than the language model that it was made "
            "of.",
            reported="Average of ten text benchmarks 84.6 (70B) against 83.8 for Llama-3.1-70B (table).",
            **_TEXT,
            control="base",
            null="without-text",
        ),
        Claim(
            id="english-pictures",
            statement="In English it is ahead of earlier medical models that see.",
            reported="More than 9 points on BiMed-MBench: 62.2 against 52.7 (Dragonfly-Med); table.",
            out_of_scale=f"{_LARGE} and the earlier models, which differ from it in more than their data's language.",
        ),
        Claim(
            id="visual-questions",
            statement="Visual questions of Rad-VQA, SLAKE and Path-VQA are answered best.",
            reported="Average of 18 scores .611 (8B) against .461 (RadFM); table.",
            out_of_scale=f"{_LARGE} and the benchmarks; preset `paper` measures them.",
        ),
        Claim(
            id="usmle-and-uphill",
            statement="The text model is ahead of GPT-4 on USMLE by more than 8 points, and on UPHILL by more than 9.",
            reported="92.3 against 83.8 (USMLE, 70B; table); factual accuracy (abstract).",
            out_of_scale=f"{_LARGE} and a judge of open answers.",
        ),
        Claim(
            id="reports",
            statement="Reports are summarised and generated better.",
            reported="MIMIC-III average .416 (8B) against .398 (LLaVA-Med); table.",
            out_of_scale="Needs MIMIC, which is given out on application.",
        ),
    ),
    checks=(
        Check(
            id="english-is-kept",
            statement="In English it loses at most 5 points to the model whose pictures are all discussed in English.",
            **_PICTURES | {"metric": "relative_en", "control": "english-pictures", "keeps": True, "size": 0.05},
        ),
        Check(
            id="answers-in-arabic",
            statement="Questions in Arabic are answered in Arabic more often than by the model whose pictures are all "
            "discussed in English.",
            **_PICTURES | {"metric": "language_ar", "control": "english-pictures", "null": None},
        ),
        Check(
            id="stage-1-helps",
            statement="With stage 1 before it, stage 2 of the same length gives better answers about pictures.",
            **_PICTURES | {"metric": "relative", "control": "without-stage-1"},
        ),
        Check(
            id="text-needs-text",
            statement="Without text among the conversations, fewer questions without pictures are answered.",
            **_TEXT,
            control="without-text",
        ),
        Check(
            id="text-costs-no-sight",
            statement="Text among the conversations, in steps that pictures would have had, costs at most 5 points of "
            "the answers about pictures.",
            **_PICTURES | {"metric": "relative", "control": "without-text", "keeps": True, "size": 0.05},
        ),
    ),
    premises=(
        Premise(
            id="reads-en", statement="The language model knows the tested conditions in English, as statements.",
            metric="read_en", variant="base", at_least=0.9,
        ),
        Premise(
            id="reads-ar", statement="It knows them in Arabic.", metric="read_ar", variant="base", at_least=0.9,
        ),
        Premise(
            id="sees",
            statement="The model answers English questions about new pictures with findings that it was trained on.",
            metric="fitted", variant="bimedix2", at_least=0.75,
        ),
        Premise(
            id="english-sees",
            statement="So does the model whose pictures are all discussed in English.",
            metric="fitted", variant="english-pictures", at_least=0.75,
        ),
        Premise(
            id="english-speaks-arabic",
            statement="Asked in Arabic about pictures that are described in Arabic words, it mostly answers in Arabic.",
            metric="speaks_ar", variant="english-pictures", at_least=0.8,
        ),
    ),
    official_code="https://github.com/mbzuai-oryx/BiMediX2",
    licence_note="Code, models and data of BiMediX2: CC BY-NC-SA 4.0. Llama 3.1 and CLIP: their own terms.",
    disclaimer="Research code. It gives no medical advice and must not be used for diagnosis or treatment.",
    # 6n to 6n + 5: between them they test every condition once, and six of eleven findings of each manner.
    seeds=(48, 49, 50, 51, 52, 53),
    minutes=12,
)  # fmt: skip

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("read_samples",),
    eval=("closed_accuracy", "recall", "relative_scores", "verdict"),
    method=("adapt", "align", "connect", "instruct", "multimodal_loss"),
    model=("Assistant",),
)
