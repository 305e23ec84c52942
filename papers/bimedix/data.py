"""What BiMediX is fed: instructions of two languages, mixed, and tests whose items are paired over the languages."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.tasks.samples import Sample, is_in, lesson
from core.tasks.translated import PromptedModel as PromptedModel  # part of the paper's public names
from core.tasks.translated import translate_samples as translate_samples
from core.tasks.translated import translate_text as translate_text
from core.text.sampling import repeated

T = TypeVar("T")


def read_samples(source: str, lang: str) -> list[Sample]:
    """Read and adapt the rows of one language of a JSONL file or hub dataset, in the order given.

    A source is the path of a file, or `owner/name`, optionally with `#subset` and `@split` (train by default). A row
    that says its language (`lang` or `language`) is taken at its word; one that does not is taken where most of its
    letters belong to a script of the language. An `id` is the row's own, or `row <number>`.

    Raises:
        UserError: Names the source and line that cannot be read.
    """

    def sample_of(row: Mapping[str, Any], number: int) -> Sample:
        own = row.get("id", row.get("pubid"))
        return {"id": f"row {number}" if own is None else str(own), **lesson(row, lang)}

    found = [sample for sample in adapted(source, read_rows(source), sample_of) if is_in(sample, lang)]
    if not found:
        raise UserError(f"No samples in the language {lang!r} in {source}.")
    return found


def read_pair(english: str, second: str, lang: str, limit: int = 0) -> tuple[list[Sample], list[Sample]]:
    """The multiple-choice items of a test in English and in the second language, item by item.

    Items that have ids of their own are joined on them; those that only one side has are left out (the 1,000 labelled
    questions of PubMedQA, of which 500 are the test). Without ids, sets of equal size are paired in their order.
    """
    sides = [
        [sample for sample in read_samples(source, code) if sample.get("task") == "mcqa"]
        for source, code in ((english, "en"), (second, lang))
    ]
    if not all(sides):
        raise UserError(f"{english} and {second} hold no multiple-choice items: give `question`, `options`, `answer`.")
    first, other = ({sample["id"]: sample for sample in side} for side in sides)
    common = [key for key in first if key in other]
    if common and not all(key.startswith("row ") for key in common):
        sides = [[side[key] for key in common] for side in (first, other)]
    elif len(sides[0]) != len(sides[1]):
        raise UserError(
            f"{english} has {len(sides[0])} items and {second} {len(sides[1])}, and they share no ids: give files "
            "whose translations share their `id`."
        )
    else:
        sides = [[{**sample, "id": f"item {n}"} for n, sample in enumerate(side)] for side in sides]
    return sides[0][: limit or None], sides[1][: limit or None]


def permuted(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """Every instruction, in another order, with the last answer of another one: the null arm."""
    order = random.Random(seed).sample(list(samples), len(samples))
    pairs = zip(order, order[1:] + order[:1], strict=True)
    return [{**one, "messages": [*one["messages"][:-1], other["messages"][-1]]} for one, other in pairs]


def mix_languages(english: Sequence[T], second: Sequence[T], ratio: tuple[float, float], seed: int) -> list[T]:
    """One epoch in which no row of either language is left out; the scarcer one is repeated to hold the ratio.

    English : second is 2 : 1 in the paper. The seed draws which rows are repeated once more where a language is no
    whole number of times too scarce. English comes first: training shuffles.

    Raises:
        UserError: A language has no rows.
    """
    if not english or not second:
        raise UserError("One of the languages has no samples: name its files, or tune on the other with --languages.")
    unit = max(len(english) / ratio[0], len(second) / ratio[1])
    draw, mixed = random.Random(seed), list[T]()
    for rows, share in ((english, ratio[0]), (second, ratio[1])):
        mixed += repeated(rows, round(unit * share), draw)
    return mixed
