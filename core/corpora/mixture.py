"""One stream from several sources, with the share of *tokens* that each is to have.

    for source, document in mix({"en": english, "code": code}, {"en": 2 / 3, "code": 1 / 3}, 1e6, seed=0): ...

    mixture = Mixture({"en": english, "code": code}, [{"en": 2e12, "code": 1e12}, {"code": 5e11}])    # in stages
    stage, source, document = next(mixture)
    mixture.restore(position)                               # an earlier `mixture.position`: goes on from there

The next document always comes from the source that is furthest behind its budget, so that every beginning of the stream
has the shares, up to a document per source. Drawing documents by the same weights would drift with their lengths: code
files and web pages are a hundred times longer than sentence pairs. How much of each language there should be is
:mod:`core.text.sampling`'s.

Sources are read as they are needed, so that no mixture is too large: of each, `BUFFER` documents are in memory.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from core.errors import UserError

T = TypeVar("T")
Accounting = Literal["tokens", "documents"]
Documents = Sequence[T] | Callable[[], Iterable[T]]
"""A sequence, or a function that opens the source anew. Where what it opens has `skip(n)`, as a streamed
`datasets.IterableDataset` has, a restored mixture skips by it; otherwise what was read is read again."""

BUFFER = 10_000


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
        documents: By source.
        shares: Weights of the sources that take part; they need not sum to 1.
        total: Tokens in all.
        length: Tokens of a document; by default its length (a list of token ids).
        seed: Of the orders.
        accounting: What a share counts, see :class:`Mixture`.

    Raises:
        UserError: No positive share, or one for a source that is not there.
    """
    wanted = {name: share for name, share in shares.items() if share > 0}
    if not wanted or not wanted.keys() <= documents.keys():
        raise UserError(f"Shares {dict(shares)} need a source each, and one of them has to be positive.")
    whole = math.fsum(wanted.values())
    budgets = {name: total * share / whole for name, share in wanted.items()}
    mixture = Mixture(documents, [budgets], length, seed=seed, accounting=accounting)
    return ((source, document) for _, source, document in mixture)


class Mixture(Iterator[tuple[int, str, T]], Generic[T]):
    """(stage from 1, source, document) of one stage after another, in each the wanted tokens of each source.

    With `tokens`, the paper's unit, a source ends when one more document would bring it further from its budget. With
    `documents` (an ablation: what a sampler that forgets the documents' lengths does) sources take turns by document
    until the whole budget is spent. A later stage goes on in a source where the earlier one stopped; a source smaller
    than its part is repeated in a new order.

    Args:
        documents: By source.
        budgets: For each stage, positive numbers of tokens; sources without one are not read.
        length: Tokens of a document; by default its length (a list of token ids).
        seed: Of the orders.
        accounting: What a share counts.
    """

    def __init__(
        self,
        documents: Mapping[str, Documents[T]],
        budgets: Sequence[Mapping[str, float]],
        length: Callable[[T], int] = len,  # type: ignore[assignment]
        *,
        seed: int = 0,
        accounting: Accounting = "tokens",
    ) -> None:
        self.budgets, self.accounting = [dict(stage) for stage in budgets], accounting
        self.sources = {
            name: Cycle(documents[name], length, seed, name) for name in dict.fromkeys(itertools.chain(*self.budgets))
        }
        self._begin(1)

    @property
    def position(self) -> dict[str, Any]:
        """How far it is, as JSON values."""
        return {
            "stage": self._stage,
            "tokens": dict(self._tokens),
            "turns": dict(self._turns),
            "open": [name for _, _, name in self._behind],
            "sources": {name: source.position for name, source in self.sources.items()},
        }

    def restore(self, position: Mapping[str, Any]) -> None:
        """Go on from the position of a mixture of the same sources, budgets and seed."""
        self._begin(position["stage"])
        self._tokens, self._turns = dict(position["tokens"]), dict(position["turns"])
        self._behind = [self._place(name) for name in position["open"]]
        heapq.heapify(self._behind)
        for name, place in position["sources"].items():
            self.sources[name].restore(place)

    def __next__(self) -> tuple[int, str, T]:
        while self._stage <= len(self.budgets):
            while self._behind:
                _, _, name = heapq.heappop(self._behind)
                drawn = next(self.sources[name], None)
                if drawn is None:
                    continue
                length, document = drawn
                alone = self.accounting == "tokens"
                spent = self._tokens[name] if alone else sum(self._tokens.values())
                if spent + length / 2 > (self._budget[name] if alone else math.fsum(self._budget.values())):
                    self.sources[name].put_back()
                    continue
                self._tokens[name] += length
                self._turns[name] += 1
                heapq.heappush(self._behind, self._place(name))
                return self._stage, name, document
            self._begin(self._stage + 1)
        raise StopIteration

    def _begin(self, stage: int) -> None:
        self._stage, self._budget = stage, self.budgets[stage - 1] if stage <= len(self.budgets) else {}
        self._order = {name: order for order, name in enumerate(self._budget)}
        self._tokens, self._turns = dict.fromkeys(self._budget, 0), dict.fromkeys(self._budget, 0)
        self._behind = [(0.0, order, name) for name, order in self._order.items()]

    def _place(self, name: str) -> tuple[float, int, str]:
        progress = self._tokens[name] if self.accounting == "tokens" else self._turns[name]
        return progress / self._budget[name], self._order[name], name


