"""Measure what comes through a translation, and what a model does that was tuned on it.

    python -m papers.selective_translation.eval tiny --variant selective
    python -m papers.selective_translation.eval paper --translated hindi.jsonl --tests tests.jsonl

In miniature answers are checked by what they do, as IFEval's are; and the translator is measured on real messages. With
a base, answers are compared with references: chrF, and whether code, links and the like are those of the reference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import load_json
from papers.selective_translation import data, method, miniature
from papers.selective_translation.config import Config


def evaluate(config: Config, run: Run) -> Measurement:
    """Rates of right answers in both languages; or scores against references."""
    from core.inference.generation import generate
    from core.models.loading import load

    model, tokenizer = load(run.artifact, dtype="auto" if config.base else "float32")

    def write(prompts: Sequence[str]) -> list[str]:
        texts = [method.template(prompt) for prompt in prompts]
        return [t.strip() for t in generate(model, tokenizer, texts, max_new_tokens=config.max_new_tokens)]

    return referenced(config, write) if config.base else checked(config, run, write)


def checked(config: Config, run: Run, write: Any) -> Measurement:
    """The miniature: `accuracy` over what has something to protect, `plain` over greetings, `english` over both in
    English; and the translator's messages."""
    code = miniature.target(config)
    units: dict[str, dict[str, float]] = defaultdict(dict)
    metrics: dict[str, float] = {}
    samples = []
    for language in (code, "en"):
        asked = miniature.asked(config, language)
        outputs = write([item.prompt for _, item in asked])
        kinds: dict[str, list[float]] = defaultdict(list)
        for (fact, item), output in zip(asked, outputs, strict=True):
            unit, right = f"{code}/{fact.cls}", float(miniature.right(fact, output, language))
            kinds[fact.kind].append(right)
            if language == "en":
                units["english"][unit] = right
            else:
                units["plain" if fact.kind == "plain" else "accuracy"][unit] = right
                units["in_language"][unit] = float(miniature.in_language(fact, output, language))
            shown = {"prompt": item.prompt, "output": output, "wanted": item.answer}
            samples += [shown] if language != "en" and len(kinds[fact.kind]) <= 2 else []
        if language != "en":
            metrics |= {f"accuracy_{kind}": fmean(values) for kind, values in kinds.items() if kind != "plain"}
    if config.k:
        metrics |= fitted(config, write)
    inputs = {name: getattr(config, name) for name in ("seed", "split", "translator", "messages")}
    for name, values in run.once("messages", inputs, partial(real_messages, config)).items():
        units[name] = values
    metrics = {name: by_first(values) for name, values in units.items()} | metrics
    metrics |= {f"trivial_{name}": value for name, value in miniature.solvers(config, code).items()}
    metrics["kept"] = load_json(run.artifact / "pool.json")["kept"]
    return Measurement(metrics, dict(units), {"language": code, "samples": samples})


def real_messages(config: Config) -> dict[str, dict[str, float]]:
    """As of :func:`papers.selective_translation.messages.measured`; other papers' tests need no catalogues."""
    from papers.selective_translation import messages

    return messages.measured(config)


def fitted(config: Config, write: Any) -> dict[str, float]:
    """Share of the translations tuned on that are answered as they were, of 60 of them."""
    from papers.selective_translation.train import miniature_data

    translated = miniature_data(config)[1]
    rows = method.mix([], translated, config.k, config.seed)[:60]
    outputs = write([row["prompt"] for row in rows])
    return {"fitted": fmean(float(o.split() == row["response"].split()) for o, row in zip(outputs, rows, strict=True))}


def by_first(units: Mapping[str, float]) -> float:
    """Mean of the means by the first level of the units: the language."""
    groups = defaultdict(list)
    for unit, value in units.items():
        groups[unit.partition("/")[0]].append(value)
    return fmean(map(fmean, groups.values()))


def referenced(config: Config, write: Any) -> Measurement:
    """Answers to the test prompts of a base: chrF, and whether they have the reference's spans."""
    from core.metrics.translation import sentence_chrf
    from papers.selective_translation.spans import preserved

    tests = data.load(config).tests
    outputs = write([row["prompt"] for row in tests])
    units: dict[str, dict[str, float]] = {"chrf": {}, "integrity": {}}
    for row, output in zip(tests, outputs, strict=True):
        unit = f"{config.language or 'xx'}/{row['id']}"
        units["chrf"][unit] = sentence_chrf(output, row["response"]) / 100
        units["integrity"][unit] = float(preserved(row["response"], output))
    shown = [
        {"prompt": r["prompt"], "output": o, "wanted": r["response"]}
        for r, o in list(zip(tests, outputs, strict=True))[:4]
    ]
    return Measurement({name: by_first(values) for name, values in units.items()}, units, {"samples": shown})


if __name__ == "__main__":
    entrypoint(evaluate)
