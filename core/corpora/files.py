"""The user's own text: parallel TSV, JSON lines or a folder of aligned line files, and rows with any columns.

    key  en             fr                    {"en": "Good morning.", "fr": "Bonjour."}      mine/en.txt
    1    Good morning.  Bonjour.              {"en": "Thank you.", "fr": "Merci."}           mine/fr.txt

A `.tsv` is taken as it stands: quotes are text, and no cell holds a tab. In a `.csv` a cell in double quotes may hold
commas, line feeds and doubled quotes. Every refusal names the file, the line and the fix.
"""

from __future__ import annotations

import contextlib
import csv
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from core.corpora.table import bcp47, to_dataset
from core.errors import UserError
from core.files import (
    LONGEST_LINE,
    format_of,
    is_folder,
    json_kind,
    load_json,
    opened,
    parse_json,
    read_lines,
    source_is_path,
)
from core.text.languages import match

if TYPE_CHECKING:
    from datasets import Dataset

# Two- or three-letter language, then optional script, region and variant subtags: en, zh-Hans, eng_Latn, sr-Latn-RS.
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
Duplicates = Literal["drop", "error"]
T = TypeVar("T")


def read_parallel(
    path: str | Path,
    languages: Sequence[str] | None = None,
    *,
    duplicates: Duplicates = "drop",
    keep: Callable[[dict[str, str]], bool] | None = None,
) -> Dataset:
    """Read aligned sentences: one column per language.

    Args:
        path: A `.tsv` or `.csv` with a header of languages, a `.jsonl` or `.json` list of `{language: text}` objects,
            each also as `.gz`, a `.parquet`, a hub dataset (`name`, `name#subset`, `name#subset@split`), or a folder
            with one `<language>.txt` per language whose lines correspond. Codes are brought into one spelling; any
            other name is the label of a language as it stands, with a warning. A column `key` is optional. `id` is
            Indonesian.
        languages: The columns to read; None reads all.
        duplicates: Rows that repeat an earlier row in all languages are dropped with a warning, or refused.
        keep: Filter on `{code: text}`.

    Returns:
        Columns `key` (the file's, or the line number) and one per language.

    Raises:
        UserError: missing or empty cell, wrong number of columns, unequal numbers of lines, invalid UTF-8, repeated key
            or row, nothing left; with file, line and fix.
    """
    source, path = path, Path(path)
    if is_folder(path):
        columns, rows = _read_folder(path, languages)
    elif format_of(path) in (".jsonl", ".ndjson", ".json"):
        columns, rows = _read_objects(path, list(json_objects(path)), languages)
    elif format_of(path) in TABLES:
        columns, rows = _read_table(path, languages)
    elif format_of(path) == ".parquet" or not source_is_path(source):
        columns, rows = _read_objects(path, list(enumerate(read_rows(source), start=1)), languages)
    else:
        with opened(path):
            raise UserError(
                f"Corpus {path} has an unknown format {path.suffix!r}: use .tsv, .csv, .jsonl or a folder of "
                "<code>.txt."
            )
    return to_dataset(_checked(path, columns, rows, duplicates, keep))


def _checked(
    path: Path,
    columns: Sequence[str],
    rows: Iterator[tuple[int, dict[str, str]]],
    duplicates: Duplicates,
    keep: Callable[[dict[str, str]], bool] | None,
) -> list[dict[str, str]]:
    """Rows with a key, every cell filled, none repeated."""
    kept: list[dict[str, str]] = []
    keys: dict[str, int] = {}
    texts: dict[tuple[str, ...], int] = {}
    total = dropped = 0
    for line, row in rows:
        total += 1
        for code in columns:
            if not row[code].strip():
                raise UserError(
                    f"{path}, line {line}: the text for {code!r} is empty; fill it or delete the row everywhere."
                )
        key = row.get("key", str(line))
        content = tuple(row[code].strip() for code in columns)
        composed = tuple(unicodedata.normalize("NFC", text) for text in content)
        if composed in texts:
            if duplicates == "error":
                raise UserError(f"{path}, line {line} repeats line {texts[composed]}: delete one of them.")
            dropped += 1
            continue
        if key in keys:
            raise UserError(f"{path}, line {line}: key {key!r} was used on line {keys[key]}; make keys unique.")
        texts[composed], keys[key] = line, line
        sentence = dict(zip(columns, content, strict=True))
        if keep is None or keep(sentence):
            kept.append({"key": key, **sentence})
    if "id" in columns and texts and all(_is_number(row[columns.index("id")]) for row in texts):
        raise UserError(f"{path}: column 'id' is the code of Indonesian but holds numbers; call the row numbers 'key'.")
    if not total:
        raise UserError(f"Corpus {path} is empty: give it at least one row.")
    if not kept:
        raise UserError(
            f"Corpus {path} is empty after filtering: all of its {total} rows were removed; loosen the filter."
        )
    if dropped:
        warnings.warn(f"{path}: dropped {dropped} of {total} rows that repeat an earlier one.", stacklevel=3)
    return kept


