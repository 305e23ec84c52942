"""SQL that a model wrote, run where it can do no harm; results compared; copies of a database with other contents.

    database = Database(Path("singers.sqlite"))
    database.run("SELECT name FROM singer WHERE age > 40").rows            # (("Cy",), ("Di",))
    database.run("DROP TABLE singer").error                                # "not authorized"

A statement runs on a connection of its own that is opened read-only and whose authorizer lets nothing through but
SELECT, reading columns and functions that only compute: no ATTACH, PRAGMA, recursion, extensions, randomness; dates are
computed, and today's is not known. It ends after a number of steps of SQLite's machine, which is the same on every
computer, or after seconds, should the steps be slow. Texts, rows, compiled statements and memory are limited too.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from functools import cache, lru_cache, partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from core.errors import UserError
from core.text.fences import fenced

Row = tuple[Any, ...]
STEPS, SECONDS, ROWS, BYTES = 1_000_000, 2.0, 1_000, 1_000_000
# A function may compare each of its argument's bytes with each, between two looks at the clock.
LENGTH, MEMORY = 50_000, 2**27
KEPT = 1_000  # outcomes of a database that are remembered
_LOOK = 10  # steps between two looks at the clock
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ}
_FUNCTIONS = re.compile(
    r"abs|avg|cast|ceil|coalesce|concat|count|cume_dist|date|datetime|dense_rank|first_value|floor|format|glob"
    r"|group_concat|hex|ifnull|iif|instr|julianday|lag|last_value|lead|length|like|lower|ltrim|max|min|mod|ntile"
    r"|nullif|percent_rank|pow|power|printf|rank|replace|round|row_number|rtrim|sign|sqrt|strftime|string_agg|substr"
    r"|substring|sum|time|total|trim|typeof|unicode|upper",
    re.IGNORECASE,
)
_TODAY = re.compile(r"(?:now|localtime|utc|subsec(?:ond)?)(?:\0.*)?", re.IGNORECASE | re.DOTALL)
_KEYWORDS = re.compile(
    r"select|distinct|from|where|and|or|not|in|like|between|is|null|join|left|inner|outer|on|as|group|by|having"
    r"|order|asc|desc|limit|union|intersect|except|exists|count|sum|avg|min|max|case|when|then|else|end|with",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|[^\W\d][\w.]*|\d+(?:\.\d+)?|<>|[!<>]=|\S")
_COMMENT = re.compile(r"('(?:[^']|'')*'|\"[^\"]*\")|--[^\n]*|/\*.*?(?:\*/|$)", re.DOTALL)
_TAG = re.compile(r"```[ \t]*sql", re.IGNORECASE)
_QUERY = re.compile(r"\b(?:select|with)\b.*", re.IGNORECASE | re.DOTALL)
_UP_TO_SEMICOLON = re.compile(r"(?:'(?:[^']|'')*'|\"[^\"]*\"|[^;'\"]|['\"])*?(?=;|$)", re.DOTALL)


class Outcome(NamedTuple):
    """Rows of a statement that ran, at most `ROWS`, and whether these are all; or why it did not run."""

    rows: tuple[Row, ...] | None
    complete: bool = True
    error: str = ""


def extract(text: str) -> str | None:
    """The one query of an answer: its last fenced block of SQL, else what begins with SELECT or WITH, to a semicolon.

    A block of SQL says so, or is the last where none does. None where there is no query, or a block holds more
    statements than one.
    """
    blocks = fenced(text)
    if blocks:
        tagged = [one for one in blocks if _TAG.match(one)]
        text = re.sub(r"^```[ \t]*\w*", "", (tagged or blocks)[-1]).removesuffix("```")
    bare = _COMMENT.sub(lambda match: match[1] or " ", text)
    # In a block nothing may stand before the query: INSERT ... SELECT is no query.
    found = _QUERY.match(bare.strip()) if blocks else _QUERY.search(bare)
    if found is None:
        return None
    query = _UP_TO_SEMICOLON.match(found[0])
    assert query is not None
    rest = found[0][query.end() :].strip("; \n\t`")
    return None if blocks and rest else " ".join(query[0].split("\n")).strip() or None


def tokens(query: str) -> list[str]:
    """Parts of a query: literals whole, keywords in capitals."""
    return [part.upper() if _KEYWORDS.fullmatch(part) else part for part in _TOKEN.findall(query)]


def normal(query: str) -> str:
    """A query as the encoder reads it."""
    return " ".join(tokens(query))


class Database:
    """A SQLite file that queries of a model run on.

    Attributes:
        path: The file, which must not change meanwhile.
        tables: `{table: {column: "text" or "number"}}`.

    Raises:
        UserError: There is no such file, it is no SQLite database, or changes to it wait beside it.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise UserError(f"There is no database {path}: give the folder that holds it.")
        beside = (Path(f"{path}{end}") for end in ("-wal", "-journal"))
        if other := next((one for one in beside if one.is_file() and one.stat().st_size), None):
            raise UserError(f"Changes to {path} wait in {other.name}: let its program close it, or give a copy.")
        self.path, self._known = path, lru_cache(KEPT)(self._run)  # policies repeat themselves
        try:
            with closing(_open(path)) as connection:
                self.tables = _tables(connection)
        except sqlite3.DatabaseError as error:
            raise UserError(f"{path} is no SQLite database ({error}): give one.") from None
        self._started, self._looks = 0.0, 0

    def run(self, query: str) -> Outcome:
        """What a query gives; an error is an outcome too."""
        return self._known(query)

    def _run(self, query: str) -> Outcome:
        rows, size = list[Row](), 0
        try:
            with closing(_open(self.path)) as connection:
                connection.set_authorizer(_allow)
                connection.set_progress_handler(self._look, _LOOK)
                self._started, self._looks = time.monotonic(), 0
                for row in connection.execute(query):
                    size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
                    if len(rows) == ROWS or size > BYTES:
                        return Outcome(tuple(rows), complete=False)
                    rows.append(row)
        except (sqlite3.Error, sqlite3.Warning, MemoryError, ValueError, OverflowError) as error:
            return Outcome(None, error=str(error) or type(error).__name__)
        return Outcome(tuple(rows))

    def _look(self) -> bool:
        """Whether it has taken too long."""
        self._looks += 1
        return self._looks * _LOOK > STEPS or time.monotonic() - self._started > SECONDS

    def schema(self, values: int = 0) -> str:
        """Tables with their columns and foreign keys, a line each, and up to so many values of text columns."""
        lines = []
        for table, columns in self.tables.items():
            shown = dict.fromkeys(columns, "")
            for column in (name for name, kind in columns.items() if kind == "text" and values):
                found = self.run(f'SELECT DISTINCT "{column}" FROM "{table}" LIMIT {values}').rows or ()
                shown[column] = f" ({', '.join(repr(row[0]) for row in found)})"
            lines.append(f"{table}({', '.join(f'{name} {columns[name]}{more}' for name, more in shown.items())})")
        with closing(_open(self.path)) as connection:
            for table in self.tables:
                keys = connection.execute(f'PRAGMA foreign_key_list("{table}")')
                lines += [f"{table}.{column} -> {other}" for _, _, other, column, *_ in keys]
        return "\n".join(lines)


