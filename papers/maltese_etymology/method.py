"""Treat a mixed language as code-switching: transliterate only the words whose relatives another script writes.

Maltese is Semitic, written in Latin letters, and took half of its words from Italian, Sicilian and English. A model
that knows those and Arabic hardly knows Maltese. In Arabic script it could recognise `ktieb` (كتاب, book), but not
`skola` (school) any more. So (Micallef et al. 2024) every token t gets the label of its origin, which decides:

    R(t)  = {r_1 ... r_n : r_i a reading of s_i,  s_1 ... s_n = t}          what t may be in the other script
    x(t)  = closed class of t, else argmax of the rankers over R(t)         transliterate
    y(t)  = the one label that t had in training, else the CRF's            classify
    t'    = a_y(t)(t),  a_Arabic = x,  every other a = identity             process (the pipeline X_ara/P)

What comes out has as many tokens as what went in, in two scripts. Training and test text are processed alike.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

LIMIT = 1 << 12
"""Readings of a token that are looked at; one with more of them is given its plain spelling."""
Ranker = Callable[[str], float]
"""A spelling -> how good it is; higher is better."""
Action = Callable[[str], str]
"""A token -> what takes its place."""


# --- transliterate --------------------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """What one or more letters become: always the same (deterministic), or any of several."""

    plain: str
    readings: tuple[str, ...]


@dataclass(frozen=True)
class Scheme:
    """How a language is written in another script: data.

    Attributes:
        rules: By source and place (`initial`, `final` or `any`). The longest source decides, then the place: `ie` is
            never read as `i` and `e`, and a vowel that begins a word not as one inside of it.
        closed: Words of the closed class with their form; a final `+` says that the next token is written on to it.
    """

    rules: Mapping[tuple[str, str], Rule]
    closed: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def letters(self) -> frozenset[str]:
        """All characters that some source has."""
        return frozenset("".join(source for source, _ in self.rules))

    @cached_property
    def longest(self) -> int:
        """Characters of the longest source."""
        return max((len(source) for source, _ in self.rules), default=1)

    def fold(self, token: str) -> str:
        """In lower case, without accents but those of the scheme's own letters: però is pero, Ċirkewwa keeps its ċ.

        A typographic apostrophe is the plain one.
        """
        lowered = unicodedata.normalize("NFC", token).lower().replace("’", "'")
        return "".join(c if c in self.letters else _bare(c) for c in lowered)

    def path(self, token: str) -> list[Rule]:
        """The rules that a token is read by, from its beginning; a character without a rule stays."""
        word, rules, start = self.fold(token), [], 0
        while start < len(word):
            rule, start = self._next(word, start)
            rules.append(rule)
        return rules

    def _next(self, word: str, start: int) -> tuple[Rule, int]:
        for end in range(min(start + self.longest, len(word)), start, -1):
            at_the_end = end == len(word) and end > 1
            for place in ("initial",) * (start == 0) + ("final",) * at_the_end + ("any",):
                if found := self.rules.get((word[start:end], place)):
                    return found, end
        return Rule(word[start], (word[start],)), start + 1

    def plain(self, token: str) -> str:
        """The deterministic spelling: without short vowels, every consonant as its first choice."""
        return "".join(rule.plain for rule in self.path(token))

    def readings(self, token: str) -> tuple[str, ...]:
        """R(t): every spelling that the rules allow, in alphabetical order."""
        rules, number = self.path(token), 1
        for rule in rules:
            number *= len(rule.readings)
            if number > LIMIT:
                return (self.plain(token),)
        return tuple(sorted({"".join(parts) for parts in itertools.product(*(rule.readings for rule in rules))}))


def _bare(character: str) -> str:
    parts = unicodedata.normalize("NFD", character)
    return unicodedata.normalize("NFC", "".join(part for part in parts if not unicodedata.combining(part)))


def bare(reading: str) -> str:
    """A reading without the `+` that writes the next token on to it; a lone `+` is a sign of its own."""
    return reading.rstrip("+") or reading


def choose(readings: Iterable[str], rankers: Sequence[Ranker]) -> str:
    """The best by the first ranker; ties go on to the next one, and last of all the alphabet decides."""
    tied = sorted(readings)
    for rank in rankers:
        if len(tied) == 1:
            break
        scores = [rank(bare(reading)) for reading in tied]
        best = max(scores)
        tied = [reading for reading, score in zip(tied, scores, strict=True) if score == best]
    return tied[0]


def transliterate(token: str, scheme: Scheme, rankers: Sequence[Ranker] = ()) -> str:
    """x(t): the closed class first; without rankers the deterministic spelling, as in the official code."""
    folded = scheme.fold(token)
    if folded in scheme.closed:
        return scheme.closed[folded]
    return choose(scheme.readings(token), rankers) if rankers else scheme.plain(token)


# --- classify -------------------------------------------------------------------------------------------------------


class Memory:
    """The labels that each token had in training, in whatever case (the paper's MLE).

    Args:
        sentences: Tokens and labels.
    """

    def __init__(self, sentences: Iterable[tuple[Sequence[str], Sequence[str]]]) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        for tokens, labels in sentences:
            for token, label in zip(tokens, labels, strict=True):
                self.counts[token.lower()][label] += 1
        every = sum(self.counts.values(), Counter[str]())
        self.commonest = min(every, key=lambda label: (-every[label], label))

    def label(self, token: str) -> str:
        """The token's most frequent label; of a new token the most frequent one of all."""
        counts = self.counts.get(token.lower())
        return counts.most_common(1)[0][0] if counts else self.commonest

    def only(self, token: str) -> str | None:
        """The token's label, where it was seen with exactly one."""
        counts = self.counts.get(token.lower(), ())
        return next(iter(counts)) if len(counts) == 1 else None


def combine(memory: Memory, tokens: Sequence[str], guesses: Sequence[str]) -> list[str]:
    """y(t): memory where it is certain, else what the CRF says of the sentence (MLE + CRF)."""
    return [memory.only(token) or guess for token, guess in zip(tokens, guesses, strict=True)]


# --- process --------------------------------------------------------------------------------------------------------


class Processed(NamedTuple):
    """A token with its label, what became of it, and whether the next one is written on to it."""

    token: str
    label: str
    text: str
    joins: bool
    changed: bool


def process(tokens: Sequence[str], labels: Sequence[str], actions: Mapping[str, Action]) -> list[Processed]:
    """t' of every token: the action of its label; a label without one passes. A lone `+` is no sign for joining."""
    found = []
    for token, label in zip(tokens, labels, strict=True):
        action = actions.get(label)
        text = action(token) if action else token
        shown = bare(text) if action else text
        joins = shown != text if action else len(text) > 1 and text.endswith("-")
        found.append(Processed(token, label, shown, joins, action is not None))
    return found


def written(found: Sequence[Processed]) -> str:
    """The text: tokens with a space between them, but where one is written on to a next one of the same script."""
    following = [*(one.changed for one in found[1:]), None]
    return "".join(
        one.text + " " * (not one.joins or one.changed != after) for one, after in zip(found, following, strict=True)
    ).strip()
