"""What is processed: a language's data files, rankers, labelled words, and the paper's tasks.

A language is a folder:

    characters.tsv    source, where (any, initial, final), plain, readings (empty: the plain one; ∅: nothing), doubled
    closed.tsv        source, target; a + at the end writes the next token on to it
    pipelines.tsv     pipeline, then a column a label: pass, transliterate, or the name of a table of translations
    roles.tsv         role (related, other, switched, name, symbol), label, code of a list of words (or nothing)
    lexicon.tsv       word, label; and sentences.jsonl, tokens, labels: what the classifier learns from (optional)
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import corpora
from core.corpora.files import table_rows
from core.errors import UserError
from core.files import read_lines
from core.tasks.labelled import Labelled, Split
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
        name: Of its folder.
        folder: Where its files lie.
        scheme: How it is written in the other script.
        pipelines: By name, the name of an action for each label.
        roles: Labels by role (see :func:`papers.maltese_etymology.etymology.by_distance`).
        lists: Codes of wordfreq's lists: the language of the other script first, then those of the own one.
    """

    name: str
    folder: Path
    scheme: Scheme
    pipelines: Mapping[str, Mapping[str, str]]
    roles: Mapping[str, str]
    lists: tuple[str, ...]

    def rankers(self, names: Sequence[str] = ()) -> list[Ranker]:
        """Rankers by name, or those that the list of the other script's language allows."""
        return rankers(names or [f"words:{self.lists[0]}", f"letters:{self.lists[0]}", "short"])

    def actions(
        self, pipeline: str, rankers: Sequence[Ranker] = (), tables: Mapping[str, Dictionary] | None = None
    ) -> dict[str, Action]:
        """What a pipeline does with each label; labels that pass are left out.

        Args:
            pipeline: Its name.
            rankers: Of transliteration; none = the deterministic spelling.
            tables: Translations by name. Each label gets its own, which the official script does not manage.

        Raises:
            UserError: No such pipeline, or no such table.
        """
        if pipeline not in self.pipelines:
            raise UserError(f"{self.name} has no pipeline {pipeline!r}: choose one of {', '.join(self.pipelines)}.")
        known: dict[str, Action] = {
            "transliterate": cache(partial(method.transliterate, scheme=self.scheme, rankers=tuple(rankers))),
            **(tables or {}),
        }
        chosen = {label: name for label, name in self.pipelines[pipeline].items() if name != "pass"}
        if missing := sorted(set(chosen.values()) - known.keys()):
            raise UserError(
                f"Pipeline {pipeline} needs the translations {missing[0]!r}: name them as {missing[0]}=FILE."
            )
        return {label: known[name] for label, name in chosen.items()}


def language(name: str) -> Language:
    """A language by the name of a bundled folder (maltese, swahili), or by the path of one's own.

    Raises:
        UserError: No such folder, or a file of it is not as it should be.
    """
    folder = BUNDLED / name if name and (BUNDLED / name / "characters.tsv").exists() else Path(name)
    rules: dict[tuple[str, str], Rule] = {}
    for number, row in _table(folder / "characters.tsv", ("source", "where", "plain", "readings", "doubled")):
        where = f"{folder / 'characters.tsv'}, line {number}"
        if row["where"] not in PLACES or not row["source"]:
            raise UserError(f"{where}: a source and one of {', '.join(PLACES)} are needed, not {row['where']!r}.")
        plain = row["plain"].replace(NOTHING, "")
        readings = tuple(text.replace(NOTHING, "") for text in row["readings"].split()) or (plain,)
        for source in (row["source"], row["source"] * 2) if row["doubled"] else (row["source"],):
            if (source, row["where"]) in rules:
                raise UserError(f"{where}: {source!r} has a row already; give each source one for every place.")
            rules[source, row["where"]] = Rule(plain, readings)
    closed = {row["source"]: row["target"] for _, row in _table(folder / "closed.tsv", ("source", "target"))}
    pipelines = {row.pop("pipeline"): row for _, row in _table(folder / "pipelines.tsv", ("pipeline",))}
    named = [row for _, row in _table(folder / "roles.tsv", ("role", "label", "words"))]
    if named[0]["role"] != "related" or not named[0]["words"]:
        raise UserError(f"{folder / 'roles.tsv'}: the first role must be 'related', with the code of a list of words.")
    roles = {row["role"]: row["label"] for row in named}
    lists = tuple(row["words"] for row in named if row["words"])
    return Language(folder.name, folder, Scheme(rules, closed), pipelines, roles, lists)


