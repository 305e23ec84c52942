"""Names of places, languages, currencies and more in hundreds of languages, and facts about territories (Unicode CLDR).

    translations(["de", "sw"])                # prompt: the name in German or Swahili, answer: in English
    kinds(["de", "sw"])                       # prompt: the name, answer: "territory", "language", ...
    concepts(["de", "sw"])                    # what both name: a word list with a column for each language
    facts(["en"])                             # prompt: "The currency of Japan is", answer: "Japanese Yen"
    short_names("bg", "city")                 # {"Europe/Sofia": "София", ...}, to be put into sentences
    made_up(Random(0), "bg")                  # a name that nobody bears

A concept is one class in all languages. Concepts that share a name in one of the languages (the language and the
currency of some countries) are one class, and names that stand for several concepts are no prompts.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from types import MappingProxyType
from typing import Any, Literal

from core import corpora
from core.errors import UserError
from core.text.distance import look_alike
from core.text.normalize import fold
from core.worlds.base import Item

Relation = Literal["currency", "language"]
KINDS = ("territory", "language", "currency", "script")
FRAMES: Mapping[tuple[str, Relation], Sequence[str]] = MappingProxyType(
    {
        ("en", "currency"): ("The currency of {name} is",),
        ("en", "language"): ("The official language of {name} is",),
    }
)
# Consonants and vowels of names that are made up.
SOUNDS = {"bg": ("бвгджзклмнпрстфхцчш", "аеиоуъ"), "en": ("bcdfghjklmnprstvwz", "aeiou")}
_ODD = re.compile(r"[\d(),;:/&]")


def translations(
    languages: Sequence[str],
    into: str = "en",
    *,
    kinds: Sequence[str] = KINDS,
    prompt_words: int = 3,
    answer_words: int = 3,
    lookalikes: bool = True,
    ambiguous: bool = False,
) -> list[Item]:
    """Names with their names in another language, the commonest English ones first.

    Args:
        languages: Codes of the prompts.
        into: Code of the answers.
        kinds: Of CLDR names (:data:`core.corpora.names.KINDS`).
        prompt_words: Most words of a prompt; names with digits or punctuation are left out.
        answer_words: Most words of an answer.
        lookalikes: Keep pairs that look alike in Latin letters, which can be told without knowing the language.
        ambiguous: Keep names that stand for several concepts.

    Returns:
        Items `<language>/<kind>/<code>`.

    Raises:
        UserError: unknown language or kind, or nothing left.
    """
    asked = [code for code in languages if code != into]
    classes = _classes((*asked, into), tuple(kinds))
    found = [
        Item(f"{code}/{row['key']}", classes[row["key"]], row[code], row[into], code)
        for code in asked
        for row in _rows((*asked, into), tuple(kinds))
        if _plain(row[code], prompt_words) and _plain(row[into], answer_words)
    ]
    kept = [item for item in found if lookalikes or not look_alike(item.prompt, item.answer)]
    return kept if ambiguous else _unambiguous(kept)


def kinds(languages: Sequence[str], *, kinds: Sequence[str] = KINDS, prompt_words: int = 3) -> list[Item]:
    """Names with what they are names of: a topic that a word alone decides, to be told across languages and scripts.

    Returns:
        Items `<language>/<kind>/<code>`; the answer is one of `kinds`.

    Raises:
        UserError: unknown language or kind, or nothing left.
    """
    classes = _classes(tuple(languages), tuple(kinds))
    return _unambiguous(
        [
            Item(f"{code}/{row['key']}", classes[row["key"]], row[code], row["kind"], code)
            for code in languages
            for row in _rows(tuple(languages), tuple(kinds))
            if _plain(row[code], prompt_words)
        ]
    )


@dataclass(frozen=True, slots=True)
class Concept:
    """A thing with its names: a row of a word list.

    Attributes:
        key: `<kind>/<code>`, as in CLDR.
        cls: Its equivalence class.
        names: By language code.
    """

    key: str
    cls: str
    names: Mapping[str, str]


def concepts(languages: Sequence[str], *, of: Sequence[str] = KINDS, prompt_words: int = 3) -> list[Concept]:
    """What all languages name, the commonest English names first; in each language every name is that of one concept.

    Args:
        languages: Codes, English too if it is wanted.
        of: Kinds of CLDR names.
        prompt_words: Most words of a name.

    Raises:
        UserError: unknown language or kind, or nothing left.
    """
    named: dict[str, tuple[str, dict[str, str]]] = {}
    for item in kinds(languages, kinds=of, prompt_words=prompt_words):
        named.setdefault(item.id.partition("/")[2], (item.cls, {}))[1][item.language] = item.prompt
    found = [Concept(key, cls, by) for key, (cls, by) in named.items() if len(by) == len(languages)]
    if not found:
        raise UserError("No concept has a name of its own in all these languages: name fewer.")
    return found


def facts(
    languages: Sequence[str],
    relations: Sequence[Relation] = ("currency", "language"),
    frames: Mapping[tuple[str, Relation], Sequence[str]] = FRAMES,
) -> list[Item]:
    """The currency and the official language of territories that have one of each kind, asked in frames.

    Args:
        languages: Of questions and answers.
        relations: Which facts.
        frames: Wordings by language and relation, with `{name}`; English ones are here.

    Returns:
        Items `<language>/<relation>/<territory>/<number of the wording>`. All facts about a territory are one class.

    Raises:
        UserError: no wording for a language, unknown language.
    """
    items = []
    for code in languages:
        names = {row["key"]: row[code] for row in _rows((code,), ("territory", "currency", "language")) if row[code]}
        for relation in relations:
            if not frames.get((code, relation)):
                raise UserError(f"There is no wording for {relation!r} in {code!r}: give one in `frames`.")
            for territory, value in _FACTS[relation]().items():
                name, answer = names.get(f"territory/{territory}"), names.get(f"{relation}/{value}")
                if name and answer:
                    items += [
                        Item(
                            f"{code}/{relation}/{territory}/{number}",
                            f"territory/{territory}",
                            frame.format(name=name),
                            answer,
                            code,
                        )
                        for number, frame in enumerate(frames[code, relation])
                    ]
    return items


SHORT_KINDS = ("city", "country", "currency", "language")


@cache
def short_names(language: str, kind: str) -> dict[str, str]:
    """Names of one to three words and at most 16 letters in one language, each once, to be put into sentences.

    Args:
        language: Code.
        kind: Of :data:`SHORT_KINDS`; cities are those that time zones are named after. Currencies are in lower case.

    Returns:
        Names by the key of CLDR, which is the same in all languages (not all of them name everything).

    Raises:
        UserError: unknown language or kind.
    """
    from core.corpora.names import locale_of

    if kind not in SHORT_KINDS:
        raise UserError(f"There are no short names of kind {kind!r}: choose among {', '.join(SHORT_KINDS)}.")
    locale = locale_of(language)
    if kind == "city":
        named = {zone: entry.get("city") for zone, entry in locale.time_zones.items()}
        # English names a zone's city only where the zone's id does not.
        zones = sorted(str(zone) for zone in locale_of("bg").time_zones if "/" in str(zone))
        names = {zone: str(named.get(zone) or zone.rpartition("/")[2].replace("_", " ")) for zone in zones}
    else:
        table = {"country": locale.territories, "currency": locale.currencies, "language": locale.languages}[kind]
        names = {str(code): str(name) for code, name in table.items() if kind != "country" or str(code).isalpha()}
    if kind == "currency":
        names = {code: name.lower() for code, name in names.items()}
    words = re.compile(r"[^\W\d]+([’' -][^\W\d]+){0,2}")
    short = {key: name for key, name in sorted(names.items()) if words.fullmatch(name) and len(name) <= 16}
    first = {name: key for key, name in reversed(short.items())}
    return {key: name for key, name in short.items() if first[name] == key}


def made_up(rng: Random, language: str) -> str:
    """A name that nobody bears, of one word or two, so that a model can only copy it.

    Raises:
        UserError: A language without `SOUNDS`.
    """
    if language not in SOUNDS:
        raise UserError(f"No sounds are known of {language!r}: choose among {', '.join(SOUNDS)}.")
    consonants, vowels = SOUNDS[language]
    words = []
    for _ in range(rng.choice((1, 1, 1, 1, 2))):
        ends = ["", "", rng.choice(consonants)]
        word = "".join(rng.choice(consonants) + rng.choice(vowels) + rng.choice(ends) for _ in range(rng.randint(2, 3)))
        words.append(word if rng.random() < 0.3 else word.capitalize())
    return " ".join(words)


@cache
def _currencies() -> dict[str, str]:
    from babel.core import get_global
    from babel.numbers import get_territory_currencies

    found = {code: get_territory_currencies(code) for code in sorted(get_global("territory_currencies"))}
    return {code: current[0] for code, current in found.items() if len(current) == 1}


@cache
def _official_languages() -> dict[str, str]:
    from babel.core import get_global
    from babel.languages import get_official_languages

    found = {code: get_official_languages(code) for code in sorted(get_global("territory_languages"))}
    return {code: official[0] for code, official in found.items() if len(official) == 1}


_FACTS = {"currency": _currencies, "language": _official_languages}


@cache
def _rows(languages: tuple[str, ...], kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    """CLDR's concepts, the commonest English names first."""
    from wordfreq import zipf_frequency

    rows = [dict(row) for row in corpora.load("cldr", languages=list(languages), kinds=list(kinds), complete=False)]
    return sorted(rows, key=lambda row: (-zipf_frequency(row["en"], "en"), row["key"]))


