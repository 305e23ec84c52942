"""Measure tuned models: the share of right numbers, by language, and what lies between the languages.

    python -m papers.xcot.eval tiny --variant xcot
    python -m papers.xcot.eval tiny --variant xcot --split dev

Models are asked without examples, greedily, and the last number of an output is its answer (the protocol of MGSM). One
that rewrites queries is asked to put those of other languages into English first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.metrics.answers import same_number
from core.metrics.gaps import language_gap
from papers.xcot import data, miniature
from papers.xcot.config import HIGH, Config
from papers.xcot.method import SOLUTION, ask
from papers.xcot.train import starting_point


def write(model: Any, tokenizer: Any, questions: Sequence[str], code: str, config: Config) -> list[str]:
    """Greedy outputs to questions of a language."""
    from core.inference.generation import generate
    from core.models.tokenization import begin_ids

    pivot = HIGH if config.rewrite != "none" and code != HIGH else None
    begin = "" if begin_ids(tokenizer) else tokenizer.bos_token or ""
    prompts = [begin + ask(question, pivot) for question in questions]
    return generate(model, tokenizer, prompts, max_new_tokens=config.max_new_tokens)


def evaluate(config: Config, run: Run) -> Measurement:
    """Accuracy on the questions of every language."""
    from core.distributed import seed_everything
    from core.models.loading import load

    seed_everything(config.seed, 0)
    model, tokenizer = load(run.artifact, dtype="auto" if config.base else "float32")
    units: dict[str, dict[str, float]] = {"accuracy": {}, "english": {}, "understood": {}}
    scores, samples = {}, {}
    for code, items in data.tests(config).items():
        outputs = write(model, tokenizer, [item.question for item in items], code, config)
        right = {item.id: same_number(output, item.answer) for item, output in zip(items, outputs, strict=True)}
        units["english" if code == HIGH else "accuracy"] |= {f"{code}/{key}": value for key, value in right.items()}
        for item, output in zip(items, outputs, strict=True):
            if item.english and SOLUTION in output and code != HIGH:
                rewritten = output.partition(SOLUTION)[0].split()
                units["understood"][f"{code}/{item.id}"] = float(rewritten == item.english.split())
        scores[code] = sum(right.values()) / len(right)
        shown = zip(items[:4], outputs[:4], strict=True)
        samples[code] = [{"prompt": i.question, "output": o, "wanted": i.answer} for i, o in shown]
    gap = language_gap(scores, [code for code in scores if code != HIGH], HIGH)
    metrics = {name: sum(found.values()) / len(found) for name, found in units.items() if found}
    metrics |= {"mean_to_best": gap.mean_to_best, "gap": gap.gap, "mean": gap.mean}
    if not config.base:
        metrics |= _of_the_miniature(config, run, model, tokenizer)
    return Measurement(metrics, {name: found for name, found in units.items() if found}, {"samples": samples})


def _of_the_miniature(config: Config, run: Run, model: Any, tokenizer: Any) -> dict[str, float]:
    """What the arm has learnt of its questions, what its base can do, and what can be had without it."""
    from dataclasses import replace

    from core.models.loading import load

    pool, plain = data.pool(config), replace(config, rewrite="none")
    found = {f"trivial_{name}": value for name, value in miniature.solvers(config).items()}
    fitted = []
    for code in miniature.targets(config):
        known = pool[code]
        outputs = write(model, tokenizer, [one.questions[code] for one in known], code, config)
        fitted += [same_number(o, one.answers[HIGH]) for o, one in zip(outputs, known, strict=True)]
    found["fitted"] = sum(fitted) / len(fitted)
    base, _ = load(starting_point(config, run), dtype="float32")
    items = miniature.measured(config)
    asked = {"english_skill": [one.questions[HIGH] for one in items]}
    for code in miniature.targets(config):
        asked[f"word_by_word/{code}"] = [miniature.word_by_word(one.questions[code], code) for one in items]
    for name, questions in asked.items():
        outputs = write(base, tokenizer, questions, HIGH, plain)
        right = [same_number(output, one.answers[HIGH]) for output, one in zip(outputs, items, strict=True)]
        found[name] = sum(right) / len(right)
    words = [found.pop(name) for name in list(found) if name.startswith("word_by_word/")]
    return {**found, "word_by_word": sum(words) / len(words)}


if __name__ == "__main__":
    entrypoint(evaluate)
