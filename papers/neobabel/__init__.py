"""NeoBabel: one multilingual decoder that draws images from prompts in six languages."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

_M_GENEVAL = "m-GenEval 0.75 over six languages against 0.64 (BLIP3-o 8B, a multilingual LLM aligned in English)."
_TRANSLATING = "Translating first costs time and loses meaning (introduction); no number for this score."
_OBJECTS, _LOOKS = "the same objects", "pictures that look alike"
# Each is judged against English captions, and against English captions with prompts put into English first:
# id, metric, the size that is claimed against the former, null arm, statement, what the paper reports.
_SCORES = (
    (
        "binding", "bound_foreign", 0.11, "shuffled",
        "In the five other languages pairs that were never trained are drawn with each colour on its shape more often "
        "(less pairs with their colours exchanged, so 0 for a bag of words)", _M_GENEVAL,
    ),
    (
        "trained-prompts", "colors_foreign", 0.11, "shuffled",
        "Single coloured shapes, which were all trained, are drawn right more often in the five other languages",
        _M_GENEVAL,
    ),
    ("m-geneval", "geneval", 0.11, "crowd", "The mean of m-GenEval over six languages is higher", _M_GENEVAL),
    *(
        (
            f"consistent-{feature}", f"clc_{feature}", size, "crowd",
            f"Another language gives {what} as English more often (CLC over held-out pairs)", f"CLC {reported}.",
        )
        for feature, what, size, reported in (
            ("objects", _OBJECTS, 0.02, "0.79 (EVA-CLIP) against 0.77 (BLIP3-o 8B) and 0.67 (Janus-Pro 7B)"),
            ("looks", _LOOKS, 0.16, "0.61 (DINOv2) against 0.45 (BLIP3-o 8B) and 0.30 (Janus-Pro 7B)"),
        )
    ),
    *(
        (
            f"code-switching-{order}-{feature}", f"css_{order}_{feature}", 0.0, "crowd",
            f"Prompts with English {place} and another language beside it give {what} as English ones more often (CSS)",
            f"CSS-{order.upper()} {reported}; larger models are lower.",
        )
        for order, place, feature, what, reported in (
            ("ef", "first", "objects", _OBJECTS, "0.82 (EVA-CLIP)"),
            ("ef", "first", "looks", _LOOKS, "0.67 (DINOv2)"),
            ("es", "second", "objects", _OBJECTS, "0.81 (EVA-CLIP)"),
            ("es", "second", "looks", _LOOKS, "0.64 (DINOv2)"),
        )
    ),
)  # fmt: skip
_RIGHT_WORDS = (
    "pairs", "pairs_foreign", 0.11, "shuffled",
    "Held-out pairs are drawn right (half of the time by a bag of words) more often in the five other languages", "",
)  # fmt: skip
# Seeds test other pairs, languages are drawn; .05 is nothing.
_JUDGED: dict[str, Any] = {"unit": "language", "smallest": 0.05, "premises": ("base-knows-languages", "english")}
_ENGLISH: dict[str, Any] = {"treatment": "native", "control": "english_only", "null": "shuffled", **_JUDGED}
_ENGLISH |= {"unit": "seed", "keeps": True, "size": 0.05}


def _against(kind: type, control: str, row: tuple[Any, ...]) -> Any:
    """A score of captions in six languages against one of the two arms with English ones."""
    id, metric, size, null, statement, reported = row
    than = f"after English ones{f', by more than {size}' if size else ''}."
    if control == "translate":
        id, size, reported = f"beats-translating-{id}", 0.0, _TRANSLATING
        than = "after English ones with prompts translated first, one word in ten wrongly."
    said: dict[str, Any] = {"statement": f"{statement} after captions in six languages than {than}", "size": size}
    said |= {"reported": reported} if kind is Claim else {}
    return kind(id=id, metric=metric, treatment="native", control=control, null=null, **said, **_JUDGED)


# What needs the real thing: statement, what the paper reports, why not here.
_BEYOND = {
    "absolute-scores": (
        "0.75 on m-GenEval, 0.68 on m-DPG, 0.83 on GenEval with 2B parameters.",
        "Abstract and tables.",
        "Needs Gemma-2 2B, 124 million image-caption pairs and weeks of 48 GPUs: preset `paper`.",
    ),
    "stages": (
        "Every one of the five stages raises m-GenEval.",
        "P1 0.04, P2 0.17, P3 +0.02, I1 +0.52, I2 +0.02.",
        "The miniature has no collections of different quality and no second resolution.",
    ),
    "cheaper-than-translating": (
        "Native prompts are 2.8 times as fast as translating first, with 59 % less memory.",
        "Abstract.",
        "The ratio is that of a translation model to the generator; the miniature's is a table.",
    ),
}

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
        *(_against(Claim, "english_only", row) for row in _SCORES),
        Claim(
            id="english-is-kept",
            metric="geneval_en",
            reported="GenEval 0.83 in English, as BLIP3-o 8B. The allowed loss is ours.",
            statement="In English, which gets one caption in six, GenEval falls by at most 5 points.",
            **_ENGLISH,
        ),
        *(_against(Claim, "translate", row) for row in _SCORES),
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
            **{**_JUDGED, "unit": "seed", "smallest": 0.02},
        ),
        *(
            Claim(id=id, statement=statement, reported=reported, out_of_scale=why)
            for id, (statement, reported, why) in _BEYOND.items()
        ),
    ),
    checks=(
        *(_against(Check, control, _RIGHT_WORDS) for control in ("english_only", "translate")),
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
                **{**_JUDGED, "unit": "seed"},  # the mean of these six languages
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
