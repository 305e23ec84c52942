"""Labelled sentences without a download: topics of interface messages, and names in them, in some 60 languages.

* topics: which part of Django shows the message (the framework, its admin, its accounts, its documentation pages);
* names: messages whose placeholders are filled with names of territories, languages and currencies (Unicode CLDR),
  tagged B-LOC, I-LOC, B-LANG, ...: "Select Sri Lanka to change" with `Sri` B-LOC and `Lanka` I-LOC.

Parts for training, development and test share no message and no name, near copies included (`core.worlds.messages`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from types import MappingProxyType

from core import corpora
from core.tasks.labelled import Labelled
from core.text.segment import words
from core.worlds import messages
from core.worlds.base import Item, Part, in_part

MIN_CHARS, MAX_CHARS = 10, 80
LONGEST = 60
"""Most characters of the English message that names are put into."""
SHARES = MappingProxyType({"train": 0.5, "dev": 0.2, "test": 0.3})
KINDS = MappingProxyType({"territory": "LOC", "language": "LANG", "currency": "CUR"})


def topics(language: str, part: Part, size: int, seed: int) -> list[Labelled]:
    """Messages with their topic.

    Args:
        language: Code, as Django spells it.
        part: Which classes of near copies they are from.
        size: At most so many, one of each class; in training all there are, near copies included.
        seed: Which of them.
    """
    found = in_part(_topics(language), _messages("en"), part, SHARES)
    if part != "train":
        found = _distinct(found, size, seed)
    return [Labelled((item.prompt,), (item.answer,)) for item in found]


def names(language: str, part: Part, size: int, seed: int) -> list[Labelled]:
    """Messages with names in them, words with tags.

    Args:
        language: Code, as Django spells it.
        part: Which classes of messages and of names they are from.
        size: At most so many. Messages come again with other names; no name comes twice.
        seed: Which names and messages.
    """
    rng = random.Random(f"{seed} {language} {part}")
    frames = [item.prompt for item in in_part(_frames(language), _messages("en"), part, SHARES)]
    kinds = {
        tag: [item.prompt for item in in_part(_names(language, kind), _names("en", kind), part, SHARES)]
        for kind, tag in KINDS.items()
    }
    for found in kinds.values():
        rng.shuffle(found)
    examples: list[Labelled] = []
    while len(examples) < size and all(kinds.values()):
        if len(examples) % len(frames) == 0:
            rng.shuffle(frames)
        tokens, tags = [], []
        for number, segment in enumerate(frames[len(examples) % len(frames)].split(messages.MASK)):
            if number:
                tag = rng.choice([tag for tag, found in kinds.items() if found] or ["LOC"])
                inside = words(kinds[tag].pop()) if kinds[tag] else []
                tokens += inside
                tags += [f"{'I' if place else 'B'}-{tag}" for place in range(len(inside))]
            outside = words(segment)
            tokens += outside
            tags += ["O"] * len(outside)
        examples.append(Labelled(tuple(tokens), tuple(tags)))
    return examples


@cache
def _messages(language: str) -> tuple[Item, ...]:
    return tuple(messages.translations([language], min_chars=MIN_CHARS, max_chars=MAX_CHARS))


@cache
def _topics(language: str) -> tuple[Item, ...]:
    return tuple(messages.topics([language], min_chars=MIN_CHARS, max_chars=MAX_CHARS))


@cache
def _frames(language: str) -> tuple[Item, ...]:
    """Messages with one or two placeholders, as prompts."""
    found = [Item(i.id, i.cls, i.answer, i.prompt, language) for i in _messages(language)]
    return tuple(item for item in found if item.prompt.count(messages.MASK) in (1, 2) and len(item.answer) <= LONGEST)


@cache
def _names(language: str, kind: str) -> tuple[Item, ...]:
    """Names of one kind, in the same classes in all languages."""
    languages = [] if language == "en" else [language]
    table = corpora.load("cldr", languages=languages, kinds=[kind], distinct=True)
    return tuple(Item(f"{language}/{r['key']}", r["key"], r[language], r["en"], language) for r in table)


def _distinct(items: Sequence[Item], size: int, seed: int) -> list[Item]:
    """At most one item of each class, at most `size`, by chance."""
    rng = random.Random(f"{seed}")
    by_class = {item.cls: item for item in rng.sample(items, len(items))}
    return [by_class[cls] for cls in rng.sample(sorted(by_class), min(size, len(by_class)))]
