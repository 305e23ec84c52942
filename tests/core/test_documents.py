"""Mixtures before training: what they will read, bodies of text as token rows, and the order on disk."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from core.corpora import manifest
from core.corpora.budget import Plan, amount_text
from core.corpora.mixture import Mixture
from core.errors import UserError
from core.experiment.run import temporary
from core.models.tokenization import word_level
from core.training.config import TrainingConfig
from core.training.documents import (
    Body,
    by_length,
    encode,
    mixed_rows,
    of_manifest,
    ordered_rows,
    stated_or_bytes,
    tokenise,
)
from core.training.packing import document_lengths

AVAILABLE = {"english": {"en": 100.0}, "low": {"yo": 5.0, "sw": 40.0}}


def test_a_plan_tells_what_it_reads_and_warns_of_repetition() -> None:
    plan = Plan(AVAILABLE, [{"en": 20, "yo": 10}, {"en": 10, "yo": 20, "sw": 10}], ["slowly", ""], estimated=("sw",))
    assert plan.by_category == {"english": 30, "low": 40}
    uses = {use.source: use for use in plan.uses}
    assert (uses["yo"].epochs, uses["yo"].utilisation, uses["en"].utilisation) == (6, 1, pytest.approx(0.3))
    assert [warning.split(":")[0] for warning in plan.warnings] == ["yo is repeated 6.0 times"]
    table = plan.table()
    assert re.search(r"yo +low +10 +20 +30 +5 +100\.0% +6\.00", table)
    assert re.search(r"sw +low +0 +10 +10 +~40 +~25\.0% +~0\.25", table)
    assert "stage 1: 30 tokens slowly: english 66.7%, low 33.3%" in table
    assert "~ a guess" in table
    assert "~" not in Plan(AVAILABLE, [{"en": 20}]).table()
    assert [amount_text(number) for number in (90.4e9, 412_000, 5)] == ["90.4B", "412.0K", "5"]


def test_bodies_are_counted_or_left_unread() -> None:
    tokenizer, opened = word_level(["a", "b"]), []

    def texts() -> list[str]:
        opened.append(1)
        return ["a b", "b"]

    sizes, documents = tokenise([Body("x", "low", texts), Body("y", "low", texts, 7.0)], tokenizer)
    assert sizes == {"low": {"x": 7, "y": 7.0}}  # three words, and begin and end of two documents
    assert len(opened) == 1
    stream = documents["y"]
    assert callable(stream)
    assert list(stream()) == documents["x"]
    assert [row.tolist() for row in documents["x"]] == encode(tokenizer, ["a b", "b"])
    assert [row.tolist() for row in stream().skip(1)] == encode(tokenizer, ["b"])
    assert (documents["x"][0][0], documents["x"][0][-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)


def test_entries_of_one_language_and_category_are_one_body(tmp_path: Path) -> None:
    for name, lines in (("a", "x\ny"), ("b", "z"), ("c", "w")):
        (tmp_path / f"{name}.txt").write_text(lines, encoding="utf-8")
    (tmp_path / "d.tsv").write_text("en\tsw\none\tmoja\n", encoding="utf-8")
    (tmp_path / "sources.jsonl").write_text(
        """{"path": "a.txt", "category": "low", "language": "sw", "tokens": 5}
{"path": "c.txt", "category": "low", "language": "yo"}
{"path": "b.txt", "category": "low", "language": "sw", "tokens": 7}
{"path": "d.tsv", "category": "bi", "languages": ["en", "sw"], "tokens": 2}
""",
        encoding="utf-8",
    )
    entries = manifest.read(tmp_path / "sources.jsonl")
    bodies = of_manifest(entries, lambda entry: map(" = ".join, manifest.pairs(entry.path, *entry.languages)))
    shown = [(body.name, body.category, body.tokens) for body in bodies]
    assert shown == [("a.txt", "low", 12), ("c.txt", "low", None), ("d.tsv", "bi", 2)]
    for _ in range(2):  # opened anew
        assert [list(body.texts()) for body in bodies] == [["x", "y", "z"], ["w"], ["one = moja"]]
    named = of_manifest(entries[:1], lambda entry: [], lambda entry: f"{entry.category}/{entry.language}")
    assert [body.name for body in named] == ["low/sw"]
    assert stated_or_bytes([bodies[0], bodies[2]]) == ({"low": {"a.txt": 12}, "bi": {"d.tsv": 2}}, "tokens")
    assert stated_or_bytes(bodies[1:2]) == ({"low": {"c.txt": 1}}, "bytes of UTF-8")
    with pytest.raises(UserError, match=r"'c\.txt': give --tokenizer"):
        stated_or_bytes(bodies)


def test_a_mixture_has_its_shares_and_bodies_of_a_category_are_equal() -> None:
    tokenizer = word_level(["a", "b", "c", "d"])
    sizes = {"a": 40, "b": 3, "c": 9, "d": 50}
    bodies = [Body(name, "low" if name in "ab" else name, lambda n=name: [n] * sizes[n]) for name in sizes]  # type: ignore[misc]
    rows = mixed_rows(bodies, tokenizer, {"low": 0.8, "c": 0.2}, 300, seed=1)
    read = Counter(tokenizer.decode(row["input_ids"][1]) for row in rows)  # three tokens a row
    assert read == {"a": 40, "b": 40, "c": 20}
    assert rows == mixed_rows(bodies, tokenizer, {"low": 0.8, "c": 0.2}, 300, seed=1)
    with pytest.raises(UserError, match="no text of 'high', which has a share"):
        mixed_rows(bodies, tokenizer, {"low": 0.8, "high": 0.2}, 300)


@pytest.mark.parametrize("on_disk", [False, True])
def test_rows_keep_the_order_of_the_stream(on_disk: bool, tmp_path: Path) -> None:
    def stream() -> list[tuple[int, str, list[int]]]:
        parts = [{"a": 6.0, "b": 6.0}, {"b": 4.0}]
        return list(Mixture({"a": [[1, 2]] * 9, "b": [[3]] * 9 + [[4]] * 9}, parts))

    with temporary("mexa", None) as run:
        rows, counts = ordered_rows(stream, run, {"x": 1}, on_disk=on_disk)
        assert [row["input_ids"].tolist() for row in rows] == [ids for _, _, ids in stream()]
        assert document_lengths(rows).tolist() == [len(ids) for _, _, ids in stream()]
    assert counts == {1: {"a": 6, "b": 6}, 2: {"b": 4}}


def test_batches_are_of_like_length_and_every_pass_has_its_own() -> None:
    settings = TrainingConfig(steps=8, batch_size=5)
    rows = by_length(range(22), [n % 4 for n in range(22)], settings, 0)
    assert len(rows) == 40
    batches = [rows[start : start + 5] for start in range(0, 40, 5)]
    assert all(max(n % 4 for n in batch) - min(n % 4 for n in batch) <= 1 for batch in batches)
    assert len(set(rows[:20])) == 20
    assert list(rows) != list(by_length(range(22), [n % 4 for n in range(22)], settings, 1))
    with pytest.raises(UserError, match="4 rows do not fill a batch of 5"):
        by_length(range(4), range(4), settings, 0)
