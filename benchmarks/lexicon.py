"""Bilingual lexicon induction by CSLS: the search in parts, against the product of all pairs at once.

Both find the ten best words of each query, and CSLS asks for the ten nearest of *every* word. The plain way, which the
official code takes too (there in float64), holds the cosines of all pairs and partitions them.
"""

from __future__ import annotations

import numpy as np

from benchmarks.common import Comparison, compare

WORDS, QUERIES, WIDTH, TOP = 15_000, 1500, 300, 10


def measure() -> list[Comparison]:
    """Queries per second; the best words have to agree."""
    from core.tasks.lexicon import Space

    rng = np.random.default_rng(0)
    meaning = rng.normal(size=(WORDS, WIDTH))
    sources, targets = (
        side / np.linalg.norm(side, axis=1, keepdims=True)
        for side in ((meaning + rng.normal(size=meaning.shape)).astype(np.float32) for _ in range(2))
    )
    found: dict[str, np.ndarray] = {}

    def ours() -> None:
        found["ours"] = Space(targets, sources).nearest(sources[:QUERIES], TOP).places.numpy()

    def instead() -> None:
        cosine = sources @ targets.T
        near = np.partition(cosine, -TOP, axis=0)[-TOP:].mean(0)
        found["all pairs"] = np.argsort(near - 2 * cosine[:QUERIES], axis=1)[:, :TOP]

    row = compare(
        "lexicon induction by CSLS: in parts / all pairs at once",
        ours,
        instead,
        work=QUERIES,
        unit="queries/s",
        expected="2",
        note=f"{WORDS} words in either vocabulary, width {WIDTH}, {QUERIES} queries, float32; ours holds 0.5 GB of "
        f"scores at most, the other {4 * WORDS**2 / 1e9:.1f} GB twice",
    )
    agree = float((found["ours"][:, 0] == found["all pairs"][:, 0]).mean())
    if agree < 0.999:
        raise RuntimeError(f"the best words differ: {agree:.4f} agree")
    return [Comparison(**{**row.to_json(), "note": f"{row.note}; {agree:.2%} of the best words agree"})]
