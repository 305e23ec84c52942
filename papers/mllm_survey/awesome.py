"""Public lists of papers ("awesome" lists) as data: parse one, audit it, and say where a new title belongs.

    entries = parse_list(read_text("README.md"))
    audit(entries).duplicates

An entry begins with its number (or a bullet) at the start of a line and goes on until the next one or a heading. Three
styles of titles stand side by side in the survey's own list, and a pattern for one of them finds 68 of its 204 entries:
bold around quotes, quotes around bold, quotes alone. Titles that are links, as in most other lists, are read too.
Between the authors, in single asterisks, and the first link stands the venue; its last year is the entry's.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from core.errors import UserError

_START = re.compile(r"(?:(\d+)[.)]|[-*+])\s+(?=\S)")
_HEADING = re.compile(r"(#{1,6})\s+(.+?)\s*#*\s*$")
_QUOTES = "\"“”„«»'"
# Bold around quotes, quotes around bold, quotes alone, a link.
_STYLES: dict[str, re.Pattern[str]] = {
    "A": re.compile(rf"\*\*[{_QUOTES}](?P<title>.+?)[{_QUOTES}]\*\*"),
    "B": re.compile(rf"[{_QUOTES}]\*\*(?P<title>.+?)\*\*[{_QUOTES}]"),
    "C": re.compile(r"[\"“](?P<title>.+)[\"”]"),
    "link": re.compile(r"\[(?P<title>[^\]\[]+)\]\((?P<url>[^)\s]*)\)"),
}
_LINK = re.compile(r"\[\[(?P<label>[^\]]+)\]\((?P<url>[^)]*)\)(?P<closed>\]?)|\[(?P<bare>[^\]\[]+)\]\((?P<to>[^)]*)\)")
_AUTHORS = re.compile(r"(?<!\*)\*(?!\*)([^*]+)\*(?!\*)")
_QUALIFIER = re.compile(r"\(?\b(Findings|Demo Track|Workshop)\b\)?", re.IGNORECASE)
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_ARXIV = re.compile(r"arxiv[./](?:org/)?(?:abs/|pdf/|html/)?(\d{4}\.\d{4,5})", re.IGNORECASE)
_KINDS = {"paper": "paper", "pdf": "paper", "github": "code", "code": "code", "huggingface": "hub", "model": "hub"}


@dataclass(frozen=True)
class Entry:
    """One paper of a list.

    Attributes:
        heading: The headings above it, the outermost first.
        number: Its number; 0 where the list has bullets.
        title: As it stands there.
        style: How the title is set: `A`, `B`, `C` or `link`.
        authors: What stands in single asterisks.
        venue: Without qualifier.
        qualifier: `Findings`, `Demo Track` or `Workshop`.
        year: The last one in the venue; None where there is none.
        links: Address by kind: `paper`, `code`, `hub`, or the label.
        unclosed: Links whose bracket is not closed.
        line: Where it begins, from 1.
    """

    heading: tuple[str, ...]
    number: int
    title: str
    style: str
    authors: str
    venue: str
    qualifier: str
    year: int | None
    links: Mapping[str, str]
    unclosed: int
    line: int

    @property
    def key(self) -> str:
        """The title without case, accents and punctuation."""
        return normalized(self.title)

    @property
    def arxiv(self) -> str | None:
        """The number of the preprint that it links to."""
        found = (_ARXIV.search(url) for url in self.links.values())
        return next((match[1] for match in found if match), None)


def normalized(title: str) -> str:
    """Letters and digits of a title, by compatibility (NFKD), without case; other scripts than Latin are kept."""
    return "".join(c for c in unicodedata.normalize("NFKD", title).casefold() if c.isalnum())


def parse_list(text: str) -> list[Entry]:
    """All entries of a list in their order.

    Raises:
        UserError: There is none.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    heading: list[tuple[int, str]] = []
    starts: list[tuple[int, tuple[str, ...]]] = []
    ends: list[int] = []
    for place, line in enumerate(lines):
        if match := _HEADING.match(line):
            heading = [(depth, name) for depth, name in heading if depth < len(match[1])]
            heading.append((len(match[1]), match[2]))
            ends.append(place)
        elif _START.match(line):
            starts.append((place, tuple(name for _, name in heading)))
            ends.append(place)
    ends.append(len(lines))
    found = [
        _entry(lines[place : min(end for end in ends if end > place)], above, place + 1) for place, above in starts
    ]
    entries = [entry for entry in found if entry is not None]
    if not entries:
        raise UserError(
            "No entry found: an entry begins a line with `1.` or `-` and a title in bold, in quotes, or as a link."
        )
    return entries


