"""One stream from several sources, with the share of *tokens* that each is to have.

    for source, document in mix({"en": english, "code": code}, {"en": 2 / 3, "code": 1 / 3}, 1e6, seed=0): ...

The next document always comes from the source that is furthest behind its budget, so that every beginning of the stream
has the shares, up to a document per source. Drawing documents by the same weights would drift with their lengths: code
files and web pages are a hundred times longer than sentence pairs. How much of each language there should be is
:mod:`core.text.sampling`'s.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Literal, TypeVar

import numpy as np

from core.errors import UserError

T = TypeVar("T")
Accounting = Literal["tokens", "documents"]
Documents = Sequence[T] | Callable[[], Iterable[T]]


def mix(
    documents: Mapping[str, Documents[T]],
    shares: Mapping[str, float],
    total: float,
    length: Callable[[T], int] = len,  # type: ignore[assignment]
    *,
    seed: int = 0,
    accounting: Accounting = "tokens",
) -> Iterator[tuple[str, T]]:
    """(source, document) up to `total` tokens; a source smaller than its part is repeated in a new order.

    Args:
        documents: By source, see :func:`cycle`.
        shares: Weights of the sources that take part; they need not sum to 1.
        total: Tokens in all.
        length: Tokens of a document; by default its length (a list of token ids).
        seed: Of the orders.
        accounting: See :func:`interleave`.

    Raises:
        UserError: No positive share, or one for a source that is not there.
    """
    wanted = {name: share for name, share in shares.items() if share > 0}
    if not wanted or not wanted.keys() <= documents.keys():
        raise UserError(f"Shares {dict(shares)} need a source each, and one of them has to be positive.")
    whole = math.fsum(wanted.values())
    streams = {name: cycle(documents[name], length, seed, name) for name in wanted}
    return interleave(streams, {name: total * share / whole for name, share in wanted.items()}, accounting)


def interleave(
    streams: MutableMapping[str, Iterator[tuple[int, T]]],
    budgets: Mapping[str, float],
    accounting: Accounting = "tokens",
) -> Iterator[tuple[str, T]]:
    """Documents of several sources in one stream with the wanted share of each.

    With `tokens`, the paper's unit, a source ends when one more document would bring it further from its budget. With
    `documents` (an ablation: what a sampler that forgets the documents' lengths does) sources take turns by document
    until the whole budget is spent.

    Args:
        streams: Per source an iterator of (tokens, document). One that ends early is left; a document that came out of
            a stream and found no room goes back to it.
        budgets: Positive numbers of tokens; streams without one are not read.
        accounting: What a share counts.

    Yields:
        Source and document.
    """
    behind = [(0.0, order, name) for order, name in enumerate(budgets)]
    tokens, turns, whole = dict.fromkeys(budgets, 0), dict.fromkeys(budgets, 0), math.fsum(budgets.values())
    while behind:
        _, order, name = heapq.heappop(behind)
        drawn = next(streams[name], None)
        if drawn is None:
            continue
        length, document = drawn
        spent, limit = (tokens[name], budgets[name]) if accounting == "tokens" else (sum(tokens.values()), whole)
        if spent + length / 2 > limit:
            streams[name] = itertools.chain([drawn], streams[name])
            continue
        yield name, document
        tokens[name] += length
        turns[name] += 1
        progress = tokens[name] if accounting == "tokens" else turns[name]
        heapq.heappush(behind, (progress / budgets[name], order, name))


def cycle(
    documents: Documents[T], length: Callable[[T], int], seed: int, name: str = "", buffer: int = 10_000
) -> Iterator[tuple[int, T]]:
    """(tokens, document) of a source without end, in a new random order every epoch; empty documents are left out.

    Args:
        documents: A sequence, or a function that opens the source anew.
        length: Tokens of a document.
        seed: Together with the name it decides the order.
        name: Of the source.
        buffer: So many documents are held and shuffled at a time; the order of a smaller source is random as a whole.
    """
    generator = np.random.default_rng([seed, *name.encode()])
    found = True
    while found:
        found = False
        opened = iter(documents() if callable(documents) else documents)
        while part := list(itertools.islice(opened, buffer)):
            for index in generator.permutation(len(part)).tolist():
                if tokens := length(part[index]):
                    found = True
                    yield tokens, part[index]
