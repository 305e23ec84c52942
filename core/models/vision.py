"""Pictures: read them, embed them, find objects in them.

A picture is a tensor [height, width, 3] with values in [-1, 1].

    picture = read_image("cat.png", 256)
    vectors = image_embedder("facebook/dinov2-base")(picture[None])
    ObjectDetector()(picture)                   # {"cat": [Detection(box, "black", 0.97)]}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.errors import UserError
from core.files import opened
from core.models import loading

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
COLOUR_PROMPTS = ("a photo of a {} {}", "a photo of a {}-colored {}", "a photo of a {} object")
MASK2FORMER = "facebook/mask2former-swin-small-coco-instance"
CLIP = "openai/clip-vit-large-patch14"


class Detection(NamedTuple):
    """An object in a picture: box (left, top, right, bottom), colour and the detector's confidence."""

    box: tuple[float, float, float, float]
    colour: str = ""
    score: float = 1.0


def open_image(path: str | Path) -> Any:
    """The picture in a file as a PIL image in RGB, as large as it is.

    Raises:
        UserError: No such file, or no picture that can be read.
    """
    from PIL import Image

    with opened(path) as content:
        try:
            return Image.open(content).convert("RGB")
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise UserError(f"{path} is no picture that can be read ({error}): replace it.") from None


def read_image(path: str | Path, size: int) -> Float[Tensor, "size size 3"]:
    """A square picture from a file: short side resized (bicubic), centre cropped.

    Raises:
        UserError: No such file, or no picture that can be read.
    """
    from PIL import Image, ImageOps

    image = open_image(path)
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image, dtype=np.float32)) / 127.5 - 1


def to_pixels(picture: Float[Tensor, "height width 3"]) -> np.ndarray:
    """The picture as bytes [height, width, 3]."""
    return ((picture.clamp(-1, 1) + 1) * 127.5).round().byte().cpu().numpy()


def image_embedder(spec: str, batch_size: int = 64) -> Callable[[Tensor], Tensor]:
    """A function from pictures [n, height, width, 3] to vectors [n, width] of an image encoder.

    A model of pictures and text (CLIP, SigLIP) gives its shared space, another one (DINOv2) its first token.
    """
    model: Any = loading.load_model(spec, task="encoder", dtype="float32")
    processor = loading.load_processor(spec)

    @torch.inference_mode()
    def embed(pictures: Tensor) -> Tensor:
        found = []
        for some in pictures.split(batch_size):
            inputs = processor(images=[*map(to_pixels, some)], return_tensors="pt").to(model.device)
            if hasattr(model, "get_image_features"):
                vectors = model.get_image_features(**inputs)
                vectors = getattr(vectors, "pooler_output", vectors)
            else:
                vectors = model(**inputs).last_hidden_state[:, 0]
            found.append(vectors.float().cpu())
        return torch.cat(found)

    return embed


class ObjectDetector:
    """Instance segmentation of COCO's classes, colours by CLIP on the object's own pixels: GenEval's detector.

    GenEval uses mmdetection's Mask2Former Swin-S; this is the same architecture on the hub.
    """

    def __init__(self, model: str = MASK2FORMER, clip: str = CLIP, threshold: float = 0.3) -> None:
        self.threshold = threshold
        self.processor, self.clip_images = loading.load_processor(model), loading.load_processor(clip)
        self.model: Any = loading.load_model(model, task="segmentation", dtype="float32")
        self.clip: Any = loading.load_model(clip, task="encoder", dtype="float32")
        self.clip_texts = loading.load_tokenizer(clip)

    @torch.inference_mode()
    def __call__(self, picture: Float[Tensor, "height width 3"]) -> dict[str, list[Detection]]:
        """Objects by class name."""
        pixels = to_pixels(picture)
        inputs = self.processor(images=pixels, return_tensors="pt").to(self.model.device)
        found = self.processor.post_process_instance_segmentation(
            self.model(**inputs), threshold=self.threshold, target_sizes=[pixels.shape[:2]], return_binary_maps=True
        )[0]
        segments = found["segments_info"]
        masks = np.asarray(found["segmentation"] if segments else np.zeros((0, *pixels.shape[:2])))
        return detections(masks, segments, self.model.config.id2label, pixels, self.colour)

    def colour(self, pixels: np.ndarray, name: str) -> str:
        """The colour that CLIP finds most likely for a cropped object on grey."""
        texts = [prompt.format(colour, name) for colour in COLOURS for prompt in COLOUR_PROMPTS]
        tokens = self.clip_texts(texts, return_tensors="pt", padding=True).to(self.clip.device)
        images = self.clip_images(images=pixels, return_tensors="pt").to(self.clip.device)
        scores = self.clip(**tokens, **images).logits_per_image.view(len(COLOURS), len(COLOUR_PROMPTS)).mean(1)
        return COLOURS[int(scores.argmax())]


def detections(
    masks: np.ndarray,
    segments: Sequence[Mapping[str, Any]],
    names: Mapping[int, str],
    pixels: np.ndarray,
    colour: Callable[[np.ndarray, str], str],
) -> dict[str, list[Detection]]:
    """Boxes, colours and scores of segmented objects: binary masks [n, height, width] and what is known of each."""
    found: dict[str, list[Detection]] = {}
    for mask, segment in zip(masks.astype(bool), segments, strict=True):
        if mask.any():
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
            alone = np.where(mask[..., None], pixels, 0x99)[box[1] : box[3], box[0] : box[2]].astype(np.uint8)
            name = names[segment["label_id"]]
            found.setdefault(name, []).append(Detection(box, colour(alone, name), float(segment["score"])))
    return found
