"""The tiny world: interface messages, those to train on and those to measure on in all languages.

Messages are Django's; near copies stand in one class, and no class is both trained and measured on.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from core.errors import UserError
from core.worlds import messages

# One variety of each language in which Django has most of its messages, in nine scripts.
TEXT_LANGUAGES = (
    "az", "be", "zh-Hans", "fr", "lv", "ru", "sr", "tr", "pl", "sk", "sv", "bg", "cs", "ja", "ckb", "ga", "gl", "es",
    "ko", "id", "da", "nl", "ug", "he", "et", "ar", "hu", "de", "fi", "sq", "fa", "ky", "ca", "mn", "it", "nb", "el",
    "uk", "eo", "pt",
)  # fmt: skip
# Those whose representations are looked at: what SmolLM2 has read most of, and others.
LANGUAGES = ("fr", "es", "de", "it", "nl", "pl", "ru", "tr", "id", "el")
LONGEST = 80

Split = Literal["test", "dev"]


@cache
def _texts(languages: Sequence[str], sentences: int, seed: int) -> dict[str, dict[str, list[str]]]:
    return messages.texts(languages, sentences, seed)


def text(languages: Sequence[str], sentences: int, seed: int) -> dict[str, list[str]]:
    """Messages to train on, by language."""
    return _texts(tuple(languages), sentences, seed)["train"]


def held_out(languages: Sequence[str], sentences: int, split: Split, seed: int) -> dict[str, list[str]]:
    """Messages to measure on, the same in all languages and of no class that is trained on."""
    return _texts(tuple(languages), sentences, seed)[split]


def sentences(languages: Sequence[str], n: int, split: Split, seed: int) -> dict[str, list[str]]:
    """A sample of messages in English and the languages, one of each class, for a model that was trained elsewhere.

    Raises:
        UserError: Unknown language, or fewer than n messages that all of them have.
    """
    found = messages.aligned(languages, split, n, seed, max_chars=LONGEST, distinct=True)
    if len(found["en"]) < n and split == "test":
        raise UserError(f"These {len(languages)} languages share {len(found['en'])} messages: lower --sentences.")
    return {code: list(column.values()) for code, column in found.items()}


def toy(folder: Path) -> None:
    """Save a small untrained Llama with a tokenizer that spells in bytes."""
    from core.models.scratch import byte_decoder

    byte_decoder(
        folder,
        [item.answer for item in messages.translations(["en"])][:100],
        vocabulary=300,
        layers=4,
        positions=512,
        spread=0.02,
    )
