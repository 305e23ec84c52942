"""Transliterate, merge, initialise: a multilingual encoder reads romanised text without training.

An XLM-R-like model knows `▁привет` and not `▁privet`, which its Unigram tokenizer cuts into fragments whose vectors
have nothing to do with a greeting. TransMI (Liu et al. 2024) adds to vocabulary and embedding matrix the image of
every piece under a romaniser `t`:

    r_i    = strip(t(p_i))                                     transliterate all pieces p_i
    N      = {r_i} - {p_i} - {""}                              the new pieces
    src(r) = {i : r_i = r}                                     where a new piece comes from (several may collide)
    s(r)   = max, min or mean of s_i over src(r)               merge: its Unigram log-probability
    E(r)   = E[argmax s_i], E[argmin s_i] or mean of E[i]      initialise: its embedding

Romanised text can then be cut into the images of the pieces that its original is cut into, with the same vectors. Old
pieces keep score and row; but new ones are Latin and compete in every segmentation, so text in Latin script may be cut
differently. A transliteration that already is a piece is left alone.

    model, tokenizer, new = adapt(model, tokenizer, "uroman", mode="max")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.errors import UserError
from core.models.vocabulary import resize_embeddings, unigram_vocabulary, with_unigram_vocabulary
from core.text.romanize import Romanizer, resolve

MergeMode = Literal["max", "min", "average"]


@dataclass(frozen=True)
class NewPiece:
    """A piece that the vocabulary lacks: a transliteration r."""

    piece: str
    score: float
    """s(r), its Unigram log-probability."""
    sources: tuple[int, ...]
    """src(r), increasing: ids of the pieces that it is the transliteration of."""
    rows: tuple[int, ...]
    """Ids of the embedding rows that it is initialised from: one of the sources, or all of them."""


class Adapted(NamedTuple):
    """The model, its tokenizer, and the pieces that both have gained."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    new: list[NewPiece]


def transliterate(
    pieces: Sequence[str], romanize: Callable[[str], str], select: Callable[[str], bool] | None = None
) -> tuple[list[str], list[str]]:
    """r_i = strip(t(p_i)) for every entry of a vocabulary, special tokens included.

    The word-start mark `▁` is part of the piece and has to survive the romaniser, otherwise new pieces match in the
    middle of words only. Pieces that `select` refuses keep their spelling, as do those on which the romaniser raises;
    these are returned too.
    """
    romanized, unreadable = [], []
    for piece in pieces:
        try:
            romanized.append(romanize(piece).strip() if select is None or select(piece) else piece)
        except Exception:  # whatever a foreign romaniser raises: one piece must not end the adaptation
            romanized.append(piece)
            unreadable.append(piece)
    return romanized, unreadable


def merge(
    pieces: Sequence[str],
    scores: Sequence[float],
    romanized: Sequence[str],
    mode: MergeMode = "max",
    *,
    compat_official: bool = False,
) -> list[NewPiece]:
    """N with scores and rows, by score, descending; equal scores stay in the order of their first source.

    `compat_official` takes the rows of the first (max) or last (min) source in vocabulary order, which have the best
    and the worst score only in a vocabulary that is sorted by score (XLM-R's is, Glot500's is not).

    Args:
        pieces: p_i by id; `scores` and `romanized` hold s_i and r_i likewise.
        mode: How scores and rows of colliding sources become one.
    """
    known = set(pieces)
    sources: dict[str, list[int]] = {}
    for index, text in enumerate(romanized):
        if text and text not in known:
            sources.setdefault(text, []).append(index)
    new = [_merged(text, ids, scores, mode, compat_official) for text, ids in sources.items()]
    return sorted(new, key=lambda piece: -piece.score)


def _merged(piece: str, ids: list[int], scores: Sequence[float], mode: MergeMode, compat_official: bool) -> NewPiece:
    values = [scores[index] for index in ids]
    if mode == "average":
        return NewPiece(piece, sum(values) / len(values), tuple(ids), tuple(ids))
    best = max(values) if mode == "max" else min(values)
    # Ties go to the end of the vocabulary order that the mode looks from, as in a vocabulary sorted by score.
    ordered = ids if mode == "max" else ids[::-1]
    row = ordered[0] if compat_official else next(index for index in ordered if scores[index] == best)
    return NewPiece(piece, best, tuple(ids), (row,))


