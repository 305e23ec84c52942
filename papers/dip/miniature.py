"""The tiny world: what is the capital, the language or the currency of a country, asked in ten languages.

Some questions name the country, others its capital, so that two steps have to be taken. The wrong options are the
same thing of another country, and another thing of either country: who reads the name alone is right in one of two,
and so is who reads alone what is asked for. Names, languages and currencies are Unicode CLDR's; capitals, wordings and
the glosses of the words that these are made of are ours (`questions.yaml`). No country is in two parts.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal

from core.errors import UserError
from core.files import load_yaml
from core.worlds import names
from core.worlds.base import Item, split
from papers.dip.data import Question

Part = Literal["shots", "dev", "test"]
SHARES = {"shots": 0.15, "dev": 0.25, "test": 0.6}


@cache
def wordings() -> dict[str, Any]:
    """What `questions.yaml` holds: the capitals, and the wordings of each language."""
    return load_yaml(Path(__file__).parent / "questions.yaml")


def capitals() -> dict[str, str]:
    """The capital of each country, in English."""
    return wordings()["capitals"]


LANGUAGES = ("sw", "tr", "fi", "eu", "cy", "hu", "hi", "kk", "ta", "ka")
"""Those that are asked; `questions.yaml` has a few more."""


@cache
def facts() -> dict[str, dict[str, str]]:
    """Of each country its capital, language and currency, in English."""
    told = {relation: names.facts(["en"], [relation]) for relation in ("language", "currency")}
    by = {relation: {item.cls.partition("/")[2]: item.answer for item in items} for relation, items in told.items()}
    return {
        country: {
            "capital": capital,
            "language": by["language"][country],
            # Without the country's name, which would give it away.
            "currency": by["currency"][country].split()[-1].lower(),
        }
        for country, capital in capitals().items()
        if all(country in known for known in by.values())
    }


@cache
def named(code: str) -> dict[str, dict[str, str]]:
    """`{"country": {"EG": "Misri"}, "capital": {"EG": "Kairo"}}`: how a language names them."""
    from core.corpora.names import locale_of

    locale = locale_of(code)
    zones = {name: zone for zone, name in names.short_names("en", "city").items()}
    told = {c: locale.time_zones.get(zones.get(capital, ""), {}) for c, capital in capitals().items()}
    cities = {country: str(zone["city"]) if "city" in zone else capitals()[country] for country, zone in told.items()}
    return {
        "country": {country: locale.territories[country] for country in facts()},
        "capital": {country: name for country, name in cities.items() if capitals()[country] in zones},
    }


def names_table(code: str) -> dict[str, str]:
    """The dictionary's names: all territories of CLDR, and the capitals."""
    from core.corpora.names import locale_of

    english, own = (locale_of(of).territories for of in ("en", code))
    entries = {name: english[key] for key, name in own.items() if key.isalpha() and key in english}
    return entries | {name: capitals()[country] for country, name in named(code)["capital"].items()}


def table(code: str) -> dict[str, str]:
    """The dictionary: names, and the words of the questions."""
    return names_table(code) | wordings()[code]["words"]


def parallel(code: str, part: Part) -> list[tuple[str, str]]:
    """Questions about the countries of the other parts, each with its English wording: what words are learnt from."""
    english = {item.id.partition("/")[2]: item.prompt for item in pool("en")}
    parts = split(pool(code), 0, SHARES)
    return [
        (item.prompt, english[item.id.partition("/")[2]])
        for name, items in parts.items()
        for item in items
        if name != part
    ]


@cache
def pool(code: str) -> tuple[Item, ...]:
    """All that can be asked in a language, without options; a country is one class.

    Raises:
        UserError: There is no wording in the language.
    """
    if "asks" not in wordings().get(code, {}):
        known = sorted(set(wordings()) - {"capitals"})
        raise UserError(f"The miniature has no questions in {code!r}: it has {', '.join(known)}.")
    frames, found = wordings()[code], []
    for given in ("country", "capital"):
        for country, name in named(code)[given].items():
            for asked in ("capital", "language", "currency"):
                if asked != given and country in facts() and country in named("en")[given]:
                    text = f"{frames[given].format(name=name)} {frames['asks'][asked]}"
                    key = f"{code}/{country}/{given}-{asked}"
                    found.append(Item(key, country, text, facts()[country][asked], code))
    return tuple(found)


def questions(code: str, part: Part, size: int, seed: int) -> list[Question]:
    """A sample of a part's questions, `<language>/<country>/<what is named>-<what is asked>`.

    Args:
        code: The language.
        part: Which countries.
        size: How many questions; all that there are if that is fewer.
        seed: Which sample, and which options.
    """
    items = split(pool(code), 0, SHARES)[part]
    english = {item.id.partition("/")[2]: item.prompt for item in pool("en")}
    drawn = Random(f"{seed}/{code}").sample(items, min(size, len(items)))
    countries = sorted({item.cls for item in items})
    return [
        Question(item.id, item.prompt, english[item.id.partition("/")[2]], item.answer, _options(item, countries, seed))
        for item in drawn
    ]


def _options(item: Item, countries: list[str], seed: int) -> tuple[str, ...]:
    """The answer, the same thing of another country, and another thing of both, in some order."""
    draw = Random(f"{seed}/{item.id}")
    given, asked = item.id.rpartition("/")[2].split("-")
    while True:
        other = draw.choice(countries)
        instead = draw.choice([thing for thing in facts()[other] if thing not in (given, asked)])
        options = [facts()[country][thing] for thing in (asked, instead) for country in (item.cls, other)]
        if len({option.casefold() for option in options}) == len(options):
            draw.shuffle(options)
            return tuple(options)


def demonstrations(seed: int) -> list[Question]:
    """English questions with their answers, the same in every language and arm; each thing is asked for."""
    items = split(pool("en"), 0, SHARES)["shots"]
    draw = Random(f"shots/{seed}")
    chosen: list[Item] = []
    for asked in ("capital", "language", "currency", "language"):
        seen = {item.cls for item in chosen}
        chosen.append(draw.choice([i for i in items if i.id.endswith(f"-{asked}") and i.cls not in seen]))
    return [Question(item.id, item.prompt, item.prompt, item.answer) for item in chosen]


def toy(folder: Path) -> None:
    """Save a small untrained model that spells in bytes, for tests."""
    from core.models.scratch import byte_decoder

    byte_decoder(folder, [item.prompt for item in pool("en")])
