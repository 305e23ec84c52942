"""What every paper owes its reader, checked for all papers alike."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from core.experiment import paper as cards
from core.experiment.config import override, preset_named, to_dict, validate, with_variant
from core.experiment.paper import DEEDS, FAMILIES, find
from core.experiment.report import figures_markdown, scoreboard_markdown
from core.experiment.results import recorded
from core.experiment.run import ROOT
from core.experiment.skeleton import unfilled
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
# A paper's modules in the order in which they are looked at; the entrypoints answer `--help`.
LIGHT = ("__init__", "config", "train", "eval", "use")

every_paper = pytest.mark.parametrize("slug", SLUGS)


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    # Tests run side by side: two processes with two threads each on two cores take several times as long as with one.
    environment = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


def stages_of(slug: str) -> list[str]:
    return [stage for stage in ("train", "eval") if (ROOT / "papers" / slug / f"{stage}.py").exists()]


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# The rooms of core from the ground floor up: a room imports what lies before it, never what lies after it.
ROOMS = (
    ("errors", "printing"),
    ("files", "distributed", "plugins"),
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
    graph = core_imports()
    assert len(graph) > 50
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_every_module_of_core_stands_in_the_reference_once() -> None:
    """Rooms have their doors in the guide; the skeleton is a template, and the command documents itself."""
    if not (ROOT / "docs").is_dir():
        pytest.skip("a copy of the code without its documentation")
    named = [
        line.removeprefix("::: ").strip()
        for page in (ROOT / "docs" / "reference").glob("*.md")
        for line in page.read_text().splitlines()
        if line.startswith("::: ")
    ]
    rooms = {"core", "core.cli", *(f"core.{path.parent.name}" for path in (ROOT / "core").glob("*/__init__.py"))}
    wanted = set(core_imports()) - rooms - {"core.experiment.skeleton"}
    assert sorted(set(named) - rooms) == sorted(wanted)
    assert len(named) == len(set(named))


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
def test_presets_and_variants_are_valid(slug: str) -> None:
    settings = importlib.import_module(f"papers.{slug}.config")
    assert find(slug).family in FAMILIES
    assert set(find(slug).tags) <= set(DEEDS)
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


@every_paper
def test_no_placeholder_is_left(slug: str) -> None:
    assert unfilled(ROOT / "papers" / slug) == []


@every_paper
def test_the_python_of_the_page_imports_what_exists(slug: str) -> None:
    """Papers' tests run it; where it takes long they do so out of the gate, and what moved is found here."""
    page = (ROOT / "papers" / slug / "README.md").read_text(encoding="utf-8")
    known: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        tree = ast.parse(block)
        imports: list[ast.stmt] = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(ast.Module(imports, []), f"{slug}/README.md", "exec"), known)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = known.get(node.value.id)
                assert not isinstance(module, ModuleType) or hasattr(module, node.attr), ast.unparse(node)


# Looks at one module after the other in one process and prints, line by line, what each did.
PROBE = """
import contextlib, importlib, io, json, runpy, sys

heavy = set(sys.argv[1].split(","))
for module in sys.argv[2:]:
    before, text, code = heavy & sys.modules.keys(), io.StringIO(), None
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            if module.endswith((".train", ".eval", ".use")):
                sys.argv = [module, "--help"]
                runpy.run_module(module, run_name="__main__", alter_sys=True)
            else:
                importlib.import_module(module.removesuffix(".__init__"))
        except SystemExit as stop:
            code = stop.code
    pulled_in = sorted((heavy & sys.modules.keys()) - before)
    print(json.dumps({"module": module, "heavy": pulled_in, "code": code, "text": text.getvalue()}))
"""


def test_importing_and_help_are_light_and_help_is_complete() -> None:
    modules = [f"papers.{s}.{name}" for s in SLUGS for name in LIGHT if (ROOT / "papers" / s / f"{name}.py").exists()]
    result = python("-c", PROBE, ",".join(HEAVY), *modules)
    assert result.returncode == 0, result.stderr
    looks = [json.loads(line) for line in result.stdout.splitlines()]
    assert [look["module"] for look in looks] == modules
    assert {look["module"]: look["heavy"] for look in looks if look["heavy"]} == {}
    for look in looks:
        stage = look["module"].rpartition(".")[2]
        if stage in {"train", "eval", "use"}:
            assert look["code"] == 0, look["text"]
        words = ("--seed", "--out", "--dry-run", "--variant", "smoke", "paper") if stage in {"train", "eval"} else ()
        assert [word for word in words if word not in look["text"]] == [], look["module"]


@every_paper
def test_smoke_measures_what_the_claims_need(slug: str, smoke: Callable[[str], Any]) -> None:
    measurement = smoke(slug).measurement
    wanted = {claim.metric for claim in cards.find(slug).claims if not claim.out_of_scale}
    reported = {*measurement["metrics"], *measurement["units"]}
    assert wanted <= reported, f"claims need {wanted - reported}"


