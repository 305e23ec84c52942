"""What all tests share: commands without a new process, one smoke run a paper, and the seconds that each file took."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import json
import resource
import runpy
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import coverage
import pytest
from hypothesis import settings

from core.experiment.paper import slugs
from core.experiment.run import ROOT
from core.files import read_json

# No test is judged by a clock: machines are busy.
settings.register_profile("papers", deadline=None)
settings.load_profile("papers")
# CPU seconds on one thread that a paper's own tests, and in them its smoke run, may take: 37 papers share 15 minutes.
OWN, SMOKE = 8.0, 5.0


@dataclass(frozen=True)
class Finished:
    """How a command ended: its exit code and what it printed."""

    code: int
    out: str
    err: str


def run_command(module: str, *arguments: str, cwd: Path) -> Finished:
    """`python -m module arguments` in this process: importing torch anew takes longer than most commands."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", [module, *arguments]),
        mock.patch.dict("os.environ", {"COLUMNS": "200"}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message=".*found in sys.modules", category=RuntimeWarning)
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return Finished(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Smoke:
    """A paper's smoke run, trained and evaluated; for reading alone, because tests share it.

    Attributes:
        path: The run's folder.
        stages: What variants share, such as a base model: give it to a `Run` of your own and nothing is built again.
        measurement: The content of measurement.json.
        called: Functions and classes of the paper that ran, as `method.py::adapt`.
    """

    path: Path
    stages: Path
    measurement: dict[str, Any]
    called: frozenset[str]


@contextlib.contextmanager
def called_in(folder: Path) -> Generator[set[str], None, None]:
    """Names of the functions in the files of a folder that run meanwhile; of methods, their class too.

    Known when the block has ended. A profiler in Python would be told of every call of every library, for minutes.
    """
    found: set[str] = set()
    tracer = coverage.Coverage(data_file=None, config_file=False, include=[f"{folder}/*"])
    tracer.start()
    try:
        yield found
    finally:
        tracer.stop()
    data = tracer.get_data()
    for file in data.measured_files():
        tree = ast.parse(Path(file).read_bytes(), file)
        found |= {f"{Path(file).name}::{name}" for name in entered(tree, frozenset(data.lines(file) or ()))}


def entered(node: ast.AST, lines: frozenset[int]) -> set[str]:
    """Names of the functions below a node of which a line has run, be it of a function inside of them."""
    found: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            body = child.body[ast.get_docstring(child, clean=False) is not None :]
            # The line of `def` runs when the module is imported, and a stub has no other.
            if any(lines & {*range(part.lineno, (part.end_lineno or 0) + 1)} - {child.lineno} for part in body):
                found.add(child.name)
        elif inner := entered(child, lines):
            found |= inner | ({child.name} if isinstance(child, ast.ClassDef) else set())
    return found


@pytest.fixture(scope="session")
def command() -> Callable[..., Finished]:
    """`command("papers.mexa.eval", "smoke", cwd=tmp_path)`: its exit code and what it printed."""
    return run_command


@pytest.fixture(scope="session")
def calls() -> Callable[[Path], contextlib.AbstractContextManager[set[str]]]:
    """`with calls(folder) as called: ...`: which functions of the folder's files ran, as `method.py::adapt`."""
    return called_in


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Smoke]:
    """`smoke("mexa")`: the paper's smoke run through its commands, computed at the first call."""

    @cache
    def run(slug: str) -> Smoke:
        folder = tmp_path_factory.mktemp(slug)
        before = cpu()
        with called_in(ROOT / "papers" / slug) as called:
            for stage in ("train", "eval"):
                if (ROOT / "papers" / slug / f"{stage}.py").exists():
                    end = run_command(f"papers.{slug}.{stage}", "smoke", "--out", "run", "--quiet", cwd=folder)
                    assert end.code == 0, end.err
        smoke_seconds[slug] = cpu() - before
        measurement = read_json(folder / "run" / "measurement.json")
        return Smoke(folder / "run", folder / "runs" / slug / "stages", measurement, frozenset(called))

    return run


