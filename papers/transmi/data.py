"""What TransMI is fed: a vocabulary to romanise, and parallel sentences in two scripts.

Retrieval reads `Parallel` samples: English, the language in its own script, and the same lines romanised. They come
from interface messages (tiny), Tatoeba or a folder of Bible verses (paper), or the user's own TSV or JSON lines:

    en              native          romanised
    Good morning.   Доброе утро.    Dobroe utro.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import corpora
from core.errors import UserError
from core.experiment.run import ROOT, Run
from core.files import read_lines
from core.text import romanize as romanization
from core.text.scripts import script_counts
from papers.transmi.config import Config

if TYPE_CHECKING:
    from datasets import Dataset

WORD_START = "▁"
ICU_TRANSFORM = "Any-Latin; Latin-ASCII"
# Glot500's Bible and Taxi1500's verses are given out on request; nothing can be fetched by program.
BY_HAND = {
    "bible": "ask for Glot500's evaluation data (github.com/cisnlp/Glot500) and put its verses into a folder of "
    "aligned <language>.txt files with en.txt among them, then say --corpus FOLDER",
    "taxi1500": "fill in the request form of github.com/cisnlp/Taxi1500 and put <language>_train.tsv, _dev.tsv and "
    "_test.tsv (id, label, verse; no header) into a folder, then say --corpus FOLDER",
}


@dataclass(frozen=True)
class Parallel:
    """Aligned lines of English and one language.

    Attributes:
        language: Its code.
        english: English lines, left as they are.
        native: The same lines in the language's own script.
        romanized: The native lines, romanised.
    """

    language: str
    english: tuple[str, ...]
    native: tuple[str, ...]
    romanized: tuple[str, ...]


# --- romanisation --------------------------------------------------------------------------------------------------


def romanizer(name: str) -> romanization.Romanizer:
    """`uroman`, `icu` (CLDR's transforms; needs PyICU) or `table:<file.tsv>`.

    Raises:
        UserError: unknown name, unreadable table, PyICU not installed.
    """
    if name != "icu":
        return romanization.resolve(name)
    try:
        from icu import Transliterator
    except ImportError:
        raise UserError("Romanizer 'icu' needs PyICU: run `uv pip install pyicu`, or use 'uroman'.") from None
    return Transliterator.createInstance(ICU_TRANSFORM).transliterate


def romanizer_version(name: str) -> str:
    """A string that changes when the romaniser's output may change."""
    if name != "icu":
        return romanization.version(name)
    import icu

    return f"icu {icu.ICU_VERSION} {ICU_TRANSFORM}"


def romanize_vocabulary(pieces: Sequence[str], config: Config) -> list[str]:
    """The transliterations of a vocabulary by id, with uroman on all cores.

    uroman leaves ASCII alone, so such pieces skip it: a third of XLM-R's vocabulary.
    """
    from papers.transmi.method import transliterate

    select, workers = selector(config), min(cpu_count() or 1, 8)
    todo = [p for p in pieces if not p.replace(WORD_START, "").isascii() and (select is None or select(p))]
    # A process of its own takes seconds to read uroman's tables.
    if config.romanizer != "uroman" or workers == 1 or len(todo) < 20_000:
        return transliterate(pieces, romanization.resolve(romanizer(config.romanizer)), select)[0]
    size = -(-len(todo) // workers)
    chunks = [todo[start : start + size] for start in range(0, len(todo), size)]
    with ThreadPoolExecutor(workers) as pool:
        texts = [text for part in pool.map(_uroman, chunks) for text in part]
    done = dict(zip(todo, texts, strict=True))
    return [done.get(piece, piece) for piece in pieces]


def _uroman(pieces: Sequence[str]) -> list[str]:
    """Romanise in a process of its own; unlike multiprocessing this runs no code of the caller's main module again."""
    program = (
        "import json, sys; from core.text.romanize import romanize_all; "
        "json.dump([text.strip() for text in romanize_all(json.load(sys.stdin))], sys.stdout)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(pieces),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return json.loads(result.stdout)


def selector(config: Config) -> Callable[[str], bool] | None:
    """Which pieces `only_scripts` and `drop_scripts` leave to transliterate; None for all."""
    only, drop = set(config.only_scripts), set(config.drop_scripts)
    if not only and not drop:
        return None

    def chosen(piece: str) -> bool:
        scripts = script_counts(piece)
        script = max(scripts, key=scripts.__getitem__, default="")
        return script not in drop and (not only or script in only)

    return chosen


# --- parallel sentences --------------------------------------------------------------------------------------------


def parallel(config: Config, languages: Sequence[str] | None = None) -> list[Parallel]:
    """The sample of sentences of every language that the configuration asks for, in both scripts.

    Args:
        config: Corpus, number of sentences, seed of the sample, romaniser.
        languages: Instead of `config.languages`.

    Raises:
        UserError: unknown corpus or language, missing column, data that must be asked for by hand.
    """
    romanize = romanization.resolve(romanizer(config.romanizer))
    samples = []
    for language, rows in _columns(config, config.languages if languages is None else languages):
        keep = sorted(
            random.Random(f"{config.seed} {language}").sample(range(len(rows)), min(config.messages, len(rows)))
        )
        chosen = [rows[index] for index in keep]
        samples.append(
            Parallel(
                language,
                tuple(row["en"] for row in chosen),
                tuple(row["native"] for row in chosen),
                tuple(row.get("romanised") or romanize(row["native"]) for row in chosen),
            )
        )
    return samples


def _columns(config: Config, languages: Sequence[str]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Rows with `en`, `native` and perhaps `romanised`, language by language."""
    if config.corpus in BY_HAND:
        raise UserError(f"Corpus {config.corpus!r} cannot be fetched by program: {BY_HAND[config.corpus]}.")
    if config.corpus == "tatoeba":
        for language in languages or hub_subsets("google/xtreme", "tatoeba."):
            yield (
                language,
                [tatoeba_row(row) for row in corpora.read_rows(f"google/xtreme#tatoeba.{language}@validation")],
            )
    elif config.corpus == "django":
        # Placeholders and markup stay, and are the same in all conditions: without them Hindi has 123 messages.
        options = {
            "min_chars": config.min_chars,
            "max_chars": config.max_chars,
            "placeholders": True,
            "markup": True,
        }
        for language in languages or corpora.languages("django")[1:]:
            yield language, _pairs(corpora.load("django", languages=[language], **options), language)
    else:
        yield from _own(Path(config.corpus), languages)


def _own(path: Path, languages: Sequence[str]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The user's own lines: one language with `native` (and `romanised`), or one column per language code."""
    header = _header(path)
    if "native" in header:
        names = [name for name in ("en", "native", "romanised") if name in header]
        if "en" not in names:
            raise UserError(f"{path} has no column 'en': the English lines are the queries.")
        table = corpora.read_parallel(path, names)
        yield path.stem, [{name: row[name] for name in names} for row in table]
        return
    table = corpora.read_parallel(path, ["en", *languages] if languages else None)
    codes = [name for name in table.column_names if name not in ("key", "en")]
    if "en" not in table.column_names or not codes:
        raise UserError(f"{path} needs a column 'en' and one for a language (or 'native'); it has {', '.join(header)}.")
    for code in codes:
        yield code, _pairs(table, code)


def _header(path: Path) -> list[str]:
    """Column names of a TSV or JSON lines file; nothing for a folder."""
    if not path.is_file():
        return []
    first = next(iter(read_lines(path)), "")
    if path.suffix in (".tsv", ".tab"):
        return [name.strip() for name in first.split("\t")]
    return corpora.read_jsonl(path).column_names


def _pairs(table: Dataset, code: str) -> list[dict[str, str]]:
    return [{"en": row["en"], "native": row[code]} for row in table]


def tatoeba_row(row: Mapping[str, Any]) -> dict[str, str]:
    """XTREME's Tatoeba (`source_sentence`, `target_sentence`, `source_lang`, `target_lang`), English on either side."""
    sides = {"en": row["target_sentence"], "native": row["source_sentence"]}
    if row["source_lang"] in ("en", "eng"):
        sides = {"en": sides["native"], "native": sides["en"]}
    return sides


def hub_subsets(hub_id: str, prefix: str) -> list[str]:
    """Names of a hub data set's subsets that begin with a prefix, without it.

    Raises:
        UserError: It cannot be reached.
    """
    from datasets import get_dataset_config_names

    try:
        names = get_dataset_config_names(hub_id)
    except (OSError, ValueError) as error:
        raise UserError(
            f"Cannot list the languages of {hub_id} ({type(error).__name__}): name them with --languages."
        ) from error
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def batches(lengths: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Indices in batches of similar length, each at most `limit` tokens with its padding (but at least one row)."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[index] * (len(batch) + 1) > limit:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


# --- the model to adapt ---------------------------------------------------------------------------------------------


def base_folder(config: Config, run: Run) -> Path:
    """Local folder of the model to adapt."""
    from core.models import loading

    if config.base == "toy":
        return run.stage("toy", {}, build_toy)
    return Path(loading.materialize(config.base))


def identity(folder: Path) -> list[list[Any]]:
    """What tells a model folder from its later states: names, sizes and times of its files."""
    files = [(file, file.stat()) for file in sorted(folder.iterdir()) if file.is_file()]
    return [[str(file), stat.st_size, stat.st_mtime_ns] for file, stat in files]


def build_toy(folder: Path) -> None:
    """Save an untrained two-layer XLM-R with a real Unigram tokenizer of Russian, Greek and English messages."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM, XLMRobertaTokenizer

    samples = parallel(Config(messages=60), ("ru", "el"))
    lines = [line for sample in samples for line in (*sample.english, *sample.native)]
    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(replacement=WORD_START, prepend_scheme="always")
    trained.train_from_iterator(lines, trainers.UnigramTrainer(vocab_size=600, unk_token="<unk>", show_progress=False))
    learnt = [(piece, score) for piece, score in json.loads(trained.to_str())["model"]["vocab"] if piece != "<unk>"]
    specials = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    tokenizer = XLMRobertaTokenizer(vocab=[*specials, *learnt, ("<mask>", 0.0)], model_max_length=128)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = XLMRobertaForMaskedLM(
            XLMRobertaConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                max_position_embeddings=130,
                type_vocab_size=1,
            )
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
