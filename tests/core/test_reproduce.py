"""Grids: cells side by side, shared stages, failures, signals, two commands at once, time left, what a key follows."""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import cli
from core.errors import UserError
from core.experiment import keys
from core.experiment.jobs import Board
from core.experiment.paper import slugs
from core.experiment.progress import Group, clock, seconds_left
from core.experiment.reproduce import side_by_side
from core.experiment.run import ROOT, check_world
from core.experiment.threads import CHOSEN, COUNTS, WAITING, settle, settled
from core.experiment.workers import Cell, Reply
from core.files import HeldError, cache_dir, locked, read_json, read_lines, replacing, sweep, write_rows, write_text

# A paper whose cells do what their variant says, note it in events.jsonl, and need neither torch nor time.
PAPER = {
    "__init__.py": """
        from core.experiment.paper import Claim, Paper
        PAPER = Paper(slug="grid", title="Grid", authors="A", year=2026, venue="arXiv", arxiv="0000.00000",
            family="evaluation", summary="S.", minutes=0.1, seeds=(0, 1), claims=(
                Claim(id="c", statement="One is more than none.", reported="Table 1.", metric="score",
                      treatment="shared", control="alone"),))
        """,
    "config.py": """
        from dataclasses import dataclass
        @dataclass(frozen=True)
        class Config:
            seed: int = 0
            does: str = "alone"
            seconds: float = 0.0
        PRESETS = {"tiny": Config(), "slow": Config(seconds=0.4)}
        VARIANTS = {does: {"does": does} for does in ("shared", "alone", "also_shared", "fails", "dies", "refuses")}
        """,
    "eval.py": """
        import json, os, signal, time
        from pathlib import Path
        from core.errors import UserError
        from core.experiment.run import Measurement
        def note(run, what):
            line = {"what": what, "cell": f"{run.config.does}/{run.config.seed}", "pid": os.getpid(), "at": time.time()}
            with open(os.environ["EVENTS"], "a") as events:
                events.write(json.dumps(line) + "\\n")
        def evaluate(config, run):
            def build(folder):
                note(run, "builds")
                time.sleep(0.5)
                (folder / "x").write_text("x")
            note(run, "begins")
            if config.does in ("shared", "also_shared"):
                run.stage("base", {}, build)
            if config.does == "fails" and config.seed:
                return 1 / 0
            if config.does == "refuses":
                raise UserError("Give a number.")
            if config.does == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(config.seconds)
            note(run, "ends")
            print("a line of the paper")
            return Measurement({"score": float(config.does != "alone") + config.seed / 8}, {}, {})
        """,
}
DRIVER = """
import sys
from pathlib import Path
from core.experiment.entrypoint import exit_codes
from core.experiment.jobs import compute
from core.experiment.paper import find
from core.experiment.reproduce import cells
with exit_codes(debug=False):
    preset, variants, out, jobs, executor = sys.argv[1:]
    grid, failures = cells(find("grid"), preset=preset, variants=variants.split(","), out=Path(out)), {}
    for slug in compute(grid, {}, failures, jobs=int(jobs), executor=executor, quiet=True):
        print("ended", slug)
    for cell, reply in failures.items():
        print(cell, reply.error, sep=": ")
"""


class Repository:
    """A copy of core with the one paper above, and what its cells have noted."""

    def __init__(self, folder: Path):
        self.folder, self.events_file = folder, folder / "events.jsonl"
        self.environment = {**os.environ, "PYTHONPATH": str(folder), "EVENTS": str(self.events_file)}

    def start(self, variants: str, out: str, jobs: int = 1, *, preset: str = "tiny", executor: str = "here"):
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER, preset, variants, out, str(jobs), executor],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Whatever starts the tests in the background may have told them to ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, variants: str, out: str, jobs: int = 1, **options: str) -> tuple[str, str]:
        process = self.start(variants, out, jobs, **options)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        return output, errors

    def events(self, what: str = "") -> list[dict]:
        lines = self.events_file.read_text().splitlines() if self.events_file.exists() else []
        return [event for event in map(json.loads, lines) if what in ("", event["what"])]

    def scores(self, out: str) -> dict[str, dict]:
        found = sorted((self.folder / out).glob("grid/*/*/*/measurement.json"))
        return {f"{path.parent.parent.name}/{path.parent.name}": read_json(path)["metrics"] for path in found}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grid")
    shutil.copytree(ROOT / "core", folder / "core", ignore=shutil.ignore_patterns("__pycache__", "skeleton"))
    (folder / "papers" / "grid").mkdir(parents=True)
    (folder / "papers" / "__init__.py").touch()
    for name, text in PAPER.items():
        (folder / "papers" / "grid" / name).write_text(textwrap.dedent(text))
    return folder