def _entry(lines: Sequence[str], heading: tuple[str, ...], line: int) -> Entry | None:
    start = _START.match(lines[0])
    assert start is not None
    head = lines[0][start.end() :]
    style, match = next(((name, m) for name, pattern in _STYLES.items() if (m := pattern.match(head))), ("", None))
    if match is None:
        return None
    rest = "\n".join([head[match.end() :], *lines[1:]])
    links, unclosed = dict[str, str](), 0
    if style == "link":
        links["paper"] = match["url"]
    for link in _LINK.finditer(rest):
        label = (link["label"] or link["bare"]).strip().lower()
        links.setdefault(_KINDS.get(label, label), (link["url"] or link["to"] or "").strip())
        unclosed += link["label"] is not None and not link["closed"]
    authors = _AUTHORS.search(rest)
    after = rest[authors.end() if authors else 0 :]
    before_links = _LINK.search(after)
    venue = " ".join((after[: before_links.start()] if before_links else after).split()).strip(" .,;:|-–")
    qualifier = _QUALIFIER.search(venue)
    years = _YEAR.findall(venue)
    return Entry(
        heading,
        int(start[1] or 0),
        " ".join(match["title"].split()).rstrip("."),
        style,
        " ".join(authors[1].split()) if authors else "",
        " ".join(_QUALIFIER.sub("", venue).split()).strip(" .,-"),
        qualifier[1] if qualifier else "",
        int(years[-1]) if years else None,
        links,
        unclosed,
        line,
    )


# --- the audit ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Audit:
    """What a list holds, and what is wrong with it.

    Attributes:
        entries: How many.
        titles: Distinct ones.
        leaves: Entries by heading path, in order; 0 where no entry stands between a heading and the next one.
        styles: Entries by style of title.
        duplicates: Where each title stands that comes more than once: (heading path, number).
        venues: Duplicates with several venues or years: title and the venues.
        unlinked: Entries without a link to a paper.
        unclosed: Entries with a link whose bracket is not closed.
        not_addresses: Links that lead to no address: title and link.
        gaps: Heading paths whose numbers do not count 1, 2, 3.
        years: Entries by year, None where there is none.
        preprint_only: Entries whose venue is arXiv.
        with_code: (entries with code, entries) by the outermost heading that not all share.
        hosts: Entries by the host of the paper.
    """

    entries: int
    titles: int
    leaves: dict[tuple[str, ...], int]
    styles: dict[str, int]
    duplicates: dict[str, list[tuple[str, int]]]
    venues: dict[str, list[str]]
    unlinked: list[str]
    unclosed: list[str]
    not_addresses: list[tuple[str, str]]
    gaps: list[str]
    years: dict[int | None, int]
    preprint_only: int
    with_code: dict[str, tuple[int, int]] = field(default_factory=dict)
    hosts: dict[str, int] = field(default_factory=dict)


