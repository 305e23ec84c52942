"""Measure a study: accuracy by k in trained and unseen languages, how far the gain carries, and the law in k.

    python -m papers.parallel_scaling.eval tiny --variant grpo
    python -m papers.parallel_scaling.eval tiny --variant grpo --split dev

For every k, and for the start (`base`):

* `trained_k`, `unseen_k`: accuracy (`language/benchmark/item`), and `gain_trained_k`, `gain_unseen_k`: relative gains;
* `mti_k`: their ratio, by unseen language; `complement_k`: the same where all untrained languages count as unseen;
* `greedy_k` (in miniature): accuracy in unseen languages where the likeliest answer is taken instead of a drawn one;
* `equal_groups_k` (in miniature, by reward): share of groups, over training, that are all right or all wrong and teach
  nothing;
* `off_tag_k`: answers whose reasoning is in another language than the problem (models that write).

Over k: `leap` (accuracy, by unseen language), `later` and their difference `leap_over_later`; the same of MTI
(`leap_mti`, ...); of the law in MTI `exponent`, `gap`, `r2`, `left_out`; of that in accuracy `exponent_accuracy`, ...
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json_lines
from papers.parallel_scaling import miniature
from papers.parallel_scaling.config import Config
from papers.parallel_scaling.train import languages, starting_point

if TYPE_CHECKING:
    from papers.parallel_scaling.method import Scores, Transfer

Right = Mapping[str, Mapping[str, float]]
"""By language, the accuracy of each item, `benchmark/id`."""


def evaluate(config: Config, run: Run) -> Measurement:
    """The start and every k on all languages."""
    from core.distributed import seed_everything
    from papers.parallel_scaling.method import transferability

    seed_everything(config.seed, 0)
    order, unseen = languages(config)
    start = starting_point(config, run)
    names = ("seed", "split", "items", "temperature", "forced", "extract", "samples", "max_new_tokens")
    files = {"problems": config.problems, "tests": config.tests}
    inputs = {**{name: getattr(config, name) for name in names}, **files, "base": start, "languages": (*order, *unseen)}
    shared = run.once("start", inputs, lambda: _measured_start(config, start))
    metrics: dict[str, float] = {**shared["metrics"], "base": _mean(shared["right"], unseen)}
    units: dict[str, dict[str, float]] = {}
    found: dict[int, Transfer] = {}
    notes: dict[str, Any] = {"order": order, "reasons": {}, "samples": {}}
    by_k: dict[int, Right] = {}
    logged = read_json_lines(run.path / "metrics.jsonl")
    for k in config.ks:
        result = measured(config, str(run.artifact / f"k{k}"))
        by_k[k] = result["right"]
        before, after = by_benchmark(shared["right"]), by_benchmark(by_k[k])
        found[k] = transferability(before, after, order[:k], unseen, config.min_base)
        for name, side in (("trained", order[:k]), ("unseen", unseen)):
            units[f"{name}_{k}"] = {f"{code}/{item}": v for code in side for item, v in by_k[k][code].items()}
        others = transferability(before, after, order[:k], min_base=config.min_base)
        metrics |= {f"gain_trained_{k}": found[k].trained, f"gain_unseen_{k}": found[k].unseen}
        metrics |= {f"mti_{k}": found[k].mti, f"complement_{k}": others.mti, **_keyed(result["metrics"], k)}
        if equal := [one["equal_groups"] for one in logged if one["phase"] == f"k{k}" and "equal_groups" in one]:
            metrics[f"equal_groups_{k}"] = fmean(equal)
        notes["reasons"][k], notes["samples"][k] = found[k].reasons, result["samples"]
    if {1, 2} < {*config.ks}:  # without a gain on trained languages there is no index
        metrics |= dict.fromkeys(("leap_mti", "later_mti", "leap_over_later_mti"), math.nan)
    metrics["least_gain"] = min(one.trained for one in found.values())
    if several := [one.unseen for k, one in found.items() if k >= 2]:
        metrics["least_carried"] = min(several)  # an index that is not above zero has no power law
    metrics["room"] = 1 - metrics["base"]
    english = _mean(shared["right"], order[:1])
    metrics |= {"english_ahead": english - metrics["base"], "english_room": 1 - english}
    metrics["least_base"] = min(_mean(shared["right"], [code]) for code in (*order, *unseen))
    units |= _indices(found, unseen) | _steps(by_k, unseen)
    metrics |= {name: fmean(own.values()) for name, own in units.items()} | _laws(found, by_k, unseen)
    return Measurement(metrics, units, notes)


def measured(config: Config, model: str) -> dict[str, Any]:
    """`right` by language, `metrics` and `samples` of a model."""
    from core.models.loading import load

    if config.base:
        from papers.parallel_scaling import data, reasoning

        loaded, tokenizer = load(model, dtype="auto")
        asked = data.tests(config, [code for side in languages(config) for code in side])
        return reasoning.measure(loaded, tokenizer, asked, config)
    loaded, tokenizer = load(model, dtype="float32")
    pairs = miniature.measured(config)
    right, samples, greedy = {}, {}, {}
    for code in (code for side in languages(config) for code in side):
        shares, likeliest = miniature.answers(loaded, miniature.sums(tokenizer, pairs, code), config.temperature)
        greedy[code] = fmean(likeliest)
        right[code] = {f"sums/{a}+{b}": share for (a, b), share in zip(pairs, shares, strict=True)}
        samples[code] = [
            {"prompt": miniature.prompt(a, b, code), "wanted": str(a + b), "probability": f"{share:.2f}"}
            for (a, b), share in zip(pairs[:2], shares, strict=False)
        ]
    metrics = {"greedy": fmean(greedy[code] for code in languages(config)[1])}
    return {"right": right, "metrics": metrics, "samples": samples}


def by_benchmark(right: Right) -> Scores:
    """Mean accuracy by language and benchmark."""
    found: dict[str, dict[str, float]] = {}
    for code, own in right.items():
        names = dict.fromkeys(item.partition("/")[0] for item in own)
        found[code] = {name: fmean(v for item, v in own.items() if item.partition("/")[0] == name) for name in names}
    return found


def _measured_start(config: Config, start: str) -> dict[str, Any]:
    """With what is taken for granted of it in miniature, that it reads all languages; and solvers that know nothing."""
    from core.models.loading import load

    found = measured(config, start)
    if not config.base:
        model, tokenizer = load(start, dtype="float32")
        read = [fmean(miniature.answers(model, miniature.readings(tokenizer, code), 1.0)[0]) for code in miniature.PLUS]
        found["metrics"] |= {"reading": min(read), **miniature.solvers(config)}
    return found


def _keyed(values: Mapping[str, float], k: int) -> dict[str, float]:
    return {f"{name}_{k}": value for name, value in values.items()}


def _mean(right: Right, codes: Sequence[str]) -> float:
    return fmean(fmean(right[code].values()) for code in codes)


def _indices(found: Mapping[int, Transfer], unseen: Sequence[str]) -> dict[str, dict[str, float]]:
    """The index by unseen language, whose mean it is; and its steps."""
    index = {
        k: {code: one.gains[code] / one.trained for code in unseen if code in one.gains}
        for k, one in found.items()
        if not math.isnan(one.mti)
    }
    steps = _differences(index)
    return {f"mti_{k}": own for k, own in index.items()} | {f"{name}_mti": own for name, own in steps.items()}


def _steps(by_k: Mapping[int, Right], unseen: Sequence[str]) -> dict[str, dict[str, float]]:
    """What the second language adds to the accuracy in unseen ones, and each later one on average, by item."""
    flat = {k: {f"{code}/{item}": v for code in unseen for item, v in own[code].items()} for k, own in by_k.items()}
    return _differences(flat)


def _differences(by_k: Mapping[int, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    most, found = max(by_k, default=0), {}
    if {1, 2} <= by_k.keys():
        found["leap"] = {unit: value - by_k[1][unit] for unit, value in by_k[2].items()}
    if 2 in by_k and most > 2:
        found["later"] = {unit: (by_k[most][unit] - value) / (most - 2) for unit, value in by_k[2].items()}
    if len(found) == 2:  # one metric, so that the null arm is held against its own later steps
        found["leap_over_later"] = {unit: value - found["later"][unit] for unit, value in found["leap"].items()}
    return found


def _laws(found: Mapping[int, Transfer], by_k: Mapping[int, Right], unseen: Sequence[str]) -> dict[str, float]:
    """The law in the index and in accuracy, where there are three points from two languages on."""
    from papers.parallel_scaling.method import fit_scaling

    accuracy = {k: _mean(own, unseen) for k, own in by_k.items()}
    index = {k: one.mti for k, one in found.items()}
    metrics: dict[str, float] = {}
    for ending, values in (("", index), ("_accuracy", accuracy)):
        if sum(k >= 2 for k in values) < 3:
            continue
        parts = dict.fromkeys(("exponent", "gap", "r2", "left_out", "log_r2"), math.nan)
        if all(value > 0 for k, value in values.items() if k >= 2):
            law = fit_scaling(list(values), list(values.values()))
            fitted = (law.law.b, law.gap, law.law.r2, law.left_out, law.logarithmic)
            parts = dict(zip(parts, fitted, strict=True))
        parts["power"] = min(parts["exponent"], 1 - parts["exponent"])
        metrics |= {f"{name}{ending}": value for name, value in parts.items()}
    return metrics


if __name__ == "__main__":
    entrypoint(evaluate)
