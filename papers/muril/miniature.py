"""The tiny world: places, languages, weekdays and months in English and four languages of India, in two spellings.

A line is one name or two. Each language has monolingual lines of its own; translations and transliterations are
further lines, drawn apart. Romanised text stands in transliterations alone, so English never meets it: what ties them
goes through the native script. Some names stand in no pair. The measured combinations of two names stand in no line
at all, in neither order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import combinations, pairwise, permutations
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
DRAWN, DISJOINT = 4, 2
# Names of each kind, and how many of them stand in no pair.
KINDS = {"territory": (10, 2), "language": (9, 2), "weekday": (7, 1), "month": (10, 2)}
# Names of a kind that seeds draw from; romanising all of CLDR's takes seconds in every run.
CANDIDATES = 60
# Combinations that are measured, for dev and as many for test: of any names, and of each kind.
MEASURED, TOPICS = 50, 5
FALL = 0.75
NAMES_IN_LINE = {1: 0.5, 2: 0.5}
# Shares of what is read, in every arm; what an arm leaves out becomes monolingual text.
WEIGHTS = {"mono": 0.5, "translations": 1.0, "transliterations": 1.0}
SEPARATOR = " , "
SPLITS = ("test", "dev")

Combination = tuple[str, ...]


class World(NamedTuple):
    """What a seed draws.

    Attributes:
        languages: Codes, the commonest first; English is not among them.
        kinds: Kind of every name, by its key.
        names: `{code: {key: name}}`, English and romanised languages (`hi-Latn`) too.
        unpaired: Keys that stand in no pair.
        measured: Combinations of two names by split, which stand in no line, in neither order.
        topics: Further ones of one kind, by split, as many of each.
    """

    languages: tuple[str, ...]
    kinds: dict[str, str]
    names: dict[str, dict[str, str]]
    unpaired: frozenset[str]
    measured: dict[str, list[Combination]]
    topics: dict[str, list[Combination]]

    @property
    def withheld(self) -> set[frozenset[str]]:
        """What no line may show, of both splits."""
        return {frozenset(pair) for held in (self.measured, self.topics) for pairs in held.values() for pair in pairs}


def world(config: Config) -> World:
    """The world of a seed."""
    kinds, names = _names(config.romanizer)
    random = Random(f"names-{config.seed}")
    chosen: list[str] = []
    unpaired: set[str] = set()
    drawn: list[Combination] = []
    for kind, (count, alone) in KINDS.items():
        own = sorted(random.sample([key for key in kinds if kinds[key] == kind], count))
        chosen += own
        unpaired |= set(random.sample(own, alone))
        drawn += random.sample(list(combinations([key for key in own if key not in unpaired], 2)), 2 * TOPICS)
    topics = {split: [_turned(pair, random) for pair in drawn[start::2]] for start, split in enumerate(SPLITS)}
    paired = [key for key in chosen if key not in unpaired]
    others = random.sample([pair for pair in combinations(paired, 2) if pair not in set(drawn)], 2 * MEASURED)
    measured = {split: [_turned(pair, random) for pair in others[start::2]] for start, split in enumerate(SPLITS)}
    languages = dealt(POOL, DRAWN, config.seed, DISJOINT)
    kept = ("en", *languages, *(romanised(code) for code in languages))
    return World(
        languages,
        {key: kinds[key] for key in chosen},
        {code: {key: names[code][key] for key in chosen} for code in kept},
        frozenset(unpaired),
        measured,
        topics,
    )


def _turned(pair: Combination, random: Random) -> Combination:
    return pair if random.random() < 0.5 else pair[::-1]


def romanised(code: str) -> str:
    """The code of a language in Latin letters."""
    return f"{code}-Latn"


@cache
def _names(romanizer: str) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Kinds and names of the concepts that all languages name, each in its own way, in any spelling."""
    table = corpora.load("cldr", languages=["en", *POOL], kinds=list(KINDS), complete=True)
    latin = resolve(romanizer)
    by_kind: dict[str, list[dict[str, str]]] = {kind: [] for kind in KINDS}
    for row in table:
        own = {code: str(row[code]) for code in ("en", *POOL)}
        if "Pseudo" not in own["en"] and not any(len(name.split()) > 1 or "," in name for name in own.values()):
            by_kind[row["key"].partition("/")[0]].append({"key": row["key"], **own})
    kinds: dict[str, str] = {}
    names: dict[str, dict[str, str]] = {code: {} for code in ("en", *POOL, *map(romanised, POOL))}
    for kind, found in by_kind.items():
        for own in Random(kind).sample(found, min(len(found), CANDIDATES)):
            key = own.pop("key")
            kinds[key] = kind
            for code, name in own.items():
                names[code][key] = name
                if code != "en":
                    names[romanised(code)][key] = latin(name).lower()
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
    random, withheld = Random(seed), found.withheld
    counts, chances = [*NAMES_IN_LINE], [*NAMES_IN_LINE.values()]
    while True:
        drawn = tuple(random.sample(keys, random.choices(counts, chances)[0]))
        if not any(frozenset(pair) in withheld for pair in pairwise(drawn)):
            yield drawn


def topic_lines(found: World) -> list[Combination]:
    """Two names of one kind, in either order, that are not measured: what a classifier is taught in English."""
    paired, withheld = [key for key in found.kinds if key not in found.unpaired], found.withheld
    return [
        (a, b)
        for a, b in permutations(paired, 2)
        if found.kinds[a] == found.kinds[b] and frozenset((a, b)) not in withheld
    ]


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
