"""A run directory: what was asked for, on what machine, what happened, what came out.

    runs/mexa/tiny/weighted/seed0/
        config.json        the resolved configuration
        environment.json   versions, hardware, commit, command
        metrics.jsonl      one line a logged step
        artifact/          what training made: save_pretrained folders, datasets
        train.json         written last by training: its key
        measurement.json   written last by evaluation: its key and the numbers

Files appear whole or not at all (temporary name, then rename). A run is finished when its last file carries the key
of what would be run now: configuration, the code that it reaches, and package versions. A finished run is never
recomputed and an interrupted one resumes.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.experiment.config import fingerprint, render, to_dict
from core.files import DISTRIBUTION, build_folder, finite_json, read_json, writable, write_json, write_text

ROOT = Path(__file__).resolve().parents[2]
# How a run is started and shown cannot change its numbers, so these modules stay out of its key.
PRESENTATION = frozenset(
    {
        "core.cli",
        "core.experiment.reproduce",
        "core.experiment.report",
        "core.cost.plan",
        "core.models.architectures",
        "core.experiment.results",
    }
)


@dataclass(frozen=True)
class Measurement:
    """What an evaluation found.

    Attributes:
        metrics: The numbers of the results table.
        units: For each metric, the values (per language, per item) that it is the mean of or a correlation over;
            intervals come from resampling them. A metric without units is a single number per seed.
        details: Anything else that JSON can hold: curves, tables, samples for the figure and the page.
    """

    metrics: dict[str, float]
    units: dict[str, dict[str, float]] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; numbers that JSON cannot hold (NaN, infinities) become null."""
        return finite_json(asdict(self))

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Measurement:
        """The inverse of `to_json`; null metrics come back as NaN."""
        number = lambda value: math.nan if value is None else float(value)  # noqa: E731
        return Measurement(
            metrics={name: number(value) for name, value in data["metrics"].items()},
            units={name: {unit: number(v) for unit, v in values.items()} for name, values in data["units"].items()},
            details=dict(data["details"]),
        )


