"""The tiny world: Maltese words with English meanings, sentences with labels and topics, a small encoder.

Words are written by hand (`maltese/lexicon.tsv`), or come from Unicode CLDR: weekdays, months, numbers, territories. A
word is one class with all that share its English meaning, and no class is in both parts. Sentences
(`maltese/sentences.jsonl`) are by hand: 64 on each of four topics, 40 of them for the test. What three earlier records
had measured is all for development; the test was written after them. In the official annotations 68 % of the tokens
that are no symbols are of Arabic origin, and so are two in three of the words asked.
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
from core.worlds.base import Item
from papers.maltese_etymology.data import language, tokenize

MALTESE = language("maltese")
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
    """The words of a part: `test`, `dev`, or `smoke`, a sixth of those of dev."""
    return list(_words()["dev"].values())[::6] if part == "smoke" else list(_words()[part].values())


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
def _words() -> dict[str, dict[str, Text]]:
    """By part, then by name: words by hand, and those of Unicode CLDR.

    What stands in the closed class is spelled by hand and is none.
    """
    found: dict[str, dict[str, Text]] = {"dev": {}, "test": {}}
    rows = table_rows(MALTESE.folder / "lexicon.tsv")
    texts = [(row["part"], row["token"], row["english"], row["label"]) for _, row in rows]
    for kind, label in LABELS.items():
        named = names.translations(["mt"], kinds=[kind], answer_words=1)[: 2 * TERRITORIES]
        parts = ("dev" if place < TERRITORIES else "test" for place in range(len(named)))
        texts += [(part, item.prompt, item.answer, label) for part, item in zip(parts, named, strict=True)]
    numbers = corpora.load("numbers", languages=["mt"], values=NUMBERS)
    texts += [("dev", row["mt"], row["en"], RELATED) for row in numbers]
    scheme = MALTESE.scheme
    for part, text, english, label in texts:
        tokens = tuple(tokenize(text, scheme))
        if not all(scheme.fold(token) in scheme.closed for token in tokens):
            labels = (*[RELATED] * (len(tokens) - 1), label)
            found[part].setdefault(text, Text(text, Labelled(tokens, labels), english))
    return found


def sentences(part: str) -> list[Text]:
    """The sentences of a part (of dev, a third is `smoke`), in which all topics are as frequent."""
    rows = corpora.read_jsonl(MALTESE.folder / "sentences.jsonl")
    found = [
        Text(f"{row['topic']}-{number}", Labelled((*row["tokens"],), (*row["labels"],)), row["english"], row["topic"])
        for number, row in enumerate(rows)
        if row["part"] == ("dev" if part == "smoke" else part)
    ]
    return found[::3] if part == "smoke" else found


def arabic_names() -> list[Item]:
    """Arabic names and their English: does the encoder know Arabic?"""
    return names.translations(["ar"], kinds=["territory", "language", "month", "weekday"], answer_words=1)[
        :ARABIC_NAMES
    ]


def build_toy(folder: Path) -> None:
    """Save an untrained two-layer encoder whose tokenizer knows some words of both scripts."""
    from core.models.scratch import masked_lm

    lines = [line for part in _words() for word in words(part) for line in (word.name, word.english)]
    for part in masked_lm([*lines, *(item.prompt for item in arabic_names())], pieces=400):
        part.save_pretrained(folder)
