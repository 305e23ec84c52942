"""Rows by index, for training that goes over them in any order: shards on disk, mixtures, and what breaks the pairs.

rows = blend([JsonLines(paths), JsonLines(others)], ratios=[0.7, 0.3], seed=0)
null = exchanged(rows, "captions", seed=0)      # every row has the captions of another one
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError
from core.files import bounded_lines, decode_line, opened, parse_json

Row = dict[str, Any]


class JsonLines(Sequence[Row]):
    """Rows of JSONL files that are read from disk when they are asked for: millions of captions fit no memory.

    Args:
        paths: The files, in this order; blank lines are passed over.
        check: Takes an object and returns the row; what it refuses is told with file and line.
    """

    def __init__(self, paths: Sequence[Path], check: Callable[[Any], Row] = lambda row: row) -> None:
        self.paths, self.check = list(paths), check
        places = [_line_starts(path) for path in self.paths]
        counts = np.array([len(found) for found in places], dtype=int)
        self.file = np.repeat(np.arange(len(places), dtype=np.int32), counts)
        self.line, self.start = np.concatenate([np.zeros((0, 2), np.int64), *places]).T

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, index: Any) -> Any:
        path, number = self.paths[self.file[index]], int(self.line[index])
        with opened(path) as file:
            file.seek(int(self.start[index]))
            line = decode_line(file.readline(), str(path), number)
        try:
            return self.check(parse_json(line, str(path), number, "write one object a line"))
        except UserError as error:
            raise error if str(path) in str(error) else UserError(f"{path}, line {number}: {error}") from None


def _line_starts(path: Path) -> np.ndarray:
    """Number and first byte of every line that is not blank, [lines, 2]."""
    places, place = [], 0
    with opened(path) as file:
        for number, line in bounded_lines(file, str(path)):
            if line.strip():
                places.append((number, place))
            place += len(line)
    return np.array(places, dtype=np.int64).reshape(-1, 2)


class _Picked(Sequence[Row]):
    """Row `index` is row `row[index]` of source `source[index]`."""

    def __init__(self, sources: Sequence[Sequence[Row]], source: np.ndarray, row: np.ndarray) -> None:
        self.sources, self.source, self.row = sources, source, row

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, index: Any) -> Any:
        return self.sources[self.source[index]][int(self.row[index])]


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
    orders = [
        np.concatenate([rng.permutation(size) for _ in range(-(-count // size))] or [np.zeros(0, int)])[:count]
        for size, count in zip(sizes.tolist(), counts.tolist(), strict=True)
    ]
    return _Picked(sources, np.repeat(np.arange(len(sources), dtype=np.int32), counts), np.concatenate(orders))


class _Exchanged(Sequence[Row]):
    def __init__(self, rows: Sequence[Row], field: str, other: np.ndarray) -> None:
        self.rows, self.field, self.other = rows, field, other

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return {**self.rows[index], self.field: self.rows[int(self.other[index])][self.field]}


def exchanged(rows: Sequence[Row], field: str, seed: int = 0) -> Sequence[Row]:
    """The same rows, each with a field of another one: pairs broken on purpose. No row keeps its own."""
    order = np.random.default_rng(seed).permutation(len(rows))
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)  # one round through all
    return _Exchanged(rows, field, other)
