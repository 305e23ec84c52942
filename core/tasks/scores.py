"""Task scores by language that were measured elsewhere: a table of one's own, or what lm-evaluation-harness writes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.corpora import hub
from core.errors import UserError
from core.files import load_json, read_lines


def canonical(code: str) -> str:
    """One spelling of a language: FLORES+'s where the code is known, else the code itself."""
    try:
        return hub.flores_plus_config(code)
    except UserError:
        return code


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
        named = {task: re.fullmatch(r"(belebele|m_mmlu|arc)_(.+)", task) for task in results}
        return {
            match[2]: float(results[task]["acc,none"])
            for task, match in named.items()
            if match and "acc,none" in results[task]
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is no results file of lm-eval: give its results_*.json or a .tsv.") from error
