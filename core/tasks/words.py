"""Word meaning: which of four English words does a word mean? A question that every language with CLDR names has.

    questions = words("fr", "test", items=40, seed=0)        # core.tasks.choices: answer(..., by="prior")

The words are names of days, months, units, places, languages and numbers (Unicode CLDR). Knowing the alphabet must not
be enough: only words count whose romanised form does not look like the English one, and wrong options are drawn from
the names of the kind that look most like the word. A third of the concepts, the same ones in all languages, is for
development and for the examples in the prompt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import islice, zip_longest
from typing import Literal

import numpy as np

from core import corpora
from core.errors import UserError
from core.tasks.choices import Question
from core.text import languages
from core.text.distance import edit_distance, look_alike
from core.text.romanize import romanize
from core.worlds import names
from core.worlds.base import Item

# Kinds of CLDR names, as the questions tell them apart: distractors and turns are of one kind.
KINDS = {
    "territory": "place",
    "region": "place",
    "language": "language",
    "unit": "unit",
    "month": "month",
    "weekday": "weekday",
}
NUMBERS = (*range(21), *range(30, 100, 10), 100, 1000)
COMMONEST = 90
"""Concepts of a kind that are ever asked: the commonest in English, of those that do not look alike."""
OPTIONS = 4
LOOKING = 5
"""Wrong options are drawn from this many that look most like the word."""
FRAME = "In {language}, the word “{word}” means"
DISJOINT = 3
"""Seeds 3n, 3n + 1 and 3n + 2 ask about other words."""


def words(code: str, split: Literal["test", "dev"], items: int, seed: int, *, shots: int = 5) -> list[Question]:
    """Questions about the words of one language, every kind in turn; seeds 3n to 3n + 2 share none.

    Args:
        code: The language.
        split: Development and test ask about different concepts, the same ones in all languages.
        items: How many.
        seed: Which sample.
        shots: Examples in the prompt, of the development part; they are asked about in neither part.

    Raises:
        UserError: unknown language, or too few words that differ from English.
    """
    # The development part is too small to be dealt to several seeds.
    draw, part, parts = (seed, 0, 1) if split == "dev" else (*divmod(seed, DISJOINT), DISJOINT)
    usable = _usable(code)
    shown = _in_turn([[c for c in kind if _is_dev(c)] for kind in usable])[:shots]
    dealt = []
    for kind in usable:
        asked = [c for c in kind if c not in shown and _is_dev(c) == (split == "dev")]
        # All in Latin script run out of some kinds early; dealing within a kind keeps the seeds' mix alike.
        dealt.append(sorted(asked, key=lambda c: _hash(f"{draw}/{c.cls}"))[part::parts])
    asked = _in_turn(dealt)[:items]
    if len(shown) < shots or len(asked) < items:
        raise UserError(f"Too few names of {code!r} differ from English ones: ask for fewer items.")
    frame = lambda word: FRAME.format(language=languages.name(code), word=word)  # noqa: E731
    examples = "".join(f"{frame(c.prompt)} {c.answer}.\n" for c in shown)
    questions = []
    for concept in asked:
        options = _options(concept, [c for c in _concepts(code) if _kind(c) == _kind(concept)])
        choices, context = tuple(f" {option}" for option in options), examples + frame(concept.prompt)
        key = concept.id.partition("/")[2]
        questions.append(Question(key, context, choices, options.index(concept.answer), examples + frame("")))
    return questions


def by_spelling(questions: Sequence[Question]) -> float:
    """Share of the questions that are answered by taking the option whose letters look most like the word's."""
    right = []
    for question in questions:
        word = romanize(question.context.rpartition("“")[2].partition("”")[0]).lower()
        far = [_far(word, option) for option in question.choices]
        right.append(float(far[question.answer] == min(far)) / far.count(min(far)))
    return float(np.mean(right))


def _far(word: str, option: str) -> float:
    """Edit distance in [0, 1] of a romanised word and an English one."""
    option = option.strip().lower()
    return edit_distance(word, option) / max(len(word), len(option))


@cache
def _concepts(code: str) -> tuple[Item, ...]:
    """Names and number words with an English name of one or two words, the commonest first."""
    from wordfreq import zipf_frequency

    base = code.split("-")[0]
    numbers = corpora.load("numbers", languages=[base], values=NUMBERS) if base in corpora.languages("numbers") else ()
    spelled = [Item(f"{code}/number/{r['key']}", f"number/{r['key']}", r[base], r["en"], code) for r in numbers]
    plain = [item for item in spelled if len(item.answer.split()) <= 2 and len(item.prompt.split()) <= 3]
    found = [*names.translations([code], kinds=list(KINDS), answer_words=2, ambiguous=True), *plain]
    return tuple(sorted(found, key=lambda item: (-zipf_frequency(item.answer, "en"), item.id)))


@cache
def _usable(code: str) -> list[list[Item]]:
    """Of each kind, the commonest that cannot be told by their letters."""
    by_kind: dict[str, list[Item]] = {}
    for concept in _concepts(code):
        by_kind.setdefault(_kind(concept), []).append(concept)
    plain = lambda kind: (c for c in by_kind[kind] if not look_alike(c.prompt, c.answer))  # noqa: E731
    return [list(islice(plain(kind), COMMONEST)) for kind in sorted(by_kind)]


def _kind(concept: Item) -> str:
    kind = concept.id.split("/")[1]
    return KINDS.get(kind, kind)


def _in_turn(kinds: Iterable[Sequence[Item]]) -> list[Item]:
    """One concept of each kind, then the next of each, so that all languages are asked the same mix."""
    return [concept for turn in zip_longest(*kinds) for concept in turn if concept]


def _options(concept: Item, same_kind: Sequence[Item]) -> list[str]:
    """The right answer among distractors of the same kind that look like the word and are not also names of it."""
    word = romanize(concept.prompt).lower()
    named = {c.answer.lower() for c in same_kind if c.prompt == concept.prompt}
    others = dict.fromkeys(c.answer for c in same_kind if c.answer.lower() not in named)
    near = sorted(list(others)[:COMMONEST], key=lambda english: (_far(word, english), english))[:LOOKING]
    rng = np.random.default_rng(_hash(concept.id))
    options = [concept.answer, *(near[i] for i in rng.permutation(len(near))[: OPTIONS - 1])]
    return [options[i] for i in rng.permutation(len(options))]


def _is_dev(concept: Item) -> bool:
    return _hash(concept.cls) % 3 == 0


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())
