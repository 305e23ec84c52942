"""The command line as a user meets it: sentences, exit codes, run directories, signals."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated

import pytest

from core.cli import main
from core.errors import UserError
from core.experiment.config import Range
from core.experiment.entrypoint import entrypoint, exit_codes, show, tools
from core.experiment.run import ROOT
from core.experiment.skeleton import PLACEHOLDERS, unfilled
from core.files import read_json

SLUG = "sample_paper"


# The new paper's method without torch: importing it takes longer than all that a command does here.
LIGHT = {
    "method.py": """
import statistics

def correlation(x, y):
    return statistics.correlation(x, y)
""",
    "data.py": """
import random

def pairs(items, *, related, seed):
    rng = random.Random(seed)
    x, noise = ([rng.gauss() for _ in range(items)] for _ in range(2))
    return x, [a + b for a, b in zip(x, noise)] if related else noise
""",
}


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with nothing but core, the contract and one new paper."""
    folder = tmp_path_factory.mktemp("new")
    shutil.copytree(ROOT / "core", folder / "core", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "papers").mkdir()
    (folder / "papers" / "__init__.py").write_text('"""Papers."""\n')
    (folder / "tests" / "papers").mkdir(parents=True)
    for file in (ROOT / "tests").glob("*.py"):
        shutil.copy(file, folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "README.md").write_text("<!-- scoreboard:begin -->\n<!-- scoreboard:end -->\n")
    made = command(folder, "-m", "core.cli", "new", SLUG)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def repository(new: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a paper whose runs take no time."""
    folder = shutil.copytree(new, tmp_path_factory.mktemp("repository") / "copy")
    for name, text in LIGHT.items():
        (folder / "papers" / SLUG / name).write_text(text)
    return folder


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(folder), "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment(folder), capture_output=True, text=True
    )


def contract(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The contract tests as the gate runs them."""
    return command(folder, "-m", "pytest", "-m", "not slow", *arguments, "tests")


def evaluate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command(folder, "-m", f"papers.{SLUG}.eval", *arguments)


def test_a_new_paper_keeps_the_contract_but_for_its_placeholders(new: Path) -> None:
    result = contract(new)
    failed = [line.split(" ")[1] for line in result.stdout.splitlines() if line.startswith("FAILED ")]
    assert failed == [f"tests/test_contract.py::test_no_placeholder_is_left[{SLUG}]"], result.stdout
    assert f"[{SLUG}]" in (new / "README.md").read_text()


def test_every_placeholder_of_a_new_paper_is_named(new: Path) -> None:
    folder = new / "papers" / SLUG
    left = unfilled(folder)
    assert {line.split(": ", 1)[1] for line in left} == set(PLACEHOLDERS)
    assert {"__init__.py: 0000.00000", "README.md: BibTeX."} <= set(left)


@pytest.mark.parametrize("slug", ["x", "a" * 40])
def test_a_new_paper_passes_our_own_ruff(new: Path, slug: str) -> None:
    if shutil.which("ruff") is None:
        pytest.skip("ruff belongs to the group lint")
    folder = new / "formatted" / slug
    shutil.copytree(new / "core", folder / "core", ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("papers", "tests/papers"):
        (folder / part).mkdir(parents=True)
    for name in ("README.md", "pyproject.toml", "papers/__init__.py"):
        shutil.copy(new / name, folder / name)
    assert command(folder, "-m", "core.cli", "new", slug).returncode == 0
    for check in (["check"], ["format", "--check"]):
        done = subprocess.run(
            ["ruff", *check, "--no-cache", "papers", "tests"], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("slug", "word"), [("My-Paper", "slug"), (SLUG, "exists"), ("../x", "slug")])
def test_bad_slugs_are_refused(repository: Path, slug: str, word: str) -> None:
    result = command(repository, "-m", "core.cli", "new", slug)
    assert result.returncode == 2
    assert word in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-m", "core.cli", "show", "sample_papr"], ["sample_papr", SLUG]),
        (["-m", "core.cli", "reproduce"], ["--all"]),
        (["-m", "core.cli", "reproduce", SLUG, "--preset", "tinny"], ["tinny", "tiny"]),
        (["-m", "core.cli", "reproduce", SLUG, "--record", "--seeds", "1"], ["--record"]),
        (["-m", "core.cli", "reproduce", SLUG, "--record", "--preset", "smoke"], ["--record", "smoke"]),
        (["-m", "core.cli", "reproduce", SLUG, "--quick", "--seeds", "1"], ["--quick", "--seeds"]),
        (["-m", f"papers.{SLUG}.eval", "tinny"], ["tinny"]),
        (["-m", f"papers.{SLUG}.eval", "tiny", "--items", "1"], ["items", "at least 3"]),
        (["-m", f"papers.{SLUG}.eval", "--variant", "relatd"], ["relatd", "related"]),
        (["-m", f"papers.{SLUG}.eval", "--out", "core/errors.py/x"], ["core/errors.py/x", "--out"]),
    ],
)
def test_a_users_mistake_is_one_sentence_and_code_2(repository: Path, arguments: list[str], words: list[str]) -> None:
    result = command(repository, *arguments)
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


