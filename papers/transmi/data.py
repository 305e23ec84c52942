"""What TransMI is fed: a vocabulary to romanise, parallel sentences in two scripts, labelled sentences.

Retrieval reads `Parallel` sets: English, the language as it is written, and the same lines romanised. They come from
interface messages (tiny), Tatoeba or a folder of Bible verses (paper), or the user's own lines
(:mod:`core.tasks.pairs`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from core.experiment.run import Run
from core.tasks import labelled, pairs
from core.tasks import messages as tiny
from core.tasks.labelled import Labelled
from core.text.romanize import resolve
from core.worlds import messages
from core.worlds.base import Item, Part, in_part
from papers.transmi.config import Config

# Retrieval trains nothing, so four in five messages are for the test.
SHARES = {"dev": 0.2, "test": 0.8}
DISJOINT = 3
"""Seeds 3n, 3n + 1 and 3n + 2 retrieve other messages in every language of the tiny scale."""


@dataclass(frozen=True)
class Parallel:
    """Aligned lines of English and one language.

    Attributes:
        language: Its code.
        keys: Name of each line, after the language (`ru/7`).
        english: English lines, left as they are.
        native: The same lines as the language is written.
        romanized: The native lines, romanised; empty for a language that is only read as it is.
    """

    language: str
    keys: tuple[str, ...]
    english: tuple[str, ...]
    native: tuple[str, ...]
    romanized: tuple[str, ...] = ()


# --- parallel sentences --------------------------------------------------------------------------------------------


def parallel(config: Config) -> list[Parallel]:
    """The sample of sentences of every language: in both scripts, and Latin-script languages as they are.

    Raises:
        UserError: Unknown corpus or language, missing column, data that must be asked for by hand.
    """
    romanize = resolve(config.romanizer)
    sets = []
    if config.retrieval == "messages":
        for language in (*config.languages, *config.latin_languages):
            keys, english, native = message_pairs(language, config.split, config.messages, config.seed)
            romanized = tuple(map(romanize, native)) if language in config.languages else ()
            sets.append(Parallel(language, keys, english, native, romanized))
        return sets
    for language, rows in pairs.read(config.retrieval, config.languages):
        numbers = sorted(random.Random(config.seed).sample(range(len(rows)), min(config.messages, len(rows))))
        chosen = [rows[number] for number in numbers]
        english, native = (tuple(row[side] for row in chosen) for side in ("en", "native"))
        romanized = tuple(row.get("romanised") or romanize(row["native"]) for row in chosen)
        sets.append(Parallel(language, tuple(f"{language}/{n}" for n in numbers), english, native, romanized))
    return sets


def message_pairs(language: str, part: str, size: int, seed: int) -> list[tuple[str, ...]]:
    """Keys of a sample of interface messages, and the messages in English and in a language."""

    def read(code: str) -> list[Item]:
        return messages.translations([code], min_chars=10, max_chars=120)

    chosen = messages.sample(in_part(read(language), read("en"), part, SHARES), size, seed, disjoint=DISJOINT)
    return [tuple(getattr(item, name) for item in chosen) for name in ("id", "prompt", "answer")]


# --- labelled sentences --------------------------------------------------------------------------------------------


def labelled_sets(config: Config, corpus: str) -> dict[tuple[str, str], list[Labelled]]:
    """Labelled sentences by side and language: `train` and `dev` in English; tests as written, romanised, Latin.

    Args:
        config: Languages, sample and romaniser.
        corpus: Of the tiny world, the hub, or a folder; nothing for an empty name.

    Raises:
        UserError: No such corpus or language, or it must be asked for by hand.
    """
    if not corpus:
        return {}
    made = {"topics": tiny.topics, "names": tiny.names}.get(corpus)

    def read(code: str, part: Part) -> list[Labelled]:
        if made is None:
            return labelled.read(corpus, code, part)
        # Training and development data are the same for all seeds, which differ in what is tested.
        return made(code, part, 300, 0) if code == "en" else made(code, part, config.labelled, config.seed)

    english = "en" if made else labelled.english_of(corpus)
    languages = config.languages or tuple(labelled.languages_of(corpus))
    romanize = resolve(config.romanizer)
    sets = {("train", "en"): read(english, "train"), ("dev", "en"): read(english, "dev")}
    for code in languages:
        native = sets["native", code] = read(code, config.split)
        sets["romanised", code] = [labelled.rewritten(example, romanize) for example in native]
    # A third of them, for the time; retrieval reads all.
    return sets | {("latin", code): read(code, config.split) for code in config.latin_languages[::3]}


# --- the model to adapt ---------------------------------------------------------------------------------------------


def base_folder(config: Config, run: Run) -> Path:
    """Local folder of the model to adapt."""
    from core.models import loading

    if config.base == "toy":
        return run.stage("toy", {}, build_toy)
    return Path(loading.materialize(config.base))


def build_toy(folder: Path) -> None:
    """Save an untrained two-layer XLM-R whose tokenizer knows Russian, Greek and English messages."""
    from core.models.scratch import masked_lm

    lines = [line for code in ("ru", "el") for side in message_pairs(code, "dev", 60, 0)[1:] for line in side]
    model, tokenizer = masked_lm(lines, pieces=600)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
