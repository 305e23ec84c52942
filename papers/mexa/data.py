"""What MEXA reads: parallel sentences, and task scores that were measured elsewhere.

At the tiny scale the sentences are Django's interface messages in 21 languages; at the paper's, FLORES-200 (devtest,
the first 100) or the parallel Bible sPBC; and any TSV, JSON lines or folder of aligned files.

    parallel = load_parallel(config)             # aligned, no duplicates, pivot included
    read_scores("scores.tsv", parallel.texts)    # language <TAB> score, or the JSON that lm-eval writes
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core import corpora
from core.corpora import hub
from core.errors import UserError
from core.files import load_json, read_lines

if TYPE_CHECKING:
    from papers.mexa.config import Config

# FLORES-200's Cantonese files were mislabelled, so the paper leaves them out; and what it calls tzm is zgh.
MISLABELLED = ("yue_Hant",)
RENAMED = {"tzm_Tfng": "zgh_Tfng"}


@dataclass(frozen=True)
class Parallel:
    """Aligned sentences: `texts[language][i]` says the same in every language.

    Attributes:
        keys: Name of each sentence.
        texts: Sentences by language, the pivot first.
        dropped: Why rows or languages were left out, for the report.
    """

    keys: tuple[str, ...]
    texts: dict[str, tuple[str, ...]]
    dropped: tuple[str, ...] = ()

    def take(self, rows: Sequence[int]) -> Parallel:
        """Some of the sentences, in the order asked for."""
        texts = {language: tuple(lines[row] for row in rows) for language, lines in self.texts.items()}
        return Parallel(tuple(self.keys[row] for row in rows), texts, self.dropped)


def load_parallel(config: Config) -> Parallel:
    """All usable sentences of the corpus: present in every language, none repeated.

    Raises:
        UserError: unknown corpus or language; no column of the pivot; fewer than two sentences left.
    """
    keys, columns = _columns(config)
    if config.pivot not in columns:
        raise UserError(f"{config.corpus} has no pivot {config.pivot!r}: choose --pivot from {', '.join(columns)}.")
    columns = {config.pivot: columns.pop(config.pivot), **columns}
    if len(columns) < 2:
        raise UserError(f"{config.corpus} has no language besides the pivot {config.pivot!r}: add a column.")
    columns, dropped = drop_short_languages(columns, config.pivot, config.n)
    rows = distinct_rows(columns)
    if len(rows) < 2:
        raise UserError(f"{config.corpus} has {len(rows)} usable sentences: give at least 2 that differ.")
    if len(rows) < len(keys):
        dropped = (*dropped, f"{len(keys) - len(rows)} of {len(keys)} rows: incomplete or repeated")
    texts = {language: tuple(str(lines[row]) for row in rows) for language, lines in columns.items()}
    return Parallel(tuple(keys[row] for row in rows), texts, dropped)


def _columns(config: Config) -> tuple[list[str], dict[str, list[str | None]]]:
    """Keys and columns of the corpus, whatever its form."""
    languages = [config.pivot, *(code for code in config.languages if code != config.pivot)]
    path = Path(config.corpus)
    if path.is_dir() and config.extension != "txt":
        return _folder(path, config.extension, languages if config.languages else None)
    if config.corpus == "flores200":
        codes = languages if config.languages else flores_labels()
        folder = config.hub_folder and Path(config.hub_folder) / "flores200" / "devtest"
        table = corpora.load("flores200", languages=codes, folder=folder)
    elif config.corpus == "django":
        table = corpora.load("django", languages=languages, min_words=config.min_words, complete=False)
    elif config.corpus in corpora.available():
        table = corpora.load(config.corpus, languages=languages)
    else:
        table = corpora.load(config.corpus, languages=languages if config.languages else None)
    columns = {name: list(table[name]) for name in table.column_names if name != "key"}
    if path.is_dir() or config.corpus == "flores200":
        columns = relabelled(columns)
    return [str(key) for key in table["key"]], columns


def _folder(
    folder: Path, extension: str, languages: Sequence[str] | None
) -> tuple[list[str], dict[str, list[str | None]]]:
    """The layout of the official code and of FLORES-200's archive: `<label>.<extension>`, line i of each the same."""
    files = {path.name.removesuffix(f".{extension}"): path for path in sorted(folder.glob(f"*.{extension}"))}
    missing = [code for code in languages or files if code not in files]
    if missing or not files:
        raise UserError(f"{folder} has no file {(missing or ['<language>'])[0]}.{extension}: check --extension.")
    columns: dict[str, list[str | None]] = {
        code: [line.strip() or None for line in read_lines(files[code])] for code in languages or files
    }
    longest = max(map(len, columns.values()))
    columns = {code: lines + [None] * (longest - len(lines)) for code, lines in columns.items()}
    return [str(number) for number in range(1, longest + 1)], relabelled(columns)


def relabelled(columns: Mapping[str, list[str | None]]) -> dict[str, list[str | None]]:
    """The paper's corrections of FLORES-200's labels."""
    return {RENAMED.get(code, code): lines for code, lines in columns.items() if code not in MISLABELLED}


