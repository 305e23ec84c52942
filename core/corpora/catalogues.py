"""Message catalogues that software is translated with: the interface of Django, the ISO names of pycountry.

A compiled catalogue (`.mo`) maps the English message to its translation, so the catalogues of all languages
together are one parallel corpus. The files are found without importing the packages.
"""

from __future__ import annotations

import importlib.util
import re
import struct
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from core.corpora.table import bcp47, check_languages, clean, parallel_table, short_hash
from core.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset

_PLACEHOLDER = re.compile(r"[%{}]|\$\w")
_MARKUP = re.compile(r"<[^>]*>|&#?\w+;")
_ENGLISH = ("en",)

ISO_DOMAINS = {
    "country": "iso3166-1",
    "former country": "iso3166-3",
    "language": "iso639-3",
    "language family": "iso639-5",
    "currency": "iso4217",
    "script": "iso15924",
    "subdivision": "iso3166-2",
}


def package_folder(package: str, extra: str | None = None) -> Path:
    """Folder of an installed package, found without running any of its code.

    Raises:
        UserError: it is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        command = f"uv sync --extra {extra}" if extra else "uv sync"
        raise UserError(f"Package {package!r} is not installed: run `{command}`.")
    return Path(spec.submodule_search_locations[0])


def read_catalogue(path: Path) -> dict[tuple[str, str], str]:
    """`{(context, English message): translation}` of a compiled catalogue; plural messages are left out.

    The layout is that of the GNU gettext manual, section "The Format of GNU MO Files". Read here because gettext
    compiles the plural rule of every file into code, and Babel takes a tenth of a second per language.

    Raises:
        UserError: not a compiled catalogue.
    """
    content = path.read_bytes()
    order = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}.get(content[:4])
    if order is None:
        raise UserError(f"{path} is not a compiled message catalogue: reinstall the package that it belongs to.")
    count, originals, translations = struct.unpack_from(f"{order}3I", content, 8)

    def strings(table: int) -> list[str]:
        places = struct.unpack_from(f"{order}{2 * count}I", content, table)
        return [content[at : at + size].decode() for size, at in zip(places[::2], places[1::2], strict=True)]

    messages = {}
    for original, translation in zip(strings(originals), strings(translations), strict=True):
        context, _, message = original.rpartition("\x04")
        if message and translation and "\0" not in message:  # the empty message is the header, NUL separates plurals
            messages[context, message] = translation
    return messages


@lru_cache(maxsize=1)
def django_locales() -> dict[str, str]:
    """`{code: locale folder}` of Django's translations, without the varieties of English."""
    root = package_folder("django")
    folders = {path.parent.parent.name for path in root.glob("conf/locale/*/LC_MESSAGES/django.mo")}
    return {bcp47(name): name for name in sorted(folders) if name.split("_")[0] != "en"}


@cache
def _django_messages(folder: str) -> dict[tuple[str, str], str]:
    root = package_folder("django")
    messages: dict[tuple[str, str], str] = {}
    paths = [
        *root.glob(f"conf/locale/{folder}/LC_MESSAGES/*.mo"),
        *root.glob(f"contrib/*/locale/{folder}/LC_MESSAGES/*.mo"),
    ]
    for path in sorted(paths):
        for key, text in read_catalogue(path).items():
            messages.setdefault(key, text)
    return messages


