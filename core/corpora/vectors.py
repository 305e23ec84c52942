"""Word vectors in files of any size, in the text format of word2vec and fastText (`.vec`).

    200000 300                          optional first line: words and numbers a word
    the 0.0129 0.0026 0.0098 ...        a word and its numbers, the most frequent words first

    words, vectors = read_vectors("cc.si.300.vec", most=200_000)
    write_vectors("aligned.vec", words, vectors)

A file is read line by line, packed (`.vec.gz`) or not, and what it holds lies on disk and is mapped into memory, so
that a file may be larger than that.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from core.errors import UserError
from core.files import bounded_lines, cache_dir, opened, replacing, writable

ROWS = 4096
"""Vectors that are written at once."""


class WordVectors(NamedTuple):
    """Words, each once, and their vectors, mapped from disk: writing into them changes no file."""

    words: list[str]
    vectors: Float[np.ndarray, "word width"]


def read_vectors(path: str | Path, most: int | None = None) -> WordVectors:
    """Vectors of the first words of a file, as they are: neither scaled nor centred, and nothing put in lower case.

    Of a word that stands there several times the first vector is kept. Bytes of a word that are no UTF-8, of which the
    published files have some, become U+FFFD.

    Args:
        path: `.vec`, `.vec.gz` or any other text of that form.
        most: Words to read; None = all.

    Raises:
        UserError: no such file, a line without the right number of finite numbers, no words.
    """
    path = Path(path)
    words: dict[str, None] = {}
    width = 0
    with writable(cache_dir()):
        cache_dir().mkdir(parents=True, exist_ok=True)
        # It has no name and goes with the last array that is mapped from it.
        store = tempfile.TemporaryFile(dir=cache_dir())  # noqa: SIM115
        for number, raw in _lines(path):
            if len(words) == most:
                break
            line = raw.strip(b" \t\r\n")
            cells = line.split(b" ")
            if number == 1 and len(cells) == 2 and all(cell.isdigit() and len(cell) < 10 for cell in cells):
                width = int(cells[1])
                continue
            if not line:
                continue
            width = width or len(cells) - 1
            word, *_ = line.rsplit(b" ", width)
            name = word.decode(errors="replace")
            if name in words:
                continue
            row = _numbers(line[len(word) :], width)
            if row is None or not word:
                raise UserError(
                    f"{path}, line {number}: a word and {max(width, 1)} finite numbers are needed, as in a .vec file."
                )
            store.write(row.tobytes())
            words[name] = None
    if not words:
        raise UserError(f"{path} holds no vectors: give a file with a word and its numbers a line.")
    store.flush()
    return WordVectors(list(words), np.memmap(store, np.float32, "c", shape=(len(words), width)))


def write_vectors(path: Path, words: Sequence[str], vectors: Any, digits: int = 4) -> None:
    """Write a `.vec` file, whole or not at all.

    Args:
        path: The file.
        words: In the order of their rows.
        vectors: [word, width], an array or a tensor.
        digits: After the point; 4 as fastText's alignment writes.

    Raises:
        UserError: As :func:`check_words`.
    """
    check_words(words, path)
    form = f"%.{digits}f"
    with writable(path), replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as lines:
        lines.write(f"{len(words)} {vectors.shape[1]}\n")
        for start in range(0, len(words), ROWS):
            block = np.asarray(vectors[start : start + ROWS])
            for word, row in zip(words[start : start + ROWS], block.tolist(), strict=True):
                lines.write(f"{word} {' '.join(form % number for number in row)}\n")


def check_words(words: Sequence[str], path: str | Path) -> None:
    """Refuse a word with a space or a line feed in it, which could not be read again.

    Args:
        words: To be written.
        path: Named in the message.

    Raises:
        UserError: There is such a word.
    """
    if wrong := next((word for word in words if not word or len(word.encode().split()) != 1), None):
        raise UserError(f"The word {wrong!r} cannot stand in {path}: words of a .vec file have no white space.")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with opened(path) as file:
        yield from bounded_lines(file, str(path))


def _numbers(text: bytes, width: int) -> np.ndarray | None:
    """So many finite numbers, or None."""
    try:
        row = np.array(text.split(), dtype=np.float32)
    except ValueError:
        return None
    return row if row.size == width > 0 and np.isfinite(row).all() else None
