"""Sources by manifest: the user's own files and hub datasets, and public data in place of the paper's own corpus.

A manifest is one JSON object a line:

    {"path": "sw.jsonl", "category": "low", "language": "sw"}
    {"path": "sw_books.jsonl", "category": "low", "language": "sw", "quality": 3}
    {"path": "en-sw.tsv", "category": "parallel", "languages": ["en", "sw"]}
    {"path": "HuggingFaceFW/fineweb-edu#sample-10BT", "category": "english", "language": "en", "tokens": 1e10}

Text is `.jsonl` with a column `text`, `.txt` with a document a line, or a hub dataset `owner/name#config@split`;
parallel text is a `.tsv`, `.jsonl` or folder with a column or file per language, or a hub dataset with a column
`translation`.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core import corpora
from core.corpora import filtering
from core.corpora.files import json_objects
from core.errors import UserError
from core.files import is_folder, is_there, read_lines
from core.text.languages import flores_code
from papers.marco_llm import recipe
from papers.marco_llm.bodies import Body, clean_pairs, render_bitext
from papers.marco_llm.config import Config
from papers.marco_llm.templates import Pair

Row = Mapping[str, Any]
# Pairs that the filter sees at once, and the text by which it tells languages apart.
PAIRS_AT_ONCE = 10_000
ROWS = (".jsonl", ".ndjson", ".json", ".csv", ".parquet")
TEXTS_TO_IDENTIFY, CHARACTERS_TO_IDENTIFY = 2000, 1000


@dataclass(frozen=True)
class Entry:
    """A line of a manifest.

    Attributes:
        name: Unique.
        path: File, folder or hub dataset.
        category: Whose share it takes.
        language: Code; of parallel text the two codes with a hyphen.
        languages: The two codes of parallel text; empty = monolingual.
        quality: Weight of the tier.
        tokens: Size; None = count.
    """

    name: str
    path: str
    category: str
    language: str
    languages: tuple[str, ...] = ()
    quality: float = 1.0
    tokens: float | None = None


def read_manifest(path: str | Path) -> list[Entry]:
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
        quality, tokens = float(given.get("quality", 1)), given.get("tokens")
        tokens = None if tokens is None else float(tokens)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f'{where}: write an object with "path", "category" and "language" (or "languages": two codes, for parallel '
            'text), and if you like "name", and the numbers "quality" and "tokens".'
        ) from None
    if not 0 < quality < math.inf or (tokens is not None and not 0 < tokens < math.inf):
        raise UserError(f'{where}: "quality" and "tokens" must be positive numbers.')
    if len(languages) not in (0, 2):
        raise UserError(f"{where}: parallel text has two languages, not {len(languages)}.")
    path = folder / place
    name = str(given.get("name") or Path(place).name)
    return Entry(name, str(path) if is_there(path) else place, category, language, languages, quality, tokens)


def paper_manifest() -> list[Entry]:
    """Public data for every category of the paper, with the sizes of its Table 1.

    The sizes are those of the paper's own corpus: they decide nothing but the report, as languages get equal shares.
    """
    entries = [
        Entry("en", "HuggingFaceFW/fineweb-edu", "english", "en", tokens=recipe.available("en")),
        Entry("zh", "Skywork/SkyPile-150B", "chinese", "zh", tokens=recipe.available("zh")),
    ]
    for category, codes in (("other_high", recipe.OTHER_HIGH), ("low", recipe.LOW)):
        for code in codes:
            path = f"HuggingFaceFW/fineweb-2#{flores_code(code)}"
            entries.append(Entry(code, path, category, code, tokens=recipe.available(code)))
    others = [code for code in recipe.LANGUAGES if code != "en"]
    for code in others:
        path, tokens = f"Helsinki-NLP/opus-100#{'-'.join(sorted(('en', code)))}", recipe.available("parallel")
        entries.append(Entry(f"en-{code}", path, "parallel", f"en-{code}", ("en", code), tokens=tokens / len(others)))
    for code in recipe.LANGUAGES:
        path, tokens = f"wikimedia/wikipedia#20231101.{code}", recipe.available("knowledge") / len(recipe.LANGUAGES)
        entries.append(Entry(f"knowledge-{code}", path, "knowledge", code, tokens=tokens))
    path, tokens = "HuggingFaceTB/cosmopedia#web_samples_v2", recipe.available("synthetic")
    return [*entries, Entry("synthetic", path, "synthetic", "en", tokens=tokens)]


def bodies(config: Config) -> list[Body]:
    """The sources of a configuration's manifest, not yet read.

    Raises:
        UserError: The manifest cannot be read.
    """
    assert config.sources is not None
    entries = paper_manifest() if config.sources == "paper" else read_manifest(config.sources)
    return [_body(entry, config, entries) for entry in entries if config.parallel != "none" or not entry.languages]


def _body(entry: Entry, config: Config, entries: Sequence[Entry]) -> Body:
    read = (lambda: _bitext(entry, config, entries)) if entry.languages else (lambda: _texts(entry.path))
    return Body(entry.name, entry.category, entry.language, read, entry.quality, entry.tokens)


def _texts(where: str) -> Iterator[str]:
    path = Path(where)
    if path.suffix == ".txt" or (is_there(path) and path.suffix not in ROWS):
        yield from (line for line in read_lines(path) if line.strip())
    else:
        yield from corpora.adapted(where, corpora.read_rows(where, streaming=True), lambda row, _: adapt_text(row))


def _bitext(entry: Entry, config: Config, entries: Sequence[Entry]) -> Iterator[str]:
    """Rendered pairs; duplicates are found, and words aligned, within so many pairs as are read at once."""
    source, target = entry.languages
    found = _pairs(entry.path, source, target)
    identify = _identifier((source, target), config, entries)
    while part := list(itertools.islice(found, PAIRS_AT_ONCE)):
        kept = clean_pairs(part, (source, target), config, identify).kept if config.parallel == "filtered" else part
        yield from render_bitext(kept, source, target, config)


def _identifier(pair: tuple[str, str], config: Config, entries: Sequence[Entry]) -> filtering.Identify | None:
    """What tells the two languages apart, from the manifest's monolingual text; None without text of both."""
    if config.parallel != "filtered" or "language" not in config.filter_rules:
        return None
    paths = {entry.language: entry.path for entry in entries if entry.language in pair}
    if len(paths) < 2:
        return None
    return filtering.identifier(
        {
            code: [text[:CHARACTERS_TO_IDENTIFY] for text in itertools.islice(_texts(path), TEXTS_TO_IDENTIFY)]
            for code, path in paths.items()
        }
    )


def _pairs(where: str, source: str, target: str) -> Iterator[Pair]:
    if Path(where).suffix in corpora.TABLES or is_folder(where):
        for row in corpora.read_parallel(where, [source, target]):
            yield row[source], row[target]
    else:
        rows = corpora.read_rows(where, streaming=True)
        yield from corpora.adapted(where, rows, lambda row, _: adapt_pair(row, source, target))


def adapt_text(row: Row) -> str:
    """A document of FineWeb, CulturaX, SkyPile, Cosmopedia (`text`) or Wikipedia (`title`, `text`).

    Raises:
        UserError: No column `text`.
    """
    if not isinstance(row.get("text"), str):
        raise UserError(f"A row with the columns {', '.join(row)} has no text: give a column `text`.")
    return f"{row['title']}\n\n{row['text']}" if row.get("title") else str(row["text"])


def adapt_pair(row: Row, source: str, target: str) -> Pair:
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
