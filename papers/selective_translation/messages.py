"""Real text with something to protect: interface messages of Django, with what human translators made of them.

A placeholder in a message must come out as it went in, or the program fails; a tag must, and mostly a link. The
translator is a small one that everyone can check: word for word, by a lexicon learnt (IBM Model 1) from other messages
that have nothing to protect; a word that it does not know is spelt in the script of the language. It translates
whatever it is given, and is given the same messages with nothing protected, with what the rules find protected, or
with as many other words (the effect broken on purpose). Messages are split by class: those with
the same words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import count
from random import Random

from core import corpora
from core.corpora.filtering import aligned_words
from core.text.languages import name as name_of
from core.worlds.base import Item, split
from core.worlds.messages import skeleton
from papers.selective_translation import method, miniature
from papers.selective_translation.config import Config
from papers.selective_translation.data import each
from papers.selective_translation.spans import preserved, protect

SHARES = {"train": 0.5, "dev": 0.2, "test": 0.3}
_WORD = re.compile(r"[A-Za-z]+")


@cache
def table(languages: tuple[str, ...]) -> tuple[dict[str, str | None], ...]:
    """All messages of at least two words, with their translations; no English text comes twice."""
    found = corpora.load(
        "django", languages=list(languages), placeholders=True, markup=True, min_words=2, complete=False, distinct=False
    )
    return tuple({row["en"]: row for row in found}.values())


def rows(code: str, config: Config) -> tuple[list[tuple[str, str, str]], list[tuple[str, str]]]:
    """Of one language the messages with spans to translate (key, English, human translation), and the pairs without
    spans that the lexicon is learnt from."""
    # Near copies are those with the same words, placeholders aside, in any order.
    items = [
        Item(str(row["key"]), " ".join(sorted(skeleton(str(row["en"])).split())), str(row["en"]), "", "en")
        for row in table(config.messages)
    ]
    part_of = {item.id: part for part, found in split(items, config.seed, SHARES).items() for item in found}
    tested, learnt = [], []
    for row in table(config.messages):
        key, en, human = (row[name] or "" for name in ("key", "en", code))
        spans = protect(en)[1]
        if human and spans and part_of[key] == config.split:
            tested.append((key, en, human))
        if human and not spans and part_of[key] == "train":
            learnt.append((en, human))
    return tested, learnt


def word_by_word(lexicon: Mapping[str, str], code: str, text: str) -> str:
    """The translator."""
    return _WORD.sub(lambda word: lexicon.get(word[0].casefold()) or miniature.spelt(word[0], code), text)


def elsewhere(translate: Callable[[str], str], text: str) -> str:
    """A translation in which as many words are protected as the rules would protect, but others, drawn by lot."""
    masked, spans = protect(text)
    pieces = re.split(r"⟦(\d+)⟧", masked)  # prose, number of a span, prose, ...
    free = len(_WORD.findall(" ".join(pieces[::2])))
    inside = sum(len(_WORD.findall(span.text)) for span in spans)
    chosen, number = set(Random(text).sample(range(free), min(inside, free))), count()

    def one(word: re.Match[str]) -> str:
        return word[0] if next(number) in chosen else translate(word[0])

    return "".join(
        translate(spans[int(piece)].text) if place % 2 else _WORD.sub(one, piece) for place, piece in enumerate(pieces)
    )


def measured(config: Config) -> dict[str, dict[str, float]]:
    """Of every message, by language: chrF against the human translation, and whether all spans came through, in the
    translation (`integrity`) and in the human one (`human`)."""
    from core.metrics.translation import sentence_chrf

    units: dict[str, dict[str, float]] = {"chrf": {}, "integrity": {}, "human": {}}
    for code in config.messages:
        tested, learnt = rows(code, config)
        translate = partial(word_by_word, aligned_words(learnt), code)
        if config.translator == "selective":
            ask = method.SelectiveTranslator(each(translate, 1), name_of(code)).texts
            done = [found.text for found in ask([en for _, en, _ in tested])]
        else:
            change = partial(elsewhere, translate) if config.translator == "misplaced" else translate
            done = [change(en) for _, en, _ in tested]
        for (key, en, human), text in zip(tested, done, strict=True):
            unit = f"{code}/{key}"
            units["chrf"][unit] = sentence_chrf(text, human) / 100
            units["integrity"][unit] = float(preserved(en, text))
            units["human"][unit] = float(preserved(en, human))
    return units