def initialize(
    embeddings: Float[Tensor, "old width"], new: Sequence[NewPiece], *, compat_official: bool = False
) -> Float[Tensor, "new width"]:
    """E(r): the row of the chosen source, or the mean of all sources' (`compat_official`: their sum)."""
    counts = torch.tensor([len(piece.rows) for piece in new], dtype=torch.long, device=embeddings.device)
    ids = torch.tensor([row for piece in new for row in piece.rows], dtype=torch.long, device=embeddings.device)
    owner = torch.repeat_interleave(torch.arange(len(new), device=embeddings.device), counts)
    # In float32: the sum of many rows in bf16 would lose what distinguishes them.
    total = embeddings.new_zeros((len(new), embeddings.shape[1]), dtype=torch.float32)
    total.index_add_(0, owner, embeddings[ids].float())
    return (total if compat_official else total / counts[:, None]).to(embeddings.dtype)


def random_rows(embeddings: Float[Tensor, "old width"], count: int, *, seed: int = 0) -> Float[Tensor, "count width"]:
    """Rows from N(0, std(E)²), which keep the segmentation and take the vectors away: what has to fail."""
    noise = torch.randn(count, embeddings.shape[1], generator=torch.Generator().manual_seed(seed))
    return (noise * embeddings.float().std().cpu()).to(embeddings)


def extend_tokenizer(tokenizer: PreTrainedTokenizerBase, new: Sequence[NewPiece]) -> PreTrainedTokenizerBase:
    """A tokenizer whose Unigram model has the new pieces, appended but for `<mask>`, which stays last.

    They go *into* the segmentation model and compete by their scores, which are not renormalised. `add_tokens` would
    match them before segmentation, in the middle of words.
    """
    vocabulary = unigram_vocabulary(tokenizer)
    end = len(vocabulary) - (vocabulary[-1][0] == tokenizer.mask_token)
    added = [(piece.piece, piece.score) for piece in new]
    return with_unigram_vocabulary(tokenizer, [*vocabulary[:end], *added, *vocabulary[end:]])


@torch.no_grad()
def adapt(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    romanize: Romanizer = "uroman",
    mode: MergeMode = "max",
    *,
    compat_official: bool = False,
    rows: Literal["sources", "random"] = "sources",
    seed: int = 0,
    select: Callable[[str], bool] | None = None,
    romanized: Sequence[str] | None = None,
) -> Adapted:
    """TransMI: give a model with a Unigram tokenizer the transliterations of its own vocabulary.

    Args:
        model: Any model with input embeddings (XLM-R, Glot500, e5, with or without a masked-LM head). It is changed in
            place, as `resize_token_embeddings` does.
        tokenizer: Its tokenizer, of SentencePiece's Unigram kind: new pieces take scores from old ones. Not changed.
        romanize: `uroman`, a table, or any function from text to text. Use the same one for the text to be read.
        mode: What to do with pieces that share a transliteration.
        compat_official: Sums and vocabulary order, as in the official code (see :func:`merge`, :func:`initialize`).
        rows: `random` takes :func:`random_rows` with `seed` instead.
        seed: Of the random rows.
        select: Which pieces to transliterate; all by default.
        romanized: The transliterations of all pieces by id, where they are known already.

    Old pieces keep score, row and output bias; `<mask>` stays last and takes its row and bias along.

    Raises:
        UserError: The tokenizer is not of the Unigram kind, `romanized` does not fit, or nothing is new.
    """
    vocabulary = unigram_vocabulary(tokenizer)
    pieces, scores = [piece for piece, _ in vocabulary], [score for _, score in vocabulary]
    if romanized is None:
        romanized, _ = transliterate(pieces, resolve(romanize, pieces=True), select)
    if len(romanized) != len(pieces):
        raise UserError(f"{len(romanized)} transliterations for {len(pieces)} pieces: give one for each piece.")
    new = merge(pieces, scores, romanized, mode, compat_official=compat_official)
    if not new:
        raise UserError(
            "The romanised vocabulary has no entry that is not there already: the model was adapted before, or the "
            "romaniser changes nothing."
        )
    embeddings: Any = model.get_input_embeddings().weight
    if rows == "random":
        fresh = random_rows(embeddings, len(new), seed=seed)
    else:
        fresh = initialize(embeddings, new, compat_official=compat_official)
    extended = extend_tokenizer(tokenizer, new)
    # By token string, never by position: <mask> and tokens added outside the model have moved.
    old, added = tokenizer.get_vocab(), {piece.piece: row for piece, row in zip(new, fresh, strict=True)}
    tokens = sorted(extended.get_vocab().items(), key=lambda item: item[1])
    resize_embeddings(model, [old[token] if token in old else added[token] for token, _ in tokens])
    return Adapted(model, extended, new)
