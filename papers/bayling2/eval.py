"""Measure what moved: every skill in the pivots, in languages seen in translation alone, and in languages never seen.

    python -m papers.bayling2.eval tiny --variant full
    python -m papers.bayling2.eval tiny --variant full --split dev
    python -m papers.bayling2.eval paper --benchmarks belebele --items 200

Generation is greedy. Metrics end in the group of languages that they are about: `_pivots` (task instructions), `_x`
(translation tasks alone), `_untied` (neither).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json, write_json
from papers.bayling2.config import Config

if TYPE_CHECKING:
    from papers.bayling2.chat import Chat
    from papers.bayling2.transfer import Transfer


def evaluate(config: Config, run: Run) -> Measurement:
    """Accuracy by skill and group of languages, translation, wrong languages, and the table by language."""
    from core.distributed import seed_everything
    from papers.bayling2.chat import Chat
    from papers.bayling2.data import TRANSLATION_TESTS, benchmark_tasks
    from papers.bayling2.numerals import identifier, number_tasks
    from papers.bayling2.transfer import exposure_of, transfer_matrix

    seed_everything(config.seed)
    facts = read_json(run.artifact / "manifest.json") or {}
    options = {"dtype": "float32"} if config.model is None else {}
    named: Any = config.template if config.template != "auto" else ("plain" if config.model is None else None)
    chat = Chat.load(run.artifact / "model", named, **options)
    tasks = number_tasks(config) if config.model is None else benchmark_tasks(config)
    codes = {code for by_code in tasks.values() for code in by_code}
    seen, instructing = facts.get("languages", {}), [*config.pivots, "oracle"]
    transfer = transfer_matrix(
        chat,
        tasks,
        exposure={code: exposure_of(code, seen, instructing) for code in codes},
        identify=identifier(config) if config.model is None else None,
        max_new_tokens=config.max_new_tokens,
    ) if tasks else None  # fmt: skip
    metrics, units = summarise(transfer, config) if transfer else ({}, {})
    details: dict[str, Any] = {"mixture": {name: value for name, value in facts.items() if name != "losses"}}
    if transfer:
        details |= {"languages": by_language(transfer), "samples": examples(transfer)}
        write_json(run.path / "transfer.json", details["languages"])
        if not run.quiet:
            print(transfer.table())
    if set(TRANSLATION_TESTS) & set(config.benchmarks):
        scores, details["translation"] = translation(chat, config, run)
        metrics |= scores
    return Measurement(metrics, units, details)


def groups(config: Config) -> dict[str, tuple[str, ...]]:
    """Groups of languages that metrics are about."""
    return {
        "pivots": config.pivots,
        "en": tuple(code for code in config.pivots if code == "en"),
        "x": config.benchmark_languages or config.languages,
        "untied": config.untied,
    }


def summarise(transfer: Transfer, config: Config) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Metrics with their values by item: each skill and their mean (`skills`) by group, translation."""
    from papers.bayling2.numerals import TRANSLATION

    units: dict[str, dict[str, float]] = {}
    metrics: dict[str, float] = {}
    skills = [task for task in dict.fromkeys(cell.task for cell in transfer.cells) if task not in TRANSLATION]
    for group, codes in groups(config).items():
        for cell in transfer.select(languages=codes):
            if cell.task in skills:
                for key, value in cell.correct.items():
                    units.setdefault(f"{cell.task}_{group}", {})[f"{cell.language}/{key}"] = value
                    units.setdefault(f"skills_{group}", {})[f"{cell.task}/{cell.language}/{key}"] = value
        rates = [cell.wrong_language for cell in transfer.select(languages=codes) if cell.task in skills]
        if known := [rate for rate in rates if rate is not None]:
            metrics[f"wrong_language_{group}"] = sum(known) / len(known)
    for task in TRANSLATION:
        for cell in transfer.select(task):
            units.setdefault(task, {}).update({f"{cell.language}/{key}": value for key, value in cell.correct.items()})
        if not math.isnan(rate := transfer.wrong_language(task)):
            metrics[f"wrong_language_{task}"] = rate
    return {name: sum(values.values()) / len(values) for name, values in units.items()} | metrics, units


def by_language(transfer: Transfer) -> dict[str, dict[str, Any]]:
    """Accuracy in every task by language, with its exposure and resource level."""
    table: dict[str, dict[str, Any]] = {}
    for cell in transfer.cells:
        entry = table.setdefault(cell.language, {"exposure": cell.exposure, "resource": cell.resource})
        entry[cell.task] = round(cell.accuracy, 4)
    return table


def examples(transfer: Transfer) -> dict[str, Any]:
    """A few outputs of every task and language: what was asked, what was said, what is right."""
    return {f"{cell.task}/{cell.language}": [list(sample) for sample in cell.samples] for cell in transfer.cells}


def translation(chat: Chat, config: Config, run: Run) -> tuple[dict[str, float], dict[str, Any]]:
    """BLEU and chrF of the translation benchmarks, greedy.

    Outputs and references are written to `translations/` in the run's folder, a segment a line, for spBLEU and COMET.
    """
    from core.tasks.translation import corpus_scores, write_segments
    from papers.bayling2.data import translation_tests

    scores: dict[str, dict[str, float]] = {}
    sides: dict[str, list[str]] = {}
    for test in translation_tests(config):
        first, texts = test.segments[0], [segment.source_text for segment in test.segments]
        outputs = chat.translate(texts, first.source, first.target, max_new_tokens=config.max_new_tokens)
        scores[test.name] = {
            "bleu": corpus_scores(test.segments, outputs, "bleu")[first.direction].score,
            "chrf": corpus_scores(test.segments, outputs, "chrf")[first.direction].score,
        }
        write_segments(run.path / "translations", test.segments, outputs, f"{test.benchmark}-")
        sides.setdefault(test.group, []).append(test.name)
    metrics = {
        f"{measure}_{group}": sum(scores[name][measure] for name in names) / len(names)
        for group, names in sides.items()
        for measure in ("bleu", "chrf")
    }
    return metrics, {"scores": scores}


if __name__ == "__main__":
    entrypoint(evaluate)
