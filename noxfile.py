"""The test matrix: `uv run nox` runs what has to pass, `uv run nox -l` lists everything.

All sessions share the project's environment: `uv run` adds the groups that a session needs and takes none away, so that
nothing is installed twice. The versions come from the lock that pyproject.toml's `exclude-newer` determines.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "lock", "types", "tests", "others", "docs"]

ROOT = Path(__file__).parent
PAPERS = sorted(path.parent.name for path in (ROOT / "papers").glob("*/__init__.py"))
VERSIONS = ("3.11", "3.12", "3.13")
LOCK = ROOT / "requirements.lock"
# The whole lock: what an installation on any platform and with any extra may need.
EXPORT = (
    "uv",
    "export",
    "--quiet",
    "--all-extras",
    "--all-groups",
    "--no-emit-project",
    "--no-header",
    "--no-annotate",
)
EVERY = ("--all-groups", "--extra=narrations", "--extra=checkers")
FULL = (*EVERY, "--no-group=site")  # which nothing that follows it takes back
HERE = "not gpu and not site"
# What differs between Python versions: types and dataclasses as they are inspected, command lines, processes and
# signals, files, code objects, `ast`, Unicode tables. Numbers come from the same libraries in every version, so the
# tests of models, training and metrics would say the same again, for minutes.
PORTABLE = [f"tests/core/test_{name}.py" for name in ("cli", "config", "ledger", "paper", "results", "run", "text")]
EVERYTHING = """
import importlib, pkgutil
for name in ("core", "papers"):
    for module in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."):
        importlib.import_module(module.name)
"""
# Tests that share something stay on one worker.
SIDE_BY_SIDE = ("-n", "2", "--dist", "loadgroup")


def _exists(version: str) -> bool:
    """Whether an interpreter of this version starts (a shim that only points elsewhere does not count)."""
    try:
        return subprocess.run([f"python{version}", "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


OTHERS = [version for version in VERSIONS if version != "{}.{}".format(*sys.version_info) and _exists(version)]


def uv_run(session: nox.Session, *command: str, needs: tuple[str, ...] = FULL, **env: str) -> None:
    """Run a command in the project's environment, after adding what it needs there."""
    session.run("uv", "run", "--quiet", *needs, *command, env=env, external=True)


def pytest(session: nox.Session, *arguments: str, needs: tuple[str, ...] = FULL, **env: str) -> None:
    """Run pytest offline, as on a machine without any account; one thread a process, since two run side by side."""
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1", **env}
    uv_run(session, "pytest", "--durations=10", *arguments, *session.posargs, needs=needs, **quiet)


@nox.session
def lint(session: nox.Session) -> None:
    """Formatting and lint."""
    uv_run(session, "ruff", "format", "--check", ".")
    uv_run(session, "ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Static types of core and papers."""
    uv_run(session, "mypy")


@nox.session
def lock(session: nox.Session) -> None:
    """requirements.lock is what pyproject.toml resolves to; `nox -s lock -- --write` renews it."""
    # Afresh, as on a new machine: an existing uv.lock would keep versions that it happens to hold.
    session.run_install("uv", "lock", "--upgrade", "--quiet", external=True)
    exported = session.run_install(*EXPORT, silent=True, external=True)
    if not isinstance(exported, str) or "==" not in exported:
        session.error("uv exported nothing")
    if "--write" in session.posargs:
        LOCK.write_text(exported, encoding="utf-8")
    elif not LOCK.exists() or LOCK.read_text(encoding="utf-8") != exported:
        session.error("requirements.lock is out of date: run `uv run nox -s lock -- --write` and commit it.")


@nox.session
def tests(session: nox.Session) -> None:
    """Unit, property, invariance and contract tests of core and of all papers, but for the slow ones."""
    pytest(session, *SIDE_BY_SIDE, "-m", f"{HERE} and not slow")


@nox.session
@nox.parametrize("version", OTHERS, ids=OTHERS)
def others(session: nox.Session, version: str) -> None:
    """The other Pythons that this machine has: all modules import, and what versions can break works."""
    needs = (f"--python={version}", "--no-default-groups", "--group=test")
    folder = str(ROOT / ".nox" / version)
    uv_run(session, "python", "-c", EVERYTHING, needs=needs, UV_PROJECT_ENVIRONMENT=folder)
    chosen = ("tests/test_calls.py", *PORTABLE, "-m", f"{HERE} and not slow and not weights and not distributed")
    pytest(session, *SIDE_BY_SIDE, *chosen, needs=needs, UV_PROJECT_ENVIRONMENT=folder)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site, every warning an error, and look for what is wrong in it; `nox -s docs -- serve` shows it."""
    # Not --quiet: it mutes the counter of warnings that --strict needs.
    uv_run(session, "mkdocs", *(session.posargs or ["build", "--strict"]), NO_MKDOCS_2_WARNING="1")
    if not session.posargs:
        uv_run(session, "python", "-m", "docs.pages.built", "site")


@nox.session
def site(session: nox.Session) -> None:
    """Open the built site in a browser, wide and narrow, light and dark (needs Chromium)."""
    docs(session)
    pytest(session, "tests/test_browser.py", "-m", "site", needs=EVERY, SITE_TESTS="required")


@nox.session
@nox.parametrize("slug", PAPERS, ids=PAPERS)
def paper(session: nox.Session, slug: str) -> None:
    """One paper, for who works on it: its own tests, its part of the contract and its record, the slow ones too."""
    files = (f"tests/papers/test_{slug}.py", "tests/test_contract.py", "tests/test_evidence.py")
    pytest(session, *files, "-k", f"{slug} or light", "-m", HERE)


@nox.session
def slow(session: nox.Session) -> None:
    """What takes longer than the gate allows: real weights, every arm of every paper at the smoke scale."""
    pytest(session, *SIDE_BY_SIDE, "-m", f"{HERE} and slow")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Broken input for minutes: all kinds of files with all verbs, all numbers, and what hypothesis thinks of."""
    pytest(session, "-n", "2", "tests/core/fuzz.py")


@nox.session
def reproduce(session: nox.Session) -> None:
    """All tiny reproductions; `-- mexa --record` narrows and records."""
    uv_run(session, "papers", "reproduce", *(session.posargs or ["--all"]), HF_HUB_OFFLINE="1")


@nox.session
def bench(session: nox.Session) -> None:
    """Speed and memory against what a user would use instead, as ratios."""
    uv_run(session, "python", "-m", "benchmarks.run", *session.posargs, HF_HUB_OFFLINE="1")


@nox.session
def gpu(session: nox.Session) -> None:
    """The tests that need an accelerator."""
    pytest(session, "-m", "gpu", needs=(*FULL, "--extra=gpu"))
