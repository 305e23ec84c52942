"""Documents in two languages, sentence by sentence and in their order.

    read_bitext("memory.tmx", languages=("de", "en"))                     # a translation memory
    read_bitext("talk.de.txt", "talk.en.txt", languages=("de", "en"))     # line by line; empty lines part documents
    read_bitext("film.de.srt", "film.en.srt", languages=("de", "en"))     # subtitles, paired by when they are shown
    read_bitext("Helsinki-NLP/news_commentary#de-en", languages=("de", "en"))    # rows, as of core.corpora.read_rows

What has no documents of its own (a translation memory, rows in one piece) is one document; :func:`windows` cuts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from core.corpora.files import adapted, read_rows
from core.errors import UserError
from core.files import opened, read_lines
from core.text.languages import match

Pair = tuple[str, str]
Document = list[Pair]
"""Sentences and their translations, in the order of the text."""

_SUBTITLES = (".srt", ".vtt", ".ass", ".ssa")
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def read_bitext(*sources: str, languages: Pair) -> Iterator[Document]:
    """The documents of a source, one after another; a pair without text on either side is left out.

    Args:
        sources: A `.tmx`; two text files or two subtitle files, of the first language and of the second; or what
            :func:`core.corpora.read_rows` takes, with a column a language or one `translation`: an empty row parts
            documents, and so does a change in a column `document`.
        languages: The two codes.

    Raises:
        UserError: A file that cannot be read, numbers of lines that differ, a unit or row without the languages, or
            nothing at all; with file and line.
    """
    if len(sources) == 2:
        subtitled = all(Path(name).suffix.lower() in _SUBTITLES for name in sources)
        found = (_subtitles if subtitled else _lines)(*sources)
    elif len(sources) == 1:
        memory = sources[0].lower().endswith(".tmx")
        found = (_translation_memory if memory else _rows)(sources[0], languages)
    else:
        raise UserError(f"{len(sources)} sources: give one with both languages, or one file for each.")
    empty = True
    for document in found:
        if document := [(a.strip(), b.strip()) for a, b in document if a.strip() and b.strip()]:
            empty = False
            yield document
    if empty:
        raise UserError(
            f"{' '.join(sources)} has no sentence in both {languages[0]!r} and {languages[1]!r}: check the languages."
        )


def windows(documents: Iterable[Document], size: int) -> Iterator[Document]:
    """Documents of at most `size` consecutive pairs."""
    for document in documents:
        for start in range(0, len(document), size):
            yield document[start : start + size]


def _lines(first: str, second: str) -> Iterator[Document]:
    ours, theirs = read_lines(first), read_lines(second)
    if len(ours) != len(theirs):
        raise UserError(f"{first} has {len(ours)} lines and {second} {len(theirs)}: line n must translate line n.")
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True), start=1):
        if bool(a.strip()) != bool(b.strip()):
            where = first if b.strip() else second
            raise UserError(f"{where}, line {number} is empty and its translation is not: fill it, or empty both.")
    pairs = zip(ours, theirs, strict=True)
    yield from (list(group) for filled, group in groupby(pairs, lambda pair: bool(pair[0].strip())) if filled)


def _translation_memory(path: str, languages: Pair) -> Iterator[Document]:
    document: Document = []
    with opened(path) as file:
        try:
            for _, unit in ElementTree.iterparse(file):
                if unit.tag != "tu":
                    continue
                texts = {
                    variant.get(_LANG) or variant.get("lang") or "": _text(segment)
                    for variant in unit.iter("tuv")
                    if (segment := variant.find("seg")) is not None
                }
                codes = [match(code, texts) for code in languages]
                if all(codes):
                    document.append((texts[str(codes[0])], texts[str(codes[1])]))
                unit.clear()
        except ElementTree.ParseError as error:
            raise UserError(f"{path} is no translation memory ({error}): give a whole .tmx file.") from None
    yield document


def _text(segment: ElementTree.Element) -> str:
    """What a reader sees: codes of the original's format (`bpt`, `ph`, ...) are left out, highlights (`hi`) are not."""
    inner = ((_text(part) if part.tag == "hi" else "") + (part.tail or "") for part in segment)
    return (segment.text or "") + "".join(inner)


def _subtitles(first: str, second: str) -> Iterator[Document]:
    """Each subtitle with the one that is shown with it longest, where both choose each other."""
    ours, theirs = _shown(first), _shown(second)
    best = [_most_overlap(span, theirs) for span, _ in ours]
    back = [_most_overlap(span, ours) for span, _ in theirs]
    yield [(ours[i][1], theirs[j][1]) for i, j in enumerate(best) if j is not None and back[j] == i]


def _shown(path: str) -> list[tuple[tuple[int, int], str]]:
    import pysubs2

    text = "\n".join(read_lines(path))
    try:
        events = pysubs2.SSAFile.from_string(text)
    except (pysubs2.exceptions.Pysubs2Error, ValueError) as error:
        raise UserError(f"{path} is no file of subtitles ({error}): give .srt, .vtt or .ass.") from None
    lines = [((event.start, event.end), " ".join(event.plaintext.split())) for event in events if not event.is_comment]
    return sorted(line for line in lines if line[1])


def _most_overlap(span: tuple[int, int], others: Sequence[tuple[tuple[int, int], str]]) -> int | None:
    shared = [min(span[1], end) - max(span[0], start) for (start, end), _ in others]
    best = max(range(len(shared)), key=shared.__getitem__, default=None)
    return best if best is not None and shared[best] > 0 else None


def _rows(source: str, languages: Pair) -> Iterator[Document]:
    def texts(row: Mapping[str, Any], number: int) -> tuple[tuple[Any, bool], Pair]:
        cells = row.get("translation", row)
        if missing := [code for code in languages if not isinstance(cells.get(code), str)]:
            raise UserError(f"it has no text in {missing[0]!r}")
        first, second = (cells[code] for code in languages)
        return (row.get("document"), bool(first.strip() or second.strip())), (first, second)

    rows = adapted(source, read_rows(source, streaming=True), texts)
    yield from ([pair for _, pair in group] for _, group in groupby(rows, lambda row: row[0]))
