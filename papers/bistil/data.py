"""What BiStil is fed: batches of one language each for phase one, labelled rows for phase two.

rows = monolingual({"en": english, "sw": swahili}, batch=32, count=steps * 32, seed=0)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from core import corpora
from core.errors import UserError
from core.files import read_lines
from core.tasks import labelled as core_labelled
from core.tasks.labelled import Labelled
from core.training.losses import IGNORED
from core.training.masking import Masking, encode
from core.worlds.base import Part
from papers.bistil.config import Config
from papers.bistil.method import Batch, Seen, Teacher

if TYPE_CHECKING:
    from core.tasks.finetuning import Head
    from core.training.packing import Collate

Row = Mapping[str, Any]
# Columns `tokens` and `ner_tags`, class labels, in both; unpinned, as no revision could be verified.
CONLL, MASAKHANER = "eriktks/conll2003", "masakhane/masakhaner"
ENTITIES = ("PER", "ORG", "LOC")
PARTS = {"train": "train", "dev": "validation", "test": "test"}


# --- text -----------------------------------------------------------------------------------------------------------


def texts(config: Config) -> dict[str, list[str]]:
    """Lines of phase one by language, source and target first; all files of the folder for the multilingual student.

    Raises:
        UserError: A language without a file, or one without text.
    """
    from papers.bistil import miniature

    if not config.texts:
        return miniature.world(config).texts
    folder, wanted = Path(config.texts), [config.source, config.target]
    if config.general == "multilingual":
        wanted = list(dict.fromkeys([*wanted, *sorted(path.stem for path in folder.glob("*.txt"))]))
    found = {code: [line for line in read_lines(folder / f"{code}.txt") if line.strip()] for code in wanted}
    if empty := [code for code, lines in found.items() if not lines]:
        raise UserError(f"{folder / empty[0]}.txt has no text: give it a sentence a line.")
    return found


def general_rows(config: Config, tokenizer: Any) -> list[Row]:
    """Rows of phase one in their order, as many as it has steps for."""
    settings = config.general_training
    rows = {code: encode(tokenizer, lines, max_length=settings.max_length) for code, lines in texts(config).items()}
    return monolingual(rows, settings.batch_size, settings.steps * settings.batch_size, config.seed)


def general_collate(config: Config, tokenizer: Any) -> Collate:
    """Padded, and masked where the configuration says so: teacher and student see the same masks."""
    if config.mask_rate:
        return Masking(tokenizer, rate=config.mask_rate)
    return lambda rows, rng: collate(rows, tokenizer.pad_token_id)


def characters(tokenizer: Any, corpora: Iterable[Iterable[str]]) -> set[int]:
    """Ids of the pieces of one character that occur, so that other text in the same letters has an encoding."""
    found = {character for texts in corpora for text in texts for character in text} | {"▁"}
    return {place for token, place in tokenizer.get_vocab().items() if token.removeprefix("##") in found}


def monolingual(rows: Mapping[str, Sequence[Row]], batch: int, count: int, seed: int) -> list[Row]:
    """`count` rows in the order in which they are read: every `batch` of them are of one language, languages alike.

    All languages give as many rows to a round as the smallest has, other ones each round; the last batch of a language
    may begin it again.
    """
    rng = np.random.default_rng(seed)
    blocks = max(1, min(map(len, rows.values())) // batch)
    orders = {code: _endless(own, rng) for code, own in rows.items()}
    found: list[Row] = []
    while len(found) < count:
        turns = rng.permutation([code for code in rows for _ in range(blocks)])
        found += [next(orders[code]) for code in turns for _ in range(batch)]
    return found[:count]


def _endless(rows: Sequence[Row], rng: np.random.Generator) -> Iterator[Row]:
    while True:
        yield from (rows[place] for place in rng.permutation(len(rows)))


class Remembered:
    """A teacher that looks at every row once and then remembers, for few texts that are read many times.

    What an encoder makes of a text, on padding too, does not depend on its neighbours in the batch. Batches name their
    rows by `row`.

    Args:
        teacher: Whom to ask.
        batch: All rows, padded to one length.
        shown: For each row the one whose states are shown; None = its own.
        chunk: Rows of a forward pass.
    """

    def __init__(self, teacher: Teacher, batch: Batch, shown: Sequence[int] | None = None, chunk: int = 64):
        size = len(batch["input_ids"])
        pieces = [
            teacher({name: value[start : start + chunk] for name, value in batch.items()})
            for start in range(0, size, chunk)
        ]
        self.hidden = [torch.cat(layers) for layers in zip(*(piece.hidden for piece in pieces), strict=True)]
        self.attention = [torch.cat(layers) for layers in zip(*(piece.attention for piece in pieces), strict=True)]
        self.logits = torch.cat([piece.logits for piece in pieces if piece.logits is not None])
        self.shown = torch.tensor(range(size) if shown is None else shown)

    def __call__(self, batch: Batch) -> Seen:
        """What the teacher makes of the rows of the batch."""
        device, width = batch["input_ids"].device, batch["input_ids"].shape[1]
        rows = self.shown[batch["row"].cpu()]
        return Seen(
            [states[rows, :width].to(device) for states in self.hidden],
            [weights[rows, :, :width, :width].to(device) for weights in self.attention],
            (self.logits[rows, :width] if self.logits.dim() == 3 else self.logits[rows]).to(device),
        )


def collate(rows: Sequence[Row], pad: int) -> dict[str, Tensor]:
    """Rows padded on the right, with labels and row numbers where they have them."""

    def padded(values: Sequence[Sequence[int]], filler: int) -> Tensor:
        width = max(map(len, values))
        return torch.tensor([[*value, *[filler] * (width - len(value))] for value in values])

    ids = [row["input_ids"] for row in rows]
    batch = {"input_ids": padded(ids, pad), "attention_mask": padded([[1] * len(row) for row in ids], 0)}
    if "labels" in rows[0]:
        batch["labels"] = padded([row["labels"] for row in rows], IGNORED)
    if "row" in rows[0]:
        batch["row"] = torch.tensor([row["row"] for row in rows])
    return batch


# --- the task -------------------------------------------------------------------------------------------------------


def labelled(config: Config, language: str, part: Part) -> list[Labelled]:
    """Examples of the task: of the miniature, CoNLL-2003 and MasakhaNER, or a folder.

    Raises:
        UserError: Data that cannot be had or read.
    """
    from papers.bistil import miniature

    if not config.task:
        world = miniature.world(config)
        items = world.train if part == "train" else world.english if language == config.source else world.measured
        return miniature.labelled(items)
    if config.task == "ner":
        return entities(CONLL if language == config.source else f"{MASAKHANER}#{language}", part)
    return core_labelled.read(config.task, language, part)


def entities(address: str, part: Part) -> list[Labelled]:
    """Words with tags of people, organisations and places; dates and other names count as none (official code)."""
    table: Any = corpora.read_rows(f"{address}@{PARTS[part]}")
    rows = corpora.adapted(
        address, table, lambda row, _: core_labelled.labelled_row(core_labelled.named(row, table), address)
    )
    return [
        Labelled(row.words, tuple(tag if tag.partition("-")[2] in ENTITIES else "O" for tag in row.labels))
        for row in rows
    ]


def head(examples: Sequence[Labelled]) -> Head:
    """One label a text or one a word."""
    return "sequence" if all(len(example.words) == 1 for example in examples) else "token"


def task_rows(config: Config, tokenizer: Any) -> tuple[list[dict[str, Any]], Collate]:
    """Encoded training data of the source language, numbered, and what makes batches of them."""
    from core.tasks import classification, tagging
    from core.tasks.labelled import labels_of

    examples = labelled(config, config.source, "train")
    ids = {label: number for number, label in enumerate(labels_of(examples))}
    task = classification if head(examples) == "sequence" else tagging
    rows = task.encode(tokenizer, examples, ids, config.task_training)
    numbered = [{**row._asdict(), "row": number} for number, row in enumerate(rows)]
    return numbered, lambda rows, rng: collate(rows, tokenizer.pad_token_id)


def permuted(size: int, seed: int) -> list[int]:
    """Another row for every row."""
    order = np.random.default_rng(seed).permutation(size)
    return [int(order[(np.flatnonzero(order == row)[0] + 1) % size]) for row in range(size)]


def score(loaded: tuple[Any, Any], examples: Sequence[Labelled]) -> float:
    """Entity F1 where words are tagged (seqeval), macro-F1 where texts are classified."""
    from core.models.loading import Loaded
    from core.tasks import classification, tagging

    loaded = Loaded(*loaded)
    if head(examples) == "sequence":
        return classification.f1(classification.predict(loaded, examples), examples)
    return tagging.f1(tagging.predict(loaded, examples), examples)
