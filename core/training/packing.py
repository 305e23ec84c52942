"""From documents to batches without waste: which rows a step holds, and what a forward pass gets.

A padded batch of instruction data is mostly padding. Two layouts avoid it:

* packed: documents are laid into rows of `max_length` by best-fit decreasing (Ding et al. 2024, "Fewer truncations
  improve language modeling", algorithm 1), so that a row is full up to a few tokens;
* flattened: the documents of a batch one after another, in one row.

In both, positions start at 0 in every document and documents do not see each other
(:mod:`core.training.packed_attention`), so a packed batch has the loss and the gradient of the padded one.

The order is a function of seed and epoch alone. A step takes `batch_size` rows of that order, whatever the number of
processes; each rank then takes its share. An epoch is laid out a chapter at a time, and before training only the
lengths of documents are looked at; of a :class:`Stream` nothing is.
"""

from __future__ import annotations

import bisect
import copy
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from core.corpora.indexed import index_type, shuffled
from core.errors import UserError
from core.training.config import TrainingConfig
from core.training.packed_attention import plan_documents

IGNORED = -100
# Best-fit decreasing sorts by length; within windows of this many documents the order stays random.
WINDOW = 16_384
# An epoch is laid out so many pieces at a time: half a second of packing, and nothing to keep of what is behind.
CHAPTER = 16 * WINDOW
# Arrays over all rows are gone through so many rows at a time.
CHUNK = 1 << 18
# The labels of so many rows are read before training starts; of more rows, those of a batch when it is built.
READ_BEFOREHAND = 1 << 20

Batch = dict[str, Any]


class Span(NamedTuple):
    """Tokens `start` to `end` of one document of the data set."""

    document: int
    start: int
    end: int


def document_lengths(dataset: Any) -> np.ndarray:
    """Number of tokens of every row, without turning the rows into Python lists where that can be avoided.

    A data set of one's own with millions of rows says it itself, by an array `lengths` (memory-mapped, if it likes).

    Raises:
        UserError: If rows have no `input_ids`, or another number of lengths is given than there are rows.
    """
    if (lengths := getattr(dataset, "lengths", None)) is not None:
        if len(lengths) != len(dataset):
            raise UserError(f"The data set has {len(dataset)} rows but {len(lengths)} lengths: give one length a row.")
        return np.asarray(lengths)
    names = getattr(dataset, "column_names", None)
    missing = "input_ids" not in names if names is not None else len(dataset) and "input_ids" not in dataset[0]
    if missing:
        raise UserError("The training rows have no 'input_ids': tokenise them, or give fit a collate function.")
    if not hasattr(dataset, "with_format"):
        return np.fromiter((len(row["input_ids"]) for row in dataset), np.int32, len(dataset))
    import pyarrow.compute as pc

    lengths, row = np.empty(len(dataset), np.int32), 0
    for table in dataset.select_columns("input_ids").with_format("arrow").iter(10_000):
        lengths[row : row + len(table)] = pc.list_value_length(table["input_ids"])
        row += len(table)
    return lengths


