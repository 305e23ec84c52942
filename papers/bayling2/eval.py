"""Measure what moved: every skill in the pivots, in languages seen in translation alone, and in languages never seen.

    python -m papers.bayling2.eval tiny --variant full
    python -m papers.bayling2.eval tiny --variant full --split dev
    python -m papers.bayling2.eval paper --benchmarks belebele --items 200

Translation quality alone would miss the claim: it is about *other* tasks, in languages without one instruction for
them. The rate of answers in a wrong language, the main failure of zero-shot transfer, stands beside the accuracy.
Metrics end in the group of languages that they are about: `_pivots` (instructions), `_x` (translations), `_untied`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from itertools import product
from statistics import fmean
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json
from core.inference.chat import Chat
from core.tasks import translation as task
from core.tasks.transfer import Transfer, benchmark_tasks, transfer_matrix
from papers.bayling2 import miniature
from papers.bayling2.chat import load_chat, translate
from papers.bayling2.config import WORDINGS, Config
from papers.bayling2.data import TRANSLATION_TESTS, exposures, translation_tests


def evaluate(config: Config, run: Run) -> Measurement:
    """Accuracy by skill and group of languages, translation, wrong languages, and the table by language."""
    from core.distributed import seed_everything

    seed_everything(config.seed)
    facts = read_json(run.artifact / "manifest.json") or {}
    options: dict[str, Any] = {"dtype": "float32"} if config.model is None else {}
    chat = load_chat(run.artifact / "model", **options)  # its tokenizer carries the layout
    tied, untied = miniature.cast(config)
    if config.model is None:
        tasks, identify = miniature.questions(config), miniature.identifier(config)
    else:
        asked = [name for name in config.benchmarks if name not in TRANSLATION_TESTS]
        tasks, identify = benchmark_tasks(asked, config.pivots, (*tied, *untied), config.items), None
    metrics = {f"trivial_{name}": value for name, value in facts.get("trivial", {}).items()}
    units: dict[str, dict[str, float]] = {}
    details: dict[str, Any] = {"mixture": facts}
    if tasks:
        transfer = transfer_matrix(
            lambda items: chat.answer(items, config.max_new_tokens), tasks, exposure=exposures(facts, tasks),
            identify=identify,
        )  # fmt: skip
        groups = {"pivots": [code for code in config.pivots if code in config.blocks], "x": tied, "untied": untied}
        seen = miniature.seen_words(config) if config.model is None else {}
        units, rates = summarise(transfer, {**groups, **{code: [code] for code in config.pivots}}, seen)
        metrics |= {name: fmean(values.values()) for name, values in units.items()} | rates
        details["languages"] = transfer.by_language()
        details["samples"] = {f"{cell.task}/{cell.language}": list(map(list, cell.samples)) for cell in transfer.cells}
        if not run.quiet:
            print(transfer.table())
    if set(TRANSLATION_TESTS) & set(config.benchmarks):
        means, details["translation"] = translation(chat, config, run)
        metrics |= means
    return Measurement(metrics, units, details)


def summarise(
    transfer: Transfer, languages: Mapping[str, Collection[str]], seen: Mapping[str, Collection[str]]
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Values by item of each task and of the skills together by group, and rates of wrong languages.

    Digits are no part of `skills`: the base knowledge shows some in every language, so that they need not come from
    the pivots. `seen` has the items by language all of whose words the base knowledge shows: `skills_x_seen`.
    """
    units: dict[str, dict[str, float]] = defaultdict(dict)
    wrong: dict[str, list[float]] = defaultdict(list)
    for cell in transfer.cells:
        groups = [f"_{group}" for group, codes in languages.items() if cell.language in codes]
        for group in [""] if cell.task in miniature.TRANSLATION else groups:
            for key, value in cell.correct.items():
                units[f"{cell.task}{group}"][f"{cell.language}/{key}"] = value
                if group and cell.task != "digits":
                    path = f"{cell.language}/{cell.task}/{key}"
                    units[f"skills{group}"][path] = value
                    if group == "_x" and cell.language in seen:
                        units[f"skills_x_{'seen' if key in seen[cell.language] else 'unseen'}"][path] = value
            if cell.wrong_language is not None:
                wrong[f"wrong_language{group or f'_{cell.task}'}"].append(cell.wrong_language)
    return units, {name: fmean(rates) for name, rates in wrong.items()}


def translation(chat: Chat, config: Config, run: Run) -> tuple[dict[str, float], dict[str, Any]]:
    """Scores of the translation benchmarks, greedy, each asked for in English and in Chinese, by direction and group.

    Sources, outputs and references are written to `translations/` in the run's folder, a segment a line.
    """
    # A missing package is found before hours of decoding.
    comet = task.scorer("comet", chat.model.device) if "comet" in config.scores else None
    scores: dict[str, dict[str, float]] = {}
    groups: dict[str, list[float]] = defaultdict(list)
    for (name, parts), asked in product(translation_tests(config).items(), [p for p in config.pivots if p in WORDINGS]):
        outputs = translate(chat, parts, asked, max_new_tokens=config.max_new_tokens)
        task.write_segments(run.path / "translations" / f"asked_{asked}", parts, outputs, f"{name}-")
        found = task.direction_scores(parts, outputs, config.scores, comet)
        for source, target in dict.fromkeys((part.source, part.target) for part in parts):
            direction = f"{source}-{target}"
            scores[f"{name}-{direction}.asked_{asked}"] = found[direction]
            pair = [code if code in config.pivots else "x" for code in (source, target)]
            group = "_to_".join(pair) if "x" in pair else f"{name}-{direction}"
            for score, value in found[direction].items():
                groups[f"{score}_{group}.asked_{asked}"].append(value)
    return {name: fmean(values) for name, values in groups.items()}, {"scores": scores}


if __name__ == "__main__":
    entrypoint(evaluate)
