"""Bilingual lexicons and vocabularies as they are given out for bilingual lexicon induction.

    for lexicon in lexicons("bli_datasets"): ...        # XLING, PanLex-BLI: <collection>/<source>-<target>/<file>
    read_pairs("en-si.5000-6500.txt")                   # MUSE
    read_vocabulary("en_vocab.txt", 100_000)            # a word a line, the most frequent first

A word with several translations has several rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from core.errors import UserError
from core.files import is_folder, read_lines


class Lexicon(NamedTuple):
    """Words and their translations; collection and languages are the names of the folders that it lies in."""

    collection: str
    source: str
    target: str
    rows: list[tuple[str, str]]


def read_pairs(path: str | Path) -> list[tuple[str, str]]:
    """Two words a line, with a tab between them or, where no line has one, a space.

    Raises:
        UserError: No such file, no line, or one of another form.
    """
    lines = [(number, line.strip()) for number, line in enumerate(read_lines(path), start=1) if line.strip()]
    separator = "\t" if any("\t" in line for _, line in lines) else " "
    found = []
    for number, line in lines:
        words = [word.strip() for word in line.split(separator) if word.strip()]
        if len(words) != 2:
            raise UserError(f"{path}, line {number}: {len(words)} words, not two with a tab or space between them.")
        found.append((words[0], words[1]))
    if not found:
        raise UserError(f"{path} is empty: write a word and its translation a line.")
    return found


def lexicons(folder: str | Path, pattern: str = "*test*") -> list[Lexicon]:
    """The lexicons below a folder, in files `<source>-<target>/<pattern>` at any depth.

    Raises:
        UserError: There is none, or one cannot be read.
    """
    files = sorted(Path(folder).rglob(pattern)) if is_folder(folder) else []
    sides = [(path, *path.parent.name.partition("-")[::2]) for path in files if path.is_file()]
    found = [
        Lexicon(path.parent.parent.name, source, target, read_pairs(path)) for path, source, target in sides if target
    ]
    if not found:
        raise UserError(f"{folder} holds no lexicon <source>-<target>/{pattern}: name the folder that those lie in.")
    return found


def read_vocabulary(path: str | Path, size: int | None = None) -> list[str]:
    """The first words of a list, without repetitions.

    Raises:
        UserError: No such file, or no word in it.
    """
    words = list(dict.fromkeys(line.strip() for line in read_lines(path) if line.strip()))
    if not words:
        raise UserError(f"{path} is empty: write a word a line.")
    return words[:size]
