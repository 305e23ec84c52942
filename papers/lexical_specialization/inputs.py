"""Constraints, and how the encoder reads them in training.

| inputs | sequences of a constraint | text 1 | text 2 |
|---|---|---|---|
| `words` | `<s> w1 </s>` and `<s> w2 </s>` | word | |
| `glosses` | `<s> w1 </s></s> g1 </s>`, likewise 2 | word | |
| `glosses_multitask` | the same | word | gloss |
| `joint` | `<s> w1 </s> w2 </s> g1 </s> g2 </s>` | one word | the other |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from core.errors import UserError
from papers.lexical_specialization.config import Inputs


class Constraint(NamedTuple):
    """Two words of one synset, with their languages and, where there are any, glosses."""

    synset: str
    word1: str
    lang1: str
    word2: str
    lang2: str
    gloss1: str = ""
    gloss2: str = ""


class Sequences(NamedTuple):
    """What the encoder reads of a constraint: ids, and of which text each token is; 0 for what is not pooled."""

    ids: list[list[int]]
    texts: list[list[int]]


def sequences(tokenizer: Any, row: Constraint, inputs: Inputs, longest: int) -> Sequences:
    """A constraint as the encoder reads it, cut to the longest input.

    Raises:
        UserError: A text that would be pooled has no subword.
    """
    options = {"truncation": True, "max_length": longest}
    pooled = {1, 2} if inputs in ("glosses_multitask", "joint") else {1}
    found = Sequences([], [])
    if inputs == "joint":
        whole = tokenizer.sep_token.join((row.word1, row.word2, row.gloss1, row.gloss2))
        found.ids.append(tokenizer(whole, **options)["input_ids"])
        ends = torch.tensor(found.ids[0]) == tokenizer.sep_token_id
        text = torch.where(ends, 0, ends.cumsum(0) + 1)
        text[0] = 0  # <s>
        found.texts.append(text.where(text <= 2, 0).tolist())
    else:
        for word, gloss in ((row.word1, row.gloss1), (row.word2, row.gloss2)):
            encoded = tokenizer(word, *([] if inputs == "words" else [gloss]), **options)
            found.ids.append(encoded["input_ids"])
            numbers = [0 if place is None else place + 1 for place in encoded.sequence_ids()]
            found.texts.append([number if number in pooled else 0 for number in numbers])
    if not all(pooled <= set(text) for text in found.texts):
        raise UserError(f"{tuple(row)} has a word or gloss without a subword: remove the row, or name other inputs.")
    return found


def collate(rows: Sequence[Mapping[str, Any]], pad: int) -> dict[str, Tensor]:
    """Rows `{"sequences": ..., "label": number of the synset}` as one batch, padded on the right."""
    ids = [one for row in rows for one in row["sequences"].ids]
    return {
        "input_ids": _padded(ids, pad),
        "attention_mask": _padded([[1] * len(one) for one in ids], 0),
        "texts": _padded([one for row in rows for one in row["sequences"].texts], 0),
        "labels": torch.tensor([row["label"] for row in rows for _ in row["sequences"].ids]),
    }


def _padded(rows: Sequence[Sequence[int]], filler: int) -> Int[Tensor, "row token"]:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (width - len(row))] for row in rows])
