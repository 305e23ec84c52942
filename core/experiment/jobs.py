"""Cells of a grid side by side: which comes next, what became of it, and the progress over all.

    for slug in compute(cells, jobs=4): ...      # slug after slug, as soon as all of its cells have ended

What several cells share is built by the first that needs it; the others do something else meanwhile.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import sys
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.experiment.progress import Display, Group
from core.experiment.threads import cores
from core.experiment.workers import POLL, Cell, Executor, Here, Reply, Worker, workers
from core.printing import printable


class Board:
    """Which cell comes next. Safe for several threads.

    A cell that finds a shared stage being built steps back and another one is taken; where one variant stepped back,
    its other seeds come last, since they need the same most often. What stepped back is tried again when the stage is
    there, when a cell has failed (it may have been the builder), or when nothing else runs: then it waits.
    """

    def __init__(self, cells: Sequence[Cell]):
        self.todo = list(cells)
        self.held: dict[Cell, str] = {}
        self.running: set[Cell] = set()
        self.stopped = False
        self.changed = threading.Condition()

    def take(self) -> tuple[Cell, bool] | None:
        """The next cell and whether it should wait for others; None when there is nothing left to do."""
        with self.changed:
            while self.todo and not self.stopped:
                ready = [cell for cell in self.todo if cell not in self.held or _is_there(self.held[cell])]
                if ready or not self.running:
                    reluctant = {(cell.slug, cell.variant) for cell in self.held}
                    cell = min(ready or self.todo, key=lambda cell: (cell.slug, cell.variant) in reluctant)
                    self.todo.remove(cell)
                    self.held.pop(cell, None)
                    self.running.add(cell)
                    return cell, not ready or not self.todo
                self.changed.wait(POLL)
            return None

    def give(self, cell: Cell, reply: Reply) -> None:
        """Note what became of a cell that was taken."""
        with self.changed:
            self.running.discard(cell)
            if reply.state == "held":
                self.todo.append(cell)
                self.held[cell] = reply.held
            elif reply.state == "failed":
                self.held.clear()
            self.changed.notify_all()

    def stop(self) -> None:
        """Nothing more is taken."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()


def _is_there(stage: str) -> bool:
    return bool(stage) and Path(stage).exists()


def compute(
    cells: Sequence[Cell],
    expected: Mapping[tuple[str, str], float],
    failures: dict[Cell, Reply],
    *,
    jobs: int = 1,
    threads: int | None = None,
    executor: Executor = "here",
    options: Mapping[str, str] | None = None,
    quiet: bool = False,
    debug: bool = False,
) -> Generator[str, None, None]:
    """Compute the cells that are not finished; a failure does not keep the others from going on.

    Args:
        cells: What to compute, of one or several papers; those of a paper in the order in which they should begin.
        expected: Seconds of a cell by paper and variant, where known.
        failures: Filled with what failed.
        jobs: Cells side by side.
        threads: Threads of each; by default the cores are divided. They do not grow when few cells are left, since
            another number of threads can change the last digits.
        executor: Where: in processes of this machine, or as jobs.
        options: Of the executor.
        quiet: Plain lines instead of a bar.
        debug: Show the traceback of every failure.

    Yields:
        The slug of a paper when all of its cells have ended.

    Raises:
        KeyboardInterrupt: After all workers have stopped.
    """
    slugs = list(dict.fromkeys(cell.slug for cell in cells))
    kept = {cell: content for cell in cells if (content := cell.finished())}
    todo = [cell for cell in cells if cell not in kept]
    board, groups = Board(todo), _groups(todo, kept, expected)
    threads = threads or max(1, cores() // jobs)
    crew = workers(executor, jobs, threads, Path(todo[0].out), options or {})[: len(todo)] if todo else []
    title = slugs[0] if len(slugs) == 1 else f"{len(slugs)} papers"
    unfinished = {slug: sum(cell.slug == slug for cell in cells) for slug in slugs}
    with Display(title, len(cells), groups, len(crew), quiet) as display:
        try:
            for cell, reply in itertools.chain(((cell, None) for cell in kept), _replies(crew, board, display)):
                if reply and reply.state == "failed":
                    failures[cell] = reply
                    if debug:
                        print(printable(reply.trace), file=sys.stderr)
                if reply is None:
                    display.end(_name(cell), "kept")
                unfinished[cell.slug] -= 1
                if not unfinished[cell.slug]:
                    with display.paused():
                        yield cell.slug
        finally:
            board.stop()
            stopping = [threading.Thread(target=worker.stop) for worker in crew]
            for thread in stopping:
                thread.start()
            for thread in stopping:
                thread.join()


def _groups(
    todo: Sequence[Cell], kept: Mapping[Cell, Mapping[str, Any]], expected: Mapping[tuple[str, str], float]
) -> dict[str, Group]:
    """What is to be computed, by paper and variant; earlier cells of a variant say best what another one takes."""
    earlier: dict[str, list[float]] = {}
    for cell, content in kept.items():
        earlier.setdefault(_group(cell), []).append(content["seconds"] - content["stages"])
    groups: dict[str, Group] = {}
    for cell in todo:
        group = groups.setdefault(_group(cell), Group(0))
        known = earlier.get(_group(cell))
        group.cells += 1
        group.expected += sum(known) / len(known) if known else expected.get((cell.slug, cell.variant), 0.0)
    return groups


def _group(cell: Cell) -> str:
    return f"{cell.slug} {cell.variant}"


def _name(cell: Cell) -> str:
    return f"{cell.slug} {cell}"


def _replies(crew: Sequence[Worker], board: Board, display: Display) -> Iterator[tuple[Cell, Reply]]:
    """Every cell of the board with what became of it, as they end."""
    if len(crew) == 1 and isinstance(crew[0], Here):
        yield from _work(crew[0], board, display)
        return
    ended: queue.SimpleQueue[tuple[Cell, Reply] | Exception] = queue.SimpleQueue()

    def serve(worker: Worker) -> None:
        try:
            for entry in _work(worker, board, display):
                ended.put(entry)
        except Exception as error:
            ended.put(error)

    missing = len(board.todo)
    for worker in crew:
        threading.Thread(target=serve, args=(worker,), daemon=True).start()
    while missing:
        with contextlib.suppress(queue.Empty):  # a wait without an end would not hear Ctrl-C on every system
            entry = ended.get(timeout=POLL)
            if isinstance(entry, Exception):
                raise entry
            missing -= 1
            yield entry


def _work(worker: Worker, board: Board, display: Display) -> Iterator[tuple[Cell, Reply]]:
    """What one worker does: one cell after the other, as long as there are any."""
    while taken := board.take():
        cell, wait = taken
        display.begin(_name(cell), _group(cell))
        reply = worker.run(cell, wait)
        if reply.state == "computed" and not cell.finished():
            reply = Reply("failed", error="the code or a package changed meanwhile; run the same command again")
        if board.stopped:
            return
        board.give(cell, reply)
        if reply.state == "held":
            display.end(_name(cell), done=False)
        else:
            computed = reply.state == "computed"
            display.end(_name(cell), "" if computed else "failed", (reply.seconds, reply.own) if computed else None)
            yield cell, reply
