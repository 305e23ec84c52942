"""Interface messages in parallel: real sentences of the web framework Django in more than 90 languages, as a world.

    items = translations(["ru", "pl"])                # prompt: English, answer: the translation
    test = split(items, 0, {"dev": 0.2, "test": 0.8})["test"]
    sample(test, 60, seed=0, disjoint=3)              # and seeds 1 and 2 share no message with it
    topics(["en", "ru"])                              # prompt: the message, answer: the application that shows it
    aligned(["ru", "pl"], "test", 60, seed=0)         # {"en": {key: message}, "ru": ..., "pl": ...}
    texts(["en", "ru"], 50, seed=0)                   # train, dev and test text by language, the last two aligned

Messages are near copies of one another ("Password change" and "Change password", one and many, with a stop and
without), so they stand in equivalence classes: equal English but for placeholders, case, punctuation and plural, or
equal translations, likewise, in at least two languages. A placeholder is shown as `…` on all sides, since its name is
the same in every language and would be copied; markup is left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from types import MappingProxyType
from typing import NamedTuple

from core.corpora.catalogues import django_locales, package_folder, read_catalogue
from core.corpora.table import check_languages, clean, short_hash
from core.errors import UserError
from core.worlds.base import Item, in_part, split

MASK = "…"
_PLACEHOLDER = re.compile(r"%\([^)]*\)[a-z]|\{[^}]*\}|%[a-z]|\$\w+")
_MARKUP = re.compile(r"<[^>]*>|&#?\w+;")
# Applications with enough messages; the rest of contrib has a few dozen, and the framework itself is `conf`.
TOPICS = ("conf", "admin", "auth", "admindocs")


class Message(NamedTuple):
    """One message of the catalogues: its key, English, class, and the one application that has it (or none)."""

    key: str
    english: str
    cls: str
    topic: str | None


def translations(languages: Sequence[str], *, min_chars: int = 15, max_chars: int = 90) -> list[Item]:
    """Messages with their translations.

    Args:
        languages: Codes (`ru`, `zh-Hans`); for `en` the message is its own translation.
        min_chars: Fewest characters of the English message.
        max_chars: Most characters of the English message.

    Returns:
        Items `<language>/<key>`: the prompt is the English message, the answer its translation. Messages of one word,
        of several lines, or that are translated by themselves are left out. Split the English items, which have all
        classes, and take the same classes in the other languages.

    Raises:
        UserError: A language without catalogue.
    """
    items = []
    for code in check_languages(languages, ["en", *django_locales()], "django"):
        for message, text in _usable(code, min_chars, max_chars):
            items.append(Item(f"{code}/{message.key}", message.cls, message.english, text, code))
    return items


def topics(languages: Sequence[str], *, min_chars: int = 10, max_chars: int = 120) -> list[Item]:
    """Messages with the part of the framework that shows them: a topic that the wording tells.

    Args:
        languages: Codes; `en` for the English messages.
        min_chars: Fewest characters of the English message.
        max_chars: Most characters of the English message.

    Returns:
        Items `<language>/<key>`: the prompt is the message, the answer one of :data:`TOPICS`. Messages that several
        applications have are left out.

    Raises:
        UserError: A language without catalogue.
    """
    items = []
    for code in check_languages(languages, ["en", *django_locales()], "django"):
        for message, text in _usable(code, min_chars, max_chars):
            if message.topic in TOPICS:
                items.append(Item(f"{code}/{message.key}", message.cls, text, message.topic, code))
    return items


def sample(items: Sequence[Item], size: int, seed: int, *, disjoint: int = 1) -> list[Item]:
    """A sample of one language's messages, at most one of each class.

    Seeds `disjoint * n` to `disjoint * n + disjoint - 1` are drawn together, without replacement: their samples share
    no class wherever the language has `disjoint * size` of them; where it has fewer, the last ones begin again.

    Args:
        items: Of one language.
        size: Messages; all that there are if that is fewer.
        seed: Which sample.
        disjoint: How many seeds are drawn together.
    """
    draw, part = divmod(seed, disjoint)
    by_class: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_class[item.cls].append(item)
    order = sorted(by_class, key=lambda cls: _hash(f"{draw}/{cls}"))
    chosen = [min(by_class[cls], key=lambda item: _hash(f"{draw}/{item.id}")) for cls in order]
    first: dict[str, Item] = {}  # of two messages with one translation neither could be found before the other
    for item in chosen:
        first.setdefault(skeleton(item.answer), item)
    kept = list(first.values())
    return [kept[(part * size + number) % len(kept)] for number in range(min(size, len(kept)))]


def by_key(languages: Sequence[str], **lengths: int) -> dict[str, dict[str, Item]]:
    """`{language: {key: message}}`, with the lengths of :func:`translations`."""
    return {code: {item.id.partition("/")[2]: item for item in translations([code], **lengths)} for code in languages}


def aligned(
    languages: Sequence[str],
    part: str,
    size: int,
    seed: int,
    *,
    shares: Mapping[str, float] = MappingProxyType({"dev": 0.3, "test": 0.7}),
    max_chars: int = 90,
    min_words: int = 2,
    distinct: bool = False,
    disjoint: int = 1,
) -> dict[str, dict[str, str]]:
    """A sample of one part's messages in English and in languages that all have them: `{language: {key: text}}`.

    Args:
        languages: Codes besides English.
        part: One of the parts of `shares`.
        size: Messages; all that there are if that is fewer.
        seed: Which ones, at most one of each class.
        shares: Of the classes, the same ones in every language.
        max_chars: Most characters of the English message.
        min_words: Fewest words of the English message.
        distinct: Leave out what reads in some language like an earlier message (:func:`skeleton`).
        disjoint: As of :func:`sample`.

    Raises:
        UserError: A language without catalogue.
    """
    found = by_key(("en", *languages), max_chars=max_chars)
    seen: set[tuple[str, str]] = set()
    complete = []
    for key, item in found["en"].items():
        looks = {(code, skeleton(column[key].answer)) for code, column in found.items() if key in column}
        long_enough = len(item.prompt.split()) >= min_words
        if long_enough and len(looks) == len(found) and not (distinct and looks & seen):
            seen |= looks
            complete.append(item)
    chosen = sample(in_part(complete, found["en"].values(), part, shares), size, seed, disjoint=disjoint)
    keys = [item.id.partition("/")[2] for item in chosen]
    return {code: {key: column[key].answer for key in keys} for code, column in found.items()}


def texts(
    languages: Sequence[str], size: int, seed: int, *, dev: Collection[str] = (), max_chars: int = 160
) -> dict[str, dict[str, list[str]]]:
    """Text to train on and to measure likelihood on: `{"train": {language: texts}, "dev": ..., "test": ...}`.

    The held-out parts are aligned, a message of each class, drawn by the seed from those that all languages have; what
    is in their classes is left out of training in every language, and in a language what reads like a held-out text of
    it (two messages that a single language translates alike are two classes).

    Args:
        languages: Codes.
        size: Messages of either held-out part.
        seed: Which ones.
        dev: Skeletons of the English messages whose classes are for development; none = three tenths of the classes.
        max_chars: Most characters of the English message.

    Raises:
        UserError: A language without catalogue, or too few messages that all languages have.
    """
    found = by_key(("en", *languages), min_chars=1, max_chars=max_chars)
    complete = [item for key, item in found["en"].items() if all(key in column for column in found.values())]
    if dev:
        classes = {item.cls for item in complete if skeleton(item.answer) in dev}
    else:
        classes = {item.cls for item in split(complete, 0, {"dev": 0.3, "test": 0.7})["dev"]}
    parts = {"dev": [i for i in complete if i.cls in classes], "test": [i for i in complete if i.cls not in classes]}
    drawn = {part: sample(items, size, seed) for part, items in parts.items()}
    if short := [part for part, items in drawn.items() if len(items) < size]:
        raise UserError(f"There are {len(drawn[short[0]])} {short[0]} messages in all languages, not {size}: ask less.")
    held = {item.cls for items in drawn.values() for item in items}
    wanted = {code: found[code] for code in languages}
    parts_of = {
        part: {code: [column[item.id.partition("/")[2]].answer for item in items] for code, column in wanted.items()}
        for part, items in drawn.items()
    }
    alike = {code: {skeleton(text) for part in parts_of.values() for text in part[code]} for code in wanted}
    train = {
        code: [i.answer for i in column.values() if i.cls not in held and skeleton(i.answer) not in alike[code]]
        for code, column in wanted.items()
    }
    return {"train": train, **parts_of}


def mask(text: str) -> str:
    """The text on one line, placeholders as `…`, without markup."""
    return clean(_MARKUP.sub(" ", _PLACEHOLDER.sub(MASK, text)))


def skeleton(text: str) -> str:
    """What near copies have in common: lower-case words without placeholders, punctuation and plural s."""
    kept = re.sub(r"[^\w\s]", " ", unicodedata.normalize("NFKC", mask(text)).lower())
    return " ".join(word.rstrip("s") or word for word in kept.split())


def _hash(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=8).digest()


def _usable(code: str, min_chars: int, max_chars: int) -> Iterator[tuple[Message, str]]:
    """Messages of a length, with their text in a language."""
    catalogue = _catalogue(code) if code != "en" else {}
    for original, message in _messages().items():
        text = mask(catalogue.get(original, "")) if code != "en" else message.english
        if min_chars <= len(message.english) <= max_chars and text and (code == "en" or text != message.english):
            yield message, text


@cache
def _catalogue(code: str) -> dict[tuple[str, str], str]:
    return {original: text for _, original, text in _entries(django_locales()[code])}


def _entries(folder: str) -> Iterator[tuple[str, tuple[str, str], str]]:
    """Application, (context, English) and translation of all one-line messages of a locale; first come, first kept."""
    root, seen = package_folder("django"), set()
    paths = [root / "conf", *sorted(path.parent for path in root.glob("contrib/*/locale"))]
    for application in paths:
        for path in sorted(application.glob(f"locale/{folder}/LC_MESSAGES/*.mo")):
            for original, text in read_catalogue(path).items():
                if (application.name, original) not in seen and "\n" not in f"{original[1]}{text}".strip():
                    seen.add((application.name, original))
                    yield application.name, original, text


@cache
def _messages() -> dict[tuple[str, str], Message]:
    """All messages of at least two words, in classes that depend on the catalogues alone, not on what is asked for."""
    applications: dict[tuple[str, str], set[str]] = defaultdict(set)
    same: Counter[tuple[tuple[str, str], tuple[str, str]]] = Counter()
    for folder in django_locales().values():
        groups: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for application, original, text in _entries(folder):
            if len(skeleton(original[1]).split()) > 1:
                applications[original].add(application)
                groups[skeleton(text)].add(original)
        for group in groups.values():
            ordered = sorted(group)
            same.update((ordered[0], other) for other in ordered[1:])
    parent = {original: original for original in applications}

    def root(one: tuple[str, str]) -> tuple[str, str]:
        while parent[one] != one:
            one = parent[one]
        return one

    by_skeleton: dict[str, tuple[str, str]] = {}
    pairs = [(by_skeleton.setdefault(skeleton(original[1]), original), original) for original in sorted(applications)]
    for one, other in [*pairs, *(pair for pair, count in same.items() if count > 1)]:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    if not applications:
        raise UserError("Django's message catalogues hold nothing: reinstall the package `django`.")
    return {
        original: Message(
            short_hash("\x04".join(original)),
            mask(original[1]),
            short_hash("\x04".join(root(original))),
            next(iter(found)) if len(found) == 1 else None,
        )
        for original, found in sorted(applications.items())
    }
