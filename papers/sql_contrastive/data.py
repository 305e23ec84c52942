"""What the method is fed: questions of each part, databases with their copies, prompts, pairs with hard negatives.

Own files have `db_id`, `question` and `query` (MultiSpider's columns), one file a language; databases are SQLite files.
Parts share no right query of a database, whatever the language: an encoder that has seen the queries of rewarded
questions as right ones would hand out gold. It may see them as wrong answers to other questions, among hard negatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.experiment.run import Run
from core.models.tokenization import completion_row
from core.worlds import base
from papers.sql_contrastive import miniature
from papers.sql_contrastive.config import LANGUAGES, Config
from papers.sql_contrastive.method import Item
from papers.sql_contrastive.negatives import edits
from papers.sql_contrastive.sandbox import Database, normal, perturb

Copies = Mapping[str, Sequence[Database]]
"""By name, a database and copies of it with other contents."""
# Of MultiSpider's training questions, by query; its development questions are measured on.
SHARES = {"encoder": 0.55, "policy": 0.4, "dev": 0.05}
COPIES = 3
INSTRUCTION = "Answer with one SQLite query in a fenced sql block."


def rows(source: str, code: str, *needed: str) -> list[tuple[Item, Mapping[str, Any]]]:
    """Questions of a file in a language, or of each row's `lang`, with their rows.

    Raises:
        UserError: A file or column is missing; a prediction may be empty, which is a wrong answer.
    """

    def read(row: Mapping[str, Any], number: int) -> tuple[Item, Mapping[str, Any]]:
        filled = {name for name, value in row.items() if value or name == "prediction"}
        if lacking := [name for name in ("db_id", "question", *needed) if name not in filled]:
            raise UserError(f"it has no {lacking[0]}.")
        language, db, query = code or str(row.get("lang") or "all"), str(row["db_id"]), str(row.get("query", ""))
        return Item(f"{language}/{db}/{normal(query)}/{number}", db, language, str(row["question"]), query), row

    return list(adapted(source, read_rows(source), read))


def read_items(source: str) -> list[Item]:
    """Questions of files, one for each language (`{code}`)."""
    return [item for code in LANGUAGES for item, _ in rows(source.replace("{code}", code), code, "query")]


def items(config: Config, part: str) -> list[Item]:
    """Questions of a part: "encoder", "tuning", "policy" or "measured"."""
    count = {"encoder": config.pairs, "tuning": config.tuning, "policy": config.prompts, "measured": config.items}[part]
    if not config.questions:
        if part == "measured":
            return miniature.measured(config)
        found = miniature.drawn(config.seed, part, count)
        return miniature.careless(found, config.careless, config.seed) if part == "tuning" else found
    if part == "measured" and config.split == "test":
        return _balanced(read_items(config.questions.replace("{split}", "dev")), count * len(LANGUAGES), 0)
    every = {item.id: item for item in read_items(config.questions.replace("{split}", "train"))}
    world = [base.Item(one.id, f"{one.db}/{normal(one.sql)}", one.id, one.sql, one.language) for one in every.values()]
    drawn = base.split(world, config.seed, SHARES)["dev" if part == "measured" else part]
    number = count * (len(LANGUAGES) if part == "measured" else 1)
    return _balanced([every[one.id] for one in drawn], number, config.seed)


def _balanced(found: Sequence[Item], count: int, seed: int) -> list[Item]:
    """So many, as many of each language, and of these the same rows where files are parallel; 0 is all."""
    by_language = {code: [item for item in found if item.language == code] for code in LANGUAGES}
    each = -(-count // len(LANGUAGES)) or len(found)
    return [one for own in by_language.values() for one in Random(seed).sample(own, min(len(own), each))]


def databases(config: Config, run: Run) -> Copies:
    """Every database with its copies, which are made once."""
    names = sorted({item.db for part in ("encoder", "policy", "measured") for item in items(config, part)})
    folder = Path(config.databases) if config.databases else run.stage("databases", {}, miniature.build)
    sources = {name: find(folder, name) for name in names}
    inputs = {"from": config.databases, "names": names}
    return opened(sources, run.stage("copies", inputs, lambda folder: copy(sources, folder)))


def copy(sources: Mapping[str, Path], folder: Path) -> None:
    """Copies of databases, with other contents."""
    for name, path in sources.items():
        for number in range(COPIES):
            perturb(path, folder / f"{name}-{number}.sqlite", number)


def opened(sources: Mapping[str, Path], folder: Path | None) -> Copies:
    """Databases with their copies in a folder."""
    copies = [f"-{number}.sqlite" for number in range(COPIES)] if folder else []
    return {
        name: [Database(path), *(Database(Path(str(folder)) / f"{name}{end}") for end in copies)]
        for name, path in sources.items()
    }


def find(folder: Path, name: str) -> Path:
    """The file of a database, `<db>/<db>.sqlite` as Spider has it, or `<db>.sqlite`.

    Raises:
        UserError: There is none, or the name leads elsewhere.
    """
    places = [folder / name / f"{name}.sqlite", folder / f"{name}.sqlite"]
    if Path(name).name != name or not (found := next((place for place in places if place.is_file()), None)):
        raise UserError(f"There is no database {name!r} in {folder}: give {name}/{name}.sqlite or {name}.sqlite.")
    return found


def asked(tokenizer: Any, found: Sequence[Item], copies: Copies) -> list[str]:
    """Prompts: with the schema for a chat model, without for the small policy."""
    if not tokenizer.chat_template:
        return list(map(miniature.ask, found))
    schemas = {name: copies[name][0].schema(values=3) for name in {item.db for item in found}}
    turns = [f"{INSTRUCTION}\n\n{schemas[item.db]}\n\n{item.question}" for item in found]
    # Llama's template writes the day into the system turn: prompts would differ from day to day.
    options = {"tokenize": False, "add_generation_prompt": True, "date_string": "26 Jul 2024"}
    texts = [str(tokenizer.apply_chat_template([{"role": "user", "content": turn}], **options)) for turn in turns]
    # Whoever reads a text, trl too, begins it as the tokenizer does: with the template's token there would be two.
    return [text.removeprefix(tokenizer.bos_token or "") for text in texts]


def answered(tokenizer: Any, config: Config, copies: Copies) -> list[dict[str, list[int]]]:
    """The encoder's questions with their queries as answers, to tune a policy on."""
    found = items(config, "encoder")
    form = "```sql\n{}\n```" if tokenizer.chat_template else " {}"
    prompts = asked(tokenizer, found, copies)
    return [completion_row(tokenizer, p, form.format(item.sql)) for p, item in zip(prompts, found, strict=True)]


def pairs(found: Sequence[Item], copies: Copies) -> list[dict[str, Any]]:
    """Rows for the encoder: question, query, and its edits that run and say something else."""
    edited = cache(lambda db, sql: [query for _, query in edits(copies[db], sql)])
    return [
        {"question": one.question, "query": one.sql, "db": one.db, "negatives": edited(one.db, one.sql)}
        for one in found
    ]