@pytest.fixture
def repository(copy: Path) -> Repository:
    (copy / "events.jsonl").unlink(missing_ok=True)
    return Repository(copy)


def eventually(condition, seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- side by side -------------------------------------------------------------------------------------------------


def test_workers_come_to_the_same_numbers_and_build_a_shared_stage_once(repository: Repository) -> None:
    repository.run("shared,also_shared,alone", "one")
    events, repository.events_file = repository.events(), repository.folder / "two.jsonl"
    repository.environment["EVENTS"] = str(repository.events_file)
    for name in (CHOSEN, *COUNTS, *WAITING):
        repository.environment.pop(name, None)
    output, errors = repository.run("shared,also_shared,alone", "two", jobs=2)
    assert output == "ended grid\n"
    assert repository.scores("one") == repository.scores("two")
    assert len(repository.scores("two")) == 6
    assert len([event for event in events if event["what"] == "builds"]) == 1
    built = repository.events("builds")
    assert len(built) == 1
    # What does not need the stage was done while it was being built, by the process that found it busy.
    alone = [event for event in repository.events("ends") if event["cell"].startswith("alone")]
    assert min(event["at"] for event in alone) < built[0]["at"] + 0.5
    assert len({event["pid"] for event in repository.events()}) == 2
    assert "grid 6/6" in errors
    run = repository.folder / "two/grid/tiny/alone/seed0"
    assert "a line of the paper" in (run / "log.txt").read_text()
    assert read_json(run / "environment.json")["threads"].startswith("1 thread each")
    _, errors = repository.run("shared,also_shared,alone", "two", jobs=2)
    assert errors.count("(kept)") == 6


def test_a_cell_that_fails_or_dies_is_named_and_the_others_finish(repository: Repository) -> None:
    output, errors = repository.run("fails,dies,alone,refuses", "failing", jobs=2)
    assert "fails seed 1: ZeroDivisionError: division by zero" in output
    assert "dies seed 0: its process was killed, most likely for want of memory" in output
    assert "dies seed 1" in output
    assert "refuses seed 0: Give a number." in output
    assert set(repository.scores("failing")) == {"alone/seed0", "alone/seed1", "fails/seed0"}
    assert "Traceback" not in output + errors


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_workers_end_with_the_command_and_the_rest_is_done_later(
    repository: Repository, number: int, code: int
) -> None:
    out = f"stopped{number}"
    process = repository.start("alone,shared", out, jobs=2, preset="slow")
    assert eventually(lambda: len(repository.scores(out)) >= 1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert eventually(lambda: not any(alive(event["pid"]) for event in repository.events()))
    assert "Traceback" not in errors
    kept = len(repository.scores(out))
    assert 1 <= kept < 4
    _, errors = repository.run("alone,shared", out, jobs=2, preset="slow")
    assert errors.count("(kept)") == kept
    assert len(repository.scores(out)) == 4
    assert not list((repository.folder / out).rglob(".partial-*"))


def test_two_commands_on_one_grid_divide_it(repository: Repository) -> None:
    commands = [repository.start("shared,alone", "both", preset="slow") for _ in range(2)]
    errors = [command.communicate(timeout=60)[1] for command in commands]
    assert [command.returncode for command in commands] == [0, 0], errors
    assert len(repository.scores("both")) == 4
    assert sorted(event["cell"] for event in repository.events("ends")) == [
        "alone/0",
        "alone/1",
        "shared/0",
        "shared/1",
    ]
    assert len(repository.events("builds")) == 1


def test_jobs_of_a_cluster_go_the_same_way(repository: Repository) -> None:
    output, errors = repository.run("fails", "cluster", jobs=2, executor="local")
    assert repository.scores("cluster") == {"fails/seed0": {"score": 1.0}}
    assert "fails seed 1: ZeroDivisionError" in output, errors


def cell(variant: str, seed: int = 0) -> Cell:
    return Cell("grid", "tiny", variant, seed, "out")


def test_what_waits_for_a_stage_makes_room_for_others(tmp_path: Path) -> None:
    a, b, c, b2 = cell("a"), cell("b"), cell("c"), cell("b", 1)
    board = Board([a, b, b2, c])
    stage = tmp_path / "stage"
    assert board.take() == (a, False)
    assert board.take() == (b, False)
    board.give(b, Reply("held", held=str(stage)))
    assert board.take() == (c, False)  # before b's other seed, which needs the same
    assert board.take() == (b2, False)
    stage.mkdir()
    assert board.take() == (b, True)  # nothing else is left, so it may wait
    for done in (a, b, b2, c):
        board.give(done, Reply("computed"))
    assert board.take() is None


def test_what_waits_is_tried_again_when_the_builder_fails_or_nothing_runs(tmp_path: Path) -> None:
    a, b = cell("a"), cell("b")
    board = Board([a, b])
    board.take(), board.take()
    board.give(b, Reply("held", held=str(tmp_path / "stage")))
    board.give(a, Reply("failed", error="no"))
    assert board.take() == (b, True)
    board.give(b, Reply("held"))
    assert board.take() == (b, True)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["reproduce", "mexa", "--jobs", "0"], "--jobs"),
        (["reproduce", "mexa", "--slurm", "partition=gpu"], "--executor"),
        (["reproduce", "mexa", "--executor", "local", "--slurm", "partition"], "KEY=VALUE"),
    ],
)
def test_options_without_a_meaning_are_refused(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert word in capsys.readouterr().err


# --- time left ----------------------------------------------------------------------------------------------------


def mexa() -> list[Group]:
    """The grid of a paper whose first cell embeds the corpus for all: seconds of a record, three cells a variant."""
    return [Group(3, seconds) for seconds in (154.2, 1.6, 0.9, 39.0, 10.3, *[0.9] * 15)]


def test_a_first_cell_that_takes_long_pushes_the_time_left_up() -> None:
    groups, seen = mexa(), []
    for minutes in (0, 1, 2, 5, 10, 20, 26):
        groups[0].running = [60.0 * minutes]
        seen.append(seconds_left(groups))
    assert seen[0] == pytest.approx(sum(group.expected for group in groups))
    assert seen[2] < seen[0]  # on schedule: it counts down
    assert seen[2:] == sorted(seen[2:])
    assert seen[-1] > 15 * 60  # ten times as slow as the record: so will the rest be
    groups[0].running, groups[0].total, groups[0].own = [], [1560.0], [5.0]
    assert seconds_left(groups) == pytest.approx(10 + 10.2 * sum(group.expected for group in groups[1:]), rel=0.02)


def test_what_was_built_for_all_is_not_expected_again() -> None:
    groups = mexa()
    groups[0].total, groups[0].own = [150.0], [0.5]
    rest = sum(group.expected for group in groups[1:])
    assert seconds_left(groups) == pytest.approx(1.0 + rest, rel=0.05)


def test_nothing_known_is_said_and_ages_count_at_once() -> None:
    groups = [Group(4), Group(4)]
    assert seconds_left(groups) is None
    groups[0].running = [30.0]
    first = seconds_left(groups)
    groups[0].running = [90.0]
    assert seconds_left(groups) > first >= 7 * 30
    groups[0].running, groups[0].total, groups[0].own = [], [100.0], [100.0]
    assert seconds_left(groups) == pytest.approx(700.0)
    assert seconds_left(groups, jobs=4) == pytest.approx(175.0)
    assert seconds_left([Group(1, 100.0), Group(50, 50.0)], jobs=8) == pytest.approx(100.0)  # no shorter than one cell
    assert [clock(seconds) for seconds in (None, 8.0, 240.0, 9000.0)] == ["?", "8 s", "4 min", "2.5 h"]


@given(
    st.lists(st.tuples(st.integers(1, 5), st.floats(0.1, 1e3), st.lists(st.floats(0.1, 1e4), max_size=4)), min_size=1),
    st.floats(0, 1e4),
    st.floats(0, 1e4),
)
def test_an_older_cell_never_brings_the_end_nearer(
    shapes: list[tuple[int, float, list[float]]], age: float, more: float
) -> None:
    def end(age: float) -> float:
        groups = [Group(1, 10.0, running=[age])]
        groups += [Group(cells, expected, times[:cells], times[:cells]) for cells, expected, times in shapes]
        left = seconds_left(groups)
        assert left is not None
        assert left >= 0
        return age + left

    assert end(age + more) >= end(age) - 1e-6 * (1 + end(age))


def test_default_of_cells_and_threads_follows_the_cores_and_what_dominates(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = [cell(variant, seed) for seed in range(3) for variant in "abc"]
    even = {("grid", variant): 10.0 for variant in "abc"}
    for cores, plain, doubled in ((1, (1, 1), (1, 1)), (2, (2, 1), (2, 2)), (16, (9, 1), (9, 2)), (36, (9, 4), (9, 8))):
        monkeypatch.setattr("core.experiment.reproduce.cores", lambda cores=cores: cores)
        assert side_by_side(grid, even) == side_by_side(grid, {}) == plain
        assert side_by_side(grid, even | {("grid", "a"): 100.0}) == doubled


# --- keys ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write files of a paper and get its fingerprint."""
    monkeypatch.setattr(keys, "ROOT", tmp_path)

    def write(**files: str) -> str:
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        keys.code_fingerprint.cache_clear()
        keys._lent.cache_clear()
        return keys.code_fingerprint("x")

    (tmp_path / "papers/x").mkdir(parents=True)
    (tmp_path / "papers/x/__init__.py").write_text('PAPER = "claims"\n_HOME = {"shout": "loud"}\n')
    write(
        papers__x__eval_DOT_py="from papers.x import method, shout\n",
        papers__x__method_DOT_py="A = 1\n", papers__x__loud_DOT_py="B = 1\n", papers__x__figure_DOT_py="",
    )  # fmt: skip
    yield write
    keys.code_fingerprint.cache_clear()
    keys._lent.cache_clear()


def test_the_card_and_the_figure_are_no_part_of_a_key(paper, tmp_path: Path) -> None:
    before = paper()
    (tmp_path / "papers/x/__init__.py").write_text('PAPER = "other claims"\n_HOME = {"shout": "loud"}\n')
    assert (
        paper(papers__x__figure_DOT_py="C = 1", papers__x__use_DOT_py="D = 1", papers__x__README_DOT_md="E") == before
    )
    assert paper(papers__x__results__tiny_DOT_json="{}") == before
    assert paper(papers__x__eval_DOT_py="from papers.x import PAPER, method, shout\n") != before
    with_card = paper()
    (tmp_path / "papers/x/__init__.py").write_text('PAPER = "claims"\n_HOME = {"shout": "loud"}\n')
    assert paper() != with_card  # a run that reads its card depends on it


@pytest.mark.parametrize(
    "change",
    [
        {"papers__x__method_DOT_py": "A = 2\n"},
        {"papers__x__loud_DOT_py": "B = 2\n"},  # reached through a name that the package lends
        {"papers__x__items_DOT_tsv": "a\tb\n"},
        {"papers__x__worlds__map_DOT_json": "{}"},
    ],
)
def test_code_and_data_that_a_run_reaches_are_part_of_its_key(paper, change: dict[str, str]) -> None:
    before = paper()
    assert paper(**change) != before


def test_modules_named_in_quotes_or_imported_late_are_followed(paper) -> None:
    source = "def f():\n    import core.late\n    return load('core.quoted')\n"
    before = paper(papers__x__method_DOT_py=source, core__late_DOT_py="A = 1\n", core__quoted_DOT_py="A = 1\n")
    late = paper(core__late_DOT_py="A = 2\n")
    assert before != late != paper(core__quoted_DOT_py="A = 2\n")


@pytest.mark.parametrize("slug", slugs())
def test_no_paper_computes_with_what_only_shows(slug: str) -> None:
    shown = {f"papers.{slug}.use", f"papers.{slug}.figure"}
    for module in keys.reached(slug):
        path = keys._module_path(module)
        assert path is not None
        assert not shown & set(keys._parsed(path.read_text(encoding="utf-8"))[1]), module


def test_optimised_python_finds_the_same_runs() -> None:
    slug = slugs()[0]
    program = f"from core.experiment.keys import code_fingerprint; print(code_fingerprint({slug!r}))"
    done = subprocess.run([sys.executable, "-OO", "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    keys.code_fingerprint.cache_clear()
    assert done.stdout.strip() == keys.code_fingerprint(slug)


# --- the surroundings of a run ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "word"),
    [
        ({"RANK": "1"}, "WORLD_SIZE is not set"),
        ({"LOCAL_RANK": "0"}, "WORLD_SIZE is not set"),
        ({"RANK": "abc"}, "'abc'"),
        ({"RANK": ""}, "not a number"),
        ({"LOCAL_RANK": "abc", "WORLD_SIZE": "2"}, "LOCAL_RANK"),
        ({"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "a"}, "WORLD_SIZE is 2"),
        ({"RANK": "1", "WORLD_SIZE": "2"}, "MASTER_ADDR"),
        ({"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "a"}, None),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        ({}, None),
    ],
)
def test_a_rank_needs_a_world(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], word: str | None) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if word is None:
        check_world()
        return
    with pytest.raises(UserError, match=word):
        check_world()


def test_threads_are_divided_and_wait_without_spinning_unless_the_user_says_otherwise() -> None:
    chosen: dict[str, str] = {}
    settle(chosen, threads=3)
    assert {chosen[name] for name in COUNTS} == {"3"}
    assert chosen["OMP_WAIT_POLICY"] == "PASSIVE"
    settle(chosen, threads=1)  # a process started from here, which shares the cores with others
    assert settled(chosen) == "1 thread each, OMP_WAIT_POLICY=PASSIVE"
    settle(chosen)  # that process itself
    assert settled(chosen) == "1 thread each, OMP_WAIT_POLICY=PASSIVE"
    given = {"OMP_NUM_THREADS": "5", "GOMP_SPINCOUNT": "100"}
    settle(given, threads=1)
    assert given == {"OMP_NUM_THREADS": "5", "GOMP_SPINCOUNT": "100"}
    assert set(given) - {"OMP_NUM_THREADS"} <= set(WAITING)


def test_a_second_holder_is_told_of_the_first(tmp_path: Path) -> None:
    with locked(tmp_path / "run") as waited, pytest.raises(HeldError, match=f"process {os.getpid()} on ") as error:  # noqa: SIM117
        with locked(tmp_path / "run", wait=False):
            pass
    assert waited < 1
    assert error.value.target == tmp_path / "run"
    with locked(tmp_path / "run", wait=False):
        assert (tmp_path / ".run.holder").exists()
    assert not (tmp_path / ".run.holder").exists()


def test_remains_of_dead_processes_are_swept_and_work_under_way_is_not(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with replacing(tmp_path / "a.txt") as mine:
        mine.write_text("half")
        dead = tmp_path / mine.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-")
        dead.write_text("half")
        folder = tmp_path / dead.name.replace("a.txt", "stage")
        folder.mkdir()
        (folder / "x").touch()
        elsewhere = tmp_path / ".partial-elsewhere-1-00000000-a.txt"
        elsewhere.touch()
        sweep(tmp_path, "a.txt")
        assert mine.exists()
        assert not dead.exists()
        assert folder.exists()
        sweep(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([mine.name, elsewhere.name])
        os.utime(elsewhere, (0, 0))
    write_text(tmp_path / "a.txt", "whole")
    assert os.listdir(tmp_path) == ["a.txt"]
    ignored = (ROOT / ".gitignore").read_text().split()
    for name in (dead.name, ".run.lock", ".run.holder"):
        assert any(fnmatch.fnmatch(name, pattern) for pattern in ignored)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are POSIX")
def test_a_disk_that_takes_no_more_leaves_the_old_file_and_one_sentence(tmp_path: Path) -> None:
    import resource

    import numpy as np
    from safetensors.numpy import save_file

    write_text(tmp_path / "a.jsonl", "old\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(UserError, match="ulimit") as error:
            write_rows(tmp_path / "a.jsonl", ({"text": "x" * 100} for _ in range(10_000)))
        with pytest.raises(UserError, match="ulimit"), replacing(tmp_path / "b.safetensors") as path:
            save_file({"w": np.zeros(10_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(tmp_path) in str(error.value)
    assert read_lines(tmp_path / "a.jsonl") == ["old"]
    assert os.listdir(tmp_path) == ["a.jsonl"]


def test_a_terminal_without_the_characters_gets_plain_ones_and_files_stay_utf_8(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from core.experiment.entrypoint import prepare; prepare()\n"
        "from core.files import write_text; write_text(Path('a.txt'), chr(0x2714) + ' ' + sys.argv[1])\n"
        "print(*map(chr, (0x2714, 0xe9, 0x2013, 0xdcff)))"
    )
    ascii_only = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX", "PYTHONPATH": str(ROOT)}
    environment = {**os.environ, **ascii_only}
    environment.pop("PYTHONIOENCODING", None)
    done = subprocess.run([sys.executable, "-c", program, "é"], cwd=tmp_path, env=environment, capture_output=True)
    assert done.stdout == b"ok \\xe9 - \\udcff\n", done.stderr
    assert (tmp_path / "a.txt").read_bytes() == "✔ é".encode()


def test_without_a_home_the_cache_is_a_temporary_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", nowhere)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    for name in ("MULTILINGUAL_PAPERS_CACHE", "XDG_CACHE_HOME", "HF_HOME", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, "")  # so that what is set here is taken back
    monkeypatch.delenv("HF_HOME")
    folder = cache_dir()
    assert folder.parent == tmp_path
    assert (folder.stat().st_mode & 0o077) == 0
    assert "no home" in capsys.readouterr().err
    assert cache_dir() == folder  # said once
    assert capsys.readouterr().err == ""
