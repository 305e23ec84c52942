"""The tiny world: names of territories, languages, currencies and scripts, told apart in a language without task data.

The task is learnt from English names and measured on the target's names of concepts that no training data show, in
any language; concepts that share a name are one class. Phase one reads the other names and interface messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from core import corpora
from core.tasks.labelled import Labelled
from core.text.normalize import fold
from core.worlds.base import Item, split
from core.worlds.names import kinds
from papers.bistil.config import OTHERS, Config

if TYPE_CHECKING:
    from core.models.loading import Loaded

SHARES = {"train": 0.6, "dev": 0.15, "test": 0.25}


class World(NamedTuple):
    """What a seed draws.

    Attributes:
        texts: Lines of phase one by language, source and target first.
        train: Source-language names with their kind.
        measured: Names in the target of held-out concepts, those that are written as in English left out.
        english: The same concepts in English.
    """

    texts: dict[str, list[str]]
    train: list[Item]
    measured: list[Item]
    english: list[Item]


@cache
def world(config: Config) -> World:
    """The world of a seed."""
    source, target = config.source, config.target
    items = _names(target)
    parts = split([item for item in items if item.language == source], config.seed, SHARES)
    classes = {part: {item.cls for item in own} for part, own in parts.items()}
    train = [item for item in items if item.cls in classes["train"]]
    english = {_concept(item): item for item in parts[config.split]}
    measured = [item for item in items if item.language == target and _concept(item) in english]
    measured = [item for item in measured if fold(item.prompt) != fold(english[_concept(item)].prompt)]
    read = {code: [item.prompt for item in train if item.language == code] for code in (source, target)}
    if config.general == "multilingual":
        shown = {_concept(item) for item in train}
        for code in OTHERS:
            read[code] = [item.prompt for item in _names(code) if item.language == code and _concept(item) in shown]
    texts = {code: [*names, *_messages(code)] for code, names in read.items()}
    return World(texts, parts["train"], measured, [english[_concept(item)] for item in measured])


def _concept(item: Item) -> str:
    return item.id.partition("/")[2]


@cache
def _names(code: str) -> list[Item]:
    return kinds(["en", code])


def labelled(items: Sequence[Item]) -> list[Labelled]:
    """Names as tagged words: every word of a name has the name's kind."""
    split = [(item.prompt.split(), item.answer) for item in items]
    return [Labelled(tuple(words), (answer,) * len(words)) for words, answer in split]


def told(tags: Sequence[Sequence[str | None]]) -> list[str | None]:
    """The kind of each name: what most of its words say, of equals the first."""
    return [max(own, key=own.count) for own in tags]


@cache
def _messages(code: str) -> list[str]:
    """Interface messages of one language."""
    rows = corpora.load("django", languages=["de" if code == "en" else code])
    return [row[code] for row in rows]


def toy(texts: Mapping[str, Sequence[str]]) -> Loaded:
    """A small encoder with random weights and pieces of the first two languages, to see the code path."""
    from core.models.loading import Loaded
    from core.models.scratch import masked_lm

    lines = [line for own in [*texts.values()][:2] for line in own[:200]]
    model, tokenizer = masked_lm(lines, pieces=300, layers=4, width=16, heads=2, longest=64)
    return Loaded(cast("Any", model.base_model), tokenizer)
