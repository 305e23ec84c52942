"""What LangSAMP is fed: chunks of one language and script each, with the numbers of both.

corpus = read(config)                       # {"swh_Latn": texts, ...}
rows = chunked(tokenizer, corpus, names, 512)
batch = Chunks(Masking(tokenizer))(rows, rng)       # input_ids, labels, ..., languages, scripts
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from core import corpora
from core.errors import UserError
from core.files import read_lines
from core.text.sampling import probabilities
from core.training.masking import SPECIAL, Masking
from papers.langsamp.config import Config

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Row = dict[str, Any]
GLOT500 = "cis-lmu/Glot500"


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
    """`count` chunks, languages drawn by their size to the power of `alpha`, the chunks of each in turn.

    In turn, so that a small language is repeated only when it has been read through.
    """
    rng = np.random.default_rng(seed)
    shares = probabilities({part: len(rows) for part, rows in chunks.items()}, alpha=alpha)
    orders = {part: _endless(rows, rng) for part, rows in chunks.items()}
    drawn = rng.choice(list(shares), size=count, p=list(shares.values()))
    return [next(orders[part]) for part in drawn]


def _endless(rows: Sequence[Row], rng: np.random.Generator) -> Iterator[Row]:
    while True:
        yield from (rows[place] for place in rng.permutation(len(rows)))


def read(config: Config) -> dict[str, Iterable[str]]:
    """Text by part: of Glot500 on the hub, or of a folder with one `<language>_<Script>.txt` each.

    Raises:
        UserError: No such folder, no text in it, or a part that it lacks.
    """
    if config.corpus == "glot500":
        if not config.languages:
            raise UserError(f"Name the languages of {GLOT500} that are to be read, such as --languages swh_Latn.")
        return {part: _glot500(part) for part in config.languages}
    folder = Path(config.corpus)
    files = {path.stem: path for path in sorted(folder.glob("*_*.txt"))}
    if not files:
        raise UserError(f"{folder} has no file such as swh_Latn.txt: give a folder with one for each language.")
    wanted = config.languages or tuple(files)
    if absent := [part for part in wanted if part not in files]:
        raise UserError(f"{folder} has no {absent[0]}.txt: it has {', '.join(files)}.")
    return {part: [line for line in read_lines(files[part]) if line.strip()] for part in wanted}


def _glot500(part: str) -> Iterator[str]:
    """The lines of one language: the column `text` of the published data."""
    for row in corpora.read_rows(f"{GLOT500}#{part}", streaming=True):
        yield str(row["text"])
