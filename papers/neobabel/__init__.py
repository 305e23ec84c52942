"""NeoBabel: one multilingual decoder that draws images from prompts in six languages."""

from __future__ import annotations

from core.experiment.paper import Claim, Paper, public

PAPER = Paper(
    slug="neobabel",
    title="NeoBabel: A Multilingual Open Tower for Visual Generation",
    authors="Mohammad Mahdi Derakhshani et al.",
    year=2025,
    venue="arXiv preprint",
    arxiv="2507.06137",
    family="image generation",
    summary=(
        "Adds image codes to a multilingual language model and trains it to fill them in under captions in six "
        "languages: prompts in all of them give the same images, where an English-only generator understands English."
    ),
    claims=(
        Claim(
            id="native-draws-in-every-language",
            statement="Captions in six languages beat English captions at equal steps, on coloured prompts in the "
            "other five languages, by more than 30 points.",
            reported="m-GenEval 0.75 over six languages against 0.64 (BLIP3-o 8B, a multilingual LLM aligned in "
            "English).",
            metric="attributes_foreign",
            unit="category/prompt",
            treatment="native",
            control="english_only",
            size=0.3,
        ),
        Claim(
            id="english-is-kept",
            statement="It costs less than 20 points of accuracy in English, which gets one sample in six.",
            reported="GenEval 0.83 in English, as BLIP3-o 8B.",
            metric="attributes_en",
            unit="category/prompt",
            treatment="native",
            control="english_only",
            keeps=True,
            size=0.2,
        ),
        Claim(
            id="consistent-objects",
            statement="Images of one prompt in different languages show the same objects as the English one: CLC is "
            "higher by more than 0.3.",
            reported="CLC 0.79 (EVA-CLIP) against 0.77 (BLIP3-o 8B) and 0.67 (Janus-Pro 7B).",
            metric="clc_objects",
            unit="category/prompt",
            treatment="native",
            control="english_only",
            size=0.3,
        ),
        Claim(
            id="consistent-pixels",
            statement="The same for the pictures themselves, layout included: CLC is higher.",
            reported="CLC 0.61 (DINOv2) against 0.45 (BLIP3-o 8B) and 0.30 (Janus-Pro 7B).",
            metric="clc_pixels",
            unit="category/prompt",
            treatment="native",
            control="english_only",
        ),
        *(
            Claim(
                id=f"code-switching-{order}-{feature}",
                statement=f"Prompts that change language in the middle, {words}, give {what} as the English prompt: "
                f"CSS is higher{' by more than 0.2' if size else ''}.",
                reported=f"CSS-{order.upper()} {value} ({encoder}); larger models are lower.",
                metric=f"css_{order}_{feature}",
                unit="category/prompt",
                treatment="native",
                control="english_only",
                size=size,
            )
            for order, words, values in (
                ("ef", "English first", ("0.82", "0.67")),
                ("es", "English second", ("0.81", "0.64")),
            )
            for feature, what, encoder, size, value in (
                ("objects", "the same objects", "EVA-CLIP", 0.2, values[0]),
                ("pixels", "more similar pictures", "DINOv2", 0.0, values[1]),
            )
        ),
        Claim(
            id="hybrid-mask-matters",
            statement="Image positions that see each other draw coloured prompts in the other languages more "
            "accurately than causal ones.",
            reported="Not reported; the mask is taken over from Show-o.",
            metric="attributes_foreign",
            unit="category/prompt",
            treatment="native",
            control="causal_image",
        ),
        Claim(
            id="absolute-scores",
            statement="0.75 on m-GenEval, 0.68 on m-DPG, 0.83 on GenEval with 2B parameters.",
            reported="Abstract and tables.",
            out_of_scale="Needs Gemma-2 2B, 124 million image-caption pairs and weeks of 48 GPUs: preset `paper`.",
        ),
        Claim(
            id="stages",
            statement="Every one of the five stages raises m-GenEval.",
            reported="P1 0.04, P2 0.17, P3 +0.02, I1 +0.52, I2 +0.02.",
            out_of_scale="The miniature has no collections of different quality; prefixes are variants (`p1_i2`).",
        ),
        Claim(
            id="averaging",
            statement="Averaging the last checkpoints raises GenEval in English.",
            reported="0.83 against 0.81 for the last checkpoint.",
            out_of_scale="A few hundred steps with a learning rate that falls to zero leave nothing to average out: "
            "`merge_*` are measured, nothing is asserted.",
        ),
        Claim(
            id="cheaper-than-translating",
            statement="Native prompts are 2.8 times as fast as translating first, with 59 % less memory.",
            reported="Abstract.",
            out_of_scale="The ratio is that of an 8B translator to the generator; the miniature translates by table.",
        ),
    ),
    minutes=20,
    official_code="https://github.com/mderakhshani/NeoBabel",
    licence_note=(
        "The official code is Apache-2.0 (from Show-o, Apache-2.0). Gemma 2 has its own terms. SA-1B, LAION, CC12M, "
        "JourneyDB and ImageNet have licences or terms of their own; JourneyDB and ImageNet are for research only."
    ),
    extra_variants=("translate", "merge_sma", "merge_wma", "merge_ema", "no_guidance"),
)

_METHOD = (
    "Vocabulary",
    "block_labels",
    "code_switching_similarity",
    "cross_lingual_consistency",
    "guided",
    "image_block",
    "lfq_entries",
    "lfq_indices",
    "mask_image",
    "mask_ratio",
    "masked_after",
    "masked_cross_entropy",
    "merge_weights",
    "prompt_ids",
    "remask",
    "still_masked",
    "temperatures",
    "visible",
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=(
        "Vocabulary",
        "block_labels",
        "code_switching_similarity",
        "cross_lingual_consistency",
        "guided",
        "image_block",
        "lfq_entries",
        "lfq_indices",
        "mask_image",
        "mask_ratio",
        "masked_after",
        "masked_cross_entropy",
        "merge_weights",
        "prompt_ids",
        "remask",
        "still_masked",
        "temperatures",
        "visible",
    ),
    model=("Noise", "Prompt", "TextToImage", "extrapolate", "generate", "image_loss", "region_of"),
    benchmark=(
        "Detection",
        "build",
        "code_switched_prompts",
        "evaluate",
        "judge",
        "read_benchmark",
        "relative_position",
        "score_table",
    ),
    painter=("Painter", "load_painter", "train_on"),
    merging=("merge",),
    sheet=("write_2x2",),
    prepare=("write_shards",),
)