def flores_labels() -> list[str]:
    """Labels of all languages of FLORES+ on the hub, English first.

    Raises:
        UserError: no network, or the dataset's terms are not accepted.
    """
    from huggingface_hub import list_repo_files

    source = next(source for source in hub.SOURCES if source.name == "flores200")
    try:
        files = list_repo_files(source.hub_id, repo_type="dataset", revision=source.revision)
    except Exception as error:
        raise UserError(
            f"Cannot list the languages of {source.hub_id} ({type(error).__name__}): name them with --languages, or "
            "give the folder of FLORES-200's archive with --corpus flores200_dataset/devtest --extension devtest."
        ) from error
    labels = [Path(name).stem for name in files if name.startswith("devtest/")]
    return ["eng_Latn", *(label for label in sorted(labels) if label not in ("eng_Latn", *MISLABELLED))]


def drop_short_languages(
    columns: Mapping[str, list[str | None]], pivot: str, n: int | None
) -> tuple[dict[str, list[str | None]], tuple[str, ...]]:
    """Leave out the languages with fewer than n sentences: the score falls with n, so all must have the same."""
    available = {code: sum(line is not None for line in lines) for code, lines in columns.items()}
    needed = min(n or max(available.values()), available[pivot])
    short = [code for code, count in available.items() if count < needed]
    if len(short) == len(columns) - 1:
        raise UserError(f"No language but {pivot} has {needed} sentences: lower --n.")
    notes = (f"{', '.join(short)}: fewer than {needed} sentences",) if short else ()
    return {code: lines for code, lines in columns.items() if code not in short}, notes


def distinct_rows(columns: Mapping[str, Sequence[str | None]]) -> list[int]:
    """Rows that every language has and that repeat no earlier one in any language.

    Of two equal sentences neither can be found strictly first, so a repetition makes both pairs unsolvable.
    """
    seen: dict[str, set[str]] = {code: set() for code in columns}
    kept: list[int] = []
    for row, texts in enumerate(zip(*columns.values(), strict=True)):
        if any(text is None or text in seen[code] for code, text in zip(columns, texts, strict=True)):
            continue
        kept.append(row)
        for code, text in zip(columns, texts, strict=True):
            seen[code].add(str(text))
    return kept


def choose_rows(available: int, n: int | None, sampling: str, seed: int) -> list[int]:
    """Which sentences a run uses: the first n, or a random sample of n that depends on the seed."""
    n = min(n or available, available)
    if sampling == "first" or n == available:
        return list(range(n))
    return sorted(np.random.default_rng(seed).permutation(available)[:n].tolist())


def read_scores(path: str | Path, languages: Iterable[str]) -> dict[str, float]:
    """Task scores by language, from `language <TAB> score` lines or from the results file of lm-eval.

    Languages are matched in BCP-47 and in FLORES-200 spelling: `m_mmlu_fr` is a score for `fra_Latn`.

    Raises:
        UserError: no such file, a line that has no number, a score outside [0, 1], or no known language at all.
    """
    path = Path(path)
    found = _from_lm_eval(path) if path.suffix == ".json" else _from_tsv(path)
    for code, value in found.items():
        if not 0 <= value <= 1:
            raise UserError(f"{path}: the score {value} of {code!r} is outside [0, 1]: give shares, not per cent.")
    spelling = {canonical(code): value for code, value in found.items()}
    scores = {code: spelling[canonical(code)] for code in languages if canonical(code) in spelling}
    if not scores:
        raise UserError(f"{path} has no score for any language of the corpus: it has {', '.join(list(found)[:8])}.")
    unused = len(found) - len(scores)
    if unused:
        warnings.warn(f"{path}: {unused} of {len(found)} scores belong to no language of the corpus.", stacklevel=2)
    return scores


def canonical(code: str) -> str:
    """One spelling of a language: FLORES+'s where the code is known, else the code itself."""
    try:
        return hub.flores_plus_config(code)
    except UserError:
        return code


def _from_tsv(path: Path) -> dict[str, float]:
    scores: dict[str, float] = {}
    for number, line in enumerate(read_lines(path), start=1):
        cells = line.split("\t")
        if not line.strip() or (number == 1 and len(cells) == 2 and not _is_number(cells[1])):
            continue
        if len(cells) != 2 or not _is_number(cells[1]):
            raise UserError(f"{path}, line {number}: write a language code, a tab and a score between 0 and 1.")
        scores[cells[0].strip()] = float(cells[1])
    return scores


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*\d*\.?\d+(e-?\d+)?\s*", text) is not None


def _from_lm_eval(path: Path) -> dict[str, float]:
    """`{"results": {"belebele_fra_Latn": {"acc,none": 0.8}}}` -> `{"fra_Latn": 0.8}`; groups have no language."""
    try:
        results: dict[str, Any] = load_json(path, dict, sound=False)["results"]
        names = {task: re.fullmatch(r"(belebele|m_mmlu|arc)_(.+)", task) for task in results}
        return {
            match[2]: float(results[task]["acc,none"])
            for task, match in names.items()
            if match and "acc,none" in results[task]
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is no results file of lm-eval: give its results_*.json or a .tsv.") from error