def audit(entries: Sequence[Entry]) -> Audit:
    """Count and check; nothing is looked up on the network."""
    by_title: dict[str, list[Entry]] = defaultdict(list)
    by_leaf: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        by_title[entry.key].append(entry)
        by_leaf[entry.heading].append(entry)
    repeated = [group for group in by_title.values() if len(group) > 1]
    numbered = {leaf: [entry.number for entry in group] for leaf, group in by_leaf.items() if group[0].number}
    domains: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        domains[domain(entry, entries)].append(entry)
    return Audit(
        len(entries),
        len(by_title),
        {leaf: len(group) for leaf, group in by_leaf.items()},
        dict(Counter(entry.style for entry in entries)),
        {group[0].title: [(" / ".join(e.heading[-1:]), e.number) for e in group] for group in repeated},
        {
            group[0].title: told
            for group in repeated
            if len(told := sorted({f"{e.venue} {e.qualifier}".strip() for e in group})) > 1
        },
        [entry.title for entry in entries if "paper" not in entry.links],
        [entry.title for entry in entries if entry.unclosed],
        [(e.title, url) for e in entries for url in e.links.values() if urlsplit(url).scheme not in ("http", "https")],
        [" / ".join(leaf) for leaf, numbers in numbered.items() if numbers != list(range(1, len(numbers) + 1))],
        dict(sorted(Counter(entry.year for entry in entries).items(), key=lambda item: item[0] or 0)),
        sum(entry.venue.lower().startswith("arxiv") for entry in entries),
        {name: (sum("code" in entry.links for entry in group), len(group)) for name, group in domains.items()},
        dict(Counter(_host(entry.links["paper"]) for entry in entries if "paper" in entry.links).most_common()),
    )


def domain(entry: Entry, entries: Sequence[Entry]) -> str:
    """The outermost heading above an entry that not all entries share."""
    shared = 0
    while all(len(e.heading) > shared + 1 and e.heading[shared] == entry.heading[shared] for e in entries):
        shared += 1
    return entry.heading[shared] if len(entry.heading) > shared else ""


def _host(url: str) -> str:
    host = urlsplit(url).netloc.lower().removeprefix("www.")
    return "arxiv.org" if host.endswith("arxiv.org") else host


# --- where a title belongs ----------------------------------------------------------------------------------------

Vectors = Callable[[Sequence[str]], Any]


def suggest(
    title: str, titles: Sequence[str], nodes: Sequence[str], vectors: Vectors | None = None, nearest: int = 5
) -> list[tuple[str, float]]:
    """Nodes for a title, the likeliest first: each of the nearest titles votes for its node with its similarity.

    Args:
        title: The new one.
        titles: Of a list; repetitions of the title itself do not vote.
        nodes: Where each of them stands.
        vectors: Texts -> vectors, such as an encoder; None weighs words by how rare they are (TF-IDF).
        nearest: How many vote.
    """
    found = _directions([title, *titles], vectors)
    return _vote(title, found[0], titles, nodes, found[1:], nearest)


def left_out(
    entries: Sequence[Entry], nodes: Sequence[str], vectors: Vectors | None = None, nearest: int = 5
) -> list[list[str]]:
    """For each entry the nodes that the other titles suggest, the likeliest first."""
    titles = [entry.title for entry in entries]
    found = _directions(titles, vectors)
    return [
        [node for node, _ in _vote(title, own, titles, nodes, found, nearest)]
        for title, own in zip(titles, found, strict=True)
    ]


def _directions(texts: Sequence[str], vectors: Vectors | None) -> np.ndarray:
    found = (vectors or tf_idf)(texts)
    found = np.asarray(getattr(found, "vectors", found), dtype=np.float64)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-300)


def _vote(
    title: str, own: np.ndarray, titles: Sequence[str], nodes: Sequence[str], others: np.ndarray, nearest: int
) -> list[tuple[str, float]]:
    key = normalized(title)
    kept = [place for place, other in enumerate(titles) if normalized(other) != key]
    if not kept:
        raise UserError("The list holds no other title: give one with more entries.")
    likeness = others[kept] @ own
    votes: dict[str, float] = defaultdict(float)
    for place in np.argsort(-likeness, kind="stable")[:nearest].tolist():
        votes[nodes[kept[place]]] += float(likeness[place])
    return sorted(votes.items(), key=lambda item: (-item[1], item[0]))


def tf_idf(texts: Sequence[str]) -> Any:
    """Words of texts, weighed by how rare they are among them."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True).fit_transform(texts).toarray()
