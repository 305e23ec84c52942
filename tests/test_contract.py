"""What every paper owes its reader, checked for all papers alike."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from core.experiment import paper as cards
from core.experiment.config import override, to_dict, validate, with_variant
from core.experiment.report import scoreboard_markdown
from core.experiment.run import ROOT
from core.files import read_json

SLUGS = cards.slugs()
HEAVY = {"torch", "transformers", "datasets", "accelerate", "peft", "matplotlib", "pandas", "sklearn"}
SECTIONS = (
    "The idea",
    "Equations",
    "Run it",
    "Use it on your own",
    "What came out",
    "Reading the result",
    "What differs from the paper",
    "Cost",
    "Data and licences",
    "Citation",
)
OFFLINE = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2", "COLUMNS": "200"}

every_paper = pytest.mark.parametrize("slug", SLUGS)
every_entrypoint = pytest.mark.parametrize(
    ("slug", "stage"),
    [
        (slug, stage)
        for slug in SLUGS
        for stage in ("train", "eval")
        if (ROOT / "papers" / slug / f"{stage}.py").exists()
    ],
)


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    # Tests run side by side: two processes with two threads each on two cores take several times as long as with one.
    environment = {**OFFLINE, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# The rooms of core from the ground floor up: a room imports what lies before it, never what lies after it.
ROOMS = (
    ("errors",),
    ("files", "distributed"),
    ("text",),
    ("metrics",),
    ("corpora",),
    ("worlds",),
    ("experiment",),
    ("models",),
    ("inference",),
    ("training",),
    ("tasks",),
    ("cost",),
    ("cli",),
)


def core_imports() -> dict[str, set[str]]:
    """Module of core -> modules of core that it imports anywhere, for type checkers too."""
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (ROOT / "core").rglob("*.py")
    }
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        graph[module] = set()
        for name in imports_of(path):
            while name.startswith("core.") and name not in modules:
                name = name.rpartition(".")[0]
            if name in modules and name not in (module, "core"):
                graph[module].add(name)
    return graph


def test_core_knows_no_paper() -> None:
    for path in (ROOT / "core").rglob("*.py"):
        assert not [name for name in imports_of(path) if name.startswith("papers")], path


def test_the_rooms_of_core_import_downwards() -> None:
    floor = {room: number for number, rooms in enumerate(ROOMS) for room in rooms}
    for module, imported in core_imports().items():
        if module == "core":
            continue
        room = module.split(".")[1]
        assert room in floor, f"{module}: say in ROOMS where the room {room!r} lies"
        for name in imported:
            other = name.split(".")[1]
            assert other == room or floor[other] < floor[room], f"{module} imports {name}, which lies above it"


def test_core_has_no_circle() -> None:
    TopologicalSorter(core_imports()).prepare()  # raises CycleError, which names the circle


@every_paper
def test_a_paper_knows_core_and_itself(slug: str) -> None:
    for path in (ROOT / "papers" / slug).rglob("*.py"):
        others = [n for n in imports_of(path) if n.startswith("papers.") and not f"{n}.".startswith(f"papers.{slug}.")]
        assert not others, f"{path} imports {others}"
        if path.name in {"method.py", "config.py", "data.py"}:
            upward = [n for n in imports_of(path) if re.match(rf"papers\.{slug}\.(train|eval|figure)\b", n)]
            assert not upward, f"{path} imports {upward}"


@every_paper
def test_the_files_are_there(slug: str) -> None:
    folder = ROOT / "papers" / slug
    required = ["__init__.py", "README.md", "method.py", "data.py", "config.py", "eval.py", "figure.py"]
    assert [name for name in required if not (folder / name).exists()] == []
    assert (ROOT / "tests" / "papers" / f"test_{slug}.py").exists()


@every_paper
def test_importing_a_paper_is_light(slug: str) -> None:
    probe = f"import sys, papers.{slug}, papers.{slug}.config; print(*({HEAVY!r} & sys.modules.keys()))"
    result = python("-c", probe)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ""


@every_paper
def test_presets_and_variants_are_valid(slug: str) -> None:
    settings = importlib.import_module(f"papers.{slug}.config")
    assert {"smoke", "tiny", "paper"} <= set(settings.PRESETS)
    for preset in settings.PRESETS.values():
        validate(preset)
        assert "seed" in to_dict(preset)
        for variant in settings.VARIANTS:
            override(with_variant(preset, settings.VARIANTS, variant), {"seed": 1})


@every_paper
def test_public_names_resolve(slug: str) -> None:
    package = importlib.import_module(f"papers.{slug}")
    assert "PAPER" in package.__all__
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package) or name == "PAPER"


@every_paper
def test_the_page_has_its_sections_and_points_at_code(slug: str) -> None:
    page = (ROOT / "papers" / slug / "README.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^## (.+)$", page, re.MULTILINE)) == SECTIONS
    pointers = re.findall(r"`(\w+)\.py::(\w+)`", page)
    assert pointers, "the equations table names no function"
    for module, name in pointers:
        assert hasattr(importlib.import_module(f"papers.{slug}.{module}"), name), f"{module}.py has no {name}"


@every_entrypoint
def test_help_is_instant_and_complete(slug: str, stage: str) -> None:
    probe = (
        "import runpy, sys\n"
        f"sys.argv = ['papers.{slug}.{stage}', '--help']\n"
        "try:\n"
        f"    runpy.run_module('papers.{slug}.{stage}', run_name='__main__')\n"
        "except SystemExit as stop:\n"
        f"    print('HEAVY', *({HEAVY!r} & sys.modules.keys()))\n"
        "    raise\n"
    )
    result = python("-c", probe)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().endswith("HEAVY")
    for word in ("--seed", "--out", "--dry-run", "--variant", "smoke", "paper"):
        assert word in result.stdout


@every_paper
def test_smoke_runs_through_the_commands(slug: str, tmp_path: Path) -> None:
    for stage in ("train", "eval"):
        if (ROOT / "papers" / slug / f"{stage}.py").exists():
            result = python(
                "-m", f"papers.{slug}.{stage}", "smoke", "--out", str(tmp_path / "run"), "--quiet", cwd=tmp_path
            )
            assert result.returncode == 0, result.stderr
    measurement = read_json(tmp_path / "run" / "measurement.json")
    wanted = {claim.metric for claim in cards.find(slug).claims if not claim.out_of_scale}
    reported = {*measurement["metrics"], *measurement["units"]}
    assert wanted <= reported, f"claims need {wanted - reported}"
    again = python("-m", f"papers.{slug}.eval", "smoke", "--out", str(tmp_path / "run"), cwd=tmp_path)
    assert "nothing to do" in again.stdout


@every_paper
def test_the_paper_scale_can_be_planned(slug: str) -> None:
    from core.cost.plan import plan

    settings = importlib.import_module(f"papers.{slug}.config")
    result = plan(settings.workload(settings.PRESETS["paper"]), gpus=8)
    assert result


def test_the_scoreboard_is_in_step() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"<!-- scoreboard:begin -->\n{scoreboard_markdown()}\n<!-- scoreboard:end -->" in text


def documented_commands() -> Iterator[tuple[str, str]]:
    for page in [ROOT / "README.md", *(ROOT / "papers").glob("*/README.md")]:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for block in re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                command = line.split("#")[0].strip()
                if command:
                    yield page.parent.name if page.parent != ROOT else "README", command


def runnable(command: str, folder: Path) -> list[str] | None:
    """The quick form of a documented command: entrypoints as dry runs, reproductions at the smoke scale."""
    words = shlex.split(command.split("&&")[-1])
    if words[:2] == ["uv", "run"]:
        words = words[2:]
    if words[:2] in (["accelerate", "launch"], ["torchrun"]) or words[:1] == ["torchrun"]:
        words = ["python", *words[words.index("-m") :]]
    if words[:2] == ["python", "-m"] and words[2].startswith("papers."):
        return ["-m", *words[2:], "--dry-run"]
    if words[:1] == ["papers"]:
        if "reproduce" in words:
            words = [word for word in words if word not in {"--all", "--record"}]
            slug = words[2] if len(words) > 2 else SLUGS[0]
            words = ["papers", "reproduce", slug, "--preset", "smoke", "--seeds", "0", "--out", str(folder), "--quiet"]
        if "new" in words:
            return None
        return ["-m", "core.cli", *words[1:]]
    return None


def distinct_commands() -> list[tuple[str, str]]:
    """Documented commands, those once whose quick forms are the same."""
    found: dict[tuple[str, ...], tuple[str, str]] = {}
    for page, command in sorted(set(documented_commands())):
        found.setdefault(tuple(runnable(command, Path()) or [command]), (page, command))
    return list(found.values())


@pytest.mark.parametrize(("page", "command"), distinct_commands())
def test_documented_commands_run(page: str, command: str, tmp_path: Path) -> None:
    arguments = runnable(command, tmp_path)
    if arguments is None:
        pytest.skip("installs, tests or writes: covered elsewhere")
    result = python(*arguments, cwd=tmp_path)
    assert result.returncode == 0, f"{page}: {command}\n{result.stderr}"
