"""Run directories: whole files, keys, resumption, and the sentences of a failing disk."""

from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.errors import UserError
from core.experiment.keys import code_fingerprint
from core.experiment.run import Measurement, Run, environment
from core.files import build_folder, read_json, writable, write_json, write_table, write_text


@dataclass(frozen=True)
class Example:
    seed: int = 0
    rate: float = 0.5


def run_in(folder: Path, config: Example = Example()) -> Run:
    return Run(folder / "run", "mexa", config, folder / "stages")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})
    with pytest.raises(TypeError):
        write_json(path, {"x": object()})
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert read_json(path) == {"x": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        build_folder(tmp_path / "target", broken)
    assert os.listdir(tmp_path) == []


def test_two_builders_of_one_folder_agree(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "file").write_text("same")

    def overtaken(folder: Path) -> None:
        fill(folder)
        build_folder(tmp_path / "target", fill)

    build_folder(tmp_path / "target", overtaken)
    assert (tmp_path / "target" / "file").read_text() == "same"
    assert os.listdir(tmp_path) == ["target"]


def test_a_stage_is_built_once_for_equal_inputs(tmp_path: Path) -> None:
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "x").write_text("x")

    first = run_in(tmp_path).stage("base", {"steps": 3}, build)
    second = run_in(tmp_path, Example(seed=1)).stage("base", {"steps": 3}, build)
    third = run_in(tmp_path).stage("base", {"steps": 4}, build)
    assert first == second != third
    assert len(built) == 2


def test_a_value_is_computed_once_for_equal_inputs(tmp_path: Path) -> None:
    asked = []

    def compute(number: int) -> dict[str, int]:
        asked.append(number)
        return {"squared": number**2}

    for number in (3, 3, 4):
        found = run_in(tmp_path).once("squares", {"number": number}, lambda number=number: compute(number))
        assert found == {"squared": number**2}
    assert asked == [3, 4]


def test_a_finished_run_is_recognised_and_another_key_is_not(tmp_path: Path) -> None:
    run = run_in(tmp_path).open()
    assert run.finished("measurement") is None
    run.finish("measurement", 1.5, **Measurement({"accuracy": 0.5}).to_json())
    content = run_in(tmp_path).finished("measurement")
    assert content is not None
    assert content["metrics"] == {"accuracy": 0.5}
    other = run_in(tmp_path, Example(rate=0.1))
    assert other.finished("measurement") is None
    assert "rate differ" in (other.holds_another() or "")
    assert run.holds_another() is None
    other.open()
    assert not (tmp_path / "run" / "measurement.json").exists()


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("years of work")
    assert "not a run directory" in (run_in(tmp_path).holds_another() or "")
    with pytest.raises(UserError, match="not a run directory"):
        run_in(tmp_path).open()
    assert (tmp_path / "run" / "thesis.tex").exists()


def test_a_table_has_a_header_and_empty_cells_where_nothing_is_known(tmp_path: Path) -> None:
    write_table(tmp_path / "t.tsv", [{"code": "fr", "score": 1 / 3, "n": 40}, {"code": "ja", "score": None, "n": 7}])
    assert (tmp_path / "t.tsv").read_text(encoding="utf-8") == "code\tscore\tn\nfr\t0.333333\t40\nja\t\t7\n"


def test_logged_lines_are_json_even_for_infinite_values(tmp_path: Path) -> None:
    run = run_in(tmp_path).open()
    run.log(step=1, loss=math.inf)
    run.log(step=2, loss=0.25)
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [{"step": 1, "loss": None}, {"step": 2, "loss": 0.25}]


def test_a_measurement_survives_json() -> None:
    measurement = Measurement({"r": math.nan, "a": 1.0}, {"a": {"fr": 1.0}}, {"curve": [1.0, math.inf]})
    back = Measurement.from_json(json.loads(json.dumps(measurement.to_json())))
    assert math.isnan(back.metrics["r"])
    assert (back.metrics["a"], back.units, back.details) == (1.0, {"a": {"fr": 1.0}}, {"curve": [1.0, None]})


@pytest.mark.parametrize(("number", "word"), [(28, "full"), (13, "writable"), (30, "read-only")])
def test_disk_failures_become_one_sentence(number: int, word: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=word) as error, writable(tmp_path):
        raise OSError(number, "os words")
    assert str(tmp_path) in str(error.value)


def test_a_file_in_the_way_is_the_users_to_move(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UserError, match="--out"):
        run_in(tmp_path).open()


def test_numbers_of_a_list_share_a_line_and_strings_stay(tmp_path: Path) -> None:
    value = {"n": [1, -2.5, 1e-7, None, True], "s": ["[\n 1,\n 2\n]", "a  b"], "deep": [[1], [2, 3], []], "m": [1, "x"]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert '"n": [1, -2.5, 1e-07, null, true]' in (tmp_path / "a.json").read_text()


def test_environment_names_what_a_reader_needs() -> None:
    assert {"command", "commit", "platform", "processor", "cores", "gpus", "threads", "versions", "time"} == set(
        environment()
    )
    assert "torch" in environment()["versions"]


@pytest.mark.parametrize("place", [["--out", "/somewhere/of/mine"], ["--out=/somewhere/of/mine"], []])
def test_a_recorded_command_names_no_folder_of_this_machine(monkeypatch: pytest.MonkeyPatch, place: list[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/papers", "reproduce", "mexa", *place, "--record"])
    assert environment()["command"] == "papers reproduce mexa --record"


def test_prose_is_no_part_of_the_code_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fingerprint_of(source: str) -> str:
        folder = tmp_path / "papers" / "x"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "eval.py").write_text(source)
        code_fingerprint.cache_clear()
        return code_fingerprint("x")

    monkeypatch.setattr("core.experiment.keys.ROOT", tmp_path)
    plain = fingerprint_of("def f():\n    return 1\n")
    assert plain == fingerprint_of('"""Words."""\n\n\ndef f():\n    """More words."""\n    # a comment\n    return 1\n')
    assert plain != fingerprint_of("def f():\n    return 2\n")
    code_fingerprint.cache_clear()
