"""Lexicons of two and of many languages, and vocabularies, as files.

    for lexicon in lexicons("bli_datasets"): ...        # XLING, PanLex-BLI: <collection>/<source>-<target>/<file>
    read_dictionary("en-si.5000-6500.txt")              # MUSE
    by_word(read_dictionary("en-sw.tsv"))["three"]      # ["tatu", "matatu"]
    read_vocabulary("en_vocab.txt", 100_000)            # a word a line, the most frequent first
    read_synsets("mine.csv")                            # synset, word, language[, gloss]; or a column per language
    read_ratings("multisimlex")["cmn-eng"]              # how similar people find two words

Of the first two, a word with several translations has several rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from core.corpora.files import adapted, read_rows
from core.errors import UserError
from core.files import is_folder, read_lines
from core.text.languages import language


class Lexicon(NamedTuple):
    """Words and their translations; collection and languages are the names of the folders that it lies in."""

    collection: str
    source: str
    target: str
    rows: list[tuple[str, str]]


class Member(NamedTuple):
    """A word of a synset, with a gloss where there is one."""

    synset: str
    word: str
    language: str
    gloss: str = ""


def read_synsets(source: str | Path, rows: Iterable[Any] | None = None) -> list[Member]:
    """Words of many languages by what they mean, each once.

    Args:
        source: A file or hub data set, whose rows have `synset`, `word`, `language` and perhaps `gloss`; or whose
            columns are language codes (and perhaps `key`), a synset a row; cells may be empty.
        rows: What stands there, if it has been read.

    Raises:
        UserError: It cannot be read, has other columns, or an empty word.
    """
    rows = list(read_rows(source) if rows is None else rows)
    if {"synset", "word", "language"} <= set(rows[0]):
        return list(dict.fromkeys(adapted(source, rows, _member)))
    for code in set(rows[0]) - {"key"}:
        language(code)  # refuses what is none
    synsets = enumerate(rows, start=1)
    found = [(str(row.get("key") or number), row) for number, row in synsets]
    texts = [(key, code, str(word or "").strip()) for key, row in found for code, word in row.items() if code != "key"]
    return [Member(key, word, code) for key, code, word in texts if word]


def _member(row: Any, number: int) -> Member:
    word, code = (str(row[name]).strip() for name in ("word", "language"))
    if not word or not code:
        raise UserError("word or language is empty: fill it in, or leave the row out.")
    return Member(str(row["synset"]), word, code, str(row.get("gloss") or "").strip())


def read_dictionary(path: str | Path) -> list[tuple[str, str]]:
    """Pairs of a file in its order, each once: a word, a tab or other white space, and a translation a line.

    Raises:
        UserError: No such file, a line without two words, no line.
    """
    pairs: dict[tuple[str, str], None] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()
        if len(cells) != 2 or not all(cells):
            raise UserError(f"{path}, line {number}: give a source word and a target word, with a tab between them.")
        pairs[cells[0], cells[1]] = None
    if not pairs:
        raise UserError(f"{path} holds no pair of words: give a source word, a tab and a target word a line.")
    return list(pairs)


def by_word(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Each word with all its translations."""
    found: dict[str, list[str]] = {}
    for source, target in pairs:
        found.setdefault(source, []).append(target)
    return found


def lexicons(folder: str | Path, pattern: str = "*test*") -> list[Lexicon]:
    """The lexicons below a folder, in files `<source>-<target>/<pattern>` at any depth.

    Raises:
        UserError: There is none, or one cannot be read.
    """
    files = sorted(Path(folder).rglob(pattern)) if is_folder(folder) else []
    sides = [(path, *path.parent.name.partition("-")[::2]) for path in files if path.is_file()]
    found = [
        Lexicon(path.parent.parent.name, source, target, read_dictionary(path))
        for path, source, target in sides
        if target
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


def read_ratings(folder: str | Path) -> dict[str, list[tuple[str, str, float]]]:
    """Pairs of words with their mean rating, `{"cmn-eng": ...}`, from files `<L1>-<L2>.csv` as Multi-SimLex's.

    Their columns are `<L1>`, `<L2>` and `score`; pairs without one are left out.

    Raises:
        UserError: There is no file, or one of another form.
    """
    files = sorted(Path(folder).glob("*-*.csv")) if is_folder(folder) else []
    if not files:
        raise UserError(f"{folder} holds no <L1>-<L2>.csv: name the folder that those lie in.")
    found = {}
    for path in files:
        left, _, right = path.stem.partition("-")
        rows = [row for row in read_rows(path) if row.get("score") != ""]
        adapt = lambda row, _, left=left, right=right: (row[left], row[right], float(row["score"]))  # noqa: E731
        found[path.stem.lower()] = list(adapted(path, rows, adapt))
    return found
