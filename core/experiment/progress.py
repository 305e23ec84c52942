"""How a grid of runs shows itself: one bar for all cells on a terminal, plain lines elsewhere, time left in both.

    1/60  mexa seed 0  2 min left

The time left is an estimate from everything that is known: what a variant cost when it was recorded, what it costs
now, how much slower this machine is today, and how long the cells that run have been running already.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from core.printing import console, printable

LINE_EVERY = 60.0  # seconds after which a plain line says that something still runs
LEAST_PACE = 0.3
GROWTH = 0.25  # a cell that has overrun every expectation is taken to need this share of its age still


@dataclass
class Group:
    """Cells of one variant of one paper: they cost about the same, but for what the first ones build for all.

    Attributes:
        cells: How many are to be computed.
        expected: Seconds that they should take together, shared stages included (from a record); 0 = not known.
        total: Seconds of each finished cell.
        own: The same without the stages that it built for others.
        running: Age of each running cell in seconds.
    """

    cells: int
    expected: float = 0.0
    total: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    running: list[float] = field(default_factory=list)

    @property
    def spent(self) -> float:
        """Seconds that went into it so far."""
        return sum(self.total) + sum(self.running)

    def forecast(self, pace: float, typical: float) -> float:
        """Seconds of all its cells when done.

        Args:
            pace: Seconds here for one second that was expected.
            typical: Seconds of a cell of any group, where nothing else is known of this one.
        """
        if self.total:
            cell = sum(self.own) / len(self.own)
            waiting = self.cells - len(self.total) - len(self.running)
            return sum(self.total) + sum(_late(cell, age) for age in self.running) + cell * max(0, waiting)
        return _late(self.expected * pace or typical * self.cells, self.spent)


def _late(expected: float, age: float) -> float:
    return expected if age < expected else age * (1 + GROWTH)


def _pace(groups: Sequence[Group]) -> float:
    """Seconds here for one that was expected."""
    expected = sum(group.expected for group in groups)
    return sum(group.forecast(1.0, 0.0) for group in groups) / expected if expected else 0.0


def seconds_left(groups: Sequence[Group], jobs: int = 1) -> float | None:
    """Seconds until all cells are done, or None when nothing is known.

    What a finished cell took stands for the others of its group. The other groups take what was expected of them, times
    the pace of this machine; a cell that is late slows the pace while it still runs.

    Args:
        groups: All groups of the grid.
        jobs: Cells that run side by side.
    """
    seen = [seconds for group in groups for seconds in (*group.own, *group.running)]
    if not seen and not all(group.expected for group in groups):
        return None
    typical = sum(seen) / len(seen) if seen else 0.0
    begun = [group for group in groups if group.expected and group.total]
    late = [group for group in groups if not group.total and group.spent > group.expected > 0]
    # Below the least pace a stage was there already that the record's cell had to build: no faster machine.
    pace = max(LEAST_PACE, _pace(begun), _pace(begun + late)) if begun or late else 1.0
    left = {id(group): max(0.0, group.forecast(pace, typical) - group.spent) for group in groups}
    cells = {id(group): max(0, group.cells - len(group.total)) for group in groups}
    longest = max((left[key] / cells[key] for key in left if cells[key]), default=0.0)
    return max(sum(left.values()) / max(1, min(jobs, sum(cells.values()))), longest)


def clock(seconds: float | None) -> str:
    """`40 s`, `12 min`, `3.5 h`, or `?` when it is not known."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class Display:
    """Progress over the cells of one or several papers, as a context manager.

    Args:
        name: What runs (`mexa`, `9 papers`).
        total: Number of cells, kept ones included.
        groups: By group name; the display keeps them up to date.
        jobs: Cells side by side.
        quiet: Plain lines even on a terminal.
    """

    def __init__(self, name: str, total: int, groups: Mapping[str, Group], jobs: int, quiet: bool):
        self.name, self.total, self.groups, self.jobs = name, total, groups, jobs
        self.done = 0
        self.running: dict[str, tuple[str, float]] = {}  # cell -> its group, when it began
        self.lock = threading.Lock()
        self.last_line = time.monotonic()
        self.stopped = threading.Event()
        self.bar: Any = None
        terminal = console(stderr=True)
        if terminal.is_terminal and not quiet:
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TimeElapsedColumn(),
            )
            self.bar = Progress(*columns, console=terminal, transient=True)
            self.task = self.bar.add_task(self.status(), total=total)

    def __enter__(self) -> Display:
        if self.bar:
            self.bar.start()
        self.ticker = threading.Thread(target=self._tick, daemon=True)
        self.ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        self.ticker.join()
        if self.bar:
            self.bar.stop()

    def begin(self, cell: str, group: str) -> None:
        """A cell has started."""
        with self.lock:
            self.running[cell] = (group, time.monotonic())

    def end(self, cell: str, note: str = "", seconds: tuple[float, float] | None = None, done: bool = True) -> None:
        """A cell has ended.

        Args:
            cell: Its name.
            note: Shown beside the name (`kept`, `failed`).
            seconds: What it took, and what of that was its own, where it was computed.
            done: False when it only steps back for another.
        """
        with self.lock:
            group, _ = self.running.pop(cell, ("", 0.0))
            if seconds and group in self.groups:
                self.groups[group].total.append(seconds[0])
                self.groups[group].own.append(seconds[1])
            elif done and group in self.groups:
                self.groups[group].cells -= 1  # failed: it tells nothing of the others
            self.done += done
        if done:
            self._show(f"{self._short(cell)}  {f'({note}) ' if note else ''}")

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Room for a report between two cells."""
        if self.bar:
            self.bar.stop()
        yield
        if self.bar:
            self.bar.start()

    def status(self) -> str:
        """`mexa 3/60  keep_sink seed 0  4 min left`: what runs, and how long it will take."""
        return f"{self.name} {self.done}/{self.total}  {self._names()}  {self.left()}"

    def _names(self) -> str:
        running = list(self.running)
        more = f" and {len(running) - 3} more" if len(running) > 3 else ""
        return ", ".join(map(self._short, running[:3])) + more

    def _short(self, cell: str) -> str:
        return cell.removeprefix(f"{self.name} ")

    def left(self) -> str:
        """`4 min left`."""
        now = time.monotonic()
        for name, group in self.groups.items():
            group.running = [now - began for of, began in list(self.running.values()) if of == name]
        return f"{clock(seconds_left(list(self.groups.values()), self.jobs))} left"

    def _show(self, what: str) -> None:
        if self.bar:
            self.bar.update(self.task, completed=self.done, description=self.status())
            return
        with self.lock:
            self.last_line = time.monotonic()
            line = printable(f"{self.name} {self.done}/{self.total}  {what}{self.left()}")
            print(line, file=sys.stderr, flush=True)

    def _tick(self) -> None:
        while not self.stopped.wait(0.5):
            if self.bar:
                self.bar.update(self.task, description=self.status())
            elif time.monotonic() - self.last_line > LINE_EVERY and self.running:
                self._show(f"{self._names()} still running  ")