def django(
    languages: Sequence[str] | None = None,
    *,
    min_words: int = 1,
    min_chars: int = 1,
    max_chars: int | None = None,
    placeholders: bool = False,
    markup: bool = False,
    newlines: bool = False,
    copies: bool = False,
    complete: bool = True,
    distinct: bool = True,
) -> Dataset:
    """Interface messages of Django: English and more than 90 other locales, aligned.

    The rows are ordered by a hash of the message, so the first n rows are a random sample that stays the same.

    Args:
        languages: Codes besides English (`fr`, `pt-BR`, `zh-Hans`); None takes all, and keeps rows that lack
            some of them or repeat.
        min_words: Fewest white-space separated words of the English message.
        min_chars: Fewest characters of the English message.
        max_chars: Most characters of the English message.
        placeholders: Keep messages with `%(name)s`, `{name}` or a per cent sign in either language.
        markup: Keep messages with HTML tags or entities.
        newlines: Keep messages of several lines (joined to one line).
        copies: Keep translations that equal the English message; otherwise they count as missing.
        complete: Keep only the messages that all the languages have.
        distinct: Drop messages whose text in any column repeats that of an earlier row.

    Returns:
        Columns `key`, `en` and one per language; None where a language lacks a message and `complete` is False.

    Raises:
        UserError: unknown language; nothing left after filtering.
    """
    locales = django_locales()
    if languages is None:
        chosen, complete, distinct = list(locales), False, False
    else:
        chosen = [code for code in check_languages(languages, [*_ENGLISH, *locales], "django") if code != "en"]

    def usable(text: str) -> bool:
        return (
            (newlines or "\n" not in text.strip())
            and (placeholders or not _PLACEHOLDER.search(text))
            and (markup or not _MARKUP.search(text))
        )

    texts: dict[str, dict[str, str]] = {"en": {}}
    for code in chosen:
        column = texts.setdefault(code, {})
        for (context, message), translation in _django_messages(locales[code]).items():
            english, text = clean(message), clean(translation)
            long_enough = len(english.split()) >= min_words and len(english) >= min_chars
            if not long_enough or (max_chars and len(english) > max_chars):
                continue
            if not usable(message) or not usable(translation) or (text == english and not copies):
                continue
            key = short_hash(f"{context}\x04{message}")
            texts["en"].setdefault(key, english)
            column[key] = text
    return parallel_table(texts, ["en", *chosen], corpus="django", complete=complete, distinct=distinct)


@lru_cache(maxsize=1)
def pycountry_locales() -> dict[str, str]:
    """`{code: locale folder}` of pycountry's translations."""
    root = package_folder("pycountry") / "locales"
    folders = {path.parent.parent.name for path in root.glob("*/LC_MESSAGES/iso3166-1.mo")}
    return {bcp47(name): name for name in sorted(folders) if name.split("_")[0] != "en"}


def pycountry(
    languages: Sequence[str] | None = None,
    *,
    kinds: Sequence[str] = ("country", "language", "currency", "script"),
    copies: bool = True,
    complete: bool = True,
) -> Dataset:
    """ISO names of countries, languages, currencies, scripts and subdivisions.

    Args:
        languages: Codes besides English; None takes all, with `complete=False`.
        kinds: Keys of :data:`ISO_DOMAINS`.
        copies: Keep names that equal the English one (they often do, and rightly).
        complete: Keep only the names that all the languages have.

    Returns:
        Columns `key` (`country/Aruba`), `kind`, `en` and one per language.

    Raises:
        UserError: unknown language or kind; nothing left.
    """
    unknown = [kind for kind in kinds if kind not in ISO_DOMAINS]
    if unknown:
        raise UserError(f"Corpus 'pycountry' has no kind {unknown[0]!r}; it has {', '.join(ISO_DOMAINS)}.")
    locales = pycountry_locales()
    if languages is None:
        chosen, complete = list(locales), False
    else:
        chosen = [code for code in check_languages(languages, [*_ENGLISH, *locales], "pycountry") if code != "en"]
    root = package_folder("pycountry") / "locales"
    texts: dict[str, dict[str, str]] = {"en": {}}
    extra: dict[str, dict[str, str]] = {}
    for code in chosen:
        column = texts.setdefault(code, {})
        for kind in kinds:
            path = root / locales[code] / "LC_MESSAGES" / f"{ISO_DOMAINS[kind]}.mo"
            for (_, name), translation in (read_catalogue(path) if path.exists() else {}).items():
                if name == translation and not copies:
                    continue
                key = f"{kind}/{name}"
                texts["en"].setdefault(key, clean(name))
                extra.setdefault(key, {"kind": kind})
                column[key] = clean(translation)
    return parallel_table(texts, ["en", *chosen], corpus="pycountry", complete=complete, extra=extra)
