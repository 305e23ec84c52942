"""Benchmarks that are asked in words and answered in words: rows of the published files, answers and their scores.

    asked = read("xcopa", "benchmarks/XCOPA", "Premise: {premise}. What is the {question}? A: {choice1}, B: {choice2}.")
    values = scores(asked, outputs)                                 # {"sw/17": 1.0, ...}
    summary(asked, outputs)                                         # mean, best, democratization, off-target rate

Files lie as they are published: `<code>/test_2k.tsv` (PAWS-X), `<code>/test.<code>.jsonl` (XCOPA),
`<language>_test.jsonl` (XL-Sum), `<code>.jsonl` in each language (Self-Instruct's user-oriented set).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import langcodes

from core import corpora
from core.errors import UserError
from core.metrics.answers import rouge_l
from core.metrics.languages import democratization, off_target
from core.metrics.translation import sentence_chrf

Metric = Literal["accuracy", "rouge_l", "chrf++"]
Adapter = Callable[[Mapping[str, Any], str, str, str], "Question"]


@dataclass(frozen=True)
class Question:
    """What is asked, and the right answer.

    Attributes:
        group: Language code, or direction such as `de-sw`.
        key: Identifies it within its group.
        instruction: The question.
        reference: The right answer.
        metric: What compares an answer with it: `accuracy` of one of two words, in [0, 1], `rouge_l` in [0, 1],
            `chrf++` in [0, 100].
        input: What the question is about, where that stands apart.
        wanted: Code of the language of a right answer; empty where it is a word of English in every language.
    """

    group: str
    key: str
    instruction: str
    reference: str
    metric: Metric = "accuracy"
    input: str = ""
    wanted: str = ""


def read(task: str, folder: str | Path, wording: str = "{instruction}", most: int | None = None) -> list[Question]:
    """The questions of a benchmark in all languages whose files a folder has.

    Args:
        task: `paws_x`, `xcopa`, `xl_sum` or `self_instruct`.
        folder: What holds the files of this benchmark.
        wording: The question, with the columns of a row in braces.
        most: The first so many of each language.

    Raises:
        UserError: There is no file of this benchmark, or a row lacks a column.
    """
    pattern, adapt = _TASKS[task]
    files = sorted(Path(folder).glob(pattern))
    if not files:
        raise UserError(f"{folder} has no {pattern}: put the published files of {task} there.")

    found = []
    for file in files:
        code = _language(task, file)
        rows = list(corpora.read_rows(file))[:most]
        made = partial(_made, adapt, code, wording)
        found += list(corpora.adapted(file, rows, made))
    return found


def _made(adapt: Adapter, code: str, wording: str, row: Mapping[str, Any], number: int) -> Question:
    return adapt(row, str(number), code, wording)


def _language(task: str, file: Path) -> str:
    if task == "xl_sum":
        return language_of(file.name.removesuffix("_test.jsonl"))
    return file.stem if task == "self_instruct" else file.parent.name


def _paws_x(row: Mapping[str, Any], key: str, code: str, wording: str) -> Question:
    return Question(code, key, wording.format_map(row), {"0": "no", "1": "yes"}[str(row["label"])])


def _xcopa(row: Mapping[str, Any], key: str, code: str, wording: str) -> Question:
    return Question(code, key, wording.format_map(row), "AB"[int(row["label"])])


def _xl_sum(row: Mapping[str, Any], key: str, code: str, wording: str) -> Question:
    return Question(code, key, wording.format_map(row), row["summary"], "rouge_l", wanted=code)


def _self_instruct(row: Mapping[str, Any], key: str, code: str, wording: str) -> Question:
    shown = row["instances"][0]
    return Question(code, key, wording.format_map(row), shown["output"], "rouge_l", shown["input"], code)


_TASKS: dict[str, tuple[str, Adapter]] = {
    "paws_x": ("*/test_2k.tsv", _paws_x),
    "xcopa": ("*/test.*.jsonl", _xcopa),
    "xl_sum": ("*_test.jsonl", _xl_sum),
    "self_instruct": ("*.jsonl", _self_instruct),
}


def language_of(name: str) -> str:
    """Code of a language as XL-Sum's files name it: `chinese_simplified`, `scottish_gaelic`, `pidgin`."""
    language, _, script = name.partition("_")
    scripts = {"simplified": "zh-Hans", "traditional": "zh-Hant", "cyrillic": "sr-Cyrl", "latin": "sr-Latn"}
    known = {"pidgin": "pcm", "kirundi": "rn", "scottish_gaelic": "gd"}
    return scripts.get(script) or known.get(name) or str(langcodes.find(language))


def picked(text: str, reference: str) -> str:
    """The first word of a text that is one of the two that could be right (yes or no, A or B), in any case, as the
    benchmark spells it; empty where there is none."""
    words = ("yes", "no") if reference in ("yes", "no") else ("A", "B")
    found = re.search(rf"\b({'|'.join(words)})\b", text, re.IGNORECASE)
    return next((word for word in words if found and word.lower() == found[1].lower()), "")


def scores(asked: Sequence[Question], outputs: Sequence[str]) -> dict[str, float]:
    """`{"sw/17": score}`."""
    found = {}
    for question, output in zip(asked, outputs, strict=True):
        if question.metric == "accuracy":
            score = float(picked(output, question.reference) == question.reference)
        elif question.metric == "rouge_l":
            score = rouge_l(output, question.reference, question.wanted)
        else:
            score = sentence_chrf(output, question.reference, word_order=2)
        found[f"{question.group}/{question.key}"] = score
    return found


def summary(asked: Sequence[Question], outputs: Sequence[str]) -> dict[str, float]:
    """Over languages or directions: `mean` and `best` score, `democratization` and, where answers are in a language,
    the `off_target` rate, if it can be told."""
    groups: dict[str, list[float]] = {}
    for unit, value in scores(asked, outputs).items():
        groups.setdefault(unit.rpartition("/")[0], []).append(value)
    equal = democratization({name: fmean(values) for name, values in groups.items()})
    found = {"mean": equal.mean, "best": equal.best, "democratization": equal.share}
    if all(question.wanted for question in asked):
        wanted, names = ([getattr(question, name) for question in asked] for name in ("wanted", "group"))
        rates = [rate.rate for rate in off_target(outputs, wanted, groups=names).values() if rate.judged]
        found |= {"off_target": fmean(rates)} if rates else {}
    return found
