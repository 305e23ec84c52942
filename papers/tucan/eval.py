"""Score answers by scenario: right calls, calls that should not be, arguments against their schema, what was forgotten.

    python -m papers.tucan.eval tiny --variant bg+en
    python -m papers.tucan.eval tiny --variant base --split dev
    python -m papers.tucan.eval paper --variant base

Half of the benchmark's scenarios want no call, so a model that never calls scores high: `trivial_never_call` is that
line, and it belongs beside every accuracy. Wrong items go to `wrong.jsonl`, ready for the next round of training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from core.experiment.entrypoint import entrypoint, show
from core.experiment.run import Measurement, Run
from core.files import read_json, write_rows
from core.inference.chat import render
from papers.tucan.config import Config

Items = Sequence[Mapping[str, Any]]
# Training items that are asked again, to see whether they have been learnt.
ASKED_AGAIN = 60


def evaluate(config: Config, run: Run) -> Measurement:
    """Metrics with items as units, by the function that they are about; what the base understood and what is kept."""
    from core.distributed import seed_everything
    from papers.tucan import data, grader, miniature

    seed_everything(config.seed)
    prompt, digest = data.prompt_of(config.prompt)
    items = data.read_items(config.eval_file, config.limit) if config.eval_file else miniature.scored_items(config)
    model, tokenizer = tuned(config, run)
    rounds = answers(model, tokenizer, items, config, prompt)
    verdicts = [
        [grader.examine(text, item, prompt.tags) for text, item in zip(texts, items, strict=True)] for texts in rounds
    ]
    units = item_units(items, verdicts)
    metrics: dict[str, float] = {}
    if not config.eval_file:
        units["knowledge_bg"] = knows(model, tokenizer, config)
        if config.adapter == "none":
            units["understood_bg"] = understood(model, tokenizer, config)
        elif config.calls == "own" and not config.train_file:
            metrics["fitted"] = fitted(model, tokenizer, config, prompt)
        metrics |= trivial(config, items, prompt)
    metrics |= {name: mean(values) for name, values in units.items()}
    report = grader.summarize(list(items) * len(verdicts), [verdict for found in verdicts for verdict in found])
    write_rows(run.path / "wrong.jsonl", wrong_items(items, rounds[0], verdicts[0]))
    if not run.quiet:
        print_report(report)
    details = {"errors": report.errors, "prompt": digest, "training": read_json(run.artifact / "tucan.json") or {},
               "samples": samples(items, rounds[0], verdicts[0])}  # fmt: skip
    return Measurement(metrics, units, details)


def tuned(config: Config, run: Run) -> Any:
    """The trained model: adapters are merged, which decodes faster, unless the base is in 4 bit."""
    from core.errors import UserError
    from core.models import loading
    from papers.tucan.train import load_base

    folder = run.artifact / "adapter"
    if config.adapter != "none" and not folder.exists():
        raise UserError(f"{folder} does not exist: run papers.tucan.train with the same options first.")
    model, tokenizer = load_base(config, run)
    if config.adapter == "none":
        return loading.Loaded(model, tokenizer)
    adapted: Any = loading.load_adapter(model, folder)
    return loading.Loaded(adapted if config.quantization != "none" else adapted.merge_and_unload(), tokenizer)


def opening(tokenizer: Any, turn: str) -> str:
    """The text after which a model answers a user's turn."""
    return render(tokenizer, [{"role": "user", "content": turn}], prompt=True)


def answers(model: Any, tokenizer: Any, items: Items, config: Config, prompt: Any) -> list[list[str]]:
    """Answers to all items, once for every repeat."""
    from core.inference.generation import generate

    asked = [opening(tokenizer, prompt.render(item["user_message"], item["functions"])) for item in items]
    options = {name: getattr(config, name) for name in ("max_new_tokens", "temperature", "repetition_penalty")}
    seeds = (config.seed * 1000 + repeat for repeat in range(config.repeats))
    return [generate(model, tokenizer, asked, seed=seed, **options) for seed in seeds]


def knows(model: Any, tokenizer: Any, config: Config) -> dict[str, float]:
    """1 for each question about a country whose right answer is the likeliest of four, token by token."""
    from core.tasks import choices
    from papers.tucan import miniature

    asked = [
        replace(q, context=opening(tokenizer, q.context), choices=tuple(choice.strip() for choice in q.choices))
        for q in miniature.knowledge(config)
    ]
    return choices.answer(model, tokenizer, asked, "token")


