"""Romanisation: any script -> Latin letters.

    romanize("Привет мир")                          # 'Privet mir', with uroman
    romanize("Привет", {"П": "P", "р": "r", ...})   # one's own table, longest match first
    romanize("Привет", my_function)                 # any str -> str

uroman (Hermjakob, May and Knight, ACL 2018) is universal and not invertible; it reads every string as if it knew no
language, so 東京 becomes *dongjing*. Its Python version raises on some strings (a Chinese fraction without its
numerator, such as 百分之); such a piece is kept as it is and the text around it is romanised.

Text and table are composed first (NFC): the same text has one romanisation, however its accents are encoded.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from core.errors import UserError

Romanizer = str | Mapping[str, str] | Callable[[str], str]
"""`uroman`, `none`, `table:<file.tsv>` (source tab target), a mapping, or a function."""


def romanize(text: str, romanizer: Romanizer = "uroman") -> str:
    """`text` in Latin letters.

    ASCII text is returned unchanged by uroman. Spaces and the word-start mark `▁` of SentencePiece are kept.

    Raises:
        UserError: unknown romanizer, unreadable table.
    """
    return resolve(romanizer)(text)


def romanize_all(texts: Iterable[str], romanizer: Romanizer = "uroman") -> list[str]:
    """Romanise many texts."""
    function = resolve(romanizer)
    return [function(text) for text in texts]


def resolve(romanizer: Romanizer, *, pieces: bool = False) -> Callable[[str], str]:
    """The function behind a romanizer.

    Args:
        romanizer: See `Romanizer`.
        pieces: It will read the pieces of a vocabulary: uroman then takes each as it stands, uncomposed.

    Raises:
        UserError: unknown name, unreadable table.
    """
    if isinstance(romanizer, Mapping):
        return _table(tuple(romanizer.items()))
    if callable(romanizer):
        return romanizer
    if romanizer == "uroman":
        return as_it_stands if pieces else _uroman
    if romanizer == "none":
        return str
    if romanizer.startswith("table:"):
        return _table(_read_table(romanizer.removeprefix("table:")))
    raise UserError(
        f"Unknown romanizer {romanizer!r}: use 'uroman', 'none', 'table:<file.tsv>' with a source and a target per "
        "line, a mapping or a function."
    )


def version(romanizer: Romanizer = "uroman") -> str:
    """A string that changes when the romanizer's output may change, for the keys of caches."""
    if romanizer == "uroman":
        return f"uroman {importlib.metadata.version('uroman')}"
    if romanizer == "none":
        return "none"
    if isinstance(romanizer, str):
        resolve(romanizer)  # refuses an unknown name
        return f"table {_digest(_read_table(romanizer.removeprefix('table:')))}"
    if isinstance(romanizer, Mapping):
        return f"table {_digest(tuple(romanizer.items()))}"
    name = f"{getattr(romanizer, '__module__', '')}.{getattr(romanizer, '__qualname__', type(romanizer).__qualname__)}"
    try:
        source = inspect.getsource(romanizer)
    except (OSError, TypeError):  # built in, or typed into an interpreter
        source = ""
    return f"function {name} {_digest(source)}"


def _digest(value: object) -> str:
    return hashlib.blake2b(repr(value).encode(), digest_size=6).hexdigest()


@cache
def _engine() -> Any:
    from uroman import Uroman

    return Uroman()


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


@lru_cache(maxsize=1 << 19)
def _uroman(text: str) -> str:
    if text.isascii():
        return text
    return as_it_stands(_composed(text))


@lru_cache(maxsize=1 << 19)
def as_it_stands(text: str) -> str:
    """uroman's reading of a text that is not composed first: of the pieces of a vocabulary, which have one spelling."""
    if text.isascii():
        return text
    try:
        return _engine().romanize_string(text)
    except Exception:
        return _around_failure(text)


def _fails(text: str) -> bool:
    try:
        _engine().romanize_string(text)
    except Exception:
        return True
    return False


def _around_failure(text: str) -> str:
    """Romanise what surrounds the shortest piece that uroman cannot read, and keep that piece."""
    end = next(end for end in range(1, len(text) + 1) if _fails(text[:end]))
    start = next(start for start in range(end - 1, -1, -1) if start == 0 or _fails(text[start:end]))
    return _uroman(text[:start]) + text[start:end] + _uroman(text[end:])


@lru_cache(maxsize=16)
def _table(items: tuple[tuple[str, str], ...]) -> Callable[[str], str]:
    """A function that replaces the longest matching source at every place and keeps what no source matches.

    A character that is no source itself is replaced part by part where its parts are: a syllable of hangul by its jamo.
    """
    table = {_composed(source): target for source, target in items}
    if "" in table:
        raise UserError("A romanisation table has an empty source: give every entry at least one character.")
    if not table:
        return str
    sources = map(re.escape, sorted(table, key=len, reverse=True))
    pattern = re.compile("|".join([*sources, r"[^\x00-\x7f]"]))

    def replace(match: re.Match[str]) -> str:
        if match[0] in table:
            return table[match[0]]
        parts = unicodedata.normalize("NFD", match[0])
        return "".join(map(table.__getitem__, parts)) if table.keys() >= set(parts) else match[0]

    return lambda text: _composed(pattern.sub(replace, _composed(text)))


def _read_table(path: str) -> tuple[tuple[str, str], ...]:
    from core.files import read_lines

    items = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) != 2:
            raise UserError(f"{path}, line {number}: {len(cells)} columns; a table has a source, a tab and a target.")
        items.append((cells[0], cells[1]))
    if not items:
        raise UserError(f"{path} has no entry: write a source, a tab and a target a line.")
    return tuple(items)
