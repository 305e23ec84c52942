"""The tiny world: names, weekdays and months in English and five languages of India, in their scripts and romanised.

A line is one to three names. Each language has monolingual lines of its own; translations and transliterations are
further lines, drawn apart. Romanised text stands in transliterations alone, so English never meets it: what ties them
goes through the native script. Some names stand in no pair, and the measured combinations of two names
in no line at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from random import Random
from typing import NamedTuple

from core import corpora
from core.text.romanize import resolve
from core.worlds.base import dealt
from papers.muril.config import Config
from papers.muril.method import Line

# One language of each script, so that no two of them write a name alike: Hindi for Devanagari, Bengali for its script.
POOL = ("bn", "gu", "hi", "kn", "ml", "or", "pa", "ta", "te", "ur")
# How many a seed draws, and how many seeds are drawn together.
DRAWN, DISJOINT = 5, 2
KINDS = {"territory": 14, "currency": 8, "language": 8, "weekday": 7, "month": 11}
# Names that no pair shows, and combinations that are measured, for dev and as many for test.
UNPAIRED, MEASURED = 9, 60
FALL = 0.75
NAMES_IN_LINE = ((1, 0.4), (2, 0.4), (3, 0.2))
# Shares of what is read, in every arm; what an arm leaves out becomes monolingual text.
WEIGHTS = {"mono": 1.0, "translations": 1.0, "transliterations": 1.0}
SEPARATOR = " , "

Combination = tuple[str, ...]


class World(NamedTuple):
    """What a seed draws.

    Attributes:
        languages: Codes, the commonest first; English is not among them.
        kinds: Kind of every name, by its key.
        names: `{code: {key: name}}`, English and romanised languages (`hi-Latn`) too.
        unpaired: Keys that stand in no pair.
        measured: Combinations of two names by split, which stand in no line.
    """

    languages: tuple[str, ...]
    kinds: dict[str, str]
    names: dict[str, dict[str, str]]
    unpaired: frozenset[str]
    measured: dict[str, list[Combination]]


def world(config: Config) -> World:
    """The world of a seed."""
    kinds, names = _names(config.romanizer)
    random = Random(f"names-{config.seed}")
    chosen = []
    for kind, count in KINDS.items():
        chosen += sorted(random.sample([key for key in kinds if kinds[key] == kind], count))
    unpaired = frozenset(random.sample(chosen, UNPAIRED))
    paired = [key for key in chosen if key not in unpaired]
    combinations: list[Combination] = [(a, b) for a in paired for b in paired if a != b]
    drawn = random.sample(combinations, 2 * MEASURED)
    languages = dealt(POOL, DRAWN, config.seed, DISJOINT)
    kept = ("en", *languages, *(romanised(code) for code in languages))
    return World(
        languages,
        {key: kinds[key] for key in chosen},
        {code: {key: names[code][key] for key in chosen} for code in kept},
        unpaired,
        {"test": drawn[:MEASURED], "dev": drawn[MEASURED:]},
    )


def romanised(code: str) -> str:
    """The code of a language in Latin letters."""
    return f"{code}-Latn"


@cache
def _names(romanizer: str) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Kinds and names of the concepts that all languages name, each in its own way, in any spelling."""
    table = corpora.load("cldr", languages=["en", *POOL], kinds=list(KINDS), complete=True)
    latin = resolve(romanizer)
    names: dict[str, dict[str, str]] = {code: {} for code in ("en", *POOL, *map(romanised, POOL))}
    kinds = {}
    for row in table:
        own = {code: str(row[code]) for code in ("en", *POOL)}
        if any(len(name.split()) > 2 or "," in name for name in own.values()):
            continue
        kinds[row["key"]] = str(row["key"]).partition("/")[0]
        for code, name in own.items():
            names[code][row["key"]] = name
            if code != "en":
                names[romanised(code)][row["key"]] = latin(name).lower()
    repeated = {
        key for by_key in names.values() for key, name in by_key.items() if list(by_key.values()).count(name) > 1
    }
    kept = {key: kind for key, kind in kinds.items() if key not in repeated}
    return kept, {code: {key: by_key[key] for key in kept} for code, by_key in names.items()}


def text(names: Mapping[str, str], combination: Combination) -> str:
    """A line in one language and spelling."""
    return SEPARATOR.join(names[key] for key in combination)


def pools(config: Config) -> dict[str, dict[str, list[Line]]]:
    """Kind -> language -> lines; the null arm gives every pair the second side of another one."""
    found = world(config)
    every, paired = list(found.kinds), [key for key in found.kinds if key not in found.unpaired]
    sizes = {code: int(config.lines * FALL**place) for place, code in enumerate(("en", *found.languages))}
    kinds: dict[str, dict[str, list[Line]]] = {"mono": {}, "translations": {}, "transliterations": {}}
    for code, size in sizes.items():
        drawn = _combinations(found, every, f"mono-{code}-{config.seed}")
        kinds["mono"][code] = [Line(text(found.names[code], next(drawn))) for _ in range(size)]
        for kind, first, second in (("translations", "en", code), ("transliterations", code, romanised(code))):
            if code == "en":
                continue
            drawn = _combinations(found, paired, f"{kind}-{code}-{config.seed}")
            meant = [next(drawn) for _ in range(size)]
            other = Random(f"null-{kind}-{code}-{config.seed}").sample(meant, size) if config.shuffled else meant
            kinds[kind][code] = [
                Line(text(found.names[first], a), text(found.names[second], b))
                for a, b in zip(meant, other, strict=True)
            ]
    wanted = {"mono": True, "translations": config.translations, "transliterations": config.transliterations}
    return {kind: lines for kind, lines in kinds.items() if wanted[kind]}


def _combinations(found: World, keys: list[str], seed: str) -> Iterator[Combination]:
    """Combinations that are not measured, drawn again and again."""
    random, measured = Random(seed), {pair for pairs in found.measured.values() for pair in pairs}
    counts, chances = zip(*NAMES_IN_LINE, strict=True)
    while True:
        drawn = tuple(random.sample(keys, random.choices(counts, chances)[0]))
        if not any(pair in measured for pair in pairwise(drawn)):
            yield drawn


def weights(config: Config) -> dict[str, float]:
    """Shares of the pools that an arm reads: what it leaves out becomes monolingual text."""
    left = {"translations": config.translations, "transliterations": config.transliterations}
    mono = WEIGHTS["mono"] + sum(WEIGHTS[kind] for kind, used in left.items() if not used)
    return {"mono": mono} | {kind: WEIGHTS[kind] for kind, used in left.items() if used}


def vocabulary_texts(config: Config) -> list[str]:
    """What the tokenizer is trained on, in every arm: all names in all spellings, as lines of a few names."""
    found, random = world(config), Random(f"vocabulary-{config.seed}")
    keys = list(found.kinds)
    return [text(names, tuple(random.sample(keys, 3))) for names in found.names.values() for _ in range(200)]
