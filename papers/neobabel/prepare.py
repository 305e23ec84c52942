"""Turn images with captions into shards of codes, once: at scale, training reads nothing else.

    python -m papers.neobabel.prepare cc12m --image-tokenizer magvit.py:load --out data/cc12m

The folder is one of `data.py` (images and a `captions.csv` with a column for each language), or holds the caption files
of the official code: `translations.json` by language and image; a `captions.csv` of image and English caption; or
`imagenet_label_mapping_<language>` beside folders of images that have the number of their class as their name.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from core.errors import UserError
from core.experiment.entrypoint import exit_codes
from core.files import read_lines, write_text
from papers.neobabel.data import OFFICIAL_NAMES, Row, captioned, image_tokenizer, read_image

IMAGES = {".jpg", ".jpeg", ".png", ".webp"}


def from_translations(content: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """`translations.json` of a shard, {"English": {image: caption}, "French": ...}, as captions by image and code.

    The official loader falls back to the *string* "English" where a language is missing, and crashes; here an image
    simply has the languages that it has.
    """
    captions: dict[str, dict[str, str]] = {}
    for name, by_image in content.items():
        if name.lower() not in OFFICIAL_NAMES:
            raise UserError(f"translations.json has captions in {name!r}: known are {', '.join(OFFICIAL_NAMES)}.")
        for image, caption in by_image.items():
            if caption.strip():
                captions.setdefault(image, {})[OFFICIAL_NAMES[name.lower()]] = caption
    return captions


def from_caption_csv(lines: Iterable[str]) -> dict[str, dict[str, str]]:
    """SA-1B's and CC12M's `captions.csv` (a header, then image and caption): English only, by design."""
    rows = csv.reader(lines)
    next(rows, None)
    return {row[0]: {"en": row[1]} for row in rows if len(row) > 1 and row[1].strip()}


def from_label_mappings(lines: Mapping[str, Iterable[str]]) -> dict[int, dict[str, str]]:
    """`imagenet_label_mapping_<language>` (lines `number: name`), by official language name, as captions by class."""
    captions: dict[int, dict[str, str]] = {}
    for name, rows in lines.items():
        for row in rows:
            number, colon, label = row.partition(":")
            if colon:
                captions.setdefault(int(number), {})[OFFICIAL_NAMES[name.lower()]] = label.strip()
    return captions


def images_of(folder: Path) -> Sequence[Row]:
    """Rows of `image` (relative to the folder) and `captions`, from whichever caption files there are.

    Raises:
        UserError: No caption file, or one that cannot be read.
    """
    mappings = {path.stem.rpartition("_")[2]: read_lines(path) for path in folder.glob("imagenet_label_mapping_*")}
    if mappings:
        labels = from_label_mappings(mappings)
        images = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in IMAGES)
        strange = {path.parent.name for path in images} - {str(number) for number in labels}
        if strange:
            raise UserError(f"{folder}: {min(strange)} is no class of the label mappings: name folders by its number.")
        return [{"image": str(path.relative_to(folder)), "captions": labels[int(path.parent.name)]} for path in images]
    translations, table = folder / "translations.json", folder / "captions.csv"
    if translations.exists():
        captions = from_translations(json.loads(translations.read_text(encoding="utf-8")))
    elif table.exists() and "caption" in next(csv.reader(read_lines(table))):
        captions = from_caption_csv(read_lines(table))
    else:
        return captioned(folder)
    return [{"image": image, "captions": by_language} for image, by_language in captions.items()]


def write_shards(folder: str | Path, tokenizer: Any, out: str | Path, rows: int = 10_000, batch_size: int = 64) -> int:
    """Write `<number>.jsonl` with `codes`, `captions` and the image as `id`; shards that exist are kept.

    Args:
        folder: Images and their captions.
        tokenizer: `size`, and `encode` from [batch, size, size, 3] in [-1, 1] to codes [batch, tokens].
        out: Folder for the shards, a source of a training stage.
        rows: Of one shard.
        batch_size: Images at a time.

    Returns:
        Number of images.
    """
    folder, out = Path(folder), Path(out)
    found = images_of(folder)
    out.mkdir(parents=True, exist_ok=True)
    for begin in range(0, len(found), rows):
        path = out / f"{begin // rows:06d}.jsonl"
        if path.exists():
            continue
        lines = []
        for start in range(begin, min(begin + rows, len(found)), batch_size):
            some = [found[index] for index in range(start, min(start + batch_size, begin + rows, len(found)))]
            images = torch.stack([read_image(folder / row["image"], tokenizer.size) for row in some])
            lines += [
                json.dumps({"codes": codes, "captions": row["captions"], "id": row["image"]}, ensure_ascii=False)
                for row, codes in zip(some, tokenizer.encode(images).tolist(), strict=True)
            ]
        write_text(path, "\n".join(lines) + "\n")
    return len(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="images and their captions")
    parser.add_argument("--image-tokenizer", required=True, help="path/to/file.py:function, see core.plugins")
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards")
    parser.add_argument("--rows", type=int, default=10_000, help="images of one shard")
    parser.add_argument("--dry-run", action="store_true", help="print what would be read and written, and stop")
    options = parser.parse_args(arguments)
    with exit_codes(debug=False):
        if options.dry_run:
            print(f"{options.folder} -> {options.out}/000000.jsonl ..., {options.rows} images each")
            return
        tokenizer = image_tokenizer(options.image_tokenizer)
        print(f"{options.out}: {write_shards(options.folder, tokenizer, options.out, options.rows)} images")


if __name__ == "__main__":
    main()