_BELEBELE = {
    "link": "https://x", "question_number": 1, "flores_passage": "Passage", "question": "Which? ", "mc_answer1": "one",
    "mc_answer2": "two", "mc_answer3": "three", "mc_answer4": "four", "correct_answer_num": "2", "dialect": "fra_Latn",
    "ds": "2023-05-03",
}  # fmt: skip
_OKAPI = {
    "id": "a/0", "instruction": " Which [title] one? ", "option_a": "one [x]", "option_b": "two", "option_c": "three",
    "option_d": "four", "answer": "C",
}  # fmt: skip


@pytest.fixture
def hub_folder(tmp_path: Path) -> Path:
    """Local copies of multiple-choice benchmarks with the real columns."""

    def write(dataset: str, split: str, code: str, rows: list[dict[str, Any]]) -> None:
        folder = tmp_path / dataset / split
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{code}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    write(
        "belebele", "test", "fra_Latn", [_BELEBELE | {"question_number": i, "question": f"Q{i}? "} for i in range(1, 9)]
    )
    for dataset in ("m_mmlu", "m_arc"):
        for part in ("train", "test"):
            rows = [_OKAPI | {"id": f"{part}/{i}", "instruction": f" Which [title] {part} {i}? "} for i in range(7)]
            write(dataset, part, "fr", rows)
    return tmp_path


# --- where the time goes -------------------------------------------------------------------------------------------


def cpu() -> float:
    """CPU seconds of this process and of those that it started and that have ended; other programs do not count."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what belongs together on one worker: a paper's tests (they share its smoke run), the tests of a file.

    A slow test may take an hour, as an alarm that goes off in a callback of torch's C++ ends the whole process.
    """
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(3600), append=False)
        file = item.path.stem.removeprefix("test_")
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        slug = next((name for name in (parameters.get("slug"), file) if name in slugs()), None)
        item.user_properties.append(("paper", slug))
        # Several processes on two cores are enough: no two of these tests at once.
        group = "distributed" if item.get_closest_marker("distributed") else slug or file
        item.add_marker(pytest.mark.xdist_group(group))


clock = {"last": 0.0}
smoke_seconds: dict[str, float] = {}


def pytest_collection_finish() -> None:
    if "transformers" in sys.modules:
        # What nearly all of them import while they run would otherwise count for the first.
        for name in ("core.training.fit", "transformers.modeling_utils", "transformers.models.llama", "peft"):
            importlib.import_module(name)
    clock["last"] = cpu()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    report = yield
    now = cpu()
    report.cpu, clock["last"] = now - clock["last"], now
    report.smoke = dict(smoke_seconds)
    smoke_seconds.clear()
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """CPU seconds by file and by paper; they say more than a clock where tests run side by side."""
    files: Counter[str] = Counter()
    papers: dict[str, Counter[str]] = defaultdict(Counter)
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        if not hasattr(report, "cpu"):
            continue
        file = report.nodeid.partition("::")[0]
        slug = dict(report.user_properties).get("paper")
        smokes = sum(report.smoke.values())
        files[file] += report.cpu - smokes
        if slug:
            papers[slug]["own" if "/papers/" in file else "contract"] += report.cpu - smokes
        for made, seconds in report.smoke.items():
            papers[made]["smoke"] += seconds
    show = terminalreporter.write_line
    terminalreporter.section("CPU seconds")
    for file, seconds in files.most_common():
        show(f"{seconds:8.1f}  {file}")
    show("   smoke     own  contract")
    for slug, parts in sorted(papers.items()):
        late = [f"smoke run over {SMOKE:.0f} s"] if parts["smoke"] > SMOKE else []
        late += [f"own tests and smoke run over {OWN:.0f} s"] if parts["own"] + parts["smoke"] > OWN else []
        row = f"{parts['smoke']:8.1f}{parts['own']:8.1f}{parts['contract']:10.1f}  {slug}"
        show(f"{row}  WARNING: {', '.join(late)}" if late else row, yellow=bool(late))
