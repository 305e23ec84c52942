"""The tiny world: interface messages in 27 languages, and a question of word meaning that no message answers.

Messages are Django's, one of each class of near copies, present and different in all languages; a fifth of the classes
is for development. Seeds 3n, 3n + 1 and 3n + 2 share no message: that is all that there are.

Which of four English words does a word mean? The words are names of days, months, units, places, languages and numbers
(Unicode CLDR). Only those count whose romanised form does not look like the English one, so that knowing the alphabet
is not enough. A third of the concepts is for development and for the examples in the prompt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from core import corpora
from core.errors import UserError
from core.tasks.choices import Question
from core.text import languages
from core.text.distance import edit_distance, look_alike
from core.text.romanize import romanize
from core.worlds import messages, names
from core.worlds.base import Item, in_part

if TYPE_CHECKING:
    from core.models.loading import Loaded

Split = Literal["test", "dev"]

# Those in which Django has nearly all its messages, in nine scripts: from close relatives of English to scripts that
# the model's tokenizer spells byte by byte.
LANGUAGES = (
    "fr", "es", "it", "nl", "de", "sv", "da", "pl", "cs", "ru", "bg", "id", "tr", "fi", "hu", "el", "ar", "fa", "he",
    "ja", "ko", "zh-Hans", "ky", "mn", "sq", "lv", "et",
)  # fmt: skip
SHARES = {"dev": 0.2, "test": 0.8}
DISJOINT = 3
# Kinds of CLDR names, as the questions tell them apart: distractors and turns are of one kind.
KINDS = {
    "territory": "place",
    "region": "place",
    "language": "language",
    "unit": "unit",
    "month": "month",
    "weekday": "weekday",
}
NUMBERS = (*range(21), *range(30, 100, 10), 100, 1000)
COMMONEST = 90
"""Concepts of a kind that are ever asked: the commonest in English, of those that do not look alike."""
OPTIONS = 4
FRAME = "In {language}, the word “{word}” means"


# --- sentences ----------------------------------------------------------------------------------------------------


def sentences(codes: Sequence[str], split: Split, n: int, seed: int) -> tuple[list[str], dict[str, list[str]]]:
    """Keys of a sample of messages, and the messages by language, English first; for development all that there are.

    Raises:
        UserError: unknown language, or fewer than n messages that all languages have.
    """
    by_key: dict[str, dict[str, Item]] = {}
    for code in ("en", *codes):
        for item in messages.translations([code], max_chars=120):
            if len(item.prompt.split()) >= 4:  # shorter ones are labels, no sentences
                by_key.setdefault(item.id.partition("/")[2], {})[code] = item
    english = messages.translations(["en"], max_chars=120)
    seen: set[tuple[str, str]] = set()
    complete = []
    for found in by_key.values():
        looks = {(code, messages.skeleton(item.answer)) for code, item in found.items()}
        # Of two equal sentences neither could be found strictly first.
        if len(found) == len(codes) + 1 and not looks & seen:
            seen |= looks
            complete.append(found["en"])
    disjoint = 1 if split == "dev" else DISJOINT
    chosen = messages.sample(in_part(complete, english, split, SHARES), n, seed, disjoint=disjoint)
    if len(chosen) < (4 if split == "dev" else n):
        raise UserError(f"These {len(codes)} languages share {len(chosen)} messages: lower --n, or name fewer.")
    keys = [item.id.partition("/")[2] for item in chosen]
    return keys, {code: [by_key[key][code].answer for key in keys] for code in ("en", *codes)}


# --- questions ----------------------------------------------------------------------------------------------------


def words(code: str, split: Split, items: int, seed: int, *, shots: int = 5) -> list[Question]:
    """Questions about the words of one language, every kind in turn; seeds 3n to 3n + 2 share none.

    Args:
        code: The language.
        split: Development and test ask about different concepts, the same ones in all languages.
        items: How many.
        seed: Which sample.
        shots: Examples in the prompt, of the development part; they are asked about in neither part.

    Raises:
        UserError: unknown language, or too few words that differ from English.
    """
    # The development part is too small to be dealt to several seeds.
    draw, part, parts = (seed, 0, 1) if split == "dev" else (*divmod(seed, DISJOINT), DISJOINT)
    usable = _usable(code)
    shown = _in_turn([[c for c in kind if _is_dev(c)] for kind in usable])[:shots]
    dealt = []
    for kind in usable:
        asked = [c for c in kind if c not in shown and _is_dev(c) == (split == "dev")]
        # All in Latin script run out of some kinds early; dealing within a kind keeps the seeds' mix alike.
        dealt.append(sorted(asked, key=lambda c: _hash(f"{draw}/{c.cls}"))[part::parts])
    asked = _in_turn(dealt)[:items]
    if len(shown) < shots or len(asked) < items:
        raise UserError(f"Too few names of {code!r} differ from English ones: lower --items, or say --task none.")
    frame = lambda word: FRAME.format(language=languages.name(code), word=word)  # noqa: E731
    examples = "".join(f"{frame(c.prompt)} {c.answer}.\n" for c in shown)
    questions = []
    for concept in asked:
        options = _options(concept, [c for c in _concepts(code) if _kind(c) == _kind(concept)])
        choices, context = tuple(f" {option}" for option in options), examples + frame(concept.prompt)
        key = concept.id.partition("/")[2]
        questions.append(Question(key, context, choices, options.index(concept.answer), examples + frame("")))
    return questions


def by_spelling(questions: Sequence[Question]) -> float:
    """Share of the questions that are answered by taking the option whose letters look most like the word's."""
    right = []
    for question in questions:
        word = romanize(question.context.rpartition("“")[2].partition("”")[0]).lower()
        far = [edit_distance(word, o.strip().lower()) / max(len(word), len(o.strip())) for o in question.choices]
        right.append(float(far[question.answer] == min(far)) / far.count(min(far)))
    return float(np.mean(right))


