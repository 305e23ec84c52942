"""Did the skills move? Accuracy by task and language, split by what training showed of the language.

    tasks = read_tasks("tasks.jsonl")                       # {"quiz": {"en": [Item, ...], "sw": [...], "yo": [...]}}
    found = transfer_matrix(answer, tasks, exposure={"en": "instructed", "sw": "translated"})
    print(found.table())
    found.mean(exposure="translated"), found.mean(exposure="unseen", resource="low")

The rate of answers in a wrong language, the main failure of zero-shot transfer, stands beside the accuracy.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from core import corpora
from core.errors import UserError
from core.tasks.choices import exam
from core.text.languages import match

Exposure = Literal["instructed", "translated", "unseen"]
EXPOSURES: tuple[Exposure, ...] = ("instructed", "translated", "unseen")


@dataclass(frozen=True)
class Item:
    """One question.

    Attributes:
        key: Identifies it, across languages too.
        prompt: What the user says.
        answer: The right answer.
        choices: Where given, the answer is the one with the highest log-likelihood; else it is generated, and right
            when it equals `answer`.
        answer_language: Code of the language that a generated answer should be in; empty = not checked.
    """

    key: str
    prompt: str
    answer: str
    choices: tuple[str, ...] = ()
    answer_language: str = ""


@dataclass(frozen=True)
class Cell:
    """One task in one language.

    Attributes:
        task: Name of the task.
        language: Code of the language.
        exposure: What training showed of it: task instructions, translations alone, or neither.
        resource: How much text of it there is at all (`core.text.languages.resource_level`).
        correct: 1 or 0 by item.
        wrong_language: Share of the answers in a wrong language; None where that was not checked.
        samples: The first prompts with outputs and right answers.
    """

    task: str
    language: str
    exposure: Exposure
    resource: str
    correct: Mapping[str, float]
    wrong_language: float | None
    samples: tuple[tuple[str, str, str], ...] = ()

    @property
    def accuracy(self) -> float:
        """Share of right answers, in [0, 1]."""
        return sum(self.correct.values()) / len(self.correct)


@dataclass(frozen=True)
class Transfer:
    """Accuracy by task and language."""

    cells: tuple[Cell, ...]

    def select(
        self,
        task: str | None = None,
        *,
        exposure: str | None = None,
        resource: str | None = None,
        languages: Collection[str] | None = None,
    ) -> list[Cell]:
        """The cells of a task, exposure, resource level, and some languages; None does not filter."""
        return [
            cell
            for cell in self.cells
            if task in (None, cell.task)
            and exposure in (None, cell.exposure)
            and resource in (None, cell.resource)
            and (languages is None or cell.language in languages)
        ]

    def mean(self, task: str | None = None, **filters: Any) -> float:
        """Mean accuracy of the cells that :meth:`select` finds, each counted once; NaN where there is none."""
        cells = self.select(task, **filters)
        return sum(cell.accuracy for cell in cells) / len(cells) if cells else math.nan

    def wrong_language(self, task: str | None = None, **filters: Any) -> float:
        """Mean share of answers in a wrong language over the cells where that was checked; NaN without any."""
        rates = [cell.wrong_language for cell in self.select(task, **filters) if cell.wrong_language is not None]
        return sum(rates) / len(rates) if rates else math.nan

    def by_language(self) -> dict[str, dict[str, Any]]:
        """Accuracy in every task by language, with its exposure and resource level."""
        found: dict[str, dict[str, Any]] = {}
        for cell in self.cells:
            entry = found.setdefault(cell.language, {"exposure": cell.exposure, "resource": cell.resource})
            entry[cell.task] = round(cell.accuracy, 4)
        return found

    def table(self) -> str:
        """Languages by exposure and resource level against tasks, with the mean of every group."""
        tasks = list(dict.fromkeys(cell.task for cell in self.cells))
        rows = [f"{'language':12s} {'resource':9s} " + " ".join(f"{task:>10s}" for task in tasks)]

        def line(name: str, level: str, **filters: Any) -> str:
            values = [self.mean(task, **filters) for task in tasks]
            return f"{name:12s} {level:9s} " + " ".join(" " * 10 if v != v else f"{v:10.3f}" for v in values)

        for exposure in EXPOSURES:
            group = {cell.language: cell.resource for cell in self.select(exposure=exposure)}
            for code, level in sorted(group.items(), key=lambda pair: ("high", "medium", "low").index(pair[1])):
                rows.append(line(code, level, languages=[code]))
            if group:
                rows.append(line(f"= {exposure}", "", exposure=exposure))
        return "\n".join(rows)


def benchmark_tasks(
    names: Iterable[str], required: Sequence[str], languages: Sequence[str], limit: int | None = None
) -> dict[str, dict[str, list[Item]]]:
    """Questions of benchmarks and own files by task and language; choices are worded as in lm-evaluation-harness.

    Args:
        names: Corpora of shape *choice* (:func:`core.tasks.choices.exam`), or paths of own tasks (:func:`read_tasks`).
        required: Languages that a benchmark must have.
        languages: Further languages; where a benchmark lacks one it is left out with a warning.
        limit: At most so many items a task and language.

    Raises:
        UserError: No such benchmark, one that lacks a required language, or a file with a mistake.
    """
    tasks: dict[str, dict[str, list[Item]]] = {}
    for name in names:
        if Path(name).suffix:
            own = read_tasks(name)
            tasks |= {task: {code: some[:limit] for code, some in found.items()} for task, found in own.items()}
            continue
        for code in (*required, *languages):
            try:
                questions = exam(name, code, limit=limit)
            except UserError as error:
                if code in required:
                    raise
                warnings.warn(f"{name} is left out in {code}: {error}", stacklevel=2)
                continue
            choices = [tuple(choice.strip() for choice in question.choices) for question in questions]
            tasks.setdefault(name, {})[code] = [
                Item(q.id, q.context, options[q.answer], options) for q, options in zip(questions, choices, strict=True)
            ]
    return tasks


def told_by_words(vocabularies: Mapping[str, Collection[str]]) -> Callable[[str, str], str | None]:
    """An identifier for :func:`transfer_matrix`: the language whose words an answer is made of, else `mixed`.

    Words that several languages share say nothing against the expected one.
    """
    known = {code: frozenset(words) for code, words in vocabularies.items()}

    @cache
    def identify(answer: str, expected: str) -> str | None:
        fitting = [code for code, words in known.items() if words.issuperset(answer.split())]
        return expected if expected in fitting else next(iter(fitting), "mixed")

    return identify


def exposure_of(code: str, languages: Mapping[str, Mapping[str, int]], task_blocks: Collection[str]) -> Exposure:
    """What a mixture shows of a language.

    Args:
        code: The language, in any spelling (sw, swh_Latn).
        languages: Examples by language and block.
        task_blocks: Names of the blocks that instruct tasks.
    """
    blocks = languages.get(match(code, languages) or code, {})
    if any(blocks.get(name) for name in task_blocks):
        return "instructed"
    return "translated" if blocks.get("xling") else "unseen"


def transfer_matrix(
    model: Callable[[Sequence[Item]], Sequence[str]],
    tasks: Mapping[str, Mapping[str, Sequence[Item]]],
    langs: Sequence[str] | None = None,
    *,
    exposure: Mapping[str, Exposure] | None = None,
    identify: Callable[[str, str], str | None] | None = None,
    samples: int = 3,
) -> Transfer:
    """Ask every task in every language.

    Args:
        model: From items to answers.
        tasks: Items by task and language.
        langs: The languages to ask in; None = all that the tasks have.
        exposure: What training showed of each language; `unseen` where it says nothing.
        identify: (answer, expected language) -> language of the answer in any spelling, None when it cannot tell; the
            default decides by script and word frequencies between the expected language, the pivots and the other
            languages that answers should be in, as far as these can tell them apart.
        samples: Outputs to keep of each cell.

    Raises:
        UserError: No item, or a right answer that is not among its choices.
    """
    from core.text.identification import identifier
    from core.text.languages import resource_level

    cells = [(task, code) for task, by_code in tasks.items() for code in (langs or by_code) if by_code.get(code)]
    if not cells:
        raise UserError("There is nothing to ask: no task has an item in these languages.")
    items = [item for task, code in cells for item in tasks[task][code]]
    if bad := [item for item in items if item.choices and item.answer not in item.choices]:
        raise UserError(f"Item {bad[0].key!r}: the answer {bad[0].answer!r} is not among its choices.")
    if identify is None:
        identify = identifier(sorted({item.answer_language for item in items if item.answer_language}))
    answers = iter(model(items))
    found = []
    for task, code in cells:
        asked = tasks[task][code]
        pairs = list(zip(asked, answers, strict=False))  # as many of the answers as there are items
        wrong = [_is_wrong(said, item.answer_language, identify) for item, said in pairs if item.answer_language]
        found.append(
            Cell(
                task,
                code,
                (exposure or {}).get(code, "unseen"),
                resource_level(code),
                {item.key: float(said.strip() == item.answer) for item, said in pairs},
                sum(wrong) / len(wrong) if wrong else None,
                tuple((item.prompt, said, item.answer) for item, said in pairs[:samples]),
            )
        )
    return Transfer(tuple(found))


def _is_wrong(answer: str, expected: str, identify: Callable[[str, str], str | None]) -> bool:
    from core.text.languages import same_language

    found = identify(answer, expected)
    return found is not None and found != expected and not same_language(found, expected)


def read_tasks(path: str | Path) -> dict[str, dict[str, list[Item]]]:
    """Own tasks: JSON lines with task, language, prompt, answer, and optionally choices, key and answer_language."""
    needed = ("task", "language", "prompt", "answer")
    tasks: dict[str, dict[str, list[Item]]] = {}

    def adapt(row: Mapping[str, Any], number: int) -> None:
        choices = row.get("choices") or []
        if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
            raise UserError("'choices' is no list of texts.")
        key, expected = str(row.get("key") or number - 1), str(row.get("answer_language") or "")
        item = Item(key, row["prompt"], row["answer"], tuple(choices), expected)
        tasks.setdefault(row["task"], {}).setdefault(row["language"], []).append(item)

    list(corpora.adapted(path, corpora.read_jsonl(path, required=dict.fromkeys(needed, str)), adapt))
    return tasks
