"""What is trained on and tested at the paper's scale, and own lexicons.

| what | form |
|---|---|
| constraints | rows `synsetID, word1, lang1, word2, lang2[, sent1, sent2]`, on the hub or in a file |
| own lexicon | rows `synset, word, language[, gloss]`, or a column per language code |
| lexicons to induce | folder `<l1>-<l2>/*test*` (at any depth) of tab-separated pairs without a header |
| vocabularies | folder `<language>_vocab.txt`, a word a line, the most frequent first |
| ratings | folder `<L1>-<L2>.csv` with the columns `<L1>`, `<L2>` and `score` |
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from core import corpora
from core.errors import UserError
from core.files import is_folder, read_lines, source_is_path
from core.text.languages import same_language
from papers.lexical_specialization import miniature
from papers.lexical_specialization.config import Config
from papers.lexical_specialization.inputs import Constraint


class Pairs(NamedTuple):
    """Words and their translations, one a row; a word with several translations has several rows."""

    source: str
    target: str
    rows: list[tuple[str, str]]


# --- constraints ----------------------------------------------------------------------------------------------------


def constraints(config: Config) -> list[Constraint]:
    """What a configuration trains on.

    Raises:
        UserError: No such data, or none of it is left.
    """
    if config.constraints == "emoji":
        options = {"number": config.number or 10**6, "languages": config.languages or miniature.SEEN}
        rows = miniature.constraints(config.split, config.items, config.seed, **options)
    else:
        tested = {word for file in config.validation for pair in read_pairs(Path(file)) for word in pair}
        rows = [
            row
            for row in read_constraints(config.constraints)
            if all(not config.languages or is_among(code, config.languages) for code in (row.lang1, row.lang2))
            and tested.isdisjoint((row.word1, row.word2))
        ]
        if config.number and config.number < len(rows):
            rows = random.Random(config.seed).sample(rows, config.number)
    if config.share < 1:
        rows = random.Random(config.seed).sample(rows, max(2, round(config.share * len(rows))))
    if not rows:
        raise UserError(f"No constraint of {config.constraints} is between the languages {config.languages}: add some.")
    return permuted(rows, config.seed) if config.permuted else rows


def languages(config: Config) -> tuple[str, ...]:
    """The languages that have constraints."""
    if config.constraints == "emoji":
        return config.languages or miniature.SEEN
    return tuple(sorted({code for row in constraints(config) for code in (row.lang1, row.lang2)}))


def is_among(code: str, languages: Sequence[str]) -> bool:
    """Whether a language is one of these, however either is spelled."""
    return code in languages or any(same_language(code, other) for other in languages)


def permuted(rows: Sequence[Constraint], seed: int) -> list[Constraint]:
    """The same words in the same languages, every second one from another synset: a null arm."""
    rng = random.Random(seed)
    by_language: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_language[row.lang2].append(number)
    found = list(rows)
    for numbers in by_language.values():
        order = rng.sample(numbers, len(numbers))
        for taken, given in zip(order, [*order[1:], order[0]], strict=True):
            found[taken] = rows[taken]._replace(word2=rows[given].word2, gloss2=rows[given].gloss2)
    return found


def read_constraints(source: str) -> list[Constraint]:
    """Constraints of a hub data set or a file: the published form, or an own lexicon.

    Raises:
        UserError: It cannot be read, has other columns, or an empty word.
    """
    rows = corpora.read_rows(source)
    first = next(iter(rows))
    if {"synset", "word", "language"} <= set(first):
        return list(_of_synsets(source, rows))
    if "synsetID" not in first and source_is_path(source):
        return list(_of_columns(source))
    return list(corpora.adapted(source, rows, _published))


def _published(row: Any, number: int) -> Constraint:
    texts = [_text(row, name) for name in ("word1", "lang1", "word2", "lang2")]
    return Constraint(str(row["synsetID"]), *texts, *(str(row.get(name) or "").strip() for name in ("sent1", "sent2")))


def _text(row: Any, name: str) -> str:
    if not isinstance(row[name], str) or not row[name].strip():
        raise UserError(f"{name} is {row[name]!r}: give a text, or leave the row out.")
    return row[name].strip()


def _of_synsets(source: str, rows: Iterable[Any]) -> Iterable[Constraint]:
    def adapt(row: Any, number: int) -> tuple[str, str, str, str]:
        synset, word, language = str(row["synset"]), _text(row, "word"), _text(row, "language")
        return synset, word, language, str(row.get("gloss") or "").strip()

    members: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for synset, *member in corpora.adapted(source, rows, adapt):
        members[synset].append((member[0], member[1], member[2]))
    for synset, found in members.items():
        for (word1, lang1, gloss1), (word2, lang2, gloss2) in combinations(dict.fromkeys(found), 2):
            yield Constraint(synset, word1, lang1, word2, lang2, gloss1, gloss2)


def _of_columns(source: str) -> Iterable[Constraint]:
    for number, row in enumerate(corpora.read_parallel(source)):
        names = [(code, text) for code, text in row.items() if code != "key" and text]
        for (lang1, word1), (lang2, word2) in combinations(names, 2):
            yield Constraint(str(row.get("key") or number), word1, lang1, word2, lang2)


# --- tests ----------------------------------------------------------------------------------------------------------


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """Two words a line with a tab between them, as XLING and PanLex-BLI are given out.

    Raises:
        UserError: No such file, or a line of another form.
    """
    found = []
    for number, line in enumerate(read_lines(path), start=1):
        words = line.strip().split("\t")
        if len(words) != 2:
            raise UserError(f"{path}, line {number}: {len(words)} columns, not two words with a tab between them.")
        found.append((words[0], words[1]))
    return found


def lexicons(folder: Path) -> list[Pairs]:
    """The test lexicons below a folder, by the folder's name `<source>-<target>`.

    Raises:
        UserError: There is none.
    """
    files = sorted(folder.rglob("*test*")) if is_folder(folder) else []
    found = []
    for path in files:
        source, _, target = path.parent.name.partition("-")
        if path.is_file() and target:
            found.append(Pairs(source, target, read_pairs(path)))
    if not found:
        raise UserError(
            f"{folder} holds no lexicon <source>-<target>/*test*: clone umanlp/babelbert, and give its "
            "datasets/bli_datasets."
        )
    return found


def vocabulary(folder: Path, language: str) -> list[str]:
    """The words to search, without repetitions.

    Raises:
        UserError: There is no such file.
    """
    return list(dict.fromkeys(line.strip() for line in read_lines(folder / f"{language}_vocab.txt") if line.strip()))


def ratings(folder: Path) -> dict[str, list[tuple[str, str, float]]]:
    """Multi-SimLex's pairs of words with their mean rating, by pair of languages; pairs without one are left out.

    Raises:
        UserError: There is no file, or one of another form.
    """
    files = sorted(folder.glob("*-*.csv")) if is_folder(folder) else []
    if not files:
        raise UserError(f"{folder} holds no <L1>-<L2>.csv: clone umanlp/babelbert, and give its datasets/multisimlex.")
    found = {}
    for path in files:
        left, _, right = path.stem.partition("-")

        def adapt(row: Any, number: int, left: str = left, right: str = right) -> tuple[str, str, float | None]:
            return _text(row, left), _text(row, right), float(row["score"]) if row["score"] else None

        rows = corpora.adapted(path, corpora.read_rows(path), adapt)
        found[path.stem.lower()] = [(a, b, score) for a, b, score in rows if score is not None]
    return found