def _is_number(text: str) -> bool:
    return text.replace(".", "").replace("-", "").isdigit()


def _select(path: Path, found: Sequence[str], languages: Sequence[str] | None) -> dict[str, str]:
    """`{column name in the file: language code}` of the columns to read."""
    if languages is None:
        free = [name for name in found if name != "key" and not _CODE.fullmatch(name)]
        if not all(free):
            raise UserError(f"{path}: a column has no name; name it by its language.")
        if free:
            warnings.warn(
                f"{path}: {', '.join(map(repr, free))} {'is no code' if len(free) == 1 else 'are no codes'} of a "
                "language and read as the name of one; leave a column out that is none.",
                stacklevel=4,
            )
        chosen = {name: bcp47(name) if len(name.split("_")[0]) == 2 else name for name in found if name != "key"}
    else:
        columns = {code: match(code, [name for name in found if name != "key"]) for code in languages}
        if missing := [code for code, name in columns.items() if name is None]:
            raise UserError(f"{path} has no column {missing[0]!r}; its columns are {', '.join(found)}.")
        chosen = {str(name): code for code, name in columns.items()}
        if len(chosen) < len(columns):
            raise UserError(f"{path}: two of {', '.join(columns)} are one column; name each language once.")
    if len(set(chosen.values())) < len(chosen) or len(set(found)) < len(found):
        raise UserError(f"{path}: a column name is repeated in {', '.join(found)}; name each language once.")
    if not chosen:
        raise UserError(f"{path} has no language column: name at least one en, fr, zh-Hans, ....")
    return chosen


TABLES = (".tsv", ".tab", ".csv")


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number of each row's first line, and its cells; of a `.csv` empty lines are no rows."""
    lines = read_lines(path)
    if format_of(path) != ".csv":
        # As spreadsheets write them, all cells stand in quotes or those that need it; elsewhere quotes are text.
        quoted = bool(lines) and all(map(_QUOTED.fullmatch, lines[0].split("\t")))
        yield from ((number, _tabbed(line, quoted)) for number, line in enumerate(lines, start=1))
        return
    csv.field_size_limit(LONGEST_LINE)
    rows = csv.reader((f"{line}\n" for line in lines), strict=True)
    number = 1
    try:
        for cells in rows:
            if cells:
                yield number, cells
            number = rows.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{path}, line {number}: not CSV ({error}); put a cell with quotes into quotes and double those inside."
        ) from None


def _tabbed(line: str, quoted: bool) -> list[str]:
    """The cells of a line of a `.tsv`: in quotes are all of them, or those that hold a quote or a tab."""
    if '"' not in line:
        return line.split("\t")
    cells = line.split("\t")
    if quoted or any('""' in cell and _QUOTED.fullmatch(cell) for cell in cells):
        with contextlib.suppress(csv.Error):
            return next(csv.reader([line], delimiter="\t", strict=True))
    return cells


def _table(path: Path, languages: Sequence[str] | None = None) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Names of the columns, and the rows, each as long as the header."""
    separator, fix = (
        ("commas", "put a cell with commas into double quotes")
        if format_of(path) == ".csv"
        else ("tabs", "separate the texts by single tabs and keep tabs out of them")
    )
    rows = _cells(path)
    first = next(rows, None)
    if first is None:
        raise UserError(f"Corpus {path} is empty: its first line must name the columns, separated by {separator}.")
    header = [" ".join(name.split()) for name in first[1]]  # a quoted cell may hold line feeds
    if len(header) < 2 and languages is None:
        raise UserError(
            f"{path}, line 1: one column {header[0]!r}; the first line must name the columns, separated by {separator}."
        )

    def checked() -> Iterator[tuple[int, list[str]]]:
        for number, cells in rows:
            if cells == [""] and len(header) > 1:
                raise UserError(f"{path}, line {number} is empty: delete the line.")
            if len(cells) != len(header):
                raise UserError(
                    f"{path}, line {number}: {len(cells)} columns, but the header has {len(header)}; {fix}."
                )
            yield number, cells

    return header, checked()


def _read_table(path: Path, languages: Sequence[str] | None) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    header, cells = _table(path, languages)
    chosen = _select(path, header, languages)

    def rows() -> Iterator[tuple[int, dict[str, str]]]:
        for number, texts in cells:
            row = dict(zip(header, texts, strict=True))
            yield number, {**_key(row), **{code: row[name] for name, code in chosen.items()}}

    return list(chosen.values()), rows()


def columns(path: str | Path) -> list[str]:
    """Names of the columns of a `.tsv` or `.csv`.

    Raises:
        UserError: The file cannot be read, or is empty.
    """
    return _table(Path(path), ())[0]


def table_rows(path: str | Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells by column of a `.tsv` or `.csv` with a header.

    Raises:
        UserError: The file cannot be read, has no header or one that repeats a name, or a row has other columns.
    """
    header, rows = _table(Path(path), ())
    if len(set(header)) < len(header):
        raise UserError(f"{path}, line 1: a column name is repeated in {', '.join(header)}; name each column once.")
    for number, cells in rows:
        yield number, dict(zip(header, cells, strict=True))


