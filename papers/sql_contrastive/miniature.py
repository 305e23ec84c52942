"""The tiny world: four SQLite databases of two tables each, and questions about them in the paper's seven languages.

Questions come from two phrasings of six kinds of query in each language, with nouns for tables and columns
(`questions.tsv`, ours); schemas and the values of cells stay English, in quotes, as in MultiSpider with English values.
Classes are queries: those that the policy is tuned on, those whose questions it is rewarded for, those that the encoder
is trained on, development and test share none, in no language.

What is wrong with the policy as it begins is what it prefers: it is tuned on answers of a careless writer, who is the
same in a kind of query and a language, and right often enough for samples to hold what is right.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache, lru_cache
from itertools import product
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from core.corpora.files import table_rows
from core.models.tokenization import completion_row, train_bpe
from core.worlds import base
from papers.sql_contrastive.config import LANGUAGES, VOCABULARY, Config, encoder_shape, policy_shape
from papers.sql_contrastive.method import Item

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from core.experiment.run import Run


class Table(NamedTuple):
    """Its database, the table that it belongs to, and its columns: a label, a category and two numbers."""

    db: str
    parent: str
    label: str
    category: str
    numbers: tuple[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """What questions are about."""
        return (self.label, self.category, *self.numbers)


TABLES = {
    "singer": Table("music", "", "name", "country", ("age", "awards")),
    "song": Table("music", "singer", "title", "genre", ("year", "plays")),
    "student": Table("school", "", "name", "city", ("age", "score")),
    "course": Table("school", "student", "title", "subject", ("hours", "year")),
    "product": Table("shop", "", "name", "color", ("price", "weight")),
    "sale": Table("shop", "product", "city", "month", ("quantity", "price")),
    "hotel": Table("travel", "", "name", "city", ("stars", "rooms")),
    "guest": Table("travel", "hotel", "name", "country", ("nights", "age")),
}
VALUES = {
    "country": "France Japan Spain China Vietnam Germany",
    "genre": "Rock Pop Jazz Folk Soul Blues",
    "city": "Paris Tokyo Madrid Hanoi Berlin Beijing",
    "subject": "History Physics Art Music Law Sports",
    "color": "Red Blue Green Black White Yellow",
    "month": "January March May July September November",
    "name": "Ada Ben Cleo Dan Eva Finn Gina Hugo Ida Jan Kim Leo Mia Noa Olga Paul Rosa Sam Tina Udo Vera Will Yara",
    "title": "Dawn River Storm Mirror Ember Garden Shadow Summer Basics Review Survey Project Echo Harbor Island Ocean",
}
QUERIES = {
    "select": "SELECT {c} FROM {t} WHERE {w} = '{v}'",
    "except": "SELECT {c} FROM {t} WHERE {w} != '{v}'",
    "above": "SELECT {c} FROM {t} WHERE {n} > {k}",
    "below": "SELECT {c} FROM {t} WHERE {n} < {k}",
    "top": "SELECT {c} FROM {t} ORDER BY {n} DESC LIMIT 1",
    "bottom": "SELECT {c} FROM {t} ORDER BY {n} ASC LIMIT 1",
}
# Kinds that differ in one sign.
PAIRS = (("select", "except"), ("above", "below"), ("top", "bottom"))
TURNS = {
    "select": ("=", "!="), "except": ("!=", "="), "above": (">", "<"), "below": ("<", ">"), "top": ("DESC", "ASC"),
    "bottom": ("ASC", "DESC"),
}  # fmt: skip
MISNAMED = 0.6  # of the tables, in each language
ROWS = 24
SHARES = {"encoder": 0.26, "tuning": 0.42, "policy": 0.18, "dev": 0.06, "test": 0.08}
MOST = 150  # classes of one kind of query
_LITERAL = re.compile(r'(".*?")|\b(\d+)\b')


@cache
def words() -> dict[str, dict[str, str]]:
    """`{noun or "<kind of query>/<phrasing>": {language: text}}`."""
    return {row.pop("key"): row for _, row in table_rows(Path(__file__).with_name("questions.tsv"))}


def build(folder: Path) -> None:
    """The databases, `<db>.sqlite`."""
    for name, table in TABLES.items():
        rng, path, values = Random(name), folder / f"{table.db}.sqlite", VALUES[table.category].split()
        kinds = ["id INTEGER PRIMARY KEY", *(f"{column} TEXT" for column in table.columns[:2])]
        kinds += [f"{column} INTEGER" for column in table.numbers]
        kinds += [f"{table.parent}_id INTEGER REFERENCES {table.parent}(id)"] if table.parent else []
        parents = rng.sample(range(1, ROWS + 1), ROWS)  # each has one, so that no question is about nothing
        rows = [
            (
                number + 1, rng.choice(VALUES[table.label].split()), values[number % len(values)], rng.randint(1, 99),
                rng.randint(1, 99), *([parents[number]] if table.parent else []),
            )
            for number in range(ROWS)
        ]  # fmt: skip
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"CREATE TABLE {name} ({', '.join(kinds)})")
            connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(kinds))})", rows)
            connection.commit()


def _slots(kind: str) -> Iterator[dict[str, Any]]:
    """What may stand in the gaps of a kind of query."""
    for t, table in TABLES.items():
        options: dict[str, Sequence[Any]] = {"t": [t], "c": table.columns, "w": [table.category], "n": table.numbers}
        options |= {"v": VALUES[table.category].split(), "k": range(20, 90, 10)}
        used = [slot for slot in options if f"{{{slot}}}" in QUERIES[kind]]
        for values in product(*(options[slot] for slot in used)):
            found = dict(zip(used, values, strict=True))
            if found.get("c", "") not in (found.get("w"), found.get("n")):
                yield found


@lru_cache(maxsize=4)
def parts(seed: int) -> dict[str, dict[str, list[Item]]]:
    """`{part: {class: its questions in all languages and phrasings}}`, classes drawn by the seed."""
    rng, classes = Random(f"classes-{seed}"), defaultdict[str, list[Item]](list)
    for kind, form in QUERIES.items():
        found = list(_slots(kind))
        for slots in rng.sample(found, min(MOST, len(found))):
            query, db = form.format(**slots), TABLES[slots["t"]].db
            for code, phrasing in product(LANGUAGES, (1, 2)):
                names = {slot: words()[value][code] if slot in "tcwn" else value for slot, value in slots.items()}
                text = words()[f"{kind}/{phrasing}"][code].format(**names)
                classes[query].append(Item(f"{code}/{kind}/{query}/{phrasing}", db, code, text, query))
    drawn = base.split([as_world(own[0]) for own in classes.values()], seed, SHARES)
    return {part: {one.cls: classes[one.cls] for one in own} for part, own in drawn.items()}


def as_world(item: Item) -> base.Item:
    """For the solvers that know nothing."""
    return base.Item(item.id, item.sql, f"{item.db}: {item.question}", item.sql, item.language)


def drawn(seed: int, part: str, count: int) -> list[Item]:
    """Questions of a part, each of a class, language and phrasing of its own."""
    rng, own = Random(f"{part}-{seed}"), list(parts(seed)[part].values())
    return [rng.choice(rng.choice(own)) for _ in range(count)]


def careless(items: Sequence[Item], share: float, seed: int) -> list[Item]:
    """Items as a careless writer answers them, who errs in a share of the answers, in English half as often.

    Of a pair of kinds one is taken for the other, and never the other way, which one is drawn for half of the
    languages; a column is taken for the next one in a round of the table's columns, drawn for each language; some
    tables get a name that does not exist. So what is wrong in one language is right in another, every column is right
    as often as wrong ones are, and no reward that looks at the query alone can mend what runs.
    """
    rng, found = Random(f"careless-{seed}"), []
    for item in items:
        code, kind, query = item.language, item.id.split("/")[1], item.sql
        _, column, _, name, *rest = query.split()
        turns, renamed, misnames = (rng.random() < (share / 2 if code == "en" else share) for _ in range(3))
        pair = next(pair for pair in PAIRS if kind in pair)
        order = Random(f"{seed}/{pair}").sample(LANGUAGES, len(LANGUAGES))
        if turns and kind == pair[order.index(code) % 2]:
            query = query.replace(*TURNS[kind])
        if renamed:
            around = Random(f"{seed}/{code}").sample(TABLES[name].columns, 4)
            free = [one for one in around if one not in rest]
            query = query.replace(column, free[(free.index(column) + 1) % len(free)], 1)
        if misnames and Random(f"{seed}/{code}/{name}").random() < MISNAMED:
            query = query.replace(f" FROM {name}", f" FROM {name}s")
        found.append(item._replace(sql=query))
    return found


def rivals(item: Item) -> list[str]:
    """What the careless writer could have written for an item: another sign, another column, or both."""
    _, column, _, name, *rest = item.sql.split()
    columns = [one for one in TABLES[name].columns if one not in rest]
    signs = (item.sql, item.sql.replace(*TURNS[item.id.split("/")[1]]))
    found = (query.replace(column, other, 1) for query in signs for other in columns)
    return [query for query in found if query != item.sql]


def measured(config: Config) -> list[Item]:
    """Classes of the part that is measured in all languages, each in a phrasing that the seed draws."""
    rng, own = Random(f"measured-{config.seed}"), list(parts(config.seed)[config.split].values())
    chosen = [(items, rng.choice("12")) for items in rng.sample(own, config.items or len(own))]
    return [item for items, phrasing in chosen for item in items if item.id.endswith(f"/{phrasing}")]


@lru_cache(maxsize=1)
def tokenizer_for(seed: int) -> PreTrainedTokenizerFast:
    """Of policy and encoder: trained on questions of the parts that they are trained on."""
    own = [one for part in ("encoder", "tuning", "policy") for one in drawn(seed, part, 1000)]
    return train_bpe((f"{ask(one)} {one.sql}" for one in own), VOCABULARY)


def ask(item: Item) -> str:
    """The prompt of the small policy, which knows its databases by their names."""
    return f"{item.db}: {item.question}\nSQL:"


def policy_model(config: Config, items: Sequence[Item], run: Run, folder: Path) -> None:
    """A small decoder learns to write the queries of some questions: where the policy begins."""
    from core.models.loading import from_config
    from core.training.fit import fit, save_pretrained

    tokenizer = tokenizer_for(config.seed)
    model: Any = from_config(policy_shape(len(tokenizer)), seed=config.seed)
    rows = [completion_row(tokenizer, ask(item), f" {item.sql}") for item in items]
    fit(model, rows, config.sft, replace(run, path=folder / "training"), seed=config.seed, name="sft")
    save_pretrained(model, folder / "model", tokenizer)


def encoder(config: Config) -> tuple[Any, PreTrainedTokenizerFast]:
    """A small encoder that has learnt nothing, with the tokenizer of the policy."""
    from core.models.loading import from_config

    tokenizer = tokenizer_for(config.seed)
    return from_config(encoder_shape(len(tokenizer)), seed=config.seed, task="encoder"), tokenizer


def solved(known: Sequence[Item], asked: Sequence[Item]) -> dict[str, float]:
    """`{solver: accuracy}` of solvers that know nothing but questions with right queries; `nearest` takes the query of
    the one that shares most triples of characters, with the literal of the question that is asked."""

    def nearest(train: Sequence[base.Item]) -> base.Solver:
        bags = [(_triples(item.prompt), item.answer) for item in train]

        def solve(item: base.Item) -> str:
            own, literal = _triples(item.prompt), _LITERAL.search(item.prompt)
            found = max(bags, key=lambda bag: len(own & bag[0]) / len(own | bag[0]))[1]
            value = (literal[1] or literal[2]).replace('"', "'") if literal else ""
            return re.sub(r"'.*'|(?<=[<>] )\d+", value, found)

        return solve

    return base.trivial([*map(as_world, known)], [*map(as_world, asked)], {**base.SOLVERS, "nearest": nearest})


def _triples(text: str) -> set[str]:
    return {text[place : place + 3] for place in range(len(text) - 2)}