def test_our_mistake_is_code_1_and_debug_shows_where(repository: Path) -> None:
    broken = repository / "papers" / SLUG / "data.py"
    source = broken.read_text()
    try:
        broken.write_text(source + "\n\ndef pairs(*_, **__):\n    return 1 / 0\n")
        plain = evaluate(repository, "tiny", "--out", "broken")
        debug = evaluate(repository, "tiny", "--out", "broken", "--debug")
    finally:
        broken.write_text(source)
    assert plain.returncode == 1
    assert "ZeroDivisionError" in plain.stderr
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr
    assert not (repository / "broken" / "measurement.json").exists()


def test_dry_run_prints_the_configuration_and_writes_nothing(repository: Path) -> None:
    result = evaluate(repository, "paper", "--variant", "unrelated", "--seed", "5", "--dry-run", "--out", "dry")
    assert json.loads(result.stdout) == {"seed": 5, "items": 10_000, "related": False}
    assert not (repository / "dry").exists()


def test_a_run_directory_keeps_what_it_holds(repository: Path) -> None:
    first = evaluate(repository, "tiny", "--out", "kept")
    assert first.returncode == 0, first.stderr
    assert {"config.json", "environment.json", "measurement.json"} <= set(os.listdir(repository / "kept"))
    assert "nothing to do" in evaluate(repository, "tiny", "--out", "kept").stdout
    other = evaluate(repository, "tiny", "--seed", "1", "--out", "kept")
    assert other.returncode == 2
    assert "seed" in other.stderr
    assert evaluate(repository, "tiny", "--seed", "1", "--out", "kept", "--overwrite").returncode == 0
    assert read_json(repository / "kept" / "config.json")["seed"] == 1


def test_overwrite_never_deletes_foreign_files(repository: Path) -> None:
    (repository / "thesis").mkdir()
    (repository / "thesis" / "thesis.tex").write_text("years of work")
    result = evaluate(repository, "tiny", "--out", "thesis", "--overwrite")
    assert result.returncode == 2
    assert (repository / "thesis" / "thesis.tex").exists()


def test_a_default_path_names_preset_variant_and_seed(repository: Path) -> None:
    result = evaluate(repository, "smoke", "--variant", "unrelated", "--seed", "2")
    assert f"runs/{SLUG}/smoke/unrelated/seed2" in result.stdout
    assert f"runs/{SLUG}/custom/" in evaluate(repository, "smoke", "--items", "11").stdout


@pytest.fixture(scope="module")
def recording(repository: Path) -> subprocess.CompletedProcess[str]:
    """The command that wrote the paper's record."""
    done = command(repository, "-m", "core.cli", "reproduce", SLUG, "--record", "--quiet")
    assert done.returncode == 0, done.stderr
    return done


def test_reproduce_judges_records_and_recomputes_nothing(
    repository: Path, recording: subprocess.CompletedProcess[str]
) -> None:
    assert "reproduced" in recording.stdout
    record = read_json(repository / "papers" / SLUG / "results" / "tiny.json")
    assert [verdict["outcome"] for verdict in record["verdicts"]] == ["reproduced"]
    assert "✔" in (repository / "README.md").read_text()
    assert (repository / "papers" / SLUG / "results" / "tiny.svg").exists()
    again = command(repository, "-m", "core.cli", "reproduce", SLUG, "--quiet")
    assert again.stderr.count("(kept)") == 6
    result = contract(repository, "-k", "step or verdicts")
    assert result.returncode == 0, result.stdout


@pytest.mark.usefixtures("recording")
def test_another_scale_is_recorded_beside_and_judged(repository: Path) -> None:
    pages = [repository / "README.md", repository / "papers" / SLUG / "README.md"]
    before, results = [page.read_text() for page in pages], repository / "papers" / SLUG / "results"
    arguments = ["reproduce", SLUG, "--preset", "paper", "--seeds", "7", "8", "9", "--record", "--quiet"]
    try:
        done = command(repository, "-m", "core.cli", *arguments)
        assert done.returncode == 0, done.stderr
        assert read_json(results / "paper.json")["seeds"] == [7, 8, 9]
        assert (results / "paper.svg").exists()
        assert [page.read_text() for page in pages] == before, "pages and the scoreboard are of the tiny scale"
        text = (results / "paper.json").read_text()
        (results / "paper.json").write_text(text.replace('"reproduced"', '"contradicted"'))
        assert contract(repository, "-k", "verdicts").returncode == 1
        judged = command(repository, "-m", "core.cli", "judge", SLUG)
        assert judged.returncode == 0, judged.stderr
        assert (results / "paper.json").read_text() == text
        assert contract(repository, "-k", "verdicts or cell").returncode == 0
    finally:
        for path in results.glob("paper.*"):
            path.unlink()


