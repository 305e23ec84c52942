"""Rows by index, for training that goes over them in any order: shards on disk, mixtures, and what breaks the pairs.

rows = blend([JsonLines(paths), JsonLines(others)], ratios=[0.7, 0.3], seed=0)
null = exchanged(rows, "captions", seed=0)      # every row has the captions of another one
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError
from core.files import bounded_lines, decode_line, opened, parse_json

Row = dict[str, Any]


class JsonLines(Sequence[Row]):
    """Rows of JSONL files that are read from disk when they are asked for: millions of captions fit no memory.

    Eight bytes a row are kept.

    Args:
        paths: The files, in this order; blank lines are passed over.
        check: Takes an object and returns the row; what it refuses is told with file and line.
    """

    def __init__(self, paths: Sequence[Path], check: Callable[[Any], Row] = lambda row: row) -> None:
        self.paths, self.check = list(paths), check
        places = [_line_starts(path) for path in self.paths]
        self.starts = [starts for starts, _ in places]
        self.blank = [blank for _, blank in places]
        self.ends = np.cumsum([len(starts) for starts in self.starts], dtype=np.int64)

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getitem__(self, index: Any) -> Any:
        index = range(len(self))[index]
        file = int(np.searchsorted(self.ends, index, "right"))
        path, row = self.paths[file], index - int(self.ends[file]) + len(self.starts[file])
        number = row + 1 + int(np.searchsorted(self.blank[file], row, "right"))
        with opened(path) as stream:
            stream.seek(self.starts[file][row])
            line = decode_line(stream.readline(), str(path), number)
        try:
            return self.check(parse_json(line, str(path), number, "write one object a line"))
        except UserError as error:
            raise error if str(path) in str(error) else UserError(f"{path}, line {number}: {error}") from None


def _line_starts(path: Path) -> tuple[array[int], array[int]]:
    """First byte of every line that is not blank; and of every blank line, how many of the others are before it."""
    starts, blank, place = array("q"), array("q"), 0
    with opened(path) as file:
        for _, line in bounded_lines(file, str(path)):
            if line.strip():
                starts.append(place)
            else:
                blank.append(len(starts))
            place += len(line)
    return starts, blank


class TokenRows(Sequence[Row]):
    """`{"input_ids": ...}` of many documents in three arrays, in memory or in files that are mapped into it.

    Args:
        tokens: Of all documents one after another.
        lengths: How many each has.
        ends: How many there are up to its end.
    """

    def __init__(self, tokens: np.ndarray, lengths: np.ndarray, ends: np.ndarray) -> None:
        self.tokens, self.lengths, self.ends = tokens, lengths, ends

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: Any) -> Any:
        end = int(self.ends[index])
        return {"input_ids": self.tokens[end - int(self.lengths[index]) : end]}

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> TokenRows:
        """Rows of token ids, in memory."""
        found = [np.asarray(ids, np.int32) for ids in rows]
        lengths = np.array([len(ids) for ids in found], np.int32)
        return cls(np.concatenate([np.zeros(0, np.int32), *found]), lengths, np.cumsum(lengths, dtype=np.int64))

    @classmethod
    def write(cls, folder: Path, rows: Iterable[Sequence[int]]) -> None:
        """Rows of token ids into the files of an empty folder: four bytes a token and twelve a row."""
        end, names = 0, ("tokens", "lengths", "ends")
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context((folder / f"{name}.bin").open("wb")) for name in names]
            for ids in rows:
                end += len(ids)
                kinds = zip((ids, len(ids), end), (np.int32, np.int32, np.int64), strict=True)
                for file, (value, kind) in zip(files, kinds, strict=True):
                    file.write(np.asarray(value, kind).tobytes())

    @classmethod
    def read(cls, folder: Path) -> TokenRows:
        """What was written into a folder, mapped into memory."""
        kinds = {"tokens": np.int32, "lengths": np.int32, "ends": np.int64}
        return cls(*(_mapped(folder / f"{name}.bin", kind) for name, kind in kinds.items()))


def _mapped(path: Path, kind: Any) -> np.ndarray:
    # An empty file cannot be mapped.
    return np.memmap(path, kind, mode="r") if path.stat().st_size else np.zeros(0, kind)


def index_type(size: int) -> Any:
    """The type that numbers below `size` are kept in, by the hundred million."""
    return np.int32 if size <= np.iinfo(np.int32).max else np.int64


def shuffled(size: int, rng: np.random.Generator) -> np.ndarray:
    """What `rng.permutation(size)` draws, in half the memory."""
    order = np.arange(size, dtype=index_type(size))
    rng.shuffle(order)
    return order


class Picked(Sequence[Any]):
    """Rows of another sequence: the one with number `order[i]` is row `i`."""

    def __init__(self, rows: Sequence[Any], order: np.ndarray) -> None:
        self.rows, self.order = rows, order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Picked(self.rows, self.order[index])
        return self.rows[int(self.order[index])]


class Joined(Sequence[Any]):
    """Sequences one after another."""

    def __init__(self, parts: Sequence[Sequence[Any]]) -> None:
        self.parts, self.ends = parts, np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: Any) -> Any:
        index = range(len(self))[index]
        part = int(np.searchsorted(self.ends, index, "right"))
        return self.parts[part][index - int(self.ends[part]) + len(self.parts[part])]


def blend(sources: Sequence[Sequence[Row]], ratios: Sequence[float] = (), seed: int = 0) -> Sequence[Row]:
    """Sources in the given ratios: as many rows as all have together, small sources repeated, large ones sampled.

    Args:
        sources: At least one.
        ratios: A weight for each; by default as many rows as it has.
        seed: Of the samples.
    """
    if len(sources) == 1:
        return sources[0]
    sizes = np.array([len(rows) for rows in sources])
    wanted = np.array(ratios or sizes, dtype=float)
    counts = (sizes.sum() * wanted / wanted.sum()).round().astype(int)
    rng = np.random.default_rng(seed)
    return Joined(
        [Picked(rows, _repeated(len(rows), int(count), rng)) for rows, count in zip(sources, counts, strict=True)]
    )


def _repeated(size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """So many numbers below `size`: each as often as all others, but for the last round."""
    order = np.empty(count, index_type(size))
    for begin in range(0, count, size):
        order[begin : begin + size] = shuffled(size, rng)[: count - begin]
    return order


class _Exchanged(Sequence[Row]):
    def __init__(self, rows: Sequence[Row], field: str, other: np.ndarray) -> None:
        self.rows, self.field, self.other = rows, field, other

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return {**self.rows[index], self.field: self.rows[int(self.other[index])][self.field]}


def exchanged(rows: Sequence[Row], field: str, seed: int = 0) -> Sequence[Row]:
    """The same rows, each with a field of another one: pairs broken on purpose. No row keeps its own."""
    order = shuffled(len(rows), np.random.default_rng(seed))
    other = np.empty_like(order)
    other[order[1:]], other[order[:1]] = order[:-1], order[-1:]  # one round through all
    return _Exchanged(rows, field, other)
