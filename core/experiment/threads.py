"""How many threads compute and how they wait for one another, settled before torch is imported.

Threads of OpenMP that have nothing to do keep spinning for the next piece of work. On a machine of one's own that saves
a few microseconds a piece; where another program takes a core, a thread spins for a partner that is not even scheduled,
and two threads become several times slower than one. `OMP_WAIT_POLICY=PASSIVE` lets them sleep instead. What the user
has set in the environment stays as it is. `benchmarks/threads.py` measures both on an idle and on a busy machine.

The number of threads does not follow the load: it can change the last digits of a sum, and a run that resumes has to
come to the same numbers.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

# What decides how many threads the libraries start; tokenizers (Rayon) among them.
COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
# The wheels of torch for Linux carry GNU's runtime, which reads the first two; those for macOS and Windows LLVM's and
# Intel's, which read the first and the last.
# Set where we have chosen, so that a process started from here knows that the user has not.
CHOSEN = "MULTILINGUAL_PAPERS_THREADS"
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def cores() -> int:
    """Cores that this process may use: of the machine, less what affinity and a container's quota withhold."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        available = min(available, max(1, int(quota) // int(period)))  # "max" is no number: no quota
    return available


def settle(environment: MutableMapping[str, str] = os.environ, *, threads: int | None = None) -> None:
    """Choose what the user has not chosen; without effect on a process that has imported torch already.

    Args:
        environment: Of this process, or of one that is about to be started.
        threads: Threads of each library; None = what was chosen for this process by the one that started it, else as
            many as there are cores.
    """
    count = str(threads or environment.get(CHOSEN) or cores())
    if CHOSEN in environment or not any(name in environment for name in COUNTS):
        environment.update(dict.fromkeys((CHOSEN, *COUNTS), count))
    if not any(name in environment for name in WAITING):
        environment["OMP_WAIT_POLICY"] = "PASSIVE"


def share(threads: int) -> dict[str, str]:
    """The environment of each of several processes that divide the cores among them."""
    environment = dict(os.environ)
    settle(environment, threads=threads)
    return environment


def settled(environment: Mapping[str, str] = os.environ) -> str:
    """What was chosen, for the record and the first line of a long run: `1 thread each, OMP_WAIT_POLICY=PASSIVE`."""
    count = environment.get("OMP_NUM_THREADS") or str(cores())
    waiting = [f"{name}={environment[name]}" for name in WAITING if name in environment]
    return ", ".join([f"{count} thread{'' if count == '1' else 's'} each", *waiting])
