"""Score any text-to-image system in many languages: m-GenEval, CLC and CSS.

GenEval asks a detector whether an image shows what its prompt names (objects, number, colours, position). Prompts are
translated, metadata stays English in every language.

    result = evaluate(generate_fn, prompts_by_language, metadata, detector=detect, feature_maps={"clip": embed})
    print(score_table(result))

`generate_fn(prompts, language)` returns one image a prompt, in any form that the detector and feature maps take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

from core.errors import UserError
from core.models import vision
from core.tasks.geneval import Detect, Metadata, score_images
from core.tasks.translated import aligned_rows
from core.text.codeswitch import code_switched_texts
from core.text.languages import name as language_name
from papers.neobabel.config import Eyes

Generate = Callable[[Sequence[str], str], Any]
Embed = Callable[[Any], Tensor]


# --- consistency over languages -----------------------------------------------------------------------------------


def cosine(a: Float[Tensor, "*shape dim"], b: Float[Tensor, "*shape dim"]) -> Float[Tensor, "*shape"]:
    """Cosine in float64; 0 where a vector is zero, so that two empty images do not agree."""
    return cosine_similarity(a.double(), b.double(), dim=-1)


def cross_lingual_consistency(
    features: Mapping[str, Float[Tensor, "prompts dim"]],
    mode: Literal["pairwise", "reference"] = "pairwise",
    reference: str = "en",
) -> Float[Tensor, "others prompts"]:
    """CLC: similarity of the images that the same prompt gives in different languages; its mean is the score.

    `features` holds, by language, one vector (any image embedding) for each prompt. `pairwise` compares every two
    languages, `reference` each with one; rows are in the order of `features`. A model that draws the same wrong image
    in every language is perfectly consistent: read it beside accuracy, and give every language noise of its own.
    """
    names = list(features)
    if mode == "reference":
        pairs = [(reference, name) for name in names if name != reference]
    else:
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return torch.stack([cosine(features[a], features[b]) for a, b in pairs])


def code_switching_similarity(
    mixed: Mapping[str, Float[Tensor, "prompts dim"]],
    monolingual: Mapping[str, Float[Tensor, "prompts dim"]],
    reference: Literal["english", "mean_of_both"] = "english",
    english: str = "en",
) -> Float[Tensor, "others prompts"]:
    """CSS: similarity of the image of a prompt that changes language in the middle to that of the unmixed prompt.

    `mixed` holds, by the language that English is mixed with, features of the mixed prompts, `monolingual` those of the
    unmixed ones. `mean_of_both` averages the comparison with the English image and that with the other language's.
    """
    rows = []
    for name, vectors in mixed.items():
        row = cosine(vectors, monolingual[english])
        rows.append(row if reference == "english" else (row + cosine(vectors, monolingual[name])) / 2)
    return torch.stack(rows)


# --- a whole evaluation -------------------------------------------------------------------------------------------


def evaluate(
    generate_fn: Generate,
    prompts: Mapping[str, Sequence[str]],
    metadata: Sequence[Metadata] = (),
    *,
    detector: Detect | None = None,
    feature_maps: Mapping[str, Embed] | None = None,
    mixed: Mapping[str, Mapping[str, Sequence[str | None]]] | None = None,
    reference: str = "en",
) -> dict[str, Any]:
    """Score a text-to-image system in every language.

    Args:
        generate_fn: `generate_fn(prompts, language)` gives one image a prompt.
        prompts: The same prompts in every language.
        metadata: GenEval's description of each prompt; with the detector, for m-GenEval.
        detector: Objects of an image, by class; without one there is no m-GenEval.
        feature_maps: Image embeddings by name; without them there is no CLC and no CSS.
        mixed: For CSS: by order (`EF`, `ES`) and other language, the prompts that change language, None for those that
            are not mixed; by default those of `code_switched_texts`.
        reference: The language that the others are compared with.

    Returns:
        `geneval` (by language: `overall`, `tasks`, `correct` by prompt), `clc` (by feature map and mode) and `css` (by
        order and feature map; a row for each language, a column for each mixed prompt), and the `images`.

    Raises:
        UserError: Lists of different lengths, no prompts in the reference, or nothing to measure.
    """
    if reference not in prompts:
        raise UserError(f"There are no prompts in {reference}, the reference: name one of {', '.join(prompts)}.")
    if detector is None and not feature_maps:
        raise UserError("There is nothing to measure: give a detector with metadata, feature maps, or both.")
    count = len(metadata) if detector else len(prompts[reference])
    if odd := [language for language, texts in prompts.items() if len(texts) != count]:
        raise UserError(f"{odd[0]} has {len(prompts[odd[0]])} prompts, but there are {count} to align them with.")
    images = {language: generate_fn(texts, language) for language, texts in prompts.items()}
    result: dict[str, Any] = {"images": images}
    if detector is not None:
        result["geneval"] = {name: score_images(shown, metadata, detector) for name, shown in images.items()}
    if len(prompts) == 1 or not feature_maps:
        return result
    features = {name: {code: embed(shown) for code, shown in images.items()} for name, embed in feature_maps.items()}
    result["clc"] = {
        name: {
            "pairwise": cross_lingual_consistency(found),
            "reference": cross_lingual_consistency(found, "reference", reference),
        }
        for name, found in features.items()
    }
    result["css"] = {}
    for order, asked in (mixed or code_switched_texts(prompts, reference)).items():
        rows = [index for index, text in enumerate(next(iter(asked.values()))) if text is not None]
        drawn = {code: generate_fn([str(texts[row]) for row in rows], code) for code, texts in asked.items()}
        result["css"][order] = {
            name: code_switching_similarity(
                {code: embed(shown) for code, shown in drawn.items()},
                {code: vectors[rows] for code, vectors in features[name].items()},
                english=reference,
            )
            for name, embed in feature_maps.items()
        }
    return result


def score_table(result: Mapping[str, Any]) -> str:
    """A line for every language, tab-separated: overall and each task; then the consistency scores."""
    geneval = result.get("geneval", {})
    tasks = list(next(iter(geneval.values()))["tasks"]) if geneval else []
    lines = ["\t".join(["language", "overall", *tasks])] if geneval else []
    for language, scores in geneval.items():
        values = [scores["overall"], *(scores["tasks"][task] for task in tasks)]
        lines.append("\t".join([language, *(f"{value:.3f}" for value in values)]))
    if len(geneval) > 1:
        lines.append(f"mean\t{np.mean([scores['overall'] for scores in geneval.values()]):.3f}")
    for name, scores in result.get("clc", {}).items():
        means = [f"{mode} {float(scores[mode].mean()):.3f}" for mode in ("pairwise", "reference")]
        lines.append("\t".join([f"CLC {name}", *means]))
    for order, maps in result.get("css", {}).items():
        lines += [f"CSS-{order} {name}\t{float(scores.mean()):.3f}" for name, scores in maps.items()]
    return "\n".join(lines) + "\n"


# --- what the paper's own evaluation takes ---------------------------------------------------------------------------


def read_benchmark(folder: str | Path, languages: Sequence[str]) -> tuple[dict[str, list[str]], list[dict[str, Any]]]:
    """Prompts by language and the common metadata of `evaluation_metadata_<language>.jsonl` (its code or English name).

    Raises:
        UserError: A language without a file, or files that differ in more than their prompts.
    """
    files = {}
    for code in languages:
        names = (f"_{code}", f"_{language_name(code).lower()}", *([""] if code == "en" else []))
        found = [path for name in names if (path := Path(folder) / f"evaluation_metadata{name}.jsonl").is_file()]
        if not found:
            raise UserError(f"{folder} has no evaluation_metadata_{code}.jsonl: write one, or leave out {code}.")
        files[code] = found[0]
    return aligned_rows(files, "prompt", ("tag", "include", "exclude"))


def eyes(kind: Eyes) -> tuple[Detect, Mapping[str, Embed]]:
    """Detector and feature maps: the miniature's exact ones, or GenEval's detector with CLIP and DINOv2 of the hub."""
    from papers.neobabel import miniature

    if kind == "world":
        return miniature.detect, miniature.FEATURES
    maps = {"clip": vision.image_embedder(vision.CLIP), "dinov2": vision.image_embedder("facebook/dinov2-base")}
    return vision.ObjectDetector(), maps
