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
from core.worlds import messages, names
from core.worlds.base import Item, split
from papers.maltese_etymology.data import language, tokenize

MALTESE = language("maltese")
SHARES = {"dev": 0.25, "test": 0.75}
SENTENCE_SHARES = {"dev": 1 / 3, "test": 2 / 3}
TERRITORIES = 60
ARABIC_NAMES = 80
NUMBERS = (*range(1, 20), *range(20, 100, 10), 100)
RELATED = "Arabic"
LABELS = {"weekday": RELATED, "month": "Non-Arabic", "territory": "Name"}


@dataclass(frozen=True)
class Text:
    """A word (or a name after its article: the last token counts), or a sentence on a topic."""

    name: str
    tokens: Labelled
    english: str
    topic: str = ""

    @property
    def related(self) -> bool:
        """Whether the word is of Arabic origin."""
        return self.tokens.labels[-1] == RELATED


def words(part: str) -> list[Text]:
    """The words of a part; what stands in the closed class is spelled by hand and is none."""
    scheme = MALTESE.scheme
    known = [word for word in _words() if not all(scheme.fold(token) in scheme.closed for token in word.tokens.words)]
    by_name = {word.name: word for word in reversed(known)}
    return [by_name[item.id] for item in split(_items(by_name.values()), 0, SHARES)[part]]


def asked(found: Sequence[Text]) -> list[Text]:
    """The words that are asked, with different meanings and two in three of Arabic origin; the same with every seed."""
    by_name = {word.name: word for word in found}
    sides = [_items(word for word in found if word.related == related) for related in (True, False)]
    number = min(len(sides[0]) // 2, len(sides[1]))
    items = messages.sample(sides[0], 2 * number, 0) + messages.sample(sides[1], number, 0)
    return [by_name[item.id] for item in items]


def _items(found: Iterable[Text]) -> list[Item]:
    return [Item(word.name, word.english.lower(), word.name, word.english, "mt") for word in found]


@cache
def _words() -> tuple[Text, ...]:
    """By hand; weekdays and numbers (Arabic), months (Romance), and the territories that English names most."""
    texts = [(row["token"], row["english"], row["label"]) for _, row in table_rows(MALTESE.folder / "lexicon.tsv")]
    for kind, label in LABELS.items():
        named = names.translations(["mt"], kinds=[kind], answer_words=1)
        texts += [(item.prompt, item.answer, label) for item in named[:TERRITORIES]]
    numbers = corpora.load("numbers", languages=["mt"], values=NUMBERS)
    texts += [(row["mt"], row["en"], RELATED) for row in numbers]
    found = []
    for text, english, label in texts:
        tokens = tokenize(text, MALTESE.scheme)
        found.append(Text(text, Labelled(tuple(tokens), (*[RELATED] * (len(tokens) - 1), label)), english))
    return tuple(found)


def sentences(part: str) -> list[Text]:
    """The sentences of a part, in which all topics are about as frequent."""
    found: dict[str, Text] = {}
    items: dict[str, list[Item]] = {}
    for number, row in enumerate(corpora.read_jsonl(MALTESE.folder / "sentences.jsonl")):
        name = f"{row['topic']}-{number}"
        found[name] = Text(name, Labelled(tuple(row["tokens"]), tuple(row["labels"])), row["english"], row["topic"])
        items.setdefault(row["topic"], []).append(Item(name, name, row["english"], name, "mt"))
    chosen = {item.id for own in items.values() for item in split(own, 0, SENTENCE_SHARES)[part]}
    return [sentence for name, sentence in found.items() if name in chosen]


def arabic_names() -> list[Item]:
    """Arabic names and their English: does the encoder know Arabic?"""
    return names.translations(["ar"], kinds=["territory", "language", "month", "weekday"], answer_words=1)[
        :ARABIC_NAMES
    ]


def build_toy(folder: Path) -> None:
    """Save an untrained two-layer encoder whose tokenizer knows some words of both scripts."""
    from core.models.scratch import masked_lm

    lines = [line for word in _words() for line in (word.name, word.english)]
    for part in masked_lm([*lines, *(item.prompt for item in arabic_names())], pieces=400):
        part.save_pretrained(folder)
