"""Bilingual lexicon induction by CSLS: the search in parts, against all pairs at once and against the official script.

CSLS asks for the ten nearest of *every* word of the other language, so that all pairs are multiplied either way. The
plain way holds the cosines of all pairs. The official script of the Sinhala alignment (that of RCSLS) goes in parts of
1,024 words, in float64, and partitions them; at 200,000 words in either vocabulary both are timed on some of the words,
of which each costs the same.
"""

from __future__ import annotations

import numpy as np

from benchmarks.common import Comparison, compare

WORDS, QUERIES, WIDTH, TOP = 15_000, 1500, 300, 10
ALL, SOME, PART = 200_000, 4096, 1024


def measure() -> list[Comparison]:
    """Queries or words per second; the best words, and the means that CSLS takes off, have to agree."""
    return [against_all_pairs(), against_the_script()]


def space(words: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of length 1 in two languages."""
    rng = np.random.default_rng(0)
    meaning = rng.normal(size=(words, WIDTH)).astype(np.float32)
    noisy = [meaning + rng.normal(size=meaning.shape).astype(np.float32) for _ in range(2)]
    one, other = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in noisy)
    return one, other


def against_the_script() -> Comparison:
    """How near each word is to the other language, of 200,000 words."""
    from core.tasks.lexicon import hubness

    sources, targets = space(ALL)
    doubles, found = sources.astype(np.float64), {}

    def ours() -> None:
        found["ours"] = hubness(targets[:SOME], sources, TOP).numpy()

    def instead() -> None:
        parts = (targets[start : start + PART].astype(np.float64) @ doubles.T for start in range(0, SOME, PART))
        found["script"] = np.concatenate([np.partition(part, -TOP, axis=1)[:, -TOP:].mean(1) for part in parts])

    row = compare(
        f"CSLS over {ALL:,} words: in parts / the official script's way",
        ours,
        instead,
        work=SOME,
        unit="words/s",
        expected="10",
        note=f"width {WIDTH}, {SOME} words against all; ours holds 0.5 GB of scores, the script "
        f"{8 * PART * ALL / 1e9:.1f} GB twice, all pairs at once {4 * ALL**2 / 1e9:.0f} GB; both multiply every pair, "
        "which most of our time is",
        repeats=2,
    )
    worst = float(np.abs(found["ours"] - found["script"]).max())
    if worst > 1e-4:
        raise RuntimeError(f"the means differ by {worst}")
    return row


def against_all_pairs() -> Comparison:
    """The best words of some queries."""
    from core.tasks.lexicon import Space

    sources, targets = space(WORDS)
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
    return Comparison(**{**row.to_json(), "note": f"{row.note}; {agree:.2%} of the best words agree"})
