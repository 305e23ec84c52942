"""Queries that run on the same database and say something else: hard negatives of a gold query, by one edit each.

    edits(database, "SELECT max(age) FROM singer")         # [("aggregate", "SELECT min(age) FROM singer"), ...]

Edits are of parts of the text, with the schema at hand, and know no grammar: what does not run is dropped, and so is
what gives the same rows on the database and on copies with other contents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from papers.sql_contrastive.sandbox import Database, same, tokens

_SWAPS = {
    "aggregate": ("max", "min", "avg", "sum", "count"),
    "comparison": ("=", "!=", ">", "<", ">=", "<="),
    "order": ("ASC", "DESC"),
}
_WHERE = re.compile(r"\sWHERE\s.*?(?=\s(?:GROUP|ORDER|LIMIT)\s|$)")
_AFTER_FROM = re.compile(r"(?<=\sFROM\s)(\w+)(?=\s(?:GROUP|ORDER|LIMIT)\s|$)")


def agrees(copies: Sequence[Database], query: str, gold: str) -> bool:
    """Whether two queries give the same rows on a database and its copies with other contents."""
    return all(same(one.run(query), one.run(gold), gold) for one in copies)


def edits(copies: Sequence[Database], gold: str) -> list[tuple[str, str]]:
    """Kinds of edits with their queries, each query once.

    Args:
        copies: The database, then copies with other contents.
        gold: A query that runs on it; of one that does not there are none.
    """
    if copies[0].run(gold).rows is None:
        return []
    found = {query: kind for kind, query in reversed(list(_edited(copies[0], gold)))}
    runs = ((kind, query) for query, kind in sorted(found.items()) if copies[0].run(query).rows is not None)
    return [(kind, query) for kind, query in runs if not agrees(copies, query, gold)]


def _edited(database: Database, gold: str) -> Iterator[tuple[str, str]]:
    parts, text = tokens(gold), " ".join(tokens(gold))
    used = [name for name in database.tables if name in {part.partition(".")[0] for part in parts}]
    for place in range(len(parts)):
        for kind, other in _others(database, used, parts, place):
            yield kind, " ".join([*parts[:place], other, *parts[place + 1 :]])
    yield "where", _WHERE.sub("", text)
    if "WHERE" not in parts and len(used) == 1:
        for column, kind in database.tables[used[0]].items():
            if kind == "text" and (values := _cells(database, used[0], column)):
                yield "where", _AFTER_FROM.sub(rf"\1 WHERE {column} = {values[0]}", text)
    yield "distinct", text.replace("SELECT DISTINCT", "SELECT")
    yield "limit", re.sub(r"\sLIMIT \d+", "", text)


def _others(database: Database, used: list[str], parts: list[str], place: int) -> Iterator[tuple[str, str]]:
    """What may stand for one part of a query."""
    part = parts[place]
    for kind, members in _SWAPS.items():
        if kind == "comparison" and parts[place + 1 :][:1] and parts[place + 1][0] in "'\"":
            members = ("=", "!=")  # texts are rarely compared by order
        if part in members or (kind == "aggregate" and part.lower() in members and parts[place + 1 :][:1] == ["("]):
            yield from ((kind, other) for other in members if other != part.lower() and other != part)
    table, dot, column = part.rpartition(".")
    for name in [table] if table in database.tables else used:
        columns = database.tables[name]
        if column in columns:
            same_kind = (other for other, kind in columns.items() if kind == columns[column] and other != column)
            yield from (("column", f"{table}{dot}{other}") for other in same_kind)
    if part in database.tables and parts[place - 1] in ("FROM", "JOIN"):
        yield from (("table", other) for other in database.tables if other != part)
    if re.fullmatch(r"'.*'|\".*\"|\d+", part) and place > 1 and parts[place - 1] in _SWAPS["comparison"]:
        table, _, column = parts[place - 2].rpartition(".")
        for name in [table] if table in database.tables else used:
            if column in database.tables[name]:
                others = [value for value in _cells(database, name, column) if value != part]
                yield from (("value", value) for value in others[:3])


def _cells(database: Database, table: str, column: str) -> list[str]:
    """Values of a column as literals, in an order that goes by no content."""
    rows = database.run(f'SELECT DISTINCT "{column}" FROM "{table}"').rows or ()
    values = [row[0] for row in rows if isinstance(row[0], str | int)]
    return ["'" + v.replace("'", "''") + "'" if isinstance(v, str) else str(v) for v in values]
