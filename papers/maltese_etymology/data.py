"""What is processed: a language's data files, rankers, labelled words, and the paper's tasks.

A language is a folder:

    characters.tsv    source, where (any, initial, final), plain, readings (empty: the plain one; ∅: nothing), doubled
    closed.tsv        source, target; a + at the end writes the next token on to it
    pipelines.tsv     pipeline, then a column a label: pass, transliterate, or the name of a table of translations
    roles.tsv         role (related, other, switched, name, symbol), label, code of a list of words (or nothing)
    lexicon.tsv       token, label; and sentences.jsonl, tokens, labels: what the classifier learns from (optional)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import regex

from core import corpora
from core.corpora.files import columns, table_rows
from core.errors import UserError
from core.files import read_lines
from core.tasks.labelled import Labelled, named
from core.worlds.base import Part
from papers.maltese_etymology import method
from papers.maltese_etymology.method import Action, Ranker, Rule, Scheme

if TYPE_CHECKING:
    from papers.maltese_etymology.config import Config

BUNDLED = Path(__file__).parent
NOTHING = "∅"
PLACES = ("any", "initial", "final")


@dataclass(frozen=True)
class Language:
    """A mixed language.

    Attributes:
        folder: Where its files lie.
        scheme: How it is written in the other script.
        pipelines: By name, the name of an action for each label.
        roles: Labels by role (see :func:`papers.maltese_etymology.etymology.by_distance`).
        lists: Codes of wordfreq's lists: the language of the other script first, then those of the own one.
    """

    folder: Path
    scheme: Scheme
    pipelines: Mapping[str, Mapping[str, str]]
    roles: Mapping[str, str]
    lists: tuple[str, ...]

    def rankers(self, names: Sequence[str] = ()) -> list[Ranker]:
        """Rankers by name, or what the list of the other script's language allows."""
        return rankers(names or (f"words:{self.lists[0]}", "short"))

    def actions(
        self, pipeline: str, rankers: Sequence[Ranker] = (), tables: Mapping[str, Dictionary] | None = None
    ) -> dict[str, Action]:
        """What a pipeline does with each label, by its own table of translations; labels that pass are left out.

        Without rankers it transliterates deterministically.

        Raises:
            UserError: No such pipeline, or no such table.
        """
        if pipeline not in self.pipelines:
            raise UserError(f"There is no pipeline {pipeline!r}: choose one of {', '.join(self.pipelines)}.")
        spell = cache(partial(method.transliterate, scheme=self.scheme, rankers=tuple(rankers)))
        known: dict[str, Action] = {"transliterate": spell, **(tables or {})}
        chosen = {label: name for label, name in self.pipelines[pipeline].items() if name != "pass"}
        if missing := next((name for name in chosen.values() if name not in known), None):
            raise UserError(f"Pipeline {pipeline} needs the translations {missing!r}: name them as {missing}=FILE.")
        return {label: known[name] for label, name in chosen.items()}


@cache
def language(name: str, closed: tuple[str, ...] = ()) -> Language:
    """A language by the name of a bundled folder (maltese, swahili), or by the path of one's own.

    Args:
        name: The folder.
        closed: Tables of the closed class in the place of closed.tsv, a word, a tab and its form a line. The first
            table that has a word decides (official: the small one, then the additional one).

    Raises:
        UserError: No such folder, or a file of it is not as it should be.
    """
    folder = BUNDLED / name if name and (BUNDLED / name / "characters.tsv").exists() else Path(name)
    rules: dict[tuple[str, str], Rule] = {}
    path = folder / "characters.tsv"
    for number, row in _table(path, "source", "where", "plain", "readings", "doubled"):
        plain, *readings = (text.replace(NOTHING, "") for text in (row["plain"], *row["readings"].split()))
        for source in (row["source"], row["source"] * 2) if row["doubled"] else (row["source"],):
            if not source or row["where"] not in PLACES or (source, row["where"]) in rules:
                raise UserError(f"{path}, line {number}: give each source one row for each of {', '.join(PLACES)}.")
            rules[source, row["where"]] = Rule(plain, tuple(readings) or (plain,))
    forms: dict[str, str] = {}
    for file in reversed(closed):
        forms |= pairs(file)
    if not closed:
        forms = {row["source"]: row["target"] for _, row in _table(folder / "closed.tsv", "source", "target")}
    pipelines = {row.pop("pipeline"): row for _, row in _table(folder / "pipelines.tsv", "pipeline")}
    roles = [row for _, row in _table(folder / "roles.tsv", "role", "label", "words")]
    if roles[0]["role"] != "related" or not roles[0]["words"]:
        raise UserError(f"{folder / 'roles.tsv'}: the first role must be 'related', with the code of a list of words.")
    lists = tuple(row["words"] for row in roles if row["words"])
    return Language(folder, Scheme(rules, forms), pipelines, {row["role"]: row["label"] for row in roles}, lists)


