"""Code between fences (```), as chat models write it: found, and carried unharmed through a translation.

fenced("Try ```\nls\n``` first.")                     # ["```\nls\n```"]
keep_code(translated, original)                       # the blocks of the original in the translated text
"""

from __future__ import annotations

import re

_BLOCK = re.compile(r"```.*?```", re.DOTALL)


def fenced(text: str) -> list[str]:
    """Fenced blocks of a text in their order, fences included; one that is never closed is none."""
    return _BLOCK.findall(text)


def keep_code(translated: str, original: str) -> str:
    """A translation with the fenced blocks of the original: models translate code, too, and lose its line breaks.

    Blocks are replaced one for one; those that the translation lacks are appended, and those beyond are left as they
    are.
    """
    remaining = iter(fenced(original))
    text = _BLOCK.sub(lambda block: next(remaining, block[0]), translated)
    return "\n\n".join([text, *remaining])
