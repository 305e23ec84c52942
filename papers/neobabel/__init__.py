"""NeoBabel: one multilingual decoder that draws images from prompts in six languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public
from core.files import load_json

# Scores that are claimed or checked against both arms with English captions, and claims that need the real thing.
_TABLE: dict[str, list[dict[str, Any]]] = load_json(Path(__file__).with_name("claims.json"))
_TRANSLATING = "Translating first costs time and loses meaning (introduction); no number for this score."
# Seeds test other pairs, languages are drawn; .05 is nothing.
_JUDGED: dict[str, Any] = {"unit": "language", "smallest": 0.05, "premises": ("base-knows-languages", "english")}
_SEEDS = _JUDGED | {"unit": "seed"}
_ENGLISH = _SEEDS | {"treatment": "native", "control": "english_only", "null": "shuffled", "keeps": True, "size": 0.05}


def _against(kind: type, control: str) -> list[Any]:
    """Every score of captions in six languages against one of the two arms with English ones."""
    found = []
    for score in _TABLE[kind.__name__]:
        said = score | _JUDGED | {"treatment": "native", "control": control}
        than = f", by more than {said['size']}" if said["size"] else ""
        if control == "translate":
            than = " with prompts translated first, one word in ten wrongly"
            said |= {"id": f"beats-translating-{said['id']}", "size": 0.0}
            said |= {"reported": _TRANSLATING} if kind is Claim else {}
        said["statement"] += f" after captions in six languages than after English ones{than}."
        found.append(kind(**said))
    return found


PAPER = Paper(
    slug="neobabel",
    title="NeoBabel: A Multilingual Open Tower for Visual Generation",
    authors="Mohammad Mahdi Derakhshani et al.",
    year=2025,
    venue="arXiv preprint",
    arxiv="2507.06137",
    family="images",
    deeds=("train", "merge"),
    summary=(
        "Adds image codes to a multilingual language model and trains it to fill them in under captions in six "
        "languages: prompts in all of them give the same images, where an English-only generator understands English."
    ),
    claims=(
        *_against(Claim, "english_only"),
        Claim(
            id="english-is-kept",
            metric="geneval_en",
            reported="GenEval 0.83 in English, as BLIP3-o 8B. The allowed loss is ours.",
            statement="In English, which gets one caption in six, GenEval falls by at most 5 points.",
            **_ENGLISH,
        ),
        *_against(Claim, "translate"),
        Claim(
            id="averaging",
            metric="geneval_en",
            reported="GenEval 0.83 against 0.81 for the last checkpoint.",
            statement="The average of the last eight checkpoints is better in English than the last one, by more than "
            "2 points.",
            treatment="merge_sma",
            control="native",
            null="shuffled",
            size=0.02,
            **_SEEDS | {"smallest": 0.02},
        ),
        *(Claim(**row) for row in _TABLE["out of scale"]),
    ),
    checks=(
        *_against(Check, "english_only"),
        *_against(Check, "translate"),
        Check(
            id="english-binding",
            metric="bound_en",
            statement="In English, which colour belongs to which shape is drawn as well after captions in six "
            "languages as after English ones, less at most 5 points.",
            **_ENGLISH,
        ),
        *(
            Check(
                id=f"{arm.replace('_', '-')}-beats-a-crowd",
                metric="geneval",
                treatment=arm,
                control="crowd",
                statement=f"Captions {words} are ahead of nine random objects in m-GenEval over six languages.",
                **_SEEDS,  # the mean of these six languages
            )
            for arm, words in (("native", "in six languages"), ("english_only", "in English"))
        ),
    ),
    premises=(
        Premise(
            id="base-knows-languages",
            statement="The frozen encoder knows the languages: the nearest English prompt is the translation.",
            metric="base_retrieval",
            variant="native",
            at_least=0.5,
        ),
        Premise(
            id="english",
            statement="The generator with English captions draws what it was trained on in English.",
            metric="colors_en",
            variant="english_only",
            at_least=0.9,
        ),
    ),
    official_code="https://github.com/mmderakhshani/NeoBabel",
    licence_note=(
        "The official code is Apache-2.0 (from Show-o, Apache-2.0). Gemma 2 has its own terms. SA-1B, LAION, CC12M, "
        "JourneyDB and ImageNet have licences or terms of their own; JourneyDB and ImageNet are for research only."
    ),
    # 5n to 5n + 4: between them they test every pair that is not kept for development once.
    seeds=(45, 46, 47, 48, 49),
    minutes=12,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    config=("Decoding",),
    method=("consistency", "generate", "image_loss", "mask_image", "prompt_ids", "visible"),
    model=("Prompt", "TextToImage", "Vocabulary"),
    eval=("load_painter",),
    data=("image_tokenizer", "read_folder"),
)