@every_paper
def test_a_finished_smoke_run_is_kept(
    slug: str, smoke: Callable[[str], Any], command: Callable[..., Any], tmp_path: Path
) -> None:
    again = command(f"papers.{slug}.eval", "smoke", "--out", str(smoke(slug).path), cwd=tmp_path)
    assert "nothing to do" in again.out


def test_smoke_runs_as_processes(tmp_path: Path) -> None:
    """One paper stands for all: the others' commands run in the tests' own process."""
    slug = next((slug for slug in SLUGS if "train" in stages_of(slug)), SLUGS[0])
    for stage in stages_of(slug):
        result = python("-m", f"papers.{slug}.{stage}", "smoke", "--out", "run", "--quiet", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    assert read_json(tmp_path / "run" / "measurement.json")["metrics"]


@pytest.mark.slow
@every_paper
def test_every_claim_is_judged_at_the_smoke_scale(slug: str, command: Callable[..., Any], tmp_path: Path) -> None:
    options = ["--preset", "smoke", "--seeds", "0", "--quiet"]
    end = command("core.cli", "reproduce", slug, *options, cwd=tmp_path)
    assert end.code == 0, end.err


@every_paper
def test_the_paper_scale_can_be_planned(slug: str) -> None:
    from core.cost.plan import plan

    settings = importlib.import_module(f"papers.{slug}.config")
    result = plan(settings.workload(settings.PRESETS["paper"]), gpus=8)
    assert result


@pytest.mark.slow
@every_paper
def test_the_paper_scale_fits_into_gpus(slug: str) -> None:
    """A step of its training and one of its evaluation, on fake tensors."""
    from core.cost.simulate import render, steps_of

    steps = steps_of(slug, "paper", None, gpus=8)
    assert all(step.fits("h100") for step in steps), render(steps, "h100")


def test_the_scoreboard_is_in_step() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"<!-- scoreboard:begin -->\n{scoreboard_markdown()}\n<!-- scoreboard:end -->" in text
    if "<!-- figures:begin -->" in text:  # a collection of one's own may do without
        assert f"<!-- figures:begin -->\n{figures_markdown()}\n<!-- figures:end -->" in text


def documented_commands() -> Iterator[tuple[str, str]]:
    for page in [ROOT / "README.md", *(ROOT / "papers").glob("*/README.md"), *(ROOT / "docs").glob("**/*.md")]:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for block in re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                for command in re.split(r"(?:^|\s)#", line)[0].split("&&"):  # not the # of hub:name#subset
                    if command.strip():
                        yield page.parent.name if page.parent != ROOT else "README", command.strip()


def quick_form(command: str) -> list[str] | None:
    """Module and arguments of a documented command, entrypoints as dry runs; None for what is not ours to run."""
    words = shlex.split(command.split("|")[-1])
    if words[:2] == ["uv", "run"]:
        words = words[2:]
    if words[:2] in (["accelerate", "launch"], ["torchrun"]) or words[:1] == ["torchrun"]:
        words = ["python", *words[words.index("-m") :]]
    if words[:2] == ["python", "-m"] and words[2].startswith("papers."):
        return [*words[2:], "--dry-run"]
    # `new` writes into the repository, `try` reads files of one's own: both have tests of their own.
    return ["core.cli", *words[1:]] if words[:1] == ["papers"] and not {"new", "try"} & {*words} else None


def distinct_commands() -> list[tuple[str, str]]:
    """Documented commands, those once whose quick forms are the same."""
    found: dict[tuple[str, ...], tuple[str, str]] = {}
    for page, command in sorted(set(documented_commands())):
        found.setdefault(tuple(quick_form(command) or [command]), (page, command))
    return list(found.values())


@pytest.mark.parametrize(("slug", "line"), distinct_commands())
def test_documented_commands_run(
    slug: str, line: str, command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = quick_form(line)
    if form is None:
        pytest.skip("installs, tests or writes: covered elsewhere")
    asked: list[Any] = []
    monkeypatch.setattr(
        "core.experiment.reproduce.reproduce", lambda papers, **options: asked.append((papers, options))
    )

    def note(paper: Any, **options: Any) -> Any:
        asked.append(((paper,), {}))
        return recorded(paper)

    for name in ("revisit.quick", "revisit.replicate", "revisit.rejudge", "power.print_power"):
        monkeypatch.setattr(f"core.experiment.{name}", note)
    end = command(*form, cwd=tmp_path)
    assert end.code == 0, f"{slug}: {line}\n{end.err}"
    assert bool(asked) == (
        form[0] == "core.cli" and {"reproduce", "replicate", "power", "judge"} & set(form[1:2]) != set()
    )
    for paper, options in ((paper, options) for papers, options in asked for paper in papers):
        presets = importlib.import_module(f"papers.{paper.slug}.config").PRESETS
        preset_named(presets, options.get("preset", "tiny"))
