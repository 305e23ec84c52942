"""Who computes the cells of a grid: this process, workers beside it, or the jobs of a cluster.

All of them call :func:`run_cell` with plain words and numbers and leave the result in the run's folder, so that every
way comes to the same numbers and an interrupted grid goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol

from core.errors import UserError
from core.experiment.config import override, preset_named, with_variant
from core.experiment.entrypoint import execute
from core.experiment.keys import ROOT
from core.experiment.paper import PAPERS_DIR
from core.experiment.run import COMMAND, Run, hide_library_bars
from core.experiment.threads import settle, share
from core.files import HeldError
from core.printing import escaped

Executor = Literal["here", "slurm", "local"]
PATIENCE = 15.0  # seconds that a worker has to stop before it is ended
POLL = 0.5


@dataclass(frozen=True)
class Cell:
    """One variant with one seed at one scale, in words that travel.

    Attributes:
        slug: The paper.
        preset: The scale.
        variant: Key of the paper's VARIANTS.
        seed: The seed.
        out: Folder of the runs.
    """

    slug: str
    preset: str
    variant: str
    seed: int
    out: str

    def __str__(self) -> str:
        return f"{self.variant} seed {self.seed}"

    def config(self) -> Any:
        """The resolved configuration.

        Raises:
            UserError: Unknown preset or variant.
        """
        settings = importlib.import_module(f"papers.{self.slug}.config")
        base = preset_named(settings.PRESETS, self.preset)
        return override(with_variant(base, settings.VARIANTS, self.variant), {"seed": self.seed})

    def run(self, *, wait: bool = True) -> Run:
        """Where it keeps what it makes."""
        folder = Path(self.out) / self.slug
        path = folder / self.preset / self.variant / f"seed{self.seed}"
        return Run(path, self.slug, self.config(), folder / "stages", quiet=True, wait=wait)

    def finished(self) -> dict[str, Any] | None:
        """Its measurement (`metrics`, `units`, `details`, `seconds`, `stages`: training included), or None."""
        run = self.run()
        content = run.finished("measurement")
        trained: Mapping[str, Any] | None = run.finished("train") if _trains(self.slug) else {}
        if content is None or trained is None:
            return None
        return content | {name: content.get(name, 0.0) + trained.get(name, 0.0) for name in ("seconds", "stages")}


def _trains(slug: str) -> bool:
    return (PAPERS_DIR / slug / "train.py").exists()


@dataclass(frozen=True)
class Reply:
    """What became of a cell.

    Attributes:
        state: `computed`, `failed`, or `held`: another process works on what it needs.
        seconds: What it took.
        own: The same without what it built for others.
        held: The stage that it would have had to wait for.
        error: Why it failed, in a sentence.
        user: Whether that is the user's to mend.
        trace: The traceback.
    """

    state: Literal["computed", "failed", "held"]
    seconds: float = 0.0
    own: float = 0.0
    held: str = ""
    error: str = ""
    user: bool = False
    trace: str = ""


def run_cell(cell: Mapping[str, Any], wait: bool = True, log: bool = False) -> dict[str, Any]:
    """Compute what is missing of a cell.

    Args:
        cell: The fields of a :class:`Cell`.
        wait: Wait for what another process works on instead of replying `held`.
        log: Send what is printed to `log.txt` in the run's folder.

    Returns:
        The fields of a :class:`Reply`.
    """
    settle()
    started = time.monotonic()
    slug = cell["slug"]
    run: Run | None = None
    try:
        run = Cell(**cell).run(wait=wait)
        with run.held(wait=wait):
            run.open()
            with _printing_to(run.path / "log.txt") if log else contextlib.nullcontext():
                for stage, function, marker in (("train", "train", "train"), ("eval", "evaluate", "measurement")):
                    if (stage == "eval" or _trains(slug)) and not run.finished(marker):
                        execute(getattr(importlib.import_module(f"papers.{slug}.{stage}"), function), run, stage)
    except HeldError as error:
        # Of a run's own folder nothing shows that it is free again, so that one is waited for last.
        return asdict(Reply("held", held="" if run and error.target == run.path else str(error.target)))
    except Exception as error:
        user = isinstance(error, UserError)
        words = str(error) if user else f"{type(error).__name__}: {error}"
        return asdict(Reply("failed", error=words, user=user, trace=traceback.format_exc()))
    seconds = time.monotonic() - started - run.clock["waited"]
    return asdict(Reply("computed", seconds=seconds, own=seconds - run.clock["stages"]))


@contextlib.contextmanager
def _printing_to(path: Path) -> Iterator[None]:
    """Standard output and error of this process and its children, appended to a file."""
    sys.stdout.flush(), sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1), os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        for number, copy in enumerate(kept, start=1):
            os.dup2(copy, number)
            os.close(copy)


class Worker(Protocol):
    """Computes one cell after the other."""

    def run(self, cell: Cell, wait: bool) -> Reply:
        """Blocks until the cell has ended, well or not."""

    def stop(self) -> None:
        """End what runs; called from another thread."""


class Here:
    """This process."""

    def run(self, cell: Cell, wait: bool) -> Reply:
        """Compute it."""
        return Reply(**run_cell(asdict(cell), wait))

    def stop(self) -> None:
        """Nothing: the exception that ends this process has ended the cell."""


class Beside:
    """A process of its own that is told one cell after the other, a JSON line each, and started again when it died.

    Args:
        number: Which of the workers; spreads them over the GPUs.
        threads: Threads of each.
    """

    def __init__(self, number: int, threads: int):
        self.environment = {**share(threads), **_inherited()}
        gpus = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(
            str(device) for device in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))
        )
        if gpus:
            self.environment["CUDA_VISIBLE_DEVICES"] = gpus.split(",")[number % len(gpus.split(","))]
        self.process: subprocess.Popen[str] | None = None
        self.stopping = False

    def run(self, cell: Cell, wait: bool) -> Reply:
        """Have it computed; a worker that dies is a failure of the cell."""
        if self.process is None or self.process.poll() is not None:
            self.process = self._start()
        assert self.process.stdin
        assert self.process.stdout
        try:
            self.process.stdin.write(json.dumps([asdict(cell), wait]) + "\n")
            self.process.stdin.flush()
            if line := self.process.stdout.readline():
                return Reply(**json.loads(line))
        except BrokenPipeError:
            pass
        return Reply("failed", error=_death(self.process.wait()))

    def _start(self) -> subprocess.Popen[str]:
        # A session of its own: Ctrl-C reaches this process alone, which then tells its workers.
        return subprocess.Popen(
            [sys.executable, "-m", "core.experiment.workers"],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def stop(self) -> None:
        """Ask it to stop, then insist."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _inherited() -> dict[str, str]:
    """What another process of ours has to know: where the code is, and what the user has typed."""
    paths = (str(ROOT), os.environ.get("PYTHONPATH"))
    return {"PYTHONPATH": os.pathsep.join(path for path in paths if path), COMMAND: json.dumps(sys.argv)}


