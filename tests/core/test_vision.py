"""Pictures: read, turned into bytes, and what is known of segmented objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import UserError
from core.models.vision import Detection, detections, read_image, to_pixels


def test_pictures_are_resized_on_the_short_side_and_cropped(tmp_path: Path) -> None:
    from PIL import Image

    wide = np.zeros((10, 30, 3), dtype=np.uint8)
    wide[:, 10:20] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    picture = read_image(tmp_path / "wide.png", 10)
    assert picture.shape == (10, 10, 3)
    assert float(picture.min()) == 1.0, "the middle third"
    assert read_image(tmp_path / "wide.png", 5).shape == (5, 5, 3)
    (tmp_path / "no.png").write_text("no picture")
    with pytest.raises(UserError, match=r"no\.png is no picture"):
        read_image(tmp_path / "no.png", 10)


def test_bytes_of_a_picture() -> None:
    picture = torch.tensor([-1.0, 0.0, 1.0, 2.0]).view(2, 2, 1).expand(2, 2, 3)
    assert to_pixels(picture)[..., 0].tolist() == [[0, 128], [255, 255]]


def test_segments_become_detections() -> None:
    masks = np.zeros((3, 6, 6), dtype=bool)
    masks[0, 1:3, 2:5] = True
    masks[2, 5, 5] = True
    seen: list[np.ndarray] = []

    def colour(part: np.ndarray, name: str) -> str:
        seen.append(part)
        return "red"

    segments = [{"label_id": 7, "score": 0.8}, {"label_id": 7, "score": 0.9}, {"label_id": 8, "score": 0.7}]
    picture = np.full((6, 6, 3), 200, dtype=np.uint8)
    found = detections(masks, segments, {7: "cat", 8: "dog"}, picture, colour)
    assert found == {"cat": [Detection((2, 1, 5, 3), "red", 0.8)], "dog": [Detection((5, 5, 6, 6), "red", 0.7)]}
    assert seen[0].shape == (2, 3, 3)
