"""The miniature's text: Django's interface messages in ten languages, and number words as bitext.

Four languages are old (the base model knows them) and six are new. A model of a million parameters learns to translate
numbers, not messages; so the experiment on parallel text takes number words from zero to 999, English with the first
two new languages, of which a share may be wrong.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from core import corpora
from core.corpora import filtering
from papers.marco_llm.bodies import Body, clean_pairs, render_bitext
from papers.marco_llm.config import Config
from papers.marco_llm.templates import TEMPLATES, Pair

NUMBERS = range(1000)
HELD_OUT_NUMBERS = 100
# Numbers below one hundred are a tenth of all and hold the words of all others, so they come more often.
SMALL_NUMBERS_TIMES = 5
# Besides the languages that are paired, wrong translations come in this one.
WRONG_LANGUAGE = "hu"


@dataclass(frozen=True)
class Split:
    """A corpus in the parts that must not meet: rows of `{language: text or None}`."""

    train: list[dict[str, Any]]
    dev: list[dict[str, Any]]
    test: list[dict[str, Any]]

    def held_out(self, split: Literal["dev", "test"]) -> list[dict[str, Any]]:
        """The part that is measured."""
        return self.test if split == "test" else self.dev


@cache
def messages(languages: tuple[str, ...], held_out: int) -> Split:
    """Interface messages; the held-out ones exist in all languages and nothing in training repeats them in any."""
    options: dict[str, Any] = {"languages": languages, "max_chars": 160, "placeholders": True}
    whole = [dict(row) for row in corpora.load("django", **options)]
    everything = corpora.load("django", **options, complete=False, distinct=False, markup=True, newlines=True)
    test, dev = whole[:held_out], whole[held_out : 2 * held_out]
    seen = {(code, filtering.normal_form(row[code])) for row in (*test, *dev) for code in languages}
    train = [
        dict(row)
        for row in everything
        if not any(row[code] and (code, filtering.normal_form(row[code])) in seen for code in languages)
    ]
    return Split(train, dev, test)


def languages(config: Config) -> tuple[str, ...]:
    """Old languages, English first, then the new ones."""
    return ("en", *config.other_high, *config.low)


def messages_of(config: Config) -> Split:
    """The messages of a configuration."""
    return messages(languages(config), config.held_out)


@cache
def numbers(languages: tuple[str, ...]) -> Split:
    """Number words; which are held out depends neither on the seed nor on the languages."""
    rows = [dict(row) for row in corpora.load("numbers", languages=languages, values=NUMBERS)]
    random.Random(0).shuffle(rows)
    return Split(rows[2 * HELD_OUT_NUMBERS :], rows[HELD_OUT_NUMBERS : 2 * HELD_OUT_NUMBERS], rows[:HELD_OUT_NUMBERS])


def number_languages(config: Config) -> tuple[str, ...]:
    """English, the old languages that the base translates, the new ones that are paired, and one for wrong pairs."""
    return tuple(dict.fromkeys(("en", *config.scratch.pairs, *paired(config), WRONG_LANGUAGE)))


def paired(config: Config) -> tuple[str, ...]:
    """The new languages whose numbers are paired with English: the first two."""
    return config.low[:2]


def numbers_of(config: Config) -> Split:
    """The number words of a configuration."""
    return numbers(number_languages(config))


def monolingual(config: Config) -> list[Body]:
    """The training messages of each language."""
    category = {"en": "english", **dict.fromkeys(config.other_high, "other_high"), **dict.fromkeys(config.low, "low")}
    train = messages_of(config).train
    return [_body(code, category[code], [row[code] for row in train if row[code]]) for code in languages(config)]


def bitext(config: Config) -> tuple[list[Body], dict[str, dict[str, int]]]:
    """Parallel text of English with new languages, and what the filter rejected, by pair and rule."""
    numeric = config.parallel_text == "numbers"
    if numeric:
        pairs = {code: noisy_numbers(config, code) for code in paired(config)}
        rows, codes = numbers_of(config).train, number_languages(config)
    else:
        rows, codes = messages_of(config).train, languages(config)
        pairs = {code: [(row["en"], row[code]) for row in rows if row["en"] and row[code]] for code in config.low}
    identify = None
    if config.parallel == "filtered" and "language" in config.filter_rules:
        identify = filtering.identifier({code: [row[code] for row in rows if row[code]] for code in codes})
    bodies, rejected = [], {}
    for code, found in pairs.items():
        if config.parallel == "filtered":
            report = clean_pairs(found, ("en", code), config, identify)
            found, rejected[f"en-{code}"] = report.kept, report.rejected
        found = repeat_small_numbers(found) if numeric else found
        bodies.append(_body(f"en-{code}", "parallel", render_bitext(found, "en", code, config)))
    return bodies, rejected


def old_bitext(config: Config) -> list[Body]:
    """Clean number words of English with old languages, for the base model."""
    bodies = []
    for code in config.scratch.pairs:
        pairs = repeat_small_numbers([(row["en"], row[code]) for row in numbers_of(config).train])
        # In all templates, whatever the variant, so that all variants start from the same base.
        rendered = render_bitext(pairs, "en", code, replace(config, renderings=4, templates=tuple(TEMPLATES)))
        bodies.append(_body(f"en-{code}", "parallel", rendered))
    return bodies


def noisy_numbers(config: Config, code: str) -> list[Pair]:
    """English number words with their translations, of which a share `noise` is wrong.

    Half of the wrong ones are another number in the right language, half are in a wrong language (the number is right).
    """
    rows, draw = numbers_of(config).train, random.Random(f"{config.seed}/{code}")
    others = [other for other in ("en", *paired(config), WRONG_LANGUAGE) if other != code]
    pairs = []
    for row in rows:
        target = row[code]
        if draw.random() < config.noise:
            wrong_language = draw.random() < 0.5
            target = row[draw.choice(others)] if wrong_language else draw.choice(rows)[code]
        pairs.append((row["en"], target))
    return pairs


def repeat_small_numbers(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs, with those below one hundred several times."""
    return [pair for pair in pairs for _ in range(1 if "hundred" in pair[0] else SMALL_NUMBERS_TIMES)]


def _body(name: str, category: str, texts: Iterable[str]) -> Body:
    return Body(name, category, name, lambda: texts)