def understood(model: Any, tokenizer: Any, config: Config) -> dict[str, float]:
    """1 for each request that the base, asked without functions, says in its own words with the right values."""
    from core.inference.generation import generate
    from papers.tucan import miniature

    asked = miniature.in_words(config)
    said = generate(model, tokenizer, [opening(tokenizer, request) for _, request, _ in asked], max_new_tokens=48)
    return {path: float(text.strip() == reply) for (path, _, reply), text in zip(asked, said, strict=True)}


def fitted(model: Any, tokenizer: Any, config: Config, prompt: Any) -> float:
    """Share of training items that are answered rightly."""
    from papers.tucan import grader, miniature

    items = miniature.training_items(config)[: config.limit or ASKED_AGAIN]
    (said,) = answers(model, tokenizer, items, replace(config, repeats=1), prompt)
    return grader.evaluate(lambda _: said, items, prompt).accuracy


def trivial(config: Config, items: Items, prompt: Any) -> dict[str, float]:
    """Accuracy on the Bulgarian items, over all scenarios, of solvers that understand nothing."""
    from papers.tucan import grader, miniature

    own: Any = [item for item in items if not item.get("unseen")]
    solved = [miniature.neighbour(config, item) for item in own]
    return {
        "trivial_never_call": grader.evaluate(lambda prompts: [""] * len(own), own, prompt).accuracy,
        "trivial_neighbour": grader.evaluate(lambda prompts: solved, own, prompt).accuracy,
    }


def mean(values: Mapping[str, float]) -> float:
    """Of functions (or territories), each the mean of its items: what intervals draw."""
    groups: dict[str, list[float]] = {}
    for path, value in values.items():
        groups.setdefault(path.partition("/")[0], []).append(value)
    return fmean(map(fmean, groups.values()))


def item_units(items: Items, rounds: Sequence[Sequence[Any]]) -> dict[str, dict[str, float]]:
    """Every metric's value on every item, averaged over the rounds of sampling."""
    units: dict[str, dict[str, float]] = {}
    for item, *verdicts in zip(items, *rounds, strict=True):
        language, path, expected = item["language"], item["id"], item["expected_behavior"]
        if path.count("/") < 2:  # a file's own ids do not say which function they are about
            path = f"{expected.get('expected_function') or 'no call'}/{item['scenario_type']}/{path}"
        right = fmean(verdict.label == "CORRECT" for verdict in verdicts)
        if item.get("unseen"):
            found = {"accuracy_unseen": right}
        else:
            found = {"accuracy": right, f"accuracy_{item['scenario_type']}": right}
            if expected["should_call_function"]:
                found["accuracy_call"] = right
                found["valid_call"] = fmean(verdict.valid is True for verdict in verdicts)
            else:
                found["unexpected_call"] = fmean(verdict.label == "UNEXPECTED_CALL" for verdict in verdicts)
        for name, value in found.items():
            units.setdefault(f"{name}_{language}", {})[path] = value
    return units


def wrong_items(items: Items, said: Sequence[str], verdicts: Sequence[Any]) -> list[dict[str, Any]]:
    """Items that were answered wrongly, with the answer and why."""
    return [
        {**item, "label": verdict.label, "response": text, "errors": verdict.errors}
        for item, text, verdict in zip(items, said, verdicts, strict=True)
        if verdict.label != "CORRECT"
    ]


def samples(items: Items, said: Sequence[str], verdicts: Sequence[Any]) -> list[dict[str, Any]]:
    """One answer for every scenario and label."""
    shown = [
        {
            "scenario": item["scenario_type"],
            "label": verdict.label,
            "request": item["user_message"],
            "answer": text[:200],
        }
        for item, text, verdict in zip(items, said, verdicts, strict=True)
    ]
    return list({(one["scenario"], one["label"]): one for one in shown}.values())


def print_report(report: Any) -> None:
    """Accuracy by scenario, errors, and the score of a model that never calls."""
    show({**report.scenarios, "all": report.accuracy, "never calling": report.never_call})
    print("  " + ", ".join(f"{label} {count}" for label, count in report.errors.items() if count))


if __name__ == "__main__":
    entrypoint(evaluate)
