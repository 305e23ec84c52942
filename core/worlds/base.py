"""What every miniature world has: items in equivalence classes, splits by class, and solvers without understanding.

    parts = split(world.items, seed=0, shares={"train": 0.7, "dev": 0.1, "test": 0.2})
    trivial(parts["train"], parts["test"])          # {"lookup": 0.0, "majority": 0.04, ...}

Items from which one can be answered by another are one class: 4 + 7 and 7 + 4, a fact in two phrasings or languages.
A split by row lets a model answer the test from memory; a split by class does not, and the trivial solvers show it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from types import MappingProxyType
from typing import Literal, get_args

from core.errors import UserError
from core.text.segment import words

Part = Literal["train", "dev", "test"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, slots=True)
class Item:
    """A question with one right answer.

    Attributes:
        id: A path, from what a claim generalises over down to the single item (`de/plus/7-4/template-2`); unique.
        cls: Its equivalence class (`plus/4-7`), the same in all languages and phrasings.
        prompt: What is asked.
        answer: The right answer.
        language: Code of the prompt's language.
    """

    id: str
    cls: str
    prompt: str
    answer: str
    language: str


Solver = Callable[[Item], str | None]
SHARES: Mapping[str, float] = MappingProxyType({"train": 0.7, "dev": 0.1, "test": 0.2})


def dealt(pool: Sequence[str], size: int, seed: int, disjoint: int) -> tuple[str, ...]:
    """What a seed draws of a pool, such as its languages: each seed is a sample of its own.

    Args:
        pool: At least `disjoint * size` names.
        size: Names of one seed.
        seed: Which sample. Seeds `disjoint * n` to `disjoint * n + disjoint - 1` are drawn together and share none.
        disjoint: How many seeds are drawn together.
    """
    draw, part = divmod(seed, disjoint)
    return tuple(Random(f"languages-{draw}").sample(pool, disjoint * size)[size * part : size * (part + 1)])


def split(items: Iterable[Item], seed: int, shares: Mapping[str, float] = SHARES) -> dict[str, list[Item]]:
    """Items in parts that share no equivalence class.

    Classes are ordered by a hash of seed and name and cut at the shares. So a class's place depends neither on the
    order of the items nor on their languages, and the first classes of a smaller part are those of a larger one.

    Args:
        items: Of one or more languages.
        seed: Another seed draws other classes.
        shares: Share of the classes by part, positive, at most 1 in all; the rest is left out.

    Returns:
        The parts in the order of `shares`, their items in the order given.

    Raises:
        UserError: bad shares, or too few classes to give every part one.
        ValueError: two items have an id in common, or a prompt with its answer stands in two classes.
    """
    items = list(items)
    _check(items)
    if min(shares.values(), default=0) <= 0 or sum(shares.values()) > 1 + 1e-9:
        raise UserError(f"shares must be positive and sum to at most 1, not {dict(shares)}.")
    order = sorted(
        {item.cls for item in items}, key=lambda cls: blake2b(f"{seed}/{cls}".encode(), digest_size=8).digest()
    )
    part_of: dict[str, str] = {}
    end, total = 0, 0.0
    for part, share in shares.items():
        start, total = end, total + share
        end = round(total * len(order))
        if start == end:
            raise UserError(f"{len(order)} classes are too few for shares {dict(shares)}: {part} would be empty.")
        part_of |= dict.fromkeys(order[start:end], part)
    return {part: [item for item in items if part_of.get(item.cls) == part] for part in shares}


def in_part(items: Iterable[Item], universe: Iterable[Item], part: str, shares: Mapping[str, float]) -> list[Item]:
    """The items whose class is in a part of the classes of `universe`: one split for languages that lack some items.

    Raises:
        UserError: As :func:`split`.
        ValueError: As :func:`split`.
    """
    classes = {item.cls for item in split(universe, 0, shares)[part]}
    return [item for item in items if item.cls in classes]


def _check(items: Sequence[Item]) -> None:
    if repeated := next((key for key, count in Counter(item.id for item in items).items() if count > 1), None):
        raise ValueError(f"Two items have the id {repeated!r}.")
    first: dict[tuple[str, str], Item] = {}
    for item in items:
        other = first.setdefault((item.prompt, item.answer), item)
        if other.cls != item.cls:
            raise ValueError(f"{other.id} and {item.id} ask and answer the same: give them one class.")


# --- solvers that understand nothing --------------------------------------------------------------------------------


def _lookup(train: Sequence[Item]) -> Solver:
    """The answer to the same prompt."""
    known = {item.prompt: item.answer for item in train}
    return lambda item: known.get(item.prompt)


def _symmetric(train: Sequence[Item]) -> Solver:
    """The answer to a prompt of the same words in any order: 7 + 4 from 4 + 7."""
    known = {_bag(item.prompt): item.answer for item in train}
    return lambda item: known.get(_bag(item.prompt))


def _bag(text: str) -> tuple[str, ...]:
    signs = (character for character in text if not character.isalnum() and not character.isspace())
    return tuple(sorted([*words(text), *signs]))


def _copy(train: Sequence[Item]) -> Solver:
    """The prompt itself, or its n-th word from either end: whatever is right most often in training."""

    def nth(position: int | None) -> Solver:
        def solve(item: Item) -> str | None:
            found = item.prompt.split()
            if position is None:
                return item.prompt
            return found[position] if -len(found) <= position < len(found) else None

        return solve

    longest = max((len(item.prompt.split()) for item in train), default=0)
    ways = [nth(position) for position in (None, *range(-longest, longest))]
    return max(ways, key=lambda way: sum(way(item) == item.answer for item in train))


def _majority(train: Sequence[Item]) -> Solver:
    """The commonest answer in the language."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for item in train:
        counts[item.language][item.answer] += 1
    best = {language: count.most_common(1)[0][0] for language, count in counts.items()}
    return lambda item: best.get(item.language)


