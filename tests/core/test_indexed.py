"""Rows by index: from disk in any order, in their ratios, and with another row's field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.corpora.indexed import JsonLines, blend, exchanged
from core.errors import UserError


def test_lines_are_read_from_disk_in_any_order(tmp_path: Path) -> None:
    rows = [{"n": n, "text": "心" * n} for n in range(1, 6)]
    for name, part in (("a", rows[:2]), ("b", rows[2:])):
        text = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in part) + "\n"
        (tmp_path / f"{name}.jsonl").write_text(text, encoding="utf-8")
    found = JsonLines(sorted(tmp_path.glob("*.jsonl")))
    assert len(found) == 5
    assert [found[index] for index in (4, 0, 2)] == [rows[4], rows[0], rows[2]]
    assert list(found) == rows
    assert len(JsonLines([])) == 0


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"n": 1}\n\nno json\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.jsonl, line 3: not JSON"):
        JsonLines([path])[1]

    def check(row: Any) -> Any:
        raise UserError("n must be even.")

    with pytest.raises(UserError, match=r"a\.jsonl, line 1: n must be even"):
        JsonLines([path], check)[0]


def test_sources_are_mixed_in_their_ratios() -> None:
    sources = [[{"id": "a"}] * 10, [{"id": "b"}] * 90]
    rows = blend(sources, (3.0, 1.0))
    assert len(rows) == 100
    assert sum(row["id"] == "a" for row in rows) == 75
    assert sum(row["id"] == "a" for row in blend(sources)) == 10
    assert blend(sources[:1]) is sources[0]


@given(st.integers(2, 30), st.integers(0, 5))
def test_every_row_gets_the_field_of_another_one(n: int, seed: int) -> None:
    rows = [{"id": i, "text": str(i)} for i in range(n)]
    null = list(exchanged(rows, "text", seed))
    assert [row["id"] for row in null] == list(range(n))
    assert sorted(int(row["text"]) for row in null) == list(range(n))
    assert all(int(row["text"]) != row["id"] for row in null)
