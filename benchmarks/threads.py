"""How threads wait for one another: what our commands choose against what the libraries do, alone and beside others.

    uv run nox -s bench -- threads

A forward pass of SmolLM2-135M, in processes of their own, since the choice is read once when torch is loaded. Beside it
either nothing computes, or another process keeps one core busy. Meant for a machine that does nothing else: on a loaded
one the row "alone" is not alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.common import Comparison
from core.experiment.threads import CHOSEN, COUNTS, WAITING, cores, settle

ROWS, LENGTH, PASSES, REPEATS = 2, 64, 3, 2

PROGRAM = f"""
import json, time, torch
from core.models.loading import load
model, _ = load("wheel:smollm2")
ids = torch.arange({ROWS * LENGTH}).view({ROWS}, {LENGTH})
seconds = []
with torch.inference_mode():
    for _ in range({PASSES + 1}):
        started = time.perf_counter()
        model.base_model(ids)
        seconds.append(time.perf_counter() - started)
print(json.dumps(seconds[1:]))
"""
SPIN = "while True: pass"


def measure() -> list[Comparison]:
    """Tokens a second, alone and busy, each as the ratio of our choice to the libraries' and to a single thread."""
    libraries = {name: value for name, value in os.environ.items() if name not in (CHOSEN, *COUNTS, *WAITING)}
    ours, single = dict(libraries), dict(libraries)
    settle(ours)
    settle(single, threads=1)
    rows = []
    for place, others in (("alone", 0), ("one core busy", 1)):
        with busy(others):
            runs = [(speed(ours), speed(libraries), speed(single)) for _ in range(REPEATS)]
        for column, name in ((1, "as the libraries wait"), (2, "one thread")):
            ratios = [run[0] / run[column] for run in runs]
            rows.append(
                Comparison(
                    name=f"threads, {place}: asleep while they wait / {name}",
                    ours=statistics.median(run[0] for run in runs),
                    instead=statistics.median(run[column] for run in runs),
                    unit="tokens/s",
                    ratio=statistics.median(ratios),
                    expected="no less than 0.95" if column == 1 and not others else "above 1",
                    note=f"SmolLM2-135M forward, {ROWS} rows of {LENGTH}, {cores()} threads on {cores()} cores",
                    low=min(ratios),
                    high=max(ratios),
                )
            )
    return rows


def speed(environment: dict[str, str]) -> float:
    """Tokens a second in a fresh process."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    return ROWS * LENGTH / statistics.median(json.loads(result.stdout))


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """Other processes that compute without end."""
    others = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()