def _table(path: Path, needed: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    rows = list(table_rows(path))
    if not rows:
        raise UserError(f"{path} has no row: its header needs {', '.join(needed)}, and rows below it.")
    if missing := [name for name in needed if name not in rows[0][1]]:
        raise UserError(f"{path} has no column {missing[0]!r}: its header needs {', '.join(needed)}.")
    return rows


# --- rankers --------------------------------------------------------------------------------------------------------


def rankers(names: Sequence[str]) -> list[Ranker]:
    """Rankers by name, to be asked in this order.

    `words:ar` is how frequent the word is in wordfreq's list, `letters:ar` a character model of that list, `short`
    prefers short spellings, `pieces:<model>` those of few pieces of a tokenizer, `kenlm:<file>` those that an n-gram
    model likes (the paper's: of words, then of characters, of Maghrebi Arabic).

    Raises:
        UserError: Another name.
    """
    return [_ranker(name) for name in names]


@cache
def _ranker(name: str) -> Ranker:
    kind, _, source = name.partition(":")
    if kind == "short" and not source:
        return lambda text: -len(text)
    if kind == "words" and source:
        frequency = _frequencies(source)
        return lambda text: frequency.get(text.removesuffix("+"), 0.0)
    if kind == "letters" and source:
        return Letters(word_list(source, 20_000))
    if kind == "pieces" and source:
        from core.models.loading import load_tokenizer

        tokenizer = load_tokenizer(source)
        return lambda text: -len(tokenizer.tokenize(text))
    if kind == "kenlm" and source:
        import kenlm

        return kenlm.Model(source).score
    raise UserError(f"There is no ranker {name!r}: use words:ar, letters:ar, short, pieces:MODEL or kenlm:FILE.")


@cache
def _frequencies(code: str) -> Mapping[str, float]:
    from wordfreq import get_frequency_dict

    try:
        return get_frequency_dict(code)
    except LookupError:
        raise UserError(f"wordfreq has no list of {code!r}: choose another language of the rankers.") from None


def word_list(code: str, size: int) -> list[str]:
    """The commonest words of a language, of wordfreq's small list.

    Raises:
        UserError: There is none.
    """
    from wordfreq import top_n_list

    try:
        return [word for word in top_n_list(code, size, "small") if word.isalpha()]
    except LookupError:
        raise UserError(f"wordfreq has no list of {code!r}: choose another language.") from None


class Letters:
    """Log-probability of a word under a character 5-gram model, each order interpolated with the next (Witten-Bell)."""

    def __init__(self, words: Sequence[str], order: int = 5) -> None:
        self.order = order
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        for word in words:
            text = self._padded(word)
            for end in range(order - 1, len(text)):
                for size in range(order):
                    self.counts[text[end - size : end]][text[end]] += 1
        self.totals = {context: sum(found.values()) for context, found in self.counts.items()}
        self.floor = 1 / (len(self.counts[""]) + 1)

    def _padded(self, word: str) -> str:
        return "^" * (self.order - 1) + word + "$"

    def __call__(self, word: str) -> float:
        """The sum over the letters and the end of the word."""
        text = self._padded(word)
        return sum(
            math.log(self.probability(text[end - self.order + 1 : end], text[end]))
            for end in range(self.order - 1, len(text))
        )

    def probability(self, context: str, letter: str) -> float:
        """Of a letter after a context of `order - 1` letters."""
        found = self.floor
        for size in range(self.order):
            key = context[len(context) - size :]
            if key not in self.totals:
                break
            kinds = len(self.counts[key])
            found = (self.counts[key][letter] + kinds * found) / (self.totals[key] + kinds)
        return found


# --- labelled words and translations --------------------------------------------------------------------------------


def labelled_tokens(path: str | Path) -> list[Labelled]:
    """Sentences with a label for every token.

    Args:
        path: A .tsv with a row a token: `token`, its label in `category_merged` (the official file) or `label`, and
            `id`, which rows of a sentence share (without it every row is one). Or JSON lines of `tokens`, `labels`.

    Raises:
        UserError: Not such a file.
    """
    if Path(path).suffix.lower() == ".jsonl":
        rows = corpora.read_jsonl(path, {"tokens": list, "labels": list})
        return list(corpora.adapted(path, rows, lambda row, _: _checked(row["tokens"], row["labels"])))
    table = _table(Path(path), ("token",))
    label = next((name for name in ("category_merged", "label") if name in table[0][1]), None)
    if label is None:
        raise UserError(f"{path} has no labels: name their column category_merged or label.")
    found: dict[str, tuple[list[str], list[str]]] = {}
    for number, row in table:
        tokens, labels = found.setdefault(row.get("id", str(number)), ([], []))
        tokens.append(row["token"])
        labels.append(row[label])
    return list(corpora.adapted(path, found.values(), lambda row, _: _checked(*row)))


def labelled(language: Language, path: str = "") -> list[Labelled]:
    """What the classifier learns from: a user's file, or what lies in the language's folder.

    Raises:
        UserError: Nothing of the kind.
    """
    if path:
        return labelled_tokens(path)
    words, sentences = language.folder / "lexicon.tsv", language.folder / "sentences.jsonl"
    found = labelled_tokens(sentences) if sentences.exists() else []
    if words.exists():
        found += [Labelled((row["word"],), (row["label"],)) for _, row in _table(words, ("word", "label"))]
    if not found:
        raise UserError(f"{language.folder} has neither lexicon.tsv nor sentences.jsonl: name labelled words instead.")
    return found


def _checked(tokens: Sequence[Any], labels: Sequence[Any]) -> Labelled:
    if len(tokens) != len(labels) or not tokens:
        raise UserError(f"{len(tokens)} tokens and {len(labels)} labels: give every token one.")
    if not all(isinstance(text, str) and text.strip() for text in (*tokens, *labels)):
        raise UserError("a token or label that is no text: write strings.")
    return Labelled(tuple(tokens), tuple(labels))


@dataclass
class Dictionary:
    """Translates word by word; what it does not have stays, and is counted."""

    words: Mapping[str, str]
    missed: Counter[str] = field(default_factory=Counter)

    def __call__(self, token: str) -> str:
        """The translation of a token, be it written in lower case."""
        found = self.words.get(token) or self.words.get(token.lower())
        self.missed[token] += found is None
        return found or token


def translations(named: Sequence[str]) -> dict[str, Dictionary]:
    """Tables of translations: `mt-it=FILE`, a .tsv with a word, a tab and its translation a line.

    Raises:
        UserError: Not of this form.
    """
    found = {}
    for entry in named:
        name, sign, path = entry.partition("=")
        if not sign:
            raise UserError(f"translations {entry!r}: write NAME=FILE, such as mt-it=mt-it.tsv.")
        cells = [line.split("\t") for line in read_lines(path) if line.strip()]
        if wrong := next((number for number, row in enumerate(cells, start=1) if len(row) != 2), None):
            raise UserError(
                f"{path}, row {wrong}: {len(cells[wrong - 1])} columns; write a word, a tab, its translation."
            )
        found[name] = Dictionary({row[0]: row[1] for row in cells})
    return found


# --- the paper's tasks ----------------------------------------------------------------------------------------------

# task -> source of each split, and the column of the labels (a text's tokens are in `tokens`)
TASKS = {
    "pos": ("universal_dependencies#mt_mudt@{split}", "upos"),
    "ner": ("MLRS/mapa_maltese#default@{split}", "level1_tags"),
    "sentiment": ("sentiment/{split}.csv", "label"),
}
SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def task_data(config: Config, split: Split, scheme: Scheme) -> list[Labelled]:
    """Tokens and labels of one split; sentiment has one label a text, which stands on the first token.

    Raises:
        UserError: The data cannot be had, or lack a column.
    """
    source, column = TASKS[config.task]
    address = (config.data or source).format(split=split if config.task == "sentiment" else SPLITS[split])
    if config.task == "sentiment":  # label, comma, text; no header, and commas in the text
        lines = [line.partition(",")[::2] for line in read_lines(address) if line.strip()]
        return [Labelled(tuple(tokenize(text, scheme)), (label,)) for label, text in lines]
    table: Any = corpora.read_rows(address)

    def adapt(row: Mapping[str, Any], _: int) -> Labelled:
        from core.tasks.labelled import named

        found = named(row, table) if hasattr(table, "features") else row
        return _checked(found["tokens"], found[column])

    return list(corpora.adapted(address, table, adapt))


_PIECES = r"[\p{L}\p{M}]+(?:[-'’][\p{L}\p{M}]+)*(?:['’]|-(?=\p{N}))?|\p{N}+(?:[.,:]\p{N}+)*|\S"


def tokenize(text: str, scheme: Scheme) -> list[str]:
    """Words and signs; what a hyphen or an apostrophe ties to a word is cut off where the closed class has it."""
    import regex

    found: list[str] = []
    for piece in regex.findall(_PIECES, text):
        while True:
            marks = [place + 1 for place, c in enumerate(piece[:-1]) if c in "-'’"]
            end = next((end for end in marks if scheme.fold(piece[:end]).replace("’", "'") in scheme.closed), None)
            found.append(piece[:end])
            if end is None:
                break
            piece = piece[end:]
    return found
