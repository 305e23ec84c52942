"""Labelled sentences of the fine-tuning tasks, from the hub or from local files with the same columns.

index_id  category  text                       SIB200: <folder>/rus_Cyrl/test.tsv
40001001  Sin       In the beginning ...       Taxi1500: <folder>/eng_test.tsv, no header
{"tokens": ["Anna"], "ner_tags": ["B-PER"]}    WikiANN, UD: <folder>/en/test.jsonl
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import corpora
from core.errors import UserError
from core.files import read_lines
from papers.transmi.data import BY_HAND, hub_subsets

if TYPE_CHECKING:
    from datasets import Dataset

# name -> (hub id, prefix of the subset's name, English)
CORPORA = {
    "sib200": ("Davlan/sib200", "", "eng_Latn"),
    "ner": ("unimelb-nlp/wikiann", "", "en"),
    "pos": ("google/xtreme", "udpos.", "English"),
}
_HUB_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
_TEXT, _WORDS = ("text", "verse", "sentence"), ("tokens", "words")
_LABEL, _TAGS = ("category", "label"), ("ner_tags", "pos_tags", "tags", "labels")
TAXI_LABELS = ("Recommendation", "Faith", "Violence", "Grace", "Sin", "Description")


@dataclass(frozen=True)
class Labelled:
    """One example: a text as words with a label each (tagging), or as one word with its label (classification)."""

    words: tuple[str, ...]
    labels: tuple[str, ...]


def english_of(corpus: str) -> str:
    """The code of the language that is fine-tuned on: the corpus's own for hub data, `eng` or `en...` in a folder.

    Raises:
        UserError: If a folder has no English.
    """
    if corpus in CORPORA:
        return CORPORA[corpus][2]
    languages = languages_of(corpus, "train")
    english = [code for code in languages if code.lower().split("_")[0] in ("en", "eng", "english")]
    if not english:
        raise UserError(f"Folder {corpus} has no English training data (it has {', '.join(languages) or 'none'}).")
    return english[0]


def languages_of(corpus: str, split: str = "test") -> list[str]:
    """Languages that a labelled corpus has.

    Raises:
        UserError: no such corpus, or data that must be asked for by hand.
    """
    if corpus in BY_HAND:
        raise UserError(f"Corpus {corpus!r} cannot be fetched by program: {BY_HAND[corpus]}.")
    if corpus in CORPORA:
        return hub_subsets(CORPORA[corpus][0], CORPORA[corpus][1])
    return sorted(_files(Path(corpus), split))


def read(corpus: str, language: str, split: str) -> list[Labelled]:
    """One split (`train`, `dev`, `test`) of one language.

    A folder holds `<language>/<split>.tsv` or `.jsonl` with the columns of the hub data, or Taxi1500's
    `<language>_<split>.tsv` without a header.

    Raises:
        UserError: nothing there, or none of the known columns.
    """
    if corpus in CORPORA:
        hub_id, prefix, _ = CORPORA[corpus]
        table: Any = corpora.read_rows(f"{hub_id}#{prefix}{language}@{_HUB_SPLITS[split]}")
        return [labelled_row(_named(row, table), corpus) for row in table]
    if corpus in BY_HAND:
        raise UserError(f"Corpus {corpus!r} cannot be fetched by program: {BY_HAND[corpus]}.")
    files = _files(Path(corpus), split)
    if language not in files:
        raise UserError(
            f"Folder {corpus} has no {split} data for {language!r}; it has {', '.join(sorted(files)) or 'none'}."
        )
    return [labelled_row(row, str(files[language])) for row in _local_rows(files[language])]


def labelled_row(row: Mapping[str, Any], where: str) -> Labelled:
    """A row of SIB200, Taxi1500 (text and label) or WikiANN, UD (words and tags).

    Raises:
        UserError: none of the known columns.
    """
    for names, tags in ((_WORDS, _TAGS), (_TEXT, _LABEL)):
        text = next((row[name] for name in names if row.get(name) is not None), None)
        label = next((row[name] for name in tags if row.get(name) is not None), None)
        if text is not None and label is not None:
            if isinstance(text, str):
                return Labelled((text,), (str(label),))
            return Labelled(tuple(text), tuple(map(str, label)))
    raise UserError(
        f"{where}: columns {', '.join(row)} hold no text with labels; use text and category, or tokens and tags."
    )


def romanized(row: Labelled, romanize: Callable[[str], str]) -> Labelled:
    """The example with its words romanised; a word that vanishes (a lone length mark) stays, with its label."""
    return Labelled(tuple(romanize(word).strip() or word for word in row.words), row.labels)


def _files(folder: Path, split: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(
            f"Corpus {folder} does not exist: use {', '.join(CORPORA)} or a folder of <language>/<split>.tsv."
        )
    nested = [*folder.glob(f"*/{split}.tsv"), *folder.glob(f"*/{split}.jsonl")]
    flat = folder.glob(f"*_{split}.tsv")
    return {path.parent.name: path for path in nested} | {path.stem.removesuffix(f"_{split}"): path for path in flat}


def _local_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [dict(row) for row in corpora.read_jsonl(path)]
    rows = [line.split("\t") for line in read_lines(path) if line.strip()]
    if len(rows[0]) == 3 and rows[0][1] in TAXI_LABELS:
        header = ["id", "label", "verse"]
    else:
        header, *rows = rows
    wrong = next((number for number, row in enumerate(rows, start=1) if len(row) != len(header)), None)
    if wrong:
        raise UserError(f"{path}, row {wrong}: {len(rows[wrong - 1])} columns, but there should be {len(header)}.")
    return [dict(zip(header, row, strict=True)) for row in rows]


def _named(row: Mapping[str, Any], table: Dataset) -> dict[str, Any]:
    """The row with the names of class labels instead of their numbers."""
    named = dict(row)
    for name, feature in table.features.items():
        inner = getattr(feature, "feature", feature)
        if hasattr(inner, "int2str") and row[name] is not None:
            named[name] = inner.int2str(row[name])
    return named
