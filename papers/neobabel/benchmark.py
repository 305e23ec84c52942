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
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

from core.errors import UserError
from core.tasks.geneval import Detect, Metadata, score_images
from core.tasks.translated import aligned_rows
from core.text.codeswitch import code_switched_texts
from core.text.languages import name as language_name

Generate = Callable[[Sequence[str], str], Any]
Embed = Callable[[Any], Tensor]


def consistency(
    features: Mapping[str, Float[Tensor, "prompts dim"]], english: Float[Tensor, "prompts dim"]
) -> Float[Tensor, "languages prompts"]:
    """Cosine of the images of each prompt with those of the same prompt in English; its mean is the score.

    CLC where the prompt is in another language, CSS where it changes from one to the other. Any image embedding will
    do; a vector of zeros is like no other. A model that draws the same wrong image in every language is perfectly
    consistent: read it beside accuracy, and give every language noise of its own.
    """
    return torch.stack([cosine_similarity(found.double(), english.double(), dim=-1) for found in features.values()])


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
        reference: The language that the others are compared with, in place of English.

    Returns:
        `geneval` (by language: `overall`, `tasks`, `correct` by prompt), `clc` (by feature map) and `css` (by order and
        feature map; a row for each language, a column for each prompt, or each that is mixed), and the `images`.

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
    result: dict[str, Any] = {"images": images, "geneval": {}, "clc": {}, "css": {}}
    if detector is not None:
        result["geneval"] = {code: score_images(shown, metadata, detector) for code, shown in images.items()}
    others = {code: shown for code, shown in images.items() if code != reference}
    if not others or not feature_maps:
        return result

    def compared(drawn: Mapping[str, Any], english: Any) -> dict[str, Tensor]:
        return {
            name: consistency({code: embed(shown) for code, shown in drawn.items()}, embed(english))
            for name, embed in feature_maps.items()
        }

    result["clc"] = compared(others, images[reference])
    for order, asked in (mixed or code_switched_texts(prompts, reference)).items():
        rows = [index for index, text in enumerate(next(iter(asked.values()))) if text is not None]
        drawn = {code: generate_fn([str(texts[row]) for row in rows], code) for code, texts in asked.items()}
        # Both sides are embedded over the same prompts: a feature map may take the mean of what it is given off.
        english = images[reference]
        result["css"][order] = compared(
            drawn, english[rows] if isinstance(english, Tensor) else [english[r] for r in rows]
        )
    return result


def score_table(result: Mapping[str, Any]) -> str:
    """A line for every language, tab-separated: overall and each task; then the consistency scores."""
    geneval: Mapping[str, Any] = result["geneval"]
    lines = [[code, scores["overall"], *scores["tasks"].values()] for code, scores in geneval.items()]
    if geneval:
        lines.insert(0, ["language", "overall", *next(iter(geneval.values()))["tasks"]])
        lines.append(["mean", np.mean([scores["overall"] for scores in geneval.values()])])
    lines += [[f"CLC {name}", float(found.mean())] for name, found in result["clc"].items()]
    for order, maps in result["css"].items():
        lines += [[f"CSS-{order} {name}", float(found.mean())] for name, found in maps.items()]
    return "".join("\t".join(x if isinstance(x, str) else f"{x:.3f}" for x in line) + "\n" for line in lines)


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
