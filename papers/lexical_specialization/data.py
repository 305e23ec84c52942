"""Constraints at every scale, own lexicons, and Multi-SimLex's ratings.

| what | columns |
|---|---|
| constraints | `synsetID, word1, lang1, word2, lang2[, sent1, sent2]`, on the hub or in a file |
| own lexicon | `synset, word, language[, gloss]`, or one per language code and a synset a line |
| ratings | `<L1>, <L2>, score` in the file `<L1>-<L2>.csv` |
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from core import corpora
from core.corpora.lexicons import read_pairs
from core.errors import UserError
from core.files import is_folder, source_is_path
from core.text.languages import same_language
from papers.lexical_specialization import miniature
from papers.lexical_specialization.config import Config
from papers.lexical_specialization.inputs import Constraint


def constraints(config: Config) -> list[Constraint]:
    """What a configuration trains on.

    Raises:
        UserError: No such data, or none of it is left.
    """
    rng = random.Random(config.seed)
    if config.constraints == "emoji":
        options = {"number": config.number, "languages": config.languages or miniature.SEEN}
        rows = miniature.constraints(config.split, config.items, config.seed, **options)
    else:
        tested = {word for file in config.validation for pair in read_pairs(file) for word in pair}
        rows = [
            row
            for row in read_constraints(config.constraints)
            if not config.languages or all(is_among(code, config.languages) for code in (row.lang1, row.lang2))
            if tested.isdisjoint((row.word1, row.word2))
        ]
        rows = rng.sample(rows, config.number) if 0 < config.number < len(rows) else rows
    rows = rows if config.share == 1 else rng.sample(rows, max(2, round(config.share * len(rows))))
    if not rows:
        raise UserError(f"No constraint of {config.constraints} is left for languages {config.languages}: name others.")
    return permuted(rows, config.seed) if config.permuted else rows


def permuted(rows: Sequence[Constraint], seed: int) -> list[Constraint]:
    """The same words in the same languages, every second one from another synset: a null arm."""
    rng, found = random.Random(seed), list(rows)
    by_language: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_language[row.lang2].append(number)
    for numbers in by_language.values():
        order = rng.sample(numbers, len(numbers))
        for taken, given in zip(order, [*order[1:], order[0]], strict=True):
            found[taken] = rows[taken]._replace(word2=rows[given].word2, gloss2=rows[given].gloss2)
    return found


def languages(config: Config) -> tuple[str, ...]:
    """The languages that the data have constraints of, whichever of them an arm takes."""
    if config.constraints == "emoji":
        return miniature.SEEN
    return tuple({code for row in read_constraints(config.constraints) for code in (row.lang1, row.lang2)})


def is_among(code: str, languages: Sequence[str]) -> bool:
    """Whether a language is one of these, however either is spelled."""
    return code in languages or any(same_language(code, other) for other in languages)


# --- files ----------------------------------------------------------------------------------------------------------


@cache
def read_constraints(source: str) -> list[Constraint]:
    """Constraints of a hub data set or a file, in the published form or as an own lexicon.

    Raises:
        UserError: It cannot be read, has other columns, or an empty word.
    """
    rows = corpora.read_rows(source)
    columns = set(next(iter(rows)))
    if {"synset", "word", "language"} <= columns:
        found = _of_synsets(corpora.adapted(source, rows, _member))
    elif "synsetID" not in columns and source_is_path(source):
        found = _of_columns(source)
    else:
        found = corpora.adapted(source, rows, _published)
    kept = list(found)
    if not kept:
        raise UserError(f"{source} has no synset with two words: give synonyms the same synset.")
    return kept


def _published(row: Any, number: int) -> Constraint:
    texts = [_text(row, name) for name in ("word1", "lang1", "word2", "lang2")]
    return Constraint(str(row["synsetID"]), *texts, *(str(row.get(name) or "").strip() for name in ("sent1", "sent2")))


def _member(row: Any, number: int) -> tuple[str, tuple[str, str, str]]:
    return str(row["synset"]), (_text(row, "word"), _text(row, "language"), str(row.get("gloss") or "").strip())


def _text(row: Any, name: str) -> str:
    if not isinstance(row[name], str) or not row[name].strip():
        raise UserError(f"{name} is {row[name]!r}: give a text, or leave the row out.")
    return row[name].strip()


def _of_synsets(members: Iterable[tuple[str, tuple[str, str, str]]]) -> Iterator[Constraint]:
    """Every two members of a synset."""
    synsets: dict[str, dict[tuple[str, str, str], None]] = defaultdict(dict)
    for synset, member in members:
        synsets[synset][member] = None
    for synset, found in synsets.items():
        for (word1, lang1, gloss1), (word2, lang2, gloss2) in combinations(found, 2):
            yield Constraint(synset, word1, lang1, word2, lang2, gloss1, gloss2)


def _of_columns(source: str) -> Iterator[Constraint]:
    table = enumerate(corpora.read_parallel(source))
    named = ((str(row.pop("key", "") or number), row) for number, row in table)
    return _of_synsets((key, (text, code, "")) for key, row in named for code, text in row.items() if text)


def ratings(folder: str | Path) -> dict[str, list[tuple[str, str, float]]]:
    """Pairs of words with their mean rating, by pair of languages; pairs without one are left out.

    Raises:
        UserError: There is no file, or one of another form.
    """
    files = sorted(Path(folder).glob("*-*.csv")) if is_folder(folder) else []
    if not files:
        raise UserError(f"{folder} holds no <L1>-<L2>.csv: clone umanlp/babelbert, and give its datasets/multisimlex.")
    found = {}
    for path in files:
        left, _, right = path.stem.partition("-")
        rated = [row for row in corpora.read_rows(path) if row.get("score") != ""]
        adapt = lambda row, _, left=left, right=right: (_text(row, left), _text(row, right), float(row["score"]))  # noqa: E731
        found[path.stem.lower()] = list(corpora.adapted(path, rated, adapt))
    return found
