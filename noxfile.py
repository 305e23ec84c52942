"""The test matrix: `uv run nox` runs what has to pass, `uv run nox -l` lists everything.

Every session has its own environment, filled by uv from its cache with hard links, so that a second run starts in
seconds. The versions come from the lock that pyproject.toml's `exclude-newer` determines.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "lock", "types", "tests", "invariance", "paper", "docs"]

ROOT = Path(__file__).parent
PAPERS = sorted(path.parent.name for path in (ROOT / "papers").glob("*/__init__.py"))
OLDEST, *NEWER = ("3.11", "3.12", "3.13")
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


def sync(session: nox.Session, *arguments: str) -> None:
    """Install the locked project and the named groups or extras into the session's environment."""
    session.run_install(
        "uv",
        "sync",
        "--quiet",
        "--no-default-groups",
        f"--python={session.virtualenv.location}",
        *arguments,
        env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location},
        external=True,
    )


def pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest offline, as on a machine without any account."""
    session.run("pytest", *arguments, *session.posargs, env={"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})


def _exists(version: str) -> bool:
    """Whether an interpreter of this version starts (a shim that only points elsewhere does not count)."""
    try:
        return subprocess.run([f"python{version}", "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


@nox.session(python=OLDEST)
def lint(session: nox.Session) -> None:
    """Formatting and lint."""
    sync(session, "--only-group", "lint")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session(python=OLDEST)
def types(session: nox.Session) -> None:
    """Static types of core, papers, benchmarks and this file's neighbours."""
    sync(session, "--group", "lint", "--group", "test")
    session.run("mypy")


@nox.session(python=OLDEST)
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


@nox.session(python=[OLDEST, *(version for version in NEWER if _exists(version))])
def tests(session: nox.Session) -> None:
    """Unit, property and contract tests; newer Pythons run the part that needs no weights and no processes."""
    sync(session, "--group", "test", "--group", "bench", "--extra", "narrations")
    everywhere = "not distributed and not gpu and not hub"
    if session.python == OLDEST:
        pytest(session, "-n", "2", "--dist", "worksteal", "--ignore=tests/papers", "-m", everywhere)
    else:
        pytest(session, "-n", "2", "tests/core", "-m", f"{everywhere} and not weights")


@nox.session(python=OLDEST)
def invariance(session: nox.Session) -> None:
    """Packed = unpadded, accumulated = batch, killed and resumed = unbroken, one process = two (DDP, FSDP2)."""
    sync(session, "--group", "test", "--extra", "narrations")
    pytest(session, "tests", "-m", "distributed and not gpu and not hub")


@nox.session(python=OLDEST)
@nox.parametrize("slug", PAPERS, ids=PAPERS)
def paper(session: nox.Session, slug: str) -> None:
    """One paper: its tests, its smoke run through the commands, its page."""
    sync(session, "--group", "test", "--extra", "narrations")
    pytest(session, f"tests/papers/test_{slug}.py", "-m", "not distributed and not gpu and not hub")


@nox.session(python=OLDEST)
def docs(session: nox.Session) -> None:
    """Build the site, every warning an error; `nox -s docs -- serve` shows it."""
    sync(session, "--group", "docs")
    if session.posargs:
        session.run("mkdocs", *session.posargs)
    else:
        session.run("mkdocs", "build", "--strict", "--quiet")


@nox.session(python=OLDEST, default=False)
def reproduce(session: nox.Session) -> None:
    """All tiny reproductions; `-- mexa --record` narrows and records."""
    sync(session, "--extra", "narrations")
    session.run("papers", "reproduce", *(session.posargs or ["--all"]), env={"HF_HUB_OFFLINE": "1"})


@nox.session(python=OLDEST, default=False)
def bench(session: nox.Session) -> None:
    """Speed and memory against what a user would use instead, as ratios."""
    sync(session, "--group", "bench")
    session.run("python", "-m", "benchmarks.run", *session.posargs, env={"HF_HUB_OFFLINE": "1"})


@nox.session(python=OLDEST, default=False)
def gpu(session: nox.Session) -> None:
    """The tests that need an accelerator."""
    sync(session, "--group", "test", "--extra", "gpu")
    pytest(session, "tests", "-m", "gpu")


@nox.session(python=OLDEST, default=False)
def hub(session: nox.Session) -> None:
    """Loads the real ids, for those who have a network."""
    sync(session, "--group", "test")
    session.run("pytest", "tests", "-m", "hub", *session.posargs, env={"HF_HUB_OFFLINE": "0"})
