r"""What a terminal is given: text of models and files with its control characters spelled out.

A model's answer, a row of a file or a path may hold sequences that a terminal obeys: they rename the window, fill the
clipboard, overwrite lines, or show text in another order than it has (https://trojansource.codes). While a command
runs, :func:`escaped` stands between it and its output, so that no `print` has to think of that.

    printable("\x1b]0;mine\x07 a\tb\n")     # '\\x1b]0;mine\\x07 a\tb\n'
    with escaped(): print(answer)           # what every command does
    console().print(table)                  # rich, without markup: `[/bold]` in a path is text
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console

# Cc but for tab and line feed; what overrides or embeds directions (marks and joiners are part of spelling); halves of
# surrogate pairs, which no terminal can be given.
_CONTROL = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_OBEYED = re.compile(rf"[{_CONTROL}\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# tqdm redraws the bars of libraries with these two.
_REDRAWN = re.compile(r"(\r|\x1b\[A)")


def printable(text: object) -> str:
    r"""`str(text)` with everything that a terminal would obey as an escape (`\x1b`, `\r`, `\u202e`).

    Line feeds, tabs and what is spelled with invisible characters (joiners, directional marks) stay. What is printable
    is left alone: a second call changes nothing.
    """
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], str(text))


class _Escaped:
    """A text stream whose `write` escapes."""

    def __init__(self, stream: TextIO, *, redrawn: bool) -> None:
        self.stream, self._redrawn = stream, redrawn

    def write(self, text: str) -> int:
        parts = _REDRAWN.split(text) if self._redrawn else [text]
        parts[::2] = map(printable, parts[::2])
        self.stream.write("".join(parts))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _wrapped(stream: TextIO, *, redrawn: bool = False) -> TextIO:
    kept = stream is None or isinstance(stream, _Escaped)  # None where there is no console, as under pythonw
    return stream if kept else cast(TextIO, _Escaped(stream, redrawn=redrawn))


@contextlib.contextmanager
def escaped() -> Iterator[None]:
    """What is printed meanwhile goes through :func:`printable`; on standard error the bars of libraries still move."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _wrapped(sys.stdout), _wrapped(sys.stderr, redrawn=True)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def beneath(stream: TextIO) -> TextIO:
    """The stream itself, for what styles its own output and escapes the text in it."""
    return stream.stream if isinstance(stream, _Escaped) else stream


@contextlib.contextmanager
def styled(texts: Iterable[str]) -> Iterator[None]:
    """Room for a library that styles its own output, unless one of the texts that it may repeat has to be escaped."""
    streams = beneath(sys.stdout), beneath(sys.stderr)
    if any(text != printable(text) for text in texts):
        streams = _wrapped(streams[0]), _wrapped(streams[1])
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        yield


def wrapped(text: str, width: int) -> str:
    r"""Lines that are too long broken between words; what follows stands below the words after the line's label.

    wrapped("  peak in   the loss of the last layer", 24)   # "  peak in   the loss of\n            the last layer"
    """
    import textwrap

    lines = []
    for line in text.splitlines():
        label = re.match(r"\s*\S+(?: \S+)*?\s{2,}(?=\S)|\s*", line)
        indent = " " * (label.end() if label and label.end() <= width // 2 else 2)
        wrapper = textwrap.TextWrapper(width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        lines += wrapper.wrap(line) if len(line) > width else [line]
    return "\n".join(lines)


def folded(command: str, width: int) -> str:
    """A shell command over several lines, each but the last ended by a backslash, so that it can still be pasted."""
    lines: list[str] = []
    for part in re.split(r" (?=-)", command):
        if lines and len(lines[-1]) + 1 + len(part) + 2 <= width:
            lines[-1] += f" {part}"
        else:
            lines.append(f"    {part}" if lines else part)
    return " \\\n".join(lines)


def console(*, stderr: bool = False, **options: Any) -> Console:
    """A console of rich that styles what is a `rich.text.Text` with a style, and takes every other text as it is.

    Without it a path `[/bold]` would be an error, `[red]` would be lost and `:cat:` a cat.

    Args:
        stderr: Print to standard error.
        options: Of `rich.console.Console`, such as `width`.
    """
    from rich.console import Console
    from rich.segment import Segment
    from rich.text import Text

    class Escaping(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options)

        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=printable(segment.text))

    stream = beneath(sys.stderr if stderr else sys.stdout)
    return Escaping(file=stream, markup=False, emoji=False, highlight=False, **options)