@cache
def _classes(languages: tuple[str, ...], kinds: tuple[str, ...]) -> dict[str, str]:
    """Key -> first key of those that it shares names with, over any number of steps."""
    named: dict[tuple[str, str], list[str]] = defaultdict(list)
    rows = _rows(languages, kinds)
    for row in rows:
        for code in ("en", *languages):
            if row[code]:
                named[code, fold(row[code])].append(row["key"])
    first = {row["key"]: row["key"] for row in rows}

    def root(key: str) -> str:
        return key if first[key] == key else root(first[key])

    for keys in named.values():
        low, *others = sorted(map(root, keys))
        first |= dict.fromkeys(others, low)
    return {key: root(key) for key in first}


def _plain(name: str | None, words: int) -> bool:
    return bool(name) and not _ODD.search(name or "") and len((name or "").split()) <= words


def _unambiguous(items: Sequence[Item]) -> list[Item]:
    """Without prompts that have several answers, and without repetitions."""
    answers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for item in items:
        answers[item.language, item.prompt].add(item.answer)
    first: dict[tuple[str, str], Item] = {}
    for item in items:
        if len(answers[item.language, item.prompt]) == 1:
            first.setdefault((item.language, item.prompt), item)
    if not first:
        raise UserError("No name is left: take other languages or kinds.")
    return list(first.values())
