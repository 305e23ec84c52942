"""Word meaning: which of four English words does a word mean? A question that every language with CLDR names has.

    questions = words("fr", "test", items=40, seed=0)        # core.tasks.choices: answer(..., by="prior")

The words are names of days, months, units, places, languages and numbers (Unicode CLDR). Knowing the alphabet must not
be enough, nor must avoiding it be. So words of a kind are asked in fours, each with the answers of all four as options:
whoever goes by the option alone (the longest, the rarest) is right in one of four by construction. The fours are chosen
so that going by letters, trigrams or lengths is right in one of four as well, as far as a language has the words, and
the questions are weighted so that it is on the whole. A third of the concepts, the same ones in all languages, is for
development and for the examples in the prompt.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import islice, zip_longest
from typing import Literal

import numpy as np

from core import corpora
from core.errors import UserError
from core.tasks.choices import Question, credit
from core.text import languages
from core.text.distance import edit_distance, look_alike
from core.text.romanize import romanize
from core.worlds import names
from core.worlds.base import Item

# Kinds of CLDR names, as the questions tell them apart: the options of a question are of one kind.
KINDS = {
    "territory": "place",
    "region": "place",
    "language": "language",
    "unit": "unit",
    "month": "month",
    "weekday": "weekday",
}
NUMBERS = (*range(21), *range(30, 100, 10), *range(100, 1000, 100), 1000)
COMMONEST = 90
"""Concepts of a kind that are ever asked: the commonest in English, of those that do not look alike."""
OPTIONS = 4
TRIES = 500
"""Fours that are looked at for each that is asked."""
FRAME = "In {language}, the word “{word}” means"
DISJOINT = 3
"""Seeds 3n, 3n + 1 and 3n + 2 ask about other words."""


def words(code: str, split: Literal["test", "dev"], items: int, seed: int, *, shots: int = 5) -> list[Question]:
    """Questions about the words of one language, four of every kind in turn; seeds 3n to 3n + 2 share none.

    Args:
        code: The language.
        split: Development and test ask about different concepts, the same ones in all languages.
        items: How many; where four do not divide them, the last ones are asked without the rest of their four.
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
        part_of_kind = [c for c in kind if c not in shown and _is_dev(c) == (split == "dev")]
        # All in Latin script run out of some kinds early; dealing within a kind keeps the seeds' mix alike.
        dealt.append(sorted(part_of_kind, key=lambda c: _hash(f"{draw}/{c.cls}"))[part::parts])
    fours = _fours(dealt, _hash(f"{code}/{split}/{seed}"), items)
    asked = [(concept, four) for four in fours for concept in four][:items]
    if len(shown) < shots or len(asked) < items:
        raise UserError(f"Too few names of {code!r} differ from English ones: ask for fewer items.")
    frame = lambda word: FRAME.format(language=languages.name(code), word=word)  # noqa: E731
    examples = "".join(f"{frame(c.prompt)} {c.answer}.\n" for c in shown)
    questions = []
    for concept, four in asked:
        order = np.random.default_rng(_hash(concept.id)).permutation(OPTIONS).tolist()
        choices = tuple(f" {four[place].answer}" for place in order)
        key, right = concept.id.partition("/")[2], order.index(four.index(concept))
        questions.append(Question(key, examples + frame(concept.prompt), choices, right, examples + frame("")))
    return questions


def weights(questions: Sequence[Question]) -> list[float]:
    """Weights that sum to 1 and make the option that looks most like the word right in one of four.

    Languages near English have more words that go by letters than fours can hide. Questions that letters answer get a
    quarter of the weight, the others the rest, so that in no language letters alone are better than guessing.
    """
    lucky = np.array([credit([_alike(_word(q), option) for option in q.choices], q.answer) for q in questions])
    share = lucky.mean()
    if share in (0, 1):
        return [1 / len(questions)] * len(questions)
    weight = lucky / share / OPTIONS + (1 - lucky) / (1 - share) * (1 - 1 / OPTIONS)
    return (weight / len(questions)).tolist()


