"""Score any text-to-image system in many languages: m-GenEval, CLC and CSS; and make such benchmarks.

GenEval asks a detector whether an image shows what its prompt names (objects, number, colours, position). Prompts are
translated, metadata stays English in every language.

    result = evaluate(generate_fn, prompts_by_language, metadata, detector=detect, feature_maps={"clip": embed})
    print(score_table(result))

`generate_fn(prompts, language)` returns one image a prompt, in any form that the detector and feature maps take.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

from core.corpora.files import json_objects
from core.errors import UserError
from core.files import write_rows
from core.models import vision
from core.models.vision import Detection
from core.plugins import own

DINO = "facebook/dinov2-base"
# GenEval's: how much of both objects' sizes a centre offset has to exceed before it counts as a relation.
POSITION_THRESHOLD = 0.1
# A detection counts above this confidence, and at most so many of a class.
CONFIDENCE, CONFIDENCE_COUNTING, MOST = 0.3, 0.9, 16
# Punctuation that ends a clause, in the scripts of the six languages.
CLAUSE_END = re.compile(r"[,;:.!?،؛؟](?=\s)|।|[，。；：、]")
# How the official repository's files name the languages.
OFFICIAL_NAMES = {
    "english": "en", "chinese": "zh", "mandarin": "zh", "dutch": "nl", "french": "fr", "hindi": "hi", "persian": "fa",
}  # fmt: skip

Metadata = Mapping[str, Any]
Generate = Callable[[Sequence[str], str], Any]
Detect = Callable[[Any], Mapping[str, Sequence[Detection]]]
Embed = Callable[[Any], Tensor]


# --- GenEval ------------------------------------------------------------------------------------------------------


def relative_position(a: Sequence[float], b: Sequence[float]) -> set[str]:
    """Where box a lies relative to box b: a subset of left of, right of, above, below.

    The offset of the centres is first shrunk by a tenth of both sizes; what remains is divided by the length of the
    *unshrunk* offset, as in the official code, and must exceed one half on an axis.
    """
    first, second = np.asarray(a, float).reshape(2, 2), np.asarray(b, float).reshape(2, 2)
    offset = first.mean(0) - second.mean(0)
    sizes = np.abs(np.diff(first, axis=0))[0] + np.abs(np.diff(second, axis=0))[0]
    shrunk = np.maximum(np.abs(offset) - POSITION_THRESHOLD * sizes, 0) * np.sign(offset)
    if np.all(np.abs(shrunk) < 1e-3):
        return set()
    dx, dy = shrunk / np.linalg.norm(offset)
    names = {"left of": dx < -0.5, "right of": dx > 0.5, "above": dy < -0.5, "below": dy > 0.5}
    return {name for name, holds in names.items() if holds}


def judge(objects: Mapping[str, Sequence[Detection]], metadata: Metadata) -> tuple[bool, str]:
    """GenEval's decision about one image, and the first reason against it.

    `include` clauses must be found (the most confident `count` objects of the class; of the right colour; in the right
    place relative to an earlier clause); an `exclude` clause makes a count exact. Detections below the confidence of
    0.3 (0.9 where objects are counted) are passed over.
    """
    least = CONFIDENCE_COUNTING if metadata.get("tag") == "counting" else CONFIDENCE
    objects = {
        name: sorted((d for d in found if d.score > least), key=lambda d: -d.score)[:MOST]
        for name, found in objects.items()
    }
    reasons: list[str] = []
    groups: list[Sequence[Detection] | None] = []
    for clause in metadata.get("include", ()):
        name, count = clause["class"], clause["count"]
        found = list(objects.get(name, ()))[:count]
        reason = "" if len(found) >= count else f"expected {name} >= {count}, found {len(found)}"
        if not reason and "color" in clause:
            right = sum(d.colour == clause["color"] for d in found)
            if right < count:
                reason = f"expected {clause['color']} {name} >= {count}, found {right}"
        if not reason and "position" in clause:
            relation, target = clause["position"]
            others = groups[target]
            if others is None:
                reason = f"no target for {name} to be {relation}"
            elif not all(relation in relative_position(d.box, other.box) for d in found for other in others):
                reason = f"expected {name} {relation} target"
        groups.append(None if reason else found)
        reasons += [reason] if reason else []
    for clause in metadata.get("exclude", ()):
        if len(objects.get(clause["class"], ())) >= clause["count"]:
            reasons.append(f"expected {clause['class']} < {clause['count']}")
    return not reasons, reasons[0] if reasons else ""


def overall(correct: Mapping[str, Sequence[bool]]) -> float:
    """GenEval's score: the unweighted mean of the tasks' accuracies, over images and not over prompts."""
    if not correct or not all(len(values) for values in correct.values()):
        raise UserError("There is a task without images: score at least one image of every task.")
    return float(np.mean([np.mean(values) for values in correct.values()]))


def score_images(images: Any, metadata: Sequence[Metadata], detector: Detect) -> dict[str, Any]:
    """GenEval of one language: `overall`, accuracy by task, and the decision for every prompt in order."""
    decisions = [judge(detector(image), row)[0] for image, row in zip(images, metadata, strict=True)]
    by_task: dict[str, list[bool]] = {}
    for row, correct in zip(metadata, decisions, strict=True):
        by_task.setdefault(row["tag"], []).append(correct)
    tasks = {task: float(np.mean(values)) for task, values in by_task.items()}
    return {"overall": overall(by_task), "tasks": tasks, "correct": decisions}


def dpg_score(answers: Mapping[str, bool], parents: Mapping[str, Sequence[str]]) -> float:
    """DPG-Bench's score of an image: the share of its questions answered with yes.

    A question (is the cat black?) counts as no where one that it depends on (is there a cat?) was answered with no. A
    prompt's score is the mean over its four images, m-DPG's that over prompts.
    """
    return float(np.mean([answers[q] and all(answers[p] for p in parents.get(q, ())) for q in answers]))


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

    Args:
        features: By language, one vector (any image embedding) for each prompt.
        mode: `pairwise` compares every two languages, `reference` each with one. A model that draws the same wrong
            image in every language is perfectly consistent: read the score beside accuracy, and give every language
            noise of its own.
        reference: That one language.

    Returns:
        One row for every pair, or for every language but the reference, in the order of `features`.
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

    Args:
        mixed: By the language that English is mixed with: features of the mixed prompts.
        monolingual: Features of the unmixed prompts of every language.
        reference: Compare with the English image, or average that with the comparison with the other language's.
        english: How `monolingual` names English.
    """
    rows = []
    for name, vectors in mixed.items():
        row = cosine(vectors, monolingual[english])
        rows.append(row if reference == "english" else (row + cosine(vectors, monolingual[name])) / 2)
    return torch.stack(rows)


