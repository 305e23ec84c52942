"""Score any text-to-image system in many languages: m-GenEval, CLC and CSS.

GenEval asks a detector whether an image shows what its prompt names (objects, number, colours, position). Prompts are
translated, metadata stays English in every language.

    result = evaluate(generate_fn, prompts_by_language, metadata, detector=detect, feature_maps={"clip": embed})
    print(score_table(result))

`generate_fn(prompts, language)` returns one image a prompt, in any form that the detector and feature maps take.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from torch import Tensor

from core.corpora.files import json_objects
from core.errors import UserError
from core.files import write_text
from papers.neobabel.method import code_switching_similarity, cross_lingual_consistency

# GenEval's: how much of both objects' sizes a centre offset has to exceed before it counts as a relation.
POSITION_THRESHOLD = 0.1
# A detection counts above this confidence, and at most so many of a class.
CONFIDENCE, CONFIDENCE_COUNTING, MOST = 0.3, 0.9, 16

# Punctuation that ends a clause, in the scripts of the six languages.
CLAUSE_END = re.compile(r"[,;:.!?،؛؟](?=\s)|।|[，。；：、]")

Metadata = Mapping[str, Any]
Generate = Callable[[Sequence[str], str], Any]
Detect = Callable[[Any], Mapping[str, Sequence["Detection"]]]
Embed = Callable[[Any], Tensor]


class Detection(NamedTuple):
    """An object in an image: box (left, top, right, bottom), colour and the detector's confidence."""

    box: tuple[float, float, float, float]
    colour: str = ""
    score: float = 1.0


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
            reason = _misplaced(found, groups[target], relation, name)
        groups.append(None if reason else found)
        reasons += [reason] if reason else []
    for clause in metadata.get("exclude", ()):
        if len(objects.get(clause["class"], ())) >= clause["count"]:
            reasons.append(f"expected {clause['class']} < {clause['count']}")
    return not reasons, reasons[0] if reasons else ""


def _misplaced(found: Sequence[Detection], target: Sequence[Detection] | None, relation: str, name: str) -> str:
    if target is None:
        return f"no target for {name} to be {relation}"
    holds = all(relation in relative_position(d.box, other.box) for d in found for other in target)
    return "" if holds else f"expected {name} {relation} target"


def overall(correct: Mapping[str, Sequence[bool]]) -> float:
    """GenEval's score: the unweighted mean of the tasks' accuracies, over images and not over prompts."""
    if not correct or not all(len(values) for values in correct.values()):
        raise UserError("There is a task without images: score at least one image of every task.")
    return float(np.mean([np.mean(values) for values in correct.values()]))


def evaluate(
    generate_fn: Generate,
    prompts: Mapping[str, Sequence[str]],
    metadata: Sequence[Metadata],
    *,
    detector: Detect | None = None,
    feature_maps: Mapping[str, Embed] | None = None,
    metrics: Sequence[Literal["geneval", "clc", "css"]] = ("geneval", "clc", "css"),
    mixed: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    css_reference: Literal["english", "mean_of_both"] = "english",
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
        mixed: For `css`: by order (`EF`, `ES`) and other language, the prompts that change language; by default those
            of `code_switched_prompts`.
        css_reference: Compare a mixed prompt's image with the English one, or with those of both languages.
        reference: The language that the others are compared with.

    Returns:
        `geneval` (by language: `overall`, `tasks`, `correct` by prompt), `clc` (by feature map, `pairwise` and
        `reference`), `css` (by order and feature map) and the `images`.

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
                "pairwise": cross_lingual_consistency(by_language),
                "reference": cross_lingual_consistency(by_language, "reference", reference),
            }
            for name, by_language in features.items()
        }
    if "css" in metrics:
        mixed = code_switched_prompts(prompts, reference) if mixed is None else mixed
        for order, asked in mixed.items():
            vectors: dict[str, dict[str, Tensor]] = {name: {} for name in maps}
            for code, texts in asked.items():
                shown = generate_fn(texts, code)
                for name, embed in maps.items():
                    vectors[name][code] = embed(shown)
            result.setdefault("css", {})[order] = {
                name: code_switching_similarity(found, features[name], css_reference, reference)
                for name, found in vectors.items()
            }
    return result


