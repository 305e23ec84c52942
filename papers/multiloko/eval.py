"""Ask a model every set, score its answers by all three scorers, and compare the sets.

    python -m papers.multiloko.eval tiny --variant own          # a reader that is trained on known facts, 12 languages
    python -m papers.multiloko.eval paper --source benchmark_data

The run's folder holds `predictions.jsonl`, in the official format, to be scored again by `papers.multiloko.use score`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, get_args

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run, is_main_process
from papers.multiloko.answers import Metric, Scorer
from papers.multiloko.config import Config

if TYPE_CHECKING:
    from core.models.loading import Loaded
    from papers.multiloko.data import Mode, Row, Sets

Scores = dict[str, dict[str, float]]


def evaluate(config: Config, run: Run) -> Measurement:
    """The diagnostics of one model, and (miniature) what they had to find."""
    from core.tasks.transcripts import write_predictions
    from papers.multiloko import data, method, miniature

    if config.source:
        source = config.source
    else:
        inputs = {name: getattr(config, name) for name in ("seed", "split", "languages", "facts")}
        source = str(run.stage("sets", inputs, lambda folder: miniature.write_sets(config, folder)))
    asked = data.read_sets(source, config.subset, config.languages and {*config.languages, "english"})
    said = answers(load(config, run), asked, source, config.mode, config.shots, config.max_new_tokens)
    if is_main_process():
        write_predictions(run.path / "predictions.jsonl", said)
    scores: dict[str, Scores] = {name: graded(asked, said, name, config.metric) for name in get_args(Scorer)}
    contained = graded(asked, said, config.scorer, "contains")
    metrics, units = measured(scores[config.scorer])
    for name, values in scores.items():
        found, own = measured(values)
        metrics |= {f"{metric}_{name}": found[metric] for metric in ("average", "gap")}
        units[f"average_{name}"] = own["average"]
    metrics["contains"] = fmean(fmean(contained[key].values()) for key in method.local(contained))
    if not config.source:
        metrics |= miniature.trivial(asked)
        if config.model == "reader":
            found, own = of_known(config, scores[config.scorer])
            metrics, units = metrics | found, units | own
    samples = [
        {"set": key, "asked": row.question, "said": said[key][row.id], "targets": list(row.targets)}
        for key, rows in list(asked.items())[:: max(1, len(asked) // 12)]
        for row in rows[:1]
    ]
    means = {key: fmean(values.values()) for key, values in scores[config.scorer].items()}
    return Measurement(metrics, units, {"scorer": config.scorer, "means": means, "samples": samples})


def load(config: Config, run: Run) -> Loaded:
    """The model with its tokenizer; the reader is trained first."""
    from core.experiment.config import to_dict
    from core.models import loading
    from papers.multiloko import miniature

    if config.model != "reader":
        return loading.load(config.model, dtype=config.dtype, device_map=config.device_map)
    inputs = {name: getattr(config, name) for name in ("seed", "split", "languages", "facts", "reads")}
    inputs["training"] = to_dict(config.training)
    folder = run.stage("reader", inputs, lambda folder: miniature.reader(config, run, folder))
    return loading.load(folder / "model", dtype="float32")


def answers(
    loaded: Loaded, asked: Sets, source: str | Path, mode: Mode = "base", shots: int = 5, max_new_tokens: int = 64
) -> dict[str, dict[str, str]]:
    """What the model says to every question: the first line of a base model, the reply of a chat model; greedily.

    Args:
        loaded: A causal model with its tokenizer.
        asked: The sets.
        source: Where the demonstrations are.
        mode: Base models are shown demonstrations, chat models are not.
        shots: How many.
        max_new_tokens: Room for an answer.
    """
    from core.inference.chat import Chat
    from core.inference.generation import generate
    from papers.multiloko.answers import language_of
    from papers.multiloko.data import demonstrations, prompt

    rows = [(key, row) for key, own in asked.items() for row in own]
    shown = demonstrations(source, {language_of(key) for key in asked}, shots if mode == "base" else 0)
    prompts = [prompt(row, language_of(key), shown.get(language_of(key), ()), mode) for key, row in rows]
    if mode == "chat":
        turns = [[{"role": "user", "content": text}] for text in prompts]
        said = Chat(*loaded).reply(turns, max_new_tokens=max_new_tokens)
    else:
        said = generate(*loaded, prompts, max_new_tokens=max_new_tokens, stop=["\n"])
    found: dict[str, dict[str, str]] = {key: {} for key in asked}
    for (key, row), text in zip(rows, said, strict=True):
        found[key][row.id] = text.strip()
    return found


def graded(
    asked: Mapping[str, Sequence[Row]], said: Mapping[str, Mapping[str, str]], scorer: Scorer, metric: Metric = "em"
) -> Scores:
    """The score of every answer that was given, by set and question; bleu and chrf as fractions."""
    from papers.multiloko.answers import language_of, score

    part = 100.0 if metric in ("bleu", "chrf") else 1.0
    return {
        key: {
            row.id: score(said[key][row.id], row.targets, language_of(key), scorer, (metric,))[metric] / part
            for row in rows
            if row.id in said[key]
        }
        for key, rows in asked.items()
        if key in said
    }


def measured(scores: Scores) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Numbers of the diagnostics, and the units that they are means of: `<language>/<question>`, or languages."""
    from papers.multiloko import method

    found = method.diagnose(scores)
    names = ("average", "twice_error", "gap", "gap_of_equals")
    metrics: dict[str, float] = {name: getattr(found.parity, name) for name in names}
    own = {code: scores[code] for code in method.local(scores)}
    units = {"average": {f"{code}/{key}": value for code, values in own.items() for key, value in values.items()}}
    for by, mark in zip(method.TRANSLATORS, ("", "_machine"), strict=True):
        effects = {f"mte{mark}": method.mother_tongue(scores, by), f"le{mark}": method.locality(scores, by)}
        for name, effect in effects.items():
            if effect:
                metrics |= {name: effect.mean, f"{name}_twice_error": effect.twice_error}
                units[name] = {code: one - other for code, (one, other) in effect.by_language.items()}
    if found.mother_tongue:
        for place, name in enumerate(("local", "in_english")):
            units[name] = {code: pair[place] for code, pair in found.mother_tongue.by_language.items()}
            metrics[name] = fmean(units[name].values())
    for name, into in (("machine_loss", True), ("machine_loss_local", False)):
        if effect := method.translation(scores, into_pivot=into):
            metrics |= {name: effect.mean, f"{name}_order": method.order(effect)}
            units[name] = {code: one - other for code, (one, other) in effect.by_language.items()}
    if found.consistency:
        # Where nothing is known there is nothing in common.
        units["overlap"] = {c: 0.0 if isnan(same.overlap) else same.overlap for c, same in found.consistency.items()}
        units["agreement"] = {code: same.agreement for code, same in found.consistency.items()}
        metrics |= {name: fmean(units[name].values()) for name in ("overlap", "agreement")}
    return metrics, units


