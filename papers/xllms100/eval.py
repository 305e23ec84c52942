"""Measure whether a model answers, and answers in the language that it was asked for.

    python -m papers.xllms100.eval tiny --variant xllms
    python -m papers.xllms100.eval paper --benchmarks benchmarks --base runs/sft/artifact --preferences pairs.jsonl

Language democratization (XLT, Huang et al. 2023) of scores s_l by language is

    100 · mean_l s_l / max_l s_l,                                                                                  (3)

which rises too where the best language got worse: mean and best stand beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import load_facts
from core.metrics.languages import democratization
from core.tasks import worded
from papers.xllms100 import data, miniature
from papers.xllms100.config import Config

Answer = Callable[..., list[str]]
FACTS = ("recipe", "max_new_tokens")
# Tokens of a summary (code).
SUMMARY = 128


def evaluate(config: Config, run: Run) -> Measurement:
    """Rates of right answers and of answers in the right language, by direction; or scores of the benchmarks."""
    from core.models.loading import load

    facts = load_facts(run.artifact, "xllms100.json", FACTS, "papers.xllms100.train")
    model, tokenizer = load(run.artifact, dtype="auto" if config.base else "float32")
    answer = partial(data.answers, model, tokenizer, facts["recipe"], new=facts["max_new_tokens"])
    moved: dict[str, float] = {name: facts[name] for name in ("chosen", "rejected") if name in facts}
    if config.base:
        return benchmarks(config, answer)
    return numbers(config, answer, moved)


# --- the miniature ----------------------------------------------------------------------------------------------------


def numbers(config: Config, answer: Answer, metrics: dict[str, float]) -> Measurement:
    """Both rates in every group of directions, a unit an answer, named by its language, direction and fact."""
    units: dict[str, dict[str, float]] = {}
    samples, asked = [], miniature.tested(config)
    for group, requests in asked.items():
        outputs = answer(requests)
        found = scored(requests, outputs)
        units |= {f"{name}_{group}": values for name, values in found.items()}
        samples += [
            {"prompt": f"{row['instruction']} {row['input']}", "output": output, "wanted": row["reference"]}
            for row, output in list(zip(requests, outputs, strict=True))[:: max(1, len(requests) // 4)]
        ]
    metrics |= {name: fmean(values.values()) for name, values in units.items()}
    for group in (name for name in asked if name != "own"):
        equal = democratization(by_first(units[f"right_{group}"]))
        share = equal.share if equal.best else 0.0  # nobody has anything
        metrics |= {f"democratization_{group}": share, f"best_{group}": equal.best, f"worst_{group}": equal.worst}
    named = miniature.requests(
        [(code, code) for code in miniature.LANGUAGES], miniature.results(config)["train"], 4, "named"
    )
    named = [{**row, "instruction": " ".join(row["fact"].partition("-")[2])} for row in named]
    metrics["named"] = fmean(scored(named, answer(named))["right"].values())
    metrics |= {f"trivial_{name}": value for name, value in miniature.solvers(asked["unseen"], config).items()}
    return Measurement(metrics, units, {"samples": samples})


def scored(asked: Sequence[Mapping[str, str]], outputs: Sequence[str]) -> dict[str, dict[str, float]]:
    """`right` and `on_target` (the answer is in the language that was asked for), by language, direction and fact."""
    right, on_target = {}, {}
    for row, output in zip(asked, outputs, strict=True):
        unit = f"{row['lang_out']}/{row['lang_in']}-{row['lang_out']}/{row['fact']}"
        right[unit] = float(output == row["reference"])
        on_target[unit] = float(bool(output) and miniature.identify(output, row["lang_out"]) == row["lang_out"])
    return {"right": right, "on_target": on_target}


def by_first(units: Mapping[str, float]) -> dict[str, float]:
    """Means by the first level of the units: the language."""
    groups = defaultdict(list)
    for unit, value in units.items():
        groups[unit.partition("/")[0]].append(value)
    return {name: fmean(values) for name, values in groups.items()}


# --- the benchmarks ---------------------------------------------------------------------------------------------------


def benchmarks(config: Config, answer: Answer) -> Measurement:
    """Mean score, democratization and, where a language is written, the off-target rate of every benchmark."""
    metrics: dict[str, float] = {}
    units: dict[str, dict[str, float]] = {}
    for name in data.FOLDERS:
        for task, asked in data.benchmark(name, config.benchmarks).items():
            requests = [{"instruction": question.instruction, "input": question.input} for question in asked]
            outputs = answer(requests, **({"new": SUMMARY} if name == "xl_sum" else {}))
            units[task] = worded.scores(asked, outputs)
            metrics |= {f"{task}_{key}": value for key, value in worded.summary(asked, outputs).items()}
    return Measurement(metrics, units)


if __name__ == "__main__":
    entrypoint(evaluate)
