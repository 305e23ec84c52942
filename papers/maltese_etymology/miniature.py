"""The tiny world: Maltese words with English meanings, sentences with labels and topics, a small encoder.

Words are written by hand (`maltese/lexicon.tsv`), or come from Unicode CLDR: weekdays, months, numbers, territories. A
word is one class with all that share its English meaning. A quarter of the classes is for development. Sentences
(`maltese/sentences.jsonl`) are by hand: 24 on each of four topics, 8 of them for development. In the official
annotations 68 % of the tokens that are no symbols are of Arabic origin, and so are two in three of the words asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core import corpora
from core.corpora.files import table_rows
from core.tasks.labelled import Labelled
from core.worlds import messages
from core.worlds.base import Item, split
from papers.maltese_etymology.data import BUNDLED, Language, tokenize

SHARES = {"dev": 0.25, "test": 0.75}
SENTENCE_SHARES = {"dev": 1 / 3, "test": 2 / 3}
TERRITORIES = 60
ARABIC_NAMES = 80
NUMBERS = (*range(1, 20), *range(20, 100, 10), 100)
RELATED, OTHER, NAME = "Arabic", "Non-Arabic", "Name"


@dataclass(frozen=True)
class Text:
    """A word (or a name with its article: the last token carries meaning and origin), or a sentence on a topic."""

    name: str
    tokens: Labelled
    english: str
    topic: str = ""


def words(language: Language, part: str, share: float = 1.0) -> list[Text]:
    """A share of the words of a part; what stands in the closed class is spelled by hand and is none."""
    closed = language.scheme.closed
    found: dict[str, Text] = {}
    for word in _lexicon(language.name) + _names(language):
        if not all(language.scheme.fold(token) in closed for token in word.tokens.words):
            found.setdefault(word.name, word)
    return [found[item.id] for item in split(_items(found.values()), 0, SHARES)[part]][:: round(1 / share)]


def asked(found: Sequence[Text], size: int) -> list[Text]:
    """The words that are asked, at most so many, with different meanings and two in three of Arabic origin."""
    by_name = {word.name: word for word in found}
    related = [word for word in found if word.tokens.labels[-1] == RELATED]
    other = [word for word in found if word.tokens.labels[-1] != RELATED]
    number = min(round(size / 3), len(related) // 2, len(other))
    items = messages.sample(_items(related), 2 * number, 0) + messages.sample(_items(other), number, 0)
    return [by_name[item.id] for item in items]


def _items(found: Iterable[Text]) -> list[Item]:
    return [Item(word.name, word.english.lower(), word.name, word.english, "mt") for word in found]


@cache
def _lexicon(language: str) -> tuple[Text, ...]:
    rows = table_rows(BUNDLED / language / "lexicon.tsv")
    return tuple(Text(r["word"], Labelled((r["word"],), (r["label"],)), r["english"]) for _, r in rows)


def _names(language: Language) -> tuple[Text, ...]:
    """Weekdays and numbers (Arabic), months (Romance), and the territories that English names most."""
    from wordfreq import zipf_frequency

    labels = {"weekday": RELATED, "month": OTHER, "territory": NAME}
    table = corpora.load("cldr", languages=["mt"], kinds=list(labels), distinct=True)
    named = [(row["mt"], row["en"], labels[row["kind"]]) for row in table if row["en"].isalpha()]
    common = sorted((en for _, en, label in named if label == NAME), key=lambda en: (-zipf_frequency(en, "en"), en))
    kept = [row for row in named if row[2] != NAME or row[1] in common[:TERRITORIES]]
    kept += [(row["mt"], row["en"], RELATED) for row in corpora.load("numbers", languages=["mt"], values=NUMBERS)]
    found = []
    for text, english, label in kept:
        tokens = tokenize(text, language.scheme)
        found.append(Text(text, Labelled(tuple(tokens), (*[RELATED] * (len(tokens) - 1), label)), english))
    return tuple(found)


def sentences(language: Language, part: str, share: float = 1.0) -> list[Text]:
    """A share of the sentences of a part, in which all topics are about as frequent."""
    rows = corpora.read_jsonl(BUNDLED / language.name / "sentences.jsonl")
    found = {}
    for number, row in enumerate(rows):
        tokens = Labelled(tuple(row["tokens"]), tuple(row["labels"]))
        name = f"{row['topic']}-{number}"
        found[name] = Text(name, tokens, row["english"], row["topic"])
    chosen: set[str] = set()
    for topic in sorted({s.topic for s in found.values()}):
        items = [Item(name, name, s.english, name, "mt") for name, s in found.items() if s.topic == topic]
        chosen |= {item.id for item in split(items, 0, SENTENCE_SHARES)[part]}
    return [s for name, s in found.items() if name in chosen][:: round(1 / share)]


def arabic_names(part: str) -> list[tuple[str, str]]:
    """Arabic and English names of territories, languages and numbers: does the encoder know Arabic?"""
    table = corpora.load("cldr", languages=["ar"], kinds=["territory", "language", "month", "weekday"], distinct=True)
    rows = [Item(r["key"], r["key"], r["ar"], r["en"], "ar") for r in table if r["en"].isalpha()]
    return [(item.prompt, item.answer) for item in split(rows, 0, SHARES)[part][:ARABIC_NAMES]]


def build_toy(folder: Path) -> None:
    """Save an untrained two-layer encoder whose tokenizer knows some words of both scripts."""
    from core.models.scratch import masked_lm

    rows = [row for _, row in table_rows(BUNDLED / "maltese" / "lexicon.tsv")]
    arabic = [text for text, _ in arabic_names("dev")]
    model, tokenizer = masked_lm([*(r["word"] for r in rows), *(r["english"] for r in rows), *arabic], pieces=400)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