def code_switched_prompts(
    prompts: Mapping[str, Sequence[str]], reference: str = "en"
) -> dict[str, dict[str, list[str]]]:
    """Prompts that change language in the middle: `EF` begins in the reference (English first), `ES` ends in it.

    By order and other language. The paper names the two orders and says nothing else about the construction.
    """
    pairs = {
        code: list(zip(prompts[reference], texts, strict=True)) for code, texts in prompts.items() if code != reference
    }
    return {
        "EF": {code: [code_switched(a, b) for a, b in found] for code, found in pairs.items()},
        "ES": {code: [code_switched(b, a) for a, b in found] for code, found in pairs.items()},
    }


def code_switched(first: str, second: str) -> str:
    """The first half of one prompt and the second half of its translation.

    Each is cut at the end of the clause that is nearest to its middle; without clauses between two words, and where a
    script has no spaces, in the middle.
    """
    return f"{first[: _middle(first)].rstrip()} {second[_middle(second) :].lstrip()}"


def _middle(text: str) -> int:
    for boundary in (CLAUSE_END, re.compile(r"\s")):
        cuts = [found.end() for found in boundary.finditer(text.rstrip()) if found.end() < len(text.rstrip())]
        if cuts:
            return min(cuts, key=lambda cut: abs(cut - len(text) / 2))
    return len(text) // 2


