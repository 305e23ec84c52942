"""Measure tuned models: the share of right numbers, by language, and what lies between the languages.

    python -m papers.xcot.eval tiny --variant xcot
    python -m papers.xcot.eval tiny --variant xcot --split dev

Models are asked without examples, greedily, and the last number of an output is its answer (the protocol of MGSM). One
that rewrites queries is asked to put those of other languages into English first.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.metrics.answers import same_number
from core.metrics.gaps import language_gap
from core.worlds.chains import word_by_word
from papers.xcot.config import HIGH, Config
from papers.xcot.train import starting_point


def write(model: Any, tokenizer: Any, questions: Sequence[str], config: Config, pivot: str | None = None) -> list[str]:
    """Greedy outputs to questions, which are to be put into the language `pivot` first."""
    from core.inference.generation import generate
    from core.models.tokenization import begin_ids
    from papers.xcot.method import ask

    begin = "" if begin_ids(tokenizer) else tokenizer.bos_token or ""
    prompts = [begin + ask(question, pivot) for question in questions]
    return generate(model, tokenizer, prompts, max_new_tokens=config.max_new_tokens)


def evaluate(config: Config, run: Run) -> Measurement:
    """Accuracy on the questions of every language."""
    from core.distributed import seed_everything
    from core.models.loading import load
    from papers.xcot import data, miniature
    from papers.xcot.method import SOLUTION

    seed_everything(config.seed, 0)
    model, tokenizer = load(run.artifact, dtype="auto" if config.base else "float32")
    units: dict[str, dict[str, float]] = {"accuracy": {}, "english": {}}
    scores, metrics, samples = {}, dict[str, float](), {}
    for code, items in data.tests(config).items():
        pivot = HIGH if config.rewrite != "none" and code != HIGH else None
        outputs = write(model, tokenizer, [item.question for item in items], config, pivot)
        right = {f"{code}/{i.id}": same_number(o, i.answer) for i, o in zip(items, outputs, strict=True)}
        units["english" if code == HIGH else "accuracy"] |= right
        scores[code] = fmean(right.values())
        shown = zip(items[:4], outputs[:4], strict=True)
        samples[code] = [{"prompt": i.question, "output": o, "wanted": i.answer} for i, o in shown]
        if not config.base and pivot:
            wanted = [one.questions[HIGH] for one in miniature.measured(config)]
            rewritten = [output.partition(SOLUTION)[0].strip() for output in outputs]
            metrics[f"understood/{code}"] = fmean(a == b for a, b in zip(rewritten, wanted, strict=True))
    gap = language_gap(scores, [code for code in scores if code != HIGH], HIGH)
    metrics |= {"mean_to_best": gap.mean_to_best, "gap": gap.gap, "mean": gap.mean}
    metrics |= {name: fmean(found.values()) for name, found in units.items()}
    if not config.base:
        metrics |= _of_the_miniature(config, run, model, tokenizer)
    return Measurement(_over_languages(metrics), units, {"samples": samples})


def _of_the_miniature(config: Config, run: Run, model: Any, tokenizer: Any) -> dict[str, float]:
    """What the arm has learnt of its questions, and what all arms share: the skill of the base, solvers without one."""
    from papers.xcot import miniature

    names = ("seed", "split", "items", "questions", "coverage")
    inputs = {**{name: getattr(config, name) for name in names}, "base": starting_point(config, run)}
    shared = run.once("skill", inputs, lambda: _skill(config, inputs["base"]))
    pool, pivot = miniature.pool(config), HIGH if config.rewrite != "none" else None
    own = {code: [(one.questions[code], one.answers[HIGH]) for one in pool[code]] for code in miniature.targets(config)}
    return {**shared, **{f"fitted/{code}": _right(model, tokenizer, own[code], config, pivot) for code in own}}


def _skill(config: Config, base: str) -> dict[str, float]:
    """The base's accuracy on English problems and on what the lexicon makes of the others; the solvers'."""
    from core.models.loading import load
    from papers.xcot import miniature

    model, tokenizer = load(base, dtype="float32")
    items, found = miniature.measured(config), {f"trivial_{name}": v for name, v in miniature.solvers(config).items()}
    asked = {"english_skill": [one.questions[HIGH] for one in items]}
    for code in miniature.targets(config):
        words = miniature.lexicon(config, code)
        asked[f"trivial_word_by_word/{code}"] = [word_by_word(one.questions[code], words) for one in items]
    for name, texts in asked.items():
        pairs = [(text, one.answers[HIGH]) for text, one in zip(texts, items, strict=True)]
        found[name] = _right(model, tokenizer, pairs, config)
    return found


def _right(
    model: Any, tokenizer: Any, asked: Sequence[tuple[str, str]], config: Config, pivot: str | None = None
) -> float:
    """Share of questions whose answer is the output's last number."""
    outputs = write(model, tokenizer, [question for question, _ in asked], config, pivot)
    return fmean(same_number(output, answer) for output, (_, answer) in zip(outputs, asked, strict=True))


def _over_languages(metrics: dict[str, float]) -> dict[str, float]:
    """Metrics of languages as their means."""
    names = dict.fromkeys(name.partition("/")[0] for name in metrics)
    return {one: fmean(v for name, v in metrics.items() if name.partition("/")[0] == one) for one in names}


if __name__ == "__main__":
    entrypoint(evaluate)
