"""What MuRIL is fed: lines of the tiny world, or one's own text, translations and transliterations.

    pools = read(config)            # {"mono": {"hi": lines, ...}, "translations": ..., "transliterations": ...}

Own files: a folder with a `<language>.txt` each, and for each kind of pair a folder with a `<language>.tsv` each, two
columns without a heading:

    Good morning        सुप्रभात              translations: English first
    सुप्रभात             suprabhat             transliterations: native script first, then Latin letters as people type
"""

from __future__ import annotations

from pathlib import Path

from core.errors import UserError
from core.files import read_lines
from papers.muril import miniature
from papers.muril.config import Config
from papers.muril.method import Line

Pools = dict[str, dict[str, list[Line]]]


def pools(config: Config) -> Pools:
    """Kind -> language -> lines, of the kinds that the configuration reads."""
    if not config.texts:
        return miniature.pools(config)
    found: Pools = {"mono": {path.stem: texts(path) for path in files(config.texts, ".txt")}}
    if config.translations:
        found["translations"] = {path.stem: pairs(path) for path in files(config.translated, ".tsv")}
    if config.transliterations:
        found["transliterations"] = {path.stem: pairs(path) for path in files(config.romanised, ".tsv")}
    return found


def weights(config: Config, found: Pools) -> dict[str, float]:
    """Shares of the pools: those of the miniature, or as many as there are lines.

    The paper up-samples pairs by the rule of monolingual text; how much of each it reads is not known.
    """
    if not config.texts:
        return miniature.weights(config)
    return {kind: float(sum(map(len, lines.values()))) for kind, lines in found.items()}


def files(folder: str, ending: str) -> list[Path]:
    """The files of a folder, a language each.

    Raises:
        UserError: There is no such file.
    """
    found = sorted(Path(folder).glob(f"*{ending}"))
    if not found:
        raise UserError(f"{folder} has no file such as hi{ending}: give a folder with one for each language.")
    return found


def texts(path: Path) -> list[Line]:
    """The lines of a text file that are not empty.

    Raises:
        UserError: There is none.
    """
    found = [Line(line.strip()) for line in read_lines(path) if line.strip()]
    if not found:
        raise UserError(f"{path} is empty: give it a line, or take it out.")
    return found


def pairs(path: Path) -> list[Line]:
    """The pairs of a file with two columns.

    Raises:
        UserError: A line without two texts, or no line.
    """
    found = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        sides = [side.strip() for side in line.split("\t")]
        if len(sides) != 2 or not all(sides):
            raise UserError(f"{path}, line {number} has not two texts with a tab between: mend it, or take it out.")
        found.append(Line(sides[0], sides[1]))
    if not found:
        raise UserError(f"{path} is empty: give it a pair, or take it out.")
    return found


def vocabulary_texts(config: Config, found: Pools) -> list[str]:
    """What a new tokenizer is trained on: all sides of all lines, as the paper's vocabulary has romanised words too."""
    if not config.texts:
        return miniature.vocabulary_texts(config)
    return [
        side
        for lines in found.values()
        for own in lines.values()
        for line in own
        for side in (line.text, line.pair)
        if side
    ]
