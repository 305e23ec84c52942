"""From documents to batches without waste: which rows a step holds, and what a forward pass gets.

A padded batch of instruction data is mostly padding. Two layouts avoid it:

* packed: documents are laid into rows of `max_length` by best-fit decreasing (Ding et al. 2024, "Fewer truncations
  improve language modeling", algorithm 1), so that a row is full up to a few tokens;
* flattened: the documents of a batch one after another, in one row.

In both, positions start at 0 in every document and documents do not see each other
(:mod:`core.training.packed_attention`), so a packed batch has the loss and the gradient of the padded one.

The order is a function of seed and epoch alone. A step takes `batch_size` rows of that order, whatever the number of
processes; each rank then takes its share.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from core.errors import UserError
from core.training.config import TrainingConfig
from core.training.packed_attention import plan_documents

IGNORED = -100
# Best-fit decreasing sorts by length; within windows of this many documents the order stays random.
WINDOW = 16_384

Batch = dict[str, Any]


class Span(NamedTuple):
    """Tokens `start` to `end` of one document of the data set."""

    document: int
    start: int
    end: int


def document_lengths(dataset: Any) -> np.ndarray:
    """Number of tokens of every row, without turning the rows into Python lists where that can be avoided.

    Raises:
        UserError: If rows have no `input_ids`.
    """
    names = getattr(dataset, "column_names", None)
    missing = "input_ids" not in names if names is not None else len(dataset) and "input_ids" not in dataset[0]
    if missing:
        raise UserError("The training rows have no 'input_ids': tokenise them, or give fit a collate function.")
    if hasattr(dataset, "with_format"):
        import pyarrow.compute as pc

        tables = dataset.select_columns("input_ids").with_format("arrow").iter(10_000)
        return np.concatenate([pc.list_value_length(table["input_ids"]).to_numpy() for table in tables])
    return np.array([len(row["input_ids"]) for row in dataset], dtype=np.int64)


def cut(
    lengths: np.ndarray, max_length: int, long_documents: Literal["truncate", "split", "drop"]
) -> Int[np.ndarray, "pieces 3"]:
    """The pieces of at most `max_length` tokens that the documents are trained in, in the order of a :class:`Span`.

    Empty documents have none.
    """
    lengths = np.asarray(lengths)
    pieces = (lengths > 0).astype(np.int64)
    if long_documents == "split":
        pieces = -(-lengths // max_length)
    elif long_documents == "drop":
        pieces[lengths > max_length] = 0
    document = np.repeat(np.arange(len(lengths)), pieces)
    start = max_length * (np.arange(len(document)) - np.repeat(np.cumsum(pieces) - pieces, pieces))
    return np.stack([document, start, np.minimum(start + max_length, lengths[document])], axis=1)


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


def labelled(dataset: Any, spans: Int[np.ndarray, "pieces 3"]) -> Int[np.ndarray, "labelled 3"]:
    """The pieces, in document order, with something to learn: a label beyond their first token (nothing predicts that).

    Raises:
        UserError: If a document has another number of labels than of tokens.
    """
    document, start, end = spans.T
    if not hasattr(dataset, "with_format"):
        return spans[[_has_label(dataset[span.document], span) for span in map(Span._make, spans.tolist())]]
    if "labels" not in dataset.column_names:
        return spans[end - start > 1]
    import pyarrow.compute as pc

    kept = np.zeros(len(spans), dtype=bool)
    row = 0
    for table in dataset.select_columns(["input_ids", "labels"]).with_format("arrow").iter(10_000):
        tokens, labels = (pc.list_value_length(table[name]).to_numpy() for name in ("input_ids", "labels"))
        for number in (tokens != labels).nonzero()[0][:1]:
            raise _wrong_labels(row + int(number), int(tokens[number]), int(labels[number]))
        begins = np.cumsum(labels) - labels
        learned = np.concatenate([[0], np.cumsum(pc.list_flatten(table["labels"]).to_numpy() != IGNORED)])
        here = slice(*np.searchsorted(document, [row, row + len(labels)]))
        begin = begins[document[here] - row]
        kept[here] = learned[begin + end[here]] > learned[begin + start[here] + 1]
        row += len(labels)
    return spans[kept]


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
    bins: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (free tokens, bin), sorted
    for item in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        length = lengths[item]
        place = bisect.bisect_left(room, (length, -1))
        if place == len(room):
            bins.append([item])
            free, target = capacity - length, len(bins) - 1
        else:
            free, target = room.pop(place)
            bins[target].append(item)
            free -= length
        if free:
            bisect.insort(room, (free, target))
    return bins


def in_order(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Bins filled one after another, which keeps the order of the documents."""
    bins: list[list[int]] = []
    free = 0
    for item, length in enumerate(lengths):
        if length > free:
            bins.append([])
            free = capacity
        bins[-1].append(item)
        free -= length
    return bins


