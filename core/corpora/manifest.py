"""Bodies of text by manifest: which files and hub datasets there are, of which language, in which category.

One JSON object a line:

    {"path": "sw.jsonl", "category": "low", "language": "sw"}
    {"path": "en-sw.tsv", "category": "parallel", "languages": ["en", "sw"]}
    {"path": "HuggingFaceFW/fineweb-edu#sample-10BT", "category": "english", "language": "en", "tokens": 1e10}

Text is `.jsonl` with a column `text`, `.txt` with a document a line, or a hub dataset `owner/name#config@split`.
Parallel text is a `.tsv`, `.jsonl` or folder with a column or file per language, or a hub dataset with a column
`translation`.

    entries = read("sources.jsonl")
    for text in texts(entries[0].path): ...
    for source, target in pairs(entries[1].path, "en", "sw"): ...
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.corpora.files import TABLES, adapted, json_objects, read_parallel, read_rows
from core.errors import UserError
from core.files import is_folder, is_there, read_lines
from core.text.languages import flores_code

_ROWS = (".jsonl", ".ndjson", ".json", ".csv", ".parquet")


@dataclass(frozen=True)
class Entry:
    """A line of a manifest.

    Attributes:
        name: Unique; by default that of the file.
        path: File, folder or hub dataset.
        category: What it is counted under.
        language: Code; of parallel text the two codes with a hyphen.
        languages: The two codes of parallel text; empty = text of one language.
        tokens: Size, where it is known.
    """

    name: str
    path: str
    category: str
    language: str
    languages: tuple[str, ...] = ()
    tokens: float | None = None


def read(path: str | Path) -> list[Entry]:
    """The entries of a manifest, with names, and with the paths of local files relative to the manifest.

    Raises:
        UserError: A line without path, category or language.
    """
    path = Path(path)
    entries = [_entry(given, path.parent, f"{path}, line {number}") for number, given in json_objects(path)]
    if not entries:
        raise UserError(f"{path} names no source: write one JSON object a line.")
    names = Counter(entry.name for entry in entries)
    return [replace(e, name=f"{e.language}/{e.name}") if names[e.name] > 1 else e for e in entries]


def _entry(given: Mapping[str, Any], folder: Path, where: str) -> Entry:
    try:
        place, category = str(given["path"]), str(given["category"])
        languages = tuple(map(str, given.get("languages") or ()))
        language = "-".join(languages) or str(given["language"])
        tokens = None if given.get("tokens") is None else float(given["tokens"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f'{where}: write an object with "path", "category" and "language" (or "languages": two codes, for parallel '
            'text), and if you like "name" and the number "tokens".'
        ) from None
    if tokens is not None and not 0 < tokens < math.inf:
        raise UserError(f'{where}: "tokens" must be a positive number.')
    if len(languages) not in (0, 2):
        raise UserError(f"{where}: parallel text has two languages, not {len(languages)}.")
    path = folder / place
    name = str(given.get("name") or Path(place).name)
    return Entry(name, str(path) if is_there(path) else place, category, language, languages, tokens)


def texts(where: str) -> Iterator[str]:
    """The documents of a text, read as a stream.

    Raises:
        UserError: It cannot be read, or a row has no text.
    """
    path = Path(where)
    if path.suffix == ".txt" or (is_there(path) and path.suffix not in _ROWS):
        yield from (line for line in read_lines(path) if line.strip())
    else:
        yield from adapted(where, read_rows(where, streaming=True), lambda row, _: adapt_text(row))


def pairs(where: str, source: str, target: str) -> Iterator[tuple[str, str]]:
    """The sentence pairs of a parallel text, read as a stream.

    Raises:
        UserError: It cannot be read, or a row lacks one of the languages.
    """
    if Path(where).suffix in TABLES or is_folder(where):
        for row in read_parallel(where, [source, target]):
            yield row[source], row[target]
    else:
        rows = read_rows(where, streaming=True)
        yield from adapted(where, rows, lambda row, _: adapt_pair(row, source, target))


def adapt_text(row: Mapping[str, Any]) -> str:
    """A document of FineWeb, CulturaX, SkyPile, Cosmopedia (`text`) or Wikipedia (`title`, `text`).

    Raises:
        UserError: No column `text`.
    """
    if not isinstance(row.get("text"), str):
        raise UserError(f"A row with the columns {', '.join(row)} has no text: give a column `text`.")
    return f"{row['title']}\n\n{row['text']}" if row.get("title") else str(row["text"])


def adapt_pair(row: Mapping[str, Any], source: str, target: str) -> tuple[str, str]:
    """A pair of OPUS-100 or NLLB (`translation`: {code: text}) or of columns named by the codes.

    Raises:
        UserError: One of the languages is missing.
    """
    sides = row.get("translation") or row
    found = []
    for code in (source, target):
        text = sides.get(code) or sides.get(flores_code(code))
        if not isinstance(text, str):
            raise UserError(f"A pair with {', '.join(sides)} has no {code!r}: name the columns by language codes.")
        found.append(text)
    return found[0], found[1]