def trivial(questions: Sequence[Question]) -> dict[str, float]:
    """Accuracy, under :func:`weights`, of solvers that know neither language.

    `nearest` takes the option that looks most like the word and `farthest` the one that looks least like it; `edits`
    and `trigrams` go by one measure of that, `length` by the nearest number of letters; `longest` and `rarest` (in
    English) do not look at the word.
    """
    from wordfreq import zipf_frequency

    solvers: dict[str, Callable[[str, str], float]] = {
        "nearest": _alike,
        "farthest": lambda word, option: -_alike(word, option),
        "edits": lambda word, option: -_far(word, option),
        "trigrams": _trigrams,
        "length": lambda word, option: -_longer(word, option),
        "longest": lambda word, option: len(option),
        "rarest": lambda word, option: -zipf_frequency(option, "en"),
    }
    weight = weights(questions)
    return {
        name: sum(
            w * credit([solve(_word(q), o) for o in q.choices], q.answer)
            for q, w in zip(questions, weight, strict=True)
        )
        for name, solve in solvers.items()
    }


def _word(question: Question) -> str:
    return question.context.rpartition("“")[2].partition("”")[0]


# --- how alike a word and an option are ---------------------------------------------------------------------------


@cache
def _forms(name: str) -> tuple[str, ...]:
    """A name in Latin letters, and each of its words."""
    whole = romanize(name).strip().lower()
    return tuple(dict.fromkeys([whole, *re.findall(r"\w+", whole)]))


@cache
def _far(word: str, option: str) -> float:
    """Edit distance in [0, 1] of the two, or of those of their words that look most alike, in Latin letters."""
    return min(edit_distance(a, b) / max(len(a), len(b)) for a in _forms(word) for b in _forms(option))


def _trigrams(word: str, option: str) -> float:
    """Trigrams that the two share in Latin letters, Dice coefficient."""
    padded = [f"  {_forms(name)[0]} " for name in (word, option)]
    a, b = ({text[start : start + 3] for start in range(len(text) - 2)} for text in padded)
    return 2 * len(a & b) / (len(a) + len(b))


def _whole(word: str, option: str) -> float:
    a, b = _forms(word)[0], _forms(option)[0]
    return edit_distance(a, b) / max(len(a), len(b))


def _longer(word: str, option: str) -> float:
    """By how many letters the one is longer than the other."""
    return abs(len(_forms(word)[0]) - len(_forms(option)[0]))


def _alike(word: str, option: str) -> float:
    return _trigrams(word, option) - _far(word, option) - _whole(word, option)


MEASURES = (_far, _whole, _trigrams, _longer)


# --- which words are asked, and with which options ----------------------------------------------------------------


def _fours(kinds: Sequence[Sequence[Item]], seed: int, items: int) -> list[list[Item]]:
    """Four of every kind in turn, each time those after which going by the letters has come nearest to guessing."""
    rng = np.random.default_rng(seed)
    left = [list({c.prompt: c for c in {c.answer: c for c in kind}.values()}.values()) for kind in kinds]
    found: list[list[Item]] = []
    right = np.zeros((2 * len(MEASURES), 1))
    while any(len(kind) >= OPTIONS for kind in left) and len(found) * OPTIONS < items:
        for number, kind in enumerate(left):
            if len(kind) < OPTIONS:
                continue
            alike = np.array([[[measure(a.prompt, b.answer) for b in kind] for a in kind] for measure in MEASURES])
            tried = rng.random((TRIES, len(kind))).argsort(1)[:, :OPTIONS]
            after = right + _extremes(alike[:, tried[:, :, None], tried[:, None, :]])
            best = ((after / (len(found) + 1) - 1 / OPTIONS) ** 2).sum(0).argmin()
            right = after[:, best, None]
            found.append([kind[place] for place in tried[best]])
            left[number] = [concept for place, concept in enumerate(kind) if place not in tried[best]]
    return found


def _extremes(alike: np.ndarray) -> np.ndarray:
    """Accuracy of taking the most alike option, then of the least: [measures, fours, 4, 4] -> [2 measures, fours].

    Rows are words and columns options, the diagonal is right; options that are equally alike share.
    """
    signed = np.concatenate([alike, -alike])
    best = signed == signed.max(-1, keepdims=True)
    return (np.diagonal(best, axis1=-2, axis2=-1) / best.sum(-1)).mean(-1)


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
    """One concept of each kind, then the next of each."""
    return [concept for turn in zip_longest(*kinds) for concept in turn if concept]


def _is_dev(concept: Item) -> bool:
    return _hash(concept.cls) % 3 == 0


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())
