"""What TransMI is fed: a vocabulary to romanise, parallel sentences in two scripts, labelled sentences.

Retrieval reads `Parallel` sets: English, the language as it is written, and the same lines romanised. They come from
interface messages (tiny), Tatoeba or a folder of Bible verses (paper), or the user's own TSV or JSON lines:

    en              native          romanised
    Good morning.   Доброе утро.    Dobroe utro.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import corpora
from core.errors import UserError
from core.experiment.run import Run
from core.tasks import labelled
from core.tasks import messages as tiny
from core.tasks.labelled import Labelled
from core.text.romanize import resolve
from core.worlds import messages
from core.worlds.base import Item, in_part
from papers.transmi.config import Config

BIBLE = (
    "ask for Glot500's evaluation data (github.com/cisnlp/Glot500) and put its verses into a folder of aligned "
    "<language>.txt files with en.txt among them, then say --retrieval FOLDER"
)
# Retrieval trains nothing, so four in five messages are for the test.
SHARES = {"dev": 0.2, "test": 0.8}
DISJOINT = 3
"""Seeds 3n, 3n + 1 and 3n + 2 retrieve other messages in every language of the tiny scale."""
TATOEBA = "mteb/tatoeba-bitext-mining"
# The 98 languages of the official SR-T list (ISO 639-3, as the dataset calls them); the dataset has 112.
TATOEBA_LANGUAGES = (
    "mal aze ben tel fra spa nob rus deu tur mar por nld ara ita ind ell bul swe ces isl pol ron dan hun srp ceb heb "
    "hrv glg fin slv vie mkd slk est eus lit kaz bos epo cat tha ukr tgl gle hin kor urd sqi bel afr nno tat ast mon "
    "arz tam uzb amh war fao hye oci xho cym lat kat fry nds zsm bre tuk khm jpn yue gsw lvs kur ido uig pam pms wuu "
    "yid ina kab gla cbk hsb mhr swh cmn pes dtp lfn ile csb"
)


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
    for language, rows in _columns(config.retrieval, config.languages):
        chosen = sorted(random.Random(config.seed).sample(range(len(rows)), min(config.messages, len(rows))))
        sets.append(
            Parallel(
                language,
                tuple(f"{language}/{number}" for number in chosen),
                tuple(rows[number]["en"] for number in chosen),
                tuple(rows[number]["native"] for number in chosen),
                tuple(rows[number].get("romanised") or romanize(rows[number]["native"]) for number in chosen),
            )
        )
    return sets


def message_pairs(language: str, part: str, size: int, seed: int) -> list[tuple[str, ...]]:
    """Keys of a sample of interface messages, and the messages in English and in a language."""

    def read(code: str) -> list[Item]:
        return messages.translations([code], min_chars=10, max_chars=120)

    chosen = messages.sample(in_part(read(language), read("en"), part, SHARES), size, seed, disjoint=DISJOINT)
    return [tuple(getattr(item, name) for item in chosen) for name in ("id", "prompt", "answer")]


def _columns(corpus: str, languages: Sequence[str]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Rows with `en`, `native` and perhaps `romanised`, language by language."""
    if corpus == "bible":
        raise UserError(f"Corpus 'bible' cannot be fetched by program: {BIBLE}.")
    if corpus == "tatoeba":
        for language in languages or TATOEBA_LANGUAGES.split():
            rows = corpora.read_rows(f"{TATOEBA}#{language}-eng@test")
            yield language, [tatoeba_row(row) for row in rows]
    else:
        yield from own_lines(Path(corpus), languages)


def tatoeba_row(row: Mapping[str, Any]) -> dict[str, str]:
    """A row of Tatoeba as MTEB publishes it."""
    return {"en": row["sentence2"], "native": row["sentence1"]}


def own_lines(path: Path, languages: Sequence[str] = ()) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The user's own lines: one language with `native` (and `romanised`), or one column per language code.

    Raises:
        UserError: No such file, unequal columns, no English.
    """
    header = _header(path)
    if "native" in header:
        if "en" not in header:
            raise UserError(f"{path} has no column 'en': the English lines are the queries.")
        names = [name for name in ("en", "native", "romanised") if name in header]
        table = corpora.read_parallel(path, names)
        yield path.stem, [{name: row[name] for name in names} for row in table]
        return
    table = corpora.read_parallel(path, ["en", *languages] if languages else None)
    codes = [name for name in table.column_names if name not in ("key", "en")]
    if "en" not in table.column_names or not codes:
        raise UserError(f"{path} needs a column 'en' and one for a language (or 'native'); it has {', '.join(header)}.")
    for code in codes:
        yield code, [{"en": row["en"], "native": row[code]} for row in table]


def _header(path: Path) -> list[str]:
    """Column names of a TSV or JSON lines file; nothing for a folder."""
    if not path.is_file():
        return []
    if path.suffix in corpora.TABLES:
        return corpora.columns(path)
    return corpora.read_jsonl(path).column_names


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

    def read(code: str, part: labelled.Split) -> list[Labelled]:
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