def same(one: Outcome, gold: Outcome, query: str) -> bool:
    """Whether results are equal, in order if gold orders, else as bags of rows: floats to six digits, else exactly."""
    if one.rows is None or gold.rows is None or one.complete != gold.complete:
        return False
    left, right = ([tuple(map(_plain, row)) for row in found.rows or ()] for found in (one, gold))
    ordered = re.search(r"\border\s+by\b", query, re.IGNORECASE)
    return left == right if ordered else Counter(left) == Counter(right)


def _plain(value: Any) -> Any:
    return value if not isinstance(value, float) or value.is_integer() else float(f"{value:.6g}")


def _allow(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    known = action in _ALLOWED or (action == sqlite3.SQLITE_FUNCTION and _FUNCTIONS.fullmatch(second or ""))
    return sqlite3.SQLITE_OK if known else sqlite3.SQLITE_DENY


def _open(path: Path) -> sqlite3.Connection:
    # Immutable: nothing is locked, and a database with a log gets no files beside it.
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    for limit, most in (
        (sqlite3.SQLITE_LIMIT_LENGTH, LENGTH), (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 10_000),
        (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100), (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
        (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 100), (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 20),
        (sqlite3.SQLITE_LIMIT_VDBE_OP, 25_000),
    ):  # fmt: skip
        connection.setlimit(limit, most)
    connection.execute("PRAGMA temp_store = MEMORY")  # what is sorted stays within the limit, and off the disk
    connection.execute(f"PRAGMA hard_heap_limit = {MEMORY}")  # of the process
    for name in ("date", "datetime", "julianday", "strftime", "time"):
        connection.create_function(name, -1, partial(_dated, name), deterministic=True)
    return connection


def _dated(name: str, *values: Any) -> Any:
    """SQLite's own function of dates, which is told neither of today nor of the computer's zone."""
    if len(values) <= (name == "strftime") or any(isinstance(v, bytes) or _TODAY.fullmatch(str(v)) for v in values):
        raise ValueError("today is not known")
    return _calendar().execute(f"SELECT {name}({', '.join('?' * len(values))})", values).fetchone()[0]


@cache
def _calendar() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", check_same_thread=False)


def _tables(connection: sqlite3.Connection) -> dict[str, dict[str, str]]:
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {
        table: {
            column: "number" if re.search(r"INT|REAL|FLOA|DOUB|NUM|DEC", kind.upper()) else "text"
            for _, column, kind, *_ in connection.execute(f'PRAGMA table_info("{table}")')
        }
        for (table,) in names.fetchall()
    }


def perturb(path: Path, target: Path, seed: int) -> Path:
    """A copy with other contents: some rows are gone, values change places within their columns, keys stay."""
    rng = Random(f"{seed}/{path.name}")
    target.unlink(missing_ok=True)
    with closing(_open(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        for table, columns in _tables(source).items():
            with suppress(sqlite3.Error):  # a table without row ids
                ids = [row for (row,) in copy.execute(f'SELECT rowid FROM "{table}" ORDER BY rowid')]
                gone = set(rng.sample(ids, round(len(ids) * rng.uniform(0.2, 0.5))))
                copy.executemany(f'DELETE FROM "{table}" WHERE rowid = ?', [(row,) for row in sorted(gone)])
                kept = [row for row in ids if row not in gone]
                keys = {row[1] for row in copy.execute(f'PRAGMA table_info("{table}")') if row[5]}
                keys |= {row[3] for row in copy.execute(f'PRAGMA foreign_key_list("{table}")')}
                for column in (name for name in columns if name not in keys):
                    values = [cell for (cell,) in copy.execute(f'SELECT "{column}" FROM "{table}" ORDER BY rowid')]
                    rng.shuffle(values)
                    with suppress(sqlite3.IntegrityError):  # what has to be unique stays
                        changes = zip(values, kept, strict=True)
                        copy.executemany(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', changes)
        copy.commit()
    return target
