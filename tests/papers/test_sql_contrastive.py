"""sql_contrastive: hostile SQL, the loss and the rewards by hand, hard negatives, disjoint parts, own data, smoke."""

from __future__ import annotations

import hashlib
import json
import math
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.paper import find
from core.training import policy
from papers.sql_contrastive import (
    Database,
    Item,
    contrastive_loss,
    data,
    extract,
    load_scorer,
    miniature,
    negatives,
    rerank,
    rewards,
    sandbox,
    total,
    use,
)
from papers.sql_contrastive.config import LANGUAGES, PRESETS, VARIANTS, Config, workload
from papers.sql_contrastive.eval import audit, by_language, verdict
from papers.sql_contrastive.method import pair_batches
from papers.sql_contrastive.sandbox import Outcome, normal, perturb, same

SINGERS = [(1, "Ana", "France", 30), (2, "Bo", "Japan", 25), (3, "Cy", "France", 41), (4, "Di", "Spain", 41)]
SONGS = [(1, 1, "A", 2001), (2, 1, "B", 2003), (3, 2, "C", 2003), (4, 3, "D", 1999)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("databases")
    with sqlite3.connect(folder / "music.sqlite") as connection:
        connection.execute("CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT, country TEXT, age INTEGER)")
        connection.execute(
            "CREATE TABLE song (id INTEGER PRIMARY KEY, singer_id INTEGER REFERENCES singer(id), title TEXT, year INT)"
        )
        connection.executemany("INSERT INTO singer VALUES (?, ?, ?, ?)", SINGERS)
        connection.executemany("INSERT INTO song VALUES (?, ?, ?, ?)", SONGS)
    connection.close()
    return folder


@pytest.fixture(scope="module")
def database(folder: Path) -> Database:
    return Database(folder / "music.sqlite")


@pytest.fixture(scope="module")
def copies(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Database]:
    target, path = tmp_path_factory.mktemp("copies"), folder / "music.sqlite"
    return [Database(path), *(Database(perturb(path, target / f"{n}.sqlite", n)) for n in range(3))]


# --- hostile SQL ------------------------------------------------------------------------------------------------------

CROSS = "FROM " + ", ".join(f"singer s{n}" for n in range(14))
HOSTILE = {
    "a write": "INSERT INTO singer VALUES (9, 'x', 'y', 1)",
    "a delete behind a WITH": "WITH x AS (SELECT 1) DELETE FROM singer",
    "a drop": "DROP TABLE singer",
    "a table": "CREATE TEMP TABLE x (a)",
    "another file": "ATTACH DATABASE 'stolen.sqlite' AS x",
    "a copy of the file": "VACUUM INTO 'stolen.sqlite'",
    "a setting": "PRAGMA writable_schema = 1",
    "a setting as a table": "SELECT * FROM pragma_table_info('singer')",
    "an extension": "SELECT load_extension('./evil')",
    "a tokenizer's address": "SELECT fts3_tokenizer('simple')",
    "endless recursion": "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
    "a product of tables": f"SELECT count(*) {CROSS}",
    "a sorted product": f"SELECT printf('%040000d', s0.id) {CROSS} ORDER BY 1",
    "a long text": "SELECT hex(zeroblob(1000000000))",
    "a text that doubles": "SELECT " + "replace(" * 8 + "'aaaaaaaaaa'" + ", 'a', 'aaaaaaaaaa')" * 8,
    "texts put together": f"SELECT group_concat(printf('%040000d', s0.id)) {CROSS}",
    "a query that doubles": "WITH a0 AS (SELECT 1 x), "
    + ", ".join(f"a{n + 1} AS (SELECT * FROM a{n} UNION ALL SELECT * FROM a{n})" for n in range(30))
    + " SELECT count(*) FROM a30",
    "long searches": "WITH t AS (SELECT 1 n"
    + " UNION SELECT 1" * 18
    + "), u(n) AS (SELECT printf('%040000d', s0.id) "
    + CROSS
    + ") SELECT sum("
    + "+".join(["instr(n, printf('%020000d', 2))"] * 30)
    + ") FROM u",
    "chance": "SELECT random()",
    "the clock": "SELECT CURRENT_TIMESTAMP",
    "today": "SELECT datetime('n' || 'ow')",
    "today, cast": "SELECT date(CAST(x'4e4f5700' AS TEXT)), date(x'6e6f77')",
    "today, unsaid": "SELECT strftime('%s')",
    "the zone": "SELECT datetime('2020-01-01', 'localtime')",
    "deep brackets": "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "a transaction": "BEGIN EXCLUSIVE",
    "a second statement": "SELECT 1; DROP TABLE singer",
    "a null character": "SELECT 'a\0b'",
    "no SQL": "I am sorry",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_sql_ends_in_an_error_and_changes_nothing(
    kind: str, folder: Path, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sandbox, "SECONDS", 0.3)
    before = hashlib.sha256((folder / "music.sqlite").read_bytes()).hexdigest()
    outcome = database.run(HOSTILE[kind])
    assert outcome.rows is None
    assert outcome.error
    assert hashlib.sha256((folder / "music.sqlite").read_bytes()).hexdigest() == before
    assert not list(tmp_path.iterdir())
    assert len(list(folder.iterdir())) == 1
    assert database.run("SELECT count(*) FROM singer").rows == ((4,),), "it goes on"


def test_time_and_results_are_limited(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = "SELECT s0.id FROM " + ", ".join(f"singer s{n}" for n in range(6))
    assert [len(found := Database(folder / "music.sqlite").run(many).rows or ()), found[0]] == [sandbox.ROWS, (1,)]
    wide = Database(folder / "music.sqlite").run(f"SELECT printf('%040000d', s0.id) {CROSS}")
    assert not wide.complete
    assert sum(len(row[0]) for row in wide.rows or ()) <= sandbox.BYTES
    monkeypatch.setattr(sandbox, "SECONDS", 0.0)
    assert Database(folder / "music.sqlite").run(HOSTILE["a product of tables"]).error == "interrupted"
    monkeypatch.undo()
    steps: list[int] = []
    for _ in range(2):  # where it ends goes by steps, not by the clock
        database = Database(folder / "music.sqlite")
        database.run(HOSTILE["a product of tables"])
        steps.append(database._looks)
    assert steps[0] == steps[1] == sandbox.STEPS // sandbox._LOOK + 1


def test_nothing_is_left_beside_a_database_with_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE a (b INTEGER)")
        connection.execute("INSERT INTO a VALUES (1)")
        connection.commit()
        with pytest.raises(UserError, match=r"Changes to .* wait in log.sqlite-wal"):
            Database(path)
    many = [Database(path) for _ in range(300)]  # none of which stays open
    assert {one.run("SELECT strftime('%Y', '2020-12-31', '+1 day'), b FROM a").rows for one in many} == {(("2021", 1),)}
    perturb(path, tmp_path / "copy.sqlite", 0)
    assert {one.name for one in tmp_path.iterdir()} == {"log.sqlite", "copy.sqlite"}


def test_what_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_text("no database, though longer than the head of one " * 9)
    with pytest.raises(UserError, match="is no SQLite database"):
        Database(tmp_path / "x.sqlite")
    for name in ("y", "../x", str(tmp_path / "x")):
        with pytest.raises(UserError, match="There is no database"):
            data.find(tmp_path, name)


def test_one_query_is_read_from_an_answer() -> None:
    assert extract("Sure:\n```sql\nSELECT 1 -- one\n;\n```\nand ```sql\nSELECT 2\n```") == "SELECT 2"
    assert (
        extract("The query is SELECT a FROM b WHERE c = 'x;y'; and that is all.") == "SELECT a FROM b WHERE c = 'x;y'"
    )
    assert extract(" with t as (select 1) select * from t") == "with t as (select 1) select * from t"
    assert extract("select 'it''s -- no /* comment */' from t") == "select 'it''s -- no /* comment */' from t"
    assert extract("```sql\nSELECT 1; DROP TABLE x\n```") is None
    assert extract("DROP TABLE x") is extract("") is None
    assert extract("```sql\nSELECT 1\n```\nwhich gives\n```\n1\n```") == extract("``` SQL\nSELECT 1\n```") == "SELECT 1"
    assert extract("```sql\nINSERT INTO a SELECT * FROM b\n```") is None
    assert extract("```sql\nDROP TABLE x; SELECT 1\n```") is None


# --- results ----------------------------------------------------------------------------------------------------------

# From the evaluator of MultiSpider's repository on the same database: what it says of execution. Ours differs where it
# compares columns by name (their order), counts by column, or orders rows that nothing orders.
FRENCH = "SELECT name FROM singer WHERE country = 'France'"
PAIRS = [
    ("SELECT name FROM singer WHERE country = 'Japan'", FRENCH, 0, 0),
    ("SELECT name FROM singer WHERE age > 40", "SELECT name FROM singer WHERE age >= 41", 1, 1),
    ("SELECT count(id) FROM singer", "SELECT count(*) FROM singer", 0, 1),
    ("SELECT name, country FROM singer", "SELECT country, name FROM singer", 1, 0),
    ("SELECT name FROM singer ORDER BY age DESC", "SELECT name FROM singer", 0, 1),
    (
        "SELECT name FROM singer WHERE id IN (SELECT singer_id FROM song WHERE year = 2003)",
        "SELECT singer.name FROM singer JOIN song ON singer.id = song.singer_id WHERE song.year = 2003",
        1,
        1,
    ),
    ("SELECT name FROM singer WHERE", "SELECT name FROM singer WHERE age > 3", 0, 0),
    ("SELECT DISTINCT country FROM singer", "SELECT country FROM singer", 0, 0),
    ("SELECT nobody FROM singer", "SELECT name FROM singer", 0, 0),
]


@pytest.mark.parametrize(("query", "gold", "official", "ours"), PAIRS)
def test_rows_decide_and_not_the_text(query: str, gold: str, official: int, ours: int, copies: list[Database]) -> None:
    item = Item("", "music", "en", "?", gold)
    found = verdict(item, query, {"music": copies})
    assert (found["result_match"], found["semantic"]) == (ours, ours)
    assert found["valid"] == (copies[0].run(query).rows is not None)
    expected = {"SELECT count(id)": 1, "SELECT name, country": -1, "SELECT name FROM singer ORDER": 1}
    assert ours - official == next((d for begin, d in expected.items() if query.startswith(begin)), 0)


def test_order_counts_where_gold_orders_and_numbers_have_six_digits(copies: list[Database]) -> None:
    left, right = Outcome(((1,), (2.0000000001,))), Outcome(((2,), (1,)))
    assert same(left, right, "SELECT a FROM b")
    assert not same(left, right, "SELECT a FROM b ORDER  BY a")
    assert not same(Outcome(((None,),)), Outcome((("None",),)), "")
    assert not same(Outcome((("1",),)), Outcome(((1,),)), "")
    assert not same(Outcome(((1,),), complete=False), Outcome(((1,),)), "")
    assert same(Outcome(((2.0, 0.1 + 0.2),)), Outcome(((2, 0.3),)), "")
    assert same(Outcome(((1234567.0,),)), Outcome(((1234567,),)), "")  # total(x) and sum(x)
    assert not same(Outcome(((12345678,),)), Outcome(((12345679,),)), "")
    # By chance two queries agree on one database, and do not on copies with other contents.
    item = Item("", "music", "en", "?", "SELECT max(age) FROM singer")
    found = verdict(item, "SELECT age FROM singer WHERE name = 'Cy'", {"music": copies})
    assert (found["result_match"], found["semantic"]) == (1, 0)


def test_copies_keep_their_keys_and_have_other_contents(copies: list[Database]) -> None:
    joined = "SELECT count(*) FROM song JOIN singer ON song.singer_id = singer.id"
    for copy in copies[1:]:
        assert copy.tables == copies[0].tables
        assert set(copy.run("SELECT id, singer_id FROM song").rows or ()) < {(row[0], row[1]) for row in SONGS}
        assert copy.run(joined).rows is not None
        assert copy.run("SELECT * FROM singer").rows != copies[0].run("SELECT * FROM singer").rows


# --- the loss and the rewards -----------------------------------------------------------------------------------------


def test_the_loss_by_hand() -> None:
    vectors = F.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    questions, queries = vectors[:3], vectors[3:]
    scores, right = questions @ queries.T / 0.1, torch.arange(3)
    plain = (F.cross_entropy(scores, right, reduction="sum") + F.cross_entropy(scores.T, right, reduction="sum")) / 2
    found = contrastive_loss(questions, queries, torch.eye(3, dtype=torch.bool), 0.1)
    assert found.item() == pytest.approx(plain.item())
    # Two orthogonal pairs: log(1 + e^(-1/tau)) each.
    two = contrastive_loss(torch.eye(2), torch.eye(2), torch.eye(2, dtype=torch.bool), 0.5)
    assert two.item() == pytest.approx(2 * math.log(1 + math.exp(-2)), abs=1e-6)
    # A negative as near as the query costs log 2 in the one direction.
    three = torch.cat([torch.eye(2), torch.eye(2)[:1]])
    alike = torch.tensor([[True, False, False], [False, True, False]])
    more = contrastive_loss(torch.eye(2), three, alike, 0.01)
    assert more.item() == pytest.approx(math.log(2) / 2, abs=1e-4)
    # Translations of a question share the target: nothing pulls their queries, which are one, apart.
    shared = contrastive_loss(
        torch.eye(2)[:1].expand(2, 2), torch.eye(2)[:1].expand(2, 2), torch.ones(2, 2).bool(), 0.1
    )
    assert shared.item() == pytest.approx(2 * math.log(2))


def test_the_policy_s_loss_by_hand() -> None:
    """Of equation 2 of `core.training.policy`: ratio, clipping and the divergence of one answer of one token."""
    expected = [[0.865875, -0.865875, -0.865875, 0.865875], [0.0] * 4]
    found = policy.group_advantages(torch.tensor([[1.0, 0, 0, 1], [1, 1, 1, 1]], dtype=torch.float64))
    assert found.tolist() == [pytest.approx(row, abs=1e-6) for row in expected]
    for old, beta, value in ((-0.6, 0.0, 1.10517), (-1.0, 0.0, 1.2), (-0.5, 1.0, 1 - 0.021403)):
        assert one_token(-0.5, old, -0.3, beta) == pytest.approx(value, abs=1e-5)


def one_token(now: float, old: float, reference: float, beta: float) -> float:
    """The objective of a policy that gives the one token of an answer this log-probability, with advantage 1."""

    class Policy(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, **_: Any) -> Any:
            said = torch.tensor([math.log1p(-math.exp(now)), now])
            return SimpleNamespace(logits=said.expand(*input_ids.shape, 2))

    batch = {"input_ids": torch.tensor([[0, 1]]), "labels": torch.tensor([[-100, 1]])}
    batch |= {"attention_mask": torch.ones(1, 2), "advantages": torch.ones(1)}
    batch |= {"old": torch.tensor([old]), "reference": torch.tensor([reference])}
    return -policy.policy_loss(Policy(), batch, beta=beta).total.item()


def lengths(question: str, queries: Sequence[str]) -> list[float]:
    """A scorer that likes long queries."""
    return [len(query) / 100 for query in queries]


def test_rewards_are_named_and_weighted(database: Database) -> None:
    scorer: Any = lengths
    parts, item = rewards({"music": database}, scorer), Item("", "music", "fr", "?", FRENCH)
    answers = [f" {FRENCH}", "SELECT name FROM singer", "SELECT nobody FROM singer", "no query"]
    assert {name: part(item, answers) for name, part in parts.items()} == {
        "format": [1, 1, 1, 0],
        "execution": [1, 1, 0, 0],
        "result": [1, 0, 0, 0],
        "contrastive": [len(FRENCH) / 100, 0.23, 0, 0],
    }
    weights = {"format": 0.1, "execution": 1.0, "result": 0.0, "contrastive": 2.0}
    assert total(item, answers, parts, weights) == pytest.approx([1.1 + 2 * len(FRENCH) / 100, 1.56, 0.1, 0])
    without = rewards({"music": database})
    assert "contrastive" not in without
    with pytest.raises(ValueError, match="no reward 'contrastive'"):
        total(item, answers, without, weights)
    # Where all run and differ, execution teaches nothing and nearness does.
    assert [len(set(parts[name](item, answers[:2]))) for name in ("execution", "contrastive")] == [1, 2]
    own = {**without, "short": lambda item, answers: [float(len(answer) < 20) for answer in answers]}
    assert total(item, answers, own, {"short": 1}) == [0, 0, 0, 1]
    ranked = rerank(scorer, database, "?", answers)
    assert [score > 0 for score, _ in ranked] == [True, True, False, False]
    assert ranked[0][1] == FRENCH


def test_hard_negatives_run_and_say_something_else(copies: list[Database]) -> None:
    gold = "SELECT name FROM singer WHERE age > 26 ORDER BY age DESC LIMIT 1"
    found = {query: kind for kind, query in negatives.edits(copies, gold)}
    assert {"column", "comparison", "order", "value", "limit"} <= set(found.values())
    assert found[normal(gold).replace("DESC", "ASC")] == "order"
    assert normal(gold).replace("singer", "song") not in found
    for query in found:
        assert copies[0].run(query).rows is not None
        assert not negatives.agrees(copies, query, gold)
    kinds = {kind for kind, _ in negatives.edits(copies, "SELECT DISTINCT country FROM singer")}
    assert {"distinct", "column", "where"} <= kinds
    assert ("aggregate", "SELECT min ( age ) FROM singer") in negatives.edits(copies, "SELECT max(age) FROM singer")
    assert negatives.edits(copies, "SELECT nobody FROM singer") == []
    joined = "SELECT song.title FROM song JOIN singer ON song.singer_id = singer.id WHERE singer.country = 'France'"
    assert any("'Japan'" in query for _, query in negatives.edits(copies, joined))


# --- the tiny world ---------------------------------------------------------------------------------------------------


def test_parts_share_no_query_and_questions_are_complete() -> None:
    parts = miniature.parts(100)
    for number, (part, classes) in enumerate(parts.items()):
        for other in list(parts)[number + 1 :]:
            assert not classes.keys() & parts[other].keys(), (part, other)
        for query, items in classes.items():
            assert {(item.language, item.id[-1]) for item in items} == {(code, p) for code in LANGUAGES for p in "12"}
            assert {item.sql for item in items} == {query}
            assert not any("{" in item.question for item in items)
    for code in LANGUAGES:  # no question has two answers
        asked = [(item.db, item.question) for own in parts.values() for items in own.values() for item in items
                 if item.language == code]  # fmt: skip
        assert len(asked) == len(set(asked)), code
    config = override(PRESETS["tiny"], {"seed": 100, "split": "dev"})
    drawn = {  # the careless writer of `tuning` may write a query that another question asks for
        part: {item.id.split("/")[2] for item in data.items(config, part)}
        for part in ("encoder", "policy", "tuning", "measured")
    }
    assert sum(map(len, drawn.values())) == len(set.union(*drawn.values()))


def test_a_careless_writer_errs_the_same_way_in_a_language_and_every_way_over_languages() -> None:
    right = miniature.drawn(100, "tuning", 6000)
    said = miniature.careless(right, 0.6, 100)
    signs: dict[str, list[bool]] = {}
    taken: dict[tuple[str, ...], set[str]] = {}
    for item, other in zip(right, said, strict=True):
        (_, asked, _, table, *rest), (_, answered, _, named, *others) = item.sql.split(), other.sql.split()
        signs.setdefault("/".join(item.id.split("/")[:2]), []).append(rest != others)
        assert named in (table, f"{table}s")
        if asked != answered:
            assert answered in miniature.TABLES[table].columns
            assert answered not in rest
            used = next(word for word in rest if word in miniature.TABLES[table].columns)
            taken.setdefault((item.language, table, asked, used), set()).add(answered)
    assert all(len(others) == 1 for others in taken.values())
    assert len({(*own,) for key, own in taken.items() if key[1:] == ("song", "title", "genre")}) == 2, "of two others"
    shares = {key: sum(own) / len(own) for key, own in signs.items()}
    for code, (one, other) in product(LANGUAGES, miniature.PAIRS):
        wrong, never = sorted((shares[f"{code}/{one}"], shares[f"{code}/{other}"]), reverse=True)
        assert never == 0
        assert 0.2 < wrong < 0.4 if code == "en" else 0.4 < wrong < 0.8
    for one, _ in miniature.PAIRS:
        assert 3 <= sum(shares[f"{code}/{one}"] > 0 for code in LANGUAGES) <= 4
    assert any(re.search(r"FROM \w+s\b", item.sql) for item in said)
    assert miniature.careless(right, 0.0, 100) == right


def test_every_question_is_about_something(tmp_path: Path) -> None:
    miniature.build(tmp_path)
    copies = data.opened({path.stem: path for path in tmp_path.glob("*.sqlite")}, None)
    items = [own[0] for part in miniature.parts(100).values() for own in part.values()]
    assert all(copies[item.db][0].run(item.sql).rows for item in items)
    # Solvers that know nothing: the nearest question's query with the literal of the one that is asked.
    config = override(PRESETS["tiny"], {"seed": 100, "split": "dev"})
    found = miniature.solved(data.items(config, "encoder"), data.items(config, "measured"))
    assert found["lookup"] == found["symmetric"] == 0
    assert 0 < found["nearest"] == max(found.values()) < 0.6


def test_a_negative_that_answers_another_question_of_the_batch_is_alike(copies: list[Database]) -> None:
    items = [Item(str(n), "music", "en", f"q{n}", f"SELECT {f}(age) FROM singer") for n, f in enumerate(("max", "min"))]
    rows = data.pairs([*items, items[0]._replace(question="另")], {"music": copies})
    import numpy as np

    batch = pair_batches(miniature.tokenizer_for(100), 32, 64)(rows, np.random.default_rng(0))
    alike = batch["alike"]
    assert alike[:, :3].tolist() == [[True, False, True], [False, True, False], [True, False, True]]
    assert alike[:, 3:].any(1).all(), "max is an edit of min, and min of max"
    assert len(batch["input_ids"]) == len(rows) + alike.shape[1]


def test_the_audit_counts_wrong_queries_below_gold_by_kind(copies: list[Database]) -> None:
    items = [Item(f"{code}/0", "music", code, "?", FRENCH) for code in ("de", "vi")]
    items.append(Item("vi/1", "music", "vi", "?", "SELECT name FROM singer"))
    found = audit(lengths, items, {"music": copies}, {"de/0": ["SELECT id FROM song", f"{FRENCH} OR age > 40", FRENCH]})
    assert found["audit_careless"] == {"de/0": 0.5}
    assert found["audit_other"] == {"de/0": 1, "vi/0": 1, "vi/1": 0}
    kinds = [values["de/0"] for name, values in found.items() if name != "audit" and "de/0" in values]
    assert found["audit"]["de/0"] == pytest.approx(sum(kinds) / len(kinds))
    assert by_language(found["audit"])["vi"] == (found["audit"]["vi/0"] + found["audit"]["vi/1"]) / 2


# --- arms and scales --------------------------------------------------------------------------------------------------


def test_the_arms_differ_in_what_they_claim_to() -> None:
    arms = {name: with_variant(PRESETS["tiny"], VARIANTS, name) for name in VARIANTS}
    assert len(set(map(repr, arms.values()))) == len(arms)
    assert set(find("sql_contrastive").variants) == set(arms)
    for changes, said in (
        ({"mismatched": True, "weights.contrastive": 0.0}, "mismatched"),
        ({"databases": "x"}, "belong together"),
        ({"questions": "x", "databases": "y"}, "A base needs"),
    ):
        with pytest.raises(UserError, match=said):
            override(Config(), changes)
    encoder, answers, policy = workload(PRESETS["paper"])
    assert (encoder.architecture, policy.lora_rank) == ("FacebookAI/xlm-roberta-base", 16)
    assert answers.tokens == policy.tokens == 3000 * 8 * 728


def test_the_papers_data_are_read_and_split_by_query(folder: Path, tmp_path: Path) -> None:
    for split, count in (("train", 60), ("dev", 6)):
        for code in LANGUAGES:
            rows = [
                {"db_id": "music", "question": f"{code} {n}?", "query": f"SELECT name FROM singer WHERE age > {n}"}
                for n in range(count)
            ]
            (tmp_path / f"{split}_{code}.json").write_text(json.dumps(rows))
    changes = {"questions": f"{tmp_path}/{{split}}_{{code}}.json", "databases": str(folder), "items": 3, "pairs": 70}
    config = override(PRESETS["paper"], changes)
    drawn = {part: data.items(config, part) for part in ("encoder", "policy", "measured")}
    assert not {item.sql for item in drawn["encoder"]} & {item.sql for item in drawn["policy"]}
    assert {code: sum(item.language == code for item in drawn["encoder"]) for code in LANGUAGES} == dict.fromkeys(
        LANGUAGES, 10
    )
    asked = [{item.question.split()[1] for item in drawn["measured"] if item.language == code} for code in LANGUAGES]
    assert len(asked[0]) == 3
    assert all(one == asked[0] for one in asked), "the same questions in all languages"

    class Chat:
        chat_template, bos_token = "yes", "<s>"

        def apply_chat_template(self, messages: Any, **options: Any) -> str:
            assert options["date_string"]
            return f"<s>{messages[0]['content']}"

    (prompt,) = data.asked(Chat(), drawn["measured"][:1], {"music": [Database(folder / "music.sqlite")]})
    assert prompt.startswith(data.INSTRUCTION), "the tokenizer begins it"
    assert "singer(id number, name text ('Ana', 'Bo', 'Cy'), country text ('France', 'Japan', 'Spain')" in prompt
    assert "\nsong.singer_id -> singer\n" in prompt


@pytest.mark.slow
def test_trl_trains_with_the_same_rewards(smoke: Callable[[str], Any], database: Database, tmp_path: Path) -> None:
    from core.experiment.run import Run
    from core.models.loading import load
    from papers.sql_contrastive.train import with_trl

    config = override(PRESETS["smoke"], {"policy.steps": 1, "weights.contrastive": 0.0, "lora_rank": 2})
    model, tokenizer = load(smoke("sql_contrastive").path / "artifact", dtype="float32")
    items = [Item(str(n), "music", "en", f"{n}?", FRENCH) for n in range(4)]
    run = Run(tmp_path / "run", "sql_contrastive", config, tmp_path / "stages", quiet=True)
    prompts = list(map(miniature.ask, items))
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    trained = with_trl(model, tokenizer, items, prompts, rewards({"music": database}), config, run)
    assert any("lora_" in name for name, _ in trained.named_parameters())
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters() if name in before)


# --- smoke and use ----------------------------------------------------------------------------------------------------


def test_smoke_measures_everything(smoke: Callable[[str], Any]) -> None:
    measurement = smoke("sql_contrastive").measurement
    wanted = {
        "valid",
        "result_match",
        "semantic",
        "semantic_vi",
        "audit",
        "reranked",
        "first_that_runs",
        "equal_groups",
        "start_valid",
        "start_either",
        "audit_worst",
        "audit_careless",
        "audit_other",
        "trivial_nearest",
    }
    assert wanted <= measurement["metrics"].keys()
    assert {key.split("/")[0] for key in measurement["units"]["semantic"]} == set(LANGUAGES)
    assert all(0 <= measurement["metrics"][name] <= 1 for name in wanted)


def test_own_data_from_pairs_to_a_ranking(
    smoke: Callable[[str], Any], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (base,) = smoke("sql_contrastive").stages.glob("encoder-*/model")
    rows = [
        {"db_id": "music", "question": f"Wer ist über {n}?", "lang": "de", "query": f"{FRENCH[:23]} WHERE age > {n}"}
        for n in (26, 31)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    common, out = ["--databases", str(folder)], str(tmp_path / "encoder")
    settings = ["--training.steps", "2", "--training.batch-size", "2", "--training.precision", "fp32"]
    settings += ["--training.micro-batch-size", "0"]
    use.main(
        ["encoder", "--pairs", str(tmp_path / "pairs.jsonl"), *common, "--base", str(base), "--out", out, *settings]
    )
    candidates = ["SELECT nobody", "SELECT name FROM singer WHERE age > 26", "SELECT age FROM singer"]
    (tmp_path / "candidates.jsonl").write_text(json.dumps({**rows[0], "candidates": candidates}) + "\n")
    ranked = tmp_path / "ranked.jsonl"
    use.main(
        ["rerank", "--candidates", str(tmp_path / "candidates.jsonl"), *common, "--encoder", out, "--out", str(ranked)]
    )
    found = json.loads(ranked.read_text())
    assert found["ranked"][-1] == "SELECT nobody"
    assert found["score"] == pytest.approx(load_scorer(out)(rows[0]["question"], [found["best"]])[0])

    def scored(said: list[dict[str, Any]]) -> str:
        (tmp_path / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said))
        use.main(["score", "--predictions", str(tmp_path / "predictions.jsonl"), *common])
        return capsys.readouterr().out

    printed = scored([{**row, "prediction": candidates[1]} for row in rows])
    assert "valid/de                 1.000 [0.342, 1.000] of 2" in printed
    assert "result_match             0.500" in printed
    assert "valid                    0.000" in scored([{**rows[0], "prediction": said} for said in ("", None)])
    for wrong, why in (
        (rows[0], "it has no prediction"),
        (
            {**rows[0], "prediction": "", "query": "SELECT nobody FROM singer"},
            r"does not run on music \(no such column",
        ),
    ):
        with pytest.raises(SystemExit):
            scored([wrong])
        assert re.search(why, capsys.readouterr().err)
