"""The tiny world: interface messages to retrieve, to sort by topic, and with names to find in them.

* retrieval: a message among the messages of its language, English asks;
* topics: which part of Django shows the message (the framework, its admin, its accounts, its documentation pages);
* names: messages whose placeholders are filled with names of territories, languages and currencies (Unicode CLDR),
  tagged B-LOC, I-LOC, B-LANG, ...: "Select Sri Lanka to change" with `Sri` B-LOC and `Lanka` I-LOC.

Parts for training, development and test share no message and no name, near copies included (`core.worlds.messages`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache

from core import corpora
from core.tasks.labelled import Labelled, Split
from core.tasks.retrieval import Pairs
from core.text.segment import words
from core.worlds import messages
from core.worlds.base import Item, split

MIN_CHARS, MAX_CHARS = 10, 120
LONGEST = 60
"""Most characters of the English message that names are put into."""
# Retrieval trains nothing, so four in five messages are for the test.
RETRIEVAL = {"dev": 0.2, "test": 0.8}
LABELLED = {"train": 0.5, "dev": 0.2, "test": 0.3}
DISJOINT = 3
"""Seeds 3n, 3n + 1 and 3n + 2 retrieve other messages in every language of the tiny scale."""
KINDS = {"territory": "LOC", "language": "LANG", "currency": "CUR"}


def pairs(language: str, part: Split, size: int, seed: int) -> tuple[list[str], Pairs]:
    """Keys of a sample of messages, and the messages in English and in a language."""
    found = _part(_messages(language), _messages("en"), RETRIEVAL, part)
    chosen = messages.sample(found, size, seed, disjoint=DISJOINT)
    return [item.id for item in chosen], Pairs([item.prompt for item in chosen], [item.answer for item in chosen])


def topics(language: str, part: Split, size: int, seed: int) -> list[Labelled]:
    """Messages with their topic, at most one of each class of near copies; in training all."""
    found = _part(_topics(language), _messages("en"), LABELLED, part)
    if part != "train":
        found = _distinct(found, size, seed)
    return [Labelled((item.prompt,), (item.answer,)) for item in found]


def names(language: str, part: Split, size: int, seed: int) -> list[Labelled]:
    """Messages with names in them, words with tags. Messages come again with other names; no name comes twice."""
    rng = random.Random(f"{seed} {language} {part}")
    frames = [item.prompt for item in _part(_frames(language), _messages("en"), LABELLED, part)]
    kinds = {
        tag: [item.prompt for item in _part(_names(language, kind), _names("en", kind), LABELLED, part)]
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


def _part(items: Sequence[Item], universe: Sequence[Item], shares: Mapping[str, float], part: Split) -> list[Item]:
    """The items whose class is in a part of the classes of all languages."""
    classes = {item.cls for item in split(universe, 0, shares)[part]}
    return [item for item in items if item.cls in classes]


def _distinct(items: Sequence[Item], size: int, seed: int) -> list[Item]:
    """At most one item of each class, at most `size`, by chance."""
    rng = random.Random(f"{seed}")
    by_class = {item.cls: item for item in rng.sample(items, len(items))}
    return [by_class[cls] for cls in rng.sample(sorted(by_class), min(size, len(by_class)))]