def _table(path: str | Path, *needed: str) -> list[tuple[int, dict[str, str]]]:
    rows = list(table_rows(path))
    if not rows or not set(needed) <= rows[0][1].keys():
        raise UserError(f"{path} needs the columns {', '.join(needed)} in its first line, and rows below it.")
    return rows


# --- rankers --------------------------------------------------------------------------------------------------------


@cache
def frequencies(code: str) -> Mapping[str, float]:
    """How frequent words are in wordfreq's list of a language, the commonest first."""
    from wordfreq import get_frequency_dict

    try:
        return get_frequency_dict(code)
    except LookupError:
        raise UserError(f"wordfreq has no list of {code!r}: choose another language.") from None


def rankers(names: Sequence[str]) -> list[Ranker]:
    """Rankers by name, to be asked in this order.

    `words:ar` is how frequent the word is in wordfreq's list, `short` prefers short spellings, `pieces:<model>` those
    of few pieces of a tokenizer, `kenlm:<file>` those that an n-gram model of words likes, `letters:<file>` those that
    one of characters likes, which reads a spelling letter by letter (the paper's: both, of Maghrebi Arabic).

    Raises:
        UserError: Another name, or kenlm is not installed.
    """
    return [_ranker(name) for name in names]


@cache
def _ranker(name: str) -> Ranker:
    kind, _, source = name.partition(":")
    if kind == "short" and not source:
        return lambda text: -len(text)
    if kind == "words" and source:
        known = frequencies(source)
        return lambda text: known.get(text, 0.0)
    if kind == "pieces" and source:
        from core.models.loading import load_tokenizer

        tokenizer = load_tokenizer(source)
        return lambda text: -len(tokenizer.tokenize(text))
    if kind in ("kenlm", "letters") and source:
        try:
            import kenlm
        except ImportError:
            raise UserError(f"Ranker {name} needs kenlm: run `pip install kenlm`, or name other rankers.") from None
        score: Ranker = kenlm.Model(source).score
        return score if kind == "kenlm" else lambda text: score(" ".join(text))
    raise UserError(f"There is no ranker {name!r}: use words:ar, short, pieces:MODEL, kenlm:FILE or letters:FILE.")


# --- labelled words and translations --------------------------------------------------------------------------------


def labelled(language: Language, path: str = "") -> list[Labelled]:
    """What the classifier learns from: a user's file, or what lies in the language's folder.

    Raises:
        UserError: Nothing of the kind.
    """
    files = [Path(path)] if path else [language.folder / name for name in ("sentences.jsonl", "lexicon.tsv")]
    found = [sentence for file in files if path or file.exists() for sentence in labelled_tokens(file)]
    if not found:
        raise UserError(f"{language.folder} has neither lexicon.tsv nor sentences.jsonl: name labelled words instead.")
    return found


