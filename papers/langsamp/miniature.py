"""The tiny world: numbers in words in twenty languages and three scripts, Serbian in two of them.

Every language reads other numbers, so that nothing is parallel. Half of the lines show the digits too, which all
languages write alike: the anchor that names and numerals are in real text. Held-out numbers are read in no language.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from core.text.scripts import dominant_script
from core.worlds.numbers import spelled
from papers.langsamp import data
from papers.langsamp.config import LANGUAGES, Config
from papers.langsamp.data import Names, Row

if TYPE_CHECKING:
    from core.models.loading import Loaded

LARGEST = 9999
TOP = 1000
"""The smallest number with as many digits as the largest."""
# Held-out numbers have a hundred at least: of the smaller ones there are too few to keep any back.
SMALLEST_HELD_OUT = 100


def parts(config: Config) -> dict[str, list[int]]:
    """Numbers held out for `test` and `dev`, and `train`, which each language reads a part of."""
    numbers = list(range(1, LARGEST + 1))
    Random(f"numbers-{config.seed}").shuffle(numbers)
    large = [number for number in numbers if number >= SMALLEST_HELD_OUT]
    test, dev = large[: config.held_out], large[config.held_out : 2 * config.held_out]
    kept = {*test, *dev}
    return {"test": sorted(test), "dev": sorted(dev), "train": [number for number in numbers if number not in kept]}


def languages(config: Config) -> tuple[str, ...]:
    """Codes of the languages that are read."""
    return config.languages or LANGUAGES


def tables(config: Config) -> Names:
    """Rows of both tables: `sr` and `sr-Latn` share their language and differ in their script."""
    words = spelled(languages(config), [1])
    found = {code: f"{code.partition('-')[0]}_{dominant_script(words[code][1])}" for code in languages(config)}
    known = data.names(found.values())
    return known._replace(of={code: known.of[part] for code, part in found.items()})


def reading(config: Config) -> dict[str, list[int]]:
    """The numbers that each language reads, drawn by the seed."""
    train = parts(config)["train"]
    return {code: Random(f"{code}-{config.seed}").sample(train, config.lines) for code in languages(config)}


def lines(config: Config) -> dict[str, list[tuple[str, str | None]]]:
    """What each language reads: words, or words and digits in either order, digits apart."""
    found: dict[str, list[tuple[str, str | None]]] = {}
    for code, read in reading(config).items():
        words, rng = spelled((code,), read)[code], Random(f"anchors-{code}-{config.seed}")
        found[code] = []
        for number in read:
            sides = [words[number], " ".join(str(number))]
            anchored = rng.random() < config.anchored
            rng.shuffle(sides)
            found[code].append((sides[0], sides[1]) if anchored else (words[number], None))
    return found


def untrained(config: Config) -> Loaded:
    """A small encoder with its tokenizer, which is trained on what is read."""
    from core.models import scratch

    texts = [text for read in lines(config).values() for pair in read for text in pair if text]
    return scratch.masked_lm(
        texts, pieces=config.pieces, layers=config.layers, width=96, heads=4, longest=64, seed=config.seed
    )


def rows(tokenizer: Any, config: Config) -> list[Row]:
    """Token rows of all languages with the rows of their tables."""
    from core.training.masking import encode

    found: list[Row] = []
    places = tables(config).of
    for code, read in lines(config).items():
        language, script = places[code]
        alone = encode(tokenizer, [text for text, other in read if other is None])
        both = [pair for pair in read if pair[1] is not None]
        paired = encode(tokenizer, [text for text, _ in both], [str(other) for _, other in both]) if both else []
        found += [{**row, "languages": language, "scripts": script} for row in (*alone, *paired)]
    return found