# --- a whole evaluation -------------------------------------------------------------------------------------------


def evaluate(
    generate_fn: Generate,
    prompts: Mapping[str, Sequence[str]],
    metadata: Sequence[Metadata],
    *,
    detector: Detect | None = None,
    feature_maps: Mapping[str, Embed] | None = None,
    metrics: Sequence[Literal["geneval", "clc", "css"]] = ("geneval", "clc", "css"),
    mixed: Mapping[str, Mapping[str, Sequence[str | None]]] | None = None,
    reference: str = "en",
) -> dict[str, Any]:
    """Score a text-to-image system in every language.

    Args:
        generate_fn: `generate_fn(prompts, language)` gives one image a prompt.
        prompts: The same prompts in every language.
        metadata: GenEval's description of each prompt.
        detector: Objects of an image, by class; needed for `geneval`.
        feature_maps: Image embeddings by name; needed for `clc` and `css`.
        metrics: What to measure.
        mixed: For `css`: by order (`EF`, `ES`) and other language, the prompts that change language, None for those
            that are not mixed; by default those of `code_switched_prompts`.
        reference: The language that the others are compared with.

    Returns:
        `geneval` (by language: `overall`, `tasks`, `correct` by prompt), `clc` (by feature map, `pairwise` and
        `reference`, a row for each pair or language), `css` (by order and feature map, a row for each language and a
        column for each mixed prompt) and the `images`.

    Raises:
        UserError: Lists of different lengths, no prompts in the reference, or a metric without what it needs.
    """
    for language, texts in prompts.items():
        if len(texts) != len(metadata):
            raise UserError(f"{language} has {len(texts)} prompts for {len(metadata)} rows of metadata: align them.")
    if "geneval" in metrics and detector is None:
        raise UserError("geneval needs a detector: give one, or leave it out of the metrics.")
    if {"clc", "css"} & set(metrics) and not feature_maps:
        raise UserError("clc and css need feature maps: give {name: function}, or leave them out of the metrics.")
    if reference not in prompts:
        raise UserError(f"There are no prompts in {reference}, the reference: name one of {', '.join(prompts)}.")
    images = {language: generate_fn(texts, language) for language, texts in prompts.items()}
    result: dict[str, Any] = {"images": images}
    if "geneval" in metrics and detector is not None:
        result["geneval"] = {name: score_images(shown, metadata, detector) for name, shown in images.items()}
    if len(prompts) == 1:
        return result
    maps = feature_maps or {}
    features = {name: {code: embed(shown) for code, shown in images.items()} for name, embed in maps.items()}
    if "clc" in metrics:
        result["clc"] = {
            name: {
                "pairwise": cross_lingual_consistency(found),
                "reference": cross_lingual_consistency(found, "reference", reference),
            }
            for name, found in features.items()
        }
    for order, asked in (mixed or code_switched_prompts(prompts, reference)).items() if "css" in metrics else ():
        rows = [index for index, text in enumerate(next(iter(asked.values()))) if text is not None]
        drawn = {code: generate_fn([str(texts[row]) for row in rows], code) for code, texts in asked.items()}
        result.setdefault("css", {})[order] = {
            name: code_switching_similarity(
                {code: embed(shown) for code, shown in drawn.items()},
                {code: vectors[rows] for code, vectors in features[name].items()},
                english=reference,
            )
            for name, embed in maps.items()
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


# --- benchmarks in other languages --------------------------------------------------------------------------------


def build(
    english: str | Path, folder: str | Path, translate: Callable[[str, str], str], languages: Sequence[str]
) -> dict[str, Path]:
    """Translate an English benchmark: one JSONL file per language, prompts translated, metadata untouched.

    Args:
        english: JSONL with GenEval's rows (`tag`, `include`, `exclude`, `prompt`).
        folder: Where `evaluation_metadata_<language>.jsonl` are written.
        translate: `translate(prompt, language)`. Text in double quotation marks is to be drawn and stays.
        languages: Languages to write.

    Raises:
        UserError: A row without a prompt, or a translation that is empty or loses quoted text.
    """
    rows, written = [row for _, row in json_objects(english)], {}
    Path(folder).mkdir(parents=True, exist_ok=True)
    for language in languages:
        translated = []
        for number, row in enumerate(rows, start=1):
            prompt = str(row.get("prompt") or "")
            quoted = dict(enumerate(re.findall(r'"([^"]*)"', prompt)))
            shielded = prompt
            for index, text in quoted.items():
                shielded = shielded.replace(f'"{text}"', f"[[{index}]]", 1)
            result = translate(shielded, language) if prompt.strip() else ""
            if not result.strip():
                what = f"the translation into {language!r} is empty" if prompt.strip() else "there is no prompt"
                raise UserError(f"{english}, row {number}: {what}.")
            for index, text in quoted.items():
                if f"[[{index}]]" not in result:
                    raise UserError(f"The translation of {prompt!r} into {language!r} lost the quoted text {text!r}.")
                result = result.replace(f"[[{index}]]", f'"{text}"', 1)
            translated.append({**row, "prompt": result})
        written[language] = Path(folder) / f"evaluation_metadata_{language}.jsonl"
        write_rows(written[language], translated)
    return written


def read_benchmark(folder: str | Path, languages: Sequence[str]) -> tuple[dict[str, list[str]], list[Metadata]]:
    """Prompts by language and the common metadata of files that `build` or the official repository wrote.

    Raises:
        UserError: A language without a file, or files that differ in more than their prompts.
    """
    prompts: dict[str, list[str]] = {}
    metadata: list[Metadata] = []
    for code in languages:
        names = [code, *(name for name, known in OFFICIAL_NAMES.items() if known == code)]
        paths = [Path(folder) / f"evaluation_metadata_{name}.jsonl" for name in names]
        paths += [Path(folder) / "evaluation_metadata.jsonl"] if code == "en" else []
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise UserError(f"{folder} has no evaluation_metadata_{code}.jsonl: build it, or leave out {code}.")
        # Not through a table, whose columns would fill missing keys of nested clauses with nulls.
        rows = [row for _, row in json_objects(path)]
        if any(not isinstance(row.get("prompt"), str) for row in rows):
            raise UserError(f"{path}: there is a row without a prompt.")
        prompts[code] = [row.pop("prompt") for row in rows]
        metadata = metadata or list(rows)
        if len(rows) != len(metadata):
            raise UserError(f"{path} has {len(rows)} prompts, the others {len(metadata)}: align them.")
        for number, (a, b) in enumerate(zip(metadata, rows, strict=True), start=1):
            if any(a.get(key) != b.get(key) for key in ("tag", "include", "exclude")):
                raise UserError(f"{path}, row {number}: the metadata differs from the others'; translate prompts only.")
    return prompts, metadata


# --- eyes ---------------------------------------------------------------------------------------------------------


def detector(spec: str) -> Detect:
    """`world` (the miniature's exact one), `mask2former` (GenEval's), or your own (`core.plugins.own`)."""
    from papers.neobabel import miniature

    if spec == "world":
        return miniature.detect
    return vision.ObjectDetector() if spec == "mask2former" else own(spec, "detector")


def feature_maps(spec: str) -> Mapping[str, Embed]:
    """`world`, `clip_dinov2`, or your own mapping of names to functions from images to vectors."""
    from papers.neobabel import miniature

    if spec == "world":
        return miniature.FEATURES
    if spec == "clip_dinov2":
        return {name: vision.image_embedder(model) for name, model in (("clip", vision.CLIP), ("dinov2", DINO))}
    return own(spec, "features")


def write_2x2(path: Path, images: Float[Tensor, "4 height width 3"]) -> Path:
    """Four images of one prompt as one 2 x 2 picture, which is what the scorer of DPG-Bench (so m-DPG) reads."""
    from PIL import Image

    first, second, third, fourth = images
    picture = torch.cat([torch.cat([first, second], 1), torch.cat([third, fourth], 1)])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(vision.to_pixels(picture)).save(path)
    return path
