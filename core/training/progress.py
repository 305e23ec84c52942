"""How training shows itself: a bar on a terminal, plain lines elsewhere, throughput in both."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from core.distributed import is_main

WARM_UP = 3  # steps that are left out of the throughput: allocation, compilation
LINE_EVERY = 10.0  # seconds between two plain lines


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


class Display:
    """A progress bar with loss, throughput and time left; on anything but a terminal, a line now and then."""

    def __init__(self, total: int, name: str, quiet: bool, done: int = 0):
        self.total, self.name, self.done = total, name, done
        self.last_line = time.monotonic()
        self.bar: Any = None
        if is_main() and not quiet:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            console = Console(stderr=True)
            if console.is_terminal:
                left = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
                right = (TextColumn("{task.fields[note]}"), TimeRemainingColumn())
                self.bar = Progress(*left, *right, console=console, transient=True)
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
        if self.bar:
            self.bar.update(self.task, completed=step)

    def note(self, step: int, values: Mapping[str, float], tokens_per_second: float) -> None:
        """Show the latest numbers."""
        text = " ".join(f"{key} {value:.4g}" for key, value in values.items())
        if not math.isnan(tokens_per_second):
            text += f" {tokens_per_second:,.0f} tokens/s"
        if self.bar:
            self.bar.update(self.task, note=text)
        elif is_main() and (time.monotonic() - self.last_line > LINE_EVERY or step == self.total):
            self.last_line = time.monotonic()
            print(f"{self.name}: step {step}/{self.total} {text}", flush=True)
