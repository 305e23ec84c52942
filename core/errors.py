"""The one error that reports bad user input."""

from __future__ import annotations


class UserError(Exception):
    """Bad input from the user: one sentence that names the input and the fix.

    The command line prints the sentence without a traceback and exits with code 2.
    """