@dataclass(frozen=True)
class Rows(Sequence[list[Span]]):
    """The rows of an epoch as arrays; at 100 million documents an object a span would take 20 GB.

    Attributes:
        spans: The pieces, one a row of the array.
        members: The pieces of all rows one after another.
        begins: Where each row's pieces begin among them.
        sizes: How many pieces each row has.
    """

    spans: Int[np.ndarray, "pieces 3"]
    members: Int[np.ndarray, " pieces"]
    begins: Int[np.ndarray, " rows"]
    sizes: Int[np.ndarray, " rows"]

    def __len__(self) -> int:
        return len(self.begins)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return [self[row] for row in range(*key.indices(len(self)))]
        begin = self.begins[key]
        return list(map(Span._make, self.spans[self.members[begin : begin + self.sizes[key]]].tolist()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and list(self) == list(other)


@dataclass(frozen=True)
class Order:
    """Which rows make up which step; a row is a list of spans.

    Attributes:
        spans: The pieces that one epoch goes through: spans, or an array of them.
        seed: Decides the order together with the epoch.
        batch_size: Rows of one optimiser step, over all ranks.
        capacity: Tokens of a packed row; 0 = a row is one span.
        shuffle: A new order every epoch.
    """

    spans: Sequence[Span] | np.ndarray
    seed: int
    batch_size: int
    capacity: int = 0
    shuffle: bool = True
    _epochs: dict[int, Rows] = field(default_factory=dict, compare=False, repr=False)

    def epoch(self, number: int) -> Rows:
        """All rows of one epoch, in order."""
        if number not in self._epochs:
            # The present epoch and the next are all that a step can touch.
            for old in [n for n in self._epochs if n < number - 1]:
                del self._epochs[old]
            self._epochs[number] = self._lay_out(number)
        return self._epochs[number]

    def steps(self, epochs: float) -> int:
        """Optimiser steps of so many passes over the data (at least one)."""
        return max(1, -int(-epochs * len(self.epoch(0)) // self.batch_size))

    def batches(self, epoch: int, offset: int) -> Iterator[tuple[list[list[Span]], int, int]]:
        """Endless steps from a position on: the rows of a step, and the position (epoch, offset) after it.

        Steps run over the end of an epoch into the next, so no row is ever left out.
        """
        while True:
            rows: list[list[Span]] = []
            while len(rows) < self.batch_size:
                here = self.epoch(epoch)
                taken = here[offset : offset + self.batch_size - len(rows)]
                rows += taken
                offset += len(taken)
                if offset >= len(here):
                    epoch, offset = epoch + 1, 0
            yield rows, epoch, offset

    def _lay_out(self, number: int) -> Rows:
        generator = np.random.default_rng([self.seed, number])
        spans = np.asarray(self.spans, dtype=np.int64).reshape(-1, 3)
        sequence = generator.permutation(len(spans)) if self.shuffle else np.arange(len(spans))
        if not self.capacity:
            return Rows(spans, sequence, np.arange(len(spans)), np.ones(len(spans), dtype=np.int64))
        lengths = (spans[:, 2] - spans[:, 1])[sequence]
        fill, window = (best_fit_decreasing, WINDOW) if self.shuffle else (in_order, len(spans))
        members, sizes = [], []
        for begin in range(0, len(spans), window):
            bins = fill(lengths[begin : begin + window].tolist(), self.capacity)
            members.append(begin + np.concatenate(bins))
            sizes.append([len(row) for row in bins])
        size = np.concatenate(sizes)
        order = generator.permutation(len(size)) if self.shuffle else np.arange(len(size))
        return Rows(spans, sequence[np.concatenate(members)], (np.cumsum(size) - size)[order], size[order])


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
    """Input ids and labels of the spans of each row; rows without labels predict all their tokens."""
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
    ids: list[int] = []
    labels: list[int] = []
    lengths: list[int] = []
    positions: list[np.ndarray] = []
    for row in rows:
        used = sum(len(document[0]) for document in row)
        filler: list[Document] = [([pad_token] * (length - used), [IGNORED] * (length - used))] if used < length else []
        for tokens, targets in [*row, *filler]:
            ids.extend(tokens)
            labels.append(IGNORED)
            labels.extend(targets[1:])
            positions.append(np.arange(len(tokens)))
            lengths.append(len(tokens))
    shape = (len(rows), -1)
    batch: Batch = {
        "input_ids": torch.tensor(ids, dtype=torch.long).view(shape),
        "position_ids": torch.from_numpy(np.concatenate(positions)).view(shape),
        **_targets(torch.tensor(labels, dtype=torch.long), shape),
    }
    used = sum(len(document[0]) for row in rows for document in row)
    if used < len(ids):
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
        ids[row, : len(tokens)] = torch.as_tensor(tokens)
        labels[row, 1 : len(tokens)] = torch.as_tensor(targets[1:])
        mask[row, : len(tokens)] = 1
    return {"input_ids": ids, "attention_mask": mask, **_targets(labels.view(-1), tuple(ids.shape))}


def _targets(labels: Tensor, shape: tuple[int, ...]) -> Batch:
    """Labels, and where and what the model has to predict: token t predicts label t + 1."""
    # The first token of every row is ignored, so the shift over the flattened rows never crosses one.
    positions = (labels[1:] != IGNORED).nonzero().squeeze(1)
    return {"labels": labels.view(shape), "label_positions": positions, "targets": labels[1:][positions]}


def row_ids(dataset: Any, rows: Sequence[list[Span]]) -> list[Any]:
    """How the user names the documents of these rows: their `id`, else their position in the data set."""
    names = getattr(dataset, "column_names", None)
    documents = [span.document for row in rows for span in row]
    has_id = (
        "id" in names
        if names is not None
        else bool(len(dataset)) and isinstance(dataset[0], Mapping) and "id" in dataset[0]
    )
    return [dataset[document]["id"] if has_id else document for document in documents]


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
    order: Order
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
        dataset: Rows by index.
        config: Batch sizes, layout, order.
        seed: Decides the order.
        collate_rows: Turns rows into a batch; None = language-model documents.
        form: What the model takes for packed and flattened rows.
        pad_token: Any token id.

    Raises:
        UserError: If no tokens remain, or no label.
    """
    if collate_rows is not None:
        order = Order(
            cut(np.ones(len(dataset), dtype=np.int64), 1, "truncate"), seed, config.batch_size, shuffle=config.shuffle
        )
        return Feed(dataset, order, config, collate_rows, form, pad_token, LeftOut())
    lengths = document_lengths(dataset)
    pieces = cut(lengths, config.max_length, config.long_documents)
    if not len(pieces):
        raise UserError(f"No document has between 1 and training.max_length = {config.max_length} tokens.")
    spans = labelled(dataset, pieces)
    left_out = LeftOut(
        long_documents=int((lengths > config.max_length).sum()) if config.long_documents != "split" else 0,
        tokens=int(lengths.sum() - (pieces[:, 2] - pieces[:, 1]).sum()),
        without_labels=len(pieces) - len(spans),
    )
    if not len(spans):
        raise UserError(
            f"There is nothing to learn from: none of the {len(pieces)} documents has a label after its first token "
            f"and within training.max_length = {config.max_length}; raise max_length, or label some tokens."
        )
    capacity = config.max_length if config.layout == "packed" else 0
    order = Order(spans, seed, config.batch_size, capacity, config.shuffle)
    return Feed(dataset, order, config, None, form, pad_token, left_out)
