"""Items of any pair of languages: own files and the authors' tables, word lists that are typed, splits.

items = read_items("mine.tsv")           # columns language, kind, english, english_gloss, word, gloss
items = read_items("en_de_dataset.csv")  # the authors': ID, en, en_meaning, de, de_meaning, type
items = typed(rows, encode)              # word lists with glosses: kinds by likeness of forms and of meanings
shown, asked = stratified(items)         # 5 % for demonstrations, by kind
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.files import write_rows
from papers.orthography_semantics.method import Item, Kind, similarity

KINDS: tuple[Kind, ...] = get_args(Kind)
# The authors' names of kinds.
OFFICIAL: dict[str, Kind] = {"COGNATE": "cognate", "FALSE COGNATE": "false", "NON COGNATE": "translation"}
Encode = Callable[[Sequence[str]], Sequence[Sequence[float]]]


def read_items(source: str | Path) -> list[Item]:
    """Items of a table (.tsv, .csv, .jsonl, hub dataset), in our columns or the authors'.

    Raises:
        UserError: The file cannot be read; a row lacks a word or a gloss, or has an unknown kind.
    """
    return list(adapted(str(source), read_rows(source), item))


def item(row: Mapping[str, Any], number: int) -> Item:
    """A row of either layout as an item.

    Raises:
        UserError: See :func:`read_items`.
    """
    if "english" not in row and "en_meaning" in row:
        row = _official(row)
    names = ("language", "kind", "english", "english_gloss", "word", "gloss")
    values = {name: " ".join(str(row.get(name) or "").split()) for name in (*names, "english_negative", "negative")}
    if empty := [name for name in names if not values[name]]:
        raise UserError(f"{empty[0]!r} is empty; every row needs {', '.join(names)}.")
    if values["kind"] not in KINDS:
        raise UserError(f"kind {values['kind']!r} is none of {', '.join(KINDS)}.")
    key = f"{values['language']}/{row.get('key') or row.get('ID') or number}".replace("//", "/")
    return Item(key=key, **values)  # type: ignore[arg-type]


def _official(row: Mapping[str, Any]) -> dict[str, Any]:
    """The authors' columns under our names; the other language is the one that has a word and its meaning."""
    codes = [name for name in row if name != "en" and f"{name}_meaning" in row and "_" not in name]
    kind = str(row.get("type") or "").strip()
    if len(codes) != 1 or kind not in OFFICIAL:
        raise UserError(
            f"no row of the authors' tables: type is {kind!r}, words in {', '.join(codes) or 'no language'}."
        )
    (code,) = codes
    texts = {name: clean(str(row.get(name) or "")) for name in ("en_meaning", f"{code}_meaning")}
    return {
        "key": row.get("ID"), "language": code, "kind": OFFICIAL[kind], "english": row.get("en"), "word": row.get(code),
        "english_gloss": texts["en_meaning"], "gloss": texts[f"{code}_meaning"],
    }  # fmt: skip


def write_items(path: Path, items: Iterable[Item]) -> int:
    """Items as JSON lines, which :func:`read_items` reads; returns how many."""
    return write_rows(path, ({**one._asdict(), "key": one.key.partition("/")[2]} for one in items))


def clean(definition: str) -> str:
    """A definition in one form: a line, one full stop, small letters but the first, no blank before a comma."""
    text = re.sub(r" +(?=,)", "", f"{definition.replace(chr(10), ' ').strip(' .')}.".lower())
    return text[:1].upper() + text[1:]


def encoder(name: str) -> Encode:
    """An encoder of sentences as a function from texts to unit vectors, shape [texts, width]."""
    from core.models.embedding import load_encoder

    found = load_encoder(name)

    def encode(texts: Sequence[str]) -> Any:
        vectors = found(list(texts)).vectors
        return (vectors / vectors.norm(dim=1, keepdim=True)).numpy()

    return encode


def typed(
    rows: Iterable[tuple[str, str, str, str]],
    language: str,
    encode: Encode,
    *,
    form: float = 0.55,
    meaning: float = 0.6,
) -> list[Item]:
    """Kinds of word pairs, from how alike their forms and their glosses are.

    A false friend takes along its matched translation where the list has one: the pair with the same English word.

    Args:
        rows: English word, its gloss, other word, its gloss.
        language: Code of the other language.
        encode: From texts to unit vectors.
        form: Forms from this likeness on are alike (the authors' cognates and false friends have .74 to .80, their
            translations .21 to .23 on average).
        meaning: Glosses from this cosine on say the same.
    """
    import numpy as np

    listed = list(rows)
    vectors = np.asarray(encode([text for _, left, _, right in listed for text in (left, right)]))
    alike = (vectors[::2] * vectors[1::2]).sum(axis=1)
    kinds: dict[tuple[bool, bool], Kind] = {
        (True, True): "cognate", (True, False): "false", (False, True): "translation", (False, False): "unrelated",
    }  # fmt: skip
    return [
        Item(f"{language}/{english}/{word}", kinds[similarity(english, word) >= form, bool(same >= meaning)], language,
             english, english_gloss, word, gloss)
        for (english, english_gloss, word, gloss), same in zip(listed, alike, strict=True)
    ]  # fmt: skip


def stratified(items: Sequence[Item], share: float = 0.05, seed: int = 1) -> tuple[list[Item], list[Item]]:
    """Items for demonstrations and for the test, each kind alike, as in the authors' notebook (scikit-learn).

    Raises:
        UserError: A kind has too few items.
    """
    from sklearn.model_selection import train_test_split

    try:
        shown, asked = train_test_split(
            list(items), train_size=share, random_state=seed, stratify=[one.kind for one in items]
        )
    except ValueError as error:
        raise UserError(f"{len(items)} items cannot be split ({error}): give more of each kind.") from None
    return list(shown), list(asked)