class Cycle(Iterator[tuple[int, T]], Generic[T]):
    """(tokens, document) of a source without end, in a new random order every pass; empty documents are left out.

    Args:
        documents: The source.
        length: Tokens of a document.
        seed: Together with the name it decides the order.
        name: Of the source.
        buffer: So many documents are held and shuffled at a time; the order of a smaller source is random as a whole.
    """

    _begin: int
    _place: int
    _opened: Iterator[T] | None
    _part: list[T]
    _order: list[int]

    def __init__(
        self, documents: Documents[T], length: Callable[[T], int], seed: int, name: str = "", buffer: int = BUFFER
    ) -> None:
        self._documents, self._length, self._buffer = documents, length, buffer
        self._generator = np.random.default_rng([seed, *name.encode()])
        self._start({"begin": 0, "place": 0, "found": False, "generator": self._generator.bit_generator.state})

    @property
    def position(self) -> dict[str, Any]:
        """How far it is, as JSON values: documents before those in memory, how many of these, in which order."""
        return {"begin": self._begin, "place": self._place, "found": self._found, "generator": self._before}

    def restore(self, position: Mapping[str, Any]) -> None:
        """Go on from a position; nothing is read before the next document is asked for."""
        self._start(position)

    def put_back(self) -> None:
        """The document that came last comes next."""
        self._place -= 1

    def __next__(self) -> tuple[int, T]:
        if self._opened is None:
            self._opened = self._open(self._begin)
            self._read()
        while True:
            while self._place < len(self._part):
                document = self._part[self._order[self._place]]
                self._place += 1
                if tokens := self._length(document):
                    self._found = True
                    return tokens, document
            self._begin, self._place = self._begin + len(self._part), 0
            self._read()
            if not self._part:
                if not self._found:
                    raise StopIteration
                self._found, self._begin, self._opened = False, 0, self._open(0)
                self._read()

    def _start(self, position: Mapping[str, Any]) -> None:
        self._begin, self._place, self._found = position["begin"], position["place"], position["found"]
        self._before = position["generator"]
        self._generator.bit_generator.state = self._before
        self._opened, self._part = None, []

    def _open(self, begin: int) -> Iterator[T]:
        if not callable(self._documents):
            return map(self._documents.__getitem__, range(begin, len(self._documents)))
        opened: Any = self._documents()
        if begin and hasattr(opened, "skip"):
            return iter(opened.skip(begin))
        return itertools.islice(opened, begin, None)

    def _read(self) -> None:
        assert self._opened is not None
        self._part = list(itertools.islice(self._opened, self._buffer))
        self._before = self._generator.bit_generator.state
        self._order = self._generator.permutation(len(self._part)).tolist()
