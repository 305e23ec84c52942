"""Peak memory of the cross-entropy over a vocabulary of 250,000: chunked against all logits at once.

Each runs in a process of its own, forward and backward, and reports by how much its resident memory grew over that of
the inputs and their gradients.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from benchmarks.common import Comparison

TOKENS, WIDTH, VOCABULARY, REPEATS = 3072, 384, 250_000, 2

PROGRAM = """
import json, re, time, torch
from core.training.losses import linear_cross_entropy
torch.manual_seed(0)
hidden = torch.randn({tokens}, {width}, requires_grad=True)
weight = torch.randn({vocabulary}, {width}).mul_(0.02).requires_grad_()
targets = torch.randint(0, {vocabulary}, ({tokens},))
hidden.grad, weight.grad = torch.zeros_like(hidden), torch.zeros_like(weight)
# Not getrusage's maximum, which a process inherits from the one that started it.
peak = lambda: 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before, started = peak(), time.perf_counter()
loss = linear_cross_entropy(hidden, weight, targets, kind={kind!r})
loss.backward()
print(json.dumps([peak() - before, time.perf_counter() - started, loss.item()]))
"""


def measure() -> list[Comparison]:
    """Bytes, as the ratio chunked to plain; the losses have to agree."""
    runs = [(run("chunked"), run("plain")) for _ in range(REPEATS)]
    ratios = [chunked[0] / plain[0] for chunked, plain in runs]
    difference = max(abs(chunked[2] - plain[2]) / plain[2] for chunked, plain in runs)
    if difference > 1e-5:
        raise RuntimeError(f"the losses differ by {difference}")
    times = [plain[1] / chunked[1] for chunked, plain in runs]
    return [
        Comparison(
            name="memory of cross-entropy: chunked / plain",
            ours=statistics.median(chunked[0] for chunked, _ in runs) / 1e6,
            instead=statistics.median(plain[0] for _, plain in runs) / 1e6,
            unit="MB over the inputs",
            ratio=statistics.median(ratios),
            expected="0.2 or less",
            note=f"{TOKENS} tokens, width {WIDTH}, vocabulary {VOCABULARY}; {statistics.median(times):.1f} x as fast",
            low=min(ratios),
            high=max(ratios),
        )
    ]


def run(kind: str) -> tuple[float, float, float]:
    """Growth of the peak in bytes, seconds, and the loss, in a fresh process."""
    program = PROGRAM.format(tokens=TOKENS, width=WIDTH, vocabulary=VOCABULARY, kind=kind)
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    grown, seconds, loss = json.loads(result.stdout)
    return grown, seconds, loss
