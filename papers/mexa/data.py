"""What MEXA reads: parallel sentences, and questions in their languages.

At the tiny scale the sentences are interface messages; at the paper's, FLORES-200 (devtest, the first 100) or the
parallel Bible sPBC; and any TSV, JSON lines or folder of aligned files.

    found = parallel(config)                     # aligned, no duplicates, pivot included
    questions(config, ["fr", "sw"])              # of the task, by language
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core import corpora
from core.corpora.hub import RELABELLED
from core.corpora.table import parallel_table
from core.errors import UserError
from core.files import read_lines
from core.tasks.choices import Question, exam
from core.tasks.scores import canonical
from core.tasks.words import words
from core.text.languages import FLORES_200
from papers.mexa import miniature

if TYPE_CHECKING:
    from papers.mexa.config import Config

# FLORES-200's Cantonese files were mislabelled, so the paper leaves them out; and what it calls tzm is zgh.
MISLABELLED = ("yue_Hant",)
RENAMED = {"tzm_Tfng": "zgh_Tfng"}
SPBC = "cis-lmu/sPBC"
SHOTS = 5

Columns = dict[str, list[str | None]]


@dataclass(frozen=True)
class Parallel:
    """Aligned sentences, the pivot first: `texts[language][i]` says the same in all; and what was left out."""

    texts: dict[str, list[str]]
    dropped: tuple[str, ...] = ()


# --- sentences ----------------------------------------------------------------------------------------------------


def parallel(config: Config) -> Parallel:
    """The sentences of a run: present in every language, none repeated, equally many."""
    if config.corpus == "messages":
        languages = config.languages or miniature.LANGUAGES
        return Parallel(miniature.sentences(languages, config.split, config.n or 0, config.seed)[1])
    return usable(_columns(config), config.corpus, config.pivot, config.n)


def usable(columns: Columns, name: str, pivot: str, n: int | None) -> Parallel:
    """The first n rows that every language has and that repeat no earlier one in any language.

    Of two equal sentences neither can be found strictly first, so a repetition makes both pairs unsolvable. Languages
    with fewer than n sentences are left out: the score falls with n.

    Raises:
        UserError: no pivot, no other language, too few sentences.
    """
    if pivot not in columns:
        raise UserError(f"{name} has no pivot {pivot!r}: choose --pivot from {', '.join(columns)}.")
    if len(columns) < 2:
        raise UserError(f"{name} has no language besides the pivot {pivot!r}: add a column.")
    counts = {code: sum(line is not None for line in lines) for code, lines in columns.items()}
    needed = min(n or max(counts.values()), counts[pivot])
    short = [code for code, count in counts.items() if count < needed]
    if len(short) == len(columns) - 1:
        raise UserError(f"No language but {pivot} has {needed} sentences: lower --n.")
    dropped = (f"{', '.join(short)}: fewer than {needed} sentences",) if short else ()
    kept = {code: columns[code] for code in (pivot, *columns) if code not in short}
    numbered = {code: {str(place): line or "" for place, line in enumerate(lines)} for code, lines in kept.items()}
    rows = parallel_table(numbered, list(kept), corpus=name, distinct=True, sort=False)
    if len(rows) < 4:
        raise UserError(f"{name} has {len(rows)} usable sentences: give at least 4 that differ.")
    if lost := len(columns[pivot]) - len(rows):
        dropped = (*dropped, f"{lost} of {len(columns[pivot])} rows: incomplete or repeated")
    return Parallel({code: list(rows[code])[:n] for code in kept}, dropped)


def _columns(config: Config) -> Columns:
    path, languages = Path(config.corpus), (config.pivot, *config.languages)
    wanted = languages if config.languages else None
    if config.corpus == "spbc":
        return _folder(_spbc(config), "txt", wanted)
    if path.is_dir():
        return _folder(path, config.extension, wanted)
    if config.corpus == "flores200":
        folder = config.hub_folder and Path(config.hub_folder) / "flores200" / "devtest"
        labels = [RELABELLED.get(label, label) for label in FLORES_200 if label not in MISLABELLED]
        table = corpora.load("flores200", languages=wanted or labels, folder=folder)
    else:
        table = corpora.read_parallel(path, wanted)
    columns: Columns = {name: list(table[name]) for name in table.column_names if name != "key"}
    return relabelled(columns) if config.corpus == "flores200" else columns


def _folder(folder: Path, extension: str, languages: Sequence[str] | None) -> Columns:
    """The layout of the official code, FLORES-200's archive and sPBC: aligned `<label>.<extension>`."""
    files = {path.name.removesuffix(f".{extension}"): path for path in sorted(folder.glob(f"*.{extension}"))}
    missing = [code for code in languages or files if code not in files]
    if missing or not files:
        raise UserError(f"{folder} has no file {(missing or ['<language>'])[0]}.{extension}: check --extension.")
    columns: Columns = {code: [line.strip() or None for line in read_lines(files[code])] for code in languages or files}
    longest = max(map(len, columns.values()))
    return relabelled({code: lines + [None] * (longest - len(lines)) for code, lines in columns.items()})


def relabelled(columns: Mapping[str, list[str | None]]) -> Columns:
    """The paper's corrections of FLORES-200's labels."""
    return {RENAMED.get(code, code): lines for code, lines in columns.items() if code not in MISLABELLED}


def _spbc(config: Config) -> Path:
    """The folder of the 103 verses by language: a local copy, or the hub's (gated, granted by hand)."""
    from huggingface_hub import snapshot_download

    local = config.hub_folder and Path(config.hub_folder) / "spbc"
    try:
        root = Path(local or snapshot_download(SPBC, repo_type="dataset", allow_patterns=["*.txt"]))
    except Exception as error:
        raise UserError(
            f"Cannot fetch {SPBC} ({type(error).__name__}): ask for access on its page and log in, or give its folder "
            "of <label>.txt with --corpus."
        ) from error
    found = sorted(root.rglob(f"{config.pivot}.txt"))
    if not found:
        raise UserError(f"{root} has no {config.pivot}.txt: give the folder of <label>.txt with --corpus.")
    return found[0].parent


# --- questions and scores -----------------------------------------------------------------------------------------


def questions(config: Config, languages: Sequence[str]) -> dict[str, list[Question]]:
    """What is asked in each language of a corpus that the task has; in English too, but for the meaning of words."""
    if config.task == "words":
        return {code: words(code, config.split, config.items or 0, config.seed, shots=SHOTS) for code in languages}
    codes = {canonical(code): code for code in _task_codes(config)}
    folder = Path(config.hub_folder) / config.task if config.hub_folder else None
    return {
        code: exam(config.task, codes[canonical(code)], shots=SHOTS, limit=config.items, folder=folder)
        for code in (config.pivot, *languages)
        if canonical(code) in codes
    }


def _task_codes(config: Config) -> Sequence[str]:
    """The languages of one of the paper's tasks, as the task spells them."""
    if config.hub_folder:
        return sorted(path.stem for path in Path(config.hub_folder, config.task, "test").glob("*.jsonl"))
    return corpora.languages(config.task)