@dataclass(frozen=True)
class Pieces:
    """The pieces of at most `max_length` tokens that documents are trained in, in the order of the documents.

    At 100 million documents an object each would take 20 GB. What is kept here is four bytes for each piece that is
    left out, and for each document where long ones are split.

    Attributes:
        lengths: Tokens of every document.
        max_length: Most tokens of a piece.
        first: The number of each document's first piece, as long as none is left out; None = a piece a document.
        gone: For each piece that is left out, how many that are not stand before it.
    """

    lengths: np.ndarray
    max_length: int
    first: Int[np.ndarray, " documents"] | None = None
    gone: Int[np.ndarray, " gone"] = field(default_factory=lambda: np.zeros(0, np.int32))

    def __len__(self) -> int:
        return self._all - len(self.gone)

    def spans(self, which: slice | np.ndarray = slice(None)) -> Int[np.ndarray, "some 3"]:
        """Some pieces, as the numbers of a :class:`Span` each."""
        if isinstance(which, slice):
            which = np.arange(*which.indices(len(self)))
        document = self._number(which)
        start = np.zeros_like(document)
        if self.first is not None:
            piece, document = document, np.searchsorted(self.first, document, "right") - 1
            start = self.max_length * (piece - self.first[document])
        return np.stack([document, start, np.minimum(start + self.max_length, self.lengths[document])], axis=1)

    def sizes(self, which: slice | np.ndarray = slice(None)) -> Int[np.ndarray, " some"]:
        """Tokens of some pieces."""
        _, start, end = self.spans(which).T
        return end - start

    def chunks(self) -> Iterator[slice]:
        """All pieces, a part at a time."""
        return _chunks(len(self))

    @property
    def tokens(self) -> int:
        """Tokens of all pieces."""
        return sum(int(self.sizes(part).sum()) for part in self.chunks())

    @property
    def longest(self) -> int:
        """Tokens of the longest piece."""
        return max((int(self.sizes(part).max()) for part in self.chunks()), default=0)

    def of_documents(self, begin: int, end: int) -> slice:
        """Where the pieces of documents `begin` to `end` are."""
        numbers = np.array([begin, end]) if self.first is None else np.append(self.first, self._all)[[begin, end]]
        return slice(*(numbers - np.searchsorted(self.gone + np.arange(len(self.gone)), numbers)).tolist())

    def kept(self, mask: np.ndarray) -> Pieces:
        """Those for which the mask holds."""
        kind = index_type(self._all)
        parts = [self._number(part.start + (~mask[part]).nonzero()[0]).astype(kind) for part in self.chunks()]
        numbers = np.sort(np.concatenate([self.gone + np.arange(len(self.gone), dtype=kind), *parts]))
        return replace(self, gone=numbers - np.arange(len(numbers), dtype=kind))

    @property
    def _all(self) -> int:
        """How many there are with those that are left out."""
        if self.first is None or not len(self.first):
            return len(self.lengths)
        return int(self.first[-1]) + max(1, -(-int(self.lengths[-1]) // self.max_length))

    def _number(self, which: np.ndarray) -> np.ndarray:
        """The numbers that pieces have as long as none is left out."""
        return which + np.searchsorted(self.gone, which, "right")


def _chunks(size: int) -> Iterator[slice]:
    return (slice(begin, min(begin + CHUNK, size)) for begin in range(0, size, CHUNK))


def cut(lengths: np.ndarray, max_length: int, long_documents: Literal["truncate", "split", "drop"]) -> Pieces:
    """The pieces that documents of these lengths are trained in. Empty documents have none."""
    first = _first_pieces(lengths, max_length) if long_documents == "split" else None
    whole = Pieces(lengths, max_length, first)
    mask = np.empty(len(whole), dtype=bool)
    for part in whole.chunks():
        mask[part] = whole.sizes(part) > 0
        if long_documents == "drop":
            mask[part] &= lengths[part] <= max_length
    return whole.kept(mask)


def _first_pieces(lengths: np.ndarray, max_length: int) -> np.ndarray | None:
    """The number of each document's first piece; None if no document is too long. An empty one has a piece too."""

    def pieces(part: slice) -> np.ndarray:
        return np.maximum(-(-np.asarray(lengths[part], dtype=np.int64) // max_length), 1)

    total = sum(int(pieces(part).sum()) for part in _chunks(len(lengths)))
    if total == len(lengths):
        return None
    first, end = np.empty(len(lengths), index_type(total)), 0
    for part in _chunks(len(lengths)):
        ends = end + np.cumsum(found := pieces(part))
        first[part], end = ends - found, int(ends[-1])
    return first


@dataclass(frozen=True)
class LeftOut:
    """What of the documents is not trained on.

    Attributes:
        long_documents: Documents that were cut to `max_length` ("truncate") or left out because of it ("drop").
        tokens: Their tokens that are gone.
        without_labels: Pieces that were left out because no label is left in them, as where a prompt fills
            `max_length`.
    """

    long_documents: int = 0
    tokens: int = 0
    without_labels: int = 0


def labelled(dataset: Any, pieces: Pieces) -> Pieces:
    """Those with something to learn: a label beyond their first token (nothing predicts that).

    Of rows that are too many to be read beforehand, or of which only the lengths are known, whatever is longer than a
    token.

    Raises:
        UserError: If a document has another number of labels than of tokens.
    """
    kept = np.zeros(len(pieces), dtype=bool)
    names = getattr(dataset, "column_names", None)
    read = len(dataset) <= READ_BEFOREHAND and not hasattr(dataset, "lengths")
    if not read or (names is not None and "labels" not in names):
        for part in pieces.chunks():
            kept[part] = pieces.sizes(part) > 1
        return pieces.kept(kept)
    if not hasattr(dataset, "with_format"):
        for number, span in enumerate(map(Span._make, pieces.spans().tolist())):
            kept[number] = _has_label(dataset[span.document], span)
        return pieces.kept(kept)
    import pyarrow.compute as pc

    row = 0
    for table in dataset.select_columns(["input_ids", "labels"]).with_format("arrow").iter(10_000):
        tokens, labels = (pc.list_value_length(table[name]).to_numpy() for name in ("input_ids", "labels"))
        for number in (tokens != labels).nonzero()[0][:1]:
            raise _wrong_labels(row + int(number), int(tokens[number]), int(labels[number]))
        begins = np.cumsum(labels) - labels
        learned = np.concatenate([[0], np.cumsum(pc.list_flatten(table["labels"]).to_numpy() != IGNORED)])
        here = pieces.of_documents(row, row + len(labels))
        document, start, end = pieces.spans(here).T
        begin = begins[document - row]
        kept[here] = learned[begin + end] > learned[begin + start + 1]
        row += len(labels)
    return pieces.kept(kept)


def _has_label(row: Mapping[str, Any], span: Span) -> bool:
    labels = row.get("labels")
    if labels is None:
        return span.end - span.start > 1
    if len(labels) != len(row["input_ids"]):
        raise _wrong_labels(span.document, len(row["input_ids"]), len(labels))
    # Answers stand at the end.
    return any(labels[place] != IGNORED for place in range(span.end - 1, span.start, -1))


def _wrong_labels(document: int, tokens: int, labels: int) -> UserError:
    return UserError(
        f"Row {document} has {tokens} tokens but {labels} labels: give one label a token (-100 = no loss)."
    )


def best_fit_decreasing(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Bins of at most `capacity` tokens: the longest document first, each into the fullest bin that still has room.

    Args:
        lengths: Tokens of every document, each between 1 and `capacity`.
        capacity: Tokens of a bin.

    Returns:
        For every bin the indices of its documents. At most 11/9 of the optimal number of bins (plus one).
    """
    order = np.argsort(np.negative(lengths), kind="stable").tolist()
    bins: list[list[int]] = []
    room: list[int] = []  # free tokens x documents + bin, sorted: numbers compare faster than pairs
    item, items = 0, len(order)
    while item < items:
        length, first = lengths[order[item]], item
        place = bisect.bisect_left(room, length * items)
        if place == len(room):
            free, target = capacity, len(bins)
            bins.append([])
        else:
            free, target = divmod(room.pop(place), items)
        # While others of this length fit, this bin stays the fullest that has room.
        while length <= free and item < items and lengths[order[item]] == length:
            free, item = free - length, item + 1
        bins[target] += order[first:item]
        if free:
            bisect.insort(room, free * items + target)
    return bins


def in_order(lengths: Sequence[int] | np.ndarray, capacity: int) -> Int[np.ndarray, " bins"]:
    """Where each bin begins if they are filled one after another, which keeps the order of the documents."""
    ends = np.cumsum(lengths)
    after = np.searchsorted(ends, ends - lengths + capacity, "right").tolist()
    begins, item = [], 0
    while item < len(after):
        begins.append(item)
        item = after[item]
    return np.array(begins, dtype=np.int64)


@dataclass(frozen=True)
class Rows(Sequence[list[Span]]):
    """The rows of a chapter as arrays.

    Attributes:
        pieces: Of the whole data set.
        members: The pieces of all rows one after another.
        begins: Where each row's pieces begin among them.
        sizes: How many pieces each row has.
    """

    pieces: Pieces
    members: Int[np.ndarray, " members"]
    begins: Int[np.ndarray, " rows"]
    sizes: Int[np.ndarray, " rows"]

    def __len__(self) -> int:
        return len(self.begins)

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, slice):
            return self[key : key + 1][0]
        sizes = self.sizes[key]
        where = np.repeat(self.begins[key] + sizes - np.cumsum(sizes), sizes) + np.arange(sizes.sum())
        spans = map(Span._make, self.pieces.spans(self.members[where]).tolist())
        return [list(itertools.islice(spans, size)) for size in sizes.tolist()]


class Epoch:
    """One pass over the data, laid out chapter by chapter as it is come to.

    In random order, a chapter is a random part of all pieces, so that its rows are as mixed as those of the whole.
    """

    def __init__(self, order: Order, number: int) -> None:
        self.order, self.number = order, number
        self._shuffler = np.random.default_rng([order.seed, number])
        self._sequence: np.ndarray | None = None
        if order.shuffle:
            self._sequence = shuffled(len(order.pieces), self._shuffler)
        self._latest: tuple[int, Rows] | None = None

    @property
    def chapters(self) -> int:
        """How many there are."""
        return -(-len(self.order.pieces) // CHAPTER)

    def chapter(self, number: int) -> Rows:
        """The rows of one chapter, in order."""
        if self._latest is None or self._latest[0] != number:
            self._latest = number, self._lay_out(number)
        return self._latest[1]

    def __iter__(self) -> Iterator[list[Span]]:
        for number in range(self.chapters):
            yield from self.chapter(number)

    def _lay_out(self, number: int) -> Rows:
        pieces, capacity, shuffle = self.order.pieces, self.order.capacity, self.order.shuffle
        here = slice(number * CHAPTER, min((number + 1) * CHAPTER, len(pieces)))
        sequence = np.arange(here.start, here.stop) if self._sequence is None else self._sequence[here]
        if not capacity:
            return Rows(pieces, sequence, np.arange(len(sequence)), np.ones(len(sequence), dtype=np.int64))
        lengths = pieces.sizes(sequence)
        if not shuffle:
            begins = in_order(lengths, capacity)
            return Rows(pieces, sequence, begins, np.diff(begins, append=len(sequence)))
        members, sizes = [], []
        for begin in range(0, len(sequence), WINDOW):
            bins = best_fit_decreasing(lengths[begin : begin + WINDOW].tolist(), capacity)
            members.append(begin + np.fromiter(itertools.chain(*bins), np.int64))
            sizes.append([len(row) for row in bins])
        size = np.concatenate(sizes)
        later = np.random.default_rng([self.order.seed, self.number, number])
        order = (later if number else copy.deepcopy(self._shuffler)).permutation(len(size))
        return Rows(pieces, sequence[np.concatenate(members)], (np.cumsum(size) - size)[order], size[order])


@dataclass(frozen=True)
class Order:
    """Which rows make up which step; a row is a list of spans.

    A place in it is (epoch, offset), where the offset is the row within its chapter plus the pieces of those before.

    Attributes:
        pieces: What one epoch goes through.
        seed: Decides the order together with the epoch.
        batch_size: Rows of one optimiser step, over all ranks.
        capacity: Tokens of a packed row; 0 = a row is one span.
        shuffle: A new order every epoch.
    """

    pieces: Pieces
    seed: int
    batch_size: int
    capacity: int = 0
    shuffle: bool = True
    _latest: dict[int, Epoch] = field(default_factory=dict, compare=False, repr=False)

    def epoch(self, number: int) -> Epoch:
        """One pass over the data."""
        if number not in self._latest:
            self._latest.clear()  # before the next takes as much memory
            self._latest[number] = Epoch(self, number)
        return self._latest[number]

    @property
    def longest(self) -> int:
        """Tokens of the longest piece."""
        return self.pieces.longest

    def rows(self) -> int:
        """Rows of one epoch.

        Packed in random order, chapters after the first are not laid out for that: they are taken to be as full.
        """
        if not self.capacity:
            return len(self.pieces)
        epoch = self.epoch(0)
        first = epoch.chapter(0)
        if self.shuffle and epoch.chapters > 1:
            return round(len(first) * self.pieces.tokens / int(self.pieces.sizes(first.members).sum()))
        return sum(len(epoch.chapter(number)) for number in range(epoch.chapters))

    def steps(self, epochs: float) -> int:
        """Optimiser steps of so many passes over the data (at least one)."""
        return max(1, -int(-epochs * self.rows() // self.batch_size))

    def batches(self, epoch: int, offset: int) -> Iterator[tuple[list[list[Span]], int, int]]:
        """Endless steps from a place on: the rows of a step, and the place (epoch, offset) after it.

        Steps run over the end of an epoch into the next, so no row is ever left out.
        """
        while True:
            rows: list[list[Span]] = []
            while len(rows) < self.batch_size:
                here = self.epoch(epoch)
                number, row = divmod(offset, CHAPTER)
                chapter = here.chapter(number)
                taken = chapter[row : row + self.batch_size - len(rows)]
                rows += taken
                offset += len(taken)
                if row + len(taken) >= len(chapter):
                    epoch, offset = (epoch, (number + 1) * CHAPTER) if number + 1 < here.chapters else (epoch + 1, 0)
            yield rows, epoch, offset


@runtime_checkable
class Stream(Protocol):
    """Rows one after another, of which nobody knows how many: what no memory and no disk holds.

    `position` is JSON values, from which `restore` goes on, in another process too. `documents.StreamedRows` is one.
    """

    @property
    def position(self) -> Any:
        """How far it is."""

    def restore(self, position: Any) -> None:
        """Go on from a position."""

    def __next__(self) -> Mapping[str, Any]: ...


@dataclass
class StreamOrder:
    """The rows of a stream in its own order, filled one after another as by :func:`in_order`.

    It is the data set too, as far as a step needs it: rows by their number in the stream since this process started.

    Attributes:
        stream: Where they come from; every process reads all of it.
        batch_size: Rows of one optimiser step, over all ranks.
        max_length: Most tokens of a piece; 0 = whole rows of any kind.
        capacity: Tokens of a packed row; 0 = a row is one piece.
    """

    stream: Stream
    seed: int
    batch_size: int
    max_length: int
    capacity: int
    place: Any = None
    _rows: dict[int, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def longest(self) -> int:
        """Tokens of the longest piece that may come."""
        return self.max_length

    def __getitem__(self, number: int) -> Mapping[str, Any]:
        return self._rows[number]

    def batches(self, epoch: int, offset: int) -> Iterator[tuple[list[list[Span]], int, int]]:
        """Steps for as long as there are rows, as of :class:`Order`; the place after the last one is in `place`."""
        row: list[Span] = []
        rows: list[list[Span]] = []
        oldest = 0
        for piece, place in self._pieces():
            used = sum(span.end - span.start for span in row)
            if row and used + piece.end - piece.start > self.capacity:
                rows, row = [*rows, row], []
                if len(rows) == self.batch_size:
                    self.place = place
                    yield rows, 0, offset
                    for number in range(oldest, piece.document):
                        del self._rows[number]
                    rows, oldest = [], piece.document
            row.append(piece)

    def _pieces(self) -> Iterator[tuple[Span, Any]]:
        """Each piece, and the place from which it would come first."""
        first = 0
        if self.place is not None:
            self.stream.restore(self.place["stream"])
            first = self.place["start"]
        for number in itertools.count():
            position = self.stream.position
            if (row := next(self.stream, None)) is None:
                return
            self._rows[number] = row
            size = len(row["input_ids"]) if self.max_length else 1
            for start in range(first, size, self.max_length or 1):
                end = min(start + (self.max_length or 1), size)
                # The first token of a piece is predicted by nothing.
                if end - start > 1 or not self.max_length:
                    yield Span(number, start, end), {"stream": position, "start": start}
            first = 0


def share(rows: Sequence[list[Span]], rank: int, world: int, micro: int, *, by_length: bool) -> list[list[list[Span]]]:
    """One rank's micro-batches of a step.

    Args:
        rows: The step's rows over all ranks; their number is a multiple of `world`.
        rank: This process.
        world: Number of processes.
        micro: Rows of one forward pass; 0 = the whole share.
        by_length: Rows of similar length go together (less padding, and ranks with equal work).
    """
    ordered = list(rows)
    if by_length:
        ordered.sort(key=lambda row: -sum(span.end - span.start for span in row))
    mine = ordered[rank::world]
    size = micro or len(mine)
    return [mine[begin : begin + size] for begin in range(0, len(mine), size)]


Document = tuple[Sequence[int], Sequence[int]]  # input ids, labels


def read_documents(dataset: Any, rows: Sequence[list[Span]]) -> list[list[Document]]:
    """Input ids and labels of the spans of each row; rows without labels predict all their tokens.

    Raises:
        UserError: If a document has another number of labels than of tokens.
    """
    wanted = sorted({span.document for row in rows for span in row})
    if hasattr(dataset, "column_names"):
        columns = dataset[wanted]
        ids, labels = columns["input_ids"], columns.get("labels", columns["input_ids"])
        found = dict(zip(wanted, zip(ids, labels, strict=True), strict=True))
    else:
        found = {
            index: (row["input_ids"], row.get("labels", row["input_ids"]))
            for index in wanted
            for row in [dataset[index]]
        }
    for document, (tokens, targets) in found.items():
        if len(tokens) != len(targets):
            raise _wrong_labels(document, len(tokens), len(targets))
    return [
        [
            (found[span.document][0][span.start : span.end], found[span.document][1][span.start : span.end])
            for span in row
        ]
        for row in rows
    ]


Form = Literal["flat", "rows", "padded"]


def collate(
    rows: Sequence[Sequence[Document]], form: Form, *, length: int = 0, longest: int = 0, pad_token: int = 0
) -> Batch:
    """What one forward pass gets.

    Args:
        rows: Documents of each row.
        form: "flat": one row [1, T] of all documents, with what packed attention needs; "rows": [B, length], for
            attention implementations that find the documents by their positions; "padded": one document a row, padded
            to the longest, with an attention mask.
        length: Tokens to pad to: of the whole of "flat" (0 = none), of each row of "rows".
        longest: Upper bound of a document's length, for "flat" with a `length`.
        pad_token: Any token id; no loss is computed on padding and no document sees it.

    Returns:
        Tensors that the model's forward takes (`input_ids`, `position_ids` or `attention_mask`, and for "flat"
        `cu_seq_lens_q/k`, `max_length_q/k`, `documents`), and for the loss:

        * `labels`, as the ids' shape: -100 is ignored, as is the first token of every document;
        * `label_positions` [n]: flat indices of the tokens whose *next* token is a label;
        * `targets` [n]: those labels;
        * `real_tokens` (only where there is padding): bool, the ids' shape.
    """
    if form == "padded":
        return _padded([document for row in rows for document in row], pad_token)
    if form == "flat":
        rows = [[document for row in rows for document in row]]
    ids: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    lengths: list[int] = []
    positions: list[np.ndarray] = []
    for row in rows:
        used = sum(len(document[0]) for document in row)
        filler: list[Document] = [([pad_token] * (length - used), [IGNORED] * (length - used))] if used < length else []
        for tokens, targets in [*row, *filler]:
            ids.append(np.asarray(tokens, dtype=np.int64))
            labels.append(np.array([IGNORED, *targets[1:]], dtype=np.int64))
            positions.append(np.arange(len(tokens)))
            lengths.append(len(tokens))
    shape = (len(rows), -1)
    batch: Batch = {
        "input_ids": torch.from_numpy(np.concatenate(ids)).view(shape),
        "position_ids": torch.from_numpy(np.concatenate(positions)).view(shape),
        **_targets(torch.from_numpy(np.concatenate(labels)), shape),
    }
    used = sum(len(document[0]) for row in rows for document in row)
    if used < sum(lengths):
        real = [np.arange(max(length, sum(len(d[0]) for d in row))) < sum(len(d[0]) for d in row) for row in rows]
        batch["real_tokens"] = torch.from_numpy(np.concatenate(real)).view(shape)
    if form == "flat":
        batch |= plan_documents(lengths, longest if length else 0)
    return batch


def _padded(documents: Sequence[Document], pad_token: int) -> Batch:
    longest = max(len(ids) for ids, _ in documents)
    ids = torch.full((len(documents), longest), pad_token, dtype=torch.long)
    labels = torch.full_like(ids, IGNORED)
    mask = torch.zeros_like(ids)
    for row, (tokens, targets) in enumerate(documents):
        ids[row, : len(tokens)] = torch.from_numpy(np.asarray(tokens, dtype=np.int64))
        labels[row, 1 : len(tokens)] = torch.from_numpy(np.asarray(targets[1:], dtype=np.int64))
        mask[row, : len(tokens)] = 1
    return {"input_ids": ids, "attention_mask": mask, **_targets(labels.view(-1), tuple(ids.shape))}


def _targets(labels: Tensor, shape: tuple[int, ...]) -> Batch:
    """Labels, and where and what the model has to predict: token t predicts label t + 1."""
    # The first token of every row is ignored, so the shift over the flattened rows never crosses one.
    positions = (labels[1:] != IGNORED).nonzero().squeeze(1)
    return {"labels": labels.view(shape), "label_positions": positions, "targets": labels[1:][positions]}


def row_ids(dataset: Any, rows: Sequence[list[Span]]) -> list[Any]:
    """How the user names the documents of these rows: their `id`, else their position in the data set."""
    documents = [span.document for row in rows for span in row]
    found = [dataset[document] for document in documents]
    return [
        row["id"] if isinstance(row, Mapping) and "id" in row else document
        for document, row in zip(documents, found, strict=True)
    ]


Collate = Callable[[list[dict[str, Any]], np.random.Generator], Batch]


@dataclass(frozen=True)
class Feed:
    """Micro-batches of a data set, for one rank.

    Attributes:
        dataset: The rows.
        order: Which rows make up which step.
        config: Sizes and layout.
        collate: Turns rows into a batch; None = language-model documents.
        form: How the model takes several documents of one row.
        pad_token: Any token id.
        left_out: What of the data is not trained on.
    """

    dataset: Any
    order: Order | StreamOrder
    config: TrainingConfig
    collate: Collate | None
    form: Form
    pad_token: int
    left_out: LeftOut

    def micro_batches(
        self, rows: Sequence[list[Span]], step: int, rank: int, world: int
    ) -> Iterator[tuple[Batch, list[list[Span]]]]:
        """This rank's micro-batches of a step (as many on every rank), each with its spans."""
        by_length = self.collate is None and self.config.layout != "packed"
        parts = share(rows, rank, world, self.config.micro_batch_size, by_length=by_length)
        for number, part in enumerate(parts):
            if self.collate is None:
                yield self._lay_out(part), part
            else:
                rng = np.random.default_rng([self.order.seed, step, number, rank])
                yield self.collate([self.dataset[span.document] for row in part for span in row], rng), part

    def _lay_out(self, rows: list[list[Span]]) -> Batch:
        # Compiled blocks want one shape; otherwise a flat row needs no padding at all.
        longest = self.config.max_length
        length = longest * (len(rows) if self.form == "flat" else 1)
        length = length if self.config.layout == "packed" and (self.form == "rows" or self.config.compile) else 0
        if self.form == "rows" and not length:
            length = max(span.end - span.start for row in rows for span in row)
        documents = read_documents(self.dataset, rows)
        return collate(documents, self.form, length=length, longest=longest, pad_token=self.pad_token)


def make_feed(
    dataset: Any, config: TrainingConfig, seed: int, collate_rows: Collate | None, form: Form, pad_token: int = 0
) -> Feed:
    """The feed that a configuration describes.

    Args:
        dataset: Rows by index, or a :class:`Stream`.
        config: Batch sizes, layout, order.
        seed: Decides the order.
        collate_rows: Turns rows into a batch; None = language-model documents.
        form: What the model takes for packed and flattened rows.
        pad_token: Any token id.

    Raises:
        UserError: If no tokens remain, or no label.
    """
    capacity = config.max_length if config.layout == "packed" and collate_rows is None else 0
    if isinstance(dataset, Stream):
        _check_stream(config, collate_rows)
        most = config.max_length if collate_rows is None else 0
        streamed = StreamOrder(dataset, seed, config.batch_size, most, capacity)
        return Feed(streamed, streamed, config, collate_rows, form, pad_token, LeftOut())
    if collate_rows is not None:
        whole = Pieces(np.broadcast_to(np.uint8(1), len(dataset)), 1)  # a piece a row, whatever is in it
        order = Order(whole, seed, config.batch_size, shuffle=config.shuffle)
        return Feed(dataset, order, config, collate_rows, form, pad_token, LeftOut())
    lengths = document_lengths(dataset)
    pieces = cut(lengths, config.max_length, config.long_documents)
    if not len(pieces):
        raise UserError(f"No document has between 1 and training.max_length = {config.max_length} tokens.")
    kept = labelled(dataset, pieces)
    long_documents = sum(int((lengths[part] > config.max_length).sum()) for part in _chunks(len(lengths)))
    left_out = LeftOut(
        long_documents=long_documents if config.long_documents != "split" else 0,
        tokens=int(lengths.sum(dtype=np.int64)) - pieces.tokens,
        without_labels=len(pieces) - len(kept),
    )
    if not len(kept):
        raise UserError(
            f"There is nothing to learn from: none of the {len(pieces)} documents has a label after its first token "
            f"and within training.max_length = {config.max_length}; raise max_length, or label some tokens."
        )
    order = Order(kept, seed, config.batch_size, capacity, config.shuffle)
    return Feed(dataset, order, config, None, form, pad_token, left_out)


def _check_stream(config: TrainingConfig, collate_rows: Collate | None) -> None:
    if not config.steps:
        raise UserError("Nobody knows the end of a stream: set training.steps.")
    if config.shuffle:
        raise UserError("The rows of a stream come in its own order: set training.shuffle to false.")
    if collate_rows is None and config.long_documents != "split":
        raise UserError("Long documents of a stream are not left out unseen: set training.long_documents to split.")
