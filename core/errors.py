"""The one error that reports bad user input."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

# Longer than any path or list of choices that somebody would read; what is cut is what was typed or stands in a file.
LONGEST_WORD, LONGEST = 300, 2000
_WORD = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")


class UserError(Exception):
    """Bad input from the user: one sentence that names the input and the fix.

    The command line prints the sentence without a traceback and exits with code 2. An absurdly long input is shortened.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(shorten(str(message)))


@contextlib.contextmanager
def about(*inputs: object) -> Iterator[None]:
    """What is said inside of the content of files, by what knows no files, begins with their names.

    Raises:
        UserError: As inside; unchanged where it names one of them.
    """
    try:
        yield
    except UserError as error:
        if any(str(one) in str(error) for one in inputs):
            raise
        raise UserError(f"{', '.join(map(str, inputs))}: {error}") from error


def shorten(text: str) -> str:
    """A message of at most some two thousand characters: the middle of absurdly long words, and of the whole, is cut.

    Beginning and end stay: the one names the input, the other the fix.
    """
    text = _WORD.sub(lambda found: _cut(found[0], LONGEST_WORD), text) if len(text) > LONGEST_WORD else text
    return _cut(text, LONGEST) if len(text) > LONGEST else text


def _cut(text: str, room: int) -> str:
    return f"{text[: room * 2 // 3]}[... {len(text):,} characters ...]{text[-room // 4 :]}"
