"""The tiny world: interface messages in 20 languages. What is asked beside them is `core.tasks.words`.

Messages are Django's, one of each class of near copies, present and different in all languages; a fifth of the classes
is for development. Seeds 3n, 3n + 1 and 3n + 2 share no message: that is all that there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from core.errors import UserError
from core.tasks.words import DISJOINT
from core.worlds import messages

# Those in which Django has nearly all its messages, in nine scripts: from close relatives of English to scripts that
# the model's tokenizer spells byte by byte.
LANGUAGES = (
    "fr", "es", "it", "nl", "de", "pl", "ru", "bg", "id", "tr", "fi", "el", "ar", "fa", "ja", "ko", "zh-Hans", "ky",
    "sq", "lv",
)  # fmt: skip
LONGEST = 80
SHARES = {"dev": 0.2, "test": 0.8}


def sentences(codes: Sequence[str], split: Literal["test", "dev"], n: int, seed: int) -> dict[str, dict[str, str]]:
    """A sample of messages by language and key, English first; for development all that there are.

    Raises:
        UserError: unknown language, or fewer than n messages that all languages have.
    """
    # Shorter ones are labels, no sentences; of two equal sentences neither could be found strictly first.
    found = messages.aligned(
        codes, split, n, seed, shares=SHARES, max_chars=LONGEST, min_words=4, distinct=True,
        disjoint=1 if split == "dev" else DISJOINT,
    )  # fmt: skip
    if len(found["en"]) < (4 if split == "dev" else n):
        raise UserError(f"These {len(codes)} languages share {len(found['en'])} messages: lower --n, or name fewer.")
    return found


def toy(folder: Path) -> None:
    """Save a small untrained Llama, as deep as the paper's five layers ask for, that spells in bytes."""
    from core.models.scratch import byte_decoder

    lines = [item.answer for item in messages.translations(["en"])][:200]
    byte_decoder(folder, lines, vocabulary=400, width=32, layers=25, heads=4, positions=1024)
