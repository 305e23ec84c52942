"""Eyes for the benchmark: the miniature's exact ones, GenEval's Mask2Former with CLIP, DINOv2 and CLIP embeddings.

    detector("mask2former")           # image [height, width, 3] in [-1, 1] -> {class: [Detection, ...]}
    feature_maps("clip_dinov2")       # {"clip": embed, "dinov2": embed}

Every name may also be `path/to/file.py:function`, or an entry point, for your own (`core.plugins.own`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from core.models import loading
from core.plugins import own
from papers.neobabel import world
from papers.neobabel.benchmark import Detect, Detection, Embed
from papers.neobabel.data import OFFICIAL_NAMES

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
COLOUR_PROMPTS = (
    "a photo of a {colour} {name}",
    "a photo of a {colour}-colored {name}",
    "a photo of a {colour} object",
)
# The official evaluation embeds with mmdetection's Swin-S; this is the same architecture on the hub.
MASK2FORMER = "facebook/mask2former-swin-small-coco-instance"
CLIP = "openai/clip-vit-large-patch14"
DINO = "facebook/dinov2-base"


def benchmark_files(folder: Path, languages: Sequence[str]) -> dict[str, Path]:
    """`evaluation_metadata_<language>.jsonl` of each language, by code or by the official repository's names."""
    files = {}
    for code in languages:
        names = [code, *(name for name, known in OFFICIAL_NAMES.items() if known == code)]
        candidates = [folder / f"evaluation_metadata_{name}.jsonl" for name in names]
        candidates += [folder / "evaluation_metadata.jsonl"] if code == "en" else []
        found = [path for path in candidates if path.is_file()]
        if not found:
            raise UserError(f"{folder} has no evaluation_metadata_{code}.jsonl: build it, or leave out {code}.")
        files[code] = found[0]
    return files


def detector(spec: str) -> Detect:
    """`world`, `mask2former`, or your own."""
    if spec == "world":
        return world.detect
    return Mask2Former() if spec == "mask2former" else own(spec, "detector")


def feature_maps(spec: str) -> Mapping[str, Embed]:
    """`world`, `clip_dinov2`, or your own mapping of names to functions from images to vectors."""
    if spec == "world":
        return {"objects": world.object_counts, "pixels": world.pixels}
    if spec == "clip_dinov2":
        return {name: _embedder(hub_id) for name, hub_id in (("clip", CLIP), ("dinov2", DINO))}
    return own(spec, "features")


def to_pixels(image: Tensor) -> np.ndarray:
    """[height, width, 3] in [-1, 1] as bytes."""
    return ((image.clamp(-1, 1) + 1) * 127.5).round().byte().cpu().numpy()


def _embedder(hub_id: str) -> Embed:
    model: Any = loading.load_model(hub_id, task="encoder", dtype="float32")
    processor, device = loading.load_processor(hub_id), model.device

    @torch.inference_mode()
    def embed(images: Tensor) -> Tensor:
        found = []
        for some in images.split(64):
            inputs = processor(images=[to_pixels(image) for image in some], return_tensors="pt").to(device)
            if hasattr(model, "get_image_features"):
                vectors = model.get_image_features(**inputs)
                vectors = getattr(vectors, "pooler_output", vectors)
            else:
                vectors = model(**inputs).last_hidden_state[:, 0]
            found.append(vectors.float().cpu())
        return torch.cat(found)

    return embed


class Mask2Former:
    """GenEval's detector: instance segmentation of COCO's classes, colours by CLIP on the object's own pixels."""

    def __init__(self) -> None:
        self.device = loading.default_device()
        self.processor = loading.load_processor(MASK2FORMER)
        self.model: Any = loading.load_model(MASK2FORMER, task="segmentation", dtype="float32")
        self.clip: Any = loading.load_model(CLIP, task="encoder", dtype="float32")
        self.clip_images = loading.load_processor(CLIP)
        self.clip_texts = loading.load_tokenizer(CLIP)

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> dict[str, list[Detection]]:
        """Objects by COCO class name."""
        picture = to_pixels(image)
        inputs = self.processor(images=picture, return_tensors="pt").to(self.device)
        result = self.processor.post_process_instance_segmentation(
            self.model(**inputs), threshold=0.3, target_sizes=[picture.shape[:2]], return_binary_maps=True
        )[0]
        masks = result["segmentation"] if result["segments_info"] else np.zeros((0, *picture.shape[:2]))
        return detections(np.asarray(masks), result["segments_info"], self.model.config.id2label, picture, self.colour)

    def colour(self, picture: np.ndarray, name: str) -> str:
        """The colour that CLIP finds most likely for a cropped object on grey."""
        texts = [prompt.format(colour=c, name=name) for c in COLOURS for prompt in COLOUR_PROMPTS]
        tokens = self.clip_texts(texts, return_tensors="pt", padding=True).to(self.device)
        pixels = self.clip_images(images=picture, return_tensors="pt").to(self.device)
        scores = self.clip(**tokens, **pixels).logits_per_image.view(len(COLOURS), len(COLOUR_PROMPTS)).mean(1)
        return COLOURS[int(scores.argmax())]


def detections(
    masks: np.ndarray,
    segments: Sequence[Mapping[str, Any]],
    names: Mapping[int, str],
    picture: np.ndarray,
    colour: Callable[[np.ndarray, str], str],
) -> dict[str, list[Detection]]:
    """Boxes, colours and scores of segmented objects: binary masks [n, height, width] and what is known of each."""
    found: dict[str, list[Detection]] = {}
    for mask, segment in zip(masks.astype(bool), segments, strict=True):
        if not mask.any():
            continue
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        alone = np.where(mask[..., None], picture, 0x99)[box[1] : box[3], box[0] : box[2]].astype(np.uint8)
        name = names[segment["label_id"]]
        found.setdefault(name, []).append(Detection(box, colour(alone, name), float(segment["score"])))
    return found
