"""Measure what moved: every skill in the pivots, in languages seen in translation alone, and in languages never seen.

    python -m papers.bayling2.eval tiny --variant full
    python -m papers.bayling2.eval tiny --variant full --split dev
    python -m papers.bayling2.eval paper --benchmarks belebele --items 200

Translation quality alone would miss the claim: it is about *other* tasks, in languages without one instruction. The
rate of answers in a wrong language, the main failure of zero-shot transfer, stands beside the accuracy. Metrics end in
the group of languages that they are about: `_pivots` (task instructions), `_x` (translation tasks alone), `_untied`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json, write_json
from papers.bayling2.config import Config

if TYPE_CHECKING:
    from papers.bayling2.chat import Chat
    from papers.bayling2.data import Item

Exposure = Literal["instructed", "translated", "unseen"]
EXPOSURES: tuple[Exposure, ...] = ("instructed", "translated", "unseen")


# --- accuracy by task and language ------------------------------------------------------------------------------------


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


def exposure_of(code: str, languages: Mapping[str, Mapping[str, int]], task_blocks: Collection[str]) -> Exposure:
    """What a mixture shows of a language.

    Args:
        code: The language.
        languages: `languages` of :func:`papers.bayling2.data.manifest`.
        task_blocks: Names of the blocks that instruct tasks.
    """
    blocks = languages.get(code, {})
    if any(blocks.get(name) for name in task_blocks):
        return "instructed"
    return "translated" if blocks.get("xling") else "unseen"


def transfer_matrix(
    model: Chat | Callable[[Sequence[Item]], Sequence[str]],
    tasks: Mapping[str, Mapping[str, Sequence[Item]]],
    langs: Sequence[str] | None = None,
    *,
    exposure: Mapping[str, Exposure] | None = None,
    identify: Callable[[str, str], str | None] | None = None,
    max_new_tokens: int = 32,
    samples: int = 3,
) -> Transfer:
    """Ask every task in every language.

    Args:
        model: A chat model, or any function from items to answers.
        tasks: Items by task and language.
        langs: The languages to ask in; None = all that the tasks have.
        exposure: What training showed of each language; `unseen` where it says nothing.
        identify: (answer, expected language) -> language of the answer in any spelling, None when it cannot tell; the
            default decides by script and word frequencies between the expected language, the pivots and the other
            languages that answers should be in, as far as these can tell them apart.
        max_new_tokens: Longest generated answer.
        samples: Outputs to keep of each cell.

    Raises:
        UserError: No item, or a right answer that is not among its choices.
    """
    from core.text.languages import resource_level
    from papers.bayling2.chat import Chat

    cells = [(task, code) for task, by_code in tasks.items() for code in (langs or by_code) if by_code.get(code)]
    if not cells:
        raise UserError("There is nothing to ask: no task has an item in these languages.")
    items = [item for task, code in cells for item in tasks[task][code]]
    if bad := [item for item in items if item.choices and item.answer not in item.choices]:
        raise UserError(f"Item {bad[0].key!r}: the answer {bad[0].answer!r} is not among its choices.")
    if identify is None:
        identify = _identifier(sorted({item.answer_language for item in items if item.answer_language}))
    answers = iter(model.answer(items, max_new_tokens) if isinstance(model, Chat) else model(items))
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


def _identifier(spoken: Sequence[str]) -> Callable[[str, str], str | None]:
    from core.text.identification import can_tell_apart, identify
    from core.text.languages import same_language

    @cache
    def candidates(expected: str) -> list[str]:
        # One pair that words cannot decide between, and the identifier would never decide.
        chosen = [expected]
        for code in ("en", "zh", *spoken):
            if all(not same_language(code, other) and can_tell_apart(code, other) for other in chosen):
                chosen.append(code)
        return chosen

    return lambda answer, expected: identify(answer, candidates(expected))


# --- the measurement of a run -----------------------------------------------------------------------------------------


def evaluate(config: Config, run: Run) -> Measurement:
    """Accuracy by skill and group of languages, translation, wrong languages, and the table by language."""
    from core.distributed import seed_everything
    from papers.bayling2 import miniature
    from papers.bayling2.chat import Chat
    from papers.bayling2.data import TRANSLATION_TESTS, benchmark_tasks

    seed_everything(config.seed)
    facts = read_json(run.artifact / "manifest.json") or {}
    options = {"dtype": "float32"} if config.model is None else {}
    chat = Chat.load(run.artifact / "model", **options)  # its tokenizer carries the layout
    tasks = miniature.questions(config) if config.model is None else benchmark_tasks(config)
    seen, instructing = facts.get("languages", {}), [*config.pivots, "oracle"]
    metrics = {f"trivial_{name}": value for name, value in facts.get("trivial", {}).items()}
    units: dict[str, dict[str, float]] = {}
    details: dict[str, Any] = {"mixture": {name: value for name, value in facts.items() if name != "losses"}}
    if tasks:
        transfer = transfer_matrix(
            chat,
            tasks,
            exposure={code: exposure_of(code, seen, instructing) for by_code in tasks.values() for code in by_code},
            identify=miniature.identifier(config) if config.model is None else None,
            max_new_tokens=config.max_new_tokens,
        )
        units, rates = summarise(transfer, groups(config))
        metrics |= {name: sum(values.values()) / len(values) for name, values in units.items()} | rates
        details |= {
            "languages": by_language(transfer),
            "samples": {f"{cell.task}/{cell.language}": [list(s) for s in cell.samples] for cell in transfer.cells},
        }
        write_json(run.path / "transfer.json", details["languages"])
        if not run.quiet:
            print(transfer.table())
    if set(TRANSLATION_TESTS) & set(config.benchmarks):
        means, details["translation"] = translation(chat, config, run)
        metrics |= means
    return Measurement(metrics, units, details)


def groups(config: Config) -> dict[str, tuple[str, ...]]:
    """Groups of languages that metrics are about; pivots are those with instructions."""
    from papers.bayling2 import miniature

    tied, untied = miniature.cast(config) if config.model is None else (config.languages, config.untied)
    return {
        "pivots": tuple(code for code in config.pivots if code in config.blocks),
        **{code: (code,) for code in config.pivots},
        "x": config.benchmark_languages or tied,
        "untied": untied,
    }


def summarise(
    transfer: Transfer, languages: Mapping[str, Collection[str]]
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Values by item of each task and of the skills together by group, and rates of wrong languages.

    Digits are no part of `skills`: the base knowledge shows some in every language, so that they need not come from
    the pivots.
    """
    from papers.bayling2.miniature import TRANSLATION

    units: dict[str, dict[str, float]] = {}
    rates: dict[str, float] = {}
    tasks = [task for task in dict.fromkeys(cell.task for cell in transfer.cells) if task not in TRANSLATION]
    for group, codes in languages.items():
        cells = [cell for task in tasks for cell in transfer.select(task, languages=codes)]
        for cell in cells:
            for key, value in cell.correct.items():
                units.setdefault(f"{cell.task}_{group}", {})[f"{cell.language}/{key}"] = value
                if cell.task != "digits":
                    units.setdefault(f"skills_{group}", {})[f"{cell.language}/{cell.task}/{key}"] = value
        if known := [cell.wrong_language for cell in cells if cell.wrong_language is not None]:
            rates[f"wrong_language_{group}"] = sum(known) / len(known)
    for task in TRANSLATION:
        for cell in transfer.select(task):
            units.setdefault(task, {}).update({f"{cell.language}/{key}": value for key, value in cell.correct.items()})
        if not math.isnan(rate := transfer.wrong_language(task)):
            rates[f"wrong_language_{task}"] = rate
    return units, rates


