"""`papers try`: every paper's main verb on a user's own data, by one command with the same options, with a report.

    papers try mexa --model Qwen/Qwen3-0.6B-Base --data lines.tsv
    papers try csr4mbart --model facebook/mbart-large-50 --data pairs.tsv --language swg
    papers try dip --model mine --data questions.jsonl -- --lexicon words.tsv

What a paper's `use.py` calls `TRY` says which verb that is, what to bring, and what the result means and does not. The
report is one HTML file with what was printed, the tables that were written, and these words; a folder with weights that
was made gets a model card.
"""

from __future__ import annotations

import base64
import contextlib
import html
import importlib
import importlib.util
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from core.errors import UserError
from core.experiment import pages
from core.experiment.keys import versions
from core.experiment.paper import Paper, find
from core.files import read_lines, write_text

OPTIONS = {"model": "a hub id, folder or wheel", "data": "a file or folder", "language": "a code or a name"}


@dataclass(frozen=True)
class Try:
    """How `papers try` uses a paper.

    Attributes:
        command: Words for `python -m papers.<slug>.use`, with `{data}`, `{model}`, `{language}` and `{out}` where they
            belong.
        data: What to bring, in a sentence.
        means: What the result says.
        limits: What it does not say.
        more: Options of the verb that have to come behind `--`, as an example.
    """

    command: str
    data: str
    means: str
    limits: str
    more: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """Which of `data`, `model` and `language` it takes."""
        return tuple(name for name in OPTIONS if f"{{{name}}}" in self.command)

    def words(self, slug: str, given: dict[str, str | None], out: Path) -> list[str]:
        """The command's words.

        Raises:
            UserError: Something is missing, or given and not taken.
        """
        for name, value in given.items():
            if value is None and name in self.needs:
                raise UserError(f"papers try {slug} needs --{name}: {self.data if name == 'data' else OPTIONS[name]}")
            if value is not None and name not in self.needs:
                raise UserError(f"papers try {slug} takes no --{name}: leave it out.")
        filled = {name: str(value) for name, value in given.items()} | {"out": str(out)}
        return [word.format(**filled) for word in self.command.split()]


def trial(slug: str) -> Try:
    """How a paper is tried.

    Raises:
        UserError: There is no such paper, or none of its verbs is for own data.
    """
    paper = find(slug)
    if importlib.util.find_spec(f"papers.{paper.slug}.use") is None:
        raise UserError(
            f"{paper.slug} is used through its train and eval: see 'Use it on your own' in "
            f"papers/{paper.slug}/README.md."
        )
    return importlib.import_module(f"papers.{paper.slug}.use").TRY


def attempt(slug: str, given: dict[str, str | None], out: Path, more: Sequence[str] = ()) -> Path:
    """Run a paper's main verb and write the report.

    Args:
        slug: The paper.
        given: `data`, `model` and `language`, those that were given.
        out: Folder of the report and of what the verb makes.
        more: Further options of the verb, as they are.

    Returns:
        The report.
    """
    paper, how = find(slug), trial(slug)
    words = [*how.words(paper.slug, given, out), *more]
    printed = io.StringIO()
    with _copied(printed):
        importlib.import_module(f"papers.{paper.slug}.use").main(words)
    command = f"python -m papers.{paper.slug}.use {' '.join(words)}"
    report = out / "report.html"
    for folder in _made(out):
        write_card(folder, paper, how, given)
    write_text(report, page(paper, how, given, command, printed.getvalue(), _tables(out), _pictures(out)))
    return report


@contextlib.contextmanager
def _copied(copy: io.StringIO) -> Iterator[None]:
    """What is printed is shown and kept."""

    class Both(io.TextIOBase):
        def __init__(self, shown: TextIO) -> None:
            self.shown = shown

        def write(self, text: str) -> int:
            copy.write(text)
            return self.shown.write(text)

        def flush(self) -> None:
            self.shown.flush()

        def isatty(self) -> bool:
            return self.shown.isatty()

    with contextlib.redirect_stdout(Both(sys.stdout)):
        yield


def _tables(out: Path) -> dict[str, list[list[str]]]:
    """Tables that the verb left in the folder, by name."""
    return {
        path.relative_to(out).as_posix(): [line.split("\t") for line in read_lines(path)]
        for path in sorted(out.rglob("*.tsv"))
    }


