"""From tokens to documents: the stream that a plan asks for, in the order in which a model reads it.

    for stage, source, document in sample(plan, documents, seed=0): ...

Shares are shares of *tokens*, which every beginning of a stage has (:mod:`core.corpora.mixture`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from core.corpora.mixture import Accounting, Documents, cycle, interleave
from papers.marco_llm.method import Plan

T = TypeVar("T")


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
