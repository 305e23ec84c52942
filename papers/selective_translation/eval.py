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
    English, `fitted` over translations tuned on; and the translator's messages."""
    from papers.selective_translation import messages  # here, since other papers' tests need no catalogues

    code = miniature.target(config)
    units: dict[str, dict[str, float]] = defaultdict(dict)
    kinds: dict[str, list[float]] = defaultdict(list)
    samples = []
    for language in (code, "en"):
        asked = miniature.asked(config, language)
        for (fact, item), output in zip(asked, write([item.prompt for _, item in asked]), strict=True):
            unit, right = f"{code}/{fact.cls}", float(miniature.right(fact, output, language))
            if language == "en":
                units["english"][unit] = right
                continue
            units["plain" if fact.kind == "plain" else "accuracy"][unit] = right
            units["in_language"][unit] = float(miniature.in_language(fact, output, language))
            kinds[fact.kind].append(right)
            if len(kinds[fact.kind]) <= 2:
                samples.append({"prompt": item.prompt, "output": output, "wanted": item.answer})
    inputs = {name: getattr(config, name) for name in ("seed", "split", "translator", "messages")}
    units |= run.once("messages", inputs, partial(messages.measured, config))
    metrics = {name: by_first(values) for name, values in units.items()}
    metrics |= {f"accuracy_{kind}": fmean(values) for kind, values in kinds.items() if kind != "plain"}
    metrics |= {f"trivial_{name}": value for name, value in miniature.solvers(config, code).items()}
    pool = miniature.drawn(config)[1]
    if config.k:
        rows = method.mix([], pool, config.k, config.seed)[:60]
        said = write([row["prompt"] for row in rows])
        same = [text.split() == row["response"].split() for text, row in zip(said, rows, strict=True)]
        metrics |= {"kept": len(pool) / config.records, "fitted": fmean(same)}
    return Measurement(metrics, dict(units), {"language": code, "samples": samples})


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

    tests = data.load(config)[2]
    units: dict[str, dict[str, float]] = {"chrf": {}, "integrity": {}}
    samples = []
    for row, output in zip(tests, write([row["prompt"] for row in tests]), strict=True):
        unit = f"{config.language or 'xx'}/{row['id']}"
        units["chrf"][unit] = sentence_chrf(output, row["response"]) / 100
        units["integrity"][unit] = float(preserved(row["response"], output))
        samples.append({"prompt": row["prompt"], "output": output, "wanted": row["response"]})
    return Measurement({name: by_first(values) for name, values in units.items()}, units, {"samples": samples[:4]})


if __name__ == "__main__":
    entrypoint(evaluate)