def _pictures(out: Path) -> dict[str, str]:
    """Figures that the verb left in the folder, by name, as addresses that hold them."""
    return {
        path.relative_to(out).as_posix(): f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
        for path in sorted(out.rglob("*.svg"))
    }


def _made(out: Path) -> list[Path]:
    """Folders with weights that a library loads."""
    names = ("config.json", "adapter_config.json")
    return sorted({path.parent for name in names for path in out.rglob(name) if any(path.parent.glob("*.safetensors"))})


def write_card(folder: Path, paper: Paper, how: Try, given: dict[str, str | None]) -> None:
    """A model card, as the hub reads it, beside weights that were made; one that somebody wrote stays."""
    path = folder / "README.md"
    adapter = (folder / "adapter_config.json").exists()
    if path.exists() and "[More Information Needed]" not in path.read_text(encoding="utf-8"):  # peft's empty form
        return
    meta: dict[str, Any] = {
        "library_name": "peft" if adapter else "transformers",
        "tags": ["multilingual-papers", paper.slug],
    }
    # A folder of this machine is nobody else's base.
    if given.get("model") and not Path(str(given["model"])).exists() and ":" not in str(given["model"]):
        meta["base_model"] = given["model"]
    if given.get("language"):
        meta["language"] = [given["language"]]
    front = "\n".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in meta.items())
    write_text(
        path,
        f"---\n{front}\n---\n\n# {folder.name}, made with {paper.slug}\n\n{paper.summary}\n\n"
        f"Method: {paper.authors}, *{paper.title}* ({paper.url}), as re-implemented in multilingual-papers.\n\n"
        f"{how.means}\n\n**Limits.** {how.limits}\n\n{paper.licence_note}\n",
    )


def page(
    paper: Paper,
    how: Try,
    given: dict[str, str | None],
    command: str,
    printed: str,
    tables: dict[str, list[list[str]]],
    pictures: dict[str, str],
) -> str:
    """The report: an HTML file that needs no other."""
    facts = {name: value for name, value in given.items() if value} | {"versions": ", ".join(
        f"{name} {value}" for name, value in versions().items() if name in ("python", "torch", "transformers")
    )}  # fmt: skip
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>" for name, value in facts.items()
    )
    shown = "".join(
        f"<h2>{html.escape(name)}</h2>{_interval_plot(table)}{pages.table(table)}" for name, table in tables.items()
    )
    shown += "".join(
        f'<h2>{html.escape(name)}</h2><img src="{address}" alt="{html.escape(name)}" style="max-width: 100%">'
        for name, address in pictures.items()
    )
    disclaimer = f"<p><b>{html.escape(paper.disclaimer)}</b></p>" if paper.disclaimer else ""
    return pages.document(
        f"{paper.slug} on your data",
        [
            f"<h1>{html.escape(paper.slug)} on your data</h1>{disclaimer}<p>{html.escape(paper.summary)}</p>",
            f"<table>{rows}</table><h2>What came out</h2><pre>{html.escape(printed)}</pre>{shown}",
            f"<h2>What it means</h2><p>{pages.prose(how.means)}</p>",
            f"<h2>What it does not mean</h2><p>{pages.prose(how.limits)}</p>",
            f"<h2>Again</h2><pre>{html.escape(command)}</pre>",
            f'<p>{html.escape(paper.authors)}, <a href="{html.escape(paper.url)}">{html.escape(paper.title)}</a>, ',
            f"{paper.year}.</p>",
        ],
    )


def _interval_plot(table: list[list[str]]) -> str:
    """A row a line of a table that has `low` and `high` and an estimate before them; otherwise nothing."""
    if not table or not {"low", "high"} <= set(table[0]):
        return ""
    low, high = table[0].index("low"), table[0].index("high")
    found = []
    for row in table[1:]:
        with contextlib.suppress(ValueError, IndexError):
            found.append(pages.Row(row[0], float(row[low - 1]), float(row[low]), float(row[high])))
    if not found:
        return ""
    return pages.interval_rows(found, f"{table[0][low - 1]} with intervals")
