"""What is wrong with a built site: dead links and anchors, raw Markdown, unrendered roles and maths, missing texts.

python -m docs.pages.built site
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a reader must not see outside code. A table's rule, a heading, a link, bold, a role, maths.
RAW = re.compile(
    r"^\s*\|[\s:|-]+\|\s*$|^#{1,6} |\]\([^)\s]+\)|\*\*[^*\s][^*]*\*\*"
    r"|:(?:func|class|mod|meth|data|attr):|\$\$|\\\[|\\\(|\\begin\{",
    re.MULTILINE,
)
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
SILENT = {"code", "pre", "script", "style", "svg", "math", "textarea", "title"}


@dataclass
class Page(HTMLParser):
    """A page's anchors, links and visible text."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """As `HTMLParser` wants it."""
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note anchors, links, and images without a text."""
        given = dict(attrs)
        self.anchors.update(value for name in ("id", "name") if (value := given.get(name)))
        if tag in ("a", "link") and given.get("href"):
            self.links.append(str(given["href"]))
        if tag in ("img", "script", "iframe") and given.get("src"):
            self.links.append(str(given["src"]))
        if tag == "img" and not (given.get("alt") or "").strip():
            self.faults.append(f"an image without alternative text: {given.get('src')}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close what is open."""
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Keep text that is not code."""
        if not SILENT & set(self.open):
            self.text.append(data)


def faults(site: Path) -> list[str]:
    """One line a fault of the site in this folder."""
    pages: dict[Path, Page] = {}
    for path in sorted(site.rglob("*.html")):
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        pages[path.resolve()] = page
    found = []
    for path, page in pages.items():
        where = path.relative_to(site.resolve())
        found += [f"{where}: {fault}" for fault in page.faults]
        found += [f"{where}: raw text: {match[0].strip()[:60]!r}" for match in RAW.finditer("\n".join(page.text))]
        for link in dict.fromkeys(page.links):
            if fault := _dead(link, path, site.resolve(), pages):
                found.append(f"{where}: {fault}")
    return found


def _dead(link: str, path: Path, site: Path, pages: dict[Path, Page]) -> str:
    """What is wrong with a link; nothing where it leads somewhere, or out of the site."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return ""
    target = path
    if parts.path:
        base = site if parts.path.startswith("/") else path.parent
        target = (base / unquote(parts.path).lstrip("/")).resolve()
        if target.is_dir():
            target /= "index.html"
        if not target.exists():
            return f"a link to nothing: {link}"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors and not anchor.startswith("__"):
        return f"a link to a missing anchor: {link}"
    return ""


def main() -> int:
    """Print the faults of the site named on the command line; 1 if there are any."""
    found = faults(Path(sys.argv[1]))
    print("\n".join(found) or "no dead link, no raw text")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
