"""From bodies of text to token rows in the order in which a model reads them.

sizes, documents = tokenise(bodies, tokenizer)               # {"low": {"sw": 4.1e8}}, {"sw": rows or a stream}
rows, counts = ordered_rows(lambda: sample(documents), run, inputs)
fit(model, rows, settings, run)                              # with settings.shuffle off

fit(model, StreamedRows(mixture), settings, run)             # reads as it trains, and goes on where it was stopped
"""

from __future__ import annotations

import itertools
import random
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.corpora.indexed import Picked, TokenRows, index_type
from core.corpora.mixture import Documents, Mixture
from core.errors import UserError
from core.experiment.run import Run
from core.files import read_json, write_json
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Body:
    """One body of text.

    Attributes:
        name: Unique.
        category: What it is counted under.
        texts: Opens the text anew.
        tokens: Size, where it is known without reading; None = count.
    """

    name: str
    category: str
    texts: Callable[[], Iterable[str]]
    tokens: float | None = None


def tokenise(
    bodies: Iterable[Body], tokenizer: PreTrainedTokenizerBase
) -> tuple[dict[str, dict[str, float]], dict[str, Documents[array[int]]]]:
    """Sizes in tokens by category and body, and the token rows of each body.

    A body of known size is not read now: its rows are a function that reads them as a stream.
    """
    sizes: dict[str, dict[str, float]] = {}
    documents: dict[str, Documents[array[int]]] = {}
    for body in bodies:
        size = body.tokens
        if size is None:
            rows = list(Tokenised(body, tokenizer))
            documents[body.name], size = rows, sum(map(len, rows))
        else:
            documents[body.name] = partial(Tokenised, body, tokenizer)
        sizes.setdefault(body.category, {})[body.name] = size
    return sizes, documents


@dataclass(frozen=True)
class Tokenised:
    """The token rows of a body, made as they are read, four bytes a token: a mixture holds many of each source."""

    body: Body
    tokenizer: PreTrainedTokenizerBase
    begin: int = 0

    def __iter__(self) -> Iterator[array[int]]:
        texts = itertools.islice(self.body.texts(), self.begin, None)
        while part := list(itertools.islice(texts, 1000)):
            yield from (array("i", ids) for ids in encode(self.tokenizer, part))

    def skip(self, rows: int) -> Tokenised:
        """The same without the first ones, which are not tokenised for that."""
        return replace(self, begin=self.begin + rows)


def encode(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """Ids of each text between the begin and the end token.

    Checkpoints without a begin token (Qwen) read documents from the end token of the one before, packed or not.
    """
    begin = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [[*begin, *ids, tokenizer.eos_token_id] for ids in encoded]


def by_length(rows: Sequence[Any], lengths: Any, settings: TrainingConfig, seed: int) -> Sequence[Any]:
    """Rows for all steps, each batch of like lengths: where lengths differ most of a padded batch is padding.

    Every pass has batches of its own; what does not fill one is left out of that pass. Train with `shuffle` off.

    Args:
        rows: Of any kind.
        lengths: Of each, in tokens or in what grows with them, [rows]; or several, of which the first counts most,
            [rows, lengths].
        settings: Its `steps` and `batch_size`.
        seed: Which rows of one length meet, and the order of the batches.

    Raises:
        UserError: Too few rows for a batch.
    """
    rng, size, wanted = random.Random(seed), settings.batch_size, settings.steps * settings.batch_size
    batches = len(rows) // size
    if wanted and not batches:
        raise UserError(f"{len(rows)} rows do not fill a batch of {size}: lower batch_size.")
    keys = np.asarray(lengths).reshape(len(rows), -1).T[::-1]
    found = np.empty(wanted, index_type(len(rows)))
    for begin in range(0, wanted, batches * size or 1):
        ties = np.fromiter((rng.random() for _ in range(len(rows))), float, len(rows))
        order = np.lexsort((ties, *keys))[: batches * size].reshape(batches, size)
        found[begin : begin + batches * size] = order[rng.sample(range(batches), batches)].ravel()[: wanted - begin]
    return Picked(rows, found)


def ordered_rows(
    stream: Callable[[], Iterable[tuple[int, str, Sequence[int]]]],
    run: Run,
    inputs: Mapping[str, Any],
    *,
    on_disk: bool = False,
) -> tuple[TokenRows, dict[int, dict[str, int]]]:
    """Rows by index of a stream of (stage from 1, source, token ids), and the tokens of each source by stage.

    Args:
        stream: Opens it.
        run: Keeps what goes to disk, as a stage that one process writes for all.
        inputs: What the stream depends on.
        on_disk: For streams that no memory holds: four bytes a token and twelve a row.
    """
    counts: dict[str, Counter[str]] = {}

    def counted() -> Iterator[Sequence[int]]:
        for stage, source, ids in stream():
            counts.setdefault(str(stage), Counter())[source] += len(ids)
            yield ids

    def build(folder: Path) -> None:
        TokenRows.write(folder, counted())
        write_json(folder / "counts.json", counts)

    if not on_disk:
        return TokenRows.of(counted()), {int(stage): dict(found) for stage, found in counts.items()}
    folder = run.stage("rows", inputs, build)
    known = read_json(folder / "counts.json")
    return TokenRows.read(folder), {int(stage): found for stage, found in known.items()}


class StreamedRows:
    """The same for `fit` to read as it trains, where no disk holds them: a mixture as a :class:`packing.Stream`.

    Attributes:
        counts: Tokens of each source by stage that were read so far.
    """

    def __init__(self, mixture: Mixture[Any]) -> None:
        self.mixture, self.counts = mixture, dict[int, Counter[str]]()

    @property
    def position(self) -> dict[str, Any]:
        """How far it is, as JSON values."""
        counts = {str(stage): dict(found) for stage, found in self.counts.items()}
        return {"mixture": self.mixture.position, "counts": counts}

    def restore(self, position: Mapping[str, Any]) -> None:
        """Go on from a position: of every source, what was in memory is read and tokenised again."""
        self.mixture.restore(position["mixture"])
        self.counts = {int(stage): Counter(found) for stage, found in position["counts"].items()}

    def __next__(self) -> dict[str, Any]:
        stage, source, ids = next(self.mixture)
        self.counts.setdefault(stage, Counter())[source] += len(ids)
        return {"input_ids": ids}
