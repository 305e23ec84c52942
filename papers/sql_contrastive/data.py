"""What the method is fed: questions of each part, databases with their copies, prompts, pairs with hard negatives.

Own files have `db_id`, `question` and `query` (MultiSpider's columns), one file a language; databases are SQLite files.
Parts share no query of a database, whatever the language: an encoder that has seen the queries of rewarded questions
would hand out gold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.experiment.run import Run
from core.worlds import base
from papers.sql_contrastive import miniature
from papers.sql_contrastive.config import LANGUAGES, Config
from papers.sql_contrastive.method import Item, normal, text_of
from papers.sql_contrastive.negatives import edits
from papers.sql_contrastive.sandbox import Database, perturb

Copies = Mapping[str, Sequence[Database]]
"""By name, a database and copies of it with other contents."""
# Of MultiSpider's training questions, by query; its development questions are measured on.
SHARES = {"encoder": 0.55, "policy": 0.4, "dev": 0.05}
INSTRUCTION = "Answer with one SQLite query in a fenced sql block."
_SHOWN = 3  # values of a text column in a schema


def read_items(source: str, languages: Sequence[str] = LANGUAGES) -> list[Item]:
    """Questions of files, one for each language (`{code}`).

    Raises:
        UserError: A file or column is missing.
    """

    def item(row: Mapping[str, Any], number: int) -> Item:
        cells = {name: str(row.get(name) or "").strip() for name in ("db_id", "question", "query")}
        if lacking := [name for name in ("db_id", "question") if not cells[name]]:
            raise UserError(f"it has no {lacking[0]}.")
        cls = normal(cells["query"]) or f"row {number}"
        return Item(f"{code}/{cells['db_id']}/{cls}/{number}", cells["db_id"], code, cells["question"], cells["query"])

    found = []
    for code in languages:
        path = source.replace("{code}", code)
        found += list(adapted(path, read_rows(path), item))
    return found


def items(config: Config, part: str) -> list[Item]:
    """Questions of a part: "encoder", "tuning", "policy" or "measured"."""
    if not config.questions:
        if part == "measured":
            return miniature.measured(config)
        counts = {"encoder": config.pairs, "tuning": config.tuning, "policy": config.prompts}
        return miniature.drawn(config.seed, part, counts[part], config.english if part == "tuning" else 1 / 7)
    if part == "measured" and config.split == "test":
        return _balanced(read_items(config.questions.replace("{split}", "dev")), config.items * len(LANGUAGES), 0)
    every = _train(config.questions.replace("{split}", "train"))
    by_id = {item.id: item for item in every}
    world = [base.Item(one.id, f"{one.db}/{normal(one.sql)}", one.question, one.sql, one.language) for one in every]
    drawn = base.split(world, config.seed, SHARES)["dev" if part == "measured" else part]
    count = {"encoder": config.pairs, "policy": config.prompts, "measured": config.items * len(LANGUAGES)}[part]
    return _balanced([by_id[one.id] for one in drawn], count, config.seed)


@cache
def _train(source: str) -> list[Item]:
    return list({(item.id, item.question): item for item in read_items(source)}.values())


def _balanced(found: Sequence[Item], count: int, seed: int) -> list[Item]:
    """So many, as many of each language, and of these the same rows of the files; 0 is all."""
    if not count:
        return list(found)
    kept = list[Item]()
    for code in dict.fromkeys(item.language for item in found):
        own = [item for item in found if item.language == code]
        kept += Random(seed).sample(own, min(len(own), -(-count // len(LANGUAGES))))
    return kept


def databases(config: Config, run: Run) -> Copies:
    """Every database with its copies, which are made once."""
    if not config.databases:
        folder = run.stage("databases", {}, miniature.build)
        names = sorted(path.stem for path in folder.glob("*.sqlite") if "-" not in path.stem)
        return {name: [Database(path) for path in _files(folder, name)] for name in names}
    wanted = {item.db for part in ("encoder", "policy", "measured") for item in items(config, part)}
    sources = {name: find(Path(config.databases), name) for name in sorted(wanted)}

    def fill(folder: Path) -> None:
        for name, path in sources.items():
            for copy in range(1, miniature.COPIES + 1):
                perturb(path, folder / f"{name}-{copy}.sqlite", copy)

    folder = run.stage("copies", {"databases": config.databases, "names": sorted(wanted)}, fill)
    return {name: [Database(path), *map(Database, _files(folder, name)[1:])] for name, path in sources.items()}


def _files(folder: Path, name: str) -> list[Path]:
    return [folder / f"{name}{f'-{copy}' if copy else ''}.sqlite" for copy in range(miniature.COPIES + 1)]


def find(folder: Path, name: str) -> Path:
    """The file of a database, `<db>/<db>.sqlite` as Spider has it, or `<db>.sqlite`.

    Raises:
        UserError: There is none.
    """
    places = [folder / name / f"{name}.sqlite", folder / f"{name}.sqlite"]
    if not (found := next((place for place in places if place.is_file()), None)):
        raise UserError(f"There is no database {name!r} in {folder}: give {name}/{name}.sqlite or {name}.sqlite.")
    return found


def asked(tokenizer: Any, found: Sequence[Item], copies: Copies) -> list[str]:
    """Prompts: with the schema for a chat model, with the database's name for the small policy, which knows them."""
    if not tokenizer.chat_template:
        return [f"{item.db}\nQuestion: {item.question}\nSQL:" for item in found]
    schemas = {name: copies[name][0].schema(_SHOWN) for name in {item.db for item in found}}

    def prompt(item: Item) -> str:
        text = f"{INSTRUCTION}\n\n{schemas[item.db]}\n\n{item.question}"
        # Llama's template writes the day into the system turn: prompts would differ from day to day.
        options = {"tokenize": False, "add_generation_prompt": True, "date_string": "26 Jul 2024"}
        return str(tokenizer.apply_chat_template([{"role": "user", "content": text}], **options))

    return [prompt(item) for item in found]


def pairs(found: Sequence[Item], copies: Copies, *, mismatched: bool = False, seed: int = 0) -> list[dict[str, Any]]:
    """Rows for the encoder: question, query, and its edits that run and say something else.

    Args:
        found: Questions with gold queries.
        copies: Their databases.
        mismatched: Questions get the queries of others: the null arm.
        seed: Of which others.
    """
    edited = cache(lambda db, sql: [query for _, query in edits(copies[db], sql)])
    others = list(found)
    if mismatched:
        Random(seed).shuffle(others)
    return [
        {"question": item.question, "query": other.sql, "db": other.db, "negatives": edited(other.db, other.sql)}
        for item, other in zip(found, others, strict=True)
    ]


def collate(tokenizer: Any, negatives: int, longest: int) -> Callable[..., dict[str, Tensor]]:
    """Rows -> a batch of questions, then queries, then so many negatives of each, and which of these are alike."""

    def batch(rows: Sequence[Mapping[str, Any]], rng: np.random.Generator) -> dict[str, Tensor]:
        queries = [(row["db"], normal(row["query"])) for row in rows]
        for row in rows:
            drawn = rng.permutation(len(row["negatives"]))[:negatives]
            queries += [(row["db"], normal(row["negatives"][number])) for number in drawn]
        texts = [text_of(row["question"]) for row in rows] + [text_of(query, "sql") for _, query in queries]
        encoded = tokenizer(texts, padding=True, truncation=True, max_length=longest, return_tensors="pt")
        alike = torch.tensor([[one == other for other in queries] for one in queries[: len(rows)]])
        return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"], "alike": alike}

    return batch