def _length(train: Sequence[Item]) -> Solver:
    """The commonest answer in the language to prompts of the nearest length in characters."""
    counts: dict[str, dict[int, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for item in train:
        counts[item.language][len(item.prompt)][item.answer] += 1

    def solve(item: Item) -> str | None:
        by_length = counts.get(item.language)
        if not by_length:
            return None
        nearest = min(by_length, key=lambda length: (abs(length - len(item.prompt)), length))
        return by_length[nearest].most_common(1)[0][0]

    return solve


SOLVERS: Mapping[str, Callable[[Sequence[Item]], Solver]] = MappingProxyType(
    {"lookup": _lookup, "symmetric": _symmetric, "copy": _copy, "majority": _majority, "length": _length}
)
"""`{name: training items -> item -> answer or None}`; a world may add its own."""


def solved(
    train: Sequence[Item], test: Sequence[Item], solvers: Mapping[str, Callable[[Sequence[Item]], Solver]] = SOLVERS
) -> dict[str, dict[str, float]]:
    """`{solver: {item id: 1 if right, else 0}}`, to be drawn as the units of an interval."""
    return {
        name: {item.id: float(solve(item) == item.answer) for item in test}
        for name, solve in ((name, fit(train)) for name, fit in solvers.items())
    }


def trivial(
    train: Sequence[Item], test: Sequence[Item], solvers: Mapping[str, Callable[[Sequence[Item]], Solver]] = SOLVERS
) -> dict[str, float]:
    """`{solver: accuracy in [0, 1]}` of answering `test` from `train` without understanding.

    `lookup` and `symmetric` above zero mean a leak; a model has to beat the others by a margin to have shown anything.

    Raises:
        ValueError: nothing to test on.
    """
    if not test:
        raise ValueError("There is no item to test on.")
    return {name: sum(right.values()) / len(test) for name, right in solved(train, test, solvers).items()}
