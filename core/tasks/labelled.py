"""Labelled sentences: topics (SIB-200, Taxi1500) and words' tags (WikiANN, UD), from the hub or from a folder.

    train = read("sib200", "eng_Latn", "train")              # Labelled(("The train is late.",), ("travel",)), ...
    test = read("my_folder", "rus_Cyrl", "test")

A folder has the columns of the published files:

    index_id  category  text                       SIB-200: <folder>/rus_Cyrl/test.tsv
    40001001  Sin       In the beginning ...       Taxi1500: <folder>/eng_test.tsv, no header
    {"tokens": ["Anna"], "ner_tags": ["B-PER"]}    WikiANN, UD: <folder>/en/test.jsonl
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import corpora
from core.errors import UserError
from core.files import read_lines
from core.training.config import TrainingConfig
from core.worlds.base import Part

if TYPE_CHECKING:
    from datasets import Dataset

# name -> (hub id, prefix of the subset's name, English)
HUB = {
    "sib200": ("Davlan/sib200", "", "eng_Latn"),
    "ner": ("unimelb-nlp/wikiann", "", "en"),
    "pos": ("google/xtreme", "udpos.", "English"),
}
# Given out on request alone; nothing can be fetched by program.
BY_HAND = {
    "taxi1500": "fill in the request form of github.com/cisnlp/Taxi1500 and put <language>_train.tsv, _dev.tsv and "
    "_test.tsv (id, label, verse; no header) into a folder, then give the folder"
}
# Settings of the official evaluation scripts of Glot500, TransliCo, LangSAMP and TransMI. Topics: 40 epochs, batch
# 8 x 2, no clipping; longest input 160 for SIB-200, 100 for Taxi1500; seeds 42 to 46. Tags: 10 epochs, batch 8 x 4,
# gradients clipped to 1, a look at English development data every 1,000 steps (UD: 500), no early stop; seed 1. Both:
# AdamW without weight decay, linear schedule without warm-up.
TOPIC_TRAINING = TrainingConfig(
    epochs=40, batch_size=16, learning_rate=1e-5, schedule="linear", layout="padded", max_grad_norm=0.0, max_length=160
)
TAG_TRAINING = TrainingConfig(
    epochs=10, batch_size=32, learning_rate=2e-5, schedule="linear", layout="padded", eval_every=1000, max_length=256
)
TAXI_LABELS = ("Recommendation", "Faith", "Violence", "Grace", "Sin", "Description")
_TEXT, _WORDS = ("text", "verse", "sentence"), ("tokens", "words")
_LABEL, _TAGS = ("category", "label"), ("ner_tags", "pos_tags", "tags", "labels")


@dataclass(frozen=True, slots=True)
class Labelled:
    """One example: a text as words with a label each (tagging), or as one word with its label (classification)."""

    words: tuple[str, ...]
    labels: tuple[str, ...]


def labels_of(examples: Iterable[Labelled]) -> list[str]:
    """All labels that occur, sorted."""
    return sorted({label for example in examples for label in example.labels})


def rewritten(example: Labelled, rewrite: Callable[[str], str]) -> Labelled:
    """The example with its words rewritten (romanised); one of which nothing is left stays, with its label."""
    return Labelled(tuple(rewrite(word).strip() or word for word in example.words), example.labels)


def english_of(corpus: str) -> str:
    """The code of English as a corpus spells it: `eng` or `en...` in a folder.

    Raises:
        UserError: A folder without English training data.
    """
    if corpus in HUB:
        return HUB[corpus][2]
    languages = languages_of(corpus, "train")
    english = [code for code in languages if code.lower().split("_")[0] in ("en", "eng", "english")]
    if not english:
        raise UserError(f"Folder {corpus} has no English training data (it has {', '.join(languages) or 'none'}).")
    return english[0]


def languages_of(corpus: str, split: Part = "test") -> list[str]:
    """Languages that a corpus has in a split.

    Raises:
        UserError: No such corpus, no network, or data that must be asked for by hand.
    """
    _check_by_hand(corpus)
    if corpus not in HUB:
        return sorted(_files(Path(corpus), split))
    hub_id, prefix, _ = HUB[corpus]
    try:
        if corpus == "sib200":  # plain files, no subsets that could be listed
            from huggingface_hub import list_repo_files

            names = [Path(name).parent.name for name in list_repo_files(hub_id, repo_type="dataset")]
            return sorted({name for name in names if len(name.split("_")) == 2})
        from datasets import get_dataset_config_names

        names = get_dataset_config_names(hub_id)
    except Exception as error:  # whatever the hub's client raises: the fix is the same
        raise UserError(
            f"Cannot list the languages of {hub_id} ({type(error).__name__}): name them with --languages, or connect "
            "to the network (and unset HF_HUB_OFFLINE)."
        ) from error
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def read(corpus: str, language: str, split: Part) -> list[Labelled]:
    """One split of one language.

    Args:
        corpus: `sib200`, `ner` (WikiANN), `pos` (UD as in XTREME), or a folder with `<language>/<split>.tsv` or
            `.jsonl` in the columns of the hub data, or Taxi1500's `<language>_<split>.tsv` without a header.
        language: As the corpus spells it.
        split: Which part.

    Raises:
        UserError: Nothing there, or none of the known columns.
    """
    _check_by_hand(corpus)
    if corpus == "sib200":
        return [labelled_row(row, corpus) for row in corpora.load("sib200", languages=[language], split=split)]
    if corpus in HUB:
        hub_id, prefix, _ = HUB[corpus]
        names = {"train": "train", "dev": "validation", "test": "test"}
        table: Any = corpora.read_rows(f"{hub_id}#{prefix}{language}@{names[split]}")
        return [labelled_row(named(row, table), corpus) for row in table]
    files = _files(Path(corpus), split)
    if language not in files:
        raise UserError(
            f"Folder {corpus} has no {split} data for {language!r}; it has {', '.join(sorted(files)) or 'none'}."
        )
    return [labelled_row(row, str(files[language])) for row in _local_rows(files[language])]


def labelled_row(row: Mapping[str, Any], where: str) -> Labelled:
    """A row of SIB-200, Taxi1500 (text and label) or WikiANN, UD (words and tags).

    Raises:
        UserError: None of the known columns.
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