@pytest.mark.usefixtures("recording")
def test_a_tampered_record_fails_the_contract(repository: Path) -> None:
    path = repository / "papers" / SLUG / "results" / "tiny.json"
    text = path.read_text()
    try:
        path.write_text(text.replace('"reproduced"', '"contradicted"'))
        result = contract(repository, "-k", "verdicts")
    finally:
        path.write_text(text)
    assert result.returncode == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_grid_goes_on_where_it_stopped(repository: Path, number: int, code: int) -> None:
    slow = repository / "papers" / SLUG / "eval.py"
    source = slow.read_text()
    out = repository / f"interrupted{code}"
    arguments = ["-m", "core.cli", "reproduce", SLUG, "--quiet", "--out", str(out)]
    try:
        wait = "    import os, time\n\n    time.sleep(float(os.environ.get('WAIT', 0)))\n    x, y ="
        slow.write_text(source.replace("    x, y =", wait))
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=repository,
            env=environment(repository) | {"WAIT": "0.5"},
            stderr=subprocess.PIPE,
            text=True,
            # Whatever starts the tests in the background may have told them to ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        deadline = time.monotonic() + 60
        while not list(out.glob("**/measurement.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        resumed = command(repository, *arguments)
    finally:
        slow.write_text(source)
    assert process.returncode == code
    assert "Run the same command again" in errors
    assert "Traceback" not in errors
    assert resumed.returncode == 0
    assert 1 <= resumed.stderr.count("(kept)") < 6


@dataclasses.dataclass(frozen=True)
class Halve:
    """Halve a number."""

    number: Annotated[int, Range(0)]
    """Any even number."""


def halve(options: Halve) -> None:
    if options.number % 2:
        raise UserError(f"{options.number} is odd: give an even number.")
    print(1 // (options.number - 8))


def test_numbers_are_shown_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    show({"n": 57, "share": 0.5, "nothing": math.nan, "none": None})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["n", "57"], ["share", "0.5000"], ["nothing", "undefined"], ["none", "undefined"]]


def test_tools_call_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    verbs = {"halve": (Halve, halve), "again": (type("Again", (Halve,), {}), lambda _: print("again"))}
    tools("papers.x.use", "What it does.\n\nMore.", verbs, ["again", "--number", "4"])
    assert capsys.readouterr().out == "again\n"
    tools("papers.x.use", None, verbs, ["halve", "--number", "5", "--dry-run"])
    assert "5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [("3", 2, "3 is odd: give an even number."), ("-2", 2, "number"), ("8", 1, "Internal error: ZeroDivisionError")],
)
def test_tools_end_with_a_sentence_and_a_code(
    capsys: pytest.CaptureFixture[str], number: str, code: int, words: str
) -> None:
    verbs = {"halve": (Halve, halve), "again": (type("Again", (Halve,), {}), halve)}
    with pytest.raises(SystemExit) as stopped:
        tools("papers.x.use", None, verbs, ["halve", f"--number={number}"])
    assert stopped.value.code == code
    printed = capsys.readouterr().err
    assert words in printed
    assert "Traceback" not in printed
    with pytest.raises(SystemExit) as stopped:
        tools("papers.x.use", None, verbs, ["wrong"])
    assert stopped.value.code == 2


@contextlib.contextmanager
def without_a_reader() -> Iterator[None]:
    """Standard output is a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as stream, contextlib.redirect_stdout(stream):
        yield
        stream.flush()  # as the interpreter does at its end


def tell(lines: int) -> None:
    for _ in range(lines):
        print("said")


@pytest.mark.parametrize(
    "call",
    [
        lambda: main(["--help"]),
        lambda: main([]),
        lambda: main(["show", "mexa"]),
        lambda: entrypoint(import_module("papers.mexa.eval").evaluate, ["--help"]),
        lambda: tools(
            "papers.x.use", "What.", {"halve": (Halve, halve), "b": (type("B", (Halve,), {}), halve)}, ["-h"]
        ),
        lambda: tools(
            "papers.x.use",
            None,
            {"halve": (Halve, lambda _: tell(1)), "b": (type("B", (Halve,), {}), halve)},
            ["halve", "--number", "4"],
        ),
        lambda: tools(
            "papers.x.use",
            None,
            {"halve": (Halve, lambda _: tell(99_999)), "b": (type("B", (Halve,), {}), halve)},
            ["halve", "--number", "4"],
        ),
    ],
    ids=["help", "list", "show", "help of an entry", "help of verbs", "a line", "many lines"],
)
def test_a_closed_pipe_ends_quietly(call, capsys: pytest.CaptureFixture[str]) -> None:
    with without_a_reader(), pytest.raises(SystemExit) as stopped:
        call()
    assert stopped.value.code == 128 + signal.SIGPIPE
    assert capsys.readouterr().err == ""


def test_another_broken_pipe_is_our_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped, exit_codes(debug=False):
        raise BrokenPipeError("a worker has gone")
    assert stopped.value.code == 1
    assert "Internal error: BrokenPipeError" in capsys.readouterr().err