def of_known(config: Config, scores: Scores) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """What the diagnostics have to find, and how well the reader knows what it has read (miniature)."""
    from papers.multiloko import method, miniature

    true = miniature.truth(config)
    found, own = measured(true)
    metrics = {f"{name}_truth": found[name] for name in ("average", "gap", "mte", "mte_machine", "le", "machine_loss")}
    units = {f"{name}_truth": own[name] for name in ("mte", "mte_machine", "le", "machine_loss")}
    for name, wanted in (("known", 1.0), ("unread", 0.0)):
        leaves = {
            f"{key}/{place}": scores[key][place]
            for key, values in true.items()
            if "_machine_" not in key
            for place, value in values.items()
            if value == wanted
        }
        if leaves:
            units[name], metrics[name] = leaves, fmean(leaves.values())
    mte = method.mother_tongue(scores)
    for name, other in (("far", True), ("near", False)):
        values = {
            code: a - b for code, (a, b) in (mte.by_language if mte else {}).items() if miniature.far(code) == other
        }
        if values:
            truths = {code: own["mte"][code] for code in values}
            units |= {f"mte_{name}": values, f"mte_{name}_truth": truths}
            metrics |= {f"mte_{name}": fmean(values.values()), f"mte_{name}_truth": fmean(truths.values())}
    return metrics, units


if __name__ == "__main__":
    entrypoint(evaluate)