def by_language(transfer: Transfer) -> dict[str, dict[str, Any]]:
    """Accuracy in every task by language, with its exposure and resource level."""
    table: dict[str, dict[str, Any]] = {}
    for cell in transfer.cells:
        entry = table.setdefault(cell.language, {"exposure": cell.exposure, "resource": cell.resource})
        entry[cell.task] = round(cell.accuracy, 4)
    return table


def translation(chat: Chat, config: Config, run: Run) -> tuple[dict[str, float], dict[str, Any]]:
    """Scores of the translation benchmarks, greedy, each asked for in English and in Chinese.

    Sources, outputs and references are written to `translations/` in the run's folder, a segment a line.
    """
    from core.tasks import translation as task
    from papers.bayling2.data import translation_tests
    from papers.bayling2.method import WORDINGS

    # A missing package is found before hours of decoding.
    comet = task.scorer("comet", chat.model.device) if "comet" in config.scores else None
    scores: dict[str, dict[str, float]] = {}
    sides: dict[str, list[str]] = {}
    for benchmark, group, segments in translation_tests(config):
        first, texts = segments[0], [segment.source_text for segment in segments]
        for asked in (pivot for pivot in config.pivots if pivot in WORDINGS):
            outputs = chat.translate(texts, first.source, first.target, asked, max_new_tokens=config.max_new_tokens)
            name = f"{benchmark}-{first.direction}.asked_{asked}"
            scores[name] = {
                score: task.corpus_scores(segments, outputs, score)[first.direction].score
                for score in config.scores
                if score != "comet"
            }
            if comet:
                rated = comet(texts, outputs, [segment.target_text for segment in segments])
                scores[name]["comet"] = sum(rated) / len(rated)
            task.write_segments(run.path / "translations" / f"asked_{asked}", segments, outputs, f"{benchmark}-")
            sides.setdefault(f"{group}.asked_{asked}", []).append(name)
    metrics = {
        f"{score}_{group}": sum(scores[name][score] for name in names) / len(names)
        for group, names in sides.items()
        for score in config.scores
    }
    return metrics, {"scores": scores}


if __name__ == "__main__":
    entrypoint(evaluate)
