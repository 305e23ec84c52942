"""A small world whose benchmarks are localized in one language and translated in the other; its voters are scripted.

Two kinds of real text with a known origin: interface messages and emoji names, written in English and translated into
Arabic; narrations, written in Arabic and translated into English. Each language then has a benchmark of text that was
written in it and one that was translated into it, and which is which turns around with the language.

    world = made(split, seed, ...)     # scores of every model on every benchmark, votes, what each model has read

Models are character 4-grams that read the four texts in different shares. A "voter" of a language reads passages that
were written in it and tends to prefer the model to which they are likelier. That is a stand-in with a known taste, and
tells nothing about people. What is trained on, asked and judged are different messages and different books.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import numpy as np

from core import corpora
from core.corpora.table import short_hash
from core.metrics.intervals import Array

WRITTEN_IN = {"interface": "en", "narrations": "ar"}
LANGUAGES = ("en", "ar")
ORDER, WIDTH = 4, 8  # characters of an n-gram; of a continuation
CONTEXT, CHOICES, COPIED = 30, 4, 16
TEMPERATURE = 0.1  # nats a character by which a passage has to be likelier for a vote of 73 to 27
_SIGNS = dict.fromkeys(code for code in range(0x300, 0x700) if unicodedata.category(chr(code)) == "Mn")
Part = Literal["train", "items", "judge"]
_SHARES: dict[Part, float] = {"train": 0.5, "items": 0.25, "judge": 0.25}


@dataclass(frozen=True)
class World:
    """What a population did, all by model: scores and accuracy of each benchmark, characters read of each text.

    Votes and true taste are by language.
    """

    scores: dict[tuple[str, str], list[float]]
    accuracy: dict[tuple[str, str], list[float]]
    votes: dict[str, list[tuple[int, int, float]]]
    taste: dict[str, list[float]]
    read: dict[tuple[str, str], list[float]]
    budget: list[float]
    items: dict[tuple[str, str], int] = field(default_factory=dict)


# --- texts --------------------------------------------------------------------------------------------------------


@cache
def texts(split: str) -> dict[str, dict[str, list[dict[str, str]]]]:
    """`{kind: {class: [{"en": ..., "ar": ...}]}}`: a class (a message, a book of narrations) lies in one part whole."""
    options: dict[str, Any] = {"placeholders": True, "markup": True, "newlines": True}
    messages = [*corpora.load("django", languages=["ar"], **options), *corpora.load("emoji", languages=["en", "ar"])]
    told = corpora.load("narrations", narrator=False, max_chars=500).to_list()
    found: dict[str, dict[str, list[dict[str, str]]]] = {kind: {} for kind in WRITTEN_IN}
    for kind, rows in (("interface", messages), ("narrations", told)):
        home: dict[str, str] = {}  # the class in which a text was seen first; what two share would leak
        for row in rows:
            pair = {code: plain(row[code]) for code in LANGUAGES}
            # Messages that differ in a number are one class, and so are narrations of one book.
            name = row.get("chapter") or re.sub(r"[\d\W_]+", " ", pair["en"])
            if all(home.setdefault(text, name) == name for text in pair.values()):
                found[kind].setdefault(name, []).append(pair)
    dev = {kind: {name for name in by if int(short_hash(name), 16) % 2} for kind, by in found.items()}
    return {
        kind: {name: rows for name, rows in by.items() if (name in dev[kind]) is (split == "dev")}
        for kind, by in found.items()
    }


def plain(text: str) -> str:
    """Lower case, without vowel signs and placeholders, white space as one blank."""
    text = re.sub(r"%\(\w+\)[a-z]|%[a-z]\b|<[^>]+>|&\w+;", " ", text)
    return " ".join(unicodedata.normalize("NFC", text).translate(_SIGNS).lower().split())


def dealt(classes: Mapping[str, Sequence[Mapping[str, str]]], rng: np.random.Generator) -> dict[Part, list[Any]]:
    """Classes dealt at random to what is read, asked and judged, by their characters."""
    parts: dict[Part, list[Any]] = {part: [] for part in _SHARES}
    filled = dict.fromkeys(_SHARES, 0.0)
    for place in rng.permutation(len(classes)):
        rows = classes[sorted(classes)[place]]
        part = min(_SHARES, key=lambda part: filled[part] / _SHARES[part])
        parts[part] += rows
        filled[part] += sum(len(row["en"]) for row in rows)
    return parts


# --- models -------------------------------------------------------------------------------------------------------


class Grams:
    """An interpolated Witten-Bell model of characters.

    p(c | h) = (count(hc) + types(h) p(c | h')) / (count(h) + types(h)), where h' is h without its first character.
    """

    def __init__(self, lines: Sequence[str], alphabet: Mapping[str, int]) -> None:
        windows = np.concatenate([packed(line, alphabet) for line in lines] or [np.zeros(0, np.int64)])
        self.uniform, self.levels = 1 / len(alphabet), []
        for order in range(1, ORDER + 1):
            grams, counts = np.unique(windows & (256**order - 1), return_counts=True)
            contexts, first = np.unique(grams >> 8, return_index=True)
            total = np.add.reduceat(counts, first) if len(first) else counts
            types = np.diff([*first, len(grams)])
            self.levels.append((grams, counts, contexts, total, types))

    def log_probabilities(self, windows: Array) -> Array:
        """Of the last character of each window, given the others."""
        p = np.full(len(windows), self.uniform)
        for order, (grams, counts, contexts, total, types) in enumerate(self.levels, start=1):
            key = windows & (256**order - 1)
            count, seen, kinds = (
                looked_up(grams, key, counts),
                *(looked_up(contexts, key >> 8, values) for values in (total, types)),
            )
            known = seen > 0
            p[known] = (count + kinds * p)[known] / (seen + kinds)[known]
        return np.log(p)


def packed(line: str, alphabet: Mapping[str, int]) -> Array:
    """Every character with the three before it, as one number; 0 stands before the line."""
    codes = np.array([0] * (ORDER - 1) + [alphabet[letter] for letter in line], np.int64)
    return sum(codes[back : len(codes) - ORDER + 1 + back] << (8 * (ORDER - 1 - back)) for back in range(ORDER))  # type: ignore[return-value]


def looked_up(known: Array, keys: Array, values: Array) -> Array:
    """The value of each key, 0 where it is not known."""
    if not len(known):
        return np.zeros(len(keys))
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[place] == keys, values[place], 0)


def sample(lines: Sequence[str], characters: float, rng: np.random.Generator) -> list[str]:
    """Lines at random, the last one cut, up to so many characters (or all there are)."""
    found, left = [], int(characters)
    for place in rng.permutation(len(lines)):
        if left <= 0:
            break
        found.append(lines[place][:left])
        left -= len(lines[place])
    return found


# --- benchmarks and votes -----------------------------------------------------------------------------------------


def questions(
    lines: Sequence[str], number: int, rng: np.random.Generator, elsewhere: str = ""
) -> list[tuple[str, list[str]]]:
    """A beginning and four ways to go on of equal length, the right one first; the others go on elsewhere.

    Lines whose right end stands with the `COPIED` characters before it in the text `elsewhere` (what models or voters
    read) are left out: repeated stories and formulas would be looked up.
    """
    long = [line for line in dict.fromkeys(lines) if len(line) >= WIDTH + 6]
    cut: list[tuple[str, str]] = []
    for place in rng.permutation(len(long)):
        end = int(rng.integers(WIDTH + 6, len(long[place]) + 1))
        context, right = long[place][max(0, end - WIDTH - CONTEXT) : end - WIDTH], long[place][end - WIDTH : end]
        if len(cut) < number and context[-COPIED:] + right not in elsewhere:
            cut.append((context, right))
    found = []
    for context, right in cut:
        others = sorted({other for _, other in cut} - {right})
        wrong = [others[place] for place in rng.choice(len(others), CHOICES - 1, replace=False)]
        found.append((context, [right, *wrong]))
    return found


def made(split: str, seed: int, models: int, votes: int, items: int, low: float, high: float) -> World:
    """A population, its scores and the votes.

    Args:
        split: `dev` or `test`: other messages and books.
        seed: Deals texts, draws models, items and votes.
        models: How many; each reads the four texts in shares of its own (Dirichlet, 0.7).
        votes: In each language.
        items: At most, in each benchmark.
        low: Fewest characters that a model reads.
        high: Most.
    """
    rng = np.random.default_rng([seed, split == "dev"])
    parts = {kind: dealt(classes, rng) for kind, classes in texts(split).items()}
    lines = {
        (kind, code, part): [row[code] for row in rows]
        for kind, by in parts.items() for part, rows in by.items() for code in LANGUAGES
    }  # fmt: skip
    letters = sorted({letter for found in lines.values() for line in found for letter in line})
    alphabet = {letter: number for number, letter in enumerate(letters[:254], start=1)} | dict.fromkeys(
        letters[254:], 255
    )
    pairs = [(kind, code) for kind in WRITTEN_IN for code in LANGUAGES]
    pool = {(*pair, part): "\n".join(lines[*pair, part]) for pair in pairs for part in ("train", "judge")}
    asked = {
        pair: questions(lines[*pair, "items"], items, rng, pool[*pair, "train"] + "\n" + pool[*pair, "judge"])
        for pair in pairs
    }
    judged = {
        code: sample_passages(lines[kind, code, "judge"], 120, rng, pool[kind, code, "train"])
        for kind, code in WRITTEN_IN.items()
    }
    options = {
        pair: np.concatenate([packed(context + option, alphabet)[-WIDTH:] for context, all in found for option in all])
        for pair, found in asked.items()
    }
    passages = {code: [packed(passage, alphabet) for passage in found] for code, found in judged.items()}

    budget = np.exp(rng.uniform(math.log(low), math.log(high), models))
    shares = rng.dirichlet([0.7] * len(pairs), models)
    world = World({p: [] for p in pairs}, {p: [] for p in pairs}, {}, {}, {p: [] for p in pairs}, budget.tolist())
    world.items.update({pair: len(found) for pair, found in asked.items()})
    likelihood: dict[str, list[Array]] = {code: [] for code in LANGUAGES}
    for model in range(models):
        given = [sample(lines[*pair, "train"], budget[model] * shares[model, n], rng) for n, pair in enumerate(pairs)]
        grams = Grams([line for read in given for line in read], alphabet)
        for pair, read in zip(pairs, given, strict=True):
            world.read[pair].append(float(sum(map(len, read))))
            chosen = grams.log_probabilities(options[pair]).reshape(-1, CHOICES, WIDTH).mean(-1)
            world.scores[pair].append(float((chosen[:, 0] - chosen[:, 1:].mean(1)).mean()))
            world.accuracy[pair].append(float((chosen[:, 0] > chosen[:, 1:].max(1)).mean()))
        for code, windows in passages.items():
            likelihood[code].append(np.array([grams.log_probabilities(passage).mean() for passage in windows]))
    for code, by_model in likelihood.items():
        table = np.stack(by_model)
        world.taste[code] = table.mean(1).tolist()
        one, other = rng.integers(0, models, votes), rng.integers(1, models, votes)
        other = (one + other) % models
        passage = rng.integers(0, table.shape[1], votes)
        ahead = (table[one, passage] - table[other, passage]) / TEMPERATURE
        won = rng.random(votes) < 1 / (1 + np.exp(-ahead))
        world.votes[code] = [(int(i), int(j), float(w)) for i, j, w in zip(one, other, won, strict=True)]
    return world


def sample_passages(lines: Sequence[str], number: int, rng: np.random.Generator, elsewhere: str = "") -> list[str]:
    """Passages of at most 60 characters that a voter reads, of which none stands whole in the text `elsewhere`."""
    found = [line for line in dict.fromkeys(lines) if len(line) >= WIDTH]
    starts = [int(rng.integers(0, max(1, len(line) - 60))) for line in found]
    passages = [line[start : start + 60] for line, start in zip(found, starts, strict=True)]
    new = [passage for passage in passages if passage not in elsewhere]
    return [new[place] for place in rng.permutation(len(new))[:number]]
