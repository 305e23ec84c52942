"""What the stages are fed at the scale of the paper and from own files: documents in two languages, and pairs.

Documents come from two line files, a translation memory, two subtitle files, or rows (`core.corpora.bitext`); what has
no breaks of its own is cut into windows of ten pairs. Pairs to tune and test on come from a shared task by its name in
sacrebleu (`wmt20`), or from rows (`core.tasks.translation.adapt_segment`).
"""

from __future__ import annotations

from typing import Any

from core import corpora
from core.corpora.bitext import Document, read_bitext, windows
from core.errors import UserError
from core.tasks.translation import Segment, adapt_segment, official_test
from papers.three_stage_mt.config import Config

WINDOW = 10


def documents(config: Config) -> list[Document]:
    """The documents of stage 2; long ones in windows."""
    first, second = config.languages
    return list(windows(read_bitext(*config.bitext, languages=(first, second)), WINDOW))


def tuning(config: Config) -> list[Segment]:
    """The pairs of stage 3, in both directions."""
    return [part for source in config.tuning for part in _pairs(source, config.languages)]


def tests(config: Config) -> list[Segment]:
    """The pairs to measure, `test_items` of each direction."""
    if config.split != "test" or not config.test:
        raise UserError("Own data have no development part of their own: give split = test and pairs as test.")
    return _pairs(config.test, config.languages, config.test_items)


def _pairs(source: str, languages: tuple[str, ...], limit: int | None = None) -> list[Segment]:
    """Pairs of a shared task or of a source of rows, which may hold one direction or both."""
    import sacrebleu

    first, second = languages
    directions = [(first, second), (second, first)]
    if source in sacrebleu.DATASETS:
        return [part for a, b in directions for part in official_test(source, a, b, limit)]

    def adapt(row: Any, number: int) -> Segment:
        return adapt_segment(row, number - 1)

    parts = list(corpora.adapted(source, corpora.read_rows(source), adapt))
    found = [part for direction in directions for part in parts if (part.source, part.target) == direction]
    if not found:
        raise UserError(f"{source} has no pair between {languages[0]!r} and {languages[1]!r}: check the languages.")
    taken: dict[str, int] = {}
    kept = []
    for part in found:
        taken[part.direction] = taken.get(part.direction, 0) + 1
        kept += [part] if limit is None or taken[part.direction] <= limit else []
    return kept
