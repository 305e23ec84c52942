"""Measure which benchmark agrees with people, how sure that is, and what a collection of benchmarks covers.

    python -m papers.bitter_lesson.eval tiny --variant localized
    python -m papers.bitter_lesson.eval paper --scores results/

Every run measures four things. What the arms change is the first: a benchmark's agreement with the ratings of `train`.
The second is real people: what the paper's table of ratings says without any benchmark. The third is the collection of
records. The fourth draws tables of thirty models whose true correlations are known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from statistics import fmean
from typing import Any

import numpy as np
from scipy import stats

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json
from core.metrics.agreement import fisher_mean, kendall_w
from core.metrics.stats import spearman
from papers.bitter_lesson import data
from papers.bitter_lesson.catalogue import HARNESS, BenchmarkRecord, coverage, distribution, load_records
from papers.bitter_lesson.config import Config
from papers.bitter_lesson.method import agreement, compare_benchmarks

Units = dict[str, dict[str, float]]
LOCALIZED, TRANSLATED = 0.682, 0.473  # what the paper reports for Chinese
THIRTY = 30
# Task folders of one project are relatives: they count as one.
PROJECTS = {
    **dict.fromkeys(("afrimgsm", "afrimmlu", "afrixnli"), "irokobench"),
    **{f"{name}_bench": "iberobench" for name in ("basque", "catalan", "galician", "portuguese", "spanish")},
    **dict.fromkeys(("lambada_multilingual", "lambada_multilingual_stablelm"), "lambada"),
}
INPUTS = ("size_rank", "people_rank")  # of a correlation; their means are nothing


def evaluate(config: Config, run: Run) -> Measurement:
    """All four."""
    parts = (benchmarks(config, run), people(config), collection(config), known_truth(config, run))
    metrics: dict[str, float] = {}
    units: Units = {}
    details: dict[str, Any] = {}
    for found, by_unit, more in parts:
        metrics |= {name: fmean(values.values()) for name, values in by_unit.items() if name not in INPUTS} | found
        units, details = units | by_unit, details | more
    return Measurement(metrics, units, details)


# --- a benchmark and the ratings ----------------------------------------------------------------------------------


def benchmarks(config: Config, run: Run) -> tuple[dict[str, float], Units, dict[str, Any]]:
    """The arm's benchmark against the ratings, by language; beside it the floor, the ceiling and what was read."""
    scores = data.read_scores(run.artifact / "scores.tsv")
    ratings = data.read_ratings(run.artifact / "ratings.tsv")
    models = data.read_models(run.artifact / "models.tsv")
    facts = read_json(run.artifact / "facts.json")
    if config.shuffled:
        ratings = {code: permuted(column, config.seed, code) for code, column in ratings.items()}
    units: Units = {"rho": {}, "tau": {}, "floor": {}, "truth": {}, "dial": {}, "accuracy_best": {}}
    details: dict[str, Any] = {"agreement": {}}
    for code, name, column in data.chosen(config, scores, models):
        names = sorted(column.keys() & ratings[code].keys())
        x, y = data.paired_columns(column, ratings[code])
        if len(names) < 4:
            raise UserError(f"{len(names)} models have a score and a rating in {code!r}: a correlation needs four.")
        found = agreement(x, y, seed=config.seed)
        units["rho"][code], units["tau"][code] = found.rho, found.tau
        details["agreement"][code] = {"benchmark": name, **asdict(found)}
        floor = models.get("characters") or models["size"]
        units["floor"][code] = spearman([floor[model] for model in names], y)
        if read := [column for known, column in models.items() if known.startswith("read ") and known.endswith(code)]:
            here = [sum(column[model] for column in read) for model in names]
            units["read_here"] = units.get("read_here", {}) | {code: spearman(here, y)}
        for metric, known, of in (("truth", f"taste {code}", y), ("dial", f"read {name}/{code}", x)):
            if known in models:
                units[metric][code] = spearman([models[known][model] for model in names], of)
        if (right := scores.get((name + data.ACCURACY, code))) and data.miniature(config):
            units["accuracy_best"][code] = fmean(sorted(right.values())[-max(1, len(right) // 4) :])
    metrics = {f"rho_{code}": value for code, value in units["rho"].items()}
    metrics["trivial_read_most"] = fmean(units["floor"].values())
    if reliable := facts.get("reliability"):
        units["reliability"] = reliable
        metrics["ceiling"] = math.sqrt(fmean(reliable.values()))
    details["facts"] = facts
    details["world"] = {
        f"{name}/{code}": {at: spearman(*data.paired_columns(column, ratings[at])) for at in ratings}
        for (name, code), column in scores.items()
        if data.miniature(config) and not name.endswith(data.ACCURACY)
    }
    return metrics, {name: values for name, values in units.items() if values}, details


def permuted(column: data.Column, seed: int, salt: str) -> data.Column:
    """The same values for other keys."""
    order = np.random.default_rng([seed, *salt.encode()]).permutation(len(column))
    values = [*column.values()]
    return {name: values[place] for name, place in zip(column, order, strict=True)}


# --- people -------------------------------------------------------------------------------------------------------


def people(config: Config) -> tuple[dict[str, float], Units, dict[str, Any]]:
    """The paper's thirty models: agreement of parameter counts (floor) and of languages (ceiling), published values."""
    ratings, sizes = data.arena()
    if config.shuffled:
        sizes = permuted(sizes, config.seed, "sizes")
    names = [*sizes]
    ranks = {code: stats.rankdata([column[name] for name in names]) for code, column in ratings.items()}
    size = stats.rankdata([sizes[name] for name in names])
    floor = {code: spearman(size, found) for code, found in ranks.items()}
    reported = data.published()
    between = {f"{a}-{b}": spearman(ranks[a], ranks[b]) for a in ranks for b in ranks if a < b}
    means, below = {}, {}
    for kind in sorted({name for name, _ in reported}):
        of = {code: rho for (name, code), rho in reported.items() if name == kind}
        means[kind], below[kind] = fisher_mean([*of.values()]), [code for code, rho in of.items() if rho < floor[code]]
    details = {
        "floor": {code: asdict(agreement(size.tolist(), found.tolist(), 2000)) for code, found in ranks.items()},
        "between_languages": between, "concordance": kendall_w([*ranks.values()]),
        "published": {"/".join(pair): rho for pair, rho in reported.items()},
        "published_means": means, "below_floor": below,
    }  # fmt: skip
    units = {
        "size_rank": dict(zip(names, size.tolist(), strict=True)),
        "people_rank": dict(zip(names, np.mean([*ranks.values()], axis=0).tolist(), strict=True)),
    }
    return {"trivial_size": fisher_mean([*floor.values()])}, units, {"people": details}


# --- the collection -----------------------------------------------------------------------------------------------


def collection(config: Config) -> tuple[dict[str, float], Units, dict[str, Any]]:
    """Shares of the records that others have chosen, the harness's; by project, which an interval draws whole."""
    every = load_records()
    records = [record for record in every if record.source == HARNESS]
    if config.shuffled:
        records = relabelled(records, config.seed)
    path = {record.id: "/".join(filter(None, (PROJECTS.get(record.id), record.id))) for record in records}
    spoken = {path[r.id]: r.labels("languages") for r in records}
    share = {
        code: of_projects({key: float(code in codes) for key, codes in spoken.items()})
        for code in {code for codes in spoken.values() for code in codes}
    }
    second = max(sorted(share.keys() - {"en"}), key=share.__getitem__)
    sign = {"discriminative": 1.0, "generative": -1.0, "both": 0.0}
    units = {
        "english_lead": {key: float("en" in codes) - float(second in codes) for key, codes in spoken.items()},
        "choosing_lead": {path[r.id]: sign[r.task_category] for r in records},
        "original": {path[r.id]: float("none" in r.translation) for r in records if r.translation},
    }
    shares = {field: distribution(records, field) for field in ("languages", "task_category", "translation", "domains")}
    metrics = {"english": share.get("en", 0.0), "runner_up": share[second]}
    metrics |= {name: of_projects(values) for name, values in units.items()}
    details = {"runner_up": second, "coverage": coverage(records), "all_records": coverage(every)}
    details |= {"shares": {field: dict(list(found.items())[:20]) for field, found in shares.items()}}
    return metrics, units, {"collection": details}


def of_projects(values: Mapping[str, float]) -> float:
    """Mean over projects of the mean over each one's benchmarks, which are named `project/benchmark` or `benchmark`."""
    found: dict[str, list[float]] = {}
    for key, value in values.items():
        found.setdefault(key.partition("/")[0], []).append(value)
    return fmean(fmean(own) for own in found.values())


def relabelled(records: Sequence[BenchmarkRecord], seed: int) -> list[BenchmarkRecord]:
    """Names of languages given to other languages, kinds of task and ways of translation drawn by a coin."""
    rng = np.random.default_rng([seed, 7])
    names = sorted({code for record in records for code in record.labels("languages")})
    other = dict(zip(names, rng.permutation(names).tolist(), strict=True))
    found = []
    for record in records:
        coins = rng.integers(0, 2, 2)
        found.append(replace(
            record, languages=tuple(other[code] for code in record.labels("languages")),
            task_category=("discriminative", "generative")[coins[0]],
            translation=(("none",), ("human",))[coins[1]] if record.translation else (),
        ))  # fmt: skip
    return found


# --- known truth --------------------------------------------------------------------------------------------------


def known_truth(config: Config, run: Run) -> tuple[dict[str, float], Units, dict[str, Any]]:
    """What the comparison of two benchmarks says of thirty models drawn from a population whose truth is known.

    Once the truth is what the paper reports for Chinese, .68 against .47, with .5 between the benchmarks; once both
    agree equally. `told` is how often the first is named, `mistaken` how often the worse one, `false_alarm` how often
    any is named though there is none.
    """

    def compute() -> dict[str, float]:
        rng = np.random.default_rng([config.seed, 30, config.split == "dev"])
        named = {}
        for case, pair in (("unequal", (LOCALIZED, TRANSLATED)), ("equal", (0.5775, 0.5775))):
            drawn = [population(*pair, 0.5, rng) for _ in range(config.simulations)]
            named[case] = [compare_benchmarks(one, other, y, draws=400).verdict() for one, other, y in drawn]
        return {
            "told": fmean(said == "first" for said in named["unequal"]),
            "mistaken": fmean(said == "second" for said in named["unequal"]),
            "false_alarm": fmean(said != "cannot tell" for said in named["equal"]),
        }

    inputs = {"seed": config.seed, "split": config.split, "simulations": config.simulations}
    return run.once("known-truth", inputs, compute), {}, {}


def population(r1: float, r2: float, r12: float, rng: np.random.Generator, n: int = THIRTY) -> Any:
    """Two benchmarks and a rating of n models, normal, with these rank correlations in the population."""
    a, b, c = (2 * math.sin(math.pi * r / 6) for r in (r1, r2, r12))
    return rng.multivariate_normal(np.zeros(3), [[1, c, a], [c, 1, b], [a, b, 1]], n).T


if __name__ == "__main__":
    entrypoint(evaluate)
