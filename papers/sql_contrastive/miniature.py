"""The tiny world: four SQLite databases of two tables each, and questions about them in the paper's seven languages.

Questions come from two phrasings of fourteen kinds of query in each language, with nouns for tables and columns
(`questions.tsv`, ours); schemas and the values of cells stay English, in quotes, as in MultiSpider with English values.
Classes are queries: those that the policy is tuned on, those whose questions it is rewarded for, those that the encoder
is trained on, development and test share none, in no language.
"""

from __future__ import annotations

import csv
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from core.models.tokenization import completion_row, train_bpe
from core.worlds import base
from papers.sql_contrastive.config import LANGUAGES, Config, encoder_shape, policy_shape
from papers.sql_contrastive.method import Item
from papers.sql_contrastive.negatives import agrees

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from core.experiment.run import Run
    from papers.sql_contrastive.sandbox import Database


class Table(NamedTuple):
    """Its database, the table that it belongs to, and its columns: a label, a category and two numbers."""

    db: str
    parent: str
    label: str
    category: str
    numbers: tuple[str, str]


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
    "name": "Ada Ben Cleo Dan Eva Finn Gina Hugo Ida Jan Kim Leo Mia Noa Olga Paul Rosa Sam Tina Udo Vera Will Yara Zoe",
    "title": "Dawn River Storm Mirror Ember Garden Shadow Summer Basics Review Survey Project Echo Harbor Island Lantern "
    "Meadow Ocean Prism Quartz Ridge Spark Tower Valley",
}
ROWS, COPIES = 24, 3
SHARES = {"encoder": 0.38, "tuning": 0.15, "policy": 0.25, "dev": 0.09, "test": 0.13}
MOST = 70  # classes of one kind of query
_LITERAL = re.compile(r'(".*?")|\b(\d+)\b')
KINDS = (
    "count", "count_where", "select", "except", "above", "below", "max", "min", "avg", "group", "top", "bottom",
    "distinct", "join",
)  # fmt: skip


@cache
def words() -> dict[str, dict[str, str]]:
    """`{noun or "<kind of query>/<phrasing>": {language: text}}`."""
    with Path(__file__).with_name("questions.tsv").open(encoding="utf-8", newline="") as lines:
        return {row.pop("key"): row for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)}


def build(folder: Path) -> None:
    """The databases, and copies of them with other contents: `<db>.sqlite`, `<db>-1.sqlite`, ..."""
    from papers.sql_contrastive.sandbox import perturb

    for db in dict.fromkeys(table.db for table in TABLES.values()):
        with closing(sqlite3.connect(folder / f"{db}.sqlite")) as connection:
            for name, columns, rows in _contents(db):
                connection.execute(f"CREATE TABLE {name} ({columns})")
                connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)
            connection.commit()
        for copy in range(1, COPIES + 1):
            perturb(folder / f"{db}.sqlite", folder / f"{db}-{copy}.sqlite", copy)


def _contents(db: str) -> Iterator[tuple[str, str, list[tuple[Any, ...]]]]:
    for name, table in ((name, table) for name, table in TABLES.items() if table.db == db):
        rng = Random(name)
        names = VALUES[table.label].split()
        labels = rng.sample(names, ROWS) if len(names) >= ROWS else rng.choices(names, k=ROWS)
        key = f", {table.parent}_id INTEGER REFERENCES {table.parent}(id)" if table.parent else ""
        first, second = table.numbers
        columns = f"id INTEGER PRIMARY KEY, {table.label} TEXT, {table.category} TEXT, {first} INTEGER, {second} INTEGER"
        values = VALUES[table.category].split()
        rows: list[tuple[Any, ...]] = [
            (number + 1, label, values[number % len(values)], *(rng.randint(1, 99) for _ in range(2)))
            for number, label in enumerate(labels)
        ]
        parents = rng.sample(range(1, ROWS + 1), ROWS)  # each has one, so that no question is about nothing
        yield name, columns + key, [(*row, own) for row, own in zip(rows, parents)] if table.parent else rows


