"""What LangSAMP is fed: chunks of one language and script each, with the numbers of both.

corpus = read(config)                       # {"swh_Latn": texts, ...}
rows = chunked(tokenizer, corpus, names, 512)
batch = Chunks(Masking(tokenizer))(rows, rng)       # input_ids, labels, ..., languages, scripts
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.corpora import by_script
from core.corpora.mixture import mix
from core.errors import UserError
from core.text.sampling import probabilities
from core.training.masking import SPECIAL, Masking
from papers.langsamp.config import Config

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Row = dict[str, Any]


class Names(NamedTuple):
    """Names of the rows of both tables, and the rows of each part of the corpus."""

    languages: tuple[str, ...]
    scripts: tuple[str, ...]
    of: dict[str, tuple[int, int]]


def names(parts: Iterable[str]) -> Names:
    """Tables for parts such as `srp_Latn` and `srp_Cyrl`, which share a language and differ in their script.

    Raises:
        UserError: A name that has no script.
    """
    split = {}
    for part in parts:
        language, _, script = part.partition("_")
        if len(script) != 4 or not script.istitle():
            raise UserError(f"{part!r} is not <language>_<Script>, such as swh_Latn: rename the file.")
        split[part] = language, script
    languages, scripts = (tuple(dict.fromkeys(pair[side] for pair in split.values())) for side in (0, 1))
    return Names(languages, scripts, {part: (languages.index(a), scripts.index(b)) for part, (a, b) in split.items()})


@dataclass(frozen=True)
class Chunks:
    """Rows -> batch: masked as :class:`core.training.masking.Masking` does, with `languages` and `scripts` [row].

    Attributes:
        masking: Which tokens are predicted.
        shuffled: Hand the rows' ids out anew within the batch (null arm); by chance some rows keep their language.
    """

    masking: Masking
    shuffled: bool = False

    def __call__(self, rows: Sequence[Mapping[str, Any]], rng: np.random.Generator) -> dict[str, Tensor]:
        """The batch; the same for the same rows and state of `rng`."""
        batch = self.masking(rows, rng)
        order = rng.permutation(len(rows)) if self.shuffled else np.arange(len(rows))
        for name in ("languages", "scripts"):
            batch[name] = torch.tensor([rows[place][name] for place in order])
        return batch


def chunked(
    tokenizer: PreTrainedTokenizerBase, corpus: Mapping[str, Iterable[str]], tables: Names, length: int
) -> dict[str, list[Row]]:
    """Chunks of exactly `length` tokens by part: lines one after the other, never of two languages (official code).

    What is left at the end of a part is dropped, unless the part has nothing else.

    Raises:
        UserError: A part without text.
    """
    before, after = _around(tokenizer)
    room = length - len(before) - len(after)
    found: dict[str, list[Row]] = {}
    for part, lines in corpus.items():
        language, script = tables.of[part]
        stream = [token for line in lines for token in tokenizer(line, add_special_tokens=False)["input_ids"]]
        if not stream:
            raise UserError(f"{part} has no text: give it some, or leave it out.")
        starts = range(0, max(1, len(stream) - room + 1), room)
        rows = found[part] = []
        for start in starts:
            inner = stream[start : start + room]
            words = [*[SPECIAL] * len(before), *range(len(inner)), *[SPECIAL] * len(after)]
            ids = [*before, *inner, *after]
            rows.append({"input_ids": ids, "words": words, "languages": language, "scripts": script})
    return found


def _around(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The special tokens that the tokenizer puts before and after a text."""
    found = tokenizer("a", return_special_tokens_mask=True)
    ids, special = found["input_ids"], found["special_tokens_mask"]
    first = special.index(0)
    return ids[:first], ids[first + special[first:].count(0) :]


def sampled(chunks: Mapping[str, Sequence[Row]], count: int, alpha: float, seed: int) -> list[Row]:
    """About `count` chunks, of each language in the share of its size to the power of `alpha`.

    Its chunks come in turn, so that a small language is repeated only when it has been read through.
    """
    shares = probabilities({part: len(rows) for part, rows in chunks.items()}, alpha=alpha)
    return [row for _, row in mix(chunks, shares, count, lambda _: 1, seed=seed)]


def read(config: Config) -> dict[str, Iterable[str]]:
    """Text by part: of Glot500 on the hub, or of a folder with one `<language>_<Script>.txt` each.

    Raises:
        UserError: No such folder, no text in it, or a part that it lacks.
    """
    if config.corpus == "glot500" and not config.languages:
        raise UserError("Name the languages of Glot500 that are to be read, such as --languages swh_Latn.")
    known = config.languages if config.corpus == "glot500" else by_script.parts(config.corpus)
    if absent := [part for part in config.languages if part not in known]:
        raise UserError(f"{config.corpus} has no {absent[0]}.txt: it has {', '.join(known)}.")
    return {part: by_script.lines(config.corpus, part) for part in config.languages or known}
