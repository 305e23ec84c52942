"""Constraints, and how the encoder reads them in training.

Each word is a sequence, `<s> word </s>` or `<s> word </s></s> gloss </s>`, of which the word's tokens are pooled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from core.errors import UserError


class Constraint(NamedTuple):
    """Two words of one synset, with their languages and, where there are any, glosses."""

    synset: str
    word1: str
    lang1: str
    word2: str
    lang2: str
    gloss1: str = ""
    gloss2: str = ""


def sequences(tokenizer: Any, row: Constraint, longest: int, *, glosses: bool = False) -> dict[str, list[list[int]]]:
    """Both words as the encoder reads them: `ids`, and `word`, which is 1 for the tokens of the word.

    Raises:
        UserError: A word has no subword.
    """
    found: dict[str, list[list[int]]] = {"ids": [], "word": []}
    for word, gloss in ((row.word1, row.gloss1), (row.word2, row.gloss2)):
        encoded = tokenizer(word, *([gloss] if glosses else []), truncation=True, max_length=longest)
        found["ids"].append(encoded["input_ids"])
        found["word"].append([int(place == 0) for place in encoded.sequence_ids()])
    if not all(map(any, found["word"])):
        raise UserError(f"{tuple(row)} has a word without a subword: remove the row.")
    return found


def collate(rows: Sequence[Mapping[str, Any]], pad: int) -> dict[str, Tensor]:
    """Rows of :func:`sequences` with the number of their synset as `label`, padded on the right."""
    ids, words = ([one for row in rows for one in row[name]] for name in ("ids", "word"))
    return {
        "input_ids": _padded(ids, pad),
        "attention_mask": _padded([[1] * len(one) for one in ids], 0),
        "word": _padded(words, 0),
        "labels": torch.tensor([row["label"] for row in rows for _ in row["ids"]]),
    }


def _padded(rows: Sequence[Sequence[int]], filler: int) -> Int[Tensor, "row token"]:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (width - len(row))] for row in rows])