def named(row: Mapping[str, Any], table: Dataset) -> dict[str, Any]:
    """The row with the names of class labels instead of their numbers."""
    found = dict(row)
    for name, feature in table.features.items():
        inner = getattr(feature, "feature", feature)
        if hasattr(inner, "int2str") and row[name] is not None:
            found[name] = inner.int2str(row[name])
    return found


def _check_by_hand(corpus: str) -> None:
    if corpus in BY_HAND:
        raise UserError(f"Corpus {corpus!r} cannot be fetched by program: {BY_HAND[corpus]}.")


def _files(folder: Path, split: Part) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"Corpus {folder} does not exist: use {', '.join(HUB)} or a folder of <language>/<split>.tsv.")
    nested = [*folder.glob(f"*/{split}.tsv"), *folder.glob(f"*/{split}.jsonl")]
    flat = folder.glob(f"*_{split}.tsv")
    return {path.parent.name: path for path in nested} | {path.stem.removesuffix(f"_{split}"): path for path in flat}


def _local_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [dict(row) for row in corpora.read_jsonl(path)]
    rows = [line.split("\t") for line in read_lines(path) if line.strip()]
    if not rows:
        raise UserError(f"{path} is empty: give it a header and a row for every example.")
    if len(rows[0]) == 3 and rows[0][1] in TAXI_LABELS:
        header = ["id", "label", "verse"]
    else:
        header, *rows = rows
    wrong = next((number for number, row in enumerate(rows, start=1) if len(row) != len(header)), None)
    if wrong:
        raise UserError(f"{path}, row {wrong}: {len(rows[wrong - 1])} columns, but there should be {len(header)}.")
    return [dict(zip(header, row, strict=True)) for row in rows]
