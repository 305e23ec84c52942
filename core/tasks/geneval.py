"""Text-to-image benchmarks: GenEval's decisions over detected objects, DPG-Bench's arithmetic over answers.

    score_images(images, [{"tag": "colors", "include": [{"class": "cat", "count": 1, "color": "red"}]}, ...], detector)

Prompts may be in any language; metadata and classes are English. A detector takes an image, in whatever form the images
have, and gives objects by class (`core.models.vision.ObjectDetector` is GenEval's).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.errors import UserError
from core.models.vision import Detection, to_pixels
from core.tasks.translated import aligned_rows
from core.text.languages import name as language_name

# GenEval's: how much of both objects' sizes a centre offset has to exceed before it counts as a relation.
POSITION_THRESHOLD = 0.1
# A detection counts above this confidence, and at most so many of a class.
CONFIDENCE, CONFIDENCE_COUNTING, MOST = 0.3, 0.9, 16

Metadata = Mapping[str, Any]
Detect = Callable[[Any], Mapping[str, Sequence[Detection]]]


def read_prompts(folder: str | Path, languages: Sequence[str]) -> tuple[dict[str, list[str]], list[dict[str, Any]]]:
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


def write_2x2(path: Path, images: Float[Tensor, "4 height width 3"]) -> Path:
    """Four images of one prompt as one 2 x 2 picture, which is what the scorer of DPG-Bench (so m-DPG) reads."""
    from PIL import Image

    first, second, third, fourth = images
    picture = torch.cat([torch.cat([first, second], 1), torch.cat([third, fourth], 1)])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(to_pixels(picture)).save(path)
    return path
