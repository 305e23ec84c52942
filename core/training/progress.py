"""How training shows itself: a bar on a terminal, plain lines elsewhere, throughput in both."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from core.distributed import is_main
from core.experiment.progress import clock
from core.printing import console

T = TypeVar("T")
WARM_UP = 3  # steps that are left out of the throughput: allocation, compilation
LINE_EVERY = 10.0  # seconds between two plain lines
RECENT = 20  # steps from which the time left is estimated


@dataclass
class Meter:
    """Time and work of every step, evaluation and checkpoints excluded."""

    seconds: list[float] = field(default_factory=list)
    work: list[tuple[float, float, float]] = field(default_factory=list)  # tokens, labels, squared lengths

    def add(self, seconds: float, tokens: float, labels: float, squares: float) -> None:
        """Note one step, over all ranks."""
        self.seconds.append(seconds)
        self.work.append((tokens, labels, squares))

    def rates(self, last: int = 0) -> tuple[float, float, float]:
        """Tokens and labels per second, and mean attended length, of the last steps (0 = all) after the warm-up."""
        start = min(WARM_UP, len(self.seconds) - 1)
        start = max(start, len(self.seconds) - last) if last else start
        elapsed = sum(self.seconds[start:])
        if not elapsed:
            return math.nan, math.nan, math.nan
        tokens, labels, squares = (sum(column) for column in zip(*self.work[start:], strict=True))
        return tokens / elapsed, labels / elapsed, squares / tokens if tokens else math.nan


def seconds_left(steps: int, recent: Sequence[float], age: float) -> float | None:
    """Seconds until the last step is done, or None before the first.

    Args:
        steps: Steps that are left, the one under way included.
        recent: Seconds of the latest steps, with the evaluations and checkpoints between them.
        age: Seconds since the step under way began; as soon as it is late, it slows down what is expected of the rest.
    """
    if not recent:
        return None
    each = sum(recent) / len(recent)
    if age > each:
        each = (sum(recent) + age) / (len(recent) + 1)
    return max(0.0, each - age) + each * (steps - 1) if steps else 0.0


def tracked(items: Iterable[T], total: int, name: str, quiet: bool) -> Iterator[T]:
    """The items one by one, with a bar (:class:`Display`) that moves when the next one is asked for."""
    with Display(total, name, quiet) as display:
        for done, item in enumerate(items, start=1):
            yield item
            display.step(done)


class Display:
    """A progress bar with loss, throughput and time left; on anything but a terminal, a line now and then."""

    def __init__(self, total: int, name: str, quiet: bool, done: int = 0):
        self.total, self.name, self.done = total, name, done
        self.last_line = self.last_step = time.monotonic()
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.bar: Any = None
        if is_main() and not quiet:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
            from rich.text import Text

            class Left(ProgressColumn):
                """Asked several times a second, so that a step that hangs shows."""

                def render(_, task: Any) -> Text:
                    return Text(self.left())

            terminal = console(stderr=True)
            if terminal.is_terminal:
                left = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
                right = (TextColumn("{task.fields[note]}", markup=False), Left())
                self.bar = Progress(*left, *right, console=terminal, transient=True)
                self.task = self.bar.add_task(name, total=total, completed=done, note="")

    def __enter__(self) -> Display:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar.stop()

    def step(self, step: int) -> None:
        """Move the bar."""
        now = time.monotonic()
        self.recent.append((now - self.last_step) / max(1, step - self.done))
        self.done, self.last_step = step, now
        if self.bar:
            self.bar.update(self.task, completed=step)

    def left(self) -> str:
        """`4 min left`."""
        age = time.monotonic() - self.last_step
        return f"{clock(seconds_left(self.total - self.done, self.recent, age))} left"

    def note(self, step: int, values: Mapping[str, float], tokens_per_second: float) -> None:
        """Show the latest numbers."""
        text = " ".join(f"{key} {value:.4g}" for key, value in values.items())
        if not math.isnan(tokens_per_second):
            text += f" {tokens_per_second:,.0f} tokens/s"
        if self.bar:
            self.bar.update(self.task, note=text)
        elif is_main() and (time.monotonic() - self.last_line > LINE_EVERY or step == self.total):
            self.last_line = time.monotonic()
            print(f"{self.name}: step {step}/{self.total} {text}, {self.left()}", flush=True)
