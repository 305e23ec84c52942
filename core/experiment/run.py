"""A run directory: what was asked for, on what machine, what happened, what came out.

    runs/mexa/tiny/weighted/seed0/
        key.json           that the folder is ours, and whose
        config.json        the resolved configuration
        environment.json   versions, hardware, commit, command
        log.txt            what the run printed, where it was computed beside others
        metrics.jsonl      one line a logged step
        checkpoints/       from which training goes on
        artifact/          what training made: save_pretrained folders, datasets
        train.json         written last by training: its key
        measurement.json   written last by evaluation: its key and the numbers

Files appear whole or not at all (temporary name, then rename). A run is finished when its last file carries the key
of what would be run now: configuration, content of the files that it names, the code that it reaches, and package
versions. A finished run is never recomputed and an interrupted one resumes; what a folder held under another key is put
beside it (`.seed0.previous`) until the new run is whole. One process at a time works in a folder.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import itertools
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.experiment.config import fingerprint, render, to_dict
from core.experiment.inputs import contents, digest, named, revisions
from core.experiment.keys import ROOT, in_repository, surroundings, versions
from core.experiment.threads import settled
from core.files import (
    DISTRIBUTION,
    build_folder,
    finite_json,
    is_partial,
    locked,
    read_json,
    remove,
    sweep,
    writable,
    write_json,
    write_text,
)

# The stage that is being built: its temporary folder, where its checkpoints are kept, and the run that builds it.
_BUILDING: ContextVar[tuple[Path, Path, Path] | None] = ContextVar("building", default=None)
_NOTES = frozenset({"key.json", "config.json", "environment.json", "log.txt", "metrics.jsonl"})
REVISIONS = ".revisions.json"  # in a stage's folder, where it was made from repositories of the hub
COMMAND = "MULTILINGUAL_PAPERS_COMMAND"  # tells a process that computes for another what the user has typed


@dataclass(frozen=True)
class Measurement:
    """What an evaluation found.

    Attributes:
        metrics: The numbers of the results table.
        units: For each metric, the values (per language, per item) that it is the mean of or a correlation over;
            intervals come from their variance. A metric without units is a single number per seed.
        details: Anything else that JSON can hold: curves, tables, samples for the figure and the page.
    """

    metrics: dict[str, float]
    units: dict[str, dict[str, float]] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; numbers that JSON cannot hold (NaN, infinities) become null."""
        return finite_json(vars(self))

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
        wait: Wait for a stage that another process builds; otherwise `stage` raises `HeldError`, so that a scheduler
            can give this process something else to do.
        clock: Seconds spent so far on shared stages, and on waiting for others.
    """

    path: Path
    slug: str
    config: Any
    stages: Path
    quiet: bool = False
    wait: bool = True
    clock: dict[str, float] = field(default_factory=lambda: {"stages": 0.0, "waited": 0.0}, compare=False, repr=False)

    @property
    def artifact(self) -> Path:
        """What training made and evaluation reads."""
        return self.path / "artifact"

    @property
    def checkpoints(self) -> Path:
        """Where training keeps its checkpoints: with the run, or with the shared stage that it builds."""
        if building := _BUILDING.get():
            temporary, kept, owner = building
            if self.path == owner:
                return kept
            if temporary in self.path.parents:
                return kept / self.path.relative_to(temporary)
        return self.path / "checkpoints"

    @cached_property
    def inputs(self) -> dict[str, str]:
        """Hashes of the local files and folders that the configuration names, as they were when first asked for."""
        return contents(self.config)

    @cached_property
    def key(self) -> str:
        """What identifies the run's numbers: configuration, content of what it names, code and package versions.

        It is taken once, before the run begins: what is changed meanwhile belongs to the next run.
        """
        found = {"contents": self.inputs} if self.inputs else {}
        return fingerprint({"config": to_dict(self.config), **found, **surroundings(self.slug)})

    def open(self) -> Run:
        """Create the folder with configuration and environment; what a run with another key left there is put beside.

        Raises:
            UserError: If the folder cannot be written, or holds files that no run made.
        """
        if not is_main_process():
            return self
        with writable(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for folder in (self.path, self.stages):
                sweep(folder)
            if _entries(self.path) and not _marker(self.path):
                raise UserError(f"{self.path} is not a run directory and not empty: choose another folder with --out.")
            if not self._agrees(_marker(self.path)):
                self._set_aside()
                for previous in self._previous():
                    if self._agrees(_marker(previous)):  # as after a change of the code that was taken back
                        self.path.resolve().rmdir()
                        previous.rename(self.path.resolve())
                        break
            self._sign()
            if not (self.path / "config.json").exists():
                write_text(self.path / "config.json", render(self.config) + "\n")
            if not (self.path / "environment.json").exists():
                write_json(self.path / "environment.json", environment())
        return self

    def _sign(self) -> None:
        """Mark the folder as ours, and note the revisions of the hub that it is made from, once they are known."""
        known = (_marker(self.path) or {}).get("revisions", {})
        content: dict[str, Any] = {"program": DISTRIBUTION, "version": version(), "slug": self.slug, "key": self.key}
        content |= {"inputs": self.inputs, "revisions": {**revisions(self.config), **known}}
        if read_json(self.path / "key.json") != content:
            write_json(self.path / "key.json", content)

    def _agrees(self, content: Any) -> bool:
        """Whether what a file of a run says of itself is true of this run; an unknown revision agrees with any."""
        if not isinstance(content, dict) or content.get("key") != self.key:
            return False
        now = revisions(self.config)
        return all(now.get(name, commit) == commit for name, commit in content.get("revisions", {}).items())

    def _previous(self) -> list[Path]:
        """Folders beside this one that hold what it held under other keys."""
        place = self.path.resolve()
        return [path for path in sorted(place.parent.glob(f".{place.name}.previous*")) if _marker(path)]

    def _set_aside(self) -> None:
        """Put everything beside the folder, in one step; a run that has made nothing yet is not worth it."""
        made = {path.name for path in _entries(self.path)} - _NOTES
        if not made:
            for child in self.path.iterdir():
                remove(child)
            return
        place = self.path.resolve()
        for number in itertools.count(1):
            target = place.with_name(f".{place.name}.previous{'' if number == 1 else f'-{number}'}")
            if not target.exists():
                break
        place.rename(target)
        place.mkdir()

    @contextlib.contextmanager
    def held(self, *, wait: bool = False) -> Iterator[None]:
        """Keep other commands out of the folder; every rank of a distributed run may call.

        Raises:
            HeldError: Another command works in it, and this one does not wait.
        """
        if not is_main_process():
            yield
            return
        with writable(self.path), locked(self.path, wait=wait) as waited:
            self.clock["waited"] += waited
            yield

    def clear(self) -> None:
        """Remove everything from the run's folder; links are removed and not followed.

        Raises:
            UserError: The folder is a link, or no run made it.
        """
        if not self.path.is_dir() or not _entries(self.path):
            return
        if self.path.is_symlink():
            raise UserError(f"{self.path} is a link, behind which nothing is deleted: name the folder itself.")
        if not _marker(self.path):
            raise UserError(f"{self.path} is not a run directory and not empty: choose another folder with --out.")
        with writable(self.path):
            for child in sorted(self.path.iterdir(), key=lambda child: child.name == "key.json"):
                remove(child)

    def holds_another(self) -> str | None:
        """Why the folder is not this run's (a sentence), or None when it is empty or this run's own."""
        if not self.path.exists() or (self.path.is_dir() and not _entries(self.path)):
            return None
        recorded = _marker(self.path)
        if recorded is None:
            return f"{self.path} exists and is not a run directory"
        if self._agrees(recorded):
            return None
        then, now = read_json(self.path / "config.json") or {}, to_dict(self.config)
        changed = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
        files = {**recorded.get("inputs", {}), **recorded.get("revisions", {})}
        others = sorted(
            name
            for name, value in {**self.inputs, **revisions(self.config)}.items()
            if name in files and files[name] != value
        )
        if changed:
            what = f"another configuration ({', '.join(changed)} differ)"
        elif others:
            what = f"another content of {', '.join(others)}"
        else:
            what = "other code or package versions"
        return f"{self.path} holds a run with {what}"

    def finish(self, stage: str, seconds: float, **content: Any) -> None:
        """Write the file that marks a stage (`train`, `measurement`) as complete; what it takes the place of goes."""
        if is_main_process():
            if (self.path / "key.json").exists():
                self._sign()
            found = revisions(self.config)
            content |= {"revisions": found} if found else {}
            write_json(self.path / f"{stage}.json", {"key": self.key, "seconds": round(seconds, 2), **content})
            for previous in self._previous():
                remove(previous)

    def finished(self, stage: str) -> dict[str, Any] | None:
        """The content of a complete stage with the present key, else None."""
        content = read_json(self.path / f"{stage}.json")
        return content if self._agrees(content) else None

    def log(self, **metrics: Any) -> None:
        """Append one line to metrics.jsonl (main process only)."""
        if is_main_process():
            with writable(self.path), (self.path / "metrics.jsonl").open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(finite_json(metrics), ensure_ascii=False) + "\n")

    def rewind(self, phase: str, step: int) -> None:
        """Drop what metrics.jsonl says of a training phase after a step: it is done again, and logged again."""
        path = self.path / "metrics.jsonl"
        if not is_main_process() or not path.exists():
            return
        kept = []
        for line in path.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n"):
            try:
                found = json.loads(line)
            except ValueError:  # cut off by a kill
                continue
            if not isinstance(found, dict) or found.get("phase") != phase or found.get("step", step + 1) <= step:
                kept.append(f"{line}\n")
        write_text(path, "".join(kept))

    def stage(self, name: str, inputs: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
        """The folder of something that several variants or seeds share, built once.

        Args:
            name: What it is (`embeddings`, `base-model`).
            inputs: JSON-able values that decide what comes out.
            build: Fills an empty temporary folder, which is renamed into place when it returns.

        Returns:
            The finished folder. With several processes the main one builds and the others wait for it.

        Raises:
            HeldError: Another process builds it, and this run does not wait.
        """
        target = self._stage_folder(name, inputs)
        if not is_main_process():
            while not target.exists():
                time.sleep(0.2)
        if not target.exists():
            started, before = time.monotonic(), dict(self.clock)
            kept = target.with_name(f"{target.name}.checkpoints")

            def fill(folder: Path) -> None:
                token = _BUILDING.set((folder, kept, self.path))
                try:
                    build(folder)
                finally:
                    _BUILDING.reset(token)
                if found := revisions(self.config):
                    write_json(folder / REVISIONS, found)

            with writable(self.stages), locked(target, wait=self.wait) as waited:
                if not target.exists():
                    build_folder(target, fill)
                remove(kept)
            # A stage that needs another one has counted that one's seconds already.
            self.clock["waited"] = before["waited"] + waited
            self.clock["stages"] = before["stages"] + time.monotonic() - started - waited
        return target

    def once(self, name: str, inputs: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
        """A JSON value that several variants or seeds share, computed once: a :meth:`stage` of one file."""
        folder = self.stage(name, inputs, lambda folder: write_json(folder / "value.json", compute()))
        return read_json(folder / "value.json")

    def _stage_folder(self, name: str, inputs: Mapping[str, Any]) -> Path:
        """Where a stage is kept: by its inputs, the content of the paths among them, code and versions."""
        mentioned = named(inputs)
        # As they are now, which is what will be read: a run may outlast a change that belongs to the next one.
        now = contents(self.config)
        found = {text: value for text, value in now.items() if any(text in whole for whole in mentioned)}
        found |= {str(path): digest(path) for path in _paths(inputs) if self.stages not in path.parents}
        key = fingerprint({"inputs": dict(inputs), **({"contents": found} if found else {}), **surroundings(self.slug)})
        target = self.stages / f"{name}-{key}"
        made_from, known = read_json(target / REVISIONS) or {}, revisions(self.config)
        changed = [hub_id for hub_id, commit in made_from.items() if known.get(hub_id, commit) != commit]
        if any(hub_id in whole for hub_id in changed for whole in mentioned):
            return target.with_name(f"{target.name}-{fingerprint(known)[:8]}")
        return target


def _paths(value: Any) -> Iterator[Path]:
    """Paths that are given as such, at any depth."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _paths(inner)