def _death(code: int) -> str:
    """A sentence on a worker that ended without a reply."""
    if code == -signal.SIGKILL:
        return "its process was killed, most likely for want of memory: try fewer --jobs"
    name = signal.Signals(-code).name if code < 0 else f"code {code}"
    return f"its process died ({name}); run it alone with --jobs 1 --debug to see why"


class Cluster:
    """A job of a cluster for each cell, through submitit.

    Args:
        kind: `slurm`, or `local` to try the same path on one machine.
        folder: Where submitit keeps scripts, logs and what goes to and fro.
        options: Of the executor (`partition`, `time`, `gpus_per_node`, ...).

    Raises:
        UserError: submitit is not installed, there is no cluster, or it does not know an option.
    """

    def __init__(self, kind: str, folder: Path, options: Mapping[str, str]):
        try:
            import submitit
        except ImportError:
            raise UserError(f"--executor {kind} needs submitit: run `uv sync --extra cluster`.") from None
        self.job: Any = None
        values = {name: int(text) if text.isdigit() else text for name, text in options.items()}
        os.environ.update(_inherited())
        try:
            if kind == "local":
                self.executor: Any = submitit.LocalExecutor(folder=folder)
                self.executor.update_parameters(**({"timeout_min": 1440} | values))
            else:
                self.executor = submitit.SlurmExecutor(folder=folder)
                self.executor.update_parameters(**({"time": 240, "job_name": "papers"} | values))
        except (RuntimeError, TypeError, ValueError, NameError) as error:
            raise UserError(f"--executor {kind} cannot be used: {str(error).splitlines()[0]}") from error

    def run(self, cell: Cell, wait: bool) -> Reply:
        """Hand it over and wait for the job."""
        # submitit pickles what it hands over and unpickles what comes back. Both files are written by our own processes
        # into the folder of the runs, and hold this function's name, words and numbers.
        try:
            self.job = self.executor.submit(run_cell, asdict(cell), wait)
            while not self.job.done():
                time.sleep(POLL)
            return Reply(**self.job.result())
        except Exception as error:
            log = self.job.paths.stderr if self.job else "no job was made"
            reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            return Reply("failed", error=f"its job ended without a result: {reason[0]} ({log})")

    def stop(self) -> None:
        """Cancel the job."""
        if self.job is not None and not self.job.done():
            self.job.cancel()


def workers(executor: Executor, jobs: int, threads: int, out: Path, options: Mapping[str, str]) -> list[Worker]:
    """Those who compute `jobs` cells side by side."""
    if executor != "here":
        return [Cluster(executor, out / "jobs", options) for _ in range(jobs)]
    if jobs == 1:
        return [Here()]
    return [Beside(number, threads) for number in range(jobs)]


def main() -> None:
    """A worker: cells come in on standard input, replies go out on standard output; the end of input ends it."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed

    def stop(number: int, frame: Any) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    hide_library_bars()
    orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        rest = b""
        while chunk := os.read(0, 65_536):  # not sys.stdin, whose lock this thread would hold when Python ends
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                orders.put(line)
        os.kill(os.getpid(), signal.SIGTERM)  # nobody is left to reply to

    threading.Thread(target=listen, daemon=True).start()
    try:
        while True:
            cell, wait = json.loads(orders.get())
            with escaped():
                reply = run_cell(cell, wait, log=True)
            replies.write(json.dumps(reply) + "\n")
            replies.flush()
    except (KeyboardInterrupt, BrokenPipeError):
        raise SystemExit(128 + signal.SIGTERM) from None


if __name__ == "__main__":
    main()
