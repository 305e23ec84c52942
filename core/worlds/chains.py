"""Two steps of arithmetic in words: problems that need a chain of thought, in languages whose words are aligned.

    found = problems(largest=12, most=24)
    question(found[0], "sw")       # "saba jumlisha nne kisha toa tatu ?"
    chain(found[0], "en")          # "seven plus four = eleven . eleven minus three = eight ."
    facts("en", largest=12)[7]     # ("zero plus seven ?", "zero plus seven = seven .", 7)
    units("sw", found[0])          # what each part of the English question is in Swahili, by the places of its words

A question has the same order in all languages, so that it is a translation word for word: with a lexicon
(:func:`lexicon`) anybody can translate it, and what is tested is whether a model does. Signs and results are written
alike in all languages. Numbers come from Unicode CLDR and signs from :mod:`core.worlds.numbers`; `THEN` is ours.

A problem's class holds what the same three terms and their result say in another order, or turned round: 7 + 4 - 3 = 8,
4 - 3 + 7 = 8 and 8 + 3 - 7 = 4 are one. A split by class keeps them together, in all languages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from core.errors import UserError
from core.text.codeswitch import Unit
from core.worlds.base import SOLVERS, Item, Solver
from core.worlds.numbers import QUESTIONS, spelled

Sign = Literal["plus", "minus"]
SIGNS: tuple[Sign, Sign] = ("plus", "minus")
# "then", between two steps. Languages without spaces between words are left out: a word would not be a token.
THEN: Mapping[str, str] = MappingProxyType(
    {
        "en": "then", "am": "ከዚያ", "cy": "wedyn", "et": "siis", "fa": "سپس", "fil": "saka", "ga": "ansin", "hi": "फिर",
        "hy": "ապա", "is": "síðan", "ka": "შემდეგ", "kk": "сосын", "mk": "потоа", "ne": "अनि", "su": "tuluy",
        "sw": "kisha", "ta": "பிறகு", "tr": "sonra", "vi": "rồi",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """`a` plus or minus `b`, and then plus or minus `c`."""

    a: int
    first: Sign
    b: int
    second: Sign
    c: int

    @property
    def middle(self) -> int:
        """Result of the first step."""
        return self.a + self.b if self.first == "plus" else self.a - self.b

    @property
    def result(self) -> int:
        """Result of the second."""
        return self.middle + self.c if self.second == "plus" else self.middle - self.c

    @property
    def id(self) -> str:
        """Such as `7-plus-4-minus-3`."""
        return f"{self.a}-{self.first}-{self.b}-{self.second}-{self.c}"

    @property
    def cls(self) -> str:
        """The equation without an order: the sums of its two sides, such as `3.8=4.7`."""
        sides: tuple[list[int], list[int]] = ([self.a], [self.result])
        for sign, term in ((self.first, self.b), (self.second, self.c)):
            sides[sign == "minus"].append(term)
        return "=".join(sorted(".".join(map(str, sorted(side))) for side in sides))


def problems(largest: int = 12, most: int = 24) -> list[Problem]:
    """All problems with operands from 0 to `largest` whose results, on the way too, are from 0 to `most`."""
    numbers = range(largest + 1)
    every = (Problem(a, f, b, s, c) for a in numbers for f in SIGNS for b in numbers for s in SIGNS for c in numbers)
    return [one for one in every if 0 <= one.middle <= most and 0 <= one.result <= most]


def question(problem: Problem, code: str) -> str:
    """The problem in a language, words between spaces.

    Raises:
        UserError: There are no words for it in this language.
    """
    return " ".join([*_parts(problem, code), "?"])


def chain(problem: Problem, code: str) -> str:
    """Both steps in a language, each with its result.

    Raises:
        UserError: As :func:`question`.
    """
    _, numbers = _words(code)
    a, first, b, _, second, c = _parts(problem, code)
    middle, result = numbers[problem.middle], numbers[problem.result]
    return f"{a} {first} {b} = {middle} . {middle} {second} {c} = {result} ."


def facts(code: str, largest: int = 12, most: int = 24) -> list[tuple[str, str, int]]:
    """The steps that problems are made of, each alone: question, its chain and the result."""
    signs, numbers = _words(code)
    steps = [
        (a, sign, b, a + b if sign == "plus" else a - b)
        for a in range(most + 1)
        for sign in SIGNS
        for b in range(largest + 1)
    ]
    told = [(f"{numbers[a]} {signs[sign]} {numbers[b]}", result) for a, sign, b, result in steps if 0 <= result <= most]
    return [(f"{text} ?", f"{text} = {numbers[result]} .", result) for text, result in told]


def units(code: str, problem: Problem, high: str = "en") -> list[Unit]:
    """The parts of the question in `high`, each with its words in the other language; the question mark is none."""
    found, place = [], 0
    for source, target in zip(_parts(problem, high), _parts(problem, code), strict=True):
        end = place + len(source.split())
        found.append(Unit(place, end, target))
        place = end
    return found


def lexicon(code: str, largest: int = 12) -> dict[str, str]:
    """English words of questions with operands to `largest`, and those of the language."""
    (signs, numbers), (english, called) = _words(code), _words("en")
    return {called[n]: numbers[n] for n in range(largest + 1)} | {english[part]: signs[part] for part in signs}


def word_by_word(text: str, words: Mapping[str, str]) -> str:
    """A text with each word or phrase replaced that the lexicon has, the longest first; what it lacks stays."""
    longest, found, rest = max((len(word.split()) for word in words), default=1), [], text.split()
    while rest:
        size = next((size for size in range(longest, 1, -1) if " ".join(rest[:size]) in words), 1)
        found.append(words.get(part := " ".join(rest[:size]), part))
        rest = rest[size:]
    return " ".join(found)


def items(found: Sequence[Problem], code: str) -> list[Item]:
    """Questions with their results as digits; ids such as `ne/3.8=4.7/7-plus-4-minus-3`."""
    return [
        Item(f"{code}/{one.cls}/{one.id}", f"chain/{one.cls}", question(one, code), str(one.result), code)
        for one in found
    ]


@lru_cache(maxsize=64)
def _words(code: str) -> tuple[dict[str, str], dict[int, str]]:
    if code not in THEN:
        raise UserError(f"There are no problems in {code!r}: choose from {', '.join(THEN)}.")
    signs: dict[str, str] = {
        sign: form.partition("{a}")[2].partition("{b}")[0].strip()
        for sign, form in zip(SIGNS, QUESTIONS[code], strict=True)
    }
    return {**signs, "then": THEN[code]}, spelled([code], range(100))[code]


def _parts(problem: Problem, code: str) -> list[str]:
    signs, numbers = _words(code)
    words = (signs[problem.first], numbers[problem.b], signs["then"], signs[problem.second], numbers[problem.c])
    return [numbers[problem.a], *words]


def _first_step(train: Sequence[Item]) -> Solver:
    """The commonest answer to questions that begin with the same two words."""
    answers: dict[tuple[str, ...], list[str]] = {}
    for item in train:
        answers.setdefault(tuple(item.prompt.split()[:2]), []).append(item.answer)

    def solve(item: Item) -> str | None:
        known = answers.get(tuple(item.prompt.split()[:2]))
        return max(sorted(set(known)), key=known.count) if known else None

    return solve


CHAIN_SOLVERS: Mapping[str, Callable[[Sequence[Item]], Solver]] = MappingProxyType(
    {**SOLVERS, "beginning": _first_step}
)
"""The general solvers, and one that knows which answers go with a beginning."""