def labelled_tokens(path: str | Path) -> list[Labelled]:
    """Sentences with a label for every token.

    Args:
        path: A .tsv with a row a token: `token`, its label in `category_merged` (the official file) or `label`, and
            `id`, which rows of a sentence share (without it every row is one). Or JSON lines of `tokens`, `labels`.

    Raises:
        UserError: Not such a file.
    """
    if Path(path).suffix.lower() == ".jsonl":
        found = [(row["tokens"], row["labels"]) for row in corpora.read_jsonl(path, {"tokens": list, "labels": list})]
    else:
        label = "category_merged" if "category_merged" in columns(path) else "label"
        by_id: dict[Any, tuple[list[str], list[str]]] = {}
        for number, row in _table(path, "token", label):
            for cells, name in zip(by_id.setdefault(row.get("id", number), ([], [])), ("token", label), strict=True):
                cells.append(row[name])
        found = list(by_id.values())
    return list(corpora.adapted(path, found, lambda row, _: checked(*row)))


def checked(tokens: Sequence[Any], labels: Sequence[Any]) -> Labelled:
    """Tokens with as many labels; what is no text is refused."""
    if len(tokens) != len(labels) or not tokens:
        raise UserError(f"{len(tokens)} tokens and {len(labels)} labels: give every token one.")
    if not all(isinstance(text, str) and text.strip() for text in (*tokens, *labels)):
        raise UserError("a token or label that is no text: write strings.")
    return Labelled(tuple(tokens), tuple(labels))


@dataclass
class Dictionary:
    """Translates word by word; what it does not have stays, and is counted."""

    words: dict[str, str]
    missed: int = 0

    def find(self, token: str) -> str | None:
        """The translation of a token, or of the same in lower case, where there is one."""
        return self.words.get(token) or self.words.get(token.lower())

    def __call__(self, token: str) -> str:
        """The translation of a token, or itself."""
        found = self.find(token)
        self.missed += found is None
        return found or token


def translations(named: Sequence[str]) -> dict[str, Dictionary]:
    """Tables of translations: `mt-it=FILE`, a .tsv with a word, a tab and its translation a line."""
    found = {}
    for entry in named:
        name, sign, path = entry.partition("=")
        if not sign:
            raise UserError(f"translations {entry!r}: write NAME=FILE, such as mt-it=mt-it.tsv.")
        found[name] = Dictionary(pairs(path))
    return found


def pairs(path: str) -> dict[str, str]:
    """What each word of a table becomes: a word, a tab and another a line."""
    found: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        word, *others = line.split("\t")
        if others:
            found.setdefault(word, others[0])  # a line of the official en-ar has six cells
        elif line.strip():
            raise UserError(f"{path}, line {number}: write a word, a tab and what it becomes.")
    return found


# --- the paper's tasks ----------------------------------------------------------------------------------------------

# task -> its source, and the column of the labels (tokens are in `tokens`)
TASKS = {
    "pos": ("universal_dependencies#mt_mudt@{split}", "upos"),
    "ner": ("MLRS/mapa_maltese#default@{split}", "level1_tags"),
}
SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def task_data(config: Config, split: Part) -> list[Labelled]:
    """Tokens and labels of one split."""
    source, column = TASKS[config.task]
    address = (config.data or source).format(split=SPLITS[split])
    table: Any = corpora.read_rows(address)
    names = partial(named, table=table) if hasattr(table, "features") else dict  # the hub's labels are numbers
    return list(corpora.adapted(address, map(names, table), lambda row, _: checked(row["tokens"], row[column])))


_PIECES = r"[\p{L}\p{M}]+(?:[-'’][\p{L}\p{M}]+)*(?:['’]|-(?=\p{N}))?|\p{N}+(?:[.,:]\p{N}+)*|\S"


def tokenize(text: str, scheme: Scheme) -> list[str]:
    """Words and signs; what a hyphen or an apostrophe ties to a word is cut off where the closed class has it."""
    found: list[str] = []
    for piece in regex.findall(_PIECES, text):
        while piece:
            marks = [place for place, character in enumerate(piece[:-1], start=1) if character in "-'’"]
            end = next((mark for mark in marks if scheme.fold(piece[:mark]) in scheme.closed), len(piece))
            found.append(piece[:end])
            piece = piece[end:]
    return found