@dataclass(frozen=True)
class Run:
    """One variant with one seed: where it keeps what it makes.

    Attributes:
        path: The run's folder.
        slug: The paper.
        config: The resolved configuration.
        stages: Folder of what several runs share (see `stage`).
        quiet: No progress bars; plain log lines.
    """

    path: Path
    slug: str
    config: Any
    stages: Path
    quiet: bool = False

    @property
    def artifact(self) -> Path:
        """What training made and evaluation reads."""
        return self.path / "artifact"

    @property
    def key(self) -> str:
        """What identifies the run's numbers: configuration, code and package versions."""
        return fingerprint(
            {"config": to_dict(self.config), "code": code_fingerprint(self.slug), "versions": versions()}
        )

    def open(self) -> Run:
        """Create the folder with configuration and environment, dropping what a run with another key left there.

        Raises:
            UserError: If the folder cannot be written, or holds files that no run made.
        """
        if not is_main_process():
            return self
        with writable(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            if any(self.path.iterdir()) and not (self.path / "key.json").exists():
                raise UserError(f"{self.path} is not a run directory and not empty: choose another folder with --out.")
            if read_json(self.path / "key.json") != {"key": self.key}:
                self.clear()
                write_json(self.path / "key.json", {"key": self.key})
                write_text(self.path / "config.json", render(self.config) + "\n")
                write_json(self.path / "environment.json", environment())
        return self

    def clear(self) -> None:
        """Remove everything from the run's folder."""
        for child in sorted(self.path.iterdir(), key=lambda child: child.name == "key.json"):
            shutil.rmtree(child) if child.is_dir() else child.unlink()

    def holds_another(self) -> str | None:
        """Why the folder is not this run's (a sentence), or None when it is empty or this run's own."""
        if not self.path.exists() or not any(self.path.iterdir()):
            return None
        recorded = read_json(self.path / "key.json")
        if recorded is None:
            return f"{self.path} exists and is not a run directory"
        if recorded == {"key": self.key}:
            return None
        then, now = read_json(self.path / "config.json") or {}, to_dict(self.config)
        changed = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
        what = f"another configuration ({', '.join(changed)} differ)" if changed else "other code or package versions"
        return f"{self.path} holds a run with {what}"

    def finish(self, stage: str, seconds: float, **content: Any) -> None:
        """Write the file that marks a stage (`train`, `measurement`) as complete."""
        if is_main_process():
            write_json(self.path / f"{stage}.json", {"key": self.key, "seconds": round(seconds, 2), **content})

    def finished(self, stage: str) -> dict[str, Any] | None:
        """The content of a complete stage with the present key, else None."""
        content = read_json(self.path / f"{stage}.json")
        return content if content and content.get("key") == self.key else None

    def log(self, **metrics: Any) -> None:
        """Append one line to metrics.jsonl (main process only)."""
        if is_main_process():
            with writable(self.path), (self.path / "metrics.jsonl").open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(finite_json(metrics), ensure_ascii=False) + "\n")

    def stage(self, name: str, inputs: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
        """The folder of something that several variants or seeds share, built once.

        Args:
            name: What it is (`embeddings`, `base-model`).
            inputs: JSON-able values that decide what comes out.
            build: Fills an empty temporary folder, which is renamed into place when it returns.

        Returns:
            The finished folder. With several processes the main one builds and the others wait for it.
        """
        key = fingerprint({"inputs": dict(inputs), "code": code_fingerprint(self.slug), "versions": versions()})
        target = self.stages / f"{name}-{key}"
        if not is_main_process():
            while not target.exists():
                time.sleep(0.2)
        if not target.exists():
            with writable(self.stages):
                build_folder(target, build)
        return target


@contextlib.contextmanager
def temporary(slug: str = "mexa", config: Any = None) -> Iterator[Run]:
    """A run in a throw-away folder, for library use and tests."""
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        yield Run(
            Path(folder) / "run",
            slug,
            config if config is not None else _NoConfig(),
            Path(folder) / "stages",
            quiet=True,
        )


@dataclass(frozen=True)
class _NoConfig:
    """Stands in where a run has no configuration."""


def is_main_process() -> bool:
    """Whether this is rank zero (or the only process)."""
    return int(os.environ.get("RANK", "0")) == 0


@cache
def code_fingerprint(slug: str) -> str:
    """Hash of the code that a paper's train and eval reach in `papers/<slug>` and `core`, and of its data files."""
    pending, seen = [f"papers.{slug}.train", f"papers.{slug}.eval"], set()
    digest = hashlib.sha256()
    while pending:
        module = pending.pop()
        path = _module_path(module)
        if module in seen or module in PRESENTATION or path is None:
            continue
        seen.add(module)
        pending.extend(_imports(path.read_text(encoding="utf-8")))
    for module in sorted(seen):
        digest.update(module.encode() + b"\0" + _code(module).encode())
    for path in sorted((ROOT / "papers" / slug).glob("*")):
        if path.suffix in {".jsonl", ".json", ".tsv", ".txt", ".yaml"}:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _code(module: str) -> str:
    """Source of a module without comments and docstrings: prose cannot change a number."""
    path = _module_path(module)
    assert path is not None
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [line for line in body if not _is_prose(line)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_prose(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _module_path(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.exists() and module.split(".")[0] in {"core", "papers"}:
            return candidate
    return None


def _imports(source: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


@cache
def versions() -> dict[str, str]:
    """Installed versions of what the distribution requires, and of Python."""
    found = {"python": platform.python_version()}
    for requirement in importlib.metadata.requires(DISTRIBUTION) or []:
        match = re.match(r"[A-Za-z0-9._-]+", requirement)
        if match and "extra ==" not in requirement:
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                found[match[0].lower()] = importlib.metadata.version(match[0])
    return found


def hide_library_bars() -> None:
    """No progress bars of transformers, datasets and the hub; for processes that have not imported them yet."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")


def environment() -> dict[str, Any]:
    """Versions, hardware, commit and command of this process."""
    torch = sys.modules.get("torch")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch else []
    return {
        "command": _command(sys.argv),
        "commit": _commit(),
        "platform": platform.platform(terse=True),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpus": gpus,
        "versions": versions(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _command(arguments: Sequence[str]) -> str:
    """As a reader would repeat it: without the folder that the runs were kept in."""
    words = iter([Path(arguments[0]).name.replace("cli.py", "papers"), *arguments[1:]])
    kept = []
    for word in words:
        if word == "--out":
            next(words, None)
        elif not word.startswith("--out="):
            kept.append(word)
    return " ".join(kept)


@cache
def _commit() -> str | None:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # Pages and records are written by the runs themselves and change nothing that is computed.
        changes = git("status", "--porcelain", "-uno", "--", ".", ":!*.md", ":!papers/*/results")
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
