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
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json, write_json
from core.tasks.transfer import Transfer, exposure_of, transfer_matrix
from papers.bayling2.config import WORDINGS, Config

if TYPE_CHECKING:
    from papers.bayling2.chat import Chat

# --- the measurement of a run -----------------------------------------------------------------------------------------


def evaluate(config: Config, run: Run) -> Measurement:
    """Accuracy by skill and group of languages, translation, wrong languages, and the table by language."""
    from core.distributed import seed_everything
    from papers.bayling2 import miniature
    from papers.bayling2.chat import Chat
    from papers.bayling2.data import TRANSLATION_TESTS, benchmark_tasks

    seed_everything(config.seed)
    facts = read_json(run.artifact / "manifest.json") or {}
    options: dict[str, Any] = {"dtype": "float32"} if config.model is None else {}
    chat = Chat.load(run.artifact / "model", **options)  # its tokenizer carries the layout
    tasks = miniature.questions(config) if config.model is None else benchmark_tasks(config)
    seen, instructing = facts.get("languages", {}), [*config.pivots, "oracle"]
    metrics = {f"trivial_{name}": value for name, value in facts.get("trivial", {}).items()}
    units: dict[str, dict[str, float]] = {}
    details: dict[str, Any] = {"mixture": {name: value for name, value in facts.items() if name != "losses"}}
    if tasks:
        transfer = transfer_matrix(
            lambda items: chat.answer(items, config.max_new_tokens),
            tasks,
            exposure={code: exposure_of(code, seen, instructing) for by_code in tasks.values() for code in by_code},
            identify=miniature.identifier(config) if config.model is None else None,
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
