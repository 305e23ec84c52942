r"""What must not be translated: found, kept out of the way of a translator, put back, and counted afterwards.

    masked, spans = protect("Use `pip install x`, see https://a.b/c.")     # "Use ⟦0⟧, see ⟦1⟧."
    restore(masked, spans)                                                 # the text again, whatever it was
    preserved(source, translation)                                         # whether all of them came through
    audit(pairs)                                                           # shares, in all and by kind

Kinds are looked for in the order of `KINDS`, and what one has taken no other sees: a link in the attribute of a tag
belongs to the tag, a dollar sign in code is no formula.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean
from typing import Any, NamedTuple

# Stands in place of what another kind has taken; no pattern reaches across it.
_TAKEN = "\0"
_MARK = re.compile(r"⟦(\d+)⟧")
_DECODER = json.JSONDecoder()
# The dollar signs of one line follow pandoc's rule, by which "$5 and $6" is no formula. A relative path needs a file's
# ending, since "and/or" is none.
_PATTERNS = {
    "mark": _MARK.pattern,
    "fence": r"```[^\0]*?```",
    "code": r"(?<!`)`[^`\n\0]+`(?!`)",
    "math": r"\$\$[^$\0]+\$\$|\\\([^\n\0]+?\\\)|\\\[[^\0]+?\\\]|(?<![\\$\w])\$(?=[^\s$])[^$\n\0]*?(?<=[^\s\\])\$(?!\d)",
    "json": "",
    "tag": r"</?[A-Za-z][^<>\n\0]*>|<!--[^\0]*?-->|&(?:#\d+|[A-Za-z]+);",
    "url": r"\b(?:https?|ftp)://[^\s<>\"'`\0]*[^\s<>\"'`\0.,;:!?)\]}»”’।]",
    "email": r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b",
    "placeholder": r"%\([^)\s\0]+\)[a-zA-Z]|%[sd](?![^\W_])|\$\{[^{}\s\0]+\}|\{\{[^{}\n\0]*\}\}|\{\w*\}",
    "path": (
        r"(?<![\w/.~])(?:~|\.{1,2})?(?:/[\w.+@-]*[\w+@-]){2,}/?|(?<![\w/])[A-Za-z]:(?:\\[\w.+-]+){2,}"
        r"|(?<![\w/.])[\w-]+(?:/[\w.-]+)*/[\w.-]*\w\.[A-Za-z]\w{0,4}\b"
    ),
}
KINDS = tuple(_PATTERNS)
_COMPILED = {kind: re.compile(pattern) for kind, pattern in _PATTERNS.items()}


class Span(NamedTuple):
    """A piece that stays as it is."""

    kind: str
    text: str


def protect(text: str) -> tuple[str, list[Span]]:
    """The text with a mark `⟦i⟧` for its i-th protected span, and the spans."""
    found: list[tuple[int, int, str]] = []
    rest = text.replace(_TAKEN, " ")
    for kind, pattern in _COMPILED.items():
        places = list(_objects(rest)) if kind == "json" else [match.span() for match in pattern.finditer(rest)]
        for start, end in places:
            found.append((start, end, kind))
            rest = rest[:start] + _TAKEN * (end - start) + rest[end:]
    parts: list[str] = []
    spans: list[Span] = []
    at = 0
    for start, end, kind in sorted(found):
        parts += [text[at:start], f"⟦{len(spans)}⟧"]
        spans.append(Span(kind, text[start:end]))
        at = end
    return "".join([*parts, text[at:]]), spans


def restore(masked: str, spans: list[Span]) -> str:
    """The spans put back; a mark that stands for none stays."""
    return _MARK.sub(lambda mark: spans[int(mark[1])].text if int(mark[1]) < len(spans) else mark[0], masked)


def complete(masked: str, spans: list[Span]) -> bool:
    """Whether a translator has left every mark once; where it has not, nobody knows where a span belongs."""
    return sorted(map(int, _MARK.findall(masked))) == list(range(len(spans)))


def _objects(text: str) -> Iterator[tuple[int, int]]:
    """JSON objects that name something; `{}` and `{name}` are none."""
    at = text.find("{")
    while at >= 0:
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if value:
                yield at, end
        at = text.find("{", end)


def preserved(source: str, translation: str) -> bool:
    """Whether both texts have the same spans, each as often; their order is the language's."""
    return _counted(source) == _counted(translation)


def _counted(text: str) -> Counter[Span]:
    return Counter(protect(text)[1])


class Audit(NamedTuple):
    """What came through: texts in all and with spans; the share of these whose spans are all preserved (1 where there
    is none), and by kind, over the texts that have that kind; of what broke, also by gaining a span, the place in the
    order given, what was lost and what was gained."""

    texts: int
    with_spans: int
    integrity: float
    by_kind: dict[str, float]
    broken: list[tuple[int, list[str], list[str]]]


def audit(pairs: Iterable[tuple[str, str]]) -> Audit:
    """Compare source texts with their translations."""
    kinds: dict[str, list[bool]] = defaultdict(list)
    broken, count = [], 0
    for count, (source, translation) in enumerate(pairs, start=1):
        before, after = _counted(source), _counted(translation)
        lost, gained = before - after, after - before
        if lost or gained:
            gone, new = (sorted(span.text for span in found.elements()) for found in (lost, gained))
            broken.append((count - 1, gone, new))
        changed = {span.kind for span in lost | gained}
        for kind in {span.kind for span in before}:
            kinds[kind].append(kind not in changed)
        if before:
            kinds[""].append(not changed)
    whole = kinds.pop("", [])
    shares = {kind: fmean(kinds[kind]) for kind in KINDS if kind in kinds}
    return Audit(count, len(whole), fmean(whole) if whole else 1.0, shares, broken)


def translated_values(spans: list[Span], translate: Callable[[list[str]], Sequence[str]]) -> list[Span]:
    """The spans, with the texts inside JSON objects exchanged for their translations; keys and numbers stay."""

    def walk(value: Any, change: Callable[[str], str]) -> Any:
        if isinstance(value, dict):
            return {key: walk(inner, change) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner, change) for inner in value]
        return change(value) if isinstance(value, str) and any(map(str.isalpha, value)) else value

    objects = {number: _DECODER.decode(span.text) for number, span in enumerate(spans) if span.kind == "json"}
    texts: dict[str, str] = {}
    walk(list(objects.values()), lambda text: texts.setdefault(text, text))
    if texts:
        texts = dict(zip(texts, translate(list(texts)), strict=True))
    done = {n: json.dumps(walk(found, texts.__getitem__), ensure_ascii=False) for n, found in objects.items()}
    return [span._replace(text=done.get(number, span.text)) for number, span in enumerate(spans)]