def _key(row: Mapping[str, Any]) -> dict[str, str]:
    key = str(row.get("key", "")).strip()
    return {"key": key} if key else {}


def json_objects(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of every line that is not blank; of a `.json` list, its objects by their place.

    Raises:
        UserError: As :func:`core.files.read_lines` and :func:`core.files.parse_json`; a line is no object.
    """
    lines = read_lines(path)
    if format_of(path) == ".json" and next(filter(str.strip, lines), "").lstrip().startswith("["):
        listed = load_json(path, list)
        if not all(isinstance(row, dict) for row in listed):
            raise UserError(f"{path} is not a list of objects: write [{{...}}, ...], or one object a line in a .jsonl.")
        yield from enumerate(listed, start=1)
        return
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = parse_json(line, str(path), number, "write one object a line")
        if not isinstance(row, dict):
            kind = json_kind(row).removeprefix("a ")
            raise UserError(f"{path}, line {number}: a {kind}, not an object; write one {{...}} a line.")
        yield number, row


def _read_objects(
    path: Path, objects: Sequence[tuple[int, dict[str, Any]]], languages: Sequence[str] | None
) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    if not objects:
        raise UserError(f'Corpus {path} is empty: give it at least one line such as {{"en": ..., "fr": ...}}.')
    chosen = _select(path, list(objects[0][1]), languages)

    def rows() -> Iterator[tuple[int, dict[str, str]]]:
        for number, row in objects:
            for name in chosen:
                if not isinstance(row.get(name), str):
                    raise UserError(
                        f"{path}, line {number}: {name!r} is {'missing' if name not in row else 'not a string'}; "
                        "give every line a text for each language."
                    )
            extra = set(row) - set(objects[0][1])
            if extra and languages is None:
                raise UserError(
                    f"{path}, line {number}: column {sorted(extra)[0]!r} is not in line 1; use the same columns."
                )
            yield number, {**_key(row), **{code: row[name] for name, code in chosen.items()}}

    return list(chosen.values()), rows()


def _read_folder(path: Path, languages: Sequence[str] | None) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    files = {file.stem: file for file in sorted(path.glob("*.txt"))}
    if not files:
        raise UserError(
            f"Folder {path} holds no <code>.txt file: put one per language there, such as en.txt and fr.txt."
        )
    chosen = _select(path, list(files), languages)
    texts = {code: read_lines(files[name]) for name, code in chosen.items()}
    counts = {code: len(lines) for code, lines in texts.items()}
    if len(set(counts.values())) > 1:
        shortest, longest = min(counts, key=lambda c: counts[c]), max(counts, key=lambda c: counts[c])
        raise UserError(
            f"{path}: {shortest}.txt ends at line {counts[shortest]} but {longest}.txt has {counts[longest]} lines; "
            "aligned files need equally many lines."
        )

    def rows() -> Iterator[tuple[int, dict[str, str]]]:
        for number, cells in enumerate(zip(*texts.values(), strict=True), start=1):
            yield number, dict(zip(texts, cells, strict=True))

    return list(texts), rows()


def read_jsonl(path: str | Path, required: Sequence[str] | Mapping[str, type | tuple[type, ...]] = ()) -> Dataset:
    """Read JSON lines, one object a line.

    Args:
        path: The file.
        required: Columns that every line must have, optionally with their type (`{"question": str, "options": list}`).

    Returns:
        The columns of the first line; a column that later lines lack is None there.

    Raises:
        UserError: no such file, not JSON, a required column missing or of another type, no line at all.
    """
    path = Path(path)
    types = required if isinstance(required, Mapping) else dict.fromkeys(required, object)
    rows = []
    for number, row in json_objects(path):
        for name, kind in types.items():
            if name not in row:
                raise UserError(
                    f"{path}, line {number}: column {name!r} is missing; every line needs {', '.join(types)} "
                    f"(this one has {', '.join(row) or 'none'})."
                )
            if not isinstance(row[name], kind):
                expected = kind.__name__ if isinstance(kind, type) else " or ".join(k.__name__ for k in kind)
                raise UserError(f"{path}, line {number}: {name!r} is a {type(row[name]).__name__}, not a {expected}.")
        rows.append(row)
    if not rows:
        raise UserError(f"File {path} is empty: give it at least one line with {', '.join(types) or 'an object'}.")
    names = dict.fromkeys(name for row in rows for name in row)
    return to_dataset([{name: row.get(name) for name in names} for row in rows], str(path))


def read_rows(source: str | Path, *, split: str = "train", streaming: bool = False) -> Iterable[dict[str, Any]]:
    """Rows as they are, whatever their columns: of a file, or of a dataset on the hub.

    Args:
        source: A `.jsonl` or `.ndjson` of objects, a `.json` with one list of them, a `.tsv` or `.csv` with a header
            (each also as `.gz`), a `.parquet`, or a hub dataset as `name`, `name#subset` or `name#subset@split`.
        split: Of a hub dataset that does not name one.
        streaming: Read a hub dataset as it is iterated over, without downloading it.

    Raises:
        UserError: no such file, not JSON, not objects, no row, or a dataset that cannot be had.
    """
    path = Path(source)
    suffix = format_of(path)
    rows: list[dict[str, Any]]
    if suffix in (".jsonl", ".ndjson"):
        rows = [row for _, row in json_objects(path)]
    elif suffix == ".json":
        rows = load_json(path)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UserError(f"{path} is not a list of objects: write [{{...}}, ...], or one object a line in a .jsonl.")
    elif suffix in TABLES:
        rows = [row for _, row in table_rows(path)]
    elif suffix == ".parquet":
        rows = _parquet(path)
    elif source_is_path(source):
        with opened(path):
            raise UserError(f"File {path} has an unknown format {path.suffix!r}: use .jsonl, .json, .tsv or .csv.")
    else:
        return _hub_rows(str(source), split, streaming)
    if not rows:
        raise UserError(f"File {path} is empty: give it at least one object.")
    return rows


def adapted(source: str | Path, rows: Iterable[Any], adapt: Callable[[Any, int], T]) -> Iterator[T]:
    """`adapt(row, number)` of every row, numbered from 1; what it cannot take is one sentence that names the row.

    Raises:
        UserError: With source and number: what `adapt` refuses, or a row whose parts are of another kind than it takes.
    """
    for number, row in enumerate(rows, start=1):
        try:
            found = adapt(row, number)
        except UserError as error:
            raise UserError(f"{source}, row {number}: {error}") from None
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise UserError(
                f"{source}, row {number} has parts of another kind than expected ({type(error).__name__}: {error}): "
                "compare it with the format on the page."
            ) from error
        yield found


def read_translations(source: str, codes: Sequence[str], most: int | None = None) -> list[dict[str, str]]:
    """Rows of aligned texts, `{"key": ..., code: text}`, of any file or hub dataset.

    Args:
        source: As of :func:`read_rows`. Its rows have a column a language or, as those of OPUS-100, WMT and IWSLT, one
            `translation` with the languages inside.
        codes: The languages, of which each row has a text.
        most: How many rows, the first ones; None = all.

    Raises:
        UserError: As :func:`read_rows`, or a row without a text.
    """

    def texts(row: Mapping[str, Any], number: int) -> dict[str, str]:
        cells = row.get("translation", row)
        if missing := [code for code in codes if not isinstance(cells.get(code), str) or not cells[code].strip()]:
            raise UserError(f"it has no text in {missing[0]!r}")
        return {"key": str(row.get("key", number)), **{code: cells[code] for code in codes}}

    return list(islice(adapted(source, read_rows(source), texts), most))


def _parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    with opened(path) as file:
        try:
            return parquet.read_table(file).to_pylist()
        except (pa.ArrowException, ValueError, OSError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(
                f"{path} is no Parquet file ({reason}): check that it is whole, and the right one."
            ) from None


def _hub_rows(address: str, split: str, streaming: bool) -> Iterable[dict[str, Any]]:
    from datasets import load_dataset

    name, _, wanted = address.partition("@")
    name, _, subset = name.partition("#")
    with _reaching(address):
        rows = load_dataset(name, subset or None, split=wanted or split, streaming=streaming)
    return _streamed(rows, address) if streaming else rows


def _streamed(rows: Iterable[dict[str, Any]], address: str) -> Iterator[dict[str, Any]]:
    with _reaching(address):
        yield from rows


@contextlib.contextmanager
def _reaching(address: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"Cannot read {address!r} from the hub ({reason}): check the name, the network and the dataset's terms, or "
            "give a .jsonl file in its place."
        ) from None
