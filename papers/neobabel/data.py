"""What NeoBabel is fed: images as codes with captions in several languages, and prompts as ids or states.

A training row is `{"codes": [...], "captions": {"en": "...", "fr": "..."}}`. Rows come from the miniature world, or
from the JSONL files of a folder. There `"image": "cat.png"` may stand for the codes, which the image tokenizer then
makes whenever the row is read; what is read more than once is better stored:

    core.files.write_rows("data/cc12m/0.jsonl", read_folder("cc12m", image_tokenizer("magvit.py:load")))
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.corpora.indexed import JsonLines, Row, blend, exchanged
from core.errors import UserError
from core.experiment.run import Run
from core.models import loading
from core.models.states import WhitenedStates
from core.models.vision import read_image
from core.plugins import own
from core.worlds import shapes
from papers.neobabel import miniature
from papers.neobabel.config import Config, Stage
from papers.neobabel.method import image_block, mask_image
from papers.neobabel.model import Prompt, Vocabulary, prefix

# Width to which a frozen encoder's states are whitened, over the captions of all languages in every arm.
WIDTH = 256
# Share of training prompts that are replaced by the empty one, as in the official code.
CONDITION_DROPOUT = 0.1
# Rows of a folder that are looked at before training starts: all would take hours where there are millions.
CHECKED = 1000


def stage_rows(stage: Stage, config: Config) -> Sequence[Row]:
    """The training rows of one stage, its sources mixed in their ratios; UserError for a source that does not fit."""
    sources = []
    for name in stage.sources:
        if name == "world":
            rows: Sequence[Row] = miniature.training_rows(config.seed, config.images)
        else:
            rows = read_folder(name, image_tokenizer(config.image_tokenizer))
        seen = [*itertools.islice(rows, CHECKED)]
        for codes in (row["codes"] for row in seen):
            if len(codes) != stage.image_tokens or max(codes) >= config.codes:
                raise UserError(
                    f"{name}: an image has {len(codes)} codes up to {max(codes)}, but image_tokens is "
                    f"{stage.image_tokens} and codes is {config.codes}."
                )
        if not any(set(row["captions"]) & set(config.train_languages) for row in seen):
            raise UserError(f"{name} has no caption in {', '.join(config.train_languages)}: set train_languages.")
        sources.append(rows)
    rows = blend(sources, stage.ratios, config.seed)
    return exchanged(rows, "captions", config.seed) if config.shuffled_captions else rows


def read_folder(folder: str | Path, tokenizer: Any = None) -> Sequence[Row]:
    """Rows of the JSONL files of a folder.

    Raises:
        UserError: No such file; when a row is read: no caption, no codes, or an image and no tokenizer.
    """

    def checked(row: Any) -> Row:
        captions, codes, image = (isinstance(row, dict) and row.get(name) for name in ("captions", "codes", "image"))
        if not isinstance(captions, dict) or not captions or not all(isinstance(t, str) for t in captions.values()):
            raise UserError('there is no caption; write "captions": {"en": "..."}.')
        if isinstance(image, str) and not codes:
            if tokenizer is None:
                raise UserError("there is an image and no codes: set image_tokenizer.")
            codes = tokenizer.encode(read_image(Path(folder) / image, tokenizer.size)[None])[0].tolist()
        if not isinstance(codes, list) or not codes or not all(type(code) is int and code >= 0 for code in codes):
            raise UserError("codes must be a list of whole numbers from 0, or image the name of a file.")
        return {"codes": codes, "captions": captions}

    if not (shards := sorted(Path(folder).glob("*.jsonl"))):
        raise UserError(f"{folder} has no .jsonl file with images and captions: check the path.")
    return JsonLines(shards, checked)


def image_tokenizer(spec: str) -> Any:
    """`world`, or your own (`core.plugins.own`); None where none is named.

    It has `size`, `encode` from [batch, size, size, 3] in [-1, 1] to codes [batch, tokens], and `decode`, its inverse.
    """
    return shapes if spec == "world" else own(spec, "image_tokenizer") if spec else None


class FrozenText:
    """Prompts as states of a frozen encoder, whose own begin and end tokens are BOS and EOS."""

    def __init__(self, states: WhitenedStates) -> None:
        self.states, self.width = states, states.width

    def vocabulary(self, codes: int) -> Vocabulary:
        """Three text ids suffice (BOS, EOS and any token): the states say which token it is."""
        return Vocabulary(text=3, codes=codes, bos=0, eos=1)

    def __call__(self, text: str) -> Prompt:
        """The prompt, each token as the same id."""
        states = self.states(text)
        return Prompt([0] + [2] * (len(states) - 2), states)


class TokenText:
    """Prompts as the language model's own token ids, BOS first."""

    width = 0

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def vocabulary(self, codes: int) -> Vocabulary:
        """The tokenizer's ids, then the markers, then the codes."""
        return Vocabulary(len(self.tokenizer), codes, self.tokenizer.bos_token_id, self.tokenizer.eos_token_id)

    def __call__(self, text: str) -> Prompt:
        """The prompt, without states."""
        return Prompt([self.tokenizer.bos_token_id, *self.tokenizer(text, add_special_tokens=False)["input_ids"]])


def text_of(config: Config, run: Run) -> FrozenText | TokenText:
    """How this configuration reads prompts; a frozen encoder reads all that are known once for all arms of a seed."""
    if not config.frozen_encoder:
        return TokenText(loading.load_tokenizer(config.backbone))
    rows = (row for stage in config.trained.values() for row in stage_rows(stage, config))
    # The statistics need no pairs and no labels, so all arms share them, whatever languages they train on.
    captions = sorted({text for row in rows for text in row["captions"].values()})
    items = () if config.benchmark else miniature.items(config.split, config.seed, config.limit)
    reference = config.languages[0]
    asked = {i.prompt(*o) for i in items for code in config.languages for o in miniature.orders(i, code, reference)}
    others = sorted({"", *asked} - {*captions})
    folder = run.stage(
        "text",
        {"backbone": config.backbone, "texts": [captions, others]},
        lambda folder: WhitenedStates.fit(config.backbone, captions, WIDTH, others).save(folder),
    )
    return FrozenText(WhitenedStates.load(config.backbone, folder))


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
        block = image_block(ids, vocabulary)
        # Read by the loop's speedometer alone.
        real = torch.cat([prompt != vocabulary.marker("pad"), torch.ones_like(block)], dim=1)
        batch = {"prompt": prompt, "block": block, "labels": image_block(labels, vocabulary), "real_tokens": real}
        return batch if states is None else {**batch, "states": states}

    return collate