def code_switched_prompts(
    prompts: Mapping[str, Sequence[str]], reference: str = "en"
) -> dict[str, dict[str, list[str]]]:
    """Prompts that change language in the middle: `EF` begins in the reference (English first), `ES` ends in it.

    By order and other language. The paper names the two orders and says nothing else about the construction.
    """
    others = {language: texts for language, texts in prompts.items() if language != reference}
    pairs = {language: list(zip(prompts[reference], texts, strict=True)) for language, texts in others.items()}
    return {
        "EF": {language: [code_switched(a, b) for a, b in found] for language, found in pairs.items()},
        "ES": {language: [code_switched(b, a) for a, b in found] for language, found in pairs.items()},
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


def score_images(images: Any, metadata: Sequence[Metadata], detector: Detect) -> dict[str, Any]:
    """GenEval of one language: `overall`, accuracy by task, and the decision for every prompt in order."""
    decisions = [judge(detector(image), row)[0] for image, row in zip(images, metadata, strict=True)]
    by_task: dict[str, list[bool]] = {}
    for row, correct in zip(metadata, decisions, strict=True):
        by_task.setdefault(row["tag"], []).append(correct)
    tasks = {task: float(np.mean(values)) for task, values in by_task.items()}
    return {"overall": overall(by_task), "tasks": tasks, "correct": decisions}


def score_table(result: Mapping[str, Any]) -> str:
    """A line for every language, tab-separated: overall and each task; then the consistency scores."""
    geneval = result.get("geneval", {})
    tasks = list(next(iter(geneval.values()))["tasks"]) if geneval else []
    lines = ["\t".join(["language", "overall", *tasks])] if geneval else []
    for language, scores in geneval.items():
        values = [scores["overall"], *(scores["tasks"][task] for task in tasks)]
        lines.append("\t".join([language, *(f"{value:.3f}" for value in values)]))
    if len(geneval) > 1:
        mean = np.mean([scores["overall"] for scores in geneval.values()])
        lines.append(f"mean\t{mean:.3f}")
    for name, scores in result.get("clc", {}).items():
        lines.append(
            f"CLC {name}\tpairwise {float(scores['pairwise'].mean()):.3f}\t"
            f"reference {float(scores['reference'].mean()):.3f}"
        )
    for order, maps in result.get("css", {}).items():
        lines += [f"CSS-{order} {name}\t{float(scores.mean()):.3f}" for name, scores in maps.items()]
    return "\n".join(lines) + "\n"


# --- making a benchmark in other languages ------------------------------------------------------------------------


def build(
    english: str | Path, folder: str | Path, translate: Callable[[str, str], str], languages: Sequence[str]
) -> dict[str, Path]:
    """Translate an English benchmark: one JSONL file per language, prompts translated, metadata untouched.

    Args:
        english: JSONL with GenEval's rows (`tag`, `include`, `exclude`, `prompt`).
        folder: Where `evaluation_metadata_<language>.jsonl` are written.
        translate: `translate(prompt, language)`. Text in quotation marks is to be drawn and stays as it is.
        languages: Languages to write.

    Raises:
        UserError: A row without a prompt, or a translation that is empty or loses quoted text.
    """
    rows = _rows(english)
    written = {}
    for language in languages:
        lines = []
        for number, row in enumerate(rows, start=1):
            if not str(row.get("prompt") or "").strip():
                raise UserError(f"{english}, row {number}: there is no prompt.")
            prompt = translate_keeping_quotes(str(row["prompt"]), language, translate)
            if not prompt.strip():
                raise UserError(f"{english}, row {number}: the translation into {language!r} is empty.")
            lines.append(json.dumps({**row, "prompt": prompt}, ensure_ascii=False))
        path = Path(folder) / f"evaluation_metadata_{language}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, "\n".join(lines) + "\n")
        written[language] = path
    check_parallel(written)
    return written


def translate_keeping_quotes(prompt: str, language: str, translate: Callable[[str, str], str]) -> str:
    """Translate a prompt; what stands in double quotation marks is text to be drawn, and comes back unchanged."""
    pieces = prompt.split('"')
    if len(pieces) % 2 == 0:
        return translate(prompt, language)
    quoted = pieces[1::2]
    shielded = prompt
    for index, text in enumerate(quoted):
        shielded = shielded.replace(f'"{text}"', f"[[{index}]]", 1)
    result = translate(shielded, language)
    for index, text in enumerate(quoted):
        if f"[[{index}]]" not in result:
            raise UserError(f"The translation of {prompt!r} into {language!r} lost the quoted text {text!r}.")
        result = result.replace(f"[[{index}]]", f'"{text}"', 1)
    return result


def read_benchmark(paths: Mapping[str, str | Path]) -> tuple[dict[str, list[str]], list[Metadata]]:
    """Prompts by language and the common metadata of files that `build` (or the official repository) wrote."""
    check_parallel(paths)
    rows = {language: _rows(path) for language, path in paths.items()}
    metadata: list[Metadata] = [
        {key: value for key, value in row.items() if key != "prompt"} for row in next(iter(rows.values()))
    ]
    return {language: [str(row["prompt"]) for row in found] for language, found in rows.items()}, metadata


def check_parallel(paths: Mapping[str, str | Path]) -> None:
    """Every language has the same prompts in the same order, told by their English metadata.

    Raises:
        UserError: Names the file and the first row that differs.
    """
    first, *others = [(path, _rows(path)) for path in paths.values()]
    for path, rows in others:
        if len(rows) != len(first[1]):
            raise UserError(f"{path} has {len(rows)} prompts, {first[0]} has {len(first[1])}: align them.")
        for number, (a, b) in enumerate(zip(first[1], rows, strict=True), start=1):
            if any(a.get(key) != b.get(key) for key in ("tag", "include", "exclude")):
                raise UserError(f"{path}, row {number}: the metadata differs from {first[0]}; translate prompts only.")


def _rows(path: str | Path) -> list[dict[str, Any]]:
    # Not through a table, whose columns would fill missing keys of nested clauses with nulls.
    return [row for _, row in json_objects(path)]
