"""Instruction sets and their translations: joined, checked, split."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.tasks import instructions

ENGLISH = [{"id": key, "instruction": f"Say {key}.", "output": text} for key, text in [("a", "Hi."), ("b", "Bye.")]]
NEPALI = [
    {"id": "z", "instruction": "अर्को", "output": "अर्को"},
    {"id": "b", "instruction": "भन", "output": "बिदा", "input": None},
]


def test_rows_join_on_their_ids_in_the_english_order() -> None:
    pairs, unmatched = instructions.aligned(ENGLISH, NEPALI)
    assert [(key, ours["output"], theirs["output"]) for key, ours, theirs in pairs] == [("b", "Bye.", "बिदा")]
    assert unmatched == 2


def test_a_number_and_its_digits_are_one_id() -> None:
    pairs, unmatched = instructions.aligned([{"id": 7, "output": "a"}], [{"id": "7", "output": "b"}])
    assert [(key, ours["output"], theirs["output"]) for key, ours, theirs in pairs] == [("7", "a", "b")]
    assert unmatched == 0


def test_rows_join_by_order() -> None:
    bare = [{"instruction": row["instruction"], "output": row["output"]} for row in ENGLISH]
    pairs, unmatched = instructions.aligned(bare, NEPALI, "order")
    assert [(key, theirs["id"]) for key, _, theirs in pairs] == [(0, "z"), (1, "b")]
    assert unmatched == 0
    with pytest.raises(UserError, match="2 rows and the translated one 1"):
        instructions.aligned(ENGLISH, NEPALI[:1], "order")


def test_rows_that_cannot_be_joined() -> None:
    with pytest.raises(UserError, match="Row 1 of the translated set has no `id`"):
        instructions.aligned(ENGLISH, [NEPALI[0], {"output": "x"}])
    with pytest.raises(UserError, match="'b' stands twice in the English set"):
        instructions.aligned([ENGLISH[1]] * 2, NEPALI)
    with pytest.raises(UserError, match="Nepali row 3 has no text in the column 'output'"):
        instructions.texts({"instruction": "x", "output": None}, "Nepali row 3")
    with pytest.raises(UserError, match="Nepali row 3 has no text in the column 'input'"):
        instructions.texts({"instruction": "x", "input": 5, "output": "y"}, "Nepali row 3")
    assert instructions.texts(NEPALI[1], "") == {"instruction": "भन", "input": "", "output": "बिदा"}


def test_a_translation_into_another_language_is_refused() -> None:
    instructions.check_translation(NEPALI, ENGLISH, "Nepali")
    with pytest.raises(UserError, match="script of Persian"):
        instructions.check_translation(NEPALI, ENGLISH, "Persian")
    long = [{"output": f"{number} is an English sentence of some length."} for number in range(5)]
    with pytest.raises(UserError, match="5 of 5 outputs are the English ones"):
        instructions.check_translation(long, long, "Nepali")
    instructions.check_translation(NEPALI, ENGLISH, "a language that nobody knows")
    # Short responses may be the same in all languages.
    assert instructions.untranslated("x" * 31, "x" * 31)
    assert not instructions.untranslated("OK", "OK")


def test_rows_that_teach_nothing_are_counted() -> None:
    english = [
        {"id": "a", "instruction": "Say hello.", "output": "Hello."},
        {"id": "b", "instruction": "Say a thing.", "output": "x" * 31},
        {"id": "c", "instruction": "Say ok.", "output": "OK", "input": "now"},
        {"id": "d", "instruction": "Say it.", "output": " "},
    ]
    nepali = [{**row, "instruction": "भन", "input": None, "id": row["id"].replace("a", "z")} for row in english]
    found, dropped = instructions.translations(english, nepali, "Nepali")
    assert dropped == {"unmatched": 2, "untranslated": 1, "empty": 1}
    assert found == [
        (
            "c",
            {"instruction": "Say ok.", "input": "now", "output": "OK"},
            {"instruction": "भन", "input": "", "output": "OK"},
        )
    ]
    with pytest.raises(UserError, match="Nepali row c has no text"):
        instructions.translations(english[2:3], [{"id": "c", "output": "OK"}], "Nepali")


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(1, 5), st.randoms())
def test_an_instruction_is_on_one_side_whatever_the_order(numbers: list[int], count: int, chance: Any) -> None:
    records = [{"id": str(place), "text": f"Ask {number}"} for place, number in enumerate(numbers)]
    parts = instructions.held_out(records, "text", count)
    sides = {part: {record["text"] for record in rows} for part, rows in parts.items()}
    assert sum(map(len, parts.values())) == len(records)
    assert not sides["dev"] & sides["test"]
    assert not (sides["dev"] | sides["test"]) & sides["tuning"]
    assert not parts["tuning"] or min(len(parts["dev"]), len(parts["test"])) >= count
    chance.shuffle(records)
    again = instructions.held_out(records, "text", count)
    assert {part: {record["text"] for record in rows} for part, rows in again.items()} == sides


def test_records_are_drawn_and_exchanged_by_the_seed() -> None:
    records = [{"text": f"Ask {number}", "answer": str(number)} for number in range(30)]
    parts = instructions.held_out(records, "text", 5)
    tuning = instructions.drawn(parts, 8, seed=1)
    assert tuning == instructions.drawn(parts, 20, seed=1)[:8], "a smaller set is the beginning of a larger one"
    assert tuning != instructions.drawn(parts, 8, seed=2)
    assert sorted(row["text"] for row in instructions.drawn(parts, 0, 1)) == sorted(r["text"] for r in parts["tuning"])
    with pytest.raises(UserError, match="30 records are too few for 5 of dev, 5 of test and 21 to tune on"):
        instructions.drawn(parts, 21, 1)
    broken = instructions.exchanged(records, ["answer"], seed=1)
    assert [row["text"] for row in broken] == [row["text"] for row in records]
    assert sorted(row["answer"] for row in broken) == sorted(row["answer"] for row in records)
    assert sum(a == b for a, b in zip(records, broken, strict=True)) < 5


def test_records_are_those_of_one_language(tmp_path: Path) -> None:
    path = tmp_path / "n.jsonl"
    row = {"instruction": "भन", "output": "हो", "language": "Nepali"}
    path.write_text(json.dumps(row) + "\n" + json.dumps({**row, "id": 7, "input": "x"}) + "\n")
    first, second = instructions.read_records(path, "Nepali")
    assert first == {**row, "id": "1", "input": ""}
    assert second == {**row, "id": "7", "input": "x"}
    with pytest.raises(UserError, match="line 1 is Nepali, not Persian"):
        instructions.read_records(path, "Persian")
    with pytest.raises(UserError, match="'response_en' is missing"):
        instructions.read_records(path, "Nepali", ["response_en"])


def test_sets_are_read_from_files_and_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "instruction_rows", lambda language, part: [{"output": f"{part} {language}"}])
    assert instructions.read("hub:dolly/Nepali") == [{"output": "dolly Nepali"}]
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ENGLISH[0]) + "\n")
    assert instructions.read(str(path)) == ENGLISH[:1]


def test_released_sets_stand_under_their_literal_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trailing space and a misspelling belong to the released folder names; rows correspond by order."""
    root = tmp_path / "multilingual-instruction-tuning-dataset "
    for folder in (root / "multilingual-alpaca-52k-gpt-4" / "Nepali", root / "multilinugal-dolly-15k"):
        folder.mkdir(parents=True)
        (folder / "Nepali.json").write_text(json.dumps([{"instruction": "फल भन", "input": None, "output": "स्याउ"}]))
    monkeypatch.setattr(instructions, "MITS", str(tmp_path))
    for part in ("alpaca", "dolly"):
        nepali = instructions.instruction_rows("Nepali", part)
        assert nepali == [{"instruction": "फल भन", "input": "", "output": "स्याउ"}]
    with pytest.raises(UserError, match=r"Danish/Danish\.json"):
        instructions.instruction_rows("Danish", "alpaca")
    with pytest.raises(UserError, match="choose from alpaca, dolly"):
        instructions.instruction_rows("Nepali", "lima")


def test_rows_of_bactrian_have_ids_that_are_aligned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    row = {"instruction": "Taja tunda", "input": None, "id": "alpaca-7", "output": "Embe"}
    with gzip.open(tmp_path / "data" / "sw.json.gz", "wt", encoding="utf-8") as file:
        json.dump([row], file)
    monkeypatch.setattr(instructions, "BACTRIAN", str(tmp_path))
    assert instructions.read("hub:bactrian/sw") == [{**row, "input": ""}]
    with pytest.raises(UserError, match=r"yo\.json\.gz .*needs the hub"):
        instructions.read("hub:bactrian/yo")


def test_the_prompt_of_alpaca_word_for_word() -> None:
    assert instructions.alpaca("Name a fruit.") == (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nName a fruit.\n\n### Response:\n"
    )
    assert instructions.alpaca("Sum up.", "A text.") == (
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
        "response that appropriately completes the request.\n\n"
        "### Instruction:\nSum up.\n\n### Input:\nA text.\n\n### Response:\n"
    )