def _entries(folder: Path) -> list[Path]:
    """What a folder holds, but for what is written or was left half-written."""
    return [path for path in folder.iterdir() if not is_partial(path.name)]


def _marker(folder: Path) -> dict[str, Any] | None:
    """What a folder of ours says of itself; None for the folders of others."""
    content = read_json(folder / "key.json") if folder.is_dir() else None
    ours = isinstance(content, dict) and content.get("program") == DISTRIBUTION and isinstance(content.get("key"), str)
    return content if ours else None


@cache
def version() -> str:
    """Version of the distribution."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(DISTRIBUTION)
    return "unknown"


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
    return int(os.environ.get("RANK", "0")) <= 0


def check_stage() -> None:
    """Refuse training in a stage that several processes share: the main one builds it while the others wait for it.

    Raises:
        UserError: A stage is being built, and the environment promises more than one process.
    """
    if _BUILDING.get() and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(
            "The miniature's base is trained by one process: run this command once without accelerate launch or "
            "torchrun. It is kept, and several processes can go on from it."
        )


def check_world() -> None:
    """Refuse an environment that promises other processes which do not exist: this one would wait for them for ever.

    Raises:
        UserError: A rank or size that is no number, a rank without a world or outside of it, a world without address.
    """
    fix = "unset it, or start all processes with `accelerate launch` or `torchrun`"
    found: dict[str, int] = {}
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        if (text := os.environ.get(name)) is not None:
            try:
                found[name] = int(text)
            except ValueError:
                raise UserError(f"{name}={text!r} in the environment is not a number: {fix}.") from None
    size = found.get("WORLD_SIZE")
    for name, rank in found.items():
        if name.endswith("RANK") and rank >= 0 and (size is None or rank >= size):
            world = "WORLD_SIZE is not set" if size is None else f"WORLD_SIZE is {size}"
            raise UserError(f"{name}={rank} is in the environment, but {world}: {fix}.")
    if (size or 1) > 1 and not os.environ.get("MASTER_ADDR"):
        raise UserError(f"WORLD_SIZE={size} is in the environment, but MASTER_ADDR is not: {fix}.")


def hide_library_bars() -> None:
    """No progress bars of transformers, datasets and the hub; for processes that have not imported them yet."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")


def environment() -> dict[str, Any]:
    """Versions, hardware, commit and command of this process."""
    torch: Any = sys.modules.get("torch")
    if torch is None and Path("/dev/nvidiactl").exists():  # the cells' processes have computed on it
        torch = importlib.import_module("torch")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch else []
    return {
        "command": _command(json.loads(os.environ.get(COMMAND, "null")) or sys.argv),
        "commit": commit(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpus": gpus,
        "threads": settled(),
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
def commit() -> str | None:
    """The commit of our repository, `+changes` where its files differ; None for an installed package.

    An environment often lies inside another repository, whose commit says nothing of this code.
    """
    if not in_repository():
        return None

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
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
