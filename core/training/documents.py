"""From bodies of text to token rows in the order in which a model reads them.

bodies = of_manifest(manifest.read("sources.jsonl"), write)   # one for each language of a category
sizes, documents = tokenise(bodies, tokenizer)               # {"low": {"sw": 4.1e8}}, {"sw": rows or a stream}
rows, counts = ordered_rows(lambda: sample(documents), run, inputs)
fit(model, rows, settings, run)                              # with settings.shuffle off

fit(model, StreamedRows(mixture), settings, run)             # reads as it trains, and goes on where it was stopped
"""

from __future__ import annotations

import itertools
import math
import random
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.corpora import manifest
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


def of_manifest(
    entries: Iterable[manifest.Entry],
    written: Callable[[manifest.Entry], Iterable[str]],
    name: Callable[[manifest.Entry], str] = attrgetter("name"),
) -> list[Body]:
    """A body for each language, or pair of them, of a category: several entries of one count as one.

    Args:
        entries: Of a manifest.
        written: The texts of an entry of parallel text.
        name: Of a body, by its first entry.
    """
    groups: dict[tuple[str, str], list[manifest.Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.category, entry.language), []).append(entry)

    def texts(part: Sequence[manifest.Entry]) -> Iterator[str]:
        for entry in part:
            yield from written(entry) if entry.languages else manifest.texts(entry.path)

    found = []
    for part in groups.values():
        sizes = [entry.tokens for entry in part]
        tokens = math.fsum(size or 0 for size in sizes) if None not in sizes else None
        found.append(Body(name(part[0]), part[0].category, partial(texts, part), tokens))
    return found


def stated_or_bytes(bodies: Sequence[Body]) -> tuple[dict[str, dict[str, float]], str]:
    """Sizes by category and body, as stated, or in bytes where none is stated; and the unit.

    Raises:
        UserError: Some are stated, and some are not.
    """
    unknown = [body.name for body in bodies if body.tokens is None]
    if 0 < len(unknown) < len(bodies):
        raise UserError(
            f"Tokens are stated of other sources than {unknown[0]!r}: give --tokenizer to count its tokens."
        )
    sizes: dict[str, dict[str, float]] = {}
    for body in bodies:
        sizes.setdefault(body.category, {})[body.name] = body.tokens or sum(len(t.encode()) for t in body.texts())
    return sizes, "bytes of UTF-8" if unknown else "tokens"


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


def mixed_rows(
    bodies: Iterable[Body],
    tokenizer: PreTrainedTokenizerBase,
    shares: Mapping[str, float],
    tokens: float,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Rows of a mixture in one stage that fits into memory, such as what a miniature's base reads.

    Args:
        bodies: Of text; each of a category gets as many tokens as the others.
        tokenizer: Cuts it.
        shares: Of the tokens, by category; bodies of others are left out.
        tokens: In all.
        seed: Of the order.

    Raises:
        UserError: A category has a share and no body.
    """
    sizes, documents = tokenise((body for body in bodies if body.category in shares), tokenizer)
    if missing := shares.keys() - sizes.keys():
        raise UserError(f"There is no text of {min(missing)!r}, which has a share: add some, or leave its share out.")
    budget = {name: tokens * shares[category] / len(sources) for category, sources in sizes.items() for name in sources}
    return [{"input_ids": ids} for _, _, ids in Mixture(documents, [budget], seed=seed)]


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
