"""What TransliCo is fed: sentences with their transliterations, of the tiny world, of Glot500-c, or one's own.

pairs(config, run)                        # to be tuned on
own_pairs("lines.txt", "uroman")          # a sentence a line, or .tsv, .csv, .jsonl with text and transliteration
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from core import corpora
from core.corpora import by_script
from core.errors import UserError
from core.experiment.run import Run
from core.files import read_lines
from core.text.romanize import Romanizer, resolve
from core.training.documents import by_length
from papers.translico import miniature
from papers.translico.config import Config
from papers.translico.method import Pair, pair

TABLES = (".tsv", ".csv", ".jsonl", ".ndjson", ".json", ".parquet")
INDIC = frozenset(["Beng", "Deva", "Gujr", "Guru", "Knda", "Mlym", "Orya", "Sinh", "Taml", "Telu"])
"""Scripts of the group at the paper's scale, North Indian and Dravidian; the authors' list is not published."""


def pairs(config: Config, run: Run) -> Sequence[Pair]:
    """What a configuration tunes on: a list in the order of training, or at the paper's scale a dataset on disk.

    Raises:
        UserError: No such corpus, or nothing in it that the configuration asks for.
    """
    if not config.corpus:
        known = miniature.romanised(config, run)
        text = miniature.world(config).text
        chosen = [code for code in text if _wanted(miniature.is_latin(code), miniature.in_group(code), config)]
        found = [row for code in chosen for row in arranged(text[code], known.__getitem__, config)]
        return by_length(found, [len(row["text"]) for row in found], config.training, config.seed)
    from datasets import Dataset

    dataset: Any = Dataset.from_generator(_corpus, gen_kwargs={"config": config}, cache_dir=str(run.path / "pairs"))
    return dataset


def _wanted(latin: bool, grouped: bool, config: Config) -> bool:
    return (config.latin or not latin) and (config.group == "all" or grouped)


def arranged(lines: Sequence[str], romanize: Callable[[str], str], config: Config) -> list[Pair]:
    """Pairs of one language with the partners that the configuration asks for."""
    found = pair(lines, romanize)
    if config.partner == "own":
        return found
    order = random.Random(config.seed).sample(found, len(found))
    # Along a circle through all of them, so that none keeps its own.
    circle = zip(order, [*order[1:], *order[:1]], strict=True)
    return [Pair(text=row["text"], transliteration=other["transliteration"]) for row, other in circle]


# --- the paper's scale ---------------------------------------------------------------------------------------------


def _corpus(config: Config) -> Iterator[Pair]:
    """Pairs of a corpus, language by language."""
    romanize = resolve("uroman")
    for code, lines in _languages(config):
        chosen = random.Random(f"{config.seed} {code}")
        yield from arranged([line for line in lines if chosen.random() < config.fraction], romanize, config)


def _languages(config: Config) -> Iterator[tuple[str, Iterable[str]]]:
    """`<language>_<Script>` and lines of what the configuration wants of a corpus."""
    codes = by_script.parts(config.corpus)
    wanted = [c for c in codes if _wanted(c.endswith("_Latn"), c.rpartition("_")[2] in INDIC, config)]
    if not wanted:
        raise UserError(f"Corpus {config.corpus} has no language of that group: name files <language>_<Script>.txt.")
    return ((code, by_script.lines(config.corpus, code)) for code in wanted)


# --- one's own -----------------------------------------------------------------------------------------------------


def own_pairs(source: str | Path, romanizer: Romanizer = "uroman") -> list[Pair]:
    """Pairs of a file: sentences to be romanised, one a line, or rows with `text` and perhaps `transliteration`.

    Raises:
        UserError: It cannot be read, has no column `text`, or nothing is left of it.
    """
    path = Path(source)
    if path.suffix.lower() not in TABLES:
        found = pair(read_lines(path), romanizer)
    else:
        romanize = resolve(romanizer)

        def adapt(row: dict[str, Any], _: int) -> Pair:
            text, other = row.get("text"), row.get("transliteration")
            if not isinstance(text, str) or not isinstance(other, str | None):
                raise UserError("there is no column `text`: name the columns text and (if you have it) transliteration")
            return Pair(text=text.strip(), transliteration=(other or romanize(text)).strip())

        rows = corpora.adapted(path, corpora.read_rows(path), adapt)
        found = [row for row in rows if all(row.values())]
    if not found:
        raise UserError(f"{path} has no sentence of which letters are left in Latin: give one a line.")
    return found