def _queries(kind: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Slots and query of every class of a kind."""
    for t, table in TABLES.items():
        w, values, shown = table.category, VALUES[table.category].split(), (table.label, table.category, *table.numbers)
        if kind == "count":
            yield {"t": t}, f"SELECT count(*) FROM {t}"
        elif kind == "group":
            yield {"t": t, "w": w}, f"SELECT {w}, count(*) FROM {t} GROUP BY {w}"
        elif kind == "distinct":
            for c in shown:
                yield {"t": t, "w": c}, f"SELECT DISTINCT {c} FROM {t}"
        elif kind == "count_where":
            for v in values:
                yield {"t": t, "w": w, "v": v}, f"SELECT count(*) FROM {t} WHERE {w} = '{v}'"
        elif kind in ("select", "except"):
            for v in values:
                for c in (table.label, *table.numbers):
                    sign = "=" if kind == "select" else "!="
                    yield {"t": t, "c": c, "w": w, "v": v}, f"SELECT {c} FROM {t} WHERE {w} {sign} '{v}'"
        elif kind == "join":
            for v in VALUES[TABLES[table.parent].category].split() if table.parent else ():
                for c in shown:
                    p, w = table.parent, TABLES[table.parent].category
                    join = f"SELECT {t}.{c} FROM {t} JOIN {p} ON {t}.{p}_id = {p}.id WHERE {p}.{w} = '{v}'"
                    yield {"t": p, "u": t, "c": c, "w": w, "v": v}, join
        for n in table.numbers:
            if kind in ("max", "min", "avg"):
                yield {"t": t, "n": n}, f"SELECT {kind}({n}) FROM {t}"
            for c in (one for one in shown if one != n):
                if kind in ("above", "below"):
                    for k in range(20, 90, 10):
                        sign = ">" if kind == "above" else "<"
                        yield {"t": t, "c": c, "n": n, "k": k}, f"SELECT {c} FROM {t} WHERE {n} {sign} {k}"
                elif kind in ("top", "bottom"):
                    order = "DESC" if kind == "top" else "ASC"
                    yield {"t": t, "c": c, "n": n}, f"SELECT {c} FROM {t} ORDER BY {n} {order} LIMIT 1"


@lru_cache(maxsize=4)
def parts(seed: int) -> dict[str, dict[str, list[Item]]]:
    """`{part: {class: its questions in all languages and phrasings}}`, classes drawn by the seed."""
    rng, classes = Random(f"classes-{seed}"), defaultdict[str, list[Item]](list)
    for kind in KINDS:
        found = list(_queries(kind))
        for slots, query in rng.sample(found, min(MOST, len(found))):
            db = TABLES[slots["t"]].db
            for code in LANGUAGES:
                names = {slot: words()[v][code] if slot in "tucwn" else v for slot, v in slots.items()}
                for phrasing in (1, 2):
                    text = words()[f"{kind}/{phrasing}"][code].format(**names)
                    classes[query].append(Item(f"{code}/{kind}/{query}/{phrasing}", db, code, text, query))
    drawn = base.split([as_world(own[0]) for own in classes.values()], seed, SHARES)
    return {part: {one.cls: classes[one.cls] for one in own} for part, own in drawn.items()}


def as_world(item: Item) -> base.Item:
    """For the solvers that know nothing."""
    return base.Item(item.id, item.sql, f"{item.db}: {item.question}", item.sql, item.language)


def drawn(seed: int, part: str, count: int, english: float = 1 / len(LANGUAGES)) -> list[Item]:
    """Questions of a part: classes in turn, each time in a language and phrasing of its own, English with a share."""
    rng, own, found = Random(f"{part}-{seed}"), list(parts(seed)[part].values()), list[Item]()
    others = [code for code in LANGUAGES if code != "en"]
    while len(found) < count:
        rng.shuffle(own)
        for items in own[: count - len(found)]:
            code = "en" if rng.random() < english else rng.choice(others)
            found.append(rng.choice([item for item in items if item.language == code]))
    return found


def measured(config: Config) -> list[Item]:
    """Each class of the part that is measured in all languages, in a phrasing that the seed draws."""
    rng, found = Random(f"measured-{config.seed}"), list[Item]()
    for items in list(parts(config.seed)[config.split].values())[: config.items or None]:
        phrasing = rng.choice((1, 2))
        found += [item for item in items if item.id.endswith(f"/{phrasing}")]
    return found


def tokenizer_for(seed: int) -> PreTrainedTokenizerFast:
    """Of policy and encoder: trained on what they are trained on."""
    own = [item for part in ("encoder", "tuning", "policy") for items in parts(seed)[part].values() for item in items]
    return train_bpe([text for item in own for text in (f"{item.db}\nQuestion: {item.question}\nSQL:", f" {item.sql}")], 1200)


def policy_model(config: Config, items: Sequence[Item], asked: Sequence[str], run: Run, folder: Path) -> None:
    """A small decoder learns to write the queries of some questions: where the policy begins."""
    from core.models.loading import from_config
    from core.training.fit import fit, save_pretrained

    tokenizer = tokenizer_for(config.seed)
    model: Any = from_config(policy_shape(len(tokenizer)), seed=config.seed)
    rows = [completion_row(tokenizer, prompt, f" {item.sql}") for prompt, item in zip(asked, items, strict=True)]
    fit(model, rows, config.sft, replace(run, path=folder / "training"), seed=config.seed, name="sft")
    save_pretrained(model, folder / "model", tokenizer)


def encoder_base(config: Config, folder: Path) -> None:
    """A small encoder that has learnt nothing, with the tokenizer of the policy."""
    from core.models.loading import from_config

    tokenizer = tokenizer_for(config.seed)
    from_config(encoder_shape(len(tokenizer)), seed=config.seed, task="encoder").save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def solved(known: Sequence[Item], asked: Sequence[Item], copies: Mapping[str, Sequence[Database]]) -> Any:
    """`{solver: accuracy}` of solvers that know nothing, by rows on all copies; `nearest` takes the query of the known
    question that shares most triples of characters, with the literal of the question that is asked."""
    train = [as_world(item) for item in known]
    bags = [(_triples(item.prompt), item.answer) for item in train]

    def nearest(item: base.Item) -> str:
        own, literal = _triples(item.prompt), _LITERAL.search(item.prompt)
        found = max(bags, key=lambda bag: len(own & bag[0]) / len(own | bag[0]))[1]
        return re.sub(r"'.*'|(?<=[<>] )\d+", (literal[1] or literal[2]).replace('"', "'"), found) if literal else found

    solvers = {name: fit(train) for name, fit in base.SOLVERS.items()} | {"nearest": nearest}
    right: dict[str, float] = defaultdict(float)
    for item in asked:
        for name, solve in solvers.items():
            answer = solve(as_world(item))
            right[name] += answer is not None and agrees(copies[item.db], answer, item.sql)
    return {name: right[name] / len(asked) for name in solvers}


def _triples(text: str) -> set[str]:
    return {text[place : place + 3] for place in range(len(text) - 2)}
