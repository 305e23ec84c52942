"""`papers new my_paper`: the smallest paper that keeps the contract, ready to be filled.

What it writes runs, is formatted, and passes the contract tests as it is, but for one: that no placeholder is left
(:func:`unfilled`). It measures something real though trivial (whether two lists of numbers share a signal), so that the
author replaces working parts one by one.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import keyword
import re
import string
from pathlib import Path

from core.errors import UserError
from core.experiment.paper import PAPERS_DIR, slugs
from core.experiment.report import recording, update_scoreboard
from core.files import build_folder, write_text

TEMPLATES = Path(__file__).parent / "templates"
# What only the author can say; a page with one of these says something that is not true.
PLACEHOLDERS = (
    "one sentence on the paper.",
    "Title of the paper",
    "First Author et al.",
    "0000.00000",
    "The idea in one sentence.",
    "What the paper reports, with its table.",
    "Ten lines for a reader who wants to understand.",
    "A worked example, which the tests run.",
    "What the numbers mean, what was tried and failed, how many settings.",
    "1. Each difference, and why.",
    "Where the data come from.",
    "BibTeX.",
)


def write_skeleton(slug: str) -> str:
    """Write `papers/<slug>/` and its test.

    Args:
        slug: Folder name: lower-case letters, digits and underscores, beginning with a letter.

    Returns:
        What to do next.

    Raises:
        UserError: If the slug is no valid name or is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", slug):
        raise UserError(
            f"{slug[:60]!r} is no slug: use up to 40 lower-case letters, digits and underscores, such as my_paper."
        )
    if keyword.iskeyword(slug) or keyword.issoftkeyword(slug) or hasattr(builtins, slug):
        raise UserError(f"{slug!r} is a word of the language Python: choose another slug, such as {slug}_paper.")
    if importlib.util.find_spec(slug):  # finds a package without running it
        raise UserError(f"{slug!r} is the name of an installed package: choose another slug, such as {slug}_paper.")
    with recording():
        return _write(slug)


def unfilled(folder: Path) -> list[str]:
    """The placeholders that are left on a paper's card and page, each with its file."""
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in ("__init__.py", "README.md")}
    return [f"{name}: {words}" for name, text in texts.items() for words in PLACEHOLDERS if words in text]


def _write(slug: str) -> str:
    tests = PAPERS_DIR.parent / "tests" / "papers" / f"test_{slug}.py"
    for path, shown in ((PAPERS_DIR / slug, f"papers/{slug}"), (tests, f"tests/papers/test_{slug}.py")):
        if path.exists() or path.is_symlink():
            raise UserError(f"{shown} exists: choose another slug.")
    texts = {
        path.name.removesuffix(".tmpl"): string.Template(path.read_text(encoding="utf-8")).substitute(slug=slug)
        for path in sorted(TEMPLATES.glob("*.tmpl"))
    }
    test = texts.pop("test.py")

    def fill(folder: Path) -> None:
        for name, text in texts.items():
            write_text(folder / name, text)

    build_folder(PAPERS_DIR / slug, fill)
    write_text(tests, test)
    slugs.cache_clear()
    importlib.invalidate_caches()
    update_scoreboard()
    return (
        f"Wrote papers/{slug}/ and tests/papers/test_{slug}.py. Next: docs/guide/add-a-paper.md says what goes where, "
        f'and `uv run nox -s "paper({slug})"` which placeholders are left.'
    )
