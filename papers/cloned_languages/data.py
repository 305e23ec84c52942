"""What is read and what is measured, as token ids of each language's own tokenizer.

material(config, run)       # tokenised once for all variants of a seed, and mapped into memory
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Int

from core.corpora import manifest
from core.corpora.indexed import TokenRows
from core.errors import UserError
from core.experiment.config import to_dict
from core.files import read_json, write_json
from papers.cloned_languages.config import Config
from papers.cloned_languages.method import Rendering, clones, paired

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from core.experiment.run import Run

HELD = 500
"""Documents of one's own that are held out for test at the beginning of each text, and as many for dev; a tenth of a
text that has fewer than ten times as many."""
LEARNT_FROM = 20_000
"""Documents that a tokenizer is trained on."""


class Texts(NamedTuple):
    """Of each language in turn.

    Attributes:
        read: Opens the documents to train on.
        held: Documents to measure on, by book.
        parallel: Held-out lines in both languages.
    """

    read: list[Callable[[], Iterable[str]]]
    held: list[dict[str, list[str]]]
    parallel: list[tuple[str, str]]


@dataclass(frozen=True)
class Material:
    """Of one language, which its clones share, or of two real ones.

    Attributes:
        read: Blocks to train on, [block, length].
        held: Text to measure on, by book.
        pairs: Parallel texts to compare; of clones there are none, since a text is parallel to itself.
        pieces: Of each tokenizer, in the order of their ids.
        padding: The padding id, which no clone moves.
        tokenizer: Folder of the first language's tokenizer.
    """

    read: list[Int[np.ndarray, "block length"]]
    held: list[dict[str, list[int]]]
    pairs: list[tuple[list[int], list[int]]]
    pieces: list[list[str]]
    padding: int | None
    tokenizer: Path

    def rendering(self, config: Config) -> Rendering:
        """The languages that a configuration asks for, in one vocabulary."""
        protected = () if self.padding is None else (self.padding,)
        if config.monolingual:
            return clones(len(self.pieces[0]), 0)
        if config.real:
            return paired(self.pieces[0], self.pieces[1], config.real == "anchored", protected)
        return clones(len(self.pieces[0]), config.clones, config.fraction, protected)

    def only(self, language: int) -> Material:
        """One of two real languages by itself."""
        parts: dict[str, Any] = {name: [getattr(self, name)[language]] for name in ("read", "held", "pieces")}
        return replace(self, pairs=[], **parts)


def material(config: Config, run: Run) -> Material:
    """Text of both languages of the miniature, or of as many as the configuration names."""
    names: tuple[str, ...] = ("seed", "split", "corpus", "tokenizer", "vocabulary", "compared")
    asked = to_dict(config)
    names += ("second", "pairs", "languages") if config.real and config.corpus else ()
    longest = max(1.0, config.length, *config.law, *config.law_second)
    length, needed = config.training.max_length, round(longest * config.training.steps) * config.training.batch_size

    def build(folder: Path) -> None:
        read, held, parallel = texts(config)
        tokenizers = [tokenizer_of(config, documents()) for documents in read]
        for number, (tokenizer, documents) in enumerate(zip(tokenizers, read, strict=True)):
            (folder / str(number)).mkdir()
            TokenRows.write(folder / str(number), islice(cut(joined(tokenizer, documents()), length), needed))
            tokenizer.save_pretrained(folder / str(number) / "tokenizer")
        facts = {
            "held": [
                {name: list(joined(tokenizer, lines)) for name, lines in by.items()}
                for tokenizer, by in zip(tokenizers, held, strict=True)
            ],
            "pairs": [
                [ids(tokenizer, text)[:length] for tokenizer, text in zip(tokenizers, pair, strict=True)]
                for pair in parallel[: config.compared]
            ],
            "pieces": [tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))) for tokenizer in tokenizers],
            "padding": tokenizers[0].pad_token_id,
        }
        write_json(folder / "facts.json", facts)

    folder = run.stage("text", {**{name: asked[name] for name in names}, "length": length, "needed": needed}, build)
    facts: Any = read_json(folder / "facts.json")
    read = [TokenRows.read(folder / str(number)).tokens.reshape(-1, length) for number in range(len(facts["pieces"]))]
    if not min(map(len, read)):
        raise UserError(f"A text has fewer than {length} tokens, which is no block: give more, or lower max_length.")
    if min(len(ids) for held in facts["held"] for ids in held.values()) < length:
        raise UserError(f"What is held out has fewer than {length} tokens, which is no window: give more text.")
    pairs = [(one, other) for one, other in facts["pairs"]]
    found = Material(read, facts["held"], pairs, facts["pieces"], facts["padding"], folder / "0" / "tokenizer")
    return found if config.real else found.only(0)


def texts(config: Config) -> Texts:
    """What is read and measured, of the miniature or of one's own.

    Raises:
        UserError: A text cannot be read or is too short to hold something out.
    """
    if not config.corpus:
        from papers.cloned_languages import miniature

        return miniature.texts(config)
    read, held = list[Callable[[], Iterable[str]]](), list[dict[str, list[str]]]()
    for source in (config.corpus, config.second) if config.real else (config.corpus,):
        first = list(islice(manifest.texts(source), 10 * HELD))
        count = len(first) // 10
        if not count:
            raise UserError(f"{source} has {len(first)} documents: give ten at least, of which some are held out.")
        begin = 0 if config.split == "test" else count
        read.append(partial(_after, source, 2 * count))
        held.append({"text": first[begin : begin + count]})
    pairs = (
        list(islice(manifest.pairs(config.pairs, *config.languages), config.compared))
        if config.real and config.pairs
        else []
    )
    return Texts(read, held, pairs)


def _after(source: str, count: int) -> Iterable[str]:
    return islice(manifest.texts(source), count, None)


def tokenizer_of(config: Config, documents: Iterable[str]) -> PreTrainedTokenizerBase:
    """The named one; else one that is trained on the text: characters, or byte-level BPE of so many pieces."""
    from core.models.loading import load_tokenizer
    from core.models.tokenization import train_bpe
    from papers.cloned_languages import miniature

    if config.tokenizer:
        return load_tokenizer(config.tokenizer)
    first = list(islice(documents, LEARNT_FROM))
    return train_bpe(first, config.vocabulary) if config.vocabulary else miniature.characters(first)


def ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of a text, without special tokens."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def joined(tokenizer: PreTrainedTokenizerBase, documents: Iterable[str]) -> Iterator[int]:
    """The token ids of documents one after another, each with the end token where there is one."""
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    iterator = iter(documents)
    while part := list(islice(iterator, 1000)):
        for found in tokenizer(part, add_special_tokens=False)["input_ids"]:
            yield from found
            yield from end


def cut(stream: Iterator[int], length: int) -> Iterator[Sequence[int]]:
    """Blocks of exactly `length`; what is left at the end is dropped (official code)."""
    while len(block := list(islice(stream, length))) == length:
        yield block
