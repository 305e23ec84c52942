"""The tiny world: numbers in words, English and five languages that the seed draws.

Each pair has a few numbers of its own as bitext, those first that bring words, and the first pair is the one that is
wanted. Monolingual text are other numbers, not the same ones in both languages. Generalisation tuning meets
three more domains: dates, sums of money and measures, whose names the bitext has never seen. Numbers of the test, of
development and of the choice of checkpoints are in none of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any

from core import corpora
from core.errors import UserError
from core.tasks.translation import Segment, segments
from core.worlds.base import dealt
from core.worlds.numbers import spelled
from papers.vega_mt import data
from papers.vega_mt.config import PIVOT, Config

if TYPE_CHECKING:
    from core.experiment.run import Run

# Languages of mBART-50's tokenizer that put spaces between the words of a number, German and the unspaced ones apart,
# whose numbers come as morphemes and characters.
POOL = (
    "af", "ar", "az", "cs", "de", "es", "et", "fa", "fr", "he", "hr", "id", "ja", "kk", "lt", "lv", "mk", "pl", "pt",
    "ro", "ru", "sl", "sw", "tr", "uk", "vi",
)  # fmt: skip
# Those with the most words, whose bitext leaves something to learn.
WANTED = ("ar", "cs", "es", "et", "fa", "hr", "lt", "lv", "mk", "pl", "pt", "ro", "ru", "sl", "uk", "he")
HELD_OUT, SELECTED, DISJOINT, OTHERS = 100, 40, 8, 4
BITEXT = 110
"""Numbers of a pair; those beyond the bitext are the numbers of generalisation tuning."""
FEWEST = 10
"""Least monolingual lines of a language."""
DOMAIN_TEST, DOMAIN_POOL = 40, 150
CURRENCIES = ("USD", "EUR", "GBP", "JPY", "CHF", "CNY", "INR", "RUB")
UNITS = (
    "duration-hour", "duration-minute", "duration-year", "length-kilometer", "length-meter", "mass-kilogram",
    "volume-liter", "angle-degree",
)  # fmt: skip
Rows = list[dict[str, str]]
Words = Mapping[str, Mapping[int, str]]


def languages(config: Config) -> tuple[str, ...]:
    """Those that are named; else the wanted one first. Seeds 8n to 8n + 7 want different ones."""
    first = dealt(WANTED, 1, config.seed, DISJOINT)
    others = [code for code in POOL if code not in first]
    return config.languages or (*first, *Random(f"others-{config.seed}").sample(others, OTHERS))


def covering(rows: Rows, codes: Sequence[str]) -> Rows:
    """The rows in another order: those first that hold a word of either language that none before them does."""
    known: set[tuple[str, str]] = set()
    first, rest = Rows(), Rows()
    for row in rows:
        words = {(code, word) for code in codes for word in row[code].split()}
        (rest if words <= known else first).append(row)
        known |= words
    return first + rest


def numbers(config: Config) -> dict[str, list[int]]:
    """Numbers by what they are for."""
    drawn = Random(f"numbers-{config.seed}").sample(range(config.largest), config.largest)
    cuts = (0, HELD_OUT, 2 * HELD_OUT, 2 * HELD_OUT + SELECTED, config.largest)
    names = ("test", "dev", "select", "text")
    return {name: drawn[a:b] for name, (a, b) in zip(names, pairwise(cuts), strict=True)}


@cache
def _names(code: str) -> dict[str, dict[str, str]]:
    kinds = ("weekday", "month", "currency", "unit")
    rows = corpora.load("cldr", languages=[code], kinds=list(kinds), complete=False)
    listed = {f"currency/{name}" for name in CURRENCIES} | {f"unit/{name}" for name in UNITS}
    kept = (row for row in map(dict, rows) if row[code] and (row["kind"] in kinds[:2] or row["key"] in listed))
    return {row["key"]: {c: row[c].lower() for c in (PIVOT, code)} for row in kept}


def domains(config: Config, code: str, words: Words) -> dict[str, dict[str, Rows]]:
    """Rows of the three other domains, to tune on and to measure on: none is in two parts."""
    names, parts, rng = _names(code), numbers(config), Random(f"domains-{config.seed}-{code}")
    held = {value for part in ("test", "dev", "select") for value in parts[part]}
    kinds = ("weekday", "month", "currency", "unit")
    days, months, sums, sizes = ([key for key in names if key.startswith(kind)] for kind in kinds)
    found: dict[str, dict[str, Rows]] = {}
    most = config.largest
    frames = {"dates": (days, months, 32), "money": ([""], sums, most), "measures": ([""], sizes, most)}
    for domain, (before, after, top) in frames.items():
        drawn: dict[str, dict[str, str]] = {}
        while len(drawn) < 2 * DOMAIN_TEST + DOMAIN_POOL:
            one, value, other = rng.choice(before), rng.randrange(1, top), rng.choice(after)
            if len(drawn) < 2 * DOMAIN_TEST or value not in held:  # tuning reads no number of the test
                key = f"{one} {value} {other}".strip().replace("/", ".")
                texts = {c: (names[one][c] if one else "", words[c][value], names[other][c]) for c in (PIVOT, code)}
                drawn.setdefault(key, {"key": key, **{c: " ".join(filter(None, text)) for c, text in texts.items()}})
        rows = list(drawn.values())
        tuning = covering(rows[2 * DOMAIN_TEST :], (PIVOT, code))
        found[domain] = {"test": rows[:DOMAIN_TEST], "dev": rows[DOMAIN_TEST : 2 * DOMAIN_TEST], "tuning": tuning}
    order = rng.sample(sorted(found), len(found))  # the first one is that of `single`
    return {name: found[name] for name in order}


def _vocabulary(texts: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(word for text in texts for word in text.split()))


def _built(config: Config) -> dict[str, Any]:
    """Everything but what an arm leaves out of it, as JSON."""
    codes, parts = languages(config), numbers(config)
    text = parts["text"]
    if len(text) < (least := BITEXT * len(codes) + 2 * FEWEST):
        raise UserError(
            f"largest: {config.largest} numbers are too few for {len(codes)} languages: give at least "
            f"{config.largest - len(text) + least}."
        )
    words = spelled((PIVOT, *codes), range(config.largest))

    def rows(values: Sequence[int], *of: str) -> Rows:
        return [{"key": str(value), **{code: words[code][value] for code in (PIVOT, *of)}} for value in values]

    shares = [text[BITEXT * place : BITEXT * (place + 1)] for place in range(len(codes))]
    bitexts = {code: covering(rows(values, code), (PIVOT, code)) for code, values in zip(codes, shares, strict=True)}
    wanted, others = config.tuned or codes[:1], text[BITEXT * len(codes) :]
    monolingual = {PIVOT: [words[PIVOT][value] for value in others[::2]]}
    monolingual |= {code: [words[code][value] for value in others[1::2]] for code in wanted}
    return {
        "languages": codes,
        "bitexts": bitexts,
        "monolingual": monolingual,
        "asked": {part: {code: rows(parts[part], code) for code in wanted} for part in ("test", "dev", "select")},
        "domains": {code: domains(config, code, words) for code in wanted},
        "named": {code: words[code] for code in (PIVOT, *wanted)},
        "lines": [_vocabulary(words[code].values()) for code in (PIVOT, *codes)]
        + [_vocabulary(name[c] for name in _names(code).values()) for code in wanted for c in (PIVOT, code)],
    }


def world(config: Config, run: Run) -> data.World:
    """What an arm reads, and what it is asked.

    Raises:
        UserError: A language that is not in the tiny world.
    """
    if unknown := [code for code in config.languages if code not in POOL]:
        raise UserError(f"languages: the tiny world has {', '.join(POOL)}, not {unknown[0]!r}.")
    inputs = {name: getattr(config, name) for name in ("seed", "languages", "tuned", "largest")}
    found = run.once("world", inputs, lambda: _built(config))
    codes = tuple(found["languages"])
    pairs = config.pairs // len(codes) if config.equal_pairs else config.pairs
    named = {code: {text: value for value, text in by.items()} for code, by in found["named"].items()}
    monolingual = {
        code: data.damaged(lines[: config.lines or None], config.noise, named[code], f"{config.seed}-{code}")
        for code, lines in found["monolingual"].items()
    }
    general, asked = dict[str, Any](), dict[str, Any]()

    def both(rows: Rows, code: str) -> list[Segment]:
        return segments(rows, data.both(code))

    for code, of in found["domains"].items():
        domains_of = {**{name: by["tuning"] for name, by in of.items()}, "numbers": found["bitexts"][code][-30:]}
        general[code] = {name: both(listed, code) for name, listed in domains_of.items()}
        asked[code] = {name: both(by[config.split][: config.items], code) for name, by in of.items()}
    return data.World(
        languages=codes,
        tuned=config.tuned or codes[:1],
        bitexts={code: rows[: pairs or None] for code, rows in found["bitexts"].items()},
        monolingual=monolingual,
        general=general,
        asked={code: both(rows[: config.items], code) for code, rows in found["asked"][config.split].items()},
        select={code: both(rows[: config.items], code) for code, rows in found["asked"]["select"].items()},
        domains=asked,
        named=named,
        lines=found["lines"],
    )
