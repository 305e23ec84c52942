"""What MEXA reads: parallel sentences, and questions in their languages.

At the tiny scale the sentences are interface messages; at the paper's, FLORES-200 (devtest, the first 100) or the
parallel Bible sPBC; and any TSV, JSON lines or folder of aligned files.

    texts, dropped = parallel(config)            # aligned, no duplicates, pivot included
    questions(config, ["fr", "sw"])              # of the task, by language
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core import corpora
from core.corpora.hub import RELABELLED, snapshot
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


def parallel(config: Config, clean: Callable[[str], str] = str) -> tuple[dict[str, list[str]], list[str]]:
    """Aligned sentences by language, the pivot first, and what was left out.

    The first n rows that every language has and that repeat no earlier one in any language. Of two equal sentences
    neither can be found strictly first, so a repetition makes both pairs unsolvable. Languages with fewer than n
    sentences are left out: the score falls with n. Files are compared as `clean` leaves their lines.

    Raises:
        UserError: no pivot, no other language, too few sentences.
    """
    if config.corpus == "messages":
        languages = config.languages or miniature.LANGUAGES
        found = miniature.sentences(languages, config.split, config.n or 0, config.seed)
        return {code: list(column.values()) for code, column in found.items()}, []
    columns, name, pivot = _columns(config), config.corpus, config.pivot
    if pivot not in columns:
        raise UserError(f"{name} has no pivot {pivot!r}: choose --pivot from {', '.join(columns)}.")
    counts = {code: sum(map(bool, lines)) for code, lines in columns.items()}
    needed = min(config.n or max(counts.values()), counts[pivot])
    short = [code for code, count in counts.items() if count < needed]
    if len(short) == len(columns) - 1:
        raise UserError(f"{name} has no language besides {pivot} with {needed} sentences: add one, or lower --n.")
    dropped = [f"{', '.join(short)}: fewer than {needed} sentences"] if short else []
    kept = [pivot, *(code for code in columns if code not in (pivot, *short))]
    numbered = {code: {str(place): clean(line) for place, line in enumerate(columns[code])} for code in kept}
    rows = parallel_table(numbered, kept, corpus=name, distinct=True, sort=False)
    if len(rows) < 4:
        raise UserError(f"{name} has {len(rows)} usable sentences: give at least 4 that differ.")
    if lost := len(columns[pivot]) - len(rows):
        dropped.append(f"{lost} of {len(columns[pivot])} rows: incomplete or repeated")
    return {code: list(rows[code])[: config.n] for code in kept}, dropped


def _columns(config: Config) -> dict[str, list[str]]:
    wanted = (config.pivot, *config.languages) if config.languages else None
    path = Path(config.corpus)
    if config.corpus == "spbc":  # the 103 verses by language on the hub: gated, granted by hand
        root = snapshot(SPBC, ["*.txt"])
        path = next((path.parent for path in root.rglob(f"{config.pivot}.txt")), root)
    if path.is_dir():
        return _folder(path, wanted)
    if config.corpus == "flores200":
        labels = [RELABELLED.get(label, label) for label in FLORES_200 if label not in MISLABELLED]
        table = corpora.load("flores200", languages=wanted or labels)
    else:
        table = corpora.read_parallel(config.corpus, wanted)
    return {name: list(table[name]) for name in corpora.codes(table.column_names)}


def _folder(folder: Path, languages: Sequence[str] | None) -> dict[str, list[str]]:
    """The layout of the official code, FLORES-200's archive and sPBC: aligned files, each named by its label."""
    files = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in (".txt", ".devtest")}
    missing = [code for code in languages or files if code not in files]
    if missing or not files:
        raise UserError(f"{folder} has no file {(missing or ['<language>'])[0]}.txt: give one for every language.")
    return {
        RENAMED.get(code, code): [line.strip() for line in read_lines(files[code])]
        for code in languages or files
        if code not in MISLABELLED
    }


def questions(config: Config, languages: Sequence[str]) -> dict[str, list[Question]]:
    """What is asked in each language of a corpus that the task has; in English too, but for the meaning of words."""
    if config.task == "words":
        return {code: words(code, config.split, config.items or 0, config.seed, shots=SHOTS) for code in languages}
    codes = {canonical(code): code for code in corpora.languages(config.task)}
    return {
        code: exam(config.task, codes[canonical(code)], shots=SHOTS, limit=config.items)
        for code in (config.pivot, *languages)
        if canonical(code) in codes
    }
