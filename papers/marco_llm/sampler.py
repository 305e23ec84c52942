"""From tokens to documents: the stream that a plan asks for, in the order in which a model reads it.

    for stage, source, document in sample(plan, documents, seed=0): ...

Shares are shares of *tokens*: the next document always comes from the source that is furthest behind its budget, so
that every beginning of a stage has the shares, up to a document per source. Drawing documents by the same weights would
drift with the documents' lengths.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Literal, TypeVar

import numpy as np

from papers.marco_llm.method import Plan

T = TypeVar("T")
Accounting = Literal["tokens", "documents"]
Documents = Sequence[T] | Callable[[], Iterable[T]]


def sample(
    plan: Plan,
    documents: Mapping[str, Documents[T]],
    length: Callable[[T], int] = len,  # type: ignore[assignment]
    *,
    seed: int = 0,
    accounting: Accounting = "tokens",
) -> Iterator[tuple[int, str, T]]:
    """The documents of all stages, in order, as (number of the stage from 1, source, document).

    A later stage goes on in a source's order where the earlier one stopped, so nothing is repeated before all is seen.

    Args:
        plan: Tokens of each source in each stage.
        documents: By source, see :func:`cycle`.
        length: Tokens of a document; by default its length (a list of token ids).
        seed: Of the orders.
        accounting: See :func:`interleave`.
    """
    streams = {
        use.source.name: cycle(documents[use.source.name], length, seed, use.source.name)
        for use in plan.totals
        if use.tokens > 0
    }
    for number, stage in enumerate(plan.stages, start=1):
        budgets = {use.source.name: use.tokens for use in stage.uses if use.tokens > 0}
        for name, document in interleave(streams, budgets, accounting):
            yield number, name, document


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
