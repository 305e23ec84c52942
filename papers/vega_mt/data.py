"""What a configuration reads: the tiny world, or parallel and monolingual text of any files and hub datasets.

Names have {language} in them: `--bitext "en-{language}.tsv" --monolingual "{language}.txt"`. Parallel text has a column
a language code or one `translation`, monolingual text a sentence a line or a column `text`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from core import corpora
from core.errors import UserError
from core.files import read_lines
from core.tasks.translation import Segment, following, official_test, segments
from papers.vega_mt.config import PIVOT, Config
from papers.vega_mt.method import Direction, directions

if TYPE_CHECKING:
    from core.experiment.run import Run

Rows = list[dict[str, str]]


class World(NamedTuple):
    """What there is to read and to ask.

    Attributes:
        languages: Beside English.
        tuned: Those with models of their own.
        bitexts: Rows `{"key": ..., "en": ..., code: ...}` by language.
        monolingual: Lines by language, English among them.
        general: Pairs of generalisation tuning by tuned language and domain; `single` is tuned on the first one.
        asked: Sentences to measure on, by tuned language, in both directions.
        select: Sentences on which checkpoints are chosen.
        domains: Sentences of other domains to measure on, by tuned language and domain.
        named: In the tiny world, the number of every text, by language.
        lines: From which a new vocabulary is learnt.
    """

    languages: tuple[str, ...]
    tuned: tuple[str, ...]
    bitexts: dict[str, Rows]
    monolingual: dict[str, list[str]]
    general: dict[str, dict[str, list[Segment]]]
    asked: dict[str, list[Segment]]
    select: dict[str, list[Segment]]
    domains: dict[str, dict[str, list[Segment]]]
    named: dict[str, dict[str, int]]
    lines: list[str]


def world(config: Config, run: Run) -> World:
    """The tiny world, or the text that is named.

    Raises:
        UserError: Text that cannot be read.
    """
    if not config.bitext:
        from papers.vega_mt import miniature

        return miniature.world(config, run)

    tuned = config.tuned or config.languages[:1]
    codes = (PIVOT, *tuned) if config.monolingual and config.self_training != "none" else ()
    sets = config.general if config.generalise != "none" else ()
    bitexts = {code: rows(config.bitext, code, config.pairs) for code in config.languages}
    if config.equal_pairs:
        bitexts = {code: found[: max(1, len(found) // len(bitexts))] for code, found in bitexts.items()}
    lines = {code: texts(config.monolingual.format(language=code), config.lines) for code in codes}
    lines = {code: damaged(found, config.noise, set(found), f"{config.seed}-{code}") for code, found in lines.items()}
    return World(
        config.languages, tuned, bitexts, lines,
        general={code: {name: shared(name, code) for name in sets} for code in tuned},
        asked={code: shared(config.test, code, config.items) for code in tuned},
        select={code: shared(config.dev, code) if config.ensemble else [] for code in tuned}, domains={}, named={},
        lines=[row[column] for code, found in bitexts.items() for row in found for column in (PIVOT, code)],
    )  # fmt: skip


def texts(source: str, most: int) -> list[str]:
    """Lines of a file, or the column `text` of rows.

    Raises:
        UserError: It cannot be read, or a row has no text.
    """
    if Path(source).suffix == ".txt":
        return [line for line in read_lines(source) if line.strip()][: most or None]

    def adapt(row: Mapping[str, Any], number: int) -> str:
        if not isinstance(row.get("text"), str):
            raise UserError("it has no `text`")
        return str(row["text"])

    found = corpora.adapted(source, corpora.read_rows(source, streaming=True), adapt)
    return [text for _, text in zip(range(most or 10**12), found, strict=False)]


def rows(source: str, code: str, most: int) -> Rows:
    """Parallel rows of a language, from a source with {language} in its name."""
    return corpora.read_translations(source.format(language=code), [PIVOT, code], most or None)


def shared(name: str, code: str, most: int = 0) -> list[Segment]:
    """Both directions of a shared task of sacrebleu, each with its own sources, or of parallel rows."""
    import sacrebleu

    if name in sacrebleu.DATASETS:
        return [part for direction in both(code) for part in official_test(name, *direction, most or None)]
    return segments(rows(name, code, most), both(code))


def both(code: str) -> list[Direction]:
    """The two directions of a language."""
    return directions("bi", (PIVOT, code), ())


def directed(parts: Sequence[Segment], direction: Direction) -> list[Segment]:
    """Those of one direction."""
    return [part for part in parts if (part.source, part.target) == direction]


def genuine(world: World, wanted: Sequence[Direction]) -> list[Segment]:
    """The pairs of some directions."""
    codes = ((target if source == PIVOT else source, (source, target)) for source, target in wanted)
    return [part for code, direction in codes for part in segments(world.bitexts[code], [direction])]


def mistranslated(pairs: Sequence[Segment]) -> list[Segment]:
    """The effect broken on purpose: each source with the translation of the next one of its direction."""
    return [replace(part, target_text=other.target_text) for part, other in zip(pairs, following(pairs), strict=True)]


def damaged(lines: Sequence[str], share: float, sound: Collection[str], seed: str) -> list[str]:
    """Lines of which a share has a word dropped, doubled or replaced by another, so that it is no sound one."""
    rng, vocabulary = Random(seed), sorted({word for line in lines for word in line.split()})
    hit, found = set(rng.sample(range(len(lines)), round(share * len(lines)))), []
    for number, line in enumerate(lines):
        text = line
        while number in hit and (text in sound or not text):
            words = line.split()
            place = rng.randrange(len(words))
            put: list[str] = rng.choice(([], [words[place]] * 2, [rng.choice(vocabulary)]))
            text = " ".join([*words[:place], *put, *words[place + 1 :]])
        found.append(text)
    return found