@cache
def _concepts(code: str) -> tuple[Item, ...]:
    """Names and number words with an English name of one or two words, the commonest first."""
    from wordfreq import zipf_frequency

    base = code.split("-")[0]
    numbers = corpora.load("numbers", languages=[base], values=NUMBERS) if base in corpora.languages("numbers") else ()
    spelled = [Item(f"{code}/number/{r['key']}", f"number/{r['key']}", r[base], r["en"], code) for r in numbers]
    plain = [item for item in spelled if len(item.answer.split()) <= 2 and len(item.prompt.split()) <= 3]
    found = [*names.translations([code], kinds=list(KINDS), answer_words=2, ambiguous=True), *plain]
    return tuple(sorted(found, key=lambda item: (-zipf_frequency(item.answer, "en"), item.id)))


@cache
def _usable(code: str) -> list[list[Item]]:
    """Of each kind, the commonest that cannot be told by their letters."""
    by_kind: dict[str, list[Item]] = {}
    for concept in _concepts(code):
        by_kind.setdefault(_kind(concept), []).append(concept)
    plain = lambda kind: (c for c in by_kind[kind] if not look_alike(c.prompt, c.answer))  # noqa: E731
    return [list(islice(plain(kind), COMMONEST)) for kind in sorted(by_kind)]


def _kind(concept: Item) -> str:
    kind = concept.id.split("/")[1]
    return KINDS.get(kind, kind)


def _in_turn(kinds: Iterable[Sequence[Item]]) -> list[Item]:
    """One concept of each kind, then the next of each, so that all languages are asked the same mix."""
    return [concept for turn in zip_longest(*kinds) for concept in turn if concept]


def _options(concept: Item, same_kind: Sequence[Item]) -> list[str]:
    """The right answer among distractors of the same kind that are not also names of the word."""
    others = sorted({c.answer for c in same_kind if c.prompt != concept.prompt})
    others = [english for english in others if english.lower() != concept.answer.lower()]
    rng = np.random.default_rng(_hash(concept.id.partition("/")[2]))
    options = [concept.answer, *(others[i] for i in rng.permutation(len(others))[: OPTIONS - 1])]
    return [options[i] for i in rng.permutation(len(options))]


def _is_dev(concept: Item) -> bool:
    return _hash(concept.cls) % 3 == 0


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())


# --- a toy for tests ----------------------------------------------------------------------------------------------


def toy(folder: Path) -> None:
    """Save a small untrained Llama, as deep as the paper's five layers ask for, that spells in bytes."""
    from core.models.architectures import miniature
    from core.models.loading import from_config
    from core.models.tokenization import train_bpe

    lines = [item.answer for item in messages.translations(["en"])][:200]
    tokenizer = train_bpe(lines, vocabulary_size=400)
    sizes = {"width": 32, "layers": 25, "heads": 4, "feed_forward": 64, "positions": 1024}
    from_config(miniature(len(tokenizer), **sizes, initializer_range=0.2), seed=0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
