"""The tiny world: names of emoji are synsets, and six of their 14 languages have constraints."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from core import corpora
from core.errors import UserError
from core.worlds import messages
from core.worlds.concepts import LANGUAGES, apart, gloss, held_out, names
from papers.lexical_specialization.inputs import Constraint

Part = Literal["test", "dev"]
SEEN, UNSEEN = LANGUAGES[:6], LANGUAGES[6:]  # en de es ru zh ar | tr ko fa it fr pt ja id
READ = (*UNSEEN, "bg", "cs", "el", "fi", "hu", "ky", "lv", "nl", "pl", "sq", "sv", "uk")  # whose sentences are read


def constraints(part: Part, tested: int, seed: int, *, number: int, languages: Sequence[str]) -> list[Constraint]:
    """At most so many constraints for a test, each of another concept; both glosses are English.

    The n-th of the languages is drawn in proportion to 1 / n, since resources are skewed.

    Raises:
        UserError: Fewer than two languages, or one that the tiny world does not have.
    """
    if len(languages) < 2 or not set(languages) <= set(LANGUAGES):
        raise UserError(f"languages: the tiny world pairs two or more of {', '.join(LANGUAGES)}.")
    rng, rows = random.Random(seed), []
    concepts = apart(held_out(part, tested, seed))
    for key in rng.sample(concepts, min(number, len(concepts))):
        # Two by weight, without replacement (Efraimidis and Spirakis 2006).
        place = {code: rng.random() ** rank for rank, code in enumerate(languages, start=1)}
        left, right = sorted(languages, key=place.__getitem__)[-2:]
        rows.append(Constraint(key, names()[key][left], left, names()[key][right], right, gloss(key), gloss(key)))
    return rows


def places(size: int, seed: int) -> dict[str, dict[str, str]]:
    """A second lexicon, of another domain: names of territories and languages, `{code: {language: name}}`."""
    rows = corpora.load("cldr", languages=LANGUAGES[1:], kinds=("territory", "language"), distinct=True)
    chosen = random.Random(seed).sample(list(rows), min(size, len(rows)))
    return {row["key"]: {code: row[code] for code in LANGUAGES} for row in chosen}


def sentences(part: Part, size: int, seed: int) -> dict[str, list[str]]:
    """Interface messages in English and in languages without constraints, aligned."""
    found = messages.aligned(READ, part, size, seed, max_chars=60)
    return {code: list(column.values()) for code, column in found.items()}


@cache
def texts() -> list[str]:
    """Everything that is read at the tiny scale, for a vocabulary without the rest."""
    found = {text for table in (names(), places(10**6, 0)) for name in table.values() for text in name.values()}
    for part in ("test", "dev"):
        found |= {text for column in sentences(part, 10**6, 0).values() for text in column}
    return sorted(found.union(map(gloss, names())))


def toy(folder: Path) -> None:
    """Save a small untrained encoder whose tokenizer knows some of the names."""
    from core.models.scratch import masked_lm

    some = list(names().values())[:60]
    model, tokenizer = masked_lm([text for name in some for text in name.values()], pieces=1200)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
